package bpmn

import (
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// nodeTypes are the flow node elements of BPMN 2.0.2, section 10.2 to 10.6.
var nodeTypes = func() map[string]NodeType {
	m := map[string]NodeType{}
	for _, t := range []NodeType{
		StartEvent, EndEvent, IntermediateCatchEvent, IntermediateThrowEvent, BoundaryEvent,
		Task, UserTask, ManualTask, ServiceTask, SendTask, ReceiveTask, ScriptTask, BusinessRuleTask,
		SubProcess, Transaction, AdHocSubProcess, CallActivity,
		ExclusiveGateway, ParallelGateway, InclusiveGateway, EventBasedGateway, ComplexGateway,
	} {
		m[string(t)] = t
	}
	return m
}()

// maxItems bounds the errors one refusal names.
const maxItems = 50

// Graphs returns every process of the document, in document order, with
// references resolved. Errors are fault.Invalid: BPMN_REFERENCE (an id that
// names nothing suitable), BPMN_DUPLICATE_ID and BPMN_EXTENSION (an extension
// element or attribute of the product that it does not know or cannot read);
// with several, the first carries the others as items. O(elements).
func (d *Document) Graphs() ([]*Graph, error) {
	b := &reader{doc: d}
	b.index()
	var out []*Graph
	for p := range d.root.children(ModelNamespace, "process") {
		out = append(out, b.process(p))
	}
	if len(b.faults) > 0 {
		return nil, b.faults[0].With(b.faults[1:]...)
	}
	return out, nil
}

// Graph returns the process with that id or, for "", the first executable one
// (the first at all when none is). Errors as Graphs; fault.NotFound
// BPMN_NO_PROCESS when there is none.
func (d *Document) Graph(id string) (*Graph, error) {
	all, err := d.Graphs()
	if err != nil {
		return nil, err
	}
	var found *Graph
	for _, g := range all {
		switch {
		case id != "" && g.ID == id:
			return g, nil
		case id == "" && (found == nil || g.Executable && !found.Executable):
			found = g
		}
	}
	if found == nil {
		return nil, fault.E(fault.NotFound, "BPMN_NO_PROCESS", fault.P("process", id))
	}
	return found, nil
}

// reader builds graphs from a document.
type reader struct {
	doc    *Document
	pools  map[string]string // participant by process id
	faults []*fault.Error

	graph *Graph
	nodes map[string]*Node
}

// refuse records an error at an element.
func (r *reader) refuse(code string, e *element, params ...fault.Param) {
	if len(r.faults) >= maxItems {
		return
	}
	params = append(params, fault.P("line", e.line), fault.P("column", e.column))
	r.faults = append(r.faults, fault.E(fault.Invalid, code, params...).At(e.label()))
}

// label names an element for people: its id, or its name with the owner's id.
func (e *element) label() string {
	for at, path := e, ""; at != nil; at = at.parent {
		if id := at.attr("id"); id != "" {
			return id + path
		}
		path = "." + at.local + path
	}
	return e.name()
}

// index reads what the whole document shares and refuses ids given twice.
func (r *reader) index() {
	r.pools = map[string]string{}
	seen := map[string]bool{}
	r.doc.root.walk(func(e *element) bool {
		if e.uri != ModelNamespace {
			return true
		}
		id := e.attr("id")
		if id != "" && seen[id] {
			r.refuse("BPMN_DUPLICATE_ID", e, fault.P("id", id))
		}
		seen[id] = true
		if e.is("participant") && e.attr("processRef") != "" {
			r.pools[localPart(e.attr("processRef"))] = id
		}
		return true
	})
}

// process reads one process.
func (r *reader) process(p *element) *Graph {
	g := &Graph{ID: p.attr("id"), Name: p.attr("name"), Executable: isTrue(p.attr("isExecutable"))}
	r.graph, r.nodes = g, map[string]*Node{}
	g.Extension = r.processExtension(p)
	r.container(p, "")
	r.lanes(p, "")
	r.flows(p)
	r.handlers(p)
	r.inheritLanes()
	for _, n := range g.Nodes {
		if n.AttachedTo != "" && r.nodes[n.AttachedTo] == nil {
			r.refuse("BPMN_REFERENCE", r.doc.byID(n.ID), fault.P("attribute", "attachedToRef"), fault.P("id", n.AttachedTo))
		}
	}
	return g
}

// container reads the flow nodes of a process or subprocess, depth first.
func (r *reader) container(p *element, parent string) {
	for e := range p.children(ModelNamespace, "") {
		t, ok := nodeTypes[e.local]
		if !ok {
			continue
		}
		if e.attr("id") == "" {
			r.refuse("BPMN_REFERENCE", e, fault.P("attribute", "id"), fault.P("id", ""))
			continue
		}
		n := r.node(e, t)
		n.Parent = parent
		r.graph.Nodes = append(r.graph.Nodes, n)
		r.nodes[n.ID] = n
		if t == SubProcess || t == Transaction || t == AdHocSubProcess {
			r.container(e, n.ID)
		}
	}
}

// node reads one flow node without its flows and lane.
func (r *reader) node(e *element, t NodeType) *Node {
	n := &Node{
		ID: e.attr("id"), Name: e.attr("name"), Type: t,
		Default:          localPart(e.attr("default")),
		TriggeredByEvent: isTrue(e.attr("triggeredByEvent")),
		ForCompensation:  isTrue(e.attr("isForCompensation")),
		Loop:             r.loop(e),
	}
	switch t {
	case StartEvent:
		n.Interrupting = e.attr("isInterrupting") == "" || isTrue(e.attr("isInterrupting"))
		n.Event = r.event(e)
	case BoundaryEvent:
		n.AttachedTo = localPart(e.attr("attachedToRef"))
		n.Interrupting = e.attr("cancelActivity") == "" || isTrue(e.attr("cancelActivity"))
		n.Event = r.event(e)
		if n.AttachedTo == "" {
			r.refuse("BPMN_REFERENCE", e, fault.P("attribute", "attachedToRef"), fault.P("id", ""))
		}
	case EndEvent, IntermediateCatchEvent, IntermediateThrowEvent:
		n.Event = r.event(e)
	case SendTask, ReceiveTask:
		if ref := e.attr("messageRef"); ref != "" {
			n.Event = &Event{Kind: MessageEvent}
			r.name(e, "messageRef", "message", n.Event)
		}
	case CallActivity:
		n.CalledElement = localPart(e.attr("calledElement"))
	case ScriptTask:
		if s := e.first("script"); s != nil {
			n.Script = s.content()
		}
	}
	r.nodeExtension(e, n)
	return n
}

// flows reads the sequence flows of a process and its subprocesses and enters
// them at their nodes.
func (r *reader) flows(p *element) {
	p.walk(func(e *element) bool {
		if e.uri != ModelNamespace {
			return false
		}
		if !e.is("sequenceFlow") {
			return true
		}
		f := &Flow{ID: e.attr("id"), Name: e.attr("name"), From: localPart(e.attr("sourceRef")), To: localPart(e.attr("targetRef"))}
		if c := e.first("conditionExpression"); c != nil {
			f.Condition = c.content()
		}
		f.Extension = r.flowExtension(e)
		from, to := r.nodes[f.From], r.nodes[f.To]
		if from == nil {
			r.refuse("BPMN_REFERENCE", e, fault.P("attribute", "sourceRef"), fault.P("id", f.From))
		}
		if to == nil {
			r.refuse("BPMN_REFERENCE", e, fault.P("attribute", "targetRef"), fault.P("id", f.To))
		}
		if from == nil || to == nil {
			return false
		}
		r.graph.Flows = append(r.graph.Flows, f)
		from.Outgoing = append(from.Outgoing, f.ID)
		to.Incoming = append(to.Incoming, f.ID)
		return false
	})
	for _, n := range r.graph.Nodes {
		if n.Default == "" {
			continue
		}
		if f := r.doc.byID(n.Default); f == nil || !f.is("sequenceFlow") || localPart(f.attr("sourceRef")) != n.ID {
			r.refuse("BPMN_REFERENCE", r.doc.byID(n.ID), fault.P("attribute", "default"), fault.P("id", n.Default))
		}
	}
}

// handlers enters at compensation boundary events the activities that undo: the
// other end of an association, whichever way it was drawn. Of several the first
// that is for compensation counts.
func (r *reader) handlers(p *element) {
	p.walk(func(e *element) bool {
		if e.uri != ModelNamespace {
			return false
		}
		if !e.is("association") {
			return true
		}
		a, b := r.nodes[localPart(e.attr("sourceRef"))], r.nodes[localPart(e.attr("targetRef"))]
		if a == nil || b == nil {
			return false // of a text or of data
		}
		if a.Type != BoundaryEvent {
			a, b = b, a
		}
		if a.Type == BoundaryEvent && a.Event.Kind == CompensateEvent && b.ForCompensation && a.Handler == "" {
			a.Handler, a.Association = b.ID, e.attr("id")
		}
		return false
	})
}

// lanes reads the lane sets of a process and its subprocesses. The innermost
// lane that names a node is the node's.
func (r *reader) lanes(p *element, parent string) {
	for e := range p.children(ModelNamespace, "") {
		switch e.local {
		case "laneSet", "childLaneSet", "subProcess", "transaction", "adHocSubProcess":
			r.lanes(e, parent)
		case "lane":
			l := &Lane{ID: e.attr("id"), Name: e.attr("name"), Parent: parent, Pool: r.pools[r.graph.ID]}
			r.laneExtension(e, l)
			r.graph.Lanes = append(r.graph.Lanes, l)
			for ref := range e.children(ModelNamespace, "flowNodeRef") {
				id := localPart(ref.content())
				n := r.nodes[id]
				if n == nil {
					if r.doc.byID(id) == nil {
						r.refuse("BPMN_REFERENCE", e, fault.P("attribute", "flowNodeRef"), fault.P("id", id))
					}
					continue
				}
				n.Lane = l.ID
				l.Nodes = append(l.Nodes, id)
			}
			r.lanes(e, l.ID)
		}
	}
}

// inheritLanes gives nodes without a lane that of their activity or subprocess.
func (r *reader) inheritLanes() {
	for _, n := range r.graph.Nodes {
		if n.Lane != "" {
			continue
		}
		if a := r.nodes[n.AttachedTo]; a != nil && a.Lane != "" {
			n.Lane = a.Lane
		} else if p := r.nodes[n.Parent]; p != nil {
			n.Lane = p.Lane
		}
	}
}

// localPart returns a QName or id without its prefix.
func localPart(qname string) string {
	qname = strings.TrimSpace(qname)
	if i := strings.LastIndexByte(qname, ':'); i >= 0 {
		return qname[i+1:]
	}
	return qname
}

// isTrue reads an xsd:boolean.
func isTrue(s string) bool { return s == "true" || s == "1" }
