package execution

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/timerrow"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
)

// tickBatch is how many cases with something due are taken at a time, and how
// many may fail before the rest is left for the next time.
const tickBatch = 256

// Tick fires every timer and clock that is due now, a command for each case,
// and returns how many cases it has moved. A case that cannot be moved holds up
// no other: the error names all of them, and they are tried again at the next
// tick. Several nodes may tick at once: a case is locked, and what has fired is
// not due any more. Timer start events that are due start their cases first.
func (r *Room) Tick(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("timer"))
	started, failed := r.startDue(ctx)
	moved, err := r.fireDue(ctx)
	return started + moved, errors.Join(failed, err)
}

// fireDue fires the timers and clocks of running cases.
func (r *Room) fireDue(ctx context.Context) (int, error) {
	moved := 0
	var stuck []string
	var failures []error
	for {
		due, err := r.due(ctx, r.door.Clock.Now(), stuck)
		if err != nil {
			return moved, errors.Join(append(failures, err)...)
		}
		for i, err := range r.fireEach(ctx, due) {
			if err := ctx.Err(); err != nil {
				return moved, errors.Join(append(failures, err)...)
			}
			if err != nil {
				stuck = append(stuck, due[i])
				failures = append(failures, fmt.Errorf("fire what is due in case %s: %w", due[i], err))
				continue
			}
			moved++
		}
		if len(due) < tickBatch || len(stuck) >= tickBatch {
			return moved, errors.Join(failures...)
		}
	}
}

// due lists cases with a timer or clock due at now, the longest due first,
// without those that are stuck.
func (r *Room) due(ctx context.Context, now time.Time, stuck []string) ([]string, error) {
	client := r.door.Store.Client()
	timers, err := client.TimerRow.Query().
		Where(timerrow.StateEQ(timerrow.StateWaiting), timerrow.DueOrderLTE(now), timerrow.CaseIDNotIn(stuck...)).
		Order(timerrow.ByDueOrder()).Limit(tickBatch).Select(timerrow.FieldCaseID).Strings(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due timers: %w", err)
	}
	clocks, err := client.Clock.Query().Where(clock.NextAtLTE(now), clock.CaseIDNotIn(stuck...)).
		Order(clock.ByNextAt()).Limit(tickBatch).Select(clock.FieldCaseID).Strings(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due clocks: %w", err)
	}
	var out []string
	seen := map[string]bool{}
	for _, id := range append(timers, clocks...) {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out, nil
}

// tickSide is how many cases are fired side by side: enough to share commits, few
// enough to leave connections to people.
const tickSide = 6

type sideKey struct{}

// SideBySide returns a context in which Tick moves several cases at a time. Without it
// they move one after the other, the longest due first, as a simulation needs it.
func SideBySide(ctx context.Context) context.Context {
	return context.WithValue(ctx, sideKey{}, tickSide)
}

// fireEach fires what is due in some cases and returns what went wrong with each.
func (r *Room) fireEach(ctx context.Context, due []string) []error {
	side, _ := ctx.Value(sideKey{}).(int)
	slots := make(chan struct{}, max(side, 1))
	out := make([]error, len(due))
	var running sync.WaitGroup
	for i, id := range due {
		slots <- struct{}{}
		if out[i] = ctx.Err(); out[i] != nil {
			break
		}
		running.Go(func() {
			out[i] = r.fire(ctx, id)
			<-slots
		})
	}
	running.Wait()
	return out
}

// fire lets time act on one case: its due timers in order, then its clocks.
func (r *Room) fire(ctx context.Context, caseID string) error {
	_, err := command.Run(ctx, r.door, command.Command{Operation: "timer", Input: caseID}, func(ctx context.Context, u *command.Unit) (int, error) {
		f, err := r.open(ctx, u, caseID, "caseID")
		if err != nil || f.row.State != servicecase.StateActive {
			return 0, err
		}
		fired := 0
		for {
			t, ok := f.dueTimer()
			if !ok || f.row.State != servicecase.StateActive {
				break
			}
			if err := f.fireTimer(ctx, t); err != nil {
				return 0, err
			}
			fired++
		}
		if f.row.State == servicecase.StateActive {
			if err := f.book.pass(ctx, u.Now); err != nil {
				return 0, err
			}
		}
		if fired == 0 {
			return 0, f.saveStill(ctx)
		}
		return fired, f.save(ctx)
	})
	return err
}

// dueTimer returns the waiting timer that is due first, by instant, then number.
func (f *file) dueTimer() (*ent.TimerRow, bool) {
	var first *ent.TimerRow
	for _, t := range f.timers {
		if t.DueAt == nil || t.DueAt.After(f.unit.Now) {
			continue
		}
		if first == nil || t.DueAt.Before(*first.DueAt) || (t.DueAt.Equal(*first.DueAt) && t.Seq < first.Seq) {
			first = t
		}
	}
	return first, first != nil
}

func (f *file) fireTimer(ctx context.Context, t *ent.TimerRow) error {
	delete(f.timers, t.Seq)
	err := f.unit.TimerRow.Update().Where(timerrow.ID(t.ID), timerrow.StateEQ(timerrow.StateWaiting)).
		SetState(timerrow.StateFired).SetFiredAt(f.unit.Now).AddFiredCount(1).SetDueOrder(schema.Far).Exec(store.Later(ctx))
	if err != nil {
		return fmt.Errorf("mark the timer as fired: %w", err)
	}
	f.unit.Note("timer", t.NodeID)
	return f.step(ctx, engine.Event{Kind: engine.TimerFired, Token: t.TokenSeq, Timer: t.Seq, Node: t.NodeID})
}

// NextDue returns the earliest instant at which a timer or clock is due, and
// false when there is none.
func (r *Room) NextDue(ctx context.Context) (time.Time, bool, error) {
	ctx = access.With(ctx, access.System("timer"))
	client := r.door.Store.Client()
	next := schema.Far
	t, err := client.TimerRow.Query().Where(timerrow.StateEQ(timerrow.StateWaiting)).Order(timerrow.ByDueOrder()).First(ctx)
	if err == nil && t.DueOrder.Before(next) {
		next = t.DueOrder
	} else if err != nil && !ent.IsNotFound(err) {
		return next, false, fmt.Errorf("read the next timer: %w", err)
	}
	c, err := client.Clock.Query().Order(clock.ByNextAt()).First(ctx)
	if err == nil && c.NextAt.Before(next) {
		next = c.NextAt
	} else if err != nil && !ent.IsNotFound(err) {
		return next, false, fmt.Errorf("read the next clock: %w", err)
	}
	if at, ok, err := r.definitions.NextStart(ctx); err != nil {
		return next, false, err
	} else if ok && at.Before(next) {
		next = at
	}
	return next, next.Before(schema.Far), nil
}

// Recount computes the due instants of running clocks anew that were counted
// with a year that had not been announced, and audits what moved. It runs after
// a calendar has been loaded and when a server starts, and returns how many
// clocks it has moved; a case that fails holds up no other.
func (r *Room) Recount(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("calendar"))
	ids, err := r.door.Store.Client().Clock.Query().
		Where(clock.Provisional(true), clock.StoppedAtIsNil()).Unique(true).Select(clock.FieldCaseID).Strings(ctx)
	if err != nil {
		return 0, fmt.Errorf("list provisional clocks: %w", err)
	}
	n := 0
	var failures []error
	for _, id := range ids {
		k, err := r.recountCase(ctx, id)
		n += k
		if err != nil {
			failures = append(failures, fmt.Errorf("recount case %s: %w", id, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return n, errors.Join(failures...)
}

// errUnchanged undoes a recount that moved nothing.
var errUnchanged = errors.New("unchanged")

func (r *Room) recountCase(ctx context.Context, caseID string) (int, error) {
	n, err := command.Run(ctx, r.door, command.Command{Operation: "recount", Input: caseID}, func(ctx context.Context, u *command.Unit) (int, error) {
		f, err := r.open(ctx, u, caseID, "caseID")
		if err != nil || f.row.State != servicecase.StateActive {
			return 0, err
		}
		if err := f.book.load(ctx); err != nil {
			return 0, err
		}
		n := 0
		for _, m := range f.book.clocks {
			before, provisional := m.row.DueAt, m.row.Provisional
			if !provisional {
				continue
			}
			if err := f.book.count(ctx, m); err != nil {
				return n, err
			}
			if m.row.Provisional == provisional && m.row.DueAt.Equal(before) {
				m.dirty = false
				continue
			}
			u.Note(m.row.IndicatorCode, map[string]any{"from": before, "to": m.row.DueAt, "provisional": m.row.Provisional})
			n++
		}
		if n == 0 {
			return 0, errUnchanged
		}
		f.book.bind()
		return n, f.saveStill(ctx)
	})
	if errors.Is(err, errUnchanged) {
		return 0, nil
	}
	return n, err
}

// saveStill writes the clocks and tasks when the case made no step.
func (f *file) saveStill(ctx context.Context) error {
	ctx = store.Later(access.Elevated(ctx))
	if err := f.book.save(ctx); err != nil {
		return err
	}
	if err := f.saveTasks(ctx); err != nil {
		return err
	}
	if err := f.saveActions(ctx); err != nil {
		return err
	}
	f.changed()
	return nil
}

// CountRow is one group of Counts.
type CountRow struct {
	RegionID string `json:"region_id"`
	State    string `json:"state"`
	Stage    string `json:"stage"`
	Count    int    `json:"count"`
}

// Counts counts the cases the viewer may see by region, state and stage, in one
// statement. under and process narrow it; "" means any.
func (r *Room) Counts(ctx context.Context, under, processID string) ([]CountRow, error) {
	q := r.door.Store.Client().ServiceCase.Query()
	if under != "" {
		q.Where(func(s *sql.Selector) { store.Within([]string{under})(s) })
	}
	if processID != "" {
		q.Where(servicecase.ProcessID(processID))
	}
	var rows []CountRow
	err := q.GroupBy(servicecase.FieldRegionID, servicecase.FieldState, servicecase.FieldStage).Aggregate(ent.Count()).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count cases: %w", err)
	}
	return rows, nil
}
