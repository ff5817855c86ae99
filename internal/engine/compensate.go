package engine

import (
	"slices"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/model"
)

// Compensation (BPMN 2.0.2, 13.5.5). A completed activity leaves a record in its
// scope when something can undo it. A thrown compensation takes the records of its
// scope, or those of one activity, into a scope of its own and undoes them one
// after the other, the last completed first: by the handler of the boundary event,
// by the compensation event subprocess inside, else by undoing what has completed
// inside in the same way.

// completions returns the records of a scope.
func (r *run) completions(scope int) *[]Completion {
	if sc := r.s.scope(scope); sc != nil {
		return &sc.Done
	}
	return &r.s.Done
}

// keep records that an activity has completed. The instances of a looping activity
// are recorded each by itself and stand once the whole has completed.
func (r *run) keep(t *Token, inside []Completion) {
	n := &r.m.Nodes[t.Node]
	if !t.Body && n.Loop != nil {
		done := *r.completions(t.Scope)
		for i := range done {
			if done[i].Of == t.Seq {
				done[i].Of = 0
			}
		}
		return
	}
	if n.UndoneBy == model.None && n.UndoSub == model.None && len(inside) == 0 {
		return // nothing inside it has happened that could be undone
	}
	c := Completion{Node: n.ID, Inside: inside}
	scope := t.Scope
	if t.Body {
		instance := r.s.scope(t.Scope)
		if len(instance.Local) > 0 {
			c.Local = copied(instance.Local).(map[string]any)
		}
		c.Of, scope = instance.Host, instance.Parent
	}
	r.s.NextDone++
	c.Seq = r.s.NextDone
	done := r.completions(scope)
	*done = append(*done, c)
}

// forget drops the records of the instances of a looping activity that ends
// without having completed.
func (r *run) forget(t *Token) {
	done := r.completions(t.Scope)
	*done = slices.DeleteFunc(*done, func(c Completion) bool { return c.Of == t.Seq })
}

// redo drops the last record of an activity that is done again instead: it was
// withdrawn, or sent back to. Of a looping activity all of them go.
func (r *run) redo(scope, node int) {
	done := r.completions(scope)
	for i := len(*done) - 1; i >= 0; i-- {
		if (*done)[i].Node != r.m.Nodes[node].ID {
			continue
		}
		*done = slices.Delete(*done, i, i+1)
		if r.m.Nodes[node].Loop == nil {
			return
		}
	}
}

// compensate begins what a token at a compensation or cancel event throws. It
// reports whether the token waits for the end of that. What is cancelled with a
// transaction goes first.
func (r *run) compensate(seq int) bool {
	t := r.tok(seq)
	n := &r.m.Nodes[t.Node]
	if n.Kind == bpmn.CancelEvent {
		r.emptyBut(t.Scope, seq)
	}
	scope, left := r.take(r.tok(seq))
	if len(left) == 0 {
		return false
	}
	sc := Scope{Parent: scope, Node: n.ID, Host: seq, Undo: true, Left: left}
	if n.NoWait {
		sc.Host = 0
	} else {
		r.tok(seq).Status = Undoing
	}
	inner := r.open(sc)
	if !r.undoNext(inner) { // what the records held is not to be undone in this version
		r.cancelScope(inner)
		r.tok(seq).Status = Active
		return false
	}
	return !n.NoWait
}

// take removes the records that a token's event undoes from their scopes and
// returns them, the last completed first, with the scope that they are undone in:
// the token's own or, from an event subprocess, the one around it.
func (r *run) take(t *Token) (scope int, left []Completion) {
	n := &r.m.Nodes[t.Node]
	activity := ""
	if n.Undoes != model.None {
		activity = r.m.Nodes[n.Undoes].ID
	}
	for scope = t.Scope; ; {
		done := r.completions(scope)
		*done = slices.DeleteFunc(*done, func(c Completion) bool {
			takes := c.Of == 0 && (activity == "" || c.Node == activity)
			if takes {
				left = append(left, c)
			}
			return takes
		})
		sc := r.s.scope(scope)
		if sc == nil || sc.Host != 0 || sc.Undo {
			break
		}
		scope = sc.Parent
	}
	slices.SortFunc(left, func(a, b Completion) int { return b.Seq - a.Seq })
	return scope, left
}

// undoNext begins to undo the next record of a scope. It reports whether something
// runs in the scope now.
func (r *run) undoNext(seq int) bool {
	for {
		sc := r.s.scope(seq)
		if len(sc.Left) == 0 {
			return false
		}
		c := sc.Left[0]
		sc.Left = slices.Delete(sc.Left, 0, 1)
		at, ok := r.m.Node(c.Node)
		if !ok {
			continue // it was moved to a version without it
		}
		n := &r.m.Nodes[at]
		again := Scope{Parent: seq, Node: n.ID, Local: c.Local, Undo: true, Record: c.Seq}
		switch {
		case n.UndoneBy != model.None:
			r.spawn(r.m.Nodes[n.UndoneBy].Handler, r.open(again))
			return true
		case n.UndoSub != model.None:
			again.Done = c.Inside
			r.eventSub(r.open(again), r.m.Nodes[n.UndoSub].Starts[0])
			return true
		}
		again.Left = slices.Clone(c.Inside)
		slices.Reverse(again.Left)
		inner := r.open(again)
		if r.undoNext(inner) {
			return true
		}
		r.cancelScope(inner)
	}
}

// giveBack lets what a cancelled compensation has not begun to undo be undone by another
// one; where people take the compensation back, also what it had begun with.
func (r *run) giveBack(seq int) {
	sc := *r.s.scope(seq)
	if !sc.Undo {
		return
	}
	left := slices.Clone(sc.Left)
	slices.Reverse(left)
	if sc.Record == 0 { // of the event that threw it
		if len(left) > 0 {
			done := r.completions(sc.Parent)
			*done = append(*done, left...)
			slices.SortFunc(*done, func(a, b Completion) int { return a.Seq - b.Seq })
		}
		return
	}
	at, ok := r.m.Node(sc.Node)
	if !ok {
		return
	}
	if begun := r.m.Nodes[at].UndoneBy != model.None || r.m.Nodes[at].UndoSub != model.None; begun {
		if !r.takeBack {
			return
		}
		left = sc.Done
	} else if len(left) == 0 {
		return
	}
	around := r.s.scope(sc.Parent)
	around.Left = slices.Insert(around.Left, 0, Completion{Seq: sc.Record, Node: sc.Node, Local: sc.Local, Inside: left})
}

// undone lets a token go on whose compensation is over.
func (r *run) undone(seq int) {
	t := r.tok(seq)
	t.Status, t.Phase, r.woken = Active, Done, true
}
