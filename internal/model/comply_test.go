package model_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/packs"
)

var places = map[string]model.Where{
	"henan urban":  {Regions: []string{"CN-HA-ZZ", "CN-HA", "CN"}, Area: "urban"},
	"henan rural":  {Regions: []string{"CN-HA-NY", "CN-HA", "CN"}, Area: "rural"},
	"chongqing":    {Regions: []string{"CN-CQ-YB", "CN-CQ", "CN"}, Area: "urban"},
	"headquarters": {Regions: []string{"CN"}},
}

func norms(t testing.TB) *norm.Set {
	t.Helper()
	n, err := packs.Norms()
	if err != nil {
		t.Fatal(err)
	}
	return n.Set
}

// shipped returns the graphs of the shipped processes by file name.
func shipped(t testing.TB) map[string]*bpmn.Graph {
	t.Helper()
	files, err := filepath.Glob("../../packs/process/*.bpmn")
	if err != nil || len(files) == 0 {
		t.Fatalf("no process files: %v", err)
	}
	out := map[string]*bpmn.Graph{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := bpmn.Parse(strings.NewReader(string(raw)), bpmn.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if out[strings.TrimSuffix(filepath.Base(f), ".bpmn")], err = d.Graph(""); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestShippedProcessesComply(t *testing.T) {
	t.Parallel()
	set := norms(t)
	for name, g := range shipped(t) {
		m, findings := model.Compile(g, model.Options{})
		if m == nil {
			t.Fatalf("%s: %v", name, findings)
		}
		for place, w := range places {
			w.At = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
			found, err := model.Comply(m, set, w)
			if err != nil {
				t.Fatalf("%s in %s: %v", name, place, err)
			}
			for _, f := range found {
				t.Errorf("%s in %s: %s %s %v %s %v", name, place, f.Severity, f.Code, f.Elements, f.Clause, f.Params)
			}
		}
	}
}

// codes returns the codes of findings that are not notes, sorted.
func codes(findings []model.Finding) []string {
	out := []string{}
	for _, f := range findings {
		if f.Severity != model.SeverityNote {
			out = append(out, f.Code)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestMutations breaks a shipped process in one way and wants exactly that finding.
func TestMutations(t *testing.T) {
	t.Parallel()
	set := norms(t)
	known := func(role string) bool { return role != "astronaut" }
	for _, tc := range []struct {
		name   string
		change func(g *bpmn.Graph)
		want   []string
	}{
		{"unchanged", func(*bpmn.Graph) {}, []string{}},
		{"no evidence and no form", func(g *bpmn.Graph) {
			n := node(g, "a_disp")
			n.Extension.Evidence, n.Extension.Fields = nil, nil
		}, []string{"TASK_WITHOUT_TRACE"}},
		{"a role nobody has", func(g *bpmn.Graph) { node(g, "a_line").Extension.Role = "astronaut" }, []string{"TASK_ROLE_UNKNOWN"}},
		{"no role", func(g *bpmn.Graph) {
			node(g, "a_line").Extension.Role, node(g, "a_line").Lane = "", ""
		}, []string{"TASK_WITHOUT_ROLE"}},
		{"the stop event is gone", func(g *bpmn.Graph) { drop(g, "service.activated") }, []string{"CLOCK_NEVER_STOPS"}},
		{"the plan's rate is not asked at the start", func(g *bpmn.Graph) {
			for i := range g.Extension.Variables {
				if v := &g.Extension.Variables[i]; v.Name == "case.planMbps" {
					v.Input, v.Required = false, false
				}
			}
		}, []string{"VARIABLE_READ_BEFORE_WRITE"}},
		{"the speed is measured after it is asked for", func(g *bpmn.Graph) {
			n := node(g, "a_act")
			n.Extension.Fields = nil
			node(g, "a_accept").Extension.Fields = []bpmn.Field{{Variable: "test.downMbps"}}
		}, []string{"VARIABLE_READ_BEFORE_WRITE"}},
		{"the speed is measured by nobody", func(g *bpmn.Graph) { node(g, "a_act").Extension.Fields = nil }, []string{"VARIABLE_READ_BEFORE_WRITE"}},
		{"a choice without a way for the rest", func(g *bpmn.Graph) { node(g, "g_visit").Default = "" }, []string{"FLOW_WITHOUT_CONDITION"}},
		{"a condition on an undeclared variable", func(g *bpmn.Graph) { flow(g, "f-g_sign-g_build").Condition = "contract.sealed" }, []string{"EXPR_UNDECLARED"}},
		{"a condition that is no truth value", func(g *bpmn.Graph) { flow(g, "f-g_act-a_accept").Condition = "test.downMbps" }, []string{"EXPR_TYPE"}},
		{"a condition that does not parse", func(g *bpmn.Graph) { flow(g, "f-g_act-a_accept").Condition = "test.downMbps >=" }, []string{"EXPR_SYNTAX"}},
		{"a timer without a time", func(g *bpmn.Graph) { node(g, "t_24").Event.Duration = "" }, []string{"TIMER_MISSING"}},
		{"a timer that is no duration", func(g *bpmn.Graph) { node(g, "t_24").Event.Duration = "a day" }, []string{"EXPR_DURATION"}},
		{"a message without a name", func(g *bpmn.Graph) { node(g, "m_sign").Event.Name = "" }, []string{"EVENT_NAME_MISSING"}},
		{"a boundary event on nothing", func(g *bpmn.Graph) { node(g, "m_resp_timeout").AttachedTo = "" }, []string{"BOUNDARY_UNATTACHED", "NODE_UNREACHABLE"}},
		{"a form field that is not declared", func(g *bpmn.Graph) {
			n := node(g, "a_visit")
			n.Extension.Fields = append(n.Extension.Fields, bpmn.Field{Variable: "visit.mood"})
		}, []string{"VARIABLE_UNDECLARED"}},
		{"a rule at no node", func(g *bpmn.Graph) {
			g.Extension.Rules = append(g.Extension.Rules, bpmn.GuardRule{ID: "r", Node: "nowhere", On: "complete", Result: "block", CEL: "true"})
		}, []string{"RULE_NODE_UNKNOWN"}},
		{"a rule without a result", func(g *bpmn.Graph) {
			g.Extension.Rules = append(g.Extension.Rules, bpmn.GuardRule{ID: "r", Node: "a_visit", On: "complete", CEL: "true"})
		}, []string{"RULE_MALFORMED"}},
		{"an element that cannot run", func(g *bpmn.Graph) { node(g, "g_visit").Type = bpmn.ComplexGateway }, []string{"NODE_NOT_EXECUTABLE"}},
		{"a task nothing leads away from", func(g *bpmn.Graph) { cut(g, "f-a_repair-e_done") }, []string{"DEAD_END"}},
		{"no start", func(g *bpmn.Graph) { node(g, "s").Type = bpmn.IntermediateThrowEvent }, []string{"NODE_UNREACHABLE", "START_MISSING"}},
		{"conditions at a parallel gateway", func(g *bpmn.Graph) { node(g, "g_score").Type = bpmn.ParallelGateway }, []string{"FLOW_CONDITION_IGNORED"}},
		{"the monitoring never ends", func(g *bpmn.Graph) {
			redirect(g, "t_24", "a_accept")
			redirect(g, "a_accept", "t_24")
		}, []string{"NODE_UNREACHABLE"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := shipped(t)["ftth-install"]
			tc.change(g)
			m, findings := model.Compile(g, model.Options{})
			if m != nil {
				w := places["henan urban"]
				w.At, w.KnownRole = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), known
				more, err := model.Comply(m, set, w)
				if err != nil {
					t.Fatal(err)
				}
				findings = append(findings, more...)
			}
			if got := codes(findings); !slices.Equal(got, tc.want) {
				t.Errorf("%s: findings %v, want %v (%v)", tc.name, got, tc.want, findings)
			}
		})
	}
}

func node(g *bpmn.Graph, id string) *bpmn.Node {
	for _, n := range g.Nodes {
		if n.ID == id {
			return n
		}
	}
	panic("no node " + id)
}

func flow(g *bpmn.Graph, id string) *bpmn.Flow {
	for _, f := range g.Flows {
		if f.ID == id {
			return f
		}
	}
	panic("no flow " + id)
}

// cut takes a flow out.
func cut(g *bpmn.Graph, id string) {
	gone := flow(g, id)
	g.Flows = slices.DeleteFunc(g.Flows, func(f *bpmn.Flow) bool { return f == gone })
	is := func(s string) bool { return s == id }
	node(g, gone.From).Outgoing = slices.DeleteFunc(node(g, gone.From).Outgoing, is)
	node(g, gone.To).Incoming = slices.DeleteFunc(node(g, gone.To).Incoming, is)
}

// drop unbinds a domain event everywhere.
func drop(g *bpmn.Graph, event string) {
	found := false
	for _, n := range g.Nodes {
		before := len(n.Extension.Events)
		n.Extension.Events = slices.DeleteFunc(n.Extension.Events, func(b bpmn.EventBind) bool { return b.Name == event })
		found = found || len(n.Extension.Events) < before
	}
	if !found {
		panic("no event " + event)
	}
}

// redirect lets every flow out of a node lead elsewhere.
func redirect(g *bpmn.Graph, from, to string) {
	for _, f := range g.Flows {
		if f.From == from {
			f.To = to
		}
	}
}

// BenchmarkCheck parses, compiles and checks a process of 200 nodes: the fibre
// process with a chain of tasks put into it.
func BenchmarkCheck(b *testing.B) {
	set := norms(b)
	raw, err := os.ReadFile("../../packs/process/ftth-install.bpmn")
	if err != nil {
		b.Fatal(err)
	}
	d, err := bpmn.Parse(strings.NewReader(string(raw)), bpmn.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	g, err := d.Graph("")
	if err != nil {
		b.Fatal(err)
	}
	edits := []bpmn.Edit{}
	for i := len(g.Nodes); i < 200; i++ {
		id := "extra" + strconv.Itoa(i)
		edits = append(edits, bpmn.Edit{Op: bpmn.InsertNode, Flow: "f-a_stock-m_slot", ID: id, Type: bpmn.UserTask, Name: "核对", Lane: "lane-technician"},
			bpmn.Edit{Op: bpmn.SetStage, ID: id, Value: "delivery"},
			bpmn.Edit{Op: bpmn.SetEvidence, ID: id, Evidence: []bpmn.Evidence{{Kind: "核对记录"}}})
	}
	if _, err := d.Apply("", edits...); err != nil {
		b.Fatal(err)
	}
	text := string(d.Bytes())
	w := places["henan urban"]
	w.At = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		d, err := bpmn.Parse(strings.NewReader(text), bpmn.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		g, err := d.Graph("")
		if err != nil || len(g.Nodes) != 200 {
			b.Fatalf("%d nodes, %v", len(g.Nodes), err)
		}
		m, findings := model.Compile(g, model.Options{})
		if m == nil {
			b.Fatal(findings)
		}
		if more, err := model.Comply(m, set, w); err != nil || len(more)+len(findings) > 0 {
			b.Fatal(findings, more, err)
		}
	}
}
