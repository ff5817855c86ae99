package standard

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/norm"
)

// coming is how far ahead deadlines are counted as coming.
const coming = 7 * 24 * time.Hour

// examples is how many cases an impact names.
const examples = 20

// ImpactReport is what publishing a version would change. Who keeps standards in
// its region is told all counts, others those of the cases they may see; cases
// are named to those who may see them. Attributes of cases are not looked at.
type ImpactReport struct {
	VersionID    string
	QuarterFrom  time.Time // the last full quarter in the standard's zone
	QuarterTo    time.Time
	Indicators   []IndicatorImpact // the clocks that are added, changed or removed
	Processes    []ImpactedProcess // bound versions that measure them
	Bindings     int               // regions that run those versions
	RunningCases int               // cases with a clock that one of them would change
	CaseIDs      []string          // of those, the first few
	Deadlines    int               // running clocks of those cases that are due within a week
}

// IndicatorImpact is the impact of one indicator.
type IndicatorImpact struct {
	Code         string
	Name         norm.Text
	Action       string // added, changed, removed
	Policy       string // of its clause: pinned clocks stay, immediate ones move
	RunningCases int
	Deadlines    int
	Finished     int // measured in the last quarter
	Breached     int // of those, breached by what was in force
	WouldBreach  int // of those, breached had this indicator been in force
}

// ImpactedProcess is a bound process version that raises events of changed
// indicators.
type ImpactedProcess struct {
	ProcessKey string
	VersionID  string
	Number     int
	Indicators []string
}

// turn is one indicator that differs from what is in force.
type turn struct {
	action        norm.Action
	before, after *norm.Indicator
	policy        norm.Policy
}

// now is the indicator that says what is measured.
func (t turn) now() *norm.Indicator {
	if t.after != nil {
		return t.after
	}
	return t.before
}

// Impact tells what publishing a version would change against the version of its
// standard in force now. Errors: STANDARD_VERSION_NOT_FOUND, CALENDAR_NOT_FOUND.
// Cost: linear in the clocks between the events of changed indicators that were
// stopped in the last quarter.
func (r *Room) Impact(ctx context.Context, versionID string) (*ImpactReport, error) {
	row, err := version(ctx, r.door.Store.Client(), versionID, "versionID")
	if err != nil {
		return nil, err
	}
	text, err := r.text(row)
	if err != nil {
		return nil, err
	}
	set, err := r.InForce(ctx)
	if err != nil {
		return nil, err
	}
	counter, err := r.counterFor(ctx, row, text)
	if err != nil {
		return nil, err
	}
	now := r.door.Clock.Now()
	out := &ImpactReport{VersionID: row.ID, CaseIDs: []string{}}
	out.QuarterFrom, out.QuarterTo = lastQuarter(now, counter.Location())
	all := counting(ctx, row.RegionPath)
	turns := turnsOf(inForceNow(set, text.Code, now), &text.Versions[0])
	if err := r.impactProcesses(all, out, row, turns, set.Vocabulary(), now); err != nil {
		return nil, err
	}
	var touched []predicate.Clock
	for _, t := range turns {
		one, running, err := r.impactOf(all, row, t, counter, out.QuarterFrom, out.QuarterTo)
		if err != nil {
			return nil, err
		}
		out.Indicators, touched = append(out.Indicators, one), append(touched, running)
	}
	if len(touched) == 0 {
		return out, nil
	}
	if err := r.impactCases(all, out, clock.Or(touched...), now); err != nil {
		return nil, err
	}
	return out, r.nameCases(ctx, out, clock.Or(touched...))
}

// inForceNow is the version of a standard in force, an empty one without.
func inForceNow(set *norm.Set, code string, now time.Time) *norm.Version {
	for _, s := range set.Standards() {
		if s.Code == code {
			if v := s.At(now); v != nil {
				return v
			}
		}
	}
	return &norm.Version{}
}

// turnsOf compares the clocks of two versions.
func turnsOf(before, after *norm.Version) []turn {
	clockOf := func(i *norm.Indicator) *norm.Indicator {
		if i == nil || !i.Enabled || !i.PutsClock() {
			return nil
		}
		return i
	}
	policy := func(number string) norm.Policy { // running clocks follow what the new version says
		if c := after.Clause(number); c != nil && c.Policy != "" {
			return c.Policy
		}
		return norm.Pinned
	}
	var out []turn
	for i := range after.Indicators {
		a := clockOf(&after.Indicators[i])
		b := clockOf(before.Indicator(after.Indicators[i].Code))
		switch {
		case a == nil && b == nil, a != nil && b != nil && reflect.DeepEqual(a, b):
		case b == nil:
			out = append(out, turn{norm.Added, nil, a, policy(a.Clause)})
		case a == nil:
			out = append(out, turn{norm.Removed, b, nil, policy(b.Clause)})
		default:
			out = append(out, turn{norm.Changed, b, a, policy(a.Clause)})
		}
	}
	for i := range before.Indicators {
		if b := clockOf(&before.Indicators[i]); b != nil && after.Indicator(b.Code) == nil {
			out = append(out, turn{norm.Removed, b, nil, policy(b.Clause)})
		}
	}
	return out
}

func (r *Room) impactProcesses(ctx context.Context, out *ImpactReport, row *ent.StandardVersion, turns []turn, words *norm.Vocabulary, now time.Time) error {
	processes, err := r.processes(ctx, row.RegionPath, now)
	if err != nil {
		return err
	}
	for _, p := range processes {
		var codes []string
		for _, t := range turns {
			ind := t.now()
			if serves(p.service, ind, words) && len(p.events[ind.StartEvent])+len(p.events[ind.StopEvent]) > 0 {
				codes = append(codes, ind.Code)
			}
		}
		if len(codes) > 0 {
			out.Processes = append(out.Processes, ImpactedProcess{p.key, p.version.ID, p.version.Number, codes})
			out.Bindings += p.bindings
		}
	}
	return nil
}

// impactOf counts one indicator; running selects the running clocks it concerns.
func (r *Room) impactOf(ctx context.Context, row *ent.StandardVersion, t turn, counter norm.Counter, from, to time.Time) (IndicatorImpact, predicate.Clock, error) {
	ind := t.now()
	out := IndicatorImpact{Code: ind.Code, Name: ind.Name, Action: string(t.action), Policy: string(t.policy)}
	people := population{path: row.RegionPath, indicator: ind}
	of, err := r.cases(ctx, people)
	if err != nil {
		return out, nil, err
	}
	running := clock.And(clock.StateIn(clock.StateRunning, clock.StatePaused), clock.StopEvent(ind.StopEvent), clock.StartEvent(ind.StartEvent), clock.HasCaseWith(of))
	client := r.door.Store.Client()
	if out.RunningCases, err = client.ServiceCase.Query().Where(servicecase.StateEQ(servicecase.StateActive), servicecase.HasClocksWith(running)).Count(ctx); err != nil {
		return out, nil, fmt.Errorf("count running cases: %w", err)
	}
	if out.Deadlines, err = client.Clock.Query().Where(running, clock.DueAtLT(r.door.Clock.Now().Add(coming))).Count(ctx); err != nil {
		return out, nil, fmt.Errorf("count coming deadlines: %w", err)
	}
	laps, err := r.laps(ctx, people, from, to)
	if err != nil {
		return out, nil, err
	}
	out.Finished = len(laps)
	for _, l := range laps {
		if l.breached {
			out.Breached++
		}
		late, err := wouldBreach(t.after, l, counter)
		if err != nil {
			return out, nil, err
		}
		if late {
			out.WouldBreach++
		}
	}
	return out, running, nil
}

// wouldBreach counts a lap by an indicator; none is never breached.
func wouldBreach(ind *norm.Indicator, l *lap, counter norm.Counter) (bool, error) {
	if ind == nil {
		return false, nil
	}
	due, _, err := ind.Count(counter, l.from, l.pauses)
	if err != nil {
		return false, fmt.Errorf("count indicator %s: %w", ind.Code, err)
	}
	inTime := l.to.Before(due)
	return inTime == (ind.Nature() == norm.NatureFloor), nil
}

// impactCases counts the running cases that any indicator concerns.
func (r *Room) impactCases(ctx context.Context, out *ImpactReport, running predicate.Clock, now time.Time) error {
	client := r.door.Store.Client()
	var err error
	out.RunningCases, err = client.ServiceCase.Query().Where(servicecase.StateEQ(servicecase.StateActive), servicecase.HasClocksWith(running)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count running cases: %w", err)
	}
	if out.Deadlines, err = client.Clock.Query().Where(running, clock.DueAtLT(now.Add(coming))).Count(ctx); err != nil {
		return fmt.Errorf("count coming deadlines: %w", err)
	}
	return nil
}

// nameCases names the first of the running cases that the viewer may see.
func (r *Room) nameCases(ctx context.Context, out *ImpactReport, running predicate.Clock) error {
	ids, err := r.door.Store.Client().ServiceCase.Query().Where(servicecase.StateEQ(servicecase.StateActive), servicecase.HasClocksWith(running)).
		Order(ent.Asc(servicecase.FieldID)).Limit(examples).IDs(ctx)
	if err != nil {
		return fmt.Errorf("name running cases: %w", err)
	}
	out.CaseIDs = append(out.CaseIDs, ids...)
	return nil
}

// counting is the context in which cases of a region are counted: all of them for
// who keeps standards there, since sums name nobody, else those the viewer sees.
func counting(ctx context.Context, path string) context.Context {
	v := access.From(ctx)
	for _, a := range []access.Action{access.DraftStandard, access.ApproveStandard, access.PublishStandard} {
		if v != nil && v.May(a, path) {
			return access.Elevated(ctx)
		}
	}
	return ctx
}

// lastQuarter is the last full quarter of the year before now in a zone.
func lastQuarter(now time.Time, zone *time.Location) (from, to time.Time) {
	local := now.In(zone)
	first := time.Month((int(local.Month())-1)/3*3 + 1)
	to = time.Date(local.Year(), first, 1, 0, 0, 0, 0, zone)
	return to.AddDate(0, -3, 0), to
}
