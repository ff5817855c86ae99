package norm

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openspms/spms/internal/fault"
)

// BasisWords maps every basis word of the published data to the product's. A
// word that is neither here nor a Basis is refused.
var BasisWords = map[string]Basis{
	"elapsed":             Elapsed,
	"elapsed_seconds":     Elapsed,
	"elapsed_minutes":     Elapsed,
	"elapsed_hours":       Elapsed,
	"calendar_days":       CalendarDays,
	"working_days":        WorkingDays,
	"calendar_months":     CalendarMonths,
	"same_day":            SameDay,
	"next_hour":           NextHour,
	"immediately":         WithoutDelay,
	"as_soon_as_possible": WithoutDelay,
	"without_delay":       WithoutDelay,
	"network_measurement": NetworkMeasurement,
	"n/a":                 NoCount,
	"none":                NoCount,
}

// StatisticWords maps every statistic word of the published data to the
// product's. A word that is neither here nor a Statistic is refused.
var StatisticWords = map[string]Statistic{
	"max":          Max,
	"min":          Min,
	"mean":         Mean,
	"rate":         Rate,
	"percentile":   Percentile,
	"threshold":    Threshold,
	"rate_per_day": PerDay,
	"per_day":      PerDay,
	"per_event":    PerEvent,
}

// Validate checks a whole standard against the vocabulary: words, clause tree,
// references, intervals, digests. The error is fault.Invalid NORM_INVALID with
// one item per finding, each with its path.
func (s *Standard) Validate(v *Vocabulary) error {
	if e := s.check(v); e != nil {
		return e
	}
	return nil
}

// checker collects findings.
type checker struct {
	v      *Vocabulary
	events map[string]bool
	items  []*fault.Error
}

func (c *checker) add(path []string, code string, params ...fault.Param) {
	c.items = append(c.items, fault.E(fault.Invalid, code, params...).At(path...))
}

// result makes NORM_INVALID of the findings, nil without any.
func (c *checker) result() *fault.Error {
	if len(c.items) == 0 {
		return nil
	}
	return fault.E(fault.Invalid, "NORM_INVALID", fault.P("count", len(c.items))).With(c.items...)
}

// sub returns path with steps appended, never sharing memory.
func sub(path []string, steps ...any) []string {
	out := slices.Clip(slices.Clone(path))
	for _, s := range steps {
		out = append(out, fmt.Sprint(s))
	}
	return out
}

// required reports an empty field.
func (c *checker) required(path []string, value string) {
	if strings.TrimSpace(value) == "" {
		c.add(path, "NORM_FIELD_MISSING", fault.P("field", path[len(path)-1]))
	}
}

// word reports a word outside its closed list.
func word[T ~string](c *checker, path []string, list string, w T) {
	if !known(list, w) {
		code := "NORM_WORD_UNKNOWN"
		switch list {
		case "Basis":
			code = "NORM_BASIS_UNMAPPED"
		case "Statistic":
			code = "NORM_STATISTIC_UNMAPPED"
		}
		c.add(path, code, fault.P("list", list), fault.P("word", string(w)))
	}
}

// check validates the standard; nil when it is sound.
func (s *Standard) check(v *Vocabulary) *fault.Error {
	c := &checker{v: v, events: map[string]bool{}}
	if s.Format != StandardFormat {
		c.add([]string{"format"}, "NORM_FORMAT_UNKNOWN", fault.P("word", s.Format))
	}
	c.required([]string{"code"}, s.Code)
	c.required([]string{"name", "zh"}, s.Name.In("zh"))
	c.required([]string{"jurisdiction"}, s.Jurisdiction)
	word(c, []string{"authority"}, "Authority", s.Authority)
	for _, t := range v.Events {
		c.events[t.Code] = true
	}
	for i, t := range s.Events {
		c.required([]string{"events", strconv.Itoa(i), "code"}, t.Code)
		c.events[t.Code] = true
	}
	if len(s.Versions) == 0 {
		c.add([]string{"versions"}, "NORM_FIELD_MISSING", fault.P("field", "versions"))
	}
	for i := range s.Versions {
		path := []string{"versions", strconv.Itoa(i)}
		c.version(path, &s.Versions[i])
		c.overlaps(path, s, i)
		if d := s.Versions[i].Digest; d != "" && len(c.items) == 0 && d != s.Digest(&s.Versions[i]) {
			c.add(sub(path, "digest"), "NORM_DIGEST_WRONG", fault.P("want", s.Digest(&s.Versions[i])), fault.P("got", d))
		}
	}
	return c.result()
}

// overlaps reports earlier versions with the same number or a common instant.
// Versions that state no interval are drafts.
func (c *checker) overlaps(path []string, s *Standard, i int) {
	v := &s.Versions[i]
	for j := range i {
		o := &s.Versions[j]
		if o.Number == v.Number {
			c.add(sub(path, "number"), "NORM_VERSION_REPEATED", fault.P("number", v.Number))
		}
		from, to, ok := v.interval()
		otherFrom, otherTo, otherOK := o.interval()
		if ok && otherOK && Overlap(from, to, otherFrom, otherTo) {
			c.add(sub(path, "effective_from"), "NORM_INTERVAL_OVERLAP", fault.P("number", v.Number), fault.P("other", o.Number))
		}
	}
}

// Overlap reports whether two intervals [from, to) have a common instant; a
// zero from means since ever, a zero to means for ever.
func Overlap(aFrom, aTo, bFrom, bTo Instant) bool {
	before := func(from, to Instant) bool { return from.IsZero() || to.IsZero() || from.Before(to.Time) }
	return before(aFrom, bTo) && before(bFrom, aTo)
}

// version checks one version.
func (c *checker) version(path []string, v *Version) {
	if v.Number < 1 {
		c.add(sub(path, "number"), "NORM_VALUE_WRONG", fault.P("value", v.Number))
	}
	c.interval(sub(path, "effective_to"), v.EffectiveFrom, v.EffectiveTo)
	c.clauses(sub(path, "clauses"), v)
	codes := map[string]bool{}
	for i := range v.Indicators {
		ind := &v.Indicators[i]
		p := sub(path, "indicators", i)
		if codes[ind.Code] {
			c.add(sub(p, "code"), "NORM_CODE_REPEATED", fault.P("code", ind.Code))
		}
		codes[ind.Code] = true
		c.indicator(p, v, ind)
	}
	for i := range v.Rules {
		r := &v.Rules[i]
		p := sub(path, "rules", i)
		if codes[r.Code] {
			c.add(sub(p, "code"), "NORM_CODE_REPEATED", fault.P("code", r.Code))
		}
		codes[r.Code] = true
		c.required(sub(p, "code"), r.Code)
		c.required(sub(p, "expression"), r.Expression)
		word(c, sub(p, "on"), "RuleOn", r.On)
		word(c, sub(p, "result"), "Result", r.Result)
		if v.Clause(r.Clause) == nil {
			c.add(sub(p, "clause"), "NORM_CLAUSE_UNKNOWN", fault.P("number", r.Clause))
		}
	}
}

// interval reports an interval that holds no instant.
func (c *checker) interval(path []string, from, to Instant) {
	if !from.IsZero() && !to.IsZero() && !from.Before(to.Time) {
		c.add(path, "NORM_INTERVAL_EMPTY", fault.P("from", from.UTC().Format(time.RFC3339)), fault.P("to", to.UTC().Format(time.RFC3339)))
	}
}

// clauses checks the clause tree: at least one, numbers once, parents known and
// free of cycles, a text each.
func (c *checker) clauses(path []string, v *Version) {
	if len(v.Clauses) == 0 {
		c.add(path, "NORM_FIELD_MISSING", fault.P("field", "clauses"))
	}
	parent := map[string]string{}
	for i := range v.Clauses {
		cl := &v.Clauses[i]
		p := sub(path, i)
		c.required(sub(p, "number"), cl.Number)
		if _, twice := parent[cl.Number]; twice {
			c.add(sub(p, "number"), "NORM_CLAUSE_REPEATED", fault.P("number", cl.Number))
		}
		parent[cl.Number] = cl.Parent
		if cl.Text == (Text{}) && cl.Title == (Text{}) {
			c.add(sub(p, "text"), "NORM_FIELD_MISSING", fault.P("field", "text"))
		}
		if cl.Policy != "" {
			word(c, sub(p, "policy"), "Policy", cl.Policy)
		}
	}
	for i := range v.Clauses {
		cl := &v.Clauses[i]
		if cl.Parent == "" {
			continue
		}
		if _, ok := parent[cl.Parent]; !ok {
			c.add(sub(path, i, "parent"), "NORM_CLAUSE_UNKNOWN", fault.P("number", cl.Parent))
			continue
		}
		steps := 0
		for up := cl.Parent; up != ""; up = parent[up] {
			if steps++; up == cl.Number || steps > len(parent) {
				c.add(sub(path, i, "parent"), "NORM_CLAUSE_CYCLE", fault.P("number", cl.Number))
				break
			}
		}
	}
}

// indicator checks one indicator.
func (c *checker) indicator(path []string, v *Version, ind *Indicator) {
	c.required(sub(path, "code"), ind.Code)
	c.required(sub(path, "name", "zh"), ind.Name.In("zh"))
	if v.Clause(ind.Clause) == nil {
		c.add(sub(path, "clause"), "NORM_CLAUSE_UNKNOWN", fault.P("number", ind.Clause))
	}
	word(c, sub(path, "kind"), "Kind", ind.Kind)
	word(c, sub(path, "statistic"), "Statistic", ind.Statistic)
	word(c, sub(path, "comparator"), "Comparator", ind.Comparator)
	word(c, sub(path, "unit"), "Unit", ind.Unit)
	word(c, sub(path, "basis"), "Basis", ind.Basis)
	word(c, sub(path, "verification"), "Verification", ind.Verification)
	c.interval(sub(path, "valid_to"), ind.ValidFrom, ind.ValidTo)
	c.terms(sub(path, "services"), "NORM_SERVICE_UNKNOWN", c.v.Services, ind.Services, true)
	c.terms(sub(path, "areas"), "NORM_AREA_UNKNOWN", c.v.Areas, ind.Areas, true)
	c.terms(sub(path, "pause_reasons"), "NORM_PAUSE_UNKNOWN", c.v.PauseReasons, ind.PauseReasons, false)
	c.amounts(path, ind)
	c.event(sub(path, "start_event"), ind, ind.StartEvent)
	c.event(sub(path, "stop_event"), ind, ind.StopEvent)
	if ind.When != nil && (ind.When.Attribute == "" || len(ind.When.In) == 0) {
		c.add(sub(path, "when"), "NORM_FIELD_MISSING", fault.P("field", "when"))
	}
}

// event reports an undeclared event, and a missing one where time is measured.
func (c *checker) event(path []string, ind *Indicator, event string) {
	switch {
	case event != "" && !c.events[event]:
		c.add(path, "NORM_EVENT_UNKNOWN", fault.P("event", event))
	case event == "" && (ind.Basis.Clock() || ind.Basis == WithoutDelay):
		c.add(path, "NORM_FIELD_MISSING", fault.P("field", path[len(path)-1]))
	}
}

// terms reports words outside an open list, and an empty list where one is needed.
func (c *checker) terms(path []string, code string, list []Term, words []string, needed bool) {
	if needed && len(words) == 0 {
		c.add(path, "NORM_FIELD_MISSING", fault.P("field", path[len(path)-1]))
	}
	for i, w := range words {
		if _, ok := find(list, w); !ok {
			c.add(sub(path, i), code, fault.P("word", w))
		}
	}
}

// amounts checks value, unit, target and cut-off against the basis.
func (c *checker) amounts(path []string, ind *Indicator) {
	switch {
	case math.IsNaN(ind.Value) || math.IsInf(ind.Value, 0) || ind.Value < 0,
		ind.Unit == Ratio && ind.Value > 1:
		c.add(sub(path, "value"), "NORM_VALUE_WRONG", fault.P("value", ind.Value))
	case ind.Basis.Clock() && ind.Unit.Time() && !fits(ind):
		c.add(sub(path, "unit"), "NORM_UNIT_WRONG", fault.P("basis", string(ind.Basis)), fault.P("unit", string(ind.Unit)))
	case ind.Basis.Clock() && (ind.Statistic == Max || ind.Statistic == Min || ind.Target > 0) && !ind.Unit.Time():
		c.add(sub(path, "unit"), "NORM_UNIT_WRONG", fault.P("basis", string(ind.Basis)), fault.P("unit", string(ind.Unit)))
	case dayCount(ind.Basis) && ind.PutsClock() && ind.Value != math.Trunc(ind.Value),
		ind.Basis == NextHour && !wholeHours(ind):
		c.add(sub(path, "value"), "NORM_VALUE_WRONG", fault.P("value", ind.Value))
	}
	if ind.Target < 0 || ind.Target > 1 || math.IsNaN(ind.Target) {
		c.add(sub(path, "target"), "NORM_TARGET_WRONG", fault.P("value", ind.Target))
	}
	if ind.CutoffHour < 0 || ind.CutoffHour > 24 || (ind.CutoffHour > 0 && ind.Basis != SameDay) {
		c.add(sub(path, "cutoff_hour"), "NORM_CUTOFF_WRONG", fault.P("hour", ind.CutoffHour))
	}
}

// dayCount reports whether a basis counts whole days or months.
func dayCount(b Basis) bool {
	switch b {
	case CalendarDays, WorkingDays, CalendarMonths, SameDay:
		return true
	}
	return false
}

// fits reports whether a unit of time can be counted on the basis.
func fits(ind *Indicator) bool {
	switch ind.Basis {
	case Elapsed, NextHour:
		return ind.Unit != WorkingDay && ind.Unit != Month
	case CalendarDays:
		return ind.Unit == Day || ind.Unit == Week
	case SameDay:
		return ind.Unit == Day
	case WorkingDays:
		return ind.Unit == WorkingDay
	case CalendarMonths:
		return ind.Unit == Month
	}
	return false
}

// wholeHours reports whether a value of next_hour is one or more whole hours.
func wholeHours(ind *Indicator) bool {
	s := ind.Value * ind.Unit.seconds()
	return s >= 3600 && math.Mod(s, 3600) == 0
}

// check validates the vocabulary: codes once, parents known and free of cycles.
func (v *Vocabulary) check() *fault.Error {
	c := &checker{v: v}
	if v.Format != VocabularyFormat {
		c.add([]string{"format"}, "NORM_FORMAT_UNKNOWN", fault.P("word", v.Format))
	}
	for _, list := range []struct {
		name  string
		terms []Term
	}{{"events", v.Events}, {"services", v.Services}, {"areas", v.Areas}, {"pause_reasons", v.PauseReasons}} {
		seen := map[string]bool{}
		for i, t := range list.terms {
			p := []string{list.name, strconv.Itoa(i)}
			c.required(sub(p, "code"), t.Code)
			for _, w := range append([]string{t.Code}, t.Aliases...) {
				if seen[w] {
					c.add(sub(p, "code"), "NORM_CODE_REPEATED", fault.P("code", w))
				}
				seen[w] = true
			}
			if up := path(list.terms, t.Code); t.Parent != "" && (len(up) < 2 || len(up) > len(list.terms)) {
				c.add(sub(p, "parent"), "NORM_PARENT_WRONG", fault.P("code", t.Parent))
			}
		}
		for i, t := range list.terms {
			if _, ok := find(list.terms, t.Parent); t.Parent != "" && !ok {
				c.add([]string{list.name, strconv.Itoa(i), "parent"}, "NORM_PARENT_WRONG", fault.P("code", t.Parent))
			}
		}
	}
	return c.result()
}
