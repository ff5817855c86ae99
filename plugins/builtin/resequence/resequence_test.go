package resequence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/plugins/builtin/flow"
	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, Plugin, plugintest.Sample{Config: `{"minCases":20,"resamples":200,"knockOut":true}`})
	plugintest.Run(t, Plugin, plugintest.Sample{BPMN: []byte(process("", "")), Config: `{"minCases":20,"parallel":true}`})
}

// process is one with three tests in a row, then two steps; more and form stand on the
// second test and its form.
func process(more, form string) string {
	task := func(id, role, body string) string {
		return fmt.Sprintf(`<userTask id="%s" name="查%s"><extensionElements><s:task role="%s" nameEn="Check %s"/>%s</extensionElements></userTask>`, id, id, role, id, body)
	}
	var b strings.Builder
	b.WriteString(`<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:s="https://openspms.org/schema/bpmn/1.0" id="d" targetNamespace="urn:t"><process id="p" isExecutable="true"><startEvent id="s"/>`)
	b.WriteString(task("a", "agent", `<s:field variable="x.a"/>`) + task("b", "l2", `<s:field variable="x.b"/>`+form+more) + task("c", "agent", `<s:field variable="x.c"/>`))
	b.WriteString(task("d", "agent", `<s:field variable="y.d"/>`) + task("e", "technician", `<s:field variable="y.e"/>`))
	for _, g := range []string{"a", "b", "c"} {
		fmt.Fprintf(&b, `<exclusiveGateway id="g%s" default="n%s"/><endEvent id="x%s"/>`, g, g, g)
	}
	b.WriteString(`<endEvent id="z"/>`)
	n := 0
	seq := func(id, from, to, when string) {
		n++
		if id == "" {
			id = fmt.Sprint("f", n)
		}
		if when != "" {
			when = "<conditionExpression>" + when + "</conditionExpression>"
		}
		fmt.Fprintf(&b, `<sequenceFlow id="%s" sourceRef="%s" targetRef="%s">%s</sequenceFlow>`, id, from, to, when)
	}
	seq("in", "s", "a", "")
	for i, g := range []string{"a", "b", "c"} {
		seq("", g, "g"+g, "")
		seq("n"+g, "g"+g, "x"+g, "")
		seq("y"+g, "g"+g, []string{"b", "c", "d"}[i], "x."+g)
	}
	seq("", "d", "e", "")
	seq("", "e", "z", "")
	b.WriteString(`</process></definitions>`)
	return b.String()
}

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// log plays cases through the process: reject and minutes of a, b and c; d takes 30
// minutes and e 40.
func log(seed uint64, cases int, reject, minutes [3]float64) []sdk.Event {
	r := rand.New(rand.NewPCG(seed, 9))
	var out []sdk.Event
	for i := range cases {
		at := monday.Add(time.Duration(i) * time.Hour)
		var mine []sdk.Event
		do := func(node string, minutes float64) {
			took := time.Duration(minutes * (0.5 + r.Float64()) * float64(time.Minute))
			for _, l := range []sdk.Lifecycle{sdk.Schedule, sdk.Start, sdk.Completed} {
				if l == sdk.Completed {
					at = at.Add(took)
				}
				mine = append(mine, sdk.Event{Case: fmt.Sprint("c", i), Node: node, Lifecycle: l, Time: at, Attributes: map[string]string{"case.state": "ended"}})
			}
		}
		rejected := false
		for k, node := range []string{"a", "b", "c"} {
			do(node, minutes[k])
			if rejected = r.Float64() < reject[k]; rejected {
				break
			}
		}
		if !rejected {
			do("d", 30)
			do("e", 40)
		}
		out = append(out, mine...)
	}
	slices.SortStableFunc(out, func(a, b sdk.Event) int { return a.Time.Compare(b.Time) })
	return out
}

// TestKnockOut: the rule of van der Aalst orders by rejections per effort: of tests that
// reject 10 % for 20 minutes, 30 % for 10 and 20 % for 30 the second comes first
// and the first last (0.03 > 0.0067 > 0.005): a case takes 10 + 0.7·(30 + 0.8·20) = 42.2
// minutes in place
// of 20 + 0.9·(10 + 0.7·30) = 47.9.
func TestKnockOut(t *testing.T) {
	t.Parallel()
	events := log(1, 4000, [3]float64{0.1, 0.3, 0.2}, [3]float64{20, 10, 30})
	got := plugintest.Propose(t, Plugin, plugintest.Given{Config: `{"parallel":false}`, Seed: 3, BPMN: []byte(process("", "")), Events: events})
	if len(got.Proposals) != 1 {
		t.Fatalf("%d proposals, want 1; it said %q", len(got.Proposals), got.Progress)
	}
	p := got.Proposals[0]
	if want := `[{"id":"in","op":"reconnect","to":"b"},{"id":"yc","op":"reconnect","to":"a"},{"id":"ya","op":"reconnect","to":"d"}]`; p.GetEditsJson() != want {
		t.Errorf("edits %s, want %s", p.GetEditsJson(), want)
	}
	c := p.GetClaims()[0]
	if math.Abs(c.GetBefore()/60-47.9) > 1 || math.Abs(c.GetAfter()/60-42.2) > 1 || c.GetHigh() >= 0 || c.GetLow() >= c.GetHigh() ||
		c.GetAfter()-c.GetBefore() < c.GetLow() || c.GetAfter()-c.GetBefore() > c.GetHigh() {
		t.Errorf("claim %v, want 47.9 → 42.2 minutes with an interval around the difference", c)
	}
	if !strings.Contains(p.GetTitleZh(), "查b → 查c → 查a") || !strings.Contains(p.GetTitleEn(), "Check b → Check c → Check a") {
		t.Errorf("titles %q and %q", p.GetTitleZh(), p.GetTitleEn())
	}
}

// TestConstraints: what must stay in order stays.
func TestConstraints(t *testing.T) {
	t.Parallel()
	events := log(2, 3000, [3]float64{0.05, 0.5, 0.1}, [3]float64{40, 5, 30})
	for name, tt := range map[string]struct {
		more, form, config string
		refuse             bool
		want               int
	}{
		"free":                       {"", "", `{"parallel":false}`, false, 1},
		"b reads what a writes":      {"", `<s:field variable="x.a" readOnly="true"/>`, `{"parallel":false}`, false, 0},
		"b writes what a's test has": {"", `<s:field variable="x"/>`, `{"parallel":false}`, false, 0},
		"one moves a clock":          {`<s:event name="e" on="enter"/>`, "", `{"parallel":false}`, false, 1},
		"the host says no":           {"", "", `{"parallel":false}`, true, 0},
		"a gain that is too small":   {"", "", `{"parallel":false,"minGainPercent":80}`, false, 0},
		"side by side":               {"", "", `{"knockOut":false}`, false, 1},
		"too few cases":              {"", "", `{"minCases":100000}`, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := plugintest.Propose(t, Plugin, plugintest.Given{Config: tt.config, BPMN: []byte(process(tt.more, tt.form)), Events: events, Refuse: func(string) bool { return tt.refuse }})
			if len(got.Proposals) != tt.want {
				t.Errorf("it proposed %v, want %d changes", got.Proposals, tt.want)
			}
		})
	}
	got := plugintest.Propose(t, Plugin, plugintest.Given{Config: `{"knockOut":false}`, BPMN: []byte(process("", "")), Events: events})
	if c := got.Proposals[0].GetClaims()[0]; got.Proposals[0].GetEditsJson() != `[{"nodes":["d","e"],"op":"parallelise"}]` || math.Abs(c.GetBefore()/60-70) > 1 || c.GetAfter()/60 < 40 || c.GetAfter()/60 > 45 || c.GetHigh() >= 0 {
		t.Errorf("side by side: %v, want d and e from 70 minutes to the longer of the two", got.Proposals[0])
	}
}

// TestShortLog says so and proposes nothing.
func TestShortLog(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 10} {
		got := plugintest.Propose(t, Plugin, plugintest.Given{BPMN: []byte(process("", "")), Events: log(3, n, [3]float64{0.1, 0.3, 0.2}, [3]float64{20, 10, 30})})
		if len(got.Proposals) != 0 || !strings.Contains(fmt.Sprint(got.Progress), "日志太短") {
			t.Errorf("of %d cases it proposed %v and said %q", n, got.Proposals, got.Progress)
		}
	}
}

// TestRuleIsOptimal compares the rule with all orders of free tests.
func TestRuleIsOptimal(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		n := 2 + r.IntN(4)
		tests, reject, effort := make([]*test, n), make([]float64, n), make([]float64, n)
		for i := range tests {
			tests[i] = &test{activity: &flow.Node{}, choice: &flow.Node{}}
			reject[i], effort[i] = r.Float64(), 1+r.Float64()*50
		}
		best := math.Inf(1)
		var try func(done []int)
		try = func(done []int) {
			if len(done) == n {
				best = min(best, expected(done, reject, effort))
				return
			}
			for i := range n {
				if !slices.Contains(done, i) {
					try(append(slices.Clone(done), i))
				}
			}
		}
		try(nil)
		if got := expected(sequence(tests, reject, effort), reject, effort); got > best+1e-9 {
			t.Fatalf("the rule costs %v, the best order %v", got, best)
		}
	}
}
