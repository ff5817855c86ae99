package engine

import (
	"fmt"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// enter lets an active token do what its node is for.
func (r *run) enter(seq int) {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	if t.Phase == Done {
		if n.Type == bpmn.EndEvent {
			r.end(seq)
			return
		}
		r.leave(seq)
		return
	}
	if t.Flow != "" {
		t.Status = AtJoin
		r.moved = true
		if n.Type == bpmn.ParallelGateway {
			r.joinParallel(t.Node, t.Scope)
		}
		return
	}
	r.arrive(seq)
	switch n.Type {
	case bpmn.EndEvent:
		r.end(seq)
	case bpmn.IntermediateCatchEvent:
		r.catch(seq)
	case bpmn.IntermediateThrowEvent:
		r.throw(seq)
	case bpmn.EventBasedGateway:
		r.offer(seq)
	case bpmn.StartEvent, bpmn.BoundaryEvent, bpmn.ExclusiveGateway, bpmn.ParallelGateway, bpmn.InclusiveGateway:
		r.leave(seq)
	default:
		r.activity(seq)
	}
}

// tok returns the token of a sequence number, which must exist. The pointer is
// good until a token is added or removed.
func (r *run) tok(seq int) *Token { return &r.s.Tokens[r.s.find(seq)] }

// arrive says once that a token has entered its node.
func (r *run) arrive(seq int) {
	t := r.tok(seq)
	if t.Phase != Arriving || t.Body {
		t.Phase = Entered
		return
	}
	t.Phase = Entered
	r.emit(Effect{Kind: NodeEntered, Token: seq, Node: t.Node})
	r.domain(seq, t.Node, "enter")
	for i := range r.m.Nodes[t.Node].Pauses {
		p := &r.m.Nodes[t.Node].Pauses[i]
		r.emit(Effect{Kind: PauseBegun, Token: seq, Node: t.Node, Name: p.Reason, Indicators: p.Indicators})
	}
}

// depart says that a token leaves its node, completed or not.
func (r *run) depart(t *Token, completed bool) {
	if t.Phase == Arriving || t.Body {
		return
	}
	code := "cancelled"
	if completed {
		code = ""
		r.domain(t.Seq, t.Node, "complete")
	}
	for i := range r.m.Nodes[t.Node].Pauses {
		p := &r.m.Nodes[t.Node].Pauses[i]
		r.emit(Effect{Kind: PauseEnded, Token: t.Seq, Node: t.Node, Name: p.Reason, Indicators: p.Indicators})
	}
	r.emit(Effect{Kind: NodeLeft, Token: t.Seq, Node: t.Node, Code: code})
}

// failed stops a token with the reason, until Retry.
func (r *run) failed(seq int, err error) {
	f := fault.From(err)
	r.unhost(seq)
	t := r.tok(seq)
	t.Status, t.WaitName, t.WaitKey, t.Begun = AtFailure, "", "", false
	r.emit(Effect{Kind: Failed, Token: seq, Node: t.Node, Code: f.Code, Detail: f.Error()})
}

// activity runs an activity: its boundary events first, then its work.
func (r *run) activity(seq int) {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	if !t.Body {
		if err := r.host(seq); err != nil {
			r.failed(seq, err)
			return
		}
		if n.Loop != nil {
			r.loop(seq)
			return
		}
	}
	r.work(seq)
}

// work begins one run of an activity.
func (r *run) work(seq int) {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	switch {
	case n.Human || n.Service:
		t.Status = AtTask
		r.emit(Effect{Kind: TaskCreated, Token: seq, Node: t.Node, Name: n.Topic})
	case n.Type == bpmn.ReceiveTask:
		if err := r.await(seq, AtMessage); err != nil {
			r.failed(seq, err)
		}
	case n.Type == bpmn.SendTask:
		if err := r.throwMessage(seq); err != nil {
			r.failed(seq, err)
			return
		}
		r.complete(seq)
	case n.Decision != nil:
		vars, err := n.Decision.Decide(r.m, r.activation(t.Scope))
		if err != nil {
			r.failed(seq, err)
			return
		}
		r.merge(t.Scope, vars)
		r.complete(seq)
	case n.Script != nil:
		if err := r.script(seq); err != nil {
			r.failed(seq, err)
			return
		}
		r.complete(seq)
	case n.Container():
		t.Status = InScope
		scope := r.open(Scope{Parent: t.Scope, Node: n.ID, Host: seq})
		if err := r.listen(scope, n.EventSubs); err != nil {
			r.cancelScope(scope)
			r.failed(seq, err)
			return
		}
		r.spawn(n.Starts[0], scope)
	case n.Type == bpmn.CallActivity:
		t.Status = Calling
		r.emit(Effect{Kind: CaseCalled, Token: seq, Node: t.Node, Name: n.Called, Variables: r.sent()})
	default:
		r.complete(seq)
	}
}

// script evaluates a script and keeps its result.
func (r *run) script(seq int) error {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	v, err := n.Script.Eval(r.activation(t.Scope))
	if err != nil || n.Result == "" {
		return err
	}
	var vars map[string]any
	if fields, ok := v.(map[string]any); ok {
		vars, err = r.m.Payload(n.Result, fields)
	} else {
		vars, err = r.m.Payload(n.Result, map[string]any{"value": v})
	}
	if err != nil {
		return err
	}
	r.merge(t.Scope, vars)
	return nil
}

// complete ends one run of an activity: that of an instance goes to its scope,
// any other leaves the node.
func (r *run) complete(seq int) { r.completed(seq, nil) }

// completed is complete of an activity inside which others have completed.
func (r *run) completed(seq int, inside []Completion) {
	t := r.tok(seq)
	if r.m.Nodes[t.Node].Undoable {
		r.keep(t, inside)
	}
	if t.Body {
		r.consume(seq)
		return
	}
	r.unhost(seq)
	t = r.tok(seq)
	t.Phase, t.Status, t.Begun, t.Done, t.Total = Done, Active, false, 0, 0
	r.leave(seq)
}

// leave takes the flows out of a token's node.
func (r *run) leave(seq int) {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	t.Phase = Done
	if n.ForCompensation {
		r.depart(t, true)
		r.consume(seq)
		return
	}
	var few [8]int
	flows, err := r.choose(n, t.Scope, few[:0])
	if err == nil && len(flows) > 1 && len(r.s.Tokens)+len(flows) > MaxTokens {
		err = fault.E(fault.Exhausted, "TOKENS_TOO_MANY", fault.P("limit", MaxTokens))
	}
	if err != nil {
		r.failed(seq, err)
		return
	}
	r.depart(t, true)
	if n.LinkTo != model.None {
		r.moveTo(t, n.LinkTo, "")
		r.arrive(seq)
		r.leave(seq)
		return
	}
	scope := t.Scope
	r.follow(t, flows[0])
	for _, f := range flows[1:] {
		i := r.s.find(r.spawn(r.m.Flows[f].To, scope))
		r.follow(&r.s.Tokens[i], f)
	}
}

// follow moves a token along a flow.
func (r *run) follow(t *Token, flow int) {
	f := &r.m.Flows[flow]
	to := &r.m.Nodes[f.To]
	id := ""
	if len(to.In) > 1 && (to.Type == bpmn.ParallelGateway || to.Type == bpmn.InclusiveGateway) {
		id = f.ID
	}
	r.moveTo(t, f.To, id)
}

func (r *run) moveTo(t *Token, node int, flow string) {
	t.Node, t.Flow, t.Phase, t.Status = node, flow, Arriving, Active
	t.WaitName, t.WaitKey, t.Held = "", "", false
	r.woken, r.moved = true, true
}

// choose returns the flows a token takes out of n: of an exclusive gateway the
// first whose condition holds, of others all of them, the default flow when none
// does. The error is the condition's own or FLOW_NO_MATCH.
func (r *run) choose(n *model.Node, scope int, out []int) ([]int, error) {
	if n.LinkTo != model.None {
		return out, nil
	}
	if len(n.Out) == 1 && r.m.Flows[n.Out[0]].Condition == nil {
		return append(out, n.Out[0]), nil
	}
	var act expr.Activation
	for _, f := range n.Out {
		if f == n.Default {
			continue
		}
		if c := r.m.Flows[f].Condition; c != nil {
			if act.Variables == nil {
				act = r.activation(scope)
			}
			ok, err := c.Bool(act)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
		}
		out = append(out, f)
		if n.Type == bpmn.ExclusiveGateway {
			return out, nil
		}
	}
	if len(out) == 0 && n.Default != model.None {
		out = append(out, n.Default)
	}
	if len(out) == 0 {
		return nil, fault.E(fault.Precondition, "FLOW_NO_MATCH", fault.P("node", n.ID))
	}
	return out, nil
}

// loop begins a looping activity.
func (r *run) loop(seq int) {
	t := r.tok(seq)
	l := r.m.Nodes[t.Node].Loop
	t.Status, t.Done, t.Total = Instances, 0, 0
	if !l.MultiInstance {
		r.round(seq, l.TestBefore)
		return
	}
	total, err := r.count(t, l)
	if err != nil {
		r.failed(seq, err)
		return
	}
	t.Total = total
	switch {
	case total == 0:
		r.complete(seq)
	case l.Sequential:
		r.instance(seq, 0)
	default:
		for i := range total {
			if !r.instance(seq, i) {
				return
			}
		}
	}
}

// maxInstances bounds the instances of one activity.
const maxInstances = 1000

// count evaluates how many instances are wanted.
func (r *run) count(t *Token, l *model.Loop) (int, error) {
	p := l.Cardinality
	if p == nil {
		p = l.Collection
	}
	v, err := p.Eval(r.activation(t.Scope))
	if err != nil {
		return 0, err
	}
	n := int64(0)
	switch v := v.(type) {
	case int64:
		n = max(v, 0)
	case []any:
		n = int64(len(v))
	}
	if n > maxInstances {
		return 0, fault.E(fault.Precondition, "LOOP_TOO_MANY", fault.P("count", n), fault.P("limit", maxInstances))
	}
	return int(n), nil
}

// instance starts the instance of an index, with its own element. It reports
// whether that went well.
func (r *run) instance(seq, index int) bool {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	sc := Scope{Parent: t.Scope, Node: n.ID, Host: seq, Index: index}
	if l := n.Loop; l.MultiInstance && l.Collection != nil && l.Element != "" {
		v, err := l.Collection.Eval(r.activation(t.Scope))
		items, _ := v.([]any)
		if err == nil && index >= len(items) {
			err = fault.E(fault.Precondition, "LOOP_ELEMENT_GONE", fault.P("index", index), fault.P("count", len(items)))
		}
		if err != nil {
			r.failed(seq, err)
			return false
		}
		sc.Local = map[string]any{}
		model.Set(sc.Local, l.Element, items[index])
	}
	node := t.Node
	body := r.spawn(node, r.open(sc))
	r.tok(body).Body = true
	return true
}

// round starts the next round of a standard loop, or ends it.
func (r *run) round(seq int, test bool) {
	t := r.tok(seq)
	l := r.m.Nodes[t.Node].Loop
	again := l.Maximum == 0 || t.Done < l.Maximum
	if again && test && l.Condition != nil {
		var err error
		if again, err = l.Condition.Bool(r.counting(t)); err != nil {
			r.failed(seq, err)
			return
		}
	}
	if !again {
		r.complete(seq)
		return
	}
	r.instance(seq, t.Done)
}

// counting is what the conditions of a looping activity see.
func (r *run) counting(t *Token) expr.Activation {
	a := r.activation(t.Scope)
	a.Instances = expr.Instances{Total: t.Total, Done: t.Done}
	return a
}

// instanceDone counts a finished instance of a looping activity.
func (r *run) instanceDone(seq int) {
	t := r.tok(seq)
	l := r.m.Nodes[t.Node].Loop
	t.Done++
	if !l.MultiInstance {
		r.round(seq, true)
		return
	}
	if l.Completion != nil {
		ok, err := l.Completion.Bool(r.counting(t))
		if err != nil {
			r.failed(seq, err)
			return
		}
		if ok {
			r.complete(seq)
			return
		}
	}
	switch {
	case t.Done >= t.Total:
		r.complete(seq)
	case l.Sequential:
		r.instance(seq, t.Done)
	}
}

// String names a token for logs.
func (t Token) String() string {
	return fmt.Sprintf("token %d (%s at node %d)", t.Seq, t.Status, t.Node)
}
