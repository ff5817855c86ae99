package engine_test

import (
	"testing"
	"time"

	"github.com/openspms/spms/internal/engine"
)

// TestSchedule works out when a timer start event is due from noon of 4 March 2026 in
// Beijing on, and then after firing at an instant.
func TestSchedule(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)
	at := func(hours float64) time.Time { return from.Add(time.Duration(hours * float64(time.Hour))) }
	type due struct {
		at     time.Time
		left   int
		missed int
		ok     bool
	}
	for name, c := range map[string]struct {
		timer string
		first due
		now   time.Time // when it fires
		next  due
	}{
		"a date":                      {"date=2026-03-04T13:00:00+08:00", due{at: at(1), ok: true}, at(1), due{}},
		"a date now":                  {"date=2026-03-04T12:00:00+08:00", due{at: from, ok: true}, from, due{}},
		"a date that has passed":      {"date=2026-03-04T11:59:59+08:00", due{}, from, due{}},
		"a duration":                  {"duration=PT2H", due{at: at(2), ok: true}, at(9), due{}},
		"a cycle":                     {"cycle=R3/PT1H", due{at: at(1), left: 2, ok: true}, at(1), due{at: at(2), left: 1, ok: true}},
		"late, but before the next":   {"cycle=R3/PT1H", due{at: at(1), left: 2, ok: true}, at(1.9), due{at: at(2), left: 1, ok: true}},
		"a time without a server":     {"cycle=R/PT1H", due{at: at(1), left: -1, ok: true}, at(100.5), due{at: at(101), left: -1, missed: 99, ok: true}},
		"exactly at the next":         {"cycle=R/PT1H", due{at: at(1), left: -1, ok: true}, at(3), due{at: at(4), left: -1, missed: 2, ok: true}},
		"a year of seconds":           {"cycle=R/PT1S", due{at: from.Add(time.Second), left: -1, ok: true}, at(8760), due{at: at(8760).Add(time.Second), left: -1, missed: 8760*3600 - 1, ok: true}},
		"all missed":                  {"cycle=R3/PT1H", due{at: at(1), left: 2, ok: true}, at(50), due{missed: 2}},
		"a beginning ahead":           {"cycle=R2/2026-03-05T12:00:00+08:00/P1D", due{at: at(24), left: 1, ok: true}, at(24), due{at: at(48), ok: true}},
		"a beginning behind":          {"cycle=R5/2026-03-03T08:00:00+08:00/P1D", due{at: at(20), left: 2, ok: true}, at(20), due{at: at(44), left: 1, ok: true}},
		"a cycle that is over":        {"cycle=R2/2026-03-01T08:00:00+08:00/P1D", due{}, from, due{}},
		"months":                      {"cycle=R/2026-01-31T12:00:00+08:00/P1M", due{at: time.Date(2026, 3, 28, 4, 0, 0, 0, time.UTC), left: -1, ok: true}, at(24 * 40), due{at: time.Date(2026, 4, 28, 4, 0, 0, 0, time.UTC), left: -1, ok: true}},
		"an expression over defaults": {"duration==every", due{at: at(5), ok: true}, at(5), due{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newPlay(t, "var every duration default=\"duration('5h')\"\nstart s "+c.timer+"\nend e\nflow s -> e").m
			node, _ := m.Node("s")
			when, left, ok, err := engine.Schedule(m, node, from, "CN", "urban")
			if got := (due{when, left, 0, ok}); err != nil || got.ok != c.first.ok || got.ok && got != c.first {
				t.Fatalf("Schedule(%s) = %+v, %v, want %+v", c.timer, got, err, c.first)
			}
			if !ok {
				return
			}
			next, left, missed, ok, err := engine.Following(m, node, when, left, c.now, "CN", "urban")
			got := due{next, left, missed, ok}
			if !ok {
				got.at, got.left = time.Time{}, 0
			}
			if err != nil || got != c.next {
				t.Errorf("Following(%s, %v) = %+v, %v, want %+v", c.timer, c.now, got, err, c.next)
			}
		})
	}
}
