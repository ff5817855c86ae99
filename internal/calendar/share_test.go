package calendar_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/fault"
)

// TestShare asks when 80 % of a limit is used up.
func TestShare(t *testing.T) {
	t.Parallel()
	c := china(t)
	hours := func(n float64) calendar.Limit { return lim(calendar.Elapsed, n, calendar.Hour, 0) }
	days := func(n float64) calendar.Limit { return lim(calendar.CalendarDays, n, calendar.CalDay, 0) }
	working := func(n float64) calendar.Limit {
		return lim(calendar.WorkingDays, n, calendar.WorkingDay, 0)
	}
	same := func(n float64) calendar.Limit { return lim(calendar.SameDay, n, calendar.CalDay, 16) }
	for _, tt := range []struct {
		name   string
		limit  calendar.Limit
		start  string
		pauses [][2]string
		want   string // "" while open
	}{
		{"hours", hours(10), "2026-03-03 08:00", nil, "2026-03-03 16:00"},
		{"hours, paused before", hours(10), "2026-03-03 08:00", [][2]string{{"2026-03-03 10:00", "2026-03-03 13:00"}}, "2026-03-03 19:00"},
		{"hours, paused after", hours(10), "2026-03-03 08:00", [][2]string{{"2026-03-03 17:00", "2026-03-05 17:00"}}, "2026-03-03 16:00"},
		{"hours, paused by then", hours(10), "2026-03-03 08:00", [][2]string{{"2026-03-03 15:30", ""}}, ""},
		{"a century", hours(876000), "2026-01-01 00:00", nil, "2105-12-13 00:00"},
		{"whole working days", working(10), "2026-03-03 10:00", nil, "2026-03-14 00:00"},
		{"whole working days, a midnight paused", working(10), "2026-03-03 10:00", [][2]string{{"2026-03-05 15:00", "2026-03-06 09:00"}}, "2026-03-17 00:00"},
		{"working days, a day off paused", working(10), "2026-03-03 10:00", [][2]string{{"2026-03-07 15:00", "2026-03-08 09:00"}}, "2026-03-14 00:00"},
		{"working days, paused after", working(10), "2026-03-03 10:00", [][2]string{{"2026-03-16 15:00", "2026-03-18 09:00"}}, "2026-03-14 00:00"},
		{"one working day", working(1), "2026-03-06 10:00", nil, "2026-03-09 19:12"},
		{"one working day, which is paused into the evening", working(1), "2026-03-06 10:00", [][2]string{{"2026-03-09 12:00", "2026-03-09 21:00"}}, "2026-03-09 21:00"},
		{"calendar days", days(15), "2026-03-03 10:00", nil, "2026-03-16 00:00"},
		{"a calendar day that gives way to the next working day", days(1), "2026-03-06 10:00", nil, "2026-03-07 19:12"},
		{"no day", days(0), "2026-03-03 14:00", nil, "2026-03-03 22:00"},
		{"no working day", working(0), "2026-03-03 14:00", nil, "2026-03-03 22:00"},
		{"weeks", lim(calendar.CalendarDays, 1, calendar.Week, 0), "2026-03-03 10:00", nil, "2026-03-09 14:24"},
		{"a month of 31 days", lim(calendar.CalendarMonths, 1, calendar.Month, 0), "2026-03-10 10:00", nil, "2026-04-04 19:12"},
		{"a month, five midnights paused", lim(calendar.CalendarMonths, 1, calendar.Month, 0), "2026-03-10 10:00", [][2]string{{"2026-03-11 10:00", "2026-03-16 10:00"}}, "2026-04-09 19:12"},
		{"the same day", same(0), "2026-03-03 14:00", nil, "2026-03-03 22:00"},
		{"the same day from the cut-off on", same(0), "2026-03-03 17:00", nil, "2026-03-04 19:12"},
		{"the same day, which is paused over midnight", same(0), "2026-03-03 14:00", [][2]string{{"2026-03-03 20:00", "2026-03-04 08:00"}}, "2026-03-04 19:12"},
		{"the same day and one more", same(1), "2026-03-03 14:00", nil, "2026-03-04 14:24"},
		{"the next hour", lim(calendar.NextHour, 1, calendar.Hour, 0), "2026-03-03 14:30", nil, "2026-03-03 14:54"},
		{"the next hour, paused", lim(calendar.NextHour, 1, calendar.Hour, 0), "2026-03-03 14:30", [][2]string{{"2026-03-03 14:40", "2026-03-03 15:10"}}, "2026-03-03 15:10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var pauses []calendar.Pause
			for _, p := range tt.pauses {
				q := calendar.Pause{From: clock(t, c, p[0])}
				if p[1] != "" {
					q.To = clock(t, c, p[1])
				}
				pauses = append(pauses, q)
			}
			at, open, err := c.Share(tt.limit, 800, clock(t, c, tt.start), pauses)
			if err != nil || open != (tt.want == "") {
				t.Fatalf("Share() = %v, %v, %v, want %q", at, open, err, tt.want)
			}
			if got := at.Format("2006-01-02 15:04"); !open && got != tt.want {
				t.Errorf("Share() = %s, want %s", got, tt.want)
			}
		})
	}
	if _, _, err := c.Share(lim(calendar.Elapsed, 1, calendar.Month, 0), 800, clock(t, c, "2026-03-03 10:00"), nil); fault.CodeOf(err) != "LIMIT_UNIT_WRONG" {
		t.Errorf("Share(a month of hours) = %v, want LIMIT_UNIT_WRONG", err)
	}
}

// TestShareComesBeforeTheEnd compares the instant at which a share is used up with the
// end of the limit, with that of a bigger share, and with what later pauses change.
func TestShareComesBeforeTheEnd(t *testing.T) {
	t.Parallel()
	all := calendars(t)
	rapid.Check(t, func(t *rapid.T) {
		c, l := rapid.SampledFrom(all).Draw(t, "calendar"), anyLimit(t)
		start := anyStart(t, "start")
		pauses := anyPauses(t, start)
		small := rapid.IntRange(1, 999).Draw(t, "permille")
		big := rapid.IntRange(small, 999).Draw(t, "more")
		share := func(permille int, pauses []calendar.Pause) (at int64) {
			got, open, err := c.Share(l, permille, start, pauses)
			if err != nil || open {
				t.Fatalf("Share(%v, %d) = %v, %v", l, permille, open, err)
			}
			return got.UnixMicro()
		}
		at, end := share(small, pauses), due(t, c, l, start, pauses).At.UnixMicro()
		if at < start.UnixMicro() || at > end {
			t.Fatalf("%d permille of %v from %v are over at %v, the whole at %v", small, l, start, at, end)
		}
		if later := share(big, pauses); later < at {
			t.Fatalf("%d permille of %v are over at %d, %d already at %d", small, l, at, big, later)
		}
		if none := share(small, nil); none > at && l.Basis != calendar.CalendarMonths { // a pause can move a month to a shorter one
			t.Fatalf("%d permille of %v are over at %d, without pauses only at %d", small, l, at, none)
		}
	})
}
