// Package norm holds what a service standard is: its versions, clauses,
// indicators and rules as values, read from and written to pack files, and the
// questions one asks of them - which indicators apply to a case, which clock
// binds, whether a candidate is stricter, what changed between two versions,
// what a figure says.
//
// The main type is Standard; Set is the index over many of them that answers
// Resolve. The package is pure: time is an argument, due instants are counted
// by a Counter that the caller passes. It must not know databases, cases,
// process graphs or how a rule's CEL is compiled.
package norm

import (
	"fmt"
	"strings"
	"time"
)

// Text is a text in Chinese and English.
type Text struct {
	ZH string `yaml:"zh,omitempty" json:"zh,omitempty"`
	EN string `yaml:"en,omitempty" json:"en,omitempty"`
}

// In returns the text of a language ("zh" or "en"), the other one when it is missing.
func (t Text) In(lang string) string {
	if (lang == "en" && t.EN != "") || t.ZH == "" {
		return t.EN
	}
	return t.ZH
}

// Instant is a point in time of a pack file, written as RFC 3339; the zero
// value means that none is set.
type Instant struct{ time.Time }

// MarshalText writes the instant in UTC, or nothing for the zero value.
func (i Instant) MarshalText() ([]byte, error) {
	if i.IsZero() {
		return nil, nil
	}
	return []byte(i.UTC().Format(time.RFC3339Nano)), nil
}

// UnmarshalText reads RFC 3339; an empty text is the zero value.
func (i *Instant) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		i.Time = time.Time{}
		return nil
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("read %q as an instant: %w", text, err)
	}
	i.Time = t.UTC()
	return nil
}

// Standard is one norm with its versions, and the content of one pack file. The
// format is described in docs/standards.md and schema/json/standard.schema.json.
type Standard struct {
	Format       string    `yaml:"format" json:"format"`
	Code         string    `yaml:"code" json:"code"`
	Name         Text      `yaml:"name" json:"name"`
	Authority    Authority `yaml:"authority" json:"authority"`
	Jurisdiction string    `yaml:"jurisdiction" json:"jurisdiction"`             // region code: CN, CN-HA, AU …
	Calendar     string    `yaml:"calendar,omitempty" json:"calendar,omitempty"` // statutory calendar its day counts follow unless the region names another
	Sample       bool      `yaml:"sample,omitempty" json:"sample,omitempty"`     // an example (示例), in force nowhere
	Banner       Text      `yaml:"banner,omitempty" json:"banner,omitzero"`      // shown wherever the standard is shown
	Events       []Term    `yaml:"events,omitempty" json:"events,omitempty"`     // events this standard adds to the vocabulary
	Versions     []Version `yaml:"versions" json:"versions"`
}

// Version is one text of a standard, in force in [EffectiveFrom, EffectiveTo).
type Version struct {
	Number        int         `yaml:"number" json:"number"`
	EffectiveFrom Instant     `yaml:"effective_from,omitempty" json:"effective_from,omitzero"` // zero: since before records
	EffectiveTo   Instant     `yaml:"effective_to,omitempty" json:"effective_to,omitzero"`     // zero: until further notice
	Ended         Instant     `yaml:"ended,omitempty" json:"ended,omitzero"`                   // of an export: when another version or a withdrawal ended it before that
	Source        string      `yaml:"source,omitempty" json:"source,omitempty"`
	Address       string      `yaml:"address,omitempty" json:"address,omitempty"`
	Digest        string      `yaml:"digest,omitempty" json:"digest,omitempty"` // of the canonical form; checked when a file is read
	Changelog     Text        `yaml:"changelog,omitempty" json:"changelog,omitzero"`
	Clauses       []Clause    `yaml:"clauses" json:"clauses"`
	Indicators    []Indicator `yaml:"indicators,omitempty" json:"indicators,omitempty"`
	Rules         []Rule      `yaml:"rules,omitempty" json:"rules,omitempty"`
}

// Clause is one numbered statement; Parent makes a tree of them.
type Clause struct {
	Number      string   `yaml:"number" json:"number"`
	Parent      string   `yaml:"parent,omitempty" json:"parent,omitempty"`
	Title       Text     `yaml:"title,omitempty" json:"title,omitzero"`
	Text        Text     `yaml:"text" json:"text"`
	Recommended bool     `yaml:"recommended,omitempty" json:"recommended,omitempty"` // else mandatory
	Roles       []string `yaml:"roles,omitempty" json:"roles,omitempty"`             // who answers for it
	Policy      Policy   `yaml:"policy,omitempty" json:"policy,omitempty"`           // empty means pinned
	Source      string   `yaml:"source,omitempty" json:"source,omitempty"`
	Address     string   `yaml:"address,omitempty" json:"address,omitempty"`
}

// Mandatory reports whether the clause must be kept.
func (c Clause) Mandatory() bool { return !c.Recommended }

// Indicator is a measurable requirement of a clause.
//
// A limit is Statistic max with a clock Basis: every case must reach StopEvent
// before StartEvent plus Value. With a Target (0 to 1) the same limit is a
// pledge: the share of cases that keep it must reach the target, and each case
// carries the clock. Min with a clock basis is a floor: StopEvent may not come
// earlier. Mean, rate and percentile without a limit are targets over region,
// service and period. See Nature.
type Indicator struct {
	Code         string       `yaml:"code" json:"code"`
	Name         Text         `yaml:"name" json:"name"`
	Clause       string       `yaml:"clause" json:"clause"` // number of a clause of the same version
	Kind         Kind         `yaml:"kind" json:"kind"`
	Statistic    Statistic    `yaml:"statistic" json:"statistic"`
	Comparator   Comparator   `yaml:"comparator" json:"comparator"`
	Value        float64      `yaml:"value" json:"value"`
	Unit         Unit         `yaml:"unit" json:"unit"`
	Basis        Basis        `yaml:"basis" json:"basis"`
	CutoffHour   int          `yaml:"cutoff_hour,omitempty" json:"cutoff_hour,omitempty"` // of same_day: a start at or after it belongs to the next day
	Target       float64      `yaml:"target,omitempty" json:"target,omitempty"`           // share of cases that must keep the limit
	StartEvent   string       `yaml:"start_event,omitempty" json:"start_event,omitempty"`
	StopEvent    string       `yaml:"stop_event,omitempty" json:"stop_event,omitempty"`
	Services     []string     `yaml:"services" json:"services"` // codes of the service tree
	Areas        []string     `yaml:"areas" json:"areas"`       // codes of the area tree
	When         *Condition   `yaml:"when,omitempty" json:"when,omitempty"`
	PauseReasons []string     `yaml:"pause_reasons,omitempty" json:"pause_reasons,omitempty"` // reasons that may stop the clock
	Exclusions   []Text       `yaml:"exclusions,omitempty" json:"exclusions,omitempty"`       // cases outside the population
	Consequence  *Consequence `yaml:"consequence,omitempty" json:"consequence,omitempty"`
	Definition   Text         `yaml:"definition,omitempty" json:"definition,omitzero"`
	Adopts       string       `yaml:"adopts,omitempty" json:"adopts,omitempty"` // code of the indicator this one takes over as its own
	ValidFrom    Instant      `yaml:"valid_from,omitempty" json:"valid_from,omitzero"`
	ValidTo      Instant      `yaml:"valid_to,omitempty" json:"valid_to,omitzero"`
	Enabled      bool         `yaml:"enabled" json:"enabled"`
	Verification Verification `yaml:"verification" json:"verification"`
	Source       string       `yaml:"source,omitempty" json:"source,omitempty"`
	Address      string       `yaml:"address,omitempty" json:"address,omitempty"`
}

// Condition restricts an indicator to cases whose attribute has one of the
// values In.
type Condition struct {
	Attribute string   `yaml:"attribute" json:"attribute"`
	In        []string `yaml:"in" json:"in"`
	Text      Text     `yaml:"text,omitempty" json:"text,omitzero"`
}

// Holds reports whether a case with these attributes meets the condition; a nil
// condition always holds, a missing attribute meets none.
func (c *Condition) Holds(attribute func(name string) (string, bool)) bool {
	if c == nil {
		return true
	}
	v, ok := attribute(c.Attribute)
	if !ok {
		return false
	}
	for _, w := range c.In {
		if w == v {
			return true
		}
	}
	return false
}

// Consequence is what follows from a breach.
type Consequence struct {
	Text      Text  `yaml:"text" json:"text"`
	CreditFen int64 `yaml:"credit_fen,omitempty" json:"credit_fen,omitempty"` // credited to the customer once, in fen
}

// Rule is a CEL expression of a clause that must hold on a definition or a
// case; it is kept as text and compiled elsewhere.
type Rule struct {
	Code       string `yaml:"code" json:"code"`
	Name       Text   `yaml:"name" json:"name"`
	Clause     string `yaml:"clause" json:"clause"`
	On         RuleOn `yaml:"on" json:"on"`
	Expression string `yaml:"expression" json:"expression"`
	Result     Result `yaml:"result" json:"result"`
	Message    Text   `yaml:"message,omitempty" json:"message,omitzero"`
}

// Nature says what kind of object an indicator is.
func (i *Indicator) Nature() Nature {
	clock := i.Basis.Clock() && i.StartEvent != "" && i.StopEvent != ""
	switch {
	case i.Basis == WithoutDelay:
		return NatureDuty
	case i.Statistic == PerDay || i.Statistic == PerEvent:
		return NatureCompensation
	case i.Statistic == Threshold:
		return NatureThreshold
	case i.Statistic == Min && clock:
		return NatureFloor
	case clock && i.Unit.Time() && i.Target > 0:
		return NaturePledge
	case clock && i.Unit.Time() && i.Statistic == Max:
		return NatureLimit
	case i.Basis == NetworkMeasurement:
		return NatureMeasurement
	}
	return NatureTarget
}

// PutsClock reports whether the indicator puts a clock on each case.
func (i *Indicator) PutsClock() bool {
	switch i.Nature() {
	case NatureLimit, NaturePledge, NatureFloor:
		return true
	}
	return false
}

// validAt reports whether at lies within the indicator's own validity.
func (i *Indicator) validAt(at time.Time) bool {
	return (i.ValidFrom.IsZero() || !at.Before(i.ValidFrom.Time)) && (i.ValidTo.IsZero() || at.Before(i.ValidTo.Time))
}

// InForce reports whether the version applies at an instant.
func (v *Version) InForce(at time.Time) bool {
	end := v.end()
	return (v.EffectiveFrom.IsZero() || !at.Before(v.EffectiveFrom.Time)) && (end.IsZero() || at.Before(end.Time))
}

// end is when the version ends, by its text or before; zero for never.
func (v *Version) end() Instant {
	if v.Ended.IsZero() || (!v.EffectiveTo.IsZero() && v.EffectiveTo.Before(v.Ended.Time)) {
		return v.EffectiveTo
	}
	return v.Ended
}

// interval returns when the version is in force; false when it never is or, as a
// draft, does not say.
func (v *Version) interval() (from, to Instant, ok bool) {
	from, to = v.EffectiveFrom, v.end()
	stated := !from.IsZero() || !to.IsZero()
	return from, to, stated && (from.IsZero() || to.IsZero() || from.Before(to.Time))
}

// At returns the version in force at an instant, nil when there is none.
func (s *Standard) At(at time.Time) *Version {
	for i := range s.Versions {
		if s.Versions[i].InForce(at) {
			return &s.Versions[i]
		}
	}
	return nil
}

// Clause returns the clause of a number, nil when there is none.
func (v *Version) Clause(number string) *Clause {
	for i := range v.Clauses {
		if v.Clauses[i].Number == number {
			return &v.Clauses[i]
		}
	}
	return nil
}

// Indicator returns the indicator of a code, nil when there is none.
func (v *Version) Indicator(code string) *Indicator {
	for i := range v.Indicators {
		if v.Indicators[i].Code == code {
			return &v.Indicators[i]
		}
	}
	return nil
}

// String names the standard for logs.
func (s *Standard) String() string {
	return strings.TrimSpace(s.Code + " " + s.Name.In("zh"))
}
