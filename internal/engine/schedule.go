package engine

import (
	"math/big"
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
	next, left, missed, _ = along(c.Every, due.In(r.m.Zone), again, after)
	return next.UTC(), left, missed, next.After(after), nil
}

// along goes period by period from t, most times at most (-1 without end), to the first
// instant after another one. It returns that instant, or the last one where it is not
// reached, how many times are left, how many instants it passed, and how many it looked
// at: as long as a period has no months and the zone keeps its offset, all but the last
// few are passed at once; of periods with months each is looked at, since the end of a
// month takes days off for good.
func along(p expr.Period, t time.Time, most int, after time.Time) (at time.Time, left, missed, looked int) {
	left = most
	for ; left != 0; looked++ {
		if n := together(p, t, after); n > 0 {
			if left > 0 {
				n = min(n, left)
				left -= n
			}
			t, missed = times(p, n, t), missed+n
			continue
		}
		t = p.After(t)
		if left > 0 {
			left--
		}
		if t.After(after) {
			return t, left, missed, looked + 1
		}
		missed++
	}
	return t, 0, missed, looked
}

// together returns how many periods from t on do not lead past after, nor past a change
// of the zone's offset where days are counted; 0 where they are not all of one length.
func together(p expr.Period, t, after time.Time) int {
	if p.Years != 0 || p.Months != 0 || p.Days > maxSkipped || p.Time > maxSkipped*24*time.Hour {
		return 0
	}
	if _, until := t.ZoneBounds(); p.Days != 0 && !until.IsZero() && !until.After(after) {
		after = until.Add(-1)
	}
	span := new(big.Int).Mul(big.NewInt(after.Unix()-t.Unix()), big.NewInt(1e9))
	span.Add(span, big.NewInt(int64(after.Nanosecond()-t.Nanosecond())))
	if span.Sign() <= 0 {
		return 0
	}
	every, _ := p.Exact()
	return int(span.Quo(span, big.NewInt(int64(every))).Int64())
}

// maxSkipped bounds, in days, the date and the time of a period of which several are
// passed at once: of fifty years a few lead to the end of any calendar.
const maxSkipped = 18_250

// times returns the instant n periods of one length after t.
func times(p expr.Period, n int, t time.Time) time.Time {
	every, _ := p.Exact()
	span := new(big.Int).Mul(big.NewInt(int64(every)), big.NewInt(int64(n)))
	sec, nano := span.QuoRem(span, big.NewInt(1e9), new(big.Int))
	return time.Unix(t.Unix()+sec.Int64(), int64(t.Nanosecond())+nano.Int64()).In(t.Location())
}
