package bpmn

import (
	"slices"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// inside returns the element of the process with an id; nil when there is none
// or it stands elsewhere.
func (e *editor) inside(id string) *element {
	x := e.doc.byID(id)
	for up := x; up != nil; up = up.parent {
		if up == e.process {
			return x
		}
	}
	return nil
}

// node returns a flow node of the process.
func (e *editor) node(field, id string) (*element, error) {
	if id == "" {
		return nil, malformed(field, id)
	}
	x := e.inside(id)
	if x == nil || x.uri != ModelNamespace || nodeTypes[x.local] == "" {
		return nil, unknown(field, id)
	}
	return x, nil
}

// flow returns a sequence flow of the process.
func (e *editor) flow(field, id string) (*element, error) {
	if id == "" {
		return nil, malformed(field, id)
	}
	x := e.inside(id)
	if x == nil || !x.is("sequenceFlow") {
		return nil, unknown(field, id)
	}
	return x, nil
}

// flows returns the sequence flows of the process whose end (sourceRef or
// targetRef) is a node.
func (e *editor) flows(end, node string) (out []*element) {
	e.process.walk(func(x *element) bool {
		if x.is("sequenceFlow") && localPart(x.attr(end)) == node {
			out = append(out, x)
		}
		return x.uri == ModelNamespace
	})
	return out
}

// container returns where new elements go: the process or a subprocess of it.
func (e *editor) container(parent string) (*element, error) {
	if parent == "" || parent == e.process.attr("id") {
		return e.process, nil
	}
	x, err := e.node("parent", parent)
	if err != nil {
		return nil, err
	}
	if !x.is("subProcess") && !x.is("transaction") && !x.is("adHocSubProcess") {
		return nil, refused("parent", "EDIT_NOT_A_SUBPROCESS", parent)
	}
	return x, nil
}

// addNode makes a node.
func (e *editor) addNode(x *Edit) error {
	_, err := e.newNode(x)
	return err
}

// newNode makes a node and returns it.
func (e *editor) newNode(x *Edit) (*element, error) {
	if !ncName(x.ID) {
		return nil, malformed("id", x.ID)
	}
	if e.doc.byID(x.ID) != nil {
		return nil, refused("id", "EDIT_ID_TAKEN", x.ID)
	}
	if nodeTypes[string(x.Type)] == "" {
		return nil, malformed("type", string(x.Type))
	}
	if (x.Type == BoundaryEvent) != (x.AttachedTo != "") {
		return nil, malformed("attachedTo", x.AttachedTo)
	}
	box, err := e.container(x.Parent)
	if err != nil {
		return nil, err
	}
	if x.AttachedTo != "" {
		host, err := e.node("attachedTo", x.AttachedTo)
		if err != nil {
			return nil, err
		}
		if host.parent != box || isEvent(NodeType(host.local)) || isGateway(NodeType(host.local)) {
			return nil, refused("attachedTo", "EDIT_NOT_AN_ACTIVITY_OF_THE_SCOPE", x.AttachedTo)
		}
	}
	n := e.doc.make(box, ModelNamespace, "bpmn", string(x.Type))
	n.set("id", x.ID)
	n.set("name", x.Name)
	n.set("attachedToRef", x.AttachedTo)
	e.afterFlowElements(box, n)
	e.doc.changed()
	e.doc.setExtensionAttr(n, "task", "nameEn", x.NameEn)
	if x.Event != nil {
		if err := e.define(n, x.Event, x.Interrupting); err != nil {
			return nil, err
		}
	}
	e.drawn = true
	if x.Lane != "" {
		return n, e.intoLane(x.ID, x.Lane)
	}
	return n, nil
}

// afterFlowElements adds a child behind the flow elements of a container, before
// its artifacts.
func (e *editor) afterFlowElements(box, child *element) {
	at := -1
	for i := range box.items {
		c := box.items[i].element
		if c == nil {
			continue
		}
		if c.is("association") || c.is("textAnnotation") || c.is("group") || c.is("correlationSubscription") || c.is("ioSpecification") {
			continue
		}
		at = i + 1
	}
	if at < 0 {
		box.insert(len(box.items), child)
		return
	}
	box.insertAfter(at, child)
}

// ncName reports whether s can be an id in XML.
func ncName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0xC0 && r != 0xD7 && r != 0xF7 && r < 0xFFFE && (r < 0x2000 || r > 0x303F)
		if !letter && (i == 0 || r != '-' && r != '.' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 200
}

// removeNode takes a node away with its flows, its boundary events with what these
// compensate by, and what refers to it.
func (e *editor) removeNode(x *Edit) error {
	n, err := e.node("id", x.ID)
	if err != nil {
		return err
	}
	in, out := e.flows("targetRef", x.ID), e.flows("sourceRef", x.ID)
	if x.Reconnect {
		if len(in) != 1 || len(out) != 1 || in[0] == out[0] {
			return refused("reconnect", "EDIT_NOT_ONE_FLOW_IN_AND_OUT", x.ID)
		}
		e.retarget(in[0], localPart(out[0].attr("targetRef")))
		in = nil
	}
	for _, f := range slices.Concat(in, out) {
		e.dropFlow(f)
	}
	var hung []string
	e.process.walk(func(b *element) bool {
		if b.is("boundaryEvent") && localPart(b.attr("attachedToRef")) == x.ID {
			hung = append(hung, b.attr("id"))
		}
		return b.uri == ModelNamespace
	})
	for _, id := range append(hung, e.handlers(n)...) {
		if err := e.removeNode(&Edit{ID: id}); err != nil {
			return err
		}
	}
	gone := map[string]bool{}
	n.walk(func(i *element) bool {
		gone[i.attr("id")] = true
		return true
	})
	delete(gone, "")
	n.parent.remove(n)
	e.doc.changed()
	e.forget(gone)
	e.drawn = true
	return nil
}

// handlers lists the activities that a compensation boundary event leads to: they go
// with it.
func (e *editor) handlers(event *element) []string {
	var out []string
	if !event.is("boundaryEvent") || event.first("compensateEventDefinition") == nil {
		return nil
	}
	e.process.walk(func(x *element) bool {
		from, to := localPart(x.attr("sourceRef")), localPart(x.attr("targetRef"))
		if to == event.attr("id") {
			from, to = to, from
		}
		if x.is("association") && from == event.attr("id") {
			if h := e.doc.byID(to); h != nil && isTrue(h.attr("isForCompensation")) {
				out = append(out, to)
			}
		}
		return x.uri == ModelNamespace
	})
	return out
}

// forget removes what refers to elements that are gone: places in lanes, guard
// rules, associations.
func (e *editor) forget(gone map[string]bool) {
	var dead []*element
	e.process.walk(func(x *element) bool {
		switch {
		case x.is("flowNodeRef") && gone[localPart(x.content())],
			x.in(Namespace, "rule") && gone[x.attr("node")],
			x.is("association") && (gone[localPart(x.attr("sourceRef"))] || gone[localPart(x.attr("targetRef"))]):
			dead = append(dead, x)
		}
		return true
	})
	for c := range e.doc.root.children(ModelNamespace, "collaboration") {
		for f := range c.children(ModelNamespace, "messageFlow") {
			if gone[localPart(f.attr("sourceRef"))] || gone[localPart(f.attr("targetRef"))] {
				dead = append(dead, f)
			}
		}
	}
	for _, x := range dead {
		gone[x.attr("id")] = true
		x.parent.remove(x)
	}
	e.eraseFigures(gone)
	e.doc.changed()
}

// eraseFigures takes the figures of elements that are gone off all planes.
func (e *editor) eraseFigures(gone map[string]bool) {
	delete(gone, "")
	for box := range e.doc.root.children(diNamespace, "BPMNDiagram") {
		for plane := range box.children(diNamespace, "BPMNPlane") {
			for _, it := range slices.Clone(plane.items) {
				if it.element != nil && gone[localPart(it.element.attr("bpmnElement"))] {
					plane.remove(it.element)
				}
			}
		}
	}
}

// insertNode puts a new node into a flow.
func (e *editor) insertNode(x *Edit) error {
	f, err := e.flow("flow", x.Flow)
	if err != nil {
		return err
	}
	if x.AttachedTo != "" || x.Type == StartEvent || x.Type == EndEvent {
		return malformed("type", string(x.Type))
	}
	node := *x
	if f.parent != e.process {
		node.Parent = f.parent.attr("id")
	} else {
		node.Parent = ""
	}
	if node.Lane == "" {
		node.Lane = e.laneOf(localPart(f.attr("sourceRef")))
	}
	if _, err := e.newNode(&node); err != nil {
		return err
	}
	to := localPart(f.attr("targetRef"))
	e.retarget(f, x.ID)
	e.newFlow("", x.ID, to)
	return nil
}

// addFlow makes a sequence flow.
func (e *editor) addFlow(x *Edit) error {
	from, err := e.node("from", x.From)
	if err != nil {
		return err
	}
	to, err := e.node("to", x.To)
	if err != nil {
		return err
	}
	if x.ID != "" && !ncName(x.ID) {
		return malformed("id", x.ID)
	}
	if x.ID != "" && e.doc.byID(x.ID) != nil {
		return refused("id", "EDIT_ID_TAKEN", x.ID)
	}
	if err := e.joinable(from, to); err != nil {
		return err
	}
	f := e.newFlow(x.ID, x.From, x.To)
	f.set("name", x.Name)
	e.doc.setExtensionAttr(f, "flow", "nameEn", x.NameEn)
	e.condition(f, x.Condition)
	return nil
}

// joinable refuses flows that BPMN does not have (section 8.4.13).
func (e *editor) joinable(from, to *element) error {
	switch a, b := from.attr("id"), to.attr("id"); {
	case from.parent != to.parent:
		return refused("to", "EDIT_OTHER_SCOPE", b)
	case from.is("endEvent"):
		return refused("from", "EDIT_END_HAS_NO_OUTGOING", a)
	case to.is("startEvent"), to.is("boundaryEvent"):
		return refused("to", "EDIT_START_HAS_NO_INCOMING", b)
	default:
		for _, f := range e.flows("sourceRef", a) {
			if localPart(f.attr("targetRef")) == b {
				return refused("to", "EDIT_ALREADY_JOINED", b)
			}
		}
	}
	return nil
}

// newFlow makes a sequence flow between two nodes of one scope.
func (e *editor) newFlow(id, from, to string) *element {
	source, target := e.doc.byID(from), e.doc.byID(to)
	if id == "" {
		id = e.doc.freeID("f-" + from + "-" + to)
	}
	f := e.doc.make(source.parent, ModelNamespace, "bpmn", "sequenceFlow")
	f.set("id", id)
	f.set("sourceRef", from)
	f.set("targetRef", to)
	e.afterFlowElements(source.parent, f)
	e.end(source, "outgoing", id)
	e.end(target, "incoming", id)
	e.doc.changed()
	e.drawn = true
	return f
}

// end enters a flow at a node.
func (e *editor) end(n *element, local, flow string) {
	x := e.doc.make(n, ModelNamespace, "bpmn", local)
	x.write(flow)
	n.add(x)
}

// unend takes a flow off a node.
func (e *editor) unend(node, local, flow string) {
	n := e.doc.byID(node)
	if n == nil {
		return
	}
	for x := range n.children(ModelNamespace, local) {
		if localPart(x.content()) == flow {
			n.remove(x)
			break
		}
	}
	if local == "outgoing" && localPart(n.attr("default")) == flow {
		n.set("default", "")
	}
}

// retarget leads a flow to another node.
func (e *editor) retarget(f *element, to string) {
	id := f.attr("id")
	e.unend(localPart(f.attr("targetRef")), "incoming", id)
	f.set("targetRef", to)
	e.end(e.doc.byID(to), "incoming", id)
	e.drawn = true
}

// resource lets a flow begin at another node.
func (e *editor) resource(f *element, from string) {
	id := f.attr("id")
	e.unend(localPart(f.attr("sourceRef")), "outgoing", id)
	f.set("sourceRef", from)
	e.end(e.doc.byID(from), "outgoing", id)
	e.drawn = true
}

// removeFlow takes a sequence flow away.
func (e *editor) removeFlow(x *Edit) error {
	f, err := e.flow("id", x.ID)
	if err == nil {
		e.dropFlow(f)
	}
	return err
}

// dropFlow takes a flow away with what refers to it.
func (e *editor) dropFlow(f *element) {
	id := f.attr("id")
	if e.doc.byID(id) != f {
		return // a loop of one node is listed twice
	}
	e.unend(localPart(f.attr("sourceRef")), "outgoing", id)
	e.unend(localPart(f.attr("targetRef")), "incoming", id)
	f.parent.remove(f)
	e.doc.changed()
	e.forget(map[string]bool{id: true})
	e.drawn = true
}

// reconnect gives a flow other ends.
func (e *editor) reconnect(x *Edit) error {
	f, err := e.flow("id", x.ID)
	if err != nil {
		return err
	}
	oldFrom, oldTo := localPart(f.attr("sourceRef")), localPart(f.attr("targetRef"))
	from, to := x.From, x.To
	if from == "" {
		from = oldFrom
	}
	if to == "" {
		to = oldTo
	}
	if from == oldFrom && to == oldTo {
		return malformed("to", x.To)
	}
	a, err := e.node("from", from)
	if err != nil {
		return err
	}
	b, err := e.node("to", to)
	if err != nil {
		return err
	}
	if a.parent != f.parent {
		return refused("from", "EDIT_OTHER_SCOPE", from)
	}
	if err := e.joinable(a, b); err != nil {
		return err
	}
	if from != oldFrom {
		e.resource(f, from)
	}
	if to != oldTo {
		e.retarget(f, to)
	}
	return nil
}

// laneOf returns the lane that names a node, "" without.
func (e *editor) laneOf(node string) (lane string) {
	e.process.walk(func(x *element) bool {
		if x.is("flowNodeRef") && localPart(x.content()) == node {
			lane = x.parent.attr("id")
		}
		return true
	})
	return lane
}

// setLane moves a node to another lane.
func (e *editor) setLane(x *Edit) error {
	if _, err := e.node("id", x.ID); err != nil {
		return err
	}
	e.drawn = true
	return e.intoLane(x.ID, x.Lane)
}

// intoLane lets a lane alone name a node; "" none.
func (e *editor) intoLane(node, lane string) error {
	var to *element
	if lane != "" {
		if to = e.inside(lane); to == nil || !to.is("lane") {
			return unknown("lane", lane)
		}
	}
	var refs []*element
	e.process.walk(func(x *element) bool {
		if x.is("flowNodeRef") && localPart(x.content()) == node {
			refs = append(refs, x)
		}
		return true
	})
	for _, x := range refs {
		x.parent.remove(x)
	}
	if to == nil {
		return nil
	}
	ref := e.doc.make(to, ModelNamespace, "bpmn", "flowNodeRef")
	ref.write(node)
	at := len(to.items)
	for i := range to.items {
		if c := to.items[i].element; c != nil && c.is("childLaneSet") {
			at = i
			break
		}
	}
	if at == len(to.items) {
		to.add(ref)
	} else {
		to.insert(at, ref)
	}
	return nil
}

// chain checks that nodes follow one another, each joined to the next by a plain
// flow and nothing else, and returns the flows between.
func (e *editor) chain(nodes []string) ([]*element, error) {
	if len(nodes) < 2 {
		return nil, malformed("nodes", strings.Join(nodes, ","))
	}
	var between []*element
	for i, id := range nodes {
		n, err := e.node("nodes", id)
		if err != nil {
			return nil, err
		}
		in, out := e.flows("targetRef", id), e.flows("sourceRef", id)
		if len(in) != 1 || len(out) != 1 || isGateway(NodeType(n.local)) {
			return nil, refused("nodes", "EDIT_NOT_ONE_FLOW_IN_AND_OUT", id)
		}
		if i+1 == len(nodes) {
			break
		}
		if localPart(out[0].attr("targetRef")) != nodes[i+1] {
			return nil, refused("nodes", "EDIT_NOT_CONSECUTIVE", nodes[i+1])
		}
		if out[0].first("conditionExpression") != nil {
			return nil, refused("nodes", "EDIT_CONDITIONAL_FLOW", out[0].attr("id"))
		}
		between = append(between, out[0])
	}
	return between, nil
}

// parallelise puts nodes that follow one another between two parallel gateways.
func (e *editor) parallelise(x *Edit) error {
	between, err := e.chain(x.Nodes)
	if err != nil {
		return err
	}
	first, last := x.Nodes[0], x.Nodes[len(x.Nodes)-1]
	in, out := e.flows("targetRef", first)[0], e.flows("sourceRef", last)[0]
	parent := ""
	if box := e.doc.byID(first).parent; box != e.process {
		parent = box.attr("id")
	}
	lane, stage := e.laneOf(first), ""
	if t := e.doc.byID(first).extension("task"); t != nil {
		stage = t.attr("stage")
	}
	gate := func(suffix, zh, en string) (string, error) {
		id := e.doc.freeID(first + suffix)
		n, err := e.newNode(&Edit{ID: id, Type: ParallelGateway, Name: zh, NameEn: en, Parent: parent, Lane: lane})
		if err == nil {
			e.doc.setExtensionAttr(n, "task", "stage", stage)
		}
		return id, err
	}
	split, err := gate("_split", "并行", "In parallel")
	if err != nil {
		return err
	}
	join, err := gate("_join", "汇聚", "All done")
	if err != nil {
		return err
	}
	for _, f := range between {
		e.dropFlow(f)
	}
	e.retarget(in, split)
	e.resource(out, join)
	for _, n := range x.Nodes {
		e.newFlow("", split, n)
		e.newFlow("", n, join)
	}
	return nil
}

// sequence puts nodes that stand between the same two parallel gateways one
// after the other; gateways that are left with one flow in and out go.
func (e *editor) sequence(x *Edit) error {
	if len(x.Nodes) < 2 {
		return malformed("nodes", strings.Join(x.Nodes, ","))
	}
	split, join := "", ""
	for i, id := range x.Nodes {
		if _, err := e.node("nodes", id); err != nil {
			return err
		}
		in, out := e.flows("targetRef", id), e.flows("sourceRef", id)
		if len(in) != 1 || len(out) != 1 || slices.Contains(x.Nodes[:i], id) {
			return refused("nodes", "EDIT_NOT_ONE_FLOW_IN_AND_OUT", id)
		}
		a, b := localPart(in[0].attr("sourceRef")), localPart(out[0].attr("targetRef"))
		if i == 0 {
			split, join = a, b
		}
		if a != split || b != join || !e.doc.byID(a).is("parallelGateway") || !e.doc.byID(b).is("parallelGateway") || a == b {
			return refused("nodes", "EDIT_NOT_BETWEEN_THE_SAME_GATEWAYS", id)
		}
	}
	for i, id := range x.Nodes {
		if i > 0 {
			e.dropFlow(e.flows("targetRef", id)[0])
		}
		if i+1 < len(x.Nodes) {
			e.dropFlow(e.flows("sourceRef", id)[0])
		}
	}
	for i := 1; i < len(x.Nodes); i++ {
		e.newFlow("", x.Nodes[i-1], x.Nodes[i])
	}
	for _, id := range []string{split, join} {
		if len(e.flows("targetRef", id)) == 1 && len(e.flows("sourceRef", id)) == 1 {
			if err := e.removeNode(&Edit{ID: id, Reconnect: true}); err != nil {
				return fault.From(err).At("nodes")
			}
		}
	}
	return nil
}
