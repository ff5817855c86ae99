package standard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
)

// IndicatorStrictness says how an indicator of an enterprise standard compares
// with what is above it: always or sometimes stricter, and when.
type IndicatorStrictness struct {
	Indicator     string
	Verdict       string
	FirstStricter *time.Time // first start instant at which it binds
	FirstLooser   *time.Time // first start instant at which what is above binds
	Scopes        []StrictnessScope
}

// StrictnessScope is the comparison for the services and areas in which the same
// indicators are above.
type StrictnessScope struct {
	Services []string
	Areas    []string
	Against  []string // codes of the indicators above
	Verdict  string
	Spans    []StrictnessSpan // over the announced calendar
}

// StrictnessSpan is a run of starting days with one relation, both ends included.
type StrictnessSpan struct {
	From     string
	To       string
	Relation string
}

// above is an indicator in force above a candidate, with where it stands.
type above struct {
	standard  string
	indicator *norm.Indicator
}

// strictness compares each enabled indicator of an enterprise standard's version
// with what is above it when the version begins; found are the refusals.
func (r *Room) strictness(ctx context.Context, set *norm.Set, row *ent.StandardVersion, text *norm.Standard, v *norm.Version) ([]IndicatorStrictness, []*fault.Error, error) {
	at := v.EffectiveFrom.Time
	if at.IsZero() {
		at = r.door.Clock.Now()
	}
	higher := higherThan(set, text, row.RegionPath, at)
	if len(higher) == 0 {
		return nil, nil, nil
	}
	counter, err := r.counterFor(ctx, row, text)
	if err != nil {
		return nil, nil, err
	}
	list := make([]*norm.Indicator, len(higher))
	for i, h := range higher {
		list[i] = h.indicator
	}
	var out []IndicatorStrictness
	var found []*fault.Error
	for i := range v.Indicators {
		ind := &v.Indicators[i]
		if !ind.Enabled {
			continue
		}
		s, err := norm.CompareStrictness(ind, list, set.Vocabulary(), counter)
		if err != nil {
			return nil, nil, below(err, "input", "versionID")
		}
		if len(s.Scopes) == 0 {
			continue
		}
		if s.Verdict == norm.Never {
			found = append(found, never(ind, s, higher, counter.Location()))
		}
		out = append(out, strictnessOf(ind, s))
	}
	return out, found, nil
}

// higherThan lists the enabled indicators in force at an instant above an
// enterprise standard of the region of path: those of laws and other norms of
// the region and the regions above it, and of enterprises above it.
func higherThan(set *norm.Set, text *norm.Standard, path string, at time.Time) []above {
	chain := strings.Split(strings.TrimSuffix(path, "/"), "/")
	own := chain[len(chain)-1]
	var out []above
	for _, s := range set.Standards() {
		if s.Code == text.Code || !slices.Contains(chain, s.Jurisdiction) ||
			(s.Authority == norm.Enterprise && s.Jurisdiction == own) {
			continue
		}
		v := s.At(at)
		if v == nil {
			continue
		}
		for i := range v.Indicators {
			ind := &v.Indicators[i]
			inForce := norm.Version{EffectiveFrom: ind.ValidFrom, EffectiveTo: ind.ValidTo}
			if ind.Enabled && inForce.InForce(at) {
				out = append(out, above{s.Code, ind})
			}
		}
	}
	return out
}

// counterFor is the calendar that a standard's days are counted by: its own, else
// that of its region.
func (r *Room) counterFor(ctx context.Context, row *ent.StandardVersion, text *norm.Standard) (norm.Counter, error) {
	code := text.Calendar
	if code == "" {
		home, err := r.door.Store.Client().Region.Get(access.Elevated(ctx), row.RegionID)
		if err != nil {
			return nil, notFound(err, "REGION_NOT_FOUND", row.RegionID)
		}
		code = home.CalendarCode
	}
	return r.Calendar(ctx, code)
}

// never is the refusal of an indicator that is earlier than what is above it for
// no start: it names the clause above and the first start at which it is later.
func never(ind *norm.Indicator, s norm.Strictness, higher []above, zone *time.Location) *fault.Error {
	code, first := "", s.FirstLooser
	for _, scope := range s.Scopes {
		if len(scope.Against) > 0 && (code == "" || (!scope.FirstLooser.IsZero() && scope.FirstLooser.Equal(first))) {
			code = scope.Against[0]
		}
	}
	of := higher[slices.IndexFunc(higher, func(h above) bool { return h.indicator.Code == code })]
	params := []fault.Param{
		fault.P("indicator", ind.Code), fault.P("standard", of.standard), fault.P("clause", of.indicator.Clause),
		fault.P("above", of.indicator.Code),
	}
	if first.IsZero() {
		return fault.E(fault.Precondition, "STANDARD_AS_ABOVE", params...).At("indicators", ind.Code)
	}
	params = append(params, fault.P("date", first.In(zone).Format("2006-01-02 15:04:05")))
	return fault.E(fault.Precondition, "STANDARD_NEVER_STRICTER", params...).At("indicators", ind.Code)
}

func strictnessOf(ind *norm.Indicator, s norm.Strictness) IndicatorStrictness {
	out := IndicatorStrictness{Indicator: ind.Code, Verdict: string(s.Verdict), FirstStricter: stored(s.FirstStricter), FirstLooser: stored(s.FirstLooser)}
	for _, scope := range s.Scopes {
		one := StrictnessScope{Services: scope.Services, Areas: scope.Areas, Against: scope.Against, Verdict: string(scope.Verdict), Spans: []StrictnessSpan{}}
		for _, span := range scope.Spans {
			one.Spans = append(one.Spans, StrictnessSpan{span.From, span.To, string(span.Relation)})
		}
		out.Scopes = append(out.Scopes, one)
	}
	return out
}
