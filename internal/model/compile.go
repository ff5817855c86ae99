package model

import (
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
)

// Compile checks a process and makes it ready to run. The model is nil when a
// finding is an error that leaves nothing to run: names that do not resolve,
// expressions that do not compile, elements that are not executable, a structure
// that cannot be played. An unsound process does run, so that it has a model and
// an error. Cost: linear in nodes, flows and text, besides Sound.
func Compile(g *bpmn.Graph, o Options) (*Model, []Finding) {
	c := &compiler{g: g, m: &Model{
		Key: g.Extension.Key, Name: g.Name, NameEn: g.Extension.NameEn, Service: g.Extension.ServiceType,
		Calendar: g.Extension.Calendars, nodes: map[string]int{}, variables: map[string]int{}, spaces: map[string]bool{},
		rules: map[string][]Rule{}, Breaches: g.Extension.Breaches, graph: g,
	}, flows: map[string]int{}}
	if c.m.Zone = o.Zone; o.Zone == nil {
		c.m.Zone = china
	}
	c.declare()
	c.index()
	if len(Errors(c.findings)) > 0 {
		return nil, c.findings
	}
	for i, n := range g.Nodes {
		c.node(i, n)
	}
	c.connect()
	c.compensation()
	c.guards()
	c.breaches()
	c.structure()
	if len(Errors(c.findings)) > 0 {
		return nil, c.findings
	}
	c.reach()
	c.dataflow()
	return c.m, append(c.findings, Sound(c.m)...)
}

// compiler carries what Compile has found so far.
type compiler struct {
	g        *bpmn.Graph
	m        *Model
	flows    map[string]int
	findings []Finding
}

func (c *compiler) report(s Severity, code string, elements []string, params ...fault.Param) {
	c.findings = append(c.findings, Finding{Code: code, Severity: s, Elements: elements, Params: params})
}

func (c *compiler) fail(code, element string, params ...fault.Param) {
	c.report(SeverityError, code, []string{element}, params...)
}

// failWith reports an error of a lower room at an element.
func (c *compiler) failWith(err error, element string) {
	f := fault.From(err)
	c.fail(f.Code, element, f.Params...)
}

// declare takes the variables of the process.
func (c *compiler) declare() {
	var vars []expr.Variable
	for _, v := range c.g.Extension.Variables {
		c.m.variables[v.Name] = len(c.m.Variables)
		c.m.Variables = append(c.m.Variables, Variable{
			Name: v.Name, Type: expr.Type(v.Type), LabelZh: v.LabelZh, LabelEn: v.LabelEn, Enum: v.Enum, Unit: v.Unit,
			Indexed: v.Indexed, Input: v.Input, Required: v.Required,
		})
		vars = append(vars, expr.Variable{Name: v.Name, Type: expr.Type(v.Type), Enum: v.Enum})
		for i, r := range v.Name {
			if r == '.' {
				c.m.spaces[v.Name[:i]] = true
			}
		}
	}
	env, err := expr.NewEnv(vars)
	if err != nil {
		c.failWith(err, c.g.ID)
		return
	}
	c.m.env = env
	for i, v := range c.g.Extension.Variables {
		if v.Default == "" {
			continue
		}
		p := c.compile(v.Default, expr.Type(v.Type), c.g.ID)
		if p == nil {
			continue
		}
		if strings.ContainsAny(v.Default[:1], `'"`) && len(p.Reads()) == 0 { // a literal can be judged now
			value, err := p.Eval(expr.Activation{})
			if err == nil {
				_, err = expr.CheckValue(expr.Type(v.Type), v.Enum, value)
			}
			if err != nil {
				c.failWith(err, c.g.ID)
			}
		}
		c.m.defaults = append(c.m.defaults, defaultOf{i, p})
	}
}

// index numbers nodes and flows and resolves the ends of flows.
func (c *compiler) index() {
	for i, n := range c.g.Nodes {
		if _, twice := c.m.nodes[n.ID]; twice || n.ID == "" {
			c.fail("ELEMENT_ID_TWICE", n.ID)
		}
		c.m.nodes[n.ID] = i
	}
	for _, n := range c.g.Nodes {
		if !c.enclosed(n) {
			c.fail("ELEMENT_PARENT_UNKNOWN", n.ID)
		}
	}
	if len(Errors(c.findings)) > 0 {
		return
	}
	for i, f := range c.g.Flows {
		if _, twice := c.flows[f.ID]; twice || f.ID == "" {
			c.fail("ELEMENT_ID_TWICE", f.ID)
		}
		c.flows[f.ID] = i
		from, okFrom := c.m.nodes[f.From]
		to, okTo := c.m.nodes[f.To]
		if !okFrom || !okTo {
			c.fail("FLOW_UNCONNECTED", f.ID)
			continue
		}
		if c.g.Nodes[from].Parent != c.g.Nodes[to].Parent {
			c.fail("FLOW_CROSSES_SUBPROCESS", f.ID)
		}
		c.m.Flows = append(c.m.Flows, Flow{Index: i, ID: f.ID, Name: f.Name, NameEn: f.Extension.NameEn, From: from, To: to})
	}
}

// enclosed reports whether what encloses a node is there and can hold it: the
// subprocesses form a tree.
func (c *compiler) enclosed(n *bpmn.Node) bool {
	for depth := 0; n.Parent != ""; depth++ {
		p, ok := c.m.nodes[n.Parent]
		if !ok || depth > len(c.g.Nodes) || !contains(c.g.Nodes[p].Type) {
			return false
		}
		n = c.g.Nodes[p]
	}
	return true
}

// compile compiles an expression of an element; "" yields nil.
func (c *compiler) compile(src string, want expr.Type, element string) *expr.Program {
	if strings.TrimSpace(src) == "" || c.m.env == nil {
		return nil
	}
	p, err := c.m.env.Compile(src, want)
	if err != nil {
		c.failWith(err, element)
		return nil
	}
	return p
}

// node compiles one node without its connections.
func (c *compiler) node(i int, n *bpmn.Node) {
	x := n.Extension
	out := Node{
		Index: i, ID: n.ID, Name: n.Name, NameEn: x.NameEn, Type: n.Type, Kind: bpmn.NoneEvent, Parent: None,
		Stage: c.stage(n), Role: c.role(n), Topic: x.Topic, Qualifications: x.Qualifications, Evidence: x.Evidence,
		Events: x.Events, Pauses: x.Pauses, Priority: x.Priority, Visit: x.Visit, Survey: x.Survey,
		Default: None, AttachedTo: None, UndoSub: None, UndoneBy: None, Handler: None, Undoes: None, ForCompensation: n.ForCompensation,
		Interrupting: n.Interrupting, LinkTo: None, Result: n.ScriptResult, Called: n.CalledElement,
	}
	if n.Parent != "" {
		out.Parent = c.m.nodes[n.Parent]
	}
	out.Human = n.Type == bpmn.UserTask || n.Type == bpmn.ManualTask || n.Type == bpmn.Task && out.Role != ""
	out.Service = n.Type == bpmn.ServiceTask || (n.Type == bpmn.SendTask || n.Type == bpmn.BusinessRuleTask) && n.Event == nil && n.Script == "" && x.Decision == ""
	out.EventSub = n.Type == bpmn.SubProcess && n.TriggeredByEvent
	c.fields(&out, x.Fields)
	for _, r := range x.Reschedule {
		if !c.target(r.Variable) {
			c.fail("VARIABLE_UNDECLARED", n.ID, fault.P("name", r.Variable))
		}
		out.Reschedule = append(out.Reschedule, Reschedule(r))
	}
	if n.ScriptResult != "" && !c.target(n.ScriptResult) {
		c.fail("VARIABLE_UNDECLARED", n.ID, fault.P("name", n.ScriptResult))
	}
	c.event(&out, n)
	c.loop(&out, n)
	if n.Type == bpmn.ScriptTask || n.Type == bpmn.BusinessRuleTask {
		want := expr.Any
		if v, ok := c.m.variables[n.ScriptResult]; ok {
			want = c.m.Variables[v].Type
		}
		out.Script = c.compile(n.Script, want, n.ID)
		if n.Type == bpmn.ScriptTask && strings.TrimSpace(n.Script) == "" {
			c.fail("SCRIPT_MISSING", n.ID)
		}
	}
	if x.Decision != "" {
		out.Decision = c.decision(n)
	}
	c.m.Nodes = append(c.m.Nodes, out)
}

// target reports whether a name is a declared variable or a namespace.
func (c *compiler) target(name string) bool {
	_, ok := c.m.variables[name]
	return ok || c.m.spaces[name]
}

// role is the node's own role, else that of its innermost lane that has one.
func (c *compiler) role(n *bpmn.Node) string {
	if n.Extension.Role != "" {
		return n.Extension.Role
	}
	for lane, depth := n.Lane, 0; lane != "" && depth <= len(c.g.Lanes); depth++ {
		i := slices.IndexFunc(c.g.Lanes, func(l *bpmn.Lane) bool { return l.ID == lane })
		if i < 0 {
			return ""
		}
		if c.g.Lanes[i].Role != "" {
			return c.g.Lanes[i].Role
		}
		lane = c.g.Lanes[i].Parent
	}
	return ""
}

// stage is the node's own stage, else that of the subprocess around it.
func (c *compiler) stage(n *bpmn.Node) string {
	for depth := 0; n.Extension.Stage == "" && n.Parent != "" && depth < len(c.g.Nodes); depth++ {
		p, ok := c.m.nodes[n.Parent]
		if !ok {
			break
		}
		n = c.g.Nodes[p]
	}
	return n.Extension.Stage
}

// fields binds a form's fields to their variables.
func (c *compiler) fields(out *Node, fields []bpmn.Field) {
	for _, f := range fields {
		i, ok := c.m.variables[f.Variable]
		if !ok {
			c.fail("VARIABLE_UNDECLARED", out.ID, fault.P("name", f.Variable))
			continue
		}
		v := &c.m.Variables[i]
		if slices.ContainsFunc(out.Fields, func(f Field) bool { return f.Variable == v.Name }) {
			c.fail("FORM_FIELD_TWICE", out.ID, fault.P("name", v.Name))
			continue
		}
		field := Field{
			Variable: v.Name, Type: v.Type, LabelZh: f.LabelZh, LabelEn: f.LabelEn, Enum: v.Enum, Unit: v.Unit,
			Required: f.Required, ReadOnly: f.ReadOnly,
		}
		if field.LabelZh == "" {
			field.LabelZh = v.LabelZh
		}
		if field.LabelEn == "" {
			field.LabelEn = v.LabelEn
		}
		out.Fields = append(out.Fields, field)
	}
}

// event compiles the event definition of a node.
func (c *compiler) event(out *Node, n *bpmn.Node) {
	e := n.Event
	if e == nil {
		return
	}
	out.Kind, out.Code = e.Kind, e.Code
	if out.Code == "" && (e.Kind == bpmn.ErrorEvent || e.Kind == bpmn.EscalationEvent) {
		out.Code = e.Name
	}
	switch e.Kind {
	case bpmn.TimerEvent:
		out.Timer = c.timer(e, n.ID)
	case bpmn.ConditionalEvent:
		c.m.Conditional = true
		out.Condition = c.compile(e.Condition, expr.Bool, n.ID)
		if strings.TrimSpace(e.Condition) == "" {
			c.fail("CONDITION_MISSING", n.ID)
		}
	case bpmn.CompensateEvent:
		out.NoWait = e.NoWait
	case bpmn.MessageEvent, bpmn.SignalEvent, bpmn.LinkEvent:
		out.Message = e.Name
		if e.Name == "" {
			c.fail("EVENT_NAME_MISSING", n.ID, fault.P("kind", string(e.Kind)))
		}
		out.Correlation = c.compile(e.Correlation, expr.Any, n.ID)
	}
}

// timer compiles a timer definition.
func (c *compiler) timer(e *bpmn.Event, id string) *Timer {
	t := &Timer{}
	text := ""
	for _, d := range []struct {
		text string
		kind TimerKind
	}{{e.Date, TimerDate}, {e.Duration, TimerDuration}, {e.Cycle, TimerCycle}} {
		if d.text = strings.TrimSpace(d.text); d.text == "" {
			continue
		}
		if text != "" {
			c.fail("TIMER_AMBIGUOUS", id)
			return t
		}
		text, t.Kind = d.text, d.kind
	}
	src, program := strings.CutPrefix(text, "=")
	var err error
	switch {
	case text == "":
		c.fail("TIMER_MISSING", id)
	case program && t.Kind == TimerDate:
		t.Date = c.compile(src, expr.Timestamp, id)
	case program && t.Kind == TimerDuration:
		t.Duration = c.compile(src, expr.Duration, id)
	case program:
		t.Cycle = c.compile(src, expr.String, id)
	case t.Kind == TimerDate:
		if _, err = time.Parse(time.RFC3339, text); err != nil {
			err = fault.E(fault.Invalid, "TIMER_DATE", fault.P("text", text))
		}
	case t.Kind == TimerDuration:
		_, err = expr.ParsePeriod(text)
	default:
		_, err = expr.ParseCycle(text)
	}
	if err != nil {
		c.failWith(err, id)
	}
	if !program {
		t.Fixed = text
	}
	return t
}

// loop compiles a loop marker.
func (c *compiler) loop(out *Node, n *bpmn.Node) {
	l := n.Loop
	if l == nil {
		return
	}
	out.Loop = &Loop{
		MultiInstance: l.MultiInstance, Sequential: l.Sequential, Element: l.Element, TestBefore: l.TestBefore, Maximum: l.Maximum,
		Cardinality: c.compile(l.Cardinality, expr.Int, n.ID), Collection: c.compile(l.Collection, expr.List, n.ID),
		Completion: c.compile(l.Completion, expr.Bool, n.ID), Condition: c.compile(l.Condition, expr.Bool, n.ID),
	}
	if l.MultiInstance && (l.Cardinality == "") == (l.Collection == "") {
		c.fail("LOOP_WITHOUT_COUNT", n.ID)
	}
	if !l.MultiInstance && l.Condition == "" && l.Maximum == 0 {
		c.fail("LOOP_WITHOUT_END", n.ID)
	}
	if l.Element != "" && !c.target(l.Element) {
		c.fail("VARIABLE_UNDECLARED", n.ID, fault.P("name", l.Element))
	}
}
