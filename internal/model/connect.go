package model

import (
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
)

// connect joins the compiled nodes: flows, boundary events, subprocesses, links.
func (c *compiler) connect() {
	m := c.m
	for i := range m.Flows {
		f := &m.Flows[i]
		f.Condition = c.compile(c.g.Flows[i].Condition, expr.Bool, f.ID)
		m.Nodes[f.From].Out = append(m.Nodes[f.From].Out, i)
		m.Nodes[f.To].In = append(m.Nodes[f.To].In, i)
	}
	for i, n := range c.g.Nodes {
		c.attach(i, n)
		c.enclose(i)
		if n.Default != "" {
			f, ok := c.flows[n.Default]
			if !ok || m.Flows[f].From != i {
				c.fail("DEFAULT_FLOW_UNKNOWN", n.ID, fault.P("flow", n.Default))
				continue
			}
			m.Nodes[i].Default = f
		}
	}
	c.links()
}

// attach joins a boundary event to its activity.
func (c *compiler) attach(i int, n *bpmn.Node) {
	if n.Type != bpmn.BoundaryEvent {
		return
	}
	a, ok := c.m.nodes[n.AttachedTo]
	if !ok || !c.m.Nodes[a].Activity() || c.m.Nodes[a].Parent != c.m.Nodes[i].Parent || c.m.Nodes[a].EventSub {
		c.fail("BOUNDARY_UNATTACHED", n.ID)
		return
	}
	c.m.Nodes[i].AttachedTo = a
	if n.Event != nil && n.Event.Kind == bpmn.CompensateEvent {
		return // never waits while the activity runs; see compensation
	}
	c.m.Nodes[a].Boundary = append(c.m.Nodes[a].Boundary, i)
}

// enclose enters a start event or event subprocess into what encloses it.
func (c *compiler) enclose(i int) {
	n := &c.m.Nodes[i]
	starts, subs := &c.m.Starts, &c.m.EventSubs
	if n.Parent != None {
		p := &c.m.Nodes[n.Parent]
		starts, subs = &p.Starts, &p.EventSubs
	}
	switch {
	case n.Type == bpmn.StartEvent:
		*starts = append(*starts, i)
	case n.EventSub:
		*subs = append(*subs, i)
	}
}

// links joins link throw events to the catching event of their name and scope.
func (c *compiler) links() {
	for i := range c.m.Nodes {
		n := &c.m.Nodes[i]
		if n.Kind != bpmn.LinkEvent || n.Type != bpmn.IntermediateThrowEvent {
			continue
		}
		for j := range c.m.Nodes {
			t := &c.m.Nodes[j]
			if t.Kind == bpmn.LinkEvent && t.Type == bpmn.IntermediateCatchEvent && t.Parent == n.Parent && t.Message == n.Message {
				n.LinkTo = j
			}
		}
		if n.LinkTo == None {
			c.fail("LINK_WITHOUT_TARGET", n.ID, fault.P("name", n.Message))
		}
	}
}

// guards compiles the guard rules.
func (c *compiler) guards() {
	for _, r := range c.g.Extension.Rules {
		i, ok := c.m.nodes[r.Node]
		if !ok {
			c.fail("RULE_NODE_UNKNOWN", c.g.ID, fault.P("rule", r.ID), fault.P("node", r.Node))
			continue
		}
		if (r.On != "claim" && r.On != "complete" && r.On != "enter") || (r.Result != "block" && r.Result != "flag") {
			c.fail("RULE_MALFORMED", r.Node, fault.P("rule", r.ID))
			continue
		}
		p := c.compile(r.CEL, expr.Bool, r.Node)
		if p == nil {
			if r.CEL == "" {
				c.fail("RULE_MALFORMED", r.Node, fault.P("rule", r.ID))
			}
			continue
		}
		key := c.m.Nodes[i].ID + "/" + r.On
		c.m.rules[key] = append(c.m.rules[key], Rule{ID: r.ID, Result: r.Result, TextZh: r.TextZh, TextEn: r.TextEn, Clause: r.Clause, Program: p})
	}
}

// breaches checks what is to follow when a clock is breached.
func (c *compiler) breaches() {
	seen := map[string]bool{}
	for _, b := range c.g.Extension.Breaches {
		whole := b.Do == "escalate" && b.Role != "" && b.Process == "" || b.Do == "open" && b.Process != "" && b.Role == ""
		if b.ID == "" || seen[b.ID] || !whole {
			c.fail("BREACH_ACTION_MALFORMED", c.g.ID, fault.P("action", b.ID))
		}
		seen[b.ID] = true
	}
}

// next appends the nodes that a token at n can go to next within n's scope:
// along flows, links and boundary events, and from an activity to what undoes it.
func (m *Model) next(n int, out []int) []int {
	node := &m.Nodes[n]
	for _, f := range node.Out {
		out = append(out, m.Flows[f].To)
	}
	out = append(out, node.Boundary...)
	for _, i := range []int{node.LinkTo, node.UndoneBy, node.Handler} {
		if i != None {
			out = append(out, i)
		}
	}
	return out
}

// reach computes what inclusive joins must wait for; see Node.Reach. Cost:
// nodes + flows for each incoming flow of a join.
func (c *compiler) reach() {
	m := c.m
	before := make([][]int, len(m.Nodes))
	for i := range m.Nodes {
		for _, j := range m.next(i, nil) {
			before[j] = append(before[j], i)
		}
	}
	words := (len(m.Nodes) + 63) / 64
	for j := range m.Nodes {
		n := &m.Nodes[j]
		if n.Type != bpmn.InclusiveGateway || len(n.In) < 2 {
			continue
		}
		for _, f := range n.In {
			bits := make([]uint64, words)
			stack := []int{m.Flows[f].From}
			for len(stack) > 0 {
				x := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				if x == j || bits[x>>6]&(1<<(x&63)) != 0 {
					continue
				}
				bits[x>>6] |= 1 << (x & 63)
				stack = append(stack, before[x]...)
			}
			n.Reach = append(n.Reach, bits)
		}
	}
}
