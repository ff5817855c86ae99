package bpmn

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// rename gives a node, flow, lane or the process other names.
func (e *editor) rename(x *Edit) error {
	n, local := e.process, "process"
	if x.ID != "" && x.ID != e.process.attr("id") {
		n = e.inside(x.ID)
		switch {
		case n == nil || n.uri != ModelNamespace:
			return unknown("id", x.ID)
		case nodeTypes[n.local] != "":
			local = "task"
		case n.is("sequenceFlow"):
			local = "flow"
		case n.is("lane"):
			local = "lane"
		default:
			return unknown("id", x.ID)
		}
	}
	n.set("name", x.Name)
	e.doc.setExtensionAttr(n, local, "nameEn", x.NameEn)
	return nil
}

// setTask gives an attribute of a node's task extension a value.
func (e *editor) setTask(x *Edit, attr string) error {
	n, err := e.node("id", x.ID)
	if err == nil {
		e.doc.setExtensionAttr(n, "task", attr, x.Value)
	}
	return err
}

func (e *editor) setRole(x *Edit) error {
	if l := e.inside(x.ID); l != nil && l.is("lane") {
		e.doc.setExtensionAttr(l, "lane", "role", x.Value)
		return nil
	}
	return e.setTask(x, "role")
}

func (e *editor) setStage(x *Edit) error {
	if !slices.Contains([]string{"", "demand", "design", "delivery", "followup", "satisfaction"}, x.Value) {
		return malformed("value", x.Value)
	}
	return e.setTask(x, "stage")
}

func (e *editor) setTopic(x *Edit) error { return e.setTask(x, "topic") }

func (e *editor) setPriority(x *Edit) error {
	if _, err := strconv.Atoi(x.Value); err != nil {
		return malformed("value", x.Value)
	}
	if x.Value == "0" {
		x = &Edit{ID: x.ID}
	}
	return e.setTask(x, "priority")
}

// setCondition gives a flow a condition.
func (e *editor) setCondition(x *Edit) error {
	f, err := e.flow("id", x.ID)
	if err == nil {
		e.condition(f, x.Value)
	}
	return err
}

// condition writes the condition of a flow; "" takes it away.
func (e *editor) condition(f *element, cel string) {
	c := f.first("conditionExpression")
	if cel == "" {
		if c != nil {
			f.remove(c)
		}
		return
	}
	if c == nil {
		c = f.add(e.expression(f, "conditionExpression"))
	}
	c.items = nil
	c.write(cel)
}

// expression makes an element for a formal expression in CEL.
func (e *editor) expression(parent *element, local string) *element {
	c := e.doc.make(parent, ModelNamespace, "bpmn", local)
	const instance = "http://www.w3.org/2001/XMLSchema-instance"
	prefix, ok := parent.prefixFor(instance)
	if !ok || prefix == "" {
		prefix = e.doc.declare("xsi", instance)
	}
	c.attrs = append(c.attrs, attribute{prefix: prefix, local: "type", value: qualified(c.prefix, "tFormalExpression")})
	if local == "conditionExpression" {
		c.set("language", "CEL")
	}
	return c
}

// setDefault names the default flow of a node.
func (e *editor) setDefault(x *Edit) error {
	n, err := e.node("id", x.ID)
	if err != nil {
		return err
	}
	if x.Flow != "" {
		f, err := e.flow("flow", x.Flow)
		if err != nil {
			return err
		}
		if localPart(f.attr("sourceRef")) != x.ID {
			return refused("flow", "EDIT_LEAVES_ANOTHER_NODE", x.Flow)
		}
	}
	n.set("default", x.Flow)
	return nil
}

// setEvent gives an event another definition.
func (e *editor) setEvent(x *Edit) error {
	n, err := e.node("id", x.ID)
	if err != nil {
		return err
	}
	if x.Event == nil {
		return malformed("event", "")
	}
	return e.define(n, x.Event, x.Interrupting)
}

// define writes the definition of an event, or the message of a task.
func (e *editor) define(n *element, ev *Event, interrupting *bool) error {
	t := NodeType(n.local)
	if !isEvent(t) && !((t == ReceiveTask || t == SendTask) && ev.Kind == MessageEvent) {
		return malformed("event", string(ev.Kind))
	}
	local, ref, root := "", "", ""
	for name, d := range definitions {
		if d.kind == ev.Kind {
			local, ref, root = name, d.ref, d.names
		}
	}
	if local == "" && ev.Kind != NoneEvent {
		return malformed("event", string(ev.Kind))
	}
	if interrupting != nil && t == BoundaryEvent {
		n.set("cancelActivity", strconv.FormatBool(*interrupting))
	}
	if interrupting != nil && t == StartEvent {
		n.set("isInterrupting", strconv.FormatBool(*interrupting))
	}
	if !isEvent(t) {
		n.set("messageRef", e.rootElement("message", ev))
		return nil
	}
	for _, it := range slices.Clone(n.items) {
		if c := it.element; c != nil && c.uri == ModelNamespace && (definitions[c.local].kind != "" || c.is("eventDefinitionRef")) {
			n.remove(c)
		}
	}
	if local == "" {
		return nil
	}
	def := n.add(e.doc.make(n, ModelNamespace, "bpmn", local))
	if ref != "" && (ev.Name != "" || ev.Code != "") {
		def.set(ref, e.rootElement(root, ev))
	}
	return e.details(def, ev)
}

// details writes what an event definition says itself.
func (e *editor) details(def *element, ev *Event) error {
	switch ev.Kind {
	case LinkEvent:
		def.set("name", ev.Name)
	case CompensateEvent:
		def.set("activityRef", ev.Name)
	case ConditionalEvent:
		def.add(e.expression(def, "condition")).write(ev.Condition)
	case TimerEvent:
		given := 0
		for _, t := range []struct{ local, text string }{{"timeDate", ev.Date}, {"timeDuration", ev.Duration}, {"timeCycle", ev.Cycle}} {
			if t.text != "" {
				given++
				def.add(e.expression(def, t.local)).write(t.text)
			}
		}
		if given != 1 {
			return malformed("event", "timer")
		}
	}
	return nil
}

// rootElement returns the id of the message, signal, error or escalation of that
// name and code, made when there is none.
func (e *editor) rootElement(local string, ev *Event) string {
	codeAttr := map[string]string{"error": "errorCode", "escalation": "escalationCode"}[local]
	var last *element
	for c := range e.doc.root.children(ModelNamespace, "") {
		if c.is(local) && c.attr("name") == ev.Name && (codeAttr == "" || c.attr(codeAttr) == ev.Code) {
			correlation := ""
			if x := c.extension("correlation"); x != nil {
				correlation = x.content()
			}
			if correlation == ev.Correlation {
				return c.attr("id")
			}
		}
		if c.is(local) || c.is("message") {
			last = c
		}
	}
	m := e.doc.make(e.doc.root, ModelNamespace, "bpmn", local)
	m.set("id", e.doc.freeID(local+"."+xmlID(ev.Name+ev.Code)))
	m.set("name", ev.Name)
	if codeAttr != "" {
		m.set(codeAttr, ev.Code)
	}
	root := e.doc.root
	at := slices.IndexFunc(root.items, func(it item) bool {
		return it.element != nil && !it.element.is("import") && !it.element.is("extension") && !it.element.is("documentation") && !it.element.is("extensionElements")
	})
	if last != nil {
		at = 1 + slices.IndexFunc(root.items, func(it item) bool { return it.element == last })
	}
	if at > 0 && last != nil {
		root.insertAfter(at, m)
	} else {
		root.insert(max(at, 0), m)
	}
	if ev.Correlation != "" {
		e.doc.extend(m, "correlation").write(ev.Correlation)
	}
	e.doc.changed()
	return m.attr("id")
}

// xmlID makes a text part of an id.
func xmlID(s string) string {
	return strings.Map(func(r rune) rune {
		if ncName("a" + string(r)) {
			return r
		}
		return '_'
	}, s)
}

// setScript writes the expression of a script task.
func (e *editor) setScript(x *Edit) error {
	n, err := e.node("id", x.ID)
	if err != nil {
		return err
	}
	if !n.is("scriptTask") {
		return refused("id", "EDIT_NOT_A_SCRIPT_TASK", x.ID)
	}
	s := n.first("script")
	if s == nil {
		s = n.add(e.doc.make(n, ModelNamespace, "bpmn", "script"))
	}
	s.items = nil
	s.write(x.Value)
	return nil
}

// setResult names the variable that takes the result of a node.
func (e *editor) setResult(x *Edit) error {
	n, err := e.node("id", x.ID)
	if err == nil {
		e.doc.setExtensionAttr(n, "result", "variable", x.Value)
	}
	return err
}

// setLists replaces one of the lists of a node.
func (e *editor) setLists(x *Edit) error {
	n, err := e.node("id", x.ID)
	if err != nil {
		return err
	}
	yes := func(b bool) string {
		if b {
			return "true"
		}
		return ""
	}
	local, all := "", [][]string{}
	switch x.Op {
	case SetEvidence:
		local = "evidence"
		for _, v := range x.Evidence {
			all = append(all, []string{"kind", v.Kind, "media", v.Media, "required", yes(v.Required)})
		}
	case SetForm:
		local = "field"
		for _, v := range x.Fields {
			all = append(all, []string{"variable", v.Variable, "labelZh", v.LabelZh, "labelEn", v.LabelEn, "required", yes(v.Required), "readOnly", yes(v.ReadOnly)})
		}
	case SetQualifications:
		local = "qualification"
		for _, v := range x.Qualifications {
			all = append(all, []string{"kind", v})
		}
	case SetClocks:
		local = "event"
		for _, v := range x.Events {
			all = append(all, []string{"name", v.Name, "on", v.On})
		}
	case SetPauses:
		local = "pause"
		for _, v := range x.Pauses {
			all = append(all, []string{"reason", v.Reason, "indicators", strings.Join(v.Indicators, ",")})
		}
	case SetReschedule:
		local = "reschedule"
		for _, v := range x.Reschedule {
			all = append(all, []string{"message", v.Message, "variable", v.Variable})
		}
	}
	for _, pairs := range all {
		if pairs[1] == "" {
			return malformed(local, "")
		}
	}
	e.doc.replaceExtensions(n, local, all)
	return nil
}

// named returns the extension element of the process of a kind and key.
func (e *editor) named(local, key, value string) *element {
	for x := range e.process.extensions() {
		if x.local == local && x.attr(key) == value {
			return x
		}
	}
	return nil
}

// entry returns that element, made behind its kind when there is none.
func (e *editor) entry(local, key, value string) *element {
	if x := e.named(local, key, value); x != nil {
		return x
	}
	box := e.doc.extensionBox(e.process)
	x := e.doc.make(box, Namespace, "spms", local)
	at := -1
	for i := range box.items {
		if c := box.items[i].element; c != nil && c.in(Namespace, local) {
			at = i + 1
		}
	}
	if at > 0 {
		box.insertAfter(at, x)
	} else {
		box.add(x)
	}
	return x
}

// setVariable declares a variable.
func (e *editor) setVariable(x *Edit) error {
	v := x.Variable
	if v == nil || v.Name == "" || v.Type == "" {
		return malformed("variable", "")
	}
	n := e.entry("variable", "name", v.Name)
	flag := map[bool]string{true: "true"}
	for _, a := range [][2]string{
		{"name", v.Name},
		{"type", v.Type},
		{"labelZh", v.LabelZh},
		{"labelEn", v.LabelEn},
		{"enum", strings.Join(v.Enum, ",")},
		{"unit", v.Unit},
		{"input", flag[v.Input]},
		{"required", flag[v.Required]},
		{"indexed", flag[v.Indexed]},
		{"default", v.Default},
	} {
		n.set(a[0], a[1])
	}
	return nil
}

// removeVariable takes a declaration away.
func (e *editor) removeVariable(x *Edit) error { return e.removeEntry("variable", "name", x.Value) }

// setRule writes a guard rule.
func (e *editor) setRule(x *Edit) error {
	r := x.Rule
	if r == nil || r.ID == "" || r.CEL == "" {
		return malformed("rule", "")
	}
	if _, err := e.node("rule.node", r.Node); err != nil {
		return err
	}
	n := e.entry("rule", "id", r.ID)
	for _, a := range [][2]string{
		{"id", r.ID}, {"node", r.Node}, {"on", r.On}, {"result", r.Result}, {"labelZh", r.TextZh}, {"labelEn", r.TextEn}, {"clause", r.Clause},
	} {
		n.set(a[0], a[1])
	}
	n.items = nil
	n.write(r.CEL)
	return nil
}

// removeRule takes a guard rule away.
func (e *editor) removeRule(x *Edit) error { return e.removeEntry("rule", "id", x.Value) }

// setBreach writes what follows a breach.
func (e *editor) setBreach(x *Edit) error {
	b := x.Breach
	if b == nil || b.ID == "" || b.Do == "" {
		return malformed("breach", "")
	}
	n := e.entry("breach", "id", b.ID)
	for _, a := range [][2]string{{"id", b.ID}, {"indicator", b.Indicator}, {"do", b.Do}, {"role", b.Role}, {"process", b.Process}} {
		n.set(a[0], a[1])
	}
	return nil
}

// removeBreach takes it away.
func (e *editor) removeBreach(x *Edit) error { return e.removeEntry("breach", "id", x.Value) }

// removeEntry takes an extension element of the process away.
func (e *editor) removeEntry(local, key, value string) error {
	n := e.named(local, key, value)
	if n == nil || value == "" {
		return unknown("value", value)
	}
	n.parent.remove(n)
	e.process.prune(local)
	return nil
}

// holder returns what an extension stands on: a node, a flow or the process.
func (e *editor) holder(id string) (*element, error) {
	if id == "" || id == e.process.attr("id") {
		return e.process, nil
	}
	n := e.inside(id)
	if n == nil || n.uri != ModelNamespace || nodeTypes[n.local] == "" && !n.is("sequenceFlow") && !n.is("lane") {
		return nil, unknown("id", id)
	}
	return n, nil
}

// setSimulation replaces the simulation figures of a node, flow or the process.
func (e *editor) setSimulation(x *Edit) error {
	n, err := e.holder(x.ID)
	if err != nil {
		return err
	}
	if n.is("lane") {
		return unknown("id", x.ID)
	}
	return e.setJSON(n, "simulation", x.Value)
}

// setDecision replaces the decision table of a business-rule task.
func (e *editor) setDecision(x *Edit) error {
	n, err := e.node("id", x.ID)
	if err != nil {
		return err
	}
	if !n.is("businessRuleTask") {
		return refused("id", "EDIT_NOT_A_RULE_TASK", x.ID)
	}
	return e.setJSON(n, "decision", x.Value)
}

// setJSON writes the JSON of an extension element; "" takes the element away.
func (e *editor) setJSON(n *element, local, text string) error {
	if text == "" {
		if s := n.extension(local); s != nil {
			s.parent.remove(s)
		}
		n.prune(local)
		return nil
	}
	if !json.Valid([]byte(text)) {
		return malformed("value", text)
	}
	s := e.doc.extend(n, local)
	s.items = nil
	s.write(text)
	return nil
}

// setExtension puts an element of another namespace on a node, flow, lane or the
// process, in place of those of its name.
func (e *editor) setExtension(x *Edit) error {
	n, err := e.holder(x.ID)
	if err != nil {
		return err
	}
	box := e.doc.extensionBox(n)
	new, err := e.doc.fragment(box, x.Value)
	if err != nil || new.uri == Namespace || new.uri == ModelNamespace {
		return malformed("value", x.Value)
	}
	for _, it := range slices.Clone(box.items) {
		if c := it.element; c != nil && c.in(new.uri, new.local) {
			box.remove(c)
		}
	}
	if !x.Remove {
		box.add(new)
	}
	n.prune("")
	return nil
}
