package model

import (
	"slices"
	"strings"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
)

// dataflow finds variables that are read before anything can have written them:
// no input, no default, and every node that writes them comes strictly after the
// reader, or stands on another branch of a process without parallel work. What is
// read on some paths only without a write is no finding: expressions ask has().
// Cost: variables read times nodes and flows.
func (c *compiler) dataflow() {
	f := &flowCheck{compiler: c, writers: map[string][]int{}, after: make([][]bool, len(c.m.Nodes)), given: map[string]bool{}}
	for _, v := range c.m.Variables {
		if v.Input {
			f.given[v.Name] = true
		}
	}
	for _, d := range c.m.defaults {
		f.given[c.m.Variables[d.variable].Name] = true
	}
	for i := range c.m.Nodes {
		n := &c.m.Nodes[i]
		for _, name := range n.writes() {
			f.writers[name] = append(f.writers[name], i)
		}
		f.parallel = f.parallel || n.parallel()
	}
	for i := range c.m.Nodes {
		f.node(i)
	}
}

// flowCheck is one run of dataflow.
type flowCheck struct {
	*compiler
	writers  map[string][]int // nodes by what they write: a variable or a name space
	given    map[string]bool  // variables with a value from the start
	after    [][]bool         // nodes that can follow a node, worked out when asked for
	parallel bool             // there is work side by side
}

// writes are the names that a stay at a node can write.
func (n *Node) writes() []string {
	var out []string
	for _, x := range n.Fields {
		if !x.ReadOnly {
			out = append(out, x.Variable)
		}
	}
	if n.Result != "" {
		out = append(out, n.Result)
	}
	for _, r := range n.Reschedule {
		out = append(out, r.Variable)
	}
	if n.Loop != nil && n.Loop.Element != "" {
		out = append(out, n.Loop.Element)
	}
	if n.Decision != nil {
		out = append(out, n.Decision.Outputs...)
	}
	return out
}

// parallel reports whether work can go on side by side because of n.
func (n *Node) parallel() bool {
	switch n.Type {
	case bpmn.ParallelGateway, bpmn.InclusiveGateway:
		return len(n.Out) > 1
	case bpmn.BoundaryEvent:
		return !n.Interrupting
	}
	return n.EventSub || len(n.Out) > 1 && n.Activity() || n.Loop != nil && n.Loop.MultiInstance
}

// node checks what is read at a node.
func (f *flowCheck) node(i int) {
	for _, x := range f.m.reads(i) {
		if !f.written(x.name, i, x.own) {
			f.fail("VARIABLE_READ_BEFORE_WRITE", x.element, fault.P("variable", x.name))
		}
	}
}

// written reports whether something can have written a name when node i reads it.
func (f *flowCheck) written(name string, i int, own bool) bool {
	for v := range f.given {
		if touches(v, name) {
			return true
		}
	}
	for w, nodes := range f.writers {
		if !touches(w, name) {
			continue
		}
		for _, n := range nodes {
			if n == i && own || f.precedes(n, i) {
				return true
			}
		}
	}
	return false
}

// touches reports whether two dotted names are the same or one contains the other.
func touches(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}

// precedes reports whether a stay at writer can come before one at reader.
func (f *flowCheck) precedes(writer, reader int) bool {
	if f.follow(writer)[reader] {
		return true
	}
	return f.parallel && writer != reader && !f.follow(reader)[writer]
}

// follow marks the nodes that can be visited after a visit of n.
func (f *flowCheck) follow(n int) []bool {
	if f.after[n] == nil {
		f.after[n] = f.m.follow(n)
	}
	return f.after[n]
}

// read is a name that an expression at a node reads.
type read struct {
	name, element string
	own           bool // what the node writes itself is there by then
}

// reads lists what the expressions at a node and on the flows out of it read.
func (m *Model) reads(i int) []read {
	n := &m.Nodes[i]
	var before, own []*expr.Program
	before = append(before, n.Correlation, n.Script, n.Condition)
	if t := n.Timer; t != nil {
		before = append(before, t.Date, t.Duration, t.Cycle)
	}
	if l := n.Loop; l != nil {
		before = append(before, l.Cardinality, l.Collection)
		own = append(own, l.Completion, l.Condition)
	}
	if d := n.Decision; d != nil {
		for _, r := range d.rules {
			before = append(append(before, r.when), r.then...)
		}
	}
	for _, r := range m.Rules(i, "claim") {
		before = append(before, r.Program)
	}
	for _, r := range m.Rules(i, "complete") {
		own = append(own, r.Program)
	}
	out := namesOf(nil, n.ID, before, len(n.Reschedule) > 0)
	out = namesOf(out, n.ID, own, true)
	for _, o := range n.Out {
		out = namesOf(out, m.Flows[o].ID, []*expr.Program{m.Flows[o].Condition}, true)
	}
	return out
}

// namesOf adds the names that programs of an element read, each once.
func namesOf(out []read, element string, programs []*expr.Program, own bool) []read {
	seen := map[string]bool{}
	for _, p := range programs {
		if p == nil {
			continue
		}
		for _, name := range p.Reads() {
			if !seen[name] {
				seen[name] = true
				out = append(out, read{name, element, own})
			}
		}
	}
	return out
}

// follow marks the nodes that can be visited after a visit of n.
func (m *Model) follow(n int) []bool {
	out := make([]bool, len(m.Nodes))
	queue := slices.Clone(m.after(n))
	if m.Nodes[n].Activity() {
		queue = append(queue, m.Nodes[n].Boundary...)
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if out[at] {
			continue
		}
		out[at] = true
		queue = append(queue, m.after(at)...)
	}
	return out
}
