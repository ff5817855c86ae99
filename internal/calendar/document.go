package calendar

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/openspms/spms/internal/fault"
)

// Format is the first line of every calendar file.
const Format = "openspms-calendar/1"

// Kind says what a calendar file holds.
type Kind string

// The kinds of calendar file.
const (
	Statutory    Kind = "statutory" // working days of a jurisdiction
	OpeningHours Kind = "hours"     // opening hours of a pool
)

// Text is a text in Chinese and English.
type Text struct {
	ZH string `yaml:"zh,omitempty" json:"zh,omitempty"`
	EN string `yaml:"en,omitempty" json:"en,omitempty"`
}

// Day is a day of the week in a file: mon, tue, wed, thu, fri, sat, sun.
type Day string

// Document is the file form of a calendar, of either kind; its format is
// described in docs/standards.md and schema/json/calendar.schema.json.
type Document struct {
	Format            string           `yaml:"format" json:"format"`
	Code              string           `yaml:"code" json:"code"`
	Kind              Kind             `yaml:"kind" json:"kind"`
	Name              Text             `yaml:"name" json:"name"`
	Timezone          string           `yaml:"timezone" json:"timezone"`
	WeeklyWorkingDays []Day            `yaml:"weekly_working_days,omitempty" json:"weekly_working_days,omitempty"`
	Years             []Year           `yaml:"years,omitempty" json:"years,omitempty"`
	Weekly            map[Day][]Window `yaml:"weekly,omitempty" json:"weekly,omitempty"`
	Statutory         Holiday          `yaml:"statutory,omitempty" json:"statutory,omitempty"`
}

// Year holds the announced days of one year.
type Year struct {
	Year           int      `yaml:"year" json:"year"`
	Source         string   `yaml:"source" json:"source"`
	Address        string   `yaml:"address,omitempty" json:"address,omitempty"`
	DaysOff        []DayOff `yaml:"days_off,omitempty" json:"days_off,omitempty"`
	MakeUpWorkdays []Date   `yaml:"make_up_workdays,omitempty" json:"make_up_workdays,omitempty"`
}

// DayOff is one named holiday and its days.
type DayOff struct {
	Name Text   `yaml:"name" json:"name"`
	Days []Date `yaml:"days" json:"days"`
}

// Holiday says whether a pool is open on statutory days off.
type Holiday string

// What a pool does on statutory days off.
const (
	OpenOnHolidays   Holiday = "open"   // the week alone decides
	ClosedOnHolidays Holiday = "closed" // closed on days off, open on make-up workdays
)

var dayNames = [7]Day{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// weekday returns the day as time.Weekday, -1 for an unknown word.
func (d Day) weekday() time.Weekday {
	for i, n := range dayNames {
		if n == d {
			return time.Weekday(i)
		}
	}
	return -1
}

// Window is a span of the wall clock within one day, written "09:00-18:00";
// both ends in minutes from 0 to 1440, [Open, Close).
type Window struct {
	Open  int // minute of the day, inclusive
	Close int // minute of the day, exclusive
}

// String writes the window as 09:00-18:00.
func (w Window) String() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d", w.Open/60, w.Open%60, w.Close/60, w.Close%60)
}

// MarshalText writes the window as 09:00-18:00.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads a window written as 09:00-18:00.
func (w *Window) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "-")
	if !ok {
		return fmt.Errorf("read %q as a window: no hyphen", text)
	}
	var err error
	if w.Open, err = minuteOfDay(from); err != nil {
		return err
	}
	w.Close, err = minuteOfDay(to)
	return err
}

// minuteOfDay reads 00:00 to 24:00.
func minuteOfDay(s string) (int, error) {
	h, m, ok := strings.Cut(s, ":")
	if !ok || len(h) != 2 || len(m) != 2 {
		return 0, fmt.Errorf("read %q as a time of day", s)
	}
	hour, err := strconv.Atoi(h)
	if err != nil {
		return 0, err
	}
	minute, err := strconv.Atoi(m)
	if err != nil {
		return 0, err
	}
	if hour < 0 || minute < 0 || minute > 59 || hour*60+minute > 24*60 {
		return 0, fmt.Errorf("read %q as a time of day: out of range", s)
	}
	return hour*60 + minute, nil
}

// The bounds of a calendar file; the YAML reader's time is quadratic in nesting.
const (
	maxFile    = 1 << 20 // bytes
	maxNesting = 32      // brackets within brackets
	maxInLine  = 16      // block dashes or keys in one line
	maxIndent  = 200     // columns
)

// unreadable scans a file for what is refused before it is parsed: a wrong
// encoding, too much nesting, anchors, aliases, tags, complex keys and numbers
// that would not survive being read as text. It returns the line and what is wrong, "" when nothing is. Cost: linear.
func unreadable(file []byte) (line int, detail string) {
	if len(file) > maxFile || !utf8.Valid(file) {
		return 1, "longer than 1 MiB or not UTF-8"
	}
	depth, inLine := 0, 0
	for _, t := range lexer.Tokenize(string(file)) {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.MappingKeyType:
			return line, "anchors, aliases, tags and complex keys are not read"
		case token.IntegerType, token.FloatType, token.HexIntegerType, token.OctetIntegerType, token.BinaryIntegerType:
			if !faithful(t) {
				return line, "write " + t.Value + " in quotes"
			}
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingValueType:
			if depth <= 0 {
				inLine++
			}
		}
		if depth > maxNesting || inLine > maxInLine || (depth <= 0 && t.Position.Column > maxIndent && t.Prev != nil && t.Prev.Position.Line < line) {
			return line, "nested too deeply"
		}
	}
	return 0, ""
}

// faithful reports whether a bare number is written the one way in which it
// keeps its text: 1.10 would become 1.1, 007 would become 7.
func faithful(t *token.Token) bool {
	n, err := strconv.ParseInt(t.Value, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == t.Value
}

// ParseDocument reads a calendar file of either kind, YAML or JSON. Unknown and
// repeated fields, aliases and wrong words are refused. Errors are
// fault.Invalid: CALENDAR_SYNTAX with the line, or CALENDAR_INVALID with one
// item per finding, each with its path.
func ParseDocument(file []byte) (Document, error) {
	var doc Document
	if line, detail := unreadable(file); detail != "" {
		return doc, fault.E(fault.Invalid, "CALENDAR_SYNTAX", fault.P("line", line), fault.P("detail", detail))
	}
	tree, err := parser.ParseBytes(file, 0)
	if err != nil {
		return doc, syntax(err)
	}
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return doc, fault.E(fault.Invalid, "CALENDAR_SYNTAX", fault.P("line", 1), fault.P("detail", "one document is expected"))
	}
	if err := yaml.NodeToValue(tree.Docs[0].Body, &doc, yaml.Strict()); err != nil {
		return doc, syntax(err)
	}
	if found := doc.check(); len(found) > 0 {
		return doc, invalid(found)
	}
	maps.DeleteFunc(doc.Weekly, func(_ Day, ws []Window) bool { return len(ws) == 0 })
	return doc, nil
}

// Parse reads a statutory calendar file and compiles it; errors as
// ParseDocument and New.
func Parse(file []byte) (*Calendar, error) {
	doc, err := ParseDocument(file)
	if err != nil {
		return nil, err
	}
	return New(doc)
}

// Encode writes the document as indented JSON, which is YAML, too;
// ParseDocument reads it back equal.
func (d Document) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return b.Bytes(), err
}

// Canonical returns the one byte form of the document's content: compact JSON
// with fields in the order of the type and days sorted.
func (d Document) Canonical() []byte {
	years := slices.Clone(d.Years)
	slices.SortFunc(years, func(a, b Year) int { return a.Year - b.Year })
	for i, y := range years {
		y.MakeUpWorkdays = slices.Sorted(slices.Values(y.MakeUpWorkdays))
		y.DaysOff = slices.Clone(y.DaysOff)
		for j := range y.DaysOff {
			y.DaysOff[j].Days = slices.Sorted(slices.Values(y.DaysOff[j].Days))
		}
		years[i] = y
	}
	d.Years = years
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		panic(err) // plain values always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Digest returns "sha256:" and the hash of the canonical form in hexadecimal.
func (d Document) Digest() string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(d.Canonical()))
}

// syntax turns an error of the YAML reader into CALENDAR_SYNTAX with its line.
func syntax(err error) *fault.Error {
	line, detail := 1, err.Error()
	if y, ok := errors.AsType[yaml.Error](err); ok {
		detail = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
	}
	return fault.E(fault.Invalid, "CALENDAR_SYNTAX", fault.P("line", line), fault.P("detail", detail)).Because(err)
}

// finding is one thing wrong with a document.
type finding struct{ path, code, value string }

// invalid makes CALENDAR_INVALID of the findings.
func invalid(found []finding) *fault.Error {
	e := fault.E(fault.Invalid, "CALENDAR_INVALID", fault.P("count", len(found)))
	for _, f := range found {
		e.Items = append(e.Items, fault.E(fault.Invalid, f.code, fault.P("value", f.value)).At(strings.Split(f.path, ".")...))
	}
	return e
}

// check returns everything that is wrong with the document.
func (d Document) check() []finding {
	var found []finding
	if d.Format != Format {
		found = append(found, finding{"format", "CALENDAR_FORMAT_UNKNOWN", d.Format})
	}
	if d.Code == "" {
		found = append(found, finding{"code", "CALENDAR_CODE_MISSING", ""})
	}
	if _, err := time.LoadLocation(d.Timezone); err != nil || d.Timezone == "" || d.Timezone == "Local" {
		found = append(found, finding{"timezone", "CALENDAR_ZONE_UNKNOWN", d.Timezone})
	}
	switch d.Kind {
	case Statutory:
		if d.Weekly != nil || d.Statutory != "" {
			found = append(found, finding{"weekly", "CALENDAR_KIND_WRONG", string(d.Kind)})
		}
		return append(found, d.checkStatutory()...)
	case OpeningHours:
		if d.Years != nil || d.WeeklyWorkingDays != nil {
			found = append(found, finding{"years", "CALENDAR_KIND_WRONG", string(d.Kind)})
		}
		return append(found, d.checkHours()...)
	}
	return append(found, finding{"kind", "CALENDAR_KIND_WRONG", string(d.Kind)})
}

// checkStatutory checks week and years: each day once, of its year or of the
// December before (a notice may move those), make-up workdays on days that the
// week leaves free.
func (d Document) checkStatutory() []finding {
	var found []finding
	week := map[time.Weekday]bool{}
	for i, day := range d.WeeklyWorkingDays {
		if w := day.weekday(); w < 0 || week[w] {
			found = append(found, finding{fmt.Sprintf("weekly_working_days.%d", i), "CALENDAR_DAY_UNKNOWN", string(day)})
		} else {
			week[w] = true
		}
	}
	if len(week) == 0 {
		found = append(found, finding{"weekly_working_days", "CALENDAR_NO_WORKING_DAY", ""})
	}
	seen, years := map[Date]bool{}, map[int]bool{}
	for i, y := range d.Years {
		path := fmt.Sprintf("years.%d", i)
		if y.Year < 1900 || y.Year > 2200 || years[y.Year] {
			found = append(found, finding{path + ".year", "CALENDAR_YEAR_WRONG", strconv.Itoa(y.Year)})
		}
		years[y.Year] = true
		if y.Source == "" {
			found = append(found, finding{path + ".source", "CALENDAR_SOURCE_MISSING", strconv.Itoa(y.Year)})
		}
		once := func(path string, day Date) {
			if n := NewDate(y.Year, time.January, 1); day < n-31 || day.Year() > y.Year {
				found = append(found, finding{path, "CALENDAR_DAY_OUTSIDE_YEAR", day.String()})
			}
			if seen[day] {
				found = append(found, finding{path, "CALENDAR_DAY_REPEATED", day.String()})
			}
			seen[day] = true
		}
		for j, off := range y.DaysOff {
			for k, day := range off.Days {
				once(fmt.Sprintf("%s.days_off.%d.days.%d", path, j, k), day)
			}
		}
		for j, day := range y.MakeUpWorkdays {
			p := fmt.Sprintf("%s.make_up_workdays.%d", path, j)
			once(p, day)
			if week[day.Weekday()] {
				found = append(found, finding{p, "CALENDAR_MAKEUP_ON_WORKDAY", day.String()})
			}
		}
	}
	return found
}

// checkHours checks the weekly windows: known days, in order, not overlapping,
// at least one.
func (d Document) checkHours() []finding {
	var found []finding
	total := 0
	for _, day := range slices.Sorted(maps.Keys(d.Weekly)) {
		if day.weekday() < 0 {
			found = append(found, finding{"weekly." + string(day), "CALENDAR_DAY_UNKNOWN", string(day)})
		}
		end := 0
		for i, w := range d.Weekly[day] {
			if w.Open < end || w.Close <= w.Open || w.Close > 24*60 {
				found = append(found, finding{fmt.Sprintf("weekly.%s.%d", day, i), "CALENDAR_WINDOW_WRONG", w.String()})
			}
			end = w.Close
			total += w.Close - w.Open
		}
	}
	if total <= 0 {
		found = append(found, finding{"weekly", "CALENDAR_NEVER_OPEN", ""})
	}
	if d.Statutory != OpenOnHolidays && d.Statutory != ClosedOnHolidays {
		found = append(found, finding{"statutory", "CALENDAR_HOLIDAY_WORD", string(d.Statutory)})
	}
	return found
}

// UnmarshalYAML reads a day; see UnmarshalText.
func (d *Date) UnmarshalYAML(n ast.Node) error { return scalar(n, d) }

// UnmarshalYAML reads a window; see UnmarshalText.
func (w *Window) UnmarshalYAML(n ast.Node) error { return scalar(n, w) }

// scalar reads a text value from its node. The YAML reader's own way to a
// TextUnmarshaler walks the whole file for every value.
func scalar(n ast.Node, v encoding.TextUnmarshaler) error {
	text := n.GetToken()
	if _, ok := n.(ast.ScalarNode); !ok || n.Type() == ast.NullType {
		return &yaml.SyntaxError{Message: "a text is expected", Token: text}
	}
	if err := v.UnmarshalText([]byte(text.Value)); err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: text}
	}
	return nil
}
