package engine

import (
	"testing"
	"time"

	"github.com/openspms/spms/internal/expr"
)

// TestAlongIsBounded goes along cycles that began long ago and counts what is looked at.
func TestAlongIsBounded(t *testing.T) {
	t.Parallel()
	china := time.FixedZone("", 8*3600)
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)
	old := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	const years = 2026
	for name, c := range map[string]struct {
		every  string
		zone   *time.Location
		from   time.Time
		most   int
		bound  int // of the instants looked at
		missed int // -1: not worked out here
		left   int
		at     time.Time
	}{
		"seconds":                  {"PT1S", china, old, -1, 3, 63908193600, -1, now.Add(time.Second)},
		"seconds, to the last":     {"PT1S", china, old, 1_000_000, 3, 1_000_000, 0, old.Add(1_000_000 * time.Second)},
		"seconds with a fraction":  {"PT1.5S", china, old, -1, 3, 42605462400, -1, now.Add(1500 * time.Millisecond)},
		"days":                     {"P1D", china, old, -1, 3, 739678, -1, time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)},
		"days where clocks change": {"P1D", santiago, time.Date(1800, 1, 1, 16, 42, 45, 0, time.UTC), -1, 400, 82606, -1, time.Date(2026, 3, 4, 15, 0, 0, 0, time.UTC)},
		"centuries":                {"P90000D", china, old, -1, 10, 8, -1, old.AddDate(0, 0, 9*90000)},
		"months":                   {"P1M", china, old, -1, 12*years + 3, 24302, -1, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)},
		"months from their end":    {"P1M", china, time.Date(1, 1, 31, 0, 0, 0, 0, china), -1, 12*years + 3, 24301, -1, time.Date(2026, 3, 28, 0, 0, 0, 0, china)},
		"a year and a second":      {"P1YT1S", china, old, -1, years + 3, 2025, -1, time.Date(2027, 1, 1, 0, 33, 46, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := expr.ParsePeriod(c.every)
			if err != nil {
				t.Fatal(err)
			}
			at, left, missed, looked := along(p, c.from.In(c.zone), c.most, now)
			if looked > c.bound {
				t.Errorf("along(%s) looked at %d instants, want at most %d", c.every, looked, c.bound)
			}
			if !at.Equal(c.at) || left != c.left || c.missed >= 0 && missed != c.missed {
				t.Errorf("along(%s) = %v, %d left, %d missed, want %v, %d, %d", c.every, at.UTC(), left, missed, c.at.UTC(), c.left, c.missed)
			}
		})
	}
}

// FuzzAlong compares going along a cycle with going step by step.
func FuzzAlong(f *testing.F) {
	for _, s := range []string{"R/0001-01-01T00:00:00Z/PT1S", "R9/2026-01-31T00:00:00+08:00/P1M", "R/2025-12-31T23:59:59Z/P1DT1S", "R1000000/0001-01-01T00:00:00Z/P99999D", "R/2026-02-28T00:00:00Z/PT0.000000001S", "R/9999-12-31T23:59:59Z/P100000Y"} {
		f.Add(s, int64(3600), false)
		f.Add(s, int64(86_400*400), true)
	}
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64, changing bool) {
		c, err := expr.ParseCycle(text)
		if err != nil {
			return
		}
		zone := time.FixedZone("", 8*3600)
		if changing {
			zone = santiago
		}
		now := time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)
		if at, _, _, looked := along(c.Every, c.Start.In(zone), c.Count, now); looked > 30_000 || c.Count < 0 && !at.After(now) {
			t.Errorf("along(%s) = %v after %d instants", text, at, looked)
		}
		from := now.Add(-time.Duration(seconds%100_000_000) * time.Second)
		at, left, missed, _ := along(c.Every, from.In(zone), c.Count, now)
		step, n := from.In(zone), 0
		for n < 5000 && n != c.Count && !step.After(now) {
			step = c.Every.After(step)
			n++
		}
		if n == 5000 {
			return // too many to walk
		}
		passed, rest := n, c.Count
		if step.After(now) && n > 0 {
			passed--
		}
		if rest > 0 {
			rest -= n
		}
		if n == 0 { // it begins after now: along takes the first
			return
		}
		if !at.Equal(step) || missed != passed || left != rest {
			t.Errorf("along(%s) from %v = %v, %d left, %d missed; step by step %v, %d, %d", text, from, at, left, missed, step, rest, passed)
		}
	})
}
