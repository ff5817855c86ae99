package execution

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	entpause "github.com/openspms/spms/ent/pause"
	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/schema"
	"github.com/openspms/spms/schema/ids"
)

// warnPermille is the share of its limit that is used up when a clock warns.
const warnPermille = 800

// book is the clocks of one case during one command: loaded once, changed in
// memory as the step's events come, written once at the end.
type book struct {
	file   *file
	clocks []*measure
	loaded bool
}

// measure is one clock with its pauses.
type measure struct {
	row    *ent.Clock
	pauses []*pause
	fresh  bool // not in the database yet
	dirty  bool
	breach bool // a breach row is to be written
	moved  bool // it measures by another version than it did
}

// pause is one stop of a clock; open until ended is set.
type pause struct {
	row   *ent.Pause
	fresh bool
	dirty bool
}

// Pause parties.
const (
	partyCustomer = "customer"
	partyOperator = "operator"
	partyThird    = "third_party"
)

// load reads the case's unstopped clocks, once.
func (b *book) load(ctx context.Context) error {
	if b.loaded {
		return nil
	}
	if b.file.fresh {
		b.loaded = true
		return nil
	}
	rows, err := b.file.unit.Clock.Query().Where(clock.CaseID(b.file.row.ID), clock.StoppedAtIsNil()).
		Order(ent.Asc(clock.FieldID)).All(ctx)
	if err != nil {
		return fmt.Errorf("load the clocks of a case: %w", err)
	}
	return b.take(ctx, rows)
}

// take puts the case's unstopped clocks into the book, with their pauses.
func (b *book) take(ctx context.Context, rows []*ent.Clock) error {
	b.loaded = true
	if slices.ContainsFunc(rows, func(r *ent.Clock) bool { return r.PausedAt != nil || r.PausedMicros > 0 }) {
		if err := b.loadPauses(ctx, rows); err != nil {
			return err
		}
	}
	for _, r := range rows {
		m := &measure{row: r}
		for _, p := range r.Edges.Pauses {
			m.pauses = append(m.pauses, &pause{row: p})
		}
		slices.SortFunc(m.pauses, func(a, b *pause) int { return a.row.StartedAt.Compare(b.row.StartedAt) })
		b.clocks = append(b.clocks, m)
	}
	return nil
}

// loadPauses reads the pauses of clocks; most have none.
func (b *book) loadPauses(ctx context.Context, rows []*ent.Clock) error {
	of := map[string]*ent.Clock{}
	for _, r := range rows {
		of[r.ID] = r
	}
	pauses, err := b.file.unit.Pause.Query().Where(entpause.ClockIDIn(slices.Collect(maps.Keys(of))...)).All(ctx)
	if err != nil {
		return fmt.Errorf("load the pauses of a case: %w", err)
	}
	for _, p := range pauses {
		r := of[p.ClockID]
		r.Edges.Pauses = append(r.Edges.Pauses, p)
	}
	return nil
}

// happen stops the clocks that a domain event ends and starts those it begins.
func (b *book) happen(ctx context.Context, event string, now time.Time) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	for _, m := range b.clocks {
		if m.row.StopEvent == event && m.row.StoppedAt == nil {
			b.stop(m, now)
		}
	}
	return b.begin(ctx, event, now)
}

// stop ends a clock: met, or breached when its time was over. A floor is the
// other way round: it is kept when its time was over.
func (b *book) stop(m *measure, now time.Time) {
	b.unpause(m, now, func(*pause) bool { return true })
	late := !now.Before(m.row.DueAt)
	m.row.StoppedAt, m.row.NextAt, m.dirty = &now, schema.Far, true
	switch {
	case m.row.Nature == string(norm.NatureFloor):
		if late {
			m.row.State = clock.StateMet
		} else {
			b.breach(m, now)
		}
	case m.row.BreachedAt != nil:
	case late:
		b.breach(m, m.row.DueAt)
	default:
		m.row.State = clock.StateMet
	}
}

// breach marks a clock as breached from an instant on; it happens once.
func (b *book) breach(m *measure, at time.Time) {
	if m.row.BreachedAt != nil {
		return
	}
	m.row.State, m.row.BreachedAt, m.row.NextAt = clock.StateBreached, &at, schema.Far
	m.breach, m.dirty = true, true
}

// begin starts the clocks of every indicator in force for the case that starts
// with the event, unless the same indicator is running already.
func (b *book) begin(ctx context.Context, event string, now time.Time) error {
	found, err := b.applicable(ctx, event, now)
	if err != nil {
		return err
	}
	for _, a := range found {
		if b.runs(a.Indicator.Code) {
			continue
		}
		m, err := b.start(ctx, a, now)
		if err != nil {
			return err
		}
		b.clocks = append(b.clocks, m)
	}
	b.bind()
	return nil
}

// applicable lists the indicators in force for the case that start with an event.
func (b *book) applicable(ctx context.Context, event string, now time.Time) ([]norm.Applicable, error) {
	f := b.file
	current, err := f.inForce(ctx)
	if err != nil {
		return nil, err
	}
	return current.Set().Resolve(norm.Query{
		Regions: f.regionCodes(), Service: f.service(), Area: f.row.Area, StartEvent: event, At: now,
		Attribute: f.attribute,
	}, nil)
}

func (b *book) runs(code string) bool {
	return slices.ContainsFunc(b.clocks, func(m *measure) bool {
		return m.row.IndicatorCode == code && m.row.StoppedAt == nil
	})
}

func (b *book) start(ctx context.Context, a norm.Applicable, now time.Time) (*measure, error) {
	f, i := b.file, a.Indicator
	id, err := f.room.norms.IndicatorID(ctx, a)
	if err != nil {
		return nil, err
	}
	row := &ent.Clock{
		ID: ids.New(ids.Clock), RegionID: f.row.RegionID, RegionPath: f.row.RegionPath, CaseID: f.row.ID,
		IndicatorCode: i.Code, StandardCode: a.Standard.Code, StartEvent: i.StartEvent,
		State: clock.StateRunning, StartedAt: now, Binding: true,
	}
	measureBy(row, id, a)
	m := &measure{row: row, fresh: true, dirty: true}
	return m, b.count(ctx, m)
}

// measureBy writes what an indicator of a version says into a clock.
func measureBy(row *ent.Clock, id string, a norm.Applicable) {
	i := a.Indicator
	row.IndicatorID, row.NameZh, row.NameEn = id, i.Name.ZH, i.Name.EN
	row.ClauseNumber, row.Nature, row.StopEvent = i.Clause, string(a.Nature), i.StopEvent
	row.Basis, row.Value, row.Unit, row.CutoffHour = string(i.Basis), i.Value, string(i.Unit), i.CutoffHour
	row.PauseReasons, row.CreditFen = append([]string{}, i.PauseReasons...), 0
	if i.Consequence != nil {
		row.CreditFen = i.Consequence.CreditFen
	}
}

// count computes the due, warning and next instants from start and pauses.
func (b *book) count(ctx context.Context, m *measure) error {
	cal, err := b.file.calendar(ctx)
	if err != nil {
		return err
	}
	due, err := cal.Due(limitOf(m.row), m.row.StartedAt, m.stops())
	if err != nil {
		return fmt.Errorf("count the due instant of %s: %w", m.row.IndicatorCode, err)
	}
	m.dirty = true
	if due.Open {
		m.row.NextAt = schema.Far
		return nil
	}
	m.row.DueAt, m.row.Provisional = due.At, due.Provisional
	m.row.LastDay = ""
	if m.row.Basis != string(calendar.Elapsed) && m.row.Basis != string(calendar.NextHour) {
		m.row.LastDay = due.LastDay.String()
	}
	warn, _, err := cal.Share(limitOf(m.row), warnPermille, m.row.StartedAt, m.stops()) // known where the end is
	if err != nil {
		return fmt.Errorf("count the warning of %s: %w", m.row.IndicatorCode, err)
	}
	m.row.WarnAt = warn.Truncate(time.Microsecond)
	m.schedule()
	return nil
}

// limitOf returns what the clock counts.
func limitOf(r *ent.Clock) calendar.Limit {
	return calendar.Limit{Basis: calendar.Basis(r.Basis), Value: r.Value, Unit: calendar.Unit(r.Unit), CutoffHour: r.CutoffHour}
}

// schedule sets the next instant at which the clock acts by itself. Floors
// never do: reaching their due instant is what they ask for.
func (m *measure) schedule() {
	switch {
	case m.row.State != clock.StateRunning || m.row.Nature == string(norm.NatureFloor):
		m.row.NextAt = schema.Far
	case m.row.WarnedAt == nil:
		m.row.NextAt = m.row.WarnAt
	default:
		m.row.NextAt = m.row.DueAt
	}
}

func (m *measure) stops() []calendar.Pause {
	var out []calendar.Pause
	for _, p := range m.pauses {
		c := calendar.Pause{From: p.row.StartedAt, Reason: p.row.Reason}
		if p.row.EndedAt != nil {
			c.To = *p.row.EndedAt
		}
		out = append(out, c)
	}
	return out
}

// hold pauses the clocks that admit a reason while the case stays on a node.
func (b *book) hold(ctx context.Context, node string, reason string, only []string, now time.Time) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	for _, m := range b.clocks {
		if m.row.StoppedAt != nil || m.row.BreachedAt != nil || !admits(m.row, reason) ||
			(len(only) > 0 && !slices.Contains(only, m.row.IndicatorCode)) {
			continue
		}
		b.pause(m, &ent.Pause{Reason: reason, Party: partyOf(reason), NodeID: node, By: b.file.unit.Viewer.StaffID}, now)
	}
	return nil
}

// partyOf tells whose side a reason of a process is on, by its first word.
func partyOf(reason string) string {
	switch {
	case strings.HasPrefix(reason, "customer"):
		return partyCustomer
	case strings.HasPrefix(reason, "operator"):
		return partyOperator
	}
	return partyThird
}

func admits(r *ent.Clock, reason string) bool { return slices.Contains(r.PauseReasons, reason) }

func (b *book) pause(m *measure, p *ent.Pause, now time.Time) {
	p.ID, p.RegionID, p.RegionPath, p.ClockID, p.StartedAt = ids.New(ids.Pause), m.row.RegionID, m.row.RegionPath, m.row.ID, now
	m.pauses = append(m.pauses, &pause{row: p, fresh: true, dirty: true})
	if m.row.PausedAt == nil {
		m.row.PausedAt = &now
	}
	m.row.State, m.row.NextAt, m.dirty = clock.StatePaused, schema.Far, true
}

// release ends the pauses that a node's stay had begun.
func (b *book) release(ctx context.Context, node string, now time.Time) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	for _, m := range b.clocks {
		if m.row.StoppedAt != nil || !b.unpause(m, now, func(p *pause) bool { return p.row.NodeID == node }) {
			continue
		}
		if err := b.count(ctx, m); err != nil {
			return err
		}
	}
	b.bind()
	return nil
}

// unpause ends the open pauses that match; it reports whether there were any.
// The clock runs again when none is open any more.
func (b *book) unpause(m *measure, now time.Time, match func(*pause) bool) bool {
	ended, open := false, false
	for _, p := range m.pauses {
		switch {
		case p.row.EndedAt != nil:
		case match(p):
			p.row.EndedAt, p.dirty, ended = &now, true, true
			m.row.PausedMicros += now.Sub(p.row.StartedAt).Microseconds()
		default:
			open = true
		}
	}
	if ended {
		m.dirty = true
		if !open && m.row.State == clock.StatePaused {
			m.row.State, m.row.PausedAt = clock.StateRunning, nil
		}
	}
	return ended
}

// pass lets time act on the clocks: warnings and breaches that are due.
func (b *book) pass(ctx context.Context, now time.Time) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	for _, m := range b.clocks {
		if m.row.NextAt.After(now) {
			continue
		}
		if m.row.WarnedAt == nil {
			at := m.row.WarnAt
			m.row.WarnedAt, m.dirty = &at, true
			b.file.unit.Note("warned:"+m.row.IndicatorCode, m.row.ID)
		}
		if !now.Before(m.row.DueAt) {
			b.breach(m, m.row.DueAt)
			b.file.unit.Note("breached:"+m.row.IndicatorCode, m.row.ID)
		}
		m.schedule()
	}
	return nil
}

// cancel ends the running clocks of a case that is over.
func (b *book) cancel(ctx context.Context, now time.Time) error {
	if err := b.load(ctx); err != nil {
		return err
	}
	for _, m := range b.clocks {
		if m.row.StoppedAt != nil {
			continue
		}
		b.unpause(m, now, func(*pause) bool { return true })
		m.row.StoppedAt, m.row.NextAt, m.dirty = &now, schema.Far, true
		if m.row.BreachedAt == nil {
			m.row.State = clock.StateCancelled
		}
	}
	return nil
}

// bind lets the strictest clock bind and marks the others as shadowed by it.
func (b *book) bind() {
	for _, m := range b.clocks {
		best := m
		for _, o := range b.clocks {
			if competes(m.row, o.row) && earlier(o.row, best.row) {
				best = o
			}
		}
		var by *string
		if best != m {
			by = &best.row.ID
		}
		if m.row.Binding != (by == nil) || !same(m.row.ShadowedByID, by) {
			m.row.Binding, m.row.ShadowedByID, m.dirty = by == nil, by, true
		}
	}
}

func same(a, b *string) bool { return a == b || (a != nil && b != nil && *a == *b) }

// competes reports whether two clocks measure the same thing: the same events
// in the same nature, from the same start.
func competes(a, b *ent.Clock) bool {
	return a.Nature == b.Nature && a.StartEvent == b.StartEvent && a.StopEvent == b.StopEvent &&
		a.StartedAt.Equal(b.StartedAt) && (a.StoppedAt == nil) == (b.StoppedAt == nil)
}

// earlier reports whether a binds rather than b: the earlier due instant, of
// floors the later, then the smaller code.
func earlier(a, b *ent.Clock) bool {
	order := a.DueAt.Compare(b.DueAt)
	if a.Nature == string(norm.NatureFloor) {
		order = -order
	}
	return cmp.Or(order, cmp.Compare(a.IndicatorCode, b.IndicatorCode)) < 0
}

// nextDue returns the earliest due instant of the binding clocks that still
// count, nil without one; open tasks are sorted by it.
func (b *book) nextDue() *time.Time {
	var due *time.Time
	for _, m := range b.clocks {
		if m.row.StoppedAt != nil || !m.row.Binding || m.row.Nature == string(norm.NatureFloor) {
			continue
		}
		if due == nil || m.row.DueAt.Before(*due) {
			due = &m.row.DueAt
		}
	}
	return due
}

// find returns the unstopped clock of an id.
func (b *book) find(id string) (*measure, error) {
	for _, m := range b.clocks {
		if m.row.ID == id && m.row.StoppedAt == nil {
			return m, nil
		}
	}
	return nil, fault.E(fault.Precondition, "CLOCK_STOPPED", fault.P("clock", id)).At("input", "clockID")
}
