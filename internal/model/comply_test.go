package model_test

import (
	"os"
	"path/filepath"
	"regexp"
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

// mutations break the shipped fibre process in one way each; want is the one code
// that is then found, "" for none.
var mutations = []struct {
	name   string
	change func(g *bpmn.Graph)
	want   string
}{
	{"unchanged", func(*bpmn.Graph) {}, ""},

	{"two flows of one id", func(g *bpmn.Graph) { flow(g, "f-a_line-a_visit").ID = "f-a_reg-a_res" }, "ELEMENT_ID_TWICE"},
	{"a node without an id", func(g *bpmn.Graph) { insert(g, "f-a_line-a_visit", &bpmn.Node{Type: bpmn.ServiceTask}) }, "ELEMENT_ID_TWICE"},
	{"a node in a subprocess that is not there", func(g *bpmn.Graph) { node(g, "a_line").Parent = "nowhere" }, "ELEMENT_PARENT_UNKNOWN"},
	{"a node in a task", func(g *bpmn.Graph) { node(g, "a_line").Parent = "a_visit" }, "ELEMENT_PARENT_UNKNOWN"},
	{"subprocesses in a circle", func(g *bpmn.Graph) {
		add(g, &bpmn.Node{ID: "sub1", Type: bpmn.SubProcess, Parent: "sub2"}, &bpmn.Node{ID: "sub2", Type: bpmn.SubProcess, Parent: "sub1"})
	}, "ELEMENT_PARENT_UNKNOWN"},
	{"a flow to nowhere", func(g *bpmn.Graph) { flow(g, "f-a_line-a_visit").To = "nowhere" }, "FLOW_UNCONNECTED"},
	{"a flow out of a subprocess", func(g *bpmn.Graph) {
		inside(g, "f-a_line-a_visit")
		join(g, "in_task", "a_accept")
	}, "FLOW_CROSSES_SUBPROCESS"},
	{"a choice without a way for the rest", func(g *bpmn.Graph) { node(g, "g_visit").Default = "" }, "FLOW_WITHOUT_CONDITION"},
	{"conditions at a parallel gateway", func(g *bpmn.Graph) { node(g, "g_score").Type = bpmn.ParallelGateway }, "FLOW_CONDITION_IGNORED"},
	{"a default flow that does not leave the node", func(g *bpmn.Graph) { node(g, "a_visit").Default = "f-a_line-a_visit" }, "DEFAULT_FLOW_UNKNOWN"},
	{"a default flow with a condition", func(g *bpmn.Graph) {
		flow(g, "f-g_visit-a_line").Condition = "visit.result == 'line_fault'"
	}, "DEFAULT_FLOW_WITH_CONDITION"},
	{"a choice with conditions only", func(g *bpmn.Graph) {
		node(g, "g_visit").Default, flow(g, "f-g_visit-a_line").Condition = "", "visit.result == 'line_fault'"
	}, "GATEWAY_WITHOUT_DEFAULT"},
	{"a parallel gateway with nothing beside", func(g *bpmn.Graph) {
		insert(g, "f-a_line-a_visit", &bpmn.Node{ID: "p", Type: bpmn.ParallelGateway})
	}, "GATEWAY_WITHOUT_EFFECT"},
	{"a task after an event gateway", func(g *bpmn.Graph) {
		insert(g, "f-a_line-a_visit", &bpmn.Node{ID: "w", Type: bpmn.EventBasedGateway})
	}, "EVENT_GATEWAY_TARGET"},
	{"a message without a name", func(g *bpmn.Graph) { node(g, "m_sign").Event.Name = "" }, "EVENT_NAME_MISSING"},
	{"a boundary event on nothing", func(g *bpmn.Graph) { node(g, "m_resp_timeout").AttachedTo = "" }, "BOUNDARY_UNATTACHED"},
	{"a link to nowhere", func(g *bpmn.Graph) {
		n := node(g, "e_nores")
		n.Type, n.Event = bpmn.IntermediateThrowEvent, &bpmn.Event{Kind: bpmn.LinkEvent, Name: "elsewhere"}
	}, "LINK_WITHOUT_TARGET"},
	{"a compensation without a handler", func(g *bpmn.Graph) {
		add(g, &bpmn.Node{ID: "undo", Type: bpmn.BoundaryEvent, AttachedTo: "a_visit", Event: &bpmn.Event{Kind: bpmn.CompensateEvent}})
	}, "COMPENSATION_HANDLER_MISSING"},
	{"a handler without a compensation", func(g *bpmn.Graph) {
		add(g, &bpmn.Node{ID: "h", Type: bpmn.Task, ForCompensation: true})
	}, "COMPENSATION_HANDLER_LOOSE"},
	{"two compensations of one activity", func(g *bpmn.Graph) {
		for _, id := range []string{"1", "2"} {
			add(g, &bpmn.Node{ID: "h" + id, Type: bpmn.Task, ForCompensation: true},
				&bpmn.Node{ID: "undo" + id, Type: bpmn.BoundaryEvent, AttachedTo: "a_visit", Handler: "h" + id, Event: &bpmn.Event{Kind: bpmn.CompensateEvent}})
		}
	}, "COMPENSATION_TWICE"},
	{"a compensation of what nothing undoes", func(g *bpmn.Graph) {
		node(g, "e_nores").Event = &bpmn.Event{Kind: bpmn.CompensateEvent, Name: "a_visit"}
	}, "COMPENSATION_ACTIVITY_UNKNOWN"},
	{"a start by time that cannot give the input", func(g *bpmn.Graph) {
		node(g, "s").Event = &bpmn.Event{Kind: bpmn.TimerEvent, Duration: "PT1H"}
	}, "START_INPUT_REQUIRED"},
	{"an element that cannot run", func(g *bpmn.Graph) { node(g, "g_visit").Type = bpmn.ComplexGateway }, "NODE_NOT_EXECUTABLE"},
	{"a start that only an event subprocess has", func(g *bpmn.Graph) {
		add(g, &bpmn.Node{ID: "s2", Type: bpmn.StartEvent, Event: &bpmn.Event{Kind: bpmn.ErrorEvent, Code: "x"}})
		join(g, "s2", "g_ch")
	}, "NODE_NOT_EXECUTABLE"},
	{"the monitoring never ends", func(g *bpmn.Graph) {
		redirect(g, "t_24", "a_accept")
		redirect(g, "a_accept", "t_24")
	}, "NODE_UNREACHABLE"},
	{"a task nothing leads away from", func(g *bpmn.Graph) { cut(g, "f-a_repair-e_done") }, "DEAD_END"},
	{"a subprocess without end", func(g *bpmn.Graph) {
		inside(g, "f-a_line-a_visit")
		node(g, "in_end").Type = bpmn.ServiceTask
		join(g, "in_end", "in_task")
	}, "END_MISSING"},
	{"an end that goes on", func(g *bpmn.Graph) { join(g, "e_done", "a_repair") }, "END_WITH_OUTGOING_FLOW"},
	{"no start", func(g *bpmn.Graph) { node(g, "s").Type = bpmn.IntermediateThrowEvent }, "START_MISSING"},
	{"two starts", func(g *bpmn.Graph) {
		add(g, &bpmn.Node{ID: "s2", Type: bpmn.StartEvent})
		join(g, "s2", "g_ch")
	}, "START_NOT_ONE"},
	{"two starts of a subprocess", func(g *bpmn.Graph) {
		inside(g, "f-a_line-a_visit")
		add(g, &bpmn.Node{ID: "s2", Type: bpmn.StartEvent, Parent: "in"})
		join(g, "s2", "in_task")
	}, "START_NOT_ONE"},
	{"an event subprocess without event", func(g *bpmn.Graph) {
		add(g, &bpmn.Node{ID: "sub", Type: bpmn.SubProcess, TriggeredByEvent: true}, &bpmn.Node{ID: "s2", Type: bpmn.StartEvent, Parent: "sub"},
			&bpmn.Node{ID: "e2", Type: bpmn.EndEvent, Parent: "sub"})
		join(g, "s2", "e2")
	}, "START_WITHOUT_EVENT"},
	{"a subprocess that begins with a timer", func(g *bpmn.Graph) {
		inside(g, "f-a_line-a_visit")
		node(g, "in_start").Event = &bpmn.Event{Kind: bpmn.TimerEvent, Duration: "PT1H"}
	}, "START_WITH_EVENT"},
	{"a flow back to the start", func(g *bpmn.Graph) { join(g, "a_line", "s") }, "START_WITH_INCOMING_FLOW"},
	{"a call of nothing", func(g *bpmn.Graph) { node(g, "a_survey").Type = bpmn.CallActivity }, "CALLED_PROCESS_MISSING"},
	{"a script without text", func(g *bpmn.Graph) { node(g, "a_survey").Type = bpmn.ScriptTask }, "SCRIPT_MISSING"},
	{"a timer without a time", func(g *bpmn.Graph) { node(g, "t_24").Event.Duration = "" }, "TIMER_MISSING"},
	{"a timer with two times", func(g *bpmn.Graph) { node(g, "t_24").Event.Date = "2026-03-04T00:00:00+08:00" }, "TIMER_AMBIGUOUS"},
	{"a timer at no instant", func(g *bpmn.Graph) {
		e := node(g, "t_24").Event
		e.Duration, e.Date = "", "2026-03-04"
	}, "TIMER_DATE"},
	{"a timer that is no duration", func(g *bpmn.Graph) { node(g, "t_24").Event.Duration = "a day" }, "EXPR_DURATION"},
	{"a wait for no condition", func(g *bpmn.Graph) { node(g, "t_24").Event = &bpmn.Event{Kind: bpmn.ConditionalEvent} }, "CONDITION_MISSING"},
	{"instances without number", func(g *bpmn.Graph) { node(g, "a_line").Loop = &bpmn.Loop{MultiInstance: true} }, "LOOP_WITHOUT_COUNT"},
	{"a loop without end", func(g *bpmn.Graph) { node(g, "a_line").Loop = &bpmn.Loop{} }, "LOOP_WITHOUT_END"},
	{"a decision that is no table", func(g *bpmn.Graph) {
		n := node(g, "a_survey")
		n.Type, n.Extension.Decision = bpmn.BusinessRuleTask, `{"hit": "best"}`
	}, "DECISION_MALFORMED"},

	{"a condition on an undeclared variable", func(g *bpmn.Graph) { flow(g, "f-g_sign-g_build").Condition = "contract.sealed" }, "EXPR_UNDECLARED"},
	{"a condition that is no truth value", func(g *bpmn.Graph) { flow(g, "f-g_act-a_accept").Condition = "test.downMbps" }, "EXPR_TYPE"},
	{"a condition that does not parse", func(g *bpmn.Graph) { flow(g, "f-g_act-a_accept").Condition = "test.downMbps >=" }, "EXPR_SYNTAX"},
	{"a variable whose name is none", func(g *bpmn.Graph) { declare(g, bpmn.Variable{Name: "case.2nd plan", Type: "int"}) }, "VARIABLE_NAME"},
	{"a variable of no type", func(g *bpmn.Graph) { declare(g, bpmn.Variable{Name: "case.note", Type: "text"}) }, "VARIABLE_TYPE_UNKNOWN"},
	{"a variable declared twice", func(g *bpmn.Graph) { declare(g, bpmn.Variable{Name: "case.plan", Type: "string"}) }, "VARIABLE_TWICE"},
	{"a default that is not allowed", func(g *bpmn.Graph) {
		declare(g, bpmn.Variable{Name: "case.tone", Type: "string", Enum: []string{"kind", "firm"}, Default: "'rude'"})
	}, "VARIABLE_ENUM"},
	{"a form field that is not declared", func(g *bpmn.Graph) { ask(g, "a_visit", "visit.mood") }, "VARIABLE_UNDECLARED"},
	{"a form that asks twice", func(g *bpmn.Graph) { ask(g, "a_visit", "visit.result") }, "FORM_FIELD_TWICE"},
	{"the plan's rate is not asked at the start", func(g *bpmn.Graph) {
		for i := range g.Extension.Variables {
			if v := &g.Extension.Variables[i]; v.Name == "case.planMbps" {
				v.Input, v.Required = false, false
			}
		}
	}, "VARIABLE_READ_BEFORE_WRITE"},
	{"the speed is measured after it is asked for", func(g *bpmn.Graph) {
		n := node(g, "a_act")
		n.Extension.Fields = nil
		node(g, "a_accept").Extension.Fields = []bpmn.Field{{Variable: "test.downMbps"}}
	}, "VARIABLE_READ_BEFORE_WRITE"},
	{"the speed is measured by nobody", func(g *bpmn.Graph) { node(g, "a_act").Extension.Fields = nil }, "VARIABLE_READ_BEFORE_WRITE"},

	{"a rule at no node", func(g *bpmn.Graph) {
		g.Extension.Rules = append(g.Extension.Rules, bpmn.GuardRule{ID: "r", Node: "nowhere", On: "complete", Result: "block", CEL: "true"})
	}, "RULE_NODE_UNKNOWN"},
	{"a rule without a result", func(g *bpmn.Graph) {
		g.Extension.Rules = append(g.Extension.Rules, bpmn.GuardRule{ID: "r", Node: "a_visit", On: "complete", CEL: "true"})
	}, "RULE_MALFORMED"},
	{"no evidence and no form", func(g *bpmn.Graph) {
		n := node(g, "a_disp")
		n.Extension.Evidence, n.Extension.Fields = nil, nil
	}, "TASK_WITHOUT_TRACE"},
	{"a role nobody has", func(g *bpmn.Graph) { node(g, "a_line").Extension.Role = "astronaut" }, "TASK_ROLE_UNKNOWN"},
	{"no role", func(g *bpmn.Graph) {
		node(g, "a_line").Extension.Role, node(g, "a_line").Lane = "", ""
	}, "TASK_WITHOUT_ROLE"},
	{"no stage", func(g *bpmn.Graph) { node(g, "a_line").Extension.Stage = "" }, "TASK_WITHOUT_STAGE"},
	{"back a stage for no reason", func(g *bpmn.Graph) {
		node(g, "a_repair").Extension.Stage = "followup"
		node(g, "g_score").Extension.Stage = "satisfaction"
		flow(g, "f-g_score-a_repair").Name = ""
	}, "STAGE_BACK_WITHOUT_REASON"},

	{"nobody to escalate to", func(g *bpmn.Graph) { follow(g, bpmn.BreachAction{ID: "b", Do: "escalate"}) }, "BREACH_ACTION_MALFORMED"},
	{"a breach that opens nothing", func(g *bpmn.Graph) { follow(g, bpmn.BreachAction{ID: "b", Do: "open", Role: "agent"}) }, "BREACH_ACTION_MALFORMED"},
	{"escalated to a role nobody has", func(g *bpmn.Graph) { follow(g, bpmn.BreachAction{ID: "b", Do: "escalate", Role: "astronaut"}) }, "BREACH_ROLE_UNKNOWN"},
	{"a breach of what does not bind", func(g *bpmn.Graph) {
		follow(g, bpmn.BreachAction{ID: "b", Indicator: "NO-SUCH", Do: "escalate", Role: "agent"})
	}, "BREACH_INDICATOR_UNKNOWN"},
	{"no event is bound", func(g *bpmn.Graph) {
		for _, n := range g.Nodes {
			n.Extension.Events = nil
		}
	}, "PROCESS_NOT_ASSESSABLE"},
	{"the stop event is gone", func(g *bpmn.Graph) { drop(g, "service.activated") }, "CLOCK_NEVER_STOPS"},
	{"a wait longer than the limit", func(g *bpmn.Graph) {
		insert(g, "f-a_act-g_act", &bpmn.Node{ID: "w", Type: bpmn.IntermediateCatchEvent, Event: &bpmn.Event{Kind: bpmn.TimerEvent, Duration: "P60D"}})
		bound := node(g, "a_act").Extension.Events
		node(g, "a_act").Extension.Events = nil
		node(g, "a_accept").Extension.Events = append(node(g, "a_accept").Extension.Events, bound...)
	}, "PATH_LONGER_THAN_LIMIT"},

	{"two ways into a parallel join", func(g *bpmn.Graph) {
		insert(g, "f-a_reg-a_res", &bpmn.Node{ID: "p", Type: bpmn.ParallelGateway})
		node(g, "p").Extension.Stage = "demand"
		flow(g, "f-a_reg_auto-a_res").To = "p"
	}, "SOUND_DEADLOCK"},
	{"both ways at once", func(g *bpmn.Graph) {
		n := node(g, "g_ch")
		n.Type, n.Default = bpmn.ParallelGateway, ""
		flow(g, "f-g_ch-a_reg_auto").Condition = ""
	}, "SOUND_LACK_OF_SYNCHRONISATION"},
	{"care without end", func(g *bpmn.Graph) { redirect(g, "a_care", "a_care") }, "SOUND_NO_COMPLETION"},
	{"any of too many ways", func(g *bpmn.Graph) {
		insert(g, "f-a_line-a_visit", &bpmn.Node{ID: "split", Type: bpmn.InclusiveGateway})
		insert(g, "split-a_visit", &bpmn.Node{ID: "merge", Type: bpmn.InclusiveGateway})
		node(g, "split").Default = "split-a_visit"
		for i := range 20 {
			way := "way" + strconv.Itoa(i)
			add(g, &bpmn.Node{ID: way, Type: bpmn.ServiceTask, Extension: bpmn.NodeExtension{Stage: "delivery"}})
			join(g, "split", way).Condition = "case.planMbps > " + strconv.Itoa(i) + ".0"
			join(g, way, "merge")
		}
	}, "SOUND_UNDECIDED"},
}

// TestMutations breaks a shipped process in one way and wants exactly that finding,
// notes included.
func TestMutations(t *testing.T) {
	t.Parallel()
	set := norms(t)
	for _, tc := range mutations {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := shipped(t)["ftth-install"]
			tc.change(g)
			m, findings := model.Compile(g, model.Options{})
			if m != nil {
				w := places["henan urban"]
				w.At, w.KnownRole = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), func(role string) bool { return role != "astronaut" }
				more, err := model.Comply(m, set, w)
				if err != nil {
					t.Fatal(err)
				}
				findings = append(findings, more...)
			}
			got := map[string]bool{}
			for _, f := range findings {
				got[f.Code] = true
			}
			if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !got[tc.want]) {
				t.Errorf("%s: findings %v, want exactly %q", tc.name, findings, tc.want)
			}
		})
	}
}

// TestEveryCheckHasMutation: a check that no change of a shipped process shows
// does not exist.
func TestEveryCheckHasMutation(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{
		"MAPPING_COMPENSATION_LOST": true, // no edit makes a compensation: TestMappingLosesCompensation
		"PROTECTED_STEP":            true, // of two versions: TestProtectedSteps
	}
	for _, tc := range mutations {
		shown[tc.want] = true
	}
	for _, tc := range mappings() {
		for _, code := range tc.want {
			shown[code] = true
		}
	}
	text, err := os.ReadFile("../fault/texts/model.yaml")
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`(?m)^[A-Z_]+`).FindAllString(string(text), -1)
	if len(known) < 40 {
		t.Fatalf("model.yaml has %d codes, want all", len(known))
	}
	for _, code := range known {
		if !shown[code] {
			t.Errorf("no mutation shows %s", code)
		}
	}
}

// add puts nodes into the process.
func add(g *bpmn.Graph, nodes ...*bpmn.Node) { g.Nodes = append(g.Nodes, nodes...) }

// join puts a flow between two nodes.
func join(g *bpmn.Graph, from, to string) *bpmn.Flow {
	f := &bpmn.Flow{ID: from + "-" + to, From: from, To: to}
	g.Flows = append(g.Flows, f)
	node(g, from).Outgoing = append(node(g, from).Outgoing, f.ID)
	node(g, to).Incoming = append(node(g, to).Incoming, f.ID)
	return f
}

// insert puts a node into a flow.
func insert(g *bpmn.Graph, into string, n *bpmn.Node) {
	n.Extension.Stage = "delivery"
	add(g, n)
	f := flow(g, into)
	to := f.To
	f.To = n.ID
	join(g, n.ID, to)
}

// inside puts a subprocess with one service task into a flow.
func inside(g *bpmn.Graph, into string) {
	insert(g, into, &bpmn.Node{ID: "in", Type: bpmn.SubProcess})
	add(g, &bpmn.Node{ID: "in_start", Type: bpmn.StartEvent, Parent: "in"}, &bpmn.Node{ID: "in_task", Type: bpmn.ServiceTask, Parent: "in"},
		&bpmn.Node{ID: "in_end", Type: bpmn.EndEvent, Parent: "in"})
	join(g, "in_start", "in_task")
	join(g, "in_task", "in_end")
}

// declare adds a variable.
func declare(g *bpmn.Graph, v bpmn.Variable) {
	g.Extension.Variables = append(g.Extension.Variables, v)
}

// follow adds what is to follow a breach.
func follow(g *bpmn.Graph, b bpmn.BreachAction) {
	g.Extension.Breaches = append(g.Extension.Breaches, b)
}

// ask adds a field to a form.
func ask(g *bpmn.Graph, id, variable string) {
	n := node(g, id)
	n.Extension.Fields = append(n.Extension.Fields, bpmn.Field{Variable: variable})
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
