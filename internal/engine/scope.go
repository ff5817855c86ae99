package engine

import (
	"slices"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// open adds a scope.
func (r *run) open(sc Scope) int {
	r.s.NextScope++
	sc.Seq = r.s.NextScope
	r.s.Scopes = append(r.s.Scopes, sc)
	return sc.Seq
}

// remove takes a token out of the state; it has nothing that waits any more.
func (r *run) remove(seq int) {
	i := r.s.find(seq)
	r.s.Tokens = slices.Delete(r.s.Tokens, i, i+1)
	r.moved = true
}

// consume ends a token that has nothing left to do and, with the last one of its
// scope, the scope.
func (r *run) consume(seq int) {
	r.unhost(seq)
	scope := r.tok(seq).Scope
	r.remove(seq)
	r.settle(scope)
}

// settle ends a scope that nothing runs in any more.
func (r *run) settle(seq int) {
	if r.s.Ended {
		return
	}
	for i := range r.s.Tokens {
		if t := &r.s.Tokens[i]; t.Scope == seq && t.Status != Listening {
			return
		}
	}
	for i := range r.s.Scopes {
		if sc := &r.s.Scopes[i]; sc.Parent == seq && sc.Host == 0 {
			return
		}
	}
	if seq == 0 {
		r.cancelAll()
		r.endCase("")
		return
	}
	sc := *r.s.scope(seq)
	if sc.Undo && r.undoNext(seq) {
		return
	}
	r.cancelScope(seq)
	switch {
	case sc.Undo && sc.Host != 0:
		r.undone(sc.Host)
		return
	case sc.Undo:
		r.settle(sc.Parent)
		return
	case sc.Host == 0:
		sub, _ := r.m.Node(sc.Node)
		r.emit(Effect{Kind: NodeLeft, Node: sub})
		r.settle(sc.Parent)
		return
	case r.tok(sc.Host).Status == Instances:
		r.instanceDone(sc.Host)
		return
	}
	r.completed(sc.Host, sc.Done)
}

// endCase ends the case; its tokens are gone.
func (r *run) endCase(code string) {
	r.s.Ended, r.s.Done = true, nil
	at, ok := r.m.Node(r.s.Outcome)
	if !ok {
		at = model.None
	}
	r.emit(Effect{Kind: CaseEnded, Node: at, Name: r.s.Outcome, Code: code})
}

// terminate ends a scope at once.
func (r *run) terminate(scope int) {
	if scope == 0 {
		r.cancelAll()
		r.endCase("")
		return
	}
	r.empty(scope)
	r.settle(scope)
}

// unhost cancels everything that hangs on a token: timers, listeners, scopes, a
// task, a called case, a wait.
func (r *run) unhost(seq int) {
	t := r.tok(seq)
	if t.Status == Instances && r.m.Nodes[t.Node].Undoable {
		r.forget(t)
	}
	for _, timer := range t.Timers {
		r.emit(Effect{Kind: TimerCancelled, Token: seq, Node: timer.Node, Timer: timer.Seq})
	}
	t.Timers, t.Repeats = nil, nil
	switch {
	case t.Status == AtTask:
		r.emit(Effect{Kind: TaskCancelled, Token: seq, Node: t.Node})
	case t.Status == Calling:
		r.emit(Effect{Kind: CallCancelled, Token: seq, Node: t.Node})
	case (t.Status == AtMessage || t.Status == Listening && r.m.Nodes[t.Node].Kind == bpmn.MessageEvent) && t.WaitName != "":
		r.emit(Effect{Kind: MessageWaitEnded, Token: seq, Node: t.Node, Name: t.WaitName, Key: t.WaitKey})
	}
	t.Status, t.WaitName, t.WaitKey = Active, "", ""
	for i := 0; i < len(r.s.Tokens); {
		if r.s.Tokens[i].Host == seq {
			r.silence(r.s.Tokens[i].Seq)
			continue
		}
		i++
	}
	for {
		i := slices.IndexFunc(r.s.Scopes, func(sc Scope) bool { return sc.Host == seq })
		if i < 0 {
			return
		}
		r.cancelScope(r.s.Scopes[i].Seq)
	}
}

// silence removes a listener.
func (r *run) silence(seq int) {
	r.unhost(seq)
	r.remove(seq)
}

// empty cancels all that runs in a scope; the scope stays, and what has completed in it.
func (r *run) empty(scope int) { r.emptyBut(scope, 0) }

// emptyBut cancels all that runs in a scope beside one token.
func (r *run) emptyBut(scope, token int) {
	for {
		i := slices.IndexFunc(r.s.Tokens, func(t Token) bool { return t.Scope == scope && t.Seq != token })
		if i < 0 {
			break
		}
		seq := r.s.Tokens[i].Seq
		r.unhost(seq)
		r.depart(r.tok(seq), false)
		r.remove(seq)
	}
	for {
		i := slices.IndexFunc(r.s.Scopes, func(sc Scope) bool { return sc.Parent == scope })
		if i < 0 {
			return
		}
		r.cancelScope(r.s.Scopes[i].Seq)
	}
}

// cancelScope cancels all that runs in a scope, and the scope; what was still to be
// undone in it is given back.
func (r *run) cancelScope(seq int) {
	r.empty(seq)
	r.giveBack(seq)
	r.s.Scopes = slices.DeleteFunc(r.s.Scopes, func(sc Scope) bool { return sc.Seq == seq })
}

func (r *run) cancelAll() { r.empty(0) }

// caught lets the nearest event that catches an error happen: an event subprocess
// or a boundary event of what encloses the thrower. It reports whether there is one.
func (r *run) caught(seq int, code string) bool {
	return r.rise(seq, bpmn.ErrorEvent, code)
}

// escalate lets the nearest event that catches an escalation happen and says so
// outside.
func (r *run) escalate(seq, node int, code string) {
	at := len(r.out)
	r.emit(Effect{Kind: Escalation, Token: seq, Node: node, Name: code})
	if r.rise(seq, bpmn.EscalationEvent, code) {
		r.out[at].Code = Caught
	}
}

// rise looks outwards from a token for an event that catches a code.
func (r *run) rise(seq int, kind bpmn.EventKind, code string) bool {
	t := r.tok(seq)
	if b := r.match(r.m.Nodes[t.Node].Boundary, kind, code); b != model.None && !t.Body {
		r.boundary(seq, b)
		return true
	}
	scope, inside := t.Scope, false
	for {
		subs := r.m.EventSubs
		var sc *Scope
		if scope != 0 {
			sc = r.s.scope(scope)
			i, _ := r.m.Node(sc.Node)
			subs = r.m.Nodes[i].EventSubs
			if sc.Undo || r.instanceScope(sc) {
				subs = nil
			}
		}
		if !inside {
			for _, sub := range subs {
				if start := r.match(r.m.Nodes[sub].Starts, kind, code); start != model.None {
					r.eventSub(scope, start)
					return true
				}
			}
		}
		if sc == nil {
			return false
		}
		if inside = sc.Host == 0 && !sc.Undo; sc.Host == 0 {
			scope = sc.Parent
			continue
		}
		h := r.tok(sc.Host)
		if b := r.match(r.m.Nodes[h.Node].Boundary, kind, code); b != model.None && !h.Body {
			r.boundary(h.Seq, b)
			return true
		}
		scope = h.Scope
	}
}

// instanceScope reports whether a scope is an instance of a looping activity,
// which has a scope of its own around that of a subprocess.
func (r *run) instanceScope(sc *Scope) bool {
	return sc.Host != 0 && r.tok(sc.Host).Status == Instances
}

// match returns the event of a kind that catches a code, one that names it before
// one that catches every code, None without.
func (r *run) match(events []int, kind bpmn.EventKind, code string) int {
	found := model.None
	for _, e := range events {
		n := &r.m.Nodes[e]
		switch {
		case n.Kind != kind:
		case n.Code == code:
			return e
		case n.Code == "":
			found = e
		}
	}
	return found
}

// joinParallel merges the tokens at a parallel join once every incoming flow has one.
func (r *run) joinParallel(node, scope int) {
	for _, f := range r.m.Nodes[node].In {
		if r.arrived(node, scope, f) < 0 {
			return
		}
	}
	r.merged(node, scope)
}

// arrived returns the position of the first token that came to a join by a flow, -1 without.
func (r *run) arrived(node, scope, flow int) int {
	id := r.m.Flows[flow].ID
	return slices.IndexFunc(r.s.Tokens, func(t Token) bool {
		return t.Status == AtJoin && t.Node == node && t.Scope == scope && t.Flow == id
	})
}

// merged takes one token of each incoming flow and lets the lowest go on.
func (r *run) merged(node, scope int) {
	first := 0
	for _, f := range r.m.Nodes[node].In {
		i := r.arrived(node, scope, f)
		if i < 0 {
			continue
		}
		seq := r.s.Tokens[i].Seq
		if first == 0 {
			first = seq
			r.s.Tokens[i].Flow = ""
			continue
		}
		seq, first = max(seq, first), min(seq, first)
		r.tok(first).Flow = ""
		r.remove(seq)
	}
	t := r.tok(first)
	t.Status, t.Flow, r.woken, r.moved = Active, "", true, true
}

// joins lets inclusive joins go on that wait for nobody any more; see the BPMN
// specification, table 13.3. It reports whether one did.
func (r *run) joins() bool {
	r.moved = false
	for i := range r.s.Tokens {
		t := &r.s.Tokens[i]
		if t.Status == AtJoin && r.m.Nodes[t.Node].Type == bpmn.InclusiveGateway && r.settled(t.Node, t.Scope) {
			r.merged(t.Node, t.Scope)
			return true
		}
	}
	return r.stuck()
}

// stuck looks for a scope in which every token waits at a join: none of them can
// ever get what it waits for. An inclusive join goes on with what it has (two that
// wait for each other), a parallel one fails. It reports whether there was one.
func (r *run) stuck() bool {
	for i := range r.s.Tokens {
		t := &r.s.Tokens[i]
		if t.Status != AtJoin || slices.ContainsFunc(r.s.Tokens, func(o Token) bool {
			return o.Scope == t.Scope && o.Status != AtJoin && o.Status != Listening
		}) {
			continue
		}
		for j := i; j < len(r.s.Tokens); j++ {
			if o := &r.s.Tokens[j]; o.Scope == t.Scope && o.Status == AtJoin && r.m.Nodes[o.Node].Type == bpmn.InclusiveGateway {
				r.merged(o.Node, o.Scope)
				return true
			}
		}
		r.failed(t.Seq, fault.E(fault.Precondition, "JOIN_STUCK", fault.P("node", r.m.Nodes[t.Node].ID)))
		return true
	}
	return false
}

// settled reports whether no token can still come to an empty incoming flow of
// an inclusive join, other than such as can come to one that has a token, too.
func (r *run) settled(node, scope int) bool {
	n := &r.m.Nodes[node]
	for i := range r.s.Tokens {
		t := &r.s.Tokens[i]
		at := t.Node
		if t.Scope != scope {
			if at = r.ancestor(t.Scope, scope); at == model.None {
				continue
			}
		}
		if t.Status == Listening || t.Status == AtJoin && at == node {
			continue
		}
		empty, filled := false, false
		for k, f := range n.In {
			if n.Reach[k][at>>6]&(1<<(at&63)) == 0 {
				continue
			}
			if r.arrived(node, scope, f) < 0 {
				empty = true
			} else {
				filled = true
			}
		}
		if empty && !filled {
			return false
		}
	}
	return true
}

// ancestor returns the node of the activity in scope that encloses inner, None without.
func (r *run) ancestor(inner, scope int) int {
	for inner != 0 {
		sc := r.s.scope(inner)
		if sc.Parent == scope {
			if sc.Host == 0 {
				return model.None
			}
			i, _ := r.m.Node(sc.Node)
			return i
		}
		inner = sc.Parent
	}
	return model.None
}
