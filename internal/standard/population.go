package standard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/pause"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/store"
)

// population is the cases that an indicator is about: of its services and areas,
// in a region and below it.
type population struct {
	path      string
	indicator *norm.Indicator
	service   string // narrows to a service and its kinds; "" for all
}

// cases selects the cases of a population. Attributes of cases are not looked at.
func (r *Room) cases(ctx context.Context, p population) (predicate.ServiceCase, error) {
	vocabulary, err := words()
	if err != nil {
		return nil, err
	}
	kinds, err := r.door.Store.Client().Process.Query().Unique(true).Select(process.FieldServiceType).Strings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the services of the processes: %w", err)
	}
	narrow := p.service
	if code, ok := vocabulary.Service(narrow); ok {
		narrow = code
	}
	kinds = slices.DeleteFunc(kinds, func(k string) bool {
		return !serves(k, p.indicator, vocabulary) || (narrow != "" && !slices.Contains(vocabulary.ServicePath(k), narrow))
	})
	var areas []string
	for _, a := range vocabulary.Areas {
		if slices.ContainsFunc(vocabulary.AreaPath(a.Code), func(w string) bool { return slices.Contains(p.indicator.Areas, w) }) {
			areas = append(areas, a.Code)
		}
	}
	within := predicate.ServiceCase(store.Within([]string{p.path}))
	return servicecase.And(within, servicecase.AreaIn(areas...), servicecase.HasProcessWith(process.ServiceTypeIn(kinds...))), nil
}

// lap is one measurement of a case from a start event to a stop event, however
// many clocks took it.
type lap struct {
	clockID  string // of the clock whose pauses count
	caseID   string
	from, to time.Time
	paused   time.Duration
	breached bool           // some clock of it was breached
	own      *ent.Clock     // the clock of the indicator itself
	pauses   [][2]time.Time // those with the indicator's reasons
}

// laps reads what was measured between an indicator's events and ended in
// [from, to). Only cases that the viewer may see count. Cost: linear in the
// clocks read.
func (r *Room) laps(ctx context.Context, p population, from, to time.Time) ([]*lap, error) {
	of, err := r.cases(ctx, p)
	if err != nil {
		return nil, err
	}
	rows, err := r.door.Store.Client().Clock.Query().
		Where(clock.StopEvent(p.indicator.StopEvent), clock.StartEvent(p.indicator.StartEvent), clock.StoppedAtGTE(from), clock.StoppedAtLT(to),
			clock.StateIn(clock.StateMet, clock.StateBreached), predicate.Clock(store.Within([]string{p.path})), clock.HasCaseWith(of)).
		Select(clock.FieldID, clock.FieldCaseID, clock.FieldIndicatorCode, clock.FieldState, clock.FieldStartedAt, clock.FieldStoppedAt, clock.FieldPausedMicros).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read finished clocks: %w", err)
	}
	type key struct {
		caseID string
		from   int64
	}
	known := make(map[key]*lap, len(rows))
	var out []*lap
	for _, row := range rows {
		k := key{row.CaseID, row.StartedAt.UnixMicro()}
		l := known[k]
		if l == nil {
			l = &lap{clockID: row.ID, caseID: row.CaseID, from: row.StartedAt, to: *row.StoppedAt}
			known[k] = l
			out = append(out, l)
		}
		if paused := time.Duration(row.PausedMicros) * time.Microsecond; paused > l.paused {
			l.paused, l.clockID = paused, row.ID
		}
		l.breached = l.breached || row.State == clock.StateBreached
		if row.IndicatorCode == p.indicator.Code {
			l.own = row
		}
	}
	slices.SortFunc(out, func(a, b *lap) int { return strings.Compare(a.caseID, b.caseID) })
	return out, r.pauses(ctx, p.indicator, out)
}

// pauses reads the pauses of the laps that have any, of the reasons admitted.
func (r *Room) pauses(ctx context.Context, ind *norm.Indicator, laps []*lap) error {
	by := map[string]*lap{}
	var ids []string
	for _, l := range laps {
		if l.paused > 0 {
			by[l.clockID], ids = l, append(ids, l.clockID)
		}
	}
	for part := range slices.Chunk(ids, 500) {
		rows, err := r.door.Store.Client().Pause.Query().Where(pause.ClockIDIn(part...)).All(ctx)
		if err != nil {
			return fmt.Errorf("read pauses: %w", err)
		}
		for _, row := range rows {
			if slices.Contains(ind.PauseReasons, row.Reason) {
				l := by[row.ClockID]
				end := l.to
				if row.EndedAt != nil {
					end = *row.EndedAt
				}
				l.pauses = append(l.pauses, [2]time.Time{row.StartedAt, end})
			}
		}
	}
	return nil
}
