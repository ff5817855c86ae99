package norm

import (
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/internal/fault"
)

// Counter counts limits in one calendar; *calendar.Calendar is one.
type Counter interface {
	// CountLimit returns the first instant that is too late; provisional says
	// that it rests on a year not announced, a zero instant that an open pause
	// keeps it unknown.
	CountLimit(basis string, value float64, unit string, cutoffHour int, start time.Time, pauses [][2]time.Time) (at time.Time, provisional bool, err error)
	// Location returns the zone in which days are counted.
	Location() *time.Location
	// AnnouncedYears returns the years whose days off are known, ascending.
	AnnouncedYears() []int
}

// Count counts the due instant of a clock-like indicator with c.
func (i *Indicator) Count(c Counter, start time.Time, pauses [][2]time.Time) (at time.Time, provisional bool, err error) {
	return c.CountLimit(string(i.Basis), i.Value, string(i.Unit), i.CutoffHour, start, pauses)
}

// Verdict says how often a candidate is stricter than what is above it.
type Verdict string

// The verdicts; an enterprise indicator with Never is refused.
const (
	Never     Verdict = "never"
	Sometimes Verdict = "sometimes"
	Always    Verdict = "always"
)

// Relation compares a candidate with what is above it for the starts of a day.
type Relation string

// The relations; Mixed means that it depends on the time of day.
const (
	Stricter Relation = "stricter"
	Equal    Relation = "equal"
	Looser   Relation = "looser"
	Mixed    Relation = "mixed"
)

// Span is a run of starting days with one relation, both ends included,
// written 2006-01-02.
type Span struct {
	From, To string
	Relation Relation
}

// Scope is the comparison for one set of indicators above: the services and
// areas in which just these apply, beside the candidate.
type Scope struct {
	Services      []string
	Areas         []string
	Against       []string // codes of the indicators above
	Verdict       Verdict
	FirstStricter time.Time // first start at which the candidate is stricter; zero: none
	FirstLooser   time.Time // first start at which it is looser; zero: none
	Spans         []Span    // over the announced calendar; nil for figures
}

// Strictness is the answer of CompareStrictness.
type Strictness struct {
	Verdict       Verdict
	FirstStricter time.Time
	FirstLooser   time.Time
	Scopes        []Scope
}

// CompareStrictness tells whether a candidate is stricter than the indicators
// above it, for the rule that an enterprise standard may only be stricter. It
// compares what is measured, not names: the same start and stop event in a
// common service and area, and no other condition than the candidate's. A limit
// is compared with limits, a pledge with limits and pledges, a floor with
// floors (later is stricter), a figure with figures of the same statistic, unit
// and events, or with the one it adopts.
//
// Clocks are compared by their due instants, for every start instant of the
// announced years whose dues are not provisional, against the strictest above.
// The whole is never when no scope is ever stricter, always when each always is
// (or nothing is above), sometimes otherwise.
//
// Errors are fault.Precondition NORM_CALENDAR_UNANNOUNCED where days are to be
// counted in a calendar without announced years, and those of the Counter.
// Cost: linear in announced days, times indicators above, times scopes.
func CompareStrictness(candidate *Indicator, above []*Indicator, v *Vocabulary, c Counter) (Strictness, error) {
	out := Strictness{Verdict: Always}
	var comparable []*Indicator
	for _, a := range above {
		if candidate.comparable(a) {
			comparable = append(comparable, a)
		}
	}
	out.Scopes = scopes(candidate, comparable, v)
	stricter, looser := 0, 0
	for i := range out.Scopes {
		s := &out.Scopes[i]
		var against []*Indicator
		for _, a := range comparable {
			if slices.Contains(s.Against, a.Code) {
				against = append(against, a)
			}
		}
		if err := s.compare(candidate, against, c); err != nil {
			return Strictness{}, err
		}
		switch s.Verdict {
		case Always:
			stricter++
		case Never:
			looser++
		}
		out.FirstStricter = earliest(out.FirstStricter, s.FirstStricter)
		out.FirstLooser = earliest(out.FirstLooser, s.FirstLooser)
	}
	switch {
	case stricter == len(out.Scopes):
	case looser == len(out.Scopes):
		out.Verdict = Never
	default:
		out.Verdict = Sometimes
	}
	return out, nil
}

// earliest returns the earlier of two instants; zero means none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// comparable reports whether a measures what i measures, for some case.
func (i *Indicator) comparable(a *Indicator) bool {
	if a.When != nil && (i.When == nil || a.When.Attribute != i.When.Attribute || !slices.Equal(a.When.In, i.When.In)) {
		return false
	}
	if i.StartEvent != a.StartEvent || i.StopEvent != a.StopEvent {
		return false
	}
	in, an := i.Nature(), a.Nature()
	switch in {
	case NatureLimit, NatureFloor:
		return in == an
	case NaturePledge:
		return an == NaturePledge || an == NatureLimit
	}
	return in == an && i.Statistic == a.Statistic && i.Unit == a.Unit && i.Basis == a.Basis &&
		(i.StartEvent != "" || i.Adopts == a.Code)
}

// scopes groups the pairs of service and area that the candidate covers by the
// set of indicators above that cover them, too; pairs with none are left out.
func scopes(candidate *Indicator, above []*Indicator, v *Vocabulary) []Scope {
	covers := func(words, up []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return contains(up, w) })
	}
	var out []Scope
	index := map[string]int{}
	for _, s := range v.Services {
		sp := v.ServicePath(s.Code)
		if !covers(candidate.Services, sp) {
			continue
		}
		for _, a := range v.Areas {
			ap := v.AreaPath(a.Code)
			if !covers(candidate.Areas, ap) {
				continue
			}
			var against []string
			for _, x := range above {
				if covers(x.Services, sp) && covers(x.Areas, ap) {
					against = append(against, x.Code)
				}
			}
			if len(against) == 0 {
				continue
			}
			key := strings.Join(against, "\x00")
			n, ok := index[key]
			if !ok {
				n = len(out)
				index[key] = n
				out = append(out, Scope{Against: against})
			}
			if !contains(out[n].Services, s.Code) {
				out[n].Services = append(out[n].Services, s.Code)
			}
			if !contains(out[n].Areas, a.Code) {
				out[n].Areas = append(out[n].Areas, a.Code)
			}
		}
	}
	return out
}

// compare fills verdict, first instants and spans of the scope.
func (s *Scope) compare(candidate *Indicator, against []*Indicator, c Counter) error {
	if !candidate.PutsClock() {
		s.Verdict = Always
		for _, a := range against {
			if !stricterFigure(candidate, a) {
				s.Verdict = Never
			}
		}
		return nil
	}
	r := &rival{candidate: candidate, against: against, counter: c}
	years := c.AnnouncedYears()
	if len(years) == 0 {
		if !r.elapsedOnly() {
			return fault.E(fault.Precondition, "NORM_CALENDAR_UNANNOUNCED", fault.P("code", candidate.Code))
		}
		years = []int{2000} // any year will do: no day is looked up
	}
	var seen flags
	for _, y := range years {
		for d := time.Date(y, time.January, 1, 0, 0, 0, 0, time.UTC); d.Year() == y; d = d.AddDate(0, 0, 1) {
			f, known, err := r.day(d, s)
			if err != nil {
				return err
			}
			if !known {
				continue
			}
			seen |= f
			s.extend(d.Format(time.DateOnly), d.AddDate(0, 0, -1).Format(time.DateOnly), f.relation())
		}
	}
	switch {
	case seen == isStricter:
		s.Verdict = Always
	case seen&isStricter != 0:
		s.Verdict = Sometimes
	default:
		s.Verdict = Never
	}
	return nil
}

// extend adds a day to the spans.
func (s *Scope) extend(day, yesterday string, r Relation) {
	if n := len(s.Spans); n > 0 && s.Spans[n-1].Relation == r && s.Spans[n-1].To == yesterday {
		s.Spans[n-1].To = day
		return
	}
	s.Spans = append(s.Spans, Span{day, day, r})
}

// flags is the set of relations met.
type flags uint8

const (
	isStricter flags = 1 << iota
	isEqual
	isLooser
)

// relation sums the flags of one day up.
func (f flags) relation() Relation {
	switch f {
	case isStricter:
		return Stricter
	case isEqual:
		return Equal
	case isLooser:
		return Looser
	}
	return Mixed
}

// rival compares one candidate with the strictest of several above.
type rival struct {
	candidate *Indicator
	against   []*Indicator
	counter   Counter
}

// elapsedOnly reports whether no day is counted on either side.
func (r *rival) elapsedOnly() bool {
	return r.candidate.Basis == Elapsed && !slices.ContainsFunc(r.against, func(a *Indicator) bool { return a.Basis != Elapsed })
}

// at compares the dues of one start; known is false where one is provisional.
func (r *rival) at(start time.Time) (f flags, known bool, err error) {
	due, provisional, err := r.candidate.Count(r.counter, start, nil)
	if err != nil || provisional {
		return 0, false, err
	}
	floor := r.candidate.Nature() == NatureFloor
	var best time.Time
	for _, a := range r.against {
		d, provisional, err := a.Count(r.counter, start, nil)
		if err != nil || provisional {
			return 0, false, err
		}
		if best.IsZero() || (d.Before(best) != floor && !d.Equal(best)) {
			best = d
		}
	}
	order := due.Compare(best)
	if floor {
		order = -order
	}
	return [...]flags{isStricter, isEqual, isLooser}[order+1], true, nil
}

// day compares every start of one civil day: between two breaks (midnight,
// cut-off hours, whole hours where one side counts them) each due is constant
// or moves with the start, so the relation changes at most once and the ends
// tell which relations there are; where they differ the second of the change
// is searched for the scope's first instants.
func (r *rival) day(d time.Time, s *Scope) (f flags, known bool, err error) {
	breaks := r.breaks(d)
	for i := range len(breaks) - 1 {
		lo, hi := breaks[i], breaks[i+1].Add(-time.Second)
		if hi.Before(lo) {
			continue
		}
		a, okA, err := r.at(lo)
		if err != nil {
			return 0, false, err
		}
		b, okB, err := r.at(hi)
		if err != nil {
			return 0, false, err
		}
		if !okA || !okB {
			return 0, false, nil
		}
		f |= a | b
		if (a|b)&isStricter != 0 && s.FirstStricter.IsZero() {
			if s.FirstStricter, err = r.first(lo, hi, isStricter); err != nil {
				return 0, false, err
			}
		}
		if (a|b)&isLooser != 0 && s.FirstLooser.IsZero() {
			if s.FirstLooser, err = r.first(lo, hi, isLooser); err != nil {
				return 0, false, err
			}
		}
	}
	return f, true, nil
}

// breaks returns the instants at which a due may jump, from the beginning of
// the day to that of the next.
func (r *rival) breaks(d time.Time) []time.Time {
	loc := r.counter.Location()
	y, m, day := d.Date()
	hours := []int{0, 24}
	for _, i := range append([]*Indicator{r.candidate}, r.against...) {
		if i.Basis == SameDay && i.CutoffHour > 0 {
			hours = append(hours, i.CutoffHour)
		}
		if i.Basis == NextHour {
			for h := range 24 {
				hours = append(hours, h)
			}
		}
	}
	slices.Sort(hours)
	var out []time.Time
	for _, h := range slices.Compact(hours) {
		out = append(out, time.Date(y, m, day, h, 0, 0, 0, loc))
	}
	return out
}

// first returns the first second of [lo, hi] with the wanted relation, which
// holds at one of the ends and changes at most once between.
func (r *rival) first(lo, hi time.Time, want flags) (time.Time, error) {
	if f, _, err := r.at(lo); err != nil || f == want {
		return lo, err
	}
	for hi.Sub(lo) > time.Second {
		mid := lo.Add(hi.Sub(lo) / 2).Truncate(time.Second)
		f, _, err := r.at(mid)
		if err != nil {
			return time.Time{}, err
		}
		if f == want {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, nil
}

// stricterFigure reports whether a figure demands more than another of the same
// statistic and unit.
func stricterFigure(a, b *Indicator) bool {
	switch a.Comparator {
	case AtMost, Below:
		return a.Value < b.Value || (a.Value == b.Value && a.Comparator == Below && b.Comparator == AtMost)
	case AtLeast, Above:
		return a.Value > b.Value || (a.Value == b.Value && a.Comparator == Above && b.Comparator == AtLeast)
	}
	return false
}
