package model_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/model/modeltest"
)

func compile(t testing.TB, text string) (*model.Model, []model.Finding) {
	t.Helper()
	g, err := modeltest.Graph(text)
	if err != nil {
		t.Fatal(err)
	}
	return model.Compile(g, model.Options{})
}

func TestCompileFinds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                        {"start s\nuser a\nend e\nflow s -> a -> e", []string{}},
		"an id used twice":               {"start s\nend s\nflow s -> s", []string{"ELEMENT_ID_TWICE"}},
		"a flow to nowhere":              {"start s\nend e\nflow s -> e\nflow s -> x", []string{"FLOW_UNCONNECTED"}},
		"a flow into a subprocess":       {"start s\nsub p\nstart t in=p\nend f in=p\nend e\nflow s -> p -> e\nflow t -> f\nflow s -> f", []string{"FLOW_CROSSES_SUBPROCESS"}},
		"no start":                       {"user a\nend e\nflow a -> e", []string{"START_MISSING"}},
		"no end":                         {"start s\nuser a\nflow s -> a", []string{"DEAD_END", "END_MISSING"}},
		"two plain starts":               {"start s\nstart t\nend e\nflow s -> e\nflow t -> e", []string{"START_NOT_ONE"}},
		"an unreachable node":            {"start s\nuser a\nuser b\nend e\nflow s -> a -> e\nflow b -> e", []string{"NODE_UNREACHABLE"}},
		"a dead end":                     {"start s\nand g\nuser a\nend e\nflow s -> g -> a\nflow g -> e", []string{"DEAD_END"}},
		"a flow out of an end":           {"start s\nuser a\nend e\nend f\nflow s -> e -> a -> f", []string{"END_WITH_OUTGOING_FLOW"}},
		"a flow into a start":            {"start s\nxor x\nend e\nvar b bool\nflow s -> x -> e when b\nflow s -> x\nflow x -> e default\nflow x -> s when b", []string{"FLOW_CONDITION_IGNORED", "START_WITH_INCOMING_FLOW"}},
		"a choice without condition":     {"start s\nxor g\nend e\nend f\nflow s -> g -> e\nflow g -> f default", []string{"FLOW_WITHOUT_CONDITION"}},
		"a condition at a parallel":      {"var b bool\nstart s\nand g\nend e\nend f\nflow s -> g\nflow g -> e when b\nflow g -> f", []string{"FLOW_CONDITION_IGNORED"}},
		"a condition that is no CEL":     {"start s\nxor g\nend e\nend f\nflow s -> g\nflow g -> e when a b\nflow g -> f default", []string{"EXPR_SYNTAX"}},
		"a condition of undeclared":      {"start s\nxor g\nend e\nend f\nflow s -> g\nflow g -> e when x > 1\nflow g -> f default", []string{"EXPR_UNDECLARED"}},
		"a condition of another type":    {"var n int\nstart s\nxor g\nend e\nend f\nflow s -> g\nflow g -> e when n\nflow g -> f default", []string{"EXPR_TYPE"}},
		"an unknown type":                {"var n money\nstart s\nend e\nflow s -> e", []string{"VARIABLE_TYPE_UNKNOWN"}},
		"a variable twice":               {"var n int\nvar n int\nstart s\nend e\nflow s -> e", []string{"VARIABLE_TWICE"}},
		"a default of another type":      {"var n int default=\"'x'\"\nstart s\nend e\nflow s -> e", []string{"EXPR_TYPE"}},
		"a form of undeclared":           {"start s\nuser a field=x\nend e\nflow s -> a -> e", []string{"VARIABLE_UNDECLARED"}},
		"a result of undeclared":         {"start s\ncatch m message=x result=y\nend e\nflow s -> m -> e", []string{"VARIABLE_UNDECLARED"}},
		"a boundary on nothing":          {"start s\nuser a\nboundary b on=x duration=PT1H\nend e\nflow s -> a -> e\nflow b -> e", []string{"BOUNDARY_UNATTACHED"}},
		"a boundary on a gateway":        {"start s\nand a\nboundary b on=a duration=PT1H\nend e\nflow s -> a -> e\nflow b -> e", []string{"BOUNDARY_UNATTACHED"}},
		"a timer without time":           {"start s\ncatch t duration=soon\nend e\nflow s -> t -> e", []string{"EXPR_DURATION"}},
		"a date without zone":            {"start s\ncatch t date=2026-03-04T00:00:00\nend e\nflow s -> t -> e", []string{"TIMER_DATE"}},
		"two definitions of a timer":     {"start s\ncatch t duration=PT1H date=2026-03-04T00:00:00Z\nend e\nflow s -> t -> e", []string{"TIMER_AMBIGUOUS"}},
		"a complex gateway":              {"start s\ncomplex g\nend e\nflow s -> g -> e", []string{"NODE_NOT_EXECUTABLE"}},
		"a compensation of nothing":      {"start s\nthrow c compensate=x\nend e\nflow s -> c -> e", []string{"COMPENSATION_ACTIVITY_UNKNOWN"}},
		"one of what nothing undoes":     {"start s\nuser a\nthrow c compensate=a\nend e\nflow s -> a -> c -> e", []string{"COMPENSATION_ACTIVITY_UNKNOWN"}},
		"one of another scope":           {"start s\nuser a\nboundary u on=a compensate handler=h\nuser h undoes\nsub p\nstart ps in=p\nend pe compensate=a in=p\nflow ps -> pe\nend e\nflow s -> a -> p -> e", []string{"COMPENSATION_ACTIVITY_UNKNOWN"}},
		"a handler that is missing":      {"start s\nuser a\nboundary u on=a compensate\nend e\nflow s -> a -> e", []string{"COMPENSATION_HANDLER_MISSING"}},
		"a handler that is loose":        {"start s\nuser a\nuser h undoes\nend e\nflow s -> a -> e", []string{"COMPENSATION_HANDLER_LOOSE"}},
		"a handler on the flow":          {"start s\nuser a\nboundary u on=a compensate handler=h\nuser h undoes\nend e\nflow s -> a -> h -> e", []string{"COMPENSATION_HANDLER_LOOSE"}},
		"two handlers":                   {"start s\nuser a\nboundary u on=a compensate handler=h\nuser h undoes\nboundary v on=a compensate handler=i\nuser i undoes\nend e\nflow s -> a -> e", []string{"COMPENSATION_TWICE"}},
		"handler and event subprocess":   {"start s\nsub p\nstart ps in=p\nend pe in=p\neventsub q in=p\nstart qs in=q compensate\nend qe in=q\nflow qs -> qe\nflow ps -> pe\nboundary u on=p compensate handler=h\nuser h undoes\nend e\nflow s -> p -> e", []string{"COMPENSATION_TWICE"}},
		"compensation of the process":    {"start s\nend e\nflow s -> e\neventsub q\nstart qs in=q compensate\nend qe in=q\nflow qs -> qe", []string{"NODE_NOT_EXECUTABLE"}},
		"cancel outside a transaction":   {"start s\nend e cancel\nflow s -> e", []string{"NODE_NOT_EXECUTABLE"}},
		"cancel that leads nowhere":      {"start s\ntransaction p\nstart ps in=p\nend pe cancel in=p\nflow ps -> pe\nend e\nflow s -> p -> e", []string{"NODE_NOT_EXECUTABLE"}},
		"a condition of no bool":         {"var n int\nstart s\ncatch c condition=n\nend e\nflow s -> c -> e", []string{"EXPR_TYPE"}},
		"an event without condition":     {"start s\ncatch c condition=\nend e\nflow s -> c -> e", []string{"CONDITION_MISSING"}},
		"a start of the process by data": {"var n int\nstart s condition=\"n > 1\"\nend e\nflow s -> e", []string{"NODE_NOT_EXECUTABLE"}},
		"a link without target":          {"start s\nuser a\nthrow l link=x\nend e\nflow s -> a -> e\nflow a -> l", []string{"LINK_WITHOUT_TARGET"}},
		"a task behind an event gateway": {"start s\nevent g\nuser a\ncatch m message=x\nend e\nflow s -> g -> a -> e\nflow g -> m -> e", []string{"EVENT_GATEWAY_TARGET"}},
		"a script without text":          {"start s\nscript a\nend e\nflow s -> a -> e", []string{"SCRIPT_MISSING"}},
		"a call of nothing":              {"start s\ncall a\nend e\nflow s -> a -> e", []string{"CALLED_PROCESS_MISSING"}},
		"a receive task without message": {"start s\nreceive a\nend e\nflow s -> a -> e", []string{"EVENT_NAME_MISSING"}},
		"instances without count":        {"var x list(int)\nstart s\nuser a each=x times=2\nend e\nflow s -> a -> e", []string{"LOOP_WITHOUT_COUNT"}},
		"a message start inside":         {"start s\nsub p\nstart t in=p message=x\nend f in=p\nend e\nflow s -> p -> e\nflow t -> f", []string{"START_WITH_EVENT"}},
		"an event subprocess by nothing": {"start s\nend e\nflow s -> e\neventsub h\nstart t in=h\nend f in=h\nflow t -> f", []string{"START_WITHOUT_EVENT"}},
		"nodes in what is no subprocess": {"start s\nuser a\nuser b in=a\nend e\nflow s -> a -> e", []string{"ELEMENT_PARENT_UNKNOWN"}},
		"a table with no policy":         {"var n int\nstart s\nrule a\ntable a any n -> n\nrow a 1 -> 2\nend e\nflow s -> a -> e", []string{"DECISION_MALFORMED"}},
		"a table without rules":          {"var n int\nstart s\nrule a\ntable a first n -> n\nend e\nflow s -> a -> e", []string{"DECISION_MALFORMED"}},
		"a rule that lacks a cell":       {"var n int\nstart s\nrule a\ntable a first n n -> n\nrow a 1 -> 2\nend e\nflow s -> a -> e", []string{"DECISION_MALFORMED"}},
		"a rule that lacks a value":      {"var n int\nstart s\nrule a\ntable a first n -> n\nrow a 1 -> \"\"\nend e\nflow s -> a -> e", []string{"DECISION_MALFORMED"}},
		"a table at a script":            {"var n int\nstart s\nscript a script=1\ntable a first n -> n\nrow a 1 -> 2\nend e\nflow s -> a -> e", []string{"DECISION_MALFORMED"}},
		"a collection of no list":        {"var n int\nstart s\nrule a\ntable a collect n -> n\nrow a 1 -> 2\nend e\nflow s -> a -> e", []string{"DECISION_MALFORMED"}},
		"a table for undeclared":         {"var n int\nstart s\nrule a\ntable a first n -> x\nrow a 1 -> 2\nend e\nflow s -> a -> e", []string{"VARIABLE_UNDECLARED"}},
		"a cell of another type":         {"var n int\nstart s\nrule a\ntable a first n -> n\nrow a 'x' -> 2\nend e\nflow s -> a -> e", []string{"EXPR_TYPE"}},
		"a value of another type":        {"var n int\nstart s\nrule a\ntable a first n -> n\nrow a 1 -> 'x'\nend e\nflow s -> a -> e", []string{"EXPR_TYPE"}},
		"a guard of no node":             {"start s\nend e\nflow s -> e\nguard id=r node=x on=complete result=block cel=true", []string{"RULE_NODE_UNKNOWN"}},
		"a guard at no moment":           {"start s\nend e\nflow s -> e\nguard id=r node=e on=never result=block cel=true", []string{"RULE_MALFORMED"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, findings := compile(t, tc.text)
			if diff := cmp.Diff(tc.want, codes(findings)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if (m == nil) != (len(model.Errors(findings)) > 0) {
				t.Errorf("%s: model %v with findings %v", name, m != nil, findings)
			}
			for _, f := range findings {
				if e := f.Fault(); e.Kind != fault.Precondition || e.Code != f.Code || len(f.Elements) == 0 {
					t.Errorf("Fault() = %v of %v", e, f)
				}
			}
		})
	}
}

const form = `var a.n int
var a.s string enum=x,y zh=词 en=word
var t timestamp input required
var l list(string) enum=p,q
start s
user u field=a.s:required,t:readonly,a.n,l
end e
flow s -> u -> e
guard id=r1 node=u on=complete result=block cel=has(a.n)`

func TestFormSchema(t *testing.T) {
	t.Parallel()
	m, findings := compile(t, form)
	if m == nil {
		t.Fatal(findings)
	}
	i, _ := m.Node("u")
	schema, order := m.FormSchema(i)
	want := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false, "required": []any{"a.s"},
		"properties": map[string]any{
			"a.s": map[string]any{"type": "string", "enum": []any{"x", "y"}, "title": "词", "titleEn": "word"},
			"t":   map[string]any{"type": "string", "format": "date-time", "readOnly": true},
			"a.n": map[string]any{"type": "integer"},
			"l":   map[string]any{"type": "array", "items": map[string]any{"type": "string", "enum": []any{"p", "q"}}},
		},
	}
	if diff := cmp.Diff(want, schema); diff != "" {
		t.Errorf("FormSchema: %s", diff)
	}
	if !slices.Equal(order, []string{"a.s", "t", "a.n", "l"}) {
		t.Errorf("FormSchema order = %v", order)
	}
	if rules := m.Rules(i, "complete"); len(rules) != 1 || rules[0].ID != "r1" || len(m.Rules(i, "claim")) != 0 {
		t.Errorf("Rules = %v", rules)
	}
	if in := m.Inputs(); len(in) != 1 || in[0].Name != "t" || !in[0].Required {
		t.Errorf("Inputs = %v", in)
	}
}

func TestCheckVariables(t *testing.T) {
	t.Parallel()
	m, _ := compile(t, form)
	for _, tc := range []struct {
		name string
		in   map[string]any
		only string // the one name allowed, "" for all
		want map[string]any
		code string
		path string
	}{
		{"dotted", map[string]any{"a.n": 3.0}, "", map[string]any{"a": map[string]any{"n": int64(3)}}, "", ""},
		{"nested", map[string]any{"a": map[string]any{"n": 3.0, "s": "x"}}, "", map[string]any{"a": map[string]any{"n": int64(3), "s": "x"}}, "", ""},
		{"both", map[string]any{"a": map[string]any{"n": 3.0}, "a.s": "y"}, "", map[string]any{"a": map[string]any{"n": int64(3), "s": "y"}}, "", ""},
		{"null", map[string]any{"t": nil}, "", map[string]any{"t": nil}, "", ""},
		{"undeclared", map[string]any{"b": 1}, "", nil, "VARIABLE_UNDECLARED", "b"},
		{"undeclared field", map[string]any{"a": map[string]any{"x": 1}}, "", nil, "VARIABLE_UNDECLARED", "a.x"},
		{"a value for a namespace", map[string]any{"a": 1}, "", nil, "VARIABLE_UNDECLARED", "a"},
		{"the wrong type", map[string]any{"a": map[string]any{"n": "3"}}, "", nil, "VARIABLE_TYPE", "a.n"},
		{"a word not allowed", map[string]any{"a.s": "z"}, "", nil, "VARIABLE_ENUM", "a.s"},
		{"a name not allowed here", map[string]any{"a.s": "x", "a.n": 1}, "a.s", nil, "VARIABLE_NOT_ALLOWED", "a.n"},
	} {
		var allowed func(string) bool
		if tc.only != "" {
			allowed = func(name string) bool { return name == tc.only }
		}
		got, err := m.CheckVariables(tc.in, allowed)
		if diff := cmp.Diff(tc.want, got); diff != "" || fault.CodeOf(err) != tc.code {
			t.Errorf("%s: CheckVariables = %v, %v, want %v %s", tc.name, got, err, tc.want, tc.code)
			continue
		}
		if err != nil && !slices.Equal(fault.From(err).Path, []string{tc.path}) {
			t.Errorf("%s: path %v, want %s", tc.name, fault.From(err).Path, tc.path)
		}
	}
	if _, err := m.CheckVariables(map[string]any{"x": 1, "y": 2}, nil); len(fault.From(err).Items) != 1 {
		t.Errorf("CheckVariables keeps one of two faults: %v", err)
	}
}

func TestBackReason(t *testing.T) {
	t.Parallel()
	m, findings := compile(t, "var b bool input\nstart s stage=demand\nxor m stage=demand\nuser a stage=delivery\nxor x stage=delivery\nend e stage=delivery\nflow s -> m -> a -> x\nflow x -> m when b\nflow x -> e default")
	if m == nil {
		t.Fatal(findings)
	}
	at, _ := m.Node("m")
	if got := m.BackReason(at); got != "" {
		t.Errorf("BackReason() by a flow without a name = %q, want none", got)
	}
	for i := range m.Flows {
		if f := &m.Flows[i]; m.Nodes[f.From].ID == "x" && f.To == at {
			f.Name = "资料不全"
		}
	}
	if got := m.BackReason(at); got != "资料不全" {
		t.Errorf("BackReason() = %q, want the name of the flow", got)
	}
}

func TestRolesAndStagesAreInherited(t *testing.T) {
	t.Parallel()
	m, findings := compile(t, "start s\nsub p stage=delivery\nstart t in=p\nuser a in=p role=crew\nend f in=p\nend e\nflow s -> p -> e\nflow t -> a -> f")
	if m == nil {
		t.Fatal(findings)
	}
	i, _ := m.Node("a")
	if n := m.Nodes[i]; n.Stage != "delivery" || n.Role != "crew" || !n.Human || n.Service {
		t.Errorf("node a = stage %q, role %q, human %v, service %v", n.Stage, n.Role, n.Human, n.Service)
	}
}

func TestDecisionIsStrictJSON(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]string{
		"no JSON":          `{`,
		"an unknown field": `{"hit":"first","inputs":[],"outputs":["n"],"rules":[{"when":[],"then":["1"]}],"else":1}`,
		"text behind":      `{"hit":"first","inputs":[],"outputs":["n"],"rules":[{"when":[],"then":["1"]}]} x`,
	} {
		g, err := modeltest.Graph("var n int\nstart s\nrule a\nend e\nflow s -> a -> e")
		if err != nil {
			t.Fatal(err)
		}
		g.Nodes[1].Extension.Decision = table
		if _, findings := model.Compile(g, model.Options{}); !slices.Equal(codes(findings), []string{"DECISION_MALFORMED"}) {
			t.Errorf("%s: Compile = %v, want DECISION_MALFORMED", name, findings)
		}
	}
}
