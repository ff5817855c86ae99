package model

import (
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
)

// compensation joins activities to what undoes them and thrown compensations to
// the activities they undo (BPMN 2.0.2, 13.5.5).
func (c *compiler) compensation() {
	m := c.m
	handles := map[int]bool{}
	for i := range m.Nodes {
		n := &m.Nodes[i]
		if n.Kind != bpmn.CompensateEvent {
			continue
		}
		switch n.Type {
		case bpmn.BoundaryEvent:
			if h, ok := c.handler(i); ok {
				handles[h] = true
			}
		case bpmn.StartEvent:
			c.undoSub(n)
		}
	}
	for i := range m.Nodes {
		if n := &m.Nodes[i]; n.UndoneBy != None && n.UndoSub != None {
			c.fail("COMPENSATION_TWICE", n.ID)
		}
		if n := &m.Nodes[i]; n.ForCompensation && (!handles[i] || len(n.In) > 0 || len(n.Out) > 0 || len(n.Boundary) > 0) {
			c.fail("COMPENSATION_HANDLER_LOOSE", n.ID)
		}
	}
	for i := range m.Nodes {
		m.Nodes[i].Undoable = m.undoable(i)
	}
	for i := range m.Nodes {
		if n := &m.Nodes[i]; n.Kind == bpmn.CompensateEvent && (n.Type == bpmn.IntermediateThrowEvent || n.Type == bpmn.EndEvent) {
			c.undoes(n)
			m.compensators = append(m.compensators, i)
		}
	}
}

// handler joins a compensation boundary event to the activity that undoes.
func (c *compiler) handler(i int) (int, bool) {
	n := &c.m.Nodes[i]
	if n.AttachedTo == None {
		return None, false // reported by attach
	}
	h, ok := c.m.nodes[c.g.Nodes[i].Handler]
	if !ok || c.m.Nodes[h].Parent != n.Parent || !c.m.Nodes[h].Activity() || h == n.AttachedTo || len(n.Out) > 0 {
		c.fail("COMPENSATION_HANDLER_MISSING", n.ID)
		return None, false
	}
	host := &c.m.Nodes[n.AttachedTo]
	if n.Handler = h; host.UndoneBy != None {
		c.fail("COMPENSATION_TWICE", host.ID)
	}
	host.UndoneBy = i
	return h, true
}

// undoSub joins the start of a compensation event subprocess to the subprocess
// that it undoes.
func (c *compiler) undoSub(start *Node) {
	if start.Parent == None || !c.m.Nodes[start.Parent].EventSub {
		return // reported by scope
	}
	sub := &c.m.Nodes[start.Parent]
	if sub.Parent == None || c.m.Nodes[sub.Parent].EventSub {
		c.fail("NODE_NOT_EXECUTABLE", start.ID, fault.P("type", "startEvent compensate"))
		return
	}
	host := &c.m.Nodes[sub.Parent]
	if host.UndoSub != None {
		c.fail("COMPENSATION_TWICE", host.ID)
	}
	host.UndoSub = sub.Index
}

// undoable reports whether undoing a node's completion does anything: it has a
// handler, or holds something that has. A handler is not undone itself.
func (m *Model) undoable(i int) bool {
	n := &m.Nodes[i]
	switch {
	case !n.Activity() || n.EventSub || n.ForCompensation:
		return false
	case n.UndoneBy != None || n.UndoSub != None:
		return true
	}
	for j := range m.Nodes {
		if n.Container() && m.Nodes[j].Parent == i && m.undoable(j) {
			return true
		}
	}
	return false
}

// undoes resolves the activity that a thrown compensation names: one of the same
// scope or, from an event subprocess, of the scope around that.
func (c *compiler) undoes(n *Node) {
	id := c.g.Nodes[n.Index].Event.Name
	if id == "" {
		return
	}
	at, ok := c.m.nodes[id]
	if !ok || !c.m.Nodes[at].Undoable || !c.m.visible(n, at) {
		c.fail("COMPENSATION_ACTIVITY_UNKNOWN", n.ID, fault.P("activity", id))
		return
	}
	n.Undoes = at
}

// visible reports whether a compensation thrown at n can undo an activity.
func (m *Model) visible(n *Node, activity int) bool {
	for p := n.Parent; ; p = m.Nodes[p].Parent {
		if m.Nodes[activity].Parent == p {
			return true
		}
		if p == None || !m.Nodes[p].EventSub {
			return false
		}
	}
}
