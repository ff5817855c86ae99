package norm

import (
	"cmp"
	"slices"
	"time"

	"github.com/openspms/spms/internal/fault"
)

// Query asks which indicators apply to a case at the instant a clock starts.
type Query struct {
	Regions    []string                         // region codes from the case's own up to the root: CN-HA-ZZ, CN-HA, CN
	Service    string                           // code or alias of a service
	Area       string                           // code or alias of an area
	StartEvent string                           // empty: any
	At         time.Time                        // instant at which the clock starts
	Attribute  func(name string) (string, bool) // case attributes; nil: conditional indicators are returned, too
	Figures    bool                             // also those that put no clock on a case
	Disabled   bool                             // also those that are not enabled
}

// Applicable is an indicator that applies, with where it stands.
type Applicable struct {
	Standard  *Standard
	Version   *Version
	Clause    *Clause
	Indicator *Indicator
	Nature    Nature
}

// Set is an index over standards. It is immutable and safe for concurrent use.
type Set struct {
	vocabulary Vocabulary
	standards  []*Standard
	all        []entry            // in order of authority, standard, version, indicator
	byEvent    map[string][]int32 // positions in all by start event
	services   tree
	areas      tree
	regions    map[string]int
}

// bits is a set of up to 256 terms of one tree.
type bits [4]uint64

func (b *bits) add(i int)          { b[i>>6] |= 1 << (i & 63) }
func (b *bits) meets(c *bits) bool { return b[0]&c[0]|b[1]&c[1]|b[2]&c[2]|b[3]&c[3] != 0 }

// entry is one indicator of one version, made ready for matching.
type entry struct {
	Applicable
	region   int  // interned jurisdiction
	services bits // the indicator's own services
	areas    bits
}

// maxTerms bounds a tree of the vocabulary.
const maxTerms = 256

// NewSet indexes standards over a vocabulary. The standards must have passed
// Validate and must not be changed afterwards. Errors are fault.Invalid:
// NORM_VOCABULARY_TOO_LARGE, NORM_SERVICE_UNKNOWN, NORM_AREA_UNKNOWN. Cost:
// linear in indicators.
func NewSet(vocabulary Vocabulary, standards ...*Standard) (*Set, error) {
	if max(len(vocabulary.Services), len(vocabulary.Areas)) > maxTerms {
		return nil, fault.E(fault.Invalid, "NORM_VOCABULARY_TOO_LARGE", fault.P("limit", maxTerms))
	}
	s := &Set{
		vocabulary: vocabulary, standards: slices.Clone(standards), byEvent: map[string][]int32{},
		services: newTree(vocabulary.Services), areas: newTree(vocabulary.Areas), regions: map[string]int{},
	}
	slices.SortStableFunc(s.standards, func(a, b *Standard) int {
		return cmp.Or(cmp.Compare(a.Authority.rank(), b.Authority.rank()), cmp.Compare(a.Code, b.Code))
	})
	for _, st := range s.standards {
		for i := range st.Versions {
			if err := s.addVersion(st, &st.Versions[i]); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// addVersion indexes the indicators of one version.
func (s *Set) addVersion(st *Standard, v *Version) error {
	region, ok := s.regions[st.Jurisdiction]
	if !ok {
		region = len(s.regions)
		s.regions[st.Jurisdiction] = region
	}
	for i := range v.Indicators {
		ind := &v.Indicators[i]
		e := entry{Applicable: Applicable{st, v, v.Clause(ind.Clause), ind, ind.Nature()}, region: region}
		for _, w := range ind.Services {
			n, ok := s.services.number[w]
			if !ok {
				return fault.E(fault.Invalid, "NORM_SERVICE_UNKNOWN", fault.P("word", w)).At(st.Code, ind.Code, "services")
			}
			e.services.add(n)
		}
		for _, w := range ind.Areas {
			n, ok := s.areas.number[w]
			if !ok {
				return fault.E(fault.Invalid, "NORM_AREA_UNKNOWN", fault.P("word", w)).At(st.Code, ind.Code, "areas")
			}
			e.areas.add(n)
		}
		s.byEvent[ind.StartEvent] = append(s.byEvent[ind.StartEvent], int32(len(s.all)))
		s.all = append(s.all, e)
	}
	return nil
}

// tree numbers the terms of a tree and knows the ancestors of each spelling.
type tree struct {
	number map[string]int
	above  map[string]bits // the term itself and its ancestors
}

func newTree(terms []Term) tree {
	t := tree{number: map[string]int{}, above: map[string]bits{}}
	for i, term := range terms {
		for _, w := range append([]string{term.Code}, term.Aliases...) {
			if _, taken := t.number[w]; !taken {
				t.number[w] = i
			}
		}
	}
	for w := range t.number {
		var b bits
		for _, code := range path(terms, w) {
			b.add(t.number[code])
		}
		t.above[w] = b
	}
	return t
}

// Standards returns the indexed standards, highest authority first.
func (s *Set) Standards() []*Standard { return slices.Clone(s.standards) }

// Vocabulary returns the words the set was built over.
func (s *Set) Vocabulary() *Vocabulary { return &s.vocabulary }

// Find returns the indicator of a code that is in force at an instant, enabled
// or not; with the zero instant that of the latest version. Cost: linear.
func (s *Set) Find(code string, at time.Time) (Applicable, bool) {
	var found Applicable
	ok := false
	for i := range s.all {
		e := &s.all[i]
		if e.Indicator.Code != code {
			continue
		}
		if at.IsZero() {
			if !ok || e.Version.EffectiveFrom.After(found.Version.EffectiveFrom.Time) {
				found, ok = e.Applicable, true
			}
			continue
		}
		if e.Version.InForce(at) {
			return e.Applicable, true
		}
	}
	return found, ok
}

// Resolve appends to out the indicators that apply to q, highest authority
// first, and returns it. Regions are matched with the jurisdiction of the
// standard, service and area with the indicator's or anything they are a kind
// of. Errors are fault.Invalid: NORM_SERVICE_UNKNOWN, NORM_AREA_UNKNOWN. Cost:
// linear in the indicators that start with the event.
func (s *Set) Resolve(q Query, out []Applicable) ([]Applicable, error) {
	services, ok := s.services.above[q.Service]
	if !ok {
		return out, fault.E(fault.Invalid, "NORM_SERVICE_UNKNOWN", fault.P("word", q.Service)).At("service")
	}
	areas, ok := s.areas.above[q.Area]
	if !ok {
		return out, fault.E(fault.Invalid, "NORM_AREA_UNKNOWN", fault.P("word", q.Area)).At("area")
	}
	var chain [16]int
	regions := chain[:0]
	for _, r := range q.Regions {
		if n, ok := s.regions[r]; ok {
			regions = append(regions, n)
		}
	}
	take := func(e *entry) {
		ind := e.Indicator
		if (ind.Enabled || q.Disabled) && slices.Contains(regions, e.region) &&
			e.services.meets(&services) && e.areas.meets(&areas) &&
			(q.Figures || ind.PutsClock()) && e.Version.InForce(q.At) && ind.validAt(q.At) &&
			(q.Attribute == nil || ind.When.Holds(q.Attribute)) {
			out = append(out, e.Applicable)
		}
	}
	if q.StartEvent == "" {
		for i := range s.all {
			take(&s.all[i])
		}
		return out, nil
	}
	for _, i := range s.byEvent[q.StartEvent] {
		take(&s.all[i])
	}
	return out, nil
}

// Clock is an applicable indicator with its due instant as counted by its own
// basis and calendar; a zero Due means that an open pause keeps it unknown.
type Clock struct {
	Applicable
	Due         time.Time
	Provisional bool
}

// Bound is a clock and what governs it: ShadowedBy is the index in Bind's
// result of the clock that binds instead, -1 for a clock that binds itself.
type Bound struct {
	Clock
	ShadowedBy int
}

// Bind lets the strictest win, per instance: among the clocks that measure the
// same thing (same start and stop event) and are of the same nature the
// earliest due binds, of floors the latest; the others are shadowed by it. Of
// equal instants the higher authority binds, then the smaller code. Limits and
// pledges do not shadow each other: a pledge is judged by its share, a limit
// case by case. The order of clocks is kept. Cost: clocks times
// groups, both few.
func Bind(clocks []Clock) []Bound {
	out := make([]Bound, len(clocks))
	for i := range clocks {
		if out[i].Indicator != nil { // its group is known
			continue
		}
		best := i
		for j := range clocks {
			if sameMeasure(&clocks[i].Applicable, &clocks[j].Applicable) && clocks[j].before(&clocks[best]) {
				best = j
			}
		}
		for j := range clocks {
			if j == i || sameMeasure(&clocks[i].Applicable, &clocks[j].Applicable) {
				out[j] = Bound{clocks[j], best}
			}
		}
		out[best].ShadowedBy = -1
	}
	return out
}

// sameMeasure reports whether two clocks of one case compete.
func sameMeasure(a, b *Applicable) bool {
	return a.Nature == b.Nature && a.Indicator.StartEvent == b.Indicator.StartEvent && a.Indicator.StopEvent == b.Indicator.StopEvent
}

// before reports whether c binds rather than d.
func (c *Clock) before(d *Clock) bool {
	if order := c.Due.Compare(d.Due); order != 0 {
		switch {
		case c.Due.IsZero() != d.Due.IsZero(): // unknown comes last
			return !c.Due.IsZero()
		case c.Nature == NatureFloor:
			return order > 0
		}
		return order < 0
	}
	if a, b := c.Standard.Authority.rank(), d.Standard.Authority.rank(); a != b {
		return a < b
	}
	return c.Indicator.Code < d.Indicator.Code
}
