package engine

import (
	"fmt"
	"slices"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// catch waits at an intermediate event.
func (r *run) catch(seq int) {
	t := r.tok(seq)
	var err error
	switch r.m.Nodes[t.Node].Kind {
	case bpmn.TimerEvent:
		t.Status = AtTimer
		err = r.arm(seq, t.Node)
	case bpmn.MessageEvent:
		err = r.await(seq, AtMessage)
	case bpmn.SignalEvent:
		err = r.await(seq, AtSignal)
	case bpmn.ConditionalEvent:
		t.Status, t.Held = AtTrue, false
	}
	if err != nil {
		r.failed(seq, err)
	}
}

// await lets a token wait for the message or signal of its node.
func (r *run) await(seq int, status Status) error {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	key, err := r.key(n, t.Scope)
	if err != nil {
		return err
	}
	t.Status, t.WaitName, t.WaitKey = status, n.Message, key
	if n.Kind != bpmn.SignalEvent {
		r.emit(Effect{Kind: MessageWait, Token: seq, Node: t.Node, Name: n.Message, Key: key})
	}
	return nil
}

// key evaluates the correlation of a node, "" for correlation by case.
func (r *run) key(n *model.Node, scope int) (string, error) {
	if n.Correlation == nil {
		return "", nil
	}
	v, err := n.Correlation.Eval(r.activation(scope))
	if err != nil {
		return "", err
	}
	if v == nil || v == "" {
		return "", fault.E(fault.Precondition, "CORRELATION_EMPTY", fault.P("expression", n.Correlation.Source()))
	}
	return fmt.Sprint(v), nil
}

// throw does what an intermediate throw event says and goes on.
func (r *run) throw(seq int) {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	t.Phase = Done
	switch n.Kind {
	case bpmn.MessageEvent:
		if err := r.throwMessage(seq); err != nil {
			t.Phase = Entered
			r.failed(seq, err)
			return
		}
	case bpmn.SignalEvent:
		r.throwSignal(seq, t.Node)
	case bpmn.EscalationEvent:
		r.escalate(seq, t.Node, n.Code)
	case bpmn.CompensateEvent:
		if r.compensate(seq) {
			return
		}
	}
	if r.s.find(seq) >= 0 { // it may have been cancelled by what it threw
		r.leave(seq)
	}
}

func (r *run) throwMessage(seq int) error {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	key, err := r.key(n, t.Scope)
	if err != nil {
		return err
	}
	r.emit(Effect{Kind: MessageThrown, Token: seq, Node: t.Node, Name: n.Message, Key: key, Variables: r.sent()})
	return nil
}

func (r *run) throwSignal(seq, node int) {
	name := r.m.Nodes[node].Message
	r.emit(Effect{Kind: SignalThrown, Token: seq, Node: node, Name: name, Variables: r.sent()})
	_ = r.signal(name) // without a payload a signal cannot be refused
}

// sent are the variables as they are now, to go along with what is sent.
func (r *run) sent() map[string]any { return copied(r.s.Variables).(map[string]any) }

// end consumes a token at an end event.
func (r *run) end(seq int) {
	t := r.tok(seq)
	node, scope := t.Node, t.Scope
	n := &r.m.Nodes[node]
	if (n.Kind == bpmn.CompensateEvent || n.Kind == bpmn.CancelEvent) && t.Phase != Done && r.compensate(seq) {
		return // ends when that is over
	}
	t = r.tok(seq)
	if n.Kind == bpmn.MessageEvent {
		if err := r.throwMessage(seq); err != nil {
			r.failed(seq, err)
			return
		}
	}
	r.depart(t, true)
	t.Phase = Arriving // so that a cancellation does not leave it again
	if r.outermost(scope) {
		r.s.Outcome = n.ID
	}
	switch n.Kind {
	case bpmn.TerminateEvent:
		r.terminate(scope)
		return
	case bpmn.ErrorEvent:
		if !r.caught(seq, n.Code) {
			r.s.Outcome = n.ID
			r.cancelAll()
			r.endCase(n.Code)
			return
		}
	case bpmn.SignalEvent:
		r.throwSignal(seq, node)
	case bpmn.EscalationEvent:
		r.escalate(seq, node, n.Code)
	case bpmn.CancelEvent:
		r.rise(seq, bpmn.CancelEvent, "")
		return
	}
	if r.s.find(seq) >= 0 {
		r.consume(seq)
	}
}

// outermost reports whether an end in a scope can end the case: it is the process
// or an event subprocess of the process.
func (r *run) outermost(scope int) bool {
	for scope != 0 {
		sc := r.s.scope(scope)
		if sc.Host != 0 || sc.Undo {
			return false
		}
		scope = sc.Parent
	}
	return true
}

// offer lets an event-based gateway wait for the first of its events.
func (r *run) offer(seq int) {
	t := r.tok(seq)
	node, scope := t.Node, t.Scope
	t.Status = AtEvent
	for _, f := range r.m.Nodes[node].Out {
		target := r.m.Flows[f].To
		var err error
		if r.m.Nodes[target].Kind == bpmn.TimerEvent {
			err = r.arm(seq, target)
		} else {
			err = r.listener(target, scope, seq)
		}
		if err != nil {
			r.failed(seq, err)
			return
		}
	}
}

// host sets up the boundary events of an activity.
func (r *run) host(seq int) error {
	t := r.tok(seq)
	scope := t.Scope
	for _, b := range r.m.Nodes[t.Node].Boundary {
		var err error
		switch r.m.Nodes[b].Kind {
		case bpmn.TimerEvent:
			err = r.arm(seq, b)
		case bpmn.MessageEvent, bpmn.SignalEvent, bpmn.ConditionalEvent:
			err = r.listener(b, scope, seq)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listen sets up the starts of event subprocesses in a scope.
func (r *run) listen(scope int, subs []int) error {
	for _, sub := range subs {
		start := r.m.Nodes[sub].Starts[0]
		switch r.m.Nodes[start].Kind {
		case bpmn.TimerEvent, bpmn.MessageEvent, bpmn.SignalEvent, bpmn.ConditionalEvent:
			if err := r.listener(start, scope, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// listener adds a token that waits for an event on behalf of host, or of the
// scope itself.
func (r *run) listener(node, scope, host int) error {
	n := &r.m.Nodes[node]
	key, err := r.key(n, scope)
	if err != nil {
		return err
	}
	r.s.NextToken++
	seq := r.s.NextToken
	l := Token{Seq: seq, Node: node, Scope: scope, Status: Listening, Host: host, WaitName: n.Message, WaitKey: key}
	r.s.Tokens = append(r.s.Tokens, l)
	switch n.Kind {
	case bpmn.TimerEvent:
		return r.arm(seq, node)
	case bpmn.MessageEvent:
		r.emit(Effect{Kind: MessageWait, Token: seq, Node: node, Name: n.Message, Key: key})
	}
	return nil
}

// messageReceived gives a message to the token that waits for it, else to a timer
// that it sets again.
func (r *run) messageReceived() error {
	i := r.addressee(r.ev.Name, r.ev.Key, r.ev.Token)
	if i >= 0 {
		t := &r.s.Tokens[i]
		vars, err := r.m.Payload(r.m.Nodes[t.Node].Result, r.ev.Variables)
		if err != nil {
			return err
		}
		r.merge(t.Scope, vars)
		r.happened(t.Seq)
		return nil
	}
	return r.reschedule()
}

// addressee returns the position of the token that a message goes to, -1 without:
// the lowest that waits for the name with this key or with none.
func (r *run) addressee(name, key string, token int) int {
	return addressee(r.m, r.s, name, key, token)
}

func addressee(m *model.Model, s *State, name, key string, token int) int {
	if name == "" {
		return -1
	}
	return slices.IndexFunc(s.Tokens, func(t Token) bool {
		return t.WaitName == name && (t.Status == AtMessage || t.Status == Listening && m.Nodes[t.Node].Kind != bpmn.SignalEvent) &&
			(t.WaitKey == "" || t.WaitKey == key || token == t.Seq) && (token == 0 || token == t.Seq)
	})
}

// Target says where a message would go: the variable or namespace that takes its
// payload ("" takes variables by name), the id of the node, and whether anything
// in the case waits for it.
func Target(m *model.Model, s *State, name, key string) (variable, node string, ok bool) {
	if i := addressee(m, s, name, key, 0); i >= 0 {
		n := &m.Nodes[s.Tokens[i].Node]
		return n.Result, n.ID, true
	}
	for i := range s.Tokens {
		for _, timer := range s.Tokens[i].Timers {
			n := &m.Nodes[timer.Node]
			for _, re := range n.Reschedule {
				if re.Message == name {
					return re.Variable, n.ID, true
				}
			}
		}
	}
	return "", "", false
}

// happened lets the event a token waits for happen.
func (r *run) happened(seq int) {
	t := r.tok(seq)
	switch t.Status {
	case AtMessage, AtSignal, AtTimer, AtTrue:
		if t.Status == AtMessage {
			r.emit(Effect{Kind: MessageWaitEnded, Token: seq, Node: t.Node, Name: t.WaitName, Key: t.WaitKey})
		}
		t.WaitName, t.WaitKey = "", ""
		if r.m.Nodes[t.Node].Activity() {
			r.complete(seq)
			return
		}
		r.unhost(seq)
		r.leave(seq)
	case Listening:
		r.heard(seq)
	}
}

// heard acts on the event of a listener: a boundary event, a branch of an
// event-based gateway or the start of an event subprocess.
func (r *run) heard(seq int) {
	t := r.tok(seq)
	node, host, scope := t.Node, t.Host, t.Scope
	n := &r.m.Nodes[node]
	if n.Type != bpmn.BoundaryEvent && host != 0 {
		r.decided(host, node)
		return
	}
	if n.Interrupting || n.Kind == bpmn.TimerEvent && len(t.Timers) == 0 {
		r.silence(seq)
	}
	if host != 0 {
		r.boundary(host, node)
		return
	}
	r.eventSub(scope, node)
}

// decided moves the token of an event-based gateway past the event that came first.
func (r *run) decided(gateway, node int) {
	r.unhost(gateway)
	t := r.tok(gateway)
	r.depart(t, true)
	r.moveTo(t, node, "")
	r.arrive(gateway)
	r.leave(gateway)
}

// boundary lets a boundary event of host's activity happen.
func (r *run) boundary(host, node int) {
	t := r.tok(host)
	if !r.m.Nodes[node].Interrupting {
		r.spawn(node, t.Scope)
		return
	}
	r.unhost(host)
	t = r.tok(host)
	r.depart(t, false)
	t.Begun, t.Done, t.Total, t.Body = false, 0, 0, false
	r.moveTo(t, node, "")
}

// eventSub starts an event subprocess in a scope by its start event.
func (r *run) eventSub(scope, start int) {
	sub := r.m.Nodes[start].Parent
	if r.m.Nodes[start].Interrupting {
		r.empty(scope)
	}
	inner := r.open(Scope{Parent: scope, Node: r.m.Nodes[sub].ID})
	seq := r.spawn(start, inner)
	r.emit(Effect{Kind: NodeEntered, Token: seq, Node: sub})
	if err := r.listen(inner, r.m.Nodes[sub].EventSubs); err != nil {
		r.failed(seq, err)
	}
}

// conditions lets the first conditional event happen whose condition has come to
// hold; it reports whether one did. An event that leaves its host running happens
// again only after the condition has not held in between. What cannot be
// evaluated does not hold, but fails the token of an intermediate event.
func (r *run) conditions() bool {
	for i := range r.s.Tokens {
		t := &r.s.Tokens[i]
		n := &r.m.Nodes[t.Node]
		if n.Condition == nil || t.Status != AtTrue && t.Status != Listening {
			continue
		}
		holds, err := n.Condition.Holds(r.activation(t.Scope))
		if err != nil && t.Status == AtTrue {
			r.failed(t.Seq, err)
			return true
		}
		before := t.Held
		t.Held = holds
		if holds && !before {
			r.happened(t.Seq)
			return true
		}
	}
	return false
}

// signal gives a signal to every token that waits for it; one from outside brings
// its payload.
func (r *run) signal(name string) error {
	var to []int
	for i := range r.s.Tokens {
		t := &r.s.Tokens[i]
		if t.WaitName == name && (t.Status == AtSignal || t.Status == Listening && r.m.Nodes[t.Node].Kind == bpmn.SignalEvent) {
			to = append(to, t.Seq)
		}
	}
	for _, seq := range to {
		i := r.s.find(seq)
		if i < 0 {
			continue // cancelled by an earlier one
		}
		t := &r.s.Tokens[i]
		if r.ev.Kind == SignalReceived {
			vars, err := r.m.Payload(r.m.Nodes[t.Node].Result, r.ev.Variables)
			if err != nil {
				return err
			}
			r.merge(t.Scope, vars)
		}
		r.happened(seq)
	}
	return nil
}

// taskCompleted ends the work of a task or called case.
func (r *run) taskCompleted() error {
	t, err := r.waiting(AtTask, Calling)
	if err != nil {
		return err
	}
	r.merge(t.Scope, r.ev.Variables)
	if t.Status == AtTask {
		r.emit(Effect{Kind: TaskDone, Token: t.Seq, Node: t.Node})
	}
	t.Status = Active // done, not to be cancelled
	r.complete(t.Seq)
	return nil
}

// errorThrown throws an error from outside at a token's work: a boundary event or
// event subprocess catches it, else the token fails.
func (r *run) errorThrown() error {
	t, err := r.waiting(AtTask, Calling, AtFailure)
	if err != nil {
		return err
	}
	seq := t.Seq
	r.merge(t.Scope, r.ev.Variables)
	if r.caught(seq, r.ev.Name) {
		return nil
	}
	r.unhost(seq)
	r.failed(seq, fault.E(fault.Precondition, "ERROR_UNCAUGHT", fault.P("code", r.ev.Name)))
	return nil
}
