package model_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/model/modeltest"
)

// unsound are graphs that cannot be played to their end, with what is wrong;
// declarations are separated by semicolons.
var unsound = []struct{ name, text, want string }{
	{"an exclusive split into a parallel join", "var b bool input; start s; end e; xor x; and j; flow s -> x; flow x -> j when b; flow x -> j default; flow j -> e", "SOUND_DEADLOCK"},
	{"a parallel split into an exclusive join", "var b bool input; start s; end e; and g; xor j; user a; user c; flow s -> g -> a -> j -> e; flow g -> c -> j", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"a parallel split into one task", "var b bool input; start s; end e; and g; user a; flow s -> g -> a -> e; flow g -> a", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"a parallel split that meets at the end flow", "var b bool input; start s; end e; and g; user a; user c; xor j; user z; flow s -> g -> a -> j -> z -> e; flow g -> c -> j", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"a loop back into a parallel join", "var b bool input; start s; end e; and j; user a; xor x; flow s -> j -> a -> x; flow x -> e when b; flow x -> j default", "SOUND_DEADLOCK"},
	{"two joins that wait for each other", "var b bool input; start s; end e; and g; and j1; and j2; and k1; and k2; and f; flow s -> g -> j1 -> k1; flow g -> j2 -> k2; flow k1 -> j2; flow k2 -> j1; flow k1 -> f -> e; flow k2 -> f", "SOUND_DEADLOCK"},
	{"a loop out of a parallel branch", "var b bool input; start s; end e; xor m; and g; user a; user c; and j; xor x; flow s -> m -> g -> a -> x; flow g -> c -> j; flow x -> m when b; flow x -> j default; flow j -> e", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"an exit out of a parallel branch", "var b bool input; start s; end e; end f; and g; user a; user c; and j; xor x; flow s -> g -> a -> x; flow g -> c -> j; flow x -> f when b; flow x -> j default; flow j -> e", "SOUND_DEADLOCK"},
	{"a skip past a parallel join", "var b bool input; start s; end e; and g; user a; user c; and j; xor x; xor m; flow s -> g -> a -> x; flow g -> c -> j; flow x -> m when b; flow x -> j default; flow j -> m -> e", "SOUND_DEADLOCK"},
	{"three branches, two joined", "var b bool input; start s; end e; and g; user a; user c; user d; and j; xor m; flow s -> g -> a -> j; flow g -> c -> j; flow j -> m -> e; flow g -> d -> m", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"two branches, three expected", "var b bool input; start s; end e; xor x; and g; user a; user c; user d; and j; flow s -> x; flow x -> g when b; flow x -> d default; flow g -> a -> j; flow g -> c -> j; flow d -> j; flow j -> e", "SOUND_DEADLOCK"},
	{"an entry into a parallel block", "var b bool input; start s; end e; xor x; xor m; and g; user a; user c; and j; flow s -> x; flow x -> g when b; flow x -> m default; flow g -> m; flow m -> a -> j; flow g -> c -> j; flow j -> e", "SOUND_DEADLOCK"},
	{"choices that do not agree", "var b bool input; start s; end e; and g; xor x; xor y; and j; and k; xor m; flow s -> g -> x; flow g -> y; flow x -> j when b; flow x -> k default; flow y -> j when b; flow y -> k default; flow j -> m; flow k -> m; flow m -> e", "SOUND_DEADLOCK"},
	{"a task behind an exclusive join of parallels", "var b bool input; start s; end e; and g; xor m; user z; user a; user c; user d; flow s -> g -> a -> m; flow g -> c -> m; flow g -> d -> m; flow m -> z -> e", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"a loop that doubles", "var b bool input; start s; end e; xor m; user a; and g; xor x; flow s -> m -> a -> g; flow g -> m; flow g -> x; flow x -> e when b; flow x -> m default", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"a circle without exit", "var b bool input; start s; end e; xor m; user a; user c; xor x; flow s -> x; flow x -> e when b; flow x -> m default; flow m -> a -> c -> m", "SOUND_NO_COMPLETION"},
	{"a circle of gateways without exit", "var b bool input; start s; end e; xor x; xor m; xor n; flow s -> x; flow x -> e when b; flow x -> m default; flow m -> n; flow n -> m", "SOUND_NO_COMPLETION"},
	{"a branch that never ends beside one that does", "var b bool input; start s; end e; and g; user a; xor m; user c; flow s -> g -> a -> e; flow g -> m -> c -> m", "SOUND_NO_COMPLETION"},
	{"an interrupting boundary into a parallel join", "var b bool input; start s; end e; user a; boundary t on=a duration=PT1H; and j; flow s -> a -> j -> e; flow t -> j", "SOUND_DEADLOCK"},
	{"a boundary beside into an exclusive join", "var b bool input; start s; end e; user a; boundary t on=a duration=PT1H noninterrupting; xor j; user z; flow s -> a -> j -> z -> e; flow t -> j", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"a boundary beside into a parallel join", "var b bool input; start s; end e; user a; boundary t on=a duration=PT1H noninterrupting; and j; flow s -> a -> j -> e; flow t -> j", "SOUND_DEADLOCK"},
	{"an event gateway into a parallel join", "var b bool input; start s; end e; event g; catch m message=x; catch t duration=PT1H; and j; flow s -> g -> m -> j -> e; flow g -> t -> j", "SOUND_DEADLOCK"},
	{"several flows out of a task, one exclusive join", "var b bool input; start s; end e; user a; user c; user d; xor j; user z; flow s -> a -> c -> j -> z -> e; flow a -> d -> j", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"conditions out of a task into a parallel join", "var b bool input; start s; end e; user a; user c; user d; and j; flow s -> a; flow a -> c when b; flow a -> d when !b; flow c -> j; flow d -> j; flow j -> e", "SOUND_DEADLOCK"},
	{"an inclusive split into a parallel join", "var b bool input; start s; end e; or g; user a; user c; and j; flow s -> g; flow g -> a when b; flow g -> c default; flow a -> j; flow c -> j; flow j -> e", "SOUND_DEADLOCK"},
	{"an inclusive split into an exclusive join", "var b bool input; start s; end e; or g; user a; user c; xor j; user z; flow s -> g; flow g -> a when b; flow g -> c default; flow a -> j; flow c -> j; flow j -> z -> e", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"two starts into a parallel join", "var b bool input; start s; end e; start t message=x; and j; flow s -> j -> e; flow t -> j", "SOUND_DEADLOCK"},
	{"a deadlock inside a subprocess", "var b bool input; start s; end e; sub p; start t in=p; xor x in=p; and j in=p; end f in=p; flow s -> p -> e; flow t -> x; flow x -> j when b; flow x -> j default; flow j -> f", "SOUND_DEADLOCK"},
	{"a lack of synchronisation in an event subprocess", "start s; end e; eventsub h; start t in=h message=x; and g in=h; user a in=h; user c in=h; xor m in=h; user z in=h; end f in=h; flow s -> e; flow t -> g -> a -> m -> z -> f; flow g -> c -> m", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"a link that splits and meets", "var b bool input; start s; end e; and g; throw l link=p; catch k link=p; user a; xor m; user z; flow s -> g -> l; flow g -> a -> m; flow k -> m -> z -> e", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"nested blocks crossed", "var b bool input; start s; end e; and g; and h; user a; user c; user d; and j; xor m; flow s -> g -> a -> j; flow g -> h -> c -> j; flow h -> d -> m; flow j -> m -> e", "SOUND_LACK_OF_SYNCHRONISATION"},
	{"a parallel loop that starves its join", "var b bool input; start s; end e; xor m; and g; user a; user c; and j; xor x; flow s -> m -> g -> a -> j; flow g -> c -> j; flow j -> x; flow x -> e when b; flow x -> j default", "SOUND_DEADLOCK"},
	{"a terminate too early does not mend a join", "var b bool input; start s; end e; end f terminate; xor x; and j; user a; flow s -> x; flow x -> a when b; flow x -> f default; flow a -> j -> e; flow x -> j when b", "SOUND_DEADLOCK"},
}

// soundGraphs look dangerous and are not.
var soundGraphs = []struct{ name, text string }{
	{"a line", "start s; user a; end e; flow s -> a -> e"},
	{"a choice", "var b bool input; start s; end e; xor x; user a; user c; xor m; flow s -> x; flow x -> a when b; flow x -> c default; flow a -> m; flow c -> m; flow m -> e"},
	{"a parallel block", "var b bool input; start s; end e; and g; user a; user c; and j; flow s -> g -> a -> j -> e; flow g -> c -> j"},
	{"a parallel block with two ends", "var b bool input; start s; end e; end f; and g; user a; user c; flow s -> g -> a -> e; flow g -> c -> f"},
	{"a loop", "var b bool input; start s; end e; xor m; user a; xor x; flow s -> m -> a -> x; flow x -> m when b; flow x -> e default"},
	{"a parallel block in a loop", "var b bool input; start s; end e; xor m; and g; user a; user c; and j; xor x; flow s -> m -> g -> a -> j -> x; flow g -> c -> j; flow x -> m when b; flow x -> e default"},
	{"a join of what was split twice", "var b bool input; start s; end e; and g; and h; user a; user c; user d; and j; flow s -> g -> a -> j -> e; flow g -> h -> c -> j; flow h -> d -> j"},
	{"an inclusive block", "var b bool input; start s; end e; or g; user a; user c; or j; flow s -> g; flow g -> a when b; flow g -> c default; flow a -> j; flow c -> j; flow j -> e"},
	{"a terminate that ends the other branch", "var b bool input; start s; end e; end f terminate; and g; user a; user c; and j; xor x; flow s -> g -> a -> x; flow g -> c -> j; flow x -> f when b; flow x -> j default; flow j -> e"},
	{"a boundary beside with its own end", "start s; end e; end f; user a; boundary t on=a cycle=R/PT1H noninterrupting; flow s -> a -> e; flow t -> f"},
	{"an interrupting boundary that rejoins", "var b bool input; start s; end e; user a; boundary t on=a duration=PT1H; xor m; flow s -> a -> m -> e; flow t -> m"},
	{"an event gateway", "var b bool input; start s; end e; event g; catch m message=x; catch t duration=PT1H; xor j; flow s -> g -> m -> j -> e; flow g -> t -> j"},
	{"two starts", "var b bool input; start s; end e; start t message=x; xor m; flow s -> m -> e; flow t -> m"},
	{"a link", "var b bool input; start s; end e; user a; throw l link=p; catch k link=p; flow s -> a -> l; flow k -> e"},
}

func TestSoundFinds(t *testing.T) {
	t.Parallel()
	for _, tc := range unsound {
		m, findings := compile(t, strings.ReplaceAll(tc.text, "; ", "\n"))
		if got := codes(findings); m == nil || !slices.Equal(got, []string{tc.want}) {
			t.Errorf("%s: findings %v, want %s (%v)", tc.name, got, tc.want, findings)
			continue
		}
		for _, f := range findings {
			if f.Severity == model.SeverityError && len(f.Elements) < 2 {
				t.Errorf("%s: path %v, want the nodes of an example", tc.name, f.Elements)
			}
		}
	}
}

func TestSoundLetsPass(t *testing.T) {
	t.Parallel()
	for _, tc := range soundGraphs {
		m, findings := compile(t, strings.ReplaceAll(tc.text, "; ", "\n"))
		if got := codes(findings); m == nil || len(got) > 0 {
			t.Errorf("%s: findings %v, want none (%v)", tc.name, got, findings)
		}
	}
}

// TestSoundPath wants the nodes on the way to the join that waits.
func TestSoundPath(t *testing.T) {
	t.Parallel()
	_, findings := compile(t, "var b bool input\nstart s\nxor x\nuser a\nuser c\nand j\nend e\nflow s -> x\nflow x -> a when b\nflow x -> c default\nflow a -> j\nflow c -> j\nflow j -> e")
	found := model.Errors(findings)
	if len(found) != 1 || !slices.Equal(found[0].Elements, []string{"s", "x", "a", "j"}) {
		t.Errorf("Sound = %v, want the path s x a j", found)
	}
}

// blocks writes a sound process of so many nodes: parallel and exclusive blocks in
// a row, each in a loop.
func blocks(nodes int) string {
	var b strings.Builder
	b.WriteString("var b bool input\nstart s\nend e\n")
	last := "s"
	for i := 0; i*9 < nodes; i++ {
		fmt.Fprintf(&b, "xor m%[1]d\nand g%[1]d\nuser a%[1]d\nxor y%[1]d\nuser c%[1]d\nuser d%[1]d\nxor z%[1]d\nand j%[1]d\nxor x%[1]d\n", i)
		fmt.Fprintf(&b, "flow %[2]s -> m%[1]d -> g%[1]d -> a%[1]d -> j%[1]d -> x%[1]d\nflow g%[1]d -> y%[1]d\nflow y%[1]d -> c%[1]d when b\nflow y%[1]d -> d%[1]d default\n", i, last)
		fmt.Fprintf(&b, "flow c%[1]d -> z%[1]d -> j%[1]d\nflow d%[1]d -> z%[1]d\nflow x%[1]d -> m%[1]d when b\nuser o%[1]d\nflow x%[1]d -> o%[1]d default\n", i)
		last = fmt.Sprintf("o%d", i)
	}
	fmt.Fprintf(&b, "flow %s -> e\n", last)
	return b.String()
}

// BenchmarkSound checks a free-choice process of 500 nodes.
func BenchmarkSound(b *testing.B) {
	g, err := modeltest.Graph(blocks(450))
	if err != nil {
		b.Fatal(err)
	}
	m, findings := model.Compile(g, model.Options{})
	if m == nil || len(codes(findings)) > 0 {
		b.Fatal(findings)
	}
	for b.Loop() {
		model.Sound(m)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/check")
	b.ReportMetric(float64(len(g.Nodes)), "nodes")
}
