package model

import (
	"maps"
	"slices"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
)

// Mapping says where the tokens of a case go that moves from one version of a
// process to another: ids of nodes of the old version to ids of the new one. It
// names every node at which a token can rest between two steps. A boundary event
// or the start of an event subprocess may be named too: its listener and timer
// then go on, while others end and those of the new version begin.
type Mapping map[string]string

// ProposeMapping maps the nodes of from to their twins in to, as far as a token
// that rests at one can rest at the other: the same id, else the same type and
// name, else the same type and neighbours.
func ProposeMapping(from, to *Model) Mapping {
	out := Mapping{}
	nodes, _ := bpmn.Twins(from.graph, to.graph)
	for _, n := range from.Nodes {
		at, ok := to.nodes[nodes[n.ID]]
		if ok && n.rest() != "" && n.rest() == to.Nodes[at].rest() && loopKind(n.Loop) == loopKind(to.Nodes[at].Loop) {
			out[n.ID] = to.Nodes[at].ID
		}
	}
	return out
}

// CheckMapping says whether every case of from can go on in to under a mapping.
// Errors: MAPPING_NODE_UNKNOWN, MAPPING_NODE_MISSING, MAPPING_KIND (a token rests
// differently there), MAPPING_SCOPE (other subprocess), MAPPING_JOIN_BRANCH (no
// telling by which flow a token has come), MAPPING_VARIABLE_TYPE, and
// MAPPING_NOT_SOUND for a position of tokens that occurs in from and cannot
// properly complete in to, with an example. Warnings: MAPPING_EVENT_LOST (clocks
// that wait for it would never stop), MAPPING_VARIABLE_UNSET, MAPPING_COMPENSATION_LOST. Up to 50,000
// positions are looked at in each scope; beyond that MAPPING_UNDECIDED is noted.
func CheckMapping(from, to *Model, mapping Mapping) []Finding {
	c := &mappingCheck{from: from, to: to, by: mapping, after: reachability(from), later: reachability(to)}
	_, c.flows = bpmn.Twins(from.graph, to.graph)
	c.sound = len(Errors(Sound(to))) == 0
	c.targets()
	c.types()
	if len(Errors(c.findings)) > 0 {
		return c.findings
	}
	for parent := None; parent < len(from.Nodes); parent++ {
		if parent == None || from.Nodes[parent].Container() && mapping[from.Nodes[parent].ID] != "" {
			c.positions(parent)
		}
	}
	c.undoing()
	for i := range from.Nodes {
		if target, ok := to.nodes[mapping[from.Nodes[i].ID]]; ok {
			c.events(i, target)
			c.variables(i, target)
		}
	}
	return c.findings
}

// Rests names the nodes at which a token of m can rest between two steps: those
// that a mapping must name.
func Rests(m *Model) map[string]bool {
	out := map[string]bool{}
	for i := range m.Nodes {
		if n := &m.Nodes[i]; n.rest() != "" && !n.listens() {
			out[n.ID] = true
		}
	}
	return out
}

// rest says how a token rests at n between two steps, "" when it never does
// unless it fails.
func (n *Node) rest() string {
	switch {
	case n.Human:
		return "human task"
	case n.Service:
		return "service task"
	case n.Container():
		return "subprocess"
	case n.Type == bpmn.CallActivity:
		return "call"
	case n.Type == bpmn.EventBasedGateway:
		return "event"
	case n.Type == bpmn.ParallelGateway && len(n.In) > 1, n.Type == bpmn.InclusiveGateway && len(n.In) > 1:
		return string(n.Type)
	case n.Type == bpmn.ReceiveTask:
		return "message"
	case n.Type == bpmn.IntermediateCatchEvent && n.Kind != bpmn.LinkEvent:
		return string(n.Kind)
	case n.listens():
		return string(n.Type) + " " + string(n.Kind)
	case n.Kind == bpmn.CompensateEvent && n.Type != bpmn.StartEvent && n.Type != bpmn.BoundaryEvent, n.Kind == bpmn.CancelEvent && n.Type == bpmn.EndEvent:
		return string(n.Type) + " " + string(n.Kind)
	}
	return ""
}

// listens reports whether n waits beside the tokens that rest: a boundary event or
// the start of an event subprocess.
func (n *Node) listens() bool {
	if n.Kind == bpmn.CompensateEvent {
		return false
	}
	return n.Type == bpmn.BoundaryEvent || n.Type == bpmn.StartEvent && n.Kind != "" && n.Kind != bpmn.NoneEvent && n.Parent != None
}

// loopKind tells loops apart whose instances stand for different things.
func loopKind(l *Loop) string {
	switch {
	case l == nil:
		return ""
	case !l.MultiInstance:
		return "loop"
	case l.Sequential:
		return "one after another"
	}
	return "side by side"
}

// mappingCheck is one run of CheckMapping.
type mappingCheck struct {
	from, to     *Model
	by           Mapping
	flows        map[string]string // flows of from to their twins
	sound        bool              // to is
	after, later [][]bool          // nodes that can follow a node, in from and in to
	findings     []Finding
}

func (c *mappingCheck) find(severity Severity, code string, elements []string, params ...fault.Param) {
	c.findings = append(c.findings, Finding{Code: code, Severity: severity, Elements: elements, Params: params})
}

// targets checks each pair of the mapping by itself.
func (c *mappingCheck) targets() {
	for _, id := range slices.Sorted(maps.Keys(c.by)) {
		if _, ok := c.from.nodes[id]; !ok {
			c.find(SeverityError, "MAPPING_NODE_UNKNOWN", []string{id}, fault.P("node", id))
		}
	}
	for i := range c.from.Nodes {
		n := &c.from.Nodes[i]
		target, named := c.by[n.ID]
		at, known := c.to.nodes[target]
		switch {
		case !named && n.rest() != "" && !n.listens():
			c.find(SeverityError, "MAPPING_NODE_MISSING", []string{n.ID})
		case !named:
		case !known:
			c.find(SeverityError, "MAPPING_NODE_UNKNOWN", []string{n.ID}, fault.P("node", target))
		default:
			c.pair(n, &c.to.Nodes[at])
		}
	}
}

// pair checks that a token resting at n can rest at target.
func (c *mappingCheck) pair(n, target *Node) {
	if n.rest() == "" || n.rest() != target.rest() || loopKind(n.Loop) != loopKind(target.Loop) {
		c.find(SeverityError, "MAPPING_KIND", []string{n.ID}, fault.P("target", target.ID))
		return
	}
	inside := n.Parent == None && target.Parent == None ||
		n.Parent != None && target.Parent != None && c.by[c.from.Nodes[n.Parent].ID] == c.to.Nodes[target.Parent].ID
	if n.Type == bpmn.BoundaryEvent {
		inside = c.by[c.from.Nodes[n.AttachedTo].ID] == c.to.Nodes[target.AttachedTo].ID
	}
	if !inside {
		c.find(SeverityError, "MAPPING_SCOPE", []string{n.ID}, fault.P("target", target.ID))
		return
	}
	if n.Type == bpmn.ParallelGateway || n.Type == bpmn.InclusiveGateway {
		for _, f := range n.In {
			if c.branch(c.from.Flows[f].ID, target) == None {
				c.find(SeverityError, "MAPPING_JOIN_BRANCH", []string{n.ID}, fault.P("flow", c.from.Flows[f].ID), fault.P("target", target.ID))
			}
		}
	}
}

// branch returns the flow into a join that stands for a flow of the old version,
// None when there is none.
func (c *mappingCheck) branch(flow string, join *Node) int {
	for _, f := range join.In {
		if c.to.Flows[f].ID == c.flows[flow] {
			return f
		}
	}
	return None
}

// types checks that variables of both versions hold the same.
func (c *mappingCheck) types() {
	for _, v := range c.from.Variables {
		if i, ok := c.to.variables[v.Name]; ok && c.to.Variables[i].Type != v.Type {
			c.find(SeverityError, "MAPPING_VARIABLE_TYPE", []string{c.to.graph.ID}, fault.P("variable", v.Name),
				fault.P("from", string(v.Type)), fault.P("to", string(c.to.Variables[i].Type)))
		}
	}
}

// undoing finds activities whose completion could be undone and cannot any more.
func (c *mappingCheck) undoing() {
	twins, _ := bpmn.Twins(c.from.graph, c.to.graph)
	for i := range c.from.Nodes {
		n := &c.from.Nodes[i]
		if !n.Undoable {
			continue
		}
		id, ok := c.by[n.ID]
		if !ok {
			id = twins[n.ID]
		}
		if at, ok := c.to.nodes[id]; !ok || !c.to.Nodes[at].Undoable {
			c.find(SeverityWarning, "MAPPING_COMPENSATION_LOST", []string{n.ID})
		}
	}
}

// positions checks that wherever the tokens of a scope can rest, they can go on
// and complete in the new version.
func (c *mappingCheck) positions(parent int) {
	scope, other := c.from.graph.ID, None
	if parent != None {
		scope = c.from.Nodes[parent].ID
		other = c.to.nodes[c.by[scope]]
	}
	undecided := func() {
		c.find(SeverityNote, "MAPPING_UNDECIDED", []string{scope}, fault.P("limit", maxMarkings))
	}
	old, ok := newNet(c.from, parent)
	if !ok {
		undecided()
		return
	}
	next, ok := newNet(c.to, other)
	if !ok {
		undecided()
		return
	}
	good := map[string]bool{}
	if all, done := next.reach(maxMarkings); done && c.sound {
		for key := range all {
			good[key] = true // a position of the new version itself
		}
	}
	here, every := old.reach(maxMarkings)
	if !every {
		undecided()
	}
	for _, k := range old.resting(here) {
		mapped, clash := c.carry(old, next, k)
		v, done := &verdict{code: "SOUND_LACK_OF_SYNCHRONISATION"}, true
		if !clash {
			v, done = next.explore(mapped, maxMarkings, good)
		}
		switch {
		case v != nil:
			c.find(SeverityError, "MAPPING_NOT_SOUND", old.stuck(k), fault.P("reason", v.code), fault.P("path", v.path))
			return
		case !done:
			undecided()
			return
		}
	}
}

// carry maps a position; clash says that two tokens meet.
func (c *mappingCheck) carry(old, next *net, k marking) (mapped marking, clash bool) {
	mapped = make(marking, (next.places+63)/64)
	for p := 1; p < old.places; p++ {
		if !k.has(p) {
			continue
		}
		target := c.to.nodes[c.by[c.from.Nodes[old.target[p]].ID]]
		q := slices.Index(next.target, target)
		if node := &c.to.Nodes[target]; node.Type == bpmn.ParallelGateway || node.Type == bpmn.InclusiveGateway {
			q = slices.Index(next.flow, c.branch(c.from.Flows[old.flow[p]].ID, node))
		}
		if q < 0 {
			return mapped, true // nothing leads to the target
		}
		clash = clash || mapped.has(q)
		mapped[q>>6] |= 1 << (q & 63)
	}
	return mapped, clash
}

// reach returns the markings of a net by key, and whether these are all.
func (n *net) reach(limit int) (all map[string]marking, done bool) {
	first := n.beginning()
	all = map[string]marking{first.key(): first}
	queue := []marking{first}
	for len(queue) > 0 {
		k := queue[0]
		queue = queue[1:]
		for i := range n.moves {
			if !n.enabled(k, i) {
				continue
			}
			next, clash := n.fire(k, i)
			if key := next.key(); !clash && all[key] == nil {
				if len(all) >= limit {
					return all, false
				}
				all[key] = next
				queue = append(queue, next)
			}
		}
	}
	return all, true
}

// resting keeps the markings between two steps, in a fixed order.
func (n *net) resting(all map[string]marking) []marking {
	var out []marking
	for _, key := range slices.Sorted(maps.Keys(all)) {
		k := all[key]
		rests := !k.empty() && !k.has(0)
		for p := 1; p < n.places && rests; p++ {
			rests = !k.has(p) || n.m.Nodes[n.target[p]].rest() != ""
		}
		if rests {
			out = append(out, k)
		}
	}
	return out
}

// events finds domain events that a case at node i would still have seen and at
// target will not see any more.
func (c *mappingCheck) events(i, target int) {
	ahead := coming(c.to, c.later, target)
	for _, name := range slices.Sorted(maps.Keys(coming(c.from, c.after, i))) {
		if !ahead[name] {
			c.find(SeverityWarning, "MAPPING_EVENT_LOST", []string{c.from.Nodes[i].ID}, fault.P("event", name), fault.P("target", c.to.Nodes[target].ID))
		}
	}
}

// coming are the domain events bound at a node, after it was entered, or at one
// that can follow it.
func coming(m *Model, after [][]bool, node int) map[string]bool {
	out := map[string]bool{}
	for i := range m.Nodes {
		for _, b := range m.Nodes[i].Events {
			if after[node][i] || i == node && b.On != "enter" {
				out[b.Name] = true
			}
		}
	}
	return out
}

// variables finds what is read at target or after it and nothing can have written
// when a case comes there from node i.
func (c *mappingCheck) variables(i, target int) {
	for r := range c.to.Nodes {
		if r != target && !c.later[target][r] {
			continue
		}
		for _, x := range c.to.reads(r) {
			if !c.written(x, r, i, target) {
				c.find(SeverityWarning, "MAPPING_VARIABLE_UNSET", []string{c.from.Nodes[i].ID}, fault.P("variable", x.name), fault.P("reader", x.element))
			}
		}
	}
}

// written reports whether a name has a value when it is read at node r of to, in a
// case that came from node i to target.
func (c *mappingCheck) written(x read, r, i, target int) bool {
	for _, v := range c.from.Variables {
		if v.Input && touches(v.Name, x.name) {
			return true
		}
	}
	for _, d := range c.to.defaults {
		if touches(c.to.Variables[d.variable].Name, x.name) {
			return true
		}
	}
	for w := range c.from.Nodes {
		if !slices.ContainsFunc(c.from.Nodes[w].writes(), func(name string) bool { return touches(name, x.name) }) {
			continue
		}
		if c.after[w][i] || w != i && !c.after[i][w] {
			return true
		}
	}
	for w := range c.to.Nodes {
		if w != target && !c.later[target][w] || !slices.ContainsFunc(c.to.Nodes[w].writes(), func(name string) bool { return touches(name, x.name) }) {
			continue
		}
		if w == r && x.own || c.later[w][r] || w != r && !c.later[r][w] {
			return true
		}
	}
	return false
}

// reachability says for each node which can be visited after it.
func reachability(m *Model) [][]bool {
	out := make([][]bool, len(m.Nodes))
	for i := range out {
		out[i] = m.follow(i)
	}
	return out
}
