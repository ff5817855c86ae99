package engine

import (
	"time"

	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/model"
)

// Schedule says when a timer start event is due for the first time that takes effect
// at from, and how often again (-1 without end). A duration and a cycle without a
// beginning count from there; of dates and of a cycle with a beginning what lies
// before from has passed and is not made up for. ok is false when nothing is left.
// Errors are those of the timer's expression.
func Schedule(m *model.Model, node int, from time.Time, region, area string) (due time.Time, again int, ok bool, err error) {
	r, err := starting(m, from, region, area)
	if err != nil {
		return due, 0, false, err
	}
	t := m.Nodes[node].Timer
	due, set, again, err := r.due(t, 0)
	if err != nil || !set {
		return due, 0, false, err
	}
	if !due.Before(r.now) {
		return due, again, true, nil
	}
	if t.Kind != model.TimerCycle {
		return due, 0, false, nil
	}
	due, again, _, ok, err = r.follows(t, due, again, r.now.Add(-1))
	return due, again, ok, err
}

// Following says when the cycle of a timer start event is due again after due: the
// first instant later than now, so that a time without a server is followed by one
// start, not by a flood. again is how often it was to fire after due; missed counts
// the instants in between. ok is false when nothing is left.
func Following(m *model.Model, node int, due time.Time, again int, now time.Time, region, area string) (next time.Time, left, missed int, ok bool, err error) {
	r, err := starting(m, now, region, area)
	if err != nil {
		return due, 0, 0, false, err
	}
	return r.follows(m.Nodes[node].Timer, due, again, r.now)
}

// starting is what expressions of a start event see: the defaults of the process.
func starting(m *model.Model, now time.Time, region, area string) (*run, error) {
	r := &run{m: m, s: &State{Variables: map[string]any{}}, ev: &Event{Region: region, Area: area}, now: now.UTC().Truncate(time.Microsecond)}
	return r, m.Begin(r.activation(0))
}

// follows goes along a cycle from an instant to the first one after another.
func (r *run) follows(t *model.Timer, due time.Time, again int, after time.Time) (next time.Time, left, missed int, ok bool, err error) {
	if again == 0 {
		return due, 0, 0, false, nil
	}
	text := t.Fixed
	if t.Cycle != nil {
		v, err := t.Cycle.Eval(r.activation(0))
		if err != nil {
			return due, 0, 0, false, err
		}
		text, _ = v.(string)
	}
	c, err := expr.ParseCycle(text)
	if err != nil {
		return due, 0, 0, false, err
	}
	next, left = due, again
	if every, exact := c.Every.Exact(); exact && c.Every.Days == 0 && after.Sub(due) > every { // most of the way at once
		n := int(after.Sub(due)/every) - 1
		if left > 0 {
			n = min(n, left)
			left -= n
		}
		next, missed = due.Add(time.Duration(n)*every), n
	}
	for left != 0 {
		next = c.Every.After(next.In(r.m.Zone)).UTC()
		if left > 0 {
			left--
		}
		if next.After(after) {
			return next, left, missed, true, nil
		}
		missed++
	}
	return next, 0, missed, false, nil
}
