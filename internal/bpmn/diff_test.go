package bpmn_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/bpmn"
)

var idsOfEditor = regexp.MustCompile(`"(f-[a-z0-9_A-Z-]+|g_[a-z0-9]+|[am]_[a-z0-9_]+)"|>(f-[a-z0-9_A-Z-]+|g_[a-z0-9]+|[am]_[a-z0-9_]+)<`)

// TestDiffOfRenamedIDs: an editor that gives every gateway, task and flow a new
// id changes nothing.
func TestDiffOfRenamedIDs(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"ftth-install", "mobile-complaint", "leased-line", "enquiry"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(shipped + key + ".bpmn")
			if err != nil {
				t.Fatal(err)
			}
			at := strings.Index(string(src), "<bpmn:laneSet")
			if at < 0 {
				t.Fatal("no lanes")
			}
			rename := func(s string) string {
				return idsOfEditor.ReplaceAllStringFunc(s, func(m string) string { return m[:1] + "Element_" + m[1:len(m)-1] + m[len(m)-1:] })
			}
			head := regexp.MustCompile(` node="([^"]*)"`).ReplaceAllStringFunc(string(src[:at]), func(m string) string {
				return ` node=` + rename(m[len(` node=`):])
			})
			a, b := graphOf(t, parse(t, src)), graphOf(t, parse(t, []byte(head+rename(string(src[at:])))))
			renamed := 0
			for i := range a.Nodes {
				if a.Nodes[i].ID != b.Nodes[i].ID {
					renamed++
				}
			}
			if renamed < len(a.Nodes)/3 {
				t.Fatalf("%d of %d nodes have a new id, want most", renamed, len(a.Nodes))
			}
			if got := briefs(a, b); got != nil {
				t.Errorf("Diff = %v, want no difference", got)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	graph := func(change func(g *bpmn.Graph)) *bpmn.Graph {
		g := &bpmn.Graph{
			ID: "p", Name: "流程",
			Lanes: []*bpmn.Lane{{ID: "l1", Name: "一", Role: "agent", Nodes: []string{"a"}}, {ID: "l2", Name: "二"}},
			Nodes: []*bpmn.Node{
				{ID: "s", Type: bpmn.StartEvent, Event: &bpmn.Event{Kind: bpmn.NoneEvent}},
				{ID: "a", Name: "办理", Type: bpmn.UserTask, Lane: "l1", Default: "f2", Extension: bpmn.NodeExtension{Simulation: `{"duration":{"mean":3}}`}},
				{ID: "x", Type: bpmn.ExclusiveGateway},
				{ID: "e", Type: bpmn.EndEvent, Event: &bpmn.Event{Kind: bpmn.NoneEvent}},
			},
			Flows: []*bpmn.Flow{{ID: "f1", From: "s", To: "a"}, {ID: "f2", From: "a", To: "x"}, {ID: "f3", From: "x", To: "e"}},
		}
		change(g)
		return g
	}
	tests := []struct {
		name   string
		change func(g *bpmn.Graph)
		want   []string
	}{
		{"nothing", func(*bpmn.Graph) {}, nil},
		{"gateway without a name gets a new id", func(g *bpmn.Graph) {
			g.Nodes[2].ID, g.Flows[1].To, g.Flows[2].From = "x2", "x2", "x2"
		}, nil},
		{"flow gets a new id", func(g *bpmn.Graph) { g.Flows[1].ID, g.Nodes[1].Default = "other", "other" }, nil},
		{"moved and changed", func(g *bpmn.Graph) { g.Nodes[1].Lane, g.Nodes[1].Name = "l2", "处理" }, []string{"moved node a lane=l2 name=处理"}},
		{"figure", func(g *bpmn.Graph) { g.Nodes[1].Extension.Simulation = `{"duration": {"mean": 0}}` }, []string{"changed node a simulation.duration.mean=0"}},
		{"same figures written otherwise", func(g *bpmn.Graph) { g.Nodes[1].Extension.Simulation = "{ \"duration\" : {\"mean\": 3.0} }" }, nil},
		{"type", func(g *bpmn.Graph) { g.Nodes[1].Type = bpmn.ManualTask }, []string{"changed node a type=manualTask"}},
		{"loop", func(g *bpmn.Graph) { g.Nodes[1].Loop = &bpmn.Loop{Maximum: 3} }, []string{"changed node a loop.maximum=3"}},
		{"another task in its place", func(g *bpmn.Graph) {
			g.Nodes[1] = &bpmn.Node{ID: "b", Name: "核查", Type: bpmn.ServiceTask}
			g.Flows[0].To, g.Flows[1].From = "b", "b"
		}, []string{"added node b", "removed node a", "changed flow f1 to=b", "changed flow f2 from=b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, briefs(graph(func(*bpmn.Graph) {}), graph(tt.change))); diff != "" {
				t.Errorf("Diff differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	changes := []bpmn.Change{
		{Kind: bpmn.Added, Element: bpmn.NodeElement, ID: "a", Name: "办|理", NameEn: "Handle"},
		{Kind: bpmn.Moved, Element: bpmn.NodeElement, ID: "b", OldID: "old", Properties: []bpmn.PropertyChange{{Path: "lane", Old: "", New: "x_y|<b>"}}},
	}
	zh := "### 新增节点 `a` 办\\|理\n\n### 移动节点 `b` (原标识 `old`)\n\n| 属性 | 原值 | 新值 |\n|---|---|---|\n| `lane` | （无） | x\\_y\\|&lt;b> |\n\n"
	if diff := cmp.Diff(zh, bpmn.Markdown(changes, "zh")); diff != "" {
		t.Errorf("Markdown differs (-want +got):\n%s", diff)
	}
	if en := bpmn.Markdown(changes, "en"); !strings.HasPrefix(en, "### Added node `a` Handle\n") || !strings.Contains(en, "| (none) |") {
		t.Errorf("Markdown in English = %s", en)
	}
	if got := bpmn.Markdown(nil, "en"); got != "The two versions do not differ.\n" {
		t.Errorf("Markdown(nil) = %q", got)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	a := parse(t, []byte(definitions+"<process id='p' name='x'/></definitions>"))
	b := parse(t, []byte(definitions+"<process name=\"x\" id=\"p\"></process></definitions>"))
	c := parse(t, []byte(definitions+"<process id='p' name='y'/></definitions>"))
	if a.Digest() != b.Digest() || a.Digest() == c.Digest() || len(a.Digest()) != 64 {
		t.Errorf("Digest = %s, %s, %s, want the first two equal", a.Digest(), b.Digest(), c.Digest())
	}
}

func BenchmarkApply(b *testing.B) {
	d := shippedDocument(b, "ftth-install")
	for b.Loop() {
		if _, err := d.Apply("", bpmn.Edit{Op: bpmn.SetStage, ID: "a_disp", Value: "delivery"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "edits/s")
}
