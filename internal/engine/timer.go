package engine

import (
	"slices"
	"time"

	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// arm sets a timer event's timer on a token.
func (r *run) arm(seq, node int) error {
	t := r.tok(seq)
	due, set, again, err := r.due(r.m.Nodes[node].Timer, t.Scope)
	if err != nil {
		return err
	}
	r.addTimer(t, node, due, set, again)
	return nil
}

func (r *run) addTimer(t *Token, node int, due time.Time, set bool, again int) {
	r.s.NextTimer++
	id := r.s.NextTimer
	t.Timers = append(t.Timers, Timer{Seq: id, Node: node, Due: due, Set: set})
	if again != 0 {
		t.Repeats = append(t.Repeats, Again{Timer: id, Left: again})
	}
	r.emit(Effect{Kind: TimerSet, Token: t.Seq, Node: node, Timer: id, Due: due, Set: set})
}

// due evaluates a timer definition now: the instant, whether it has one, and how
// often it fires again after that (-1 without end).
func (r *run) due(d *model.Timer, scope int) (due time.Time, set bool, again int, err error) {
	switch {
	case d.Date != nil:
		due, set, err = d.Date.Time(r.activation(scope))
		return due.Truncate(time.Microsecond), set, 0, err
	case d.Kind == model.TimerDate:
		due, err = time.Parse(time.RFC3339, d.Fixed)
		return due.UTC(), true, 0, err
	}
	text := d.Fixed
	if p := d.Duration; p != nil || d.Cycle != nil {
		if p == nil {
			p = d.Cycle
		}
		v, err := p.Eval(r.activation(scope))
		if err != nil {
			return due, false, 0, err
		}
		if v == nil {
			return due, false, 0, nil
		}
		text, _ = v.(string)
	}
	if d.Kind == model.TimerDuration {
		p, err := expr.ParsePeriod(text)
		return p.After(r.now.In(r.m.Zone)).UTC(), true, 0, err
	}
	c, err := expr.ParseCycle(text)
	if err != nil {
		return due, false, 0, err
	}
	due = c.Start.UTC()
	if c.Start.IsZero() {
		due = c.Every.After(r.now.In(r.m.Zone)).UTC()
	}
	again = -1
	if c.Count > 0 {
		again = c.Count - 1
	}
	return due, true, again, nil
}

// timerFired lets a waiting timer's event happen.
func (r *run) timerFired() error {
	i, j := r.timer(r.ev.Timer)
	if i < 0 {
		return fault.E(fault.Precondition, "ENGINE_TIMER_UNKNOWN", fault.P("timer", r.ev.Timer))
	}
	t := &r.s.Tokens[i]
	fired := t.Timers[j]
	if !fired.Set {
		return fault.E(fault.Precondition, "ENGINE_NOT_WAITING", fault.P("token", t.Seq), fault.P("node", r.m.Nodes[fired.Node].ID),
			fault.P("status", "unset"))
	}
	t.Timers = slices.Delete(t.Timers, j, j+1)
	if err := r.again(t, fired); err != nil {
		return err
	}
	seq := t.Seq
	switch t.Status {
	case AtEvent:
		r.decided(seq, fired.Node)
	case AtTimer:
		r.happened(seq)
	case Listening:
		r.heard(seq)
	default:
		r.boundary(seq, fired.Node)
	}
	return nil
}

// again sets a cycle timer for its next firing after now, counted from the last one;
// those in between have passed. Only events that leave their host running repeat.
func (r *run) again(t *Token, fired Timer) error {
	k := slices.IndexFunc(t.Repeats, func(a Again) bool { return a.Timer == fired.Seq })
	if k < 0 {
		return nil
	}
	left := t.Repeats[k].Left
	t.Repeats = slices.Delete(t.Repeats, k, k+1)
	if len(t.Repeats) == 0 {
		t.Repeats = nil
	}
	n := &r.m.Nodes[fired.Node]
	if n.Interrupting || t.Status == AtTimer || t.Status == AtEvent {
		return nil
	}
	text := n.Timer.Fixed
	if n.Timer.Cycle != nil {
		v, err := n.Timer.Cycle.Eval(r.activation(t.Scope))
		if err != nil {
			return err
		}
		text, _ = v.(string)
	}
	c, err := expr.ParseCycle(text)
	if err != nil {
		return err
	}
	next, left, _, _ := along(c.Every, fired.Due.In(r.m.Zone), left, r.now)
	if next.After(r.now) {
		r.addTimer(t, fired.Node, next.UTC(), true, left)
	}
	return nil
}

// timer finds a waiting timer: positions of token and timer, -1 without.
func (r *run) timer(seq int) (token, timer int) {
	for i := range r.s.Tokens {
		for j := range r.s.Tokens[i].Timers {
			if r.s.Tokens[i].Timers[j].Seq == seq {
				return i, j
			}
		}
	}
	return -1, -1
}

// reschedule takes a message that sets waiting timers again: its payload is
// merged, dates are evaluated anew, durations keep their due instant.
func (r *run) reschedule() error {
	found := false
	for i := range r.s.Tokens {
		for j := range r.s.Tokens[i].Timers {
			t := &r.s.Tokens[i]
			if r.ev.Token != 0 && r.ev.Token != t.Seq {
				continue
			}
			ok, err := r.resetTimer(t, j)
			if err != nil {
				return err
			}
			found = found || ok
		}
	}
	if !found {
		return fault.E(fault.Precondition, "MESSAGE_NOT_EXPECTED", fault.P("message", r.ev.Name))
	}
	return nil
}

func (r *run) resetTimer(t *Token, j int) (bool, error) {
	timer := &t.Timers[j]
	n := &r.m.Nodes[timer.Node]
	k := slices.IndexFunc(n.Reschedule, func(re model.Reschedule) bool { return re.Message == r.ev.Name })
	if k < 0 {
		return false, nil
	}
	vars, err := r.m.Payload(n.Reschedule[k].Variable, r.ev.Variables)
	if err != nil {
		return false, err
	}
	r.merge(t.Scope, vars)
	if n.Timer.Kind != model.TimerDate {
		return true, nil
	}
	due, set, _, err := r.due(n.Timer, t.Scope)
	if err != nil {
		return false, err
	}
	if set == timer.Set && due.Equal(timer.Due) {
		return true, nil
	}
	timer.Due, timer.Set = due, set
	r.emit(Effect{Kind: TimerSet, Token: t.Seq, Node: timer.Node, Timer: timer.Seq, Due: due, Set: set})
	return true, nil
}
