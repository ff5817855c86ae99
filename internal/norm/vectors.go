package norm

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/openspms/spms/internal/fault"
)

// VectorResult is the outcome of one vector: Expected and Got are wall-clock
// times of the file's zone, Binding is the indicator that gave Got.
type VectorResult struct {
	ID       string
	OK       bool
	Expected string
	Got      string // the error text where nothing could be counted
	Binding  string
}

// String writes the line that a report prints: "ok id expected got" or "FAIL id expected got".
func (r VectorResult) String() string {
	word := "FAIL"
	if r.OK {
		word = "ok"
	}
	return fmt.Sprintf("%s %s %s %s", word, r.ID, r.Expected, r.Got)
}

// vectorFile is a file of due-date vectors.
type vectorFile struct {
	Timezone string   `yaml:"timezone"`
	Calendar string   `yaml:"calendar"`
	Rule     string   `yaml:"rule"`
	Vectors  []vector `yaml:"vectors"`
}

// vector is one expectation: the earliest due instant of the named indicators.
type vector struct {
	ID     string     `yaml:"id"`
	Norms  []string   `yaml:"norms"`
	Start  string     `yaml:"start"`
	Area   string     `yaml:"area"`
	Pauses [][]string `yaml:"pauses"`
	Due    string     `yaml:"due"`
	Why    string     `yaml:"why"`
}

// vectorTime is the layout of a vector's instants: wall-clock time of the
// file's zone; RFC 3339 with an offset is read, too.
const vectorTime = "2006-01-02T15:04:05"

// Vectors counts every vector of a file and compares. A vector names
// indicators (enabled or not), a start, an area, optional pauses [from, to,
// reason] and the expected exclusive due instant; the earliest due of the
// indicators that bind the area wins. find gives an indicator by code, counter
// the calendar that the file's calendar name and zone stand for. Errors are
// fault.Invalid NORM_SYNTAX and NORM_CALENDAR_UNKNOWN; what is wrong with one
// vector is its failure.
func Vectors(file []byte, vocabulary *Vocabulary, find func(code string) (*Indicator, bool), counter func(calendar, zone string) (Counter, error)) ([]VectorResult, error) {
	var f vectorFile
	if line, detail := unreadable(file); detail != "" {
		return nil, syntaxAt(line, detail)
	}
	if err := yaml.NewDecoder(bytes.NewReader(file)).Decode(&f); err != nil {
		return nil, syntax(err)
	}
	c, err := counter(strings.TrimSuffix(f.Calendar, ".json"), f.Timezone)
	if err != nil {
		return nil, fault.E(fault.Invalid, "NORM_CALENDAR_UNKNOWN", fault.P("code", f.Calendar), fault.P("zone", f.Timezone)).Because(err)
	}
	out := make([]VectorResult, 0, len(f.Vectors))
	for _, v := range f.Vectors {
		r := VectorResult{ID: v.ID, Expected: v.Due}
		at, code, err := v.count(vocabulary, find, c)
		if err != nil {
			r.Got = err.Error()
		} else {
			r.Got, r.Binding = at.In(c.Location()).Format(vectorTime), code
			want, err := vectorInstant(v.Due, c.Location())
			r.OK = err == nil && want.Equal(at)
		}
		out = append(out, r)
	}
	return out, nil
}

// count returns the earliest due instant and the indicator that gave it.
func (v vector) count(vocabulary *Vocabulary, find func(string) (*Indicator, bool), c Counter) (at time.Time, code string, err error) {
	start, err := vectorInstant(v.Start, c.Location())
	if err != nil {
		return at, "", err
	}
	var pauses [][2]time.Time
	for _, p := range v.Pauses {
		if len(p) < 2 {
			return at, "", fmt.Errorf("a pause has two instants, not %d", len(p))
		}
		from, err := vectorInstant(p[0], c.Location())
		if err != nil {
			return at, "", err
		}
		to, err := vectorInstant(p[1], c.Location())
		if err != nil {
			return at, "", err
		}
		pauses = append(pauses, [2]time.Time{from, to})
	}
	for _, n := range v.Norms {
		ind, ok := find(n)
		if !ok {
			return at, "", fmt.Errorf("indicator %s is unknown", n)
		}
		if !ind.bindsArea(vocabulary, v.Area) {
			continue
		}
		due, _, err := ind.Count(c, start, pauses)
		switch {
		case err != nil:
			return at, "", fmt.Errorf("count %s: %w", n, err)
		case !due.IsZero() && (code == "" || due.Before(at)):
			at, code = due, n
		}
	}
	if code == "" {
		return at, "", fmt.Errorf("no indicator binds area %q", v.Area)
	}
	return at, code, nil
}

// bindsArea reports whether the indicator's areas and the given one overlap; an
// empty or unknown area overlaps with all.
func (i *Indicator) bindsArea(v *Vocabulary, area string) bool {
	if _, ok := v.Area(area); !ok {
		return true
	}
	for _, a := range i.Areas {
		if related(v.Areas, a, area) {
			return true
		}
	}
	return false
}

// vectorInstant reads a wall-clock time of the zone, or RFC 3339; an empty text
// is the zero instant (a pause that still lasts).
func vectorInstant(s string, loc *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation(vectorTime, s, loc); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("read %q as an instant", s)
	}
	return t, nil
}
