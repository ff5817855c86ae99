package model

import (
	"slices"
	"strings"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
)

// structure checks that the connected nodes can be played at all.
func (c *compiler) structure() {
	for i := range c.m.Nodes {
		c.executable(&c.m.Nodes[i])
		c.ends(&c.m.Nodes[i])
		c.branches(&c.m.Nodes[i])
	}
	c.scope(None, c.m.Starts)
	c.reachable()
}

// runs lists the event kinds each event element can have; what is missing is
// shown and kept but does not run.
var runs = map[bpmn.NodeType]map[bpmn.EventKind]bool{
	bpmn.StartEvent: {
		bpmn.NoneEvent: true, bpmn.MessageEvent: true, bpmn.TimerEvent: true, bpmn.SignalEvent: true,
		bpmn.ErrorEvent: true, bpmn.EscalationEvent: true, bpmn.ConditionalEvent: true, bpmn.CompensateEvent: true,
	},
	bpmn.EndEvent: {
		bpmn.NoneEvent: true, bpmn.MessageEvent: true, bpmn.ErrorEvent: true, bpmn.TerminateEvent: true,
		bpmn.EscalationEvent: true, bpmn.SignalEvent: true, bpmn.CompensateEvent: true, bpmn.CancelEvent: true,
	},
	bpmn.IntermediateCatchEvent: {
		bpmn.TimerEvent: true, bpmn.MessageEvent: true, bpmn.SignalEvent: true, bpmn.LinkEvent: true,
		bpmn.ConditionalEvent: true,
	},
	bpmn.IntermediateThrowEvent: {
		bpmn.NoneEvent: true, bpmn.MessageEvent: true, bpmn.EscalationEvent: true, bpmn.SignalEvent: true, bpmn.LinkEvent: true,
		bpmn.CompensateEvent: true,
	},
	bpmn.BoundaryEvent: {
		bpmn.TimerEvent: true, bpmn.MessageEvent: true, bpmn.ErrorEvent: true, bpmn.EscalationEvent: true, bpmn.SignalEvent: true,
		bpmn.ConditionalEvent: true, bpmn.CompensateEvent: true, bpmn.CancelEvent: true,
	},
}

// executable refuses what the engine does not play.
func (c *compiler) executable(n *Node) {
	if kinds, event := runs[n.Type]; event {
		if !kinds[n.Kind] || n.Kind == bpmn.CancelEvent && !c.cancels(n) {
			c.fail("NODE_NOT_EXECUTABLE", n.ID, fault.P("type", string(n.Type)+" "+string(n.Kind)))
		}
		return
	}
	switch n.Type {
	case bpmn.ComplexGateway, bpmn.AdHocSubProcess:
		c.fail("NODE_NOT_EXECUTABLE", n.ID, fault.P("type", string(n.Type)))
	case bpmn.CallActivity:
		if n.Called == "" {
			c.fail("CALLED_PROCESS_MISSING", n.ID)
		}
	case bpmn.ReceiveTask:
		if n.Kind != bpmn.MessageEvent {
			c.fail("EVENT_NAME_MISSING", n.ID, fault.P("kind", "message"))
		}
	case bpmn.EventBasedGateway:
		for _, f := range n.Out {
			t := &c.m.Nodes[c.m.Flows[f].To]
			catches := t.Type == bpmn.ReceiveTask || t.Type == bpmn.IntermediateCatchEvent && t.Kind != bpmn.LinkEvent
			if !catches || len(t.In) != 1 {
				c.fail("EVENT_GATEWAY_TARGET", t.ID)
			}
		}
	}
}

// cancels reports whether a cancel event is where it can be: at the end of a
// transaction that a cancel boundary event leads out of, or at its border. The
// instances of a looping transaction cannot be cancelled each by itself.
func (c *compiler) cancels(n *Node) bool {
	at := n.AttachedTo
	if n.Type == bpmn.EndEvent {
		at = n.Parent
	}
	if at == None || c.m.Nodes[at].Type != bpmn.Transaction || c.m.Nodes[at].Loop != nil {
		return false
	}
	return slices.ContainsFunc(c.m.Nodes[at].Boundary, func(b int) bool { return c.m.Nodes[b].Kind == bpmn.CancelEvent })
}

// ends checks that flows begin and end where they may.
func (c *compiler) ends(n *Node) {
	in, out := len(n.In), len(n.Out)
	free := n.EventSub || n.ForCompensation || n.Type == bpmn.BoundaryEvent && n.Kind == bpmn.CompensateEvent
	linkThrow := n.Kind == bpmn.LinkEvent && n.Type == bpmn.IntermediateThrowEvent
	linkCatch := n.Kind == bpmn.LinkEvent && n.Type == bpmn.IntermediateCatchEvent
	switch {
	case n.Type == bpmn.EndEvent && out > 0, linkThrow && out > 0:
		c.fail("END_WITH_OUTGOING_FLOW", n.ID)
	case n.Type != bpmn.EndEvent && out == 0 && !free && !linkThrow:
		c.fail("DEAD_END", n.ID)
	}
	switch {
	case (n.Type == bpmn.StartEvent || n.Type == bpmn.BoundaryEvent || linkCatch || n.EventSub) && in > 0:
		c.fail("START_WITH_INCOMING_FLOW", n.ID)
	}
}

// branches checks the conditions of flows that leave a node.
func (c *compiler) branches(n *Node) {
	if n.Default != None && c.m.Flows[n.Default].Condition != nil {
		c.report(SeverityWarning, "DEFAULT_FLOW_WITH_CONDITION", []string{c.m.Flows[n.Default].ID})
	}
	decides := n.Type == bpmn.ExclusiveGateway || n.Type == bpmn.InclusiveGateway
	bare := false
	for _, f := range n.Out {
		flow := &c.m.Flows[f]
		switch {
		case decides && len(n.Out) > 1 && strings.TrimSpace(c.g.Flows[f].Condition) == "" && f != n.Default:
			bare = true
			c.fail("FLOW_WITHOUT_CONDITION", flow.ID, fault.P("gateway", n.ID))
		case flow.Condition != nil && (n.Type == bpmn.ParallelGateway || n.Type == bpmn.EventBasedGateway || n.Type == bpmn.StartEvent):
			c.fail("FLOW_CONDITION_IGNORED", flow.ID, fault.P("node", n.ID))
		}
	}
	if decides && len(n.Out) > 1 && n.Default == None && !bare {
		c.report(SeverityNote, "GATEWAY_WITHOUT_DEFAULT", []string{n.ID})
	}
	if n.Type == bpmn.ParallelGateway && len(n.In) < 2 && len(n.Out) < 2 {
		c.report(SeverityNote, "GATEWAY_WITHOUT_EFFECT", []string{n.ID})
	}
}

// scope checks the start and end of the process or one subprocess and of those inside.
func (c *compiler) scope(parent int, starts []int) {
	id := c.g.ID
	event := false
	if parent != None {
		id, event = c.m.Nodes[parent].ID, c.m.Nodes[parent].EventSub
	}
	end := false
	for i := range c.m.Nodes {
		n := &c.m.Nodes[i]
		if n.Parent != parent {
			continue
		}
		end = end || n.Type == bpmn.EndEvent
		if n.Container() {
			c.scope(i, n.Starts)
		}
	}
	if !end {
		c.fail("END_MISSING", id)
	}
	switch {
	case len(starts) == 0:
		c.fail("START_MISSING", id)
	case parent != None && len(starts) > 1:
		c.fail("START_NOT_ONE", id)
	case event && c.m.Nodes[starts[0]].Kind == bpmn.NoneEvent:
		c.fail("START_WITHOUT_EVENT", c.m.Nodes[starts[0]].ID)
	case parent != None && !event && c.m.Nodes[starts[0]].Kind != bpmn.NoneEvent:
		c.fail("START_WITH_EVENT", c.m.Nodes[starts[0]].ID)
	case parent == None:
		c.processStarts(starts)
	}
}

// processStarts checks the starts of the process: at most one without an event,
// none that only an event subprocess can have, none by time where time cannot give
// what must be given.
func (c *compiler) processStarts(starts []int) {
	plain := 0
	for _, s := range starts {
		switch c.m.Nodes[s].Kind {
		case bpmn.NoneEvent:
			if plain++; plain > 1 {
				c.fail("START_NOT_ONE", c.m.Nodes[s].ID)
			}
		case bpmn.TimerEvent:
			for i := range c.m.Variables {
				if v := &c.m.Variables[i]; v.Input && v.Required {
					c.fail("START_INPUT_REQUIRED", c.m.Nodes[s].ID, fault.P("variable", v.Name))
				}
			}
		case bpmn.ErrorEvent, bpmn.EscalationEvent, bpmn.ConditionalEvent, bpmn.CompensateEvent:
			c.fail("NODE_NOT_EXECUTABLE", c.m.Nodes[s].ID, fault.P("type", "startEvent "+string(c.m.Nodes[s].Kind)))
		}
	}
}

// reachable reports the nodes that no start leads to.
func (c *compiler) reachable() {
	m := c.m
	seen := make([]bool, len(m.Nodes))
	var stack []int
	stack = append(append(stack, m.Starts...), m.EventSubs...)
	if len(m.Starts) == 0 {
		return // reported by scope
	}
	for i := range m.Nodes { // what no event leads to is reported by compensation
		if n := &m.Nodes[i]; n.ForCompensation || n.Type == bpmn.BoundaryEvent && n.Kind == bpmn.CompensateEvent {
			stack = append(stack, i)
		}
	}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		stack = append(append(m.next(i, stack), m.Nodes[i].Starts...), m.Nodes[i].EventSubs...)
	}
	for i, ok := range seen {
		n := &m.Nodes[i]
		loose := n.Type == bpmn.BoundaryEvent && n.AttachedTo == None // reported by attach
		if !ok && !loose {
			c.fail("NODE_UNREACHABLE", n.ID)
		}
	}
}
