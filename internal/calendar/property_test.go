package calendar_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/fault"
)

// anyLimit draws a limit of any basis.
func anyLimit(t *rapid.T) calendar.Limit {
	n := float64(rapid.IntRange(0, 60).Draw(t, "value"))
	switch rapid.IntRange(0, 5).Draw(t, "basis") {
	case 0:
		return lim(calendar.Elapsed, n, calendar.Hour, 0)
	case 1:
		return lim(calendar.CalendarDays, n, calendar.CalDay, 0)
	case 2:
		return lim(calendar.WorkingDays, n, calendar.WorkingDay, 0)
	case 3:
		return lim(calendar.CalendarMonths, n, calendar.Month, 0)
	case 4:
		return lim(calendar.SameDay, float64(int(n)%3), calendar.CalDay, rapid.IntRange(0, 24).Draw(t, "cutoff"))
	}
	return lim(calendar.NextHour, float64(int(n)%3+1), calendar.Hour, 0)
}

// anyStart draws an instant from 2024 to 2028, in and around the announced years.
func anyStart(t *rapid.T, label string) time.Time {
	return time.Unix(rapid.Int64Range(1_704_000_000, 1_830_000_000).Draw(t, label), 0)
}

// anyPauses draws up to four ended pauses around start, overlapping or not.
func anyPauses(t *rapid.T, start time.Time) []calendar.Pause {
	var out []calendar.Pause
	for range rapid.IntRange(0, 4).Draw(t, "pauses") {
		from := start.Add(time.Duration(rapid.Int64Range(-48, 800).Draw(t, "from")) * time.Hour)
		out = append(out, calendar.Pause{From: from, To: from.Add(time.Duration(rapid.Int64Range(0, 120*60).Draw(t, "minutes")) * time.Minute)})
	}
	return out
}

func due(t *rapid.T, c *calendar.Calendar, l calendar.Limit, start time.Time, pauses []calendar.Pause) calendar.Due {
	d, err := c.Due(l, start, pauses)
	if err != nil {
		t.Fatalf("Due(%v): %v", l, err)
	}
	return d
}

func calendars(t *testing.T) []*calendar.Calendar {
	return []*calendar.Calendar{china(t), week(t, "Europe/London", 2026), week(t, "America/Santiago"), week(t, "Australia/Lord_Howe", 2025, 2027)}
}

func TestDueIsMonotoneInStart(t *testing.T) {
	t.Parallel()
	all := calendars(t)
	rapid.Check(t, func(t *rapid.T) {
		c, l := rapid.SampledFrom(all).Draw(t, "calendar"), anyLimit(t)
		start := anyStart(t, "start")
		later := start.Add(time.Duration(rapid.Int64Range(0, 80*3600).Draw(t, "later")) * time.Second)
		pauses := anyPauses(t, start)
		if a, b := due(t, c, l, start, pauses), due(t, c, l, later, pauses); b.At.Before(a.At) {
			t.Fatalf("%v from %v is due %v, from the later %v earlier: %v", l, start, a.At, later, b.At)
		}
	})
}

func TestDayCountsNeverEndOnADayOff(t *testing.T) {
	t.Parallel()
	all := calendars(t)
	rapid.Check(t, func(t *rapid.T) {
		c, l := rapid.SampledFrom(all).Draw(t, "calendar"), anyLimit(t)
		start := anyStart(t, "start")
		d := due(t, c, l, start, anyPauses(t, start))
		switch l.Basis {
		case calendar.CalendarDays, calendar.WorkingDays, calendar.CalendarMonths:
			if !c.IsWorkingDay(d.LastDay) {
				t.Fatalf("%v from %v ends on the day off %v", l, start, d.LastDay)
			}
		}
		if !d.At.After(start) && l.Value > 0 {
			t.Fatalf("%v from %v is due %v, not after the start", l, start, d.At)
		}
		if got := c.DateOf(d.At.Add(-time.Second)); got != d.LastDay {
			t.Fatalf("%v from %v: last day %v, but the last second lies on %v", l, start, d.LastDay, got)
		}
	})
}

func TestPausesAddUp(t *testing.T) {
	t.Parallel()
	c := china(t)
	rapid.Check(t, func(t *rapid.T) {
		// Two pauses apart, both within the running time.
		start := time.Unix(rapid.Int64Range(1_740_000_000, 1_780_000_000).Draw(t, "start"), 0)
		h := func(label string, lo, hi int64) time.Duration {
			return time.Duration(rapid.Int64Range(lo, hi).Draw(t, label)) * time.Hour
		}
		p := calendar.Pause{From: start.Add(h("a", 1, 24))}
		p.To = p.From.Add(h("first", 1, 72))
		q := calendar.Pause{From: p.To.Add(h("b", 1, 24))}
		q.To = q.From.Add(h("second", 1, 72))
		elapsed := lim(calendar.Elapsed, 100, calendar.Hour, 0)
		working := lim(calendar.WorkingDays, 15, calendar.WorkingDay, 0)
		ps, qs, both := []calendar.Pause{p}, []calendar.Pause{q}, []calendar.Pause{q, p}
		plain := due(t, c, elapsed, start, nil).At
		if got, want := due(t, c, elapsed, start, both).At.Sub(plain), p.To.Sub(p.From)+q.To.Sub(q.From); got != want {
			t.Fatalf("two pauses move the end by %v, want %v", got, want)
		}
		last := due(t, c, working, start, nil).LastDay
		moved := func(pauses []calendar.Pause) int {
			return c.WorkingDays(last, due(t, c, working, start, pauses).LastDay)
		}
		if got, want := moved(both), moved(ps)+moved(qs); got != want {
			t.Fatalf("two pauses move the end by %d working days, want %d", got, want)
		}
		if moved(ps) < 0 || moved(ps) > int(p.To.Sub(p.From).Hours()/24)+1 {
			t.Fatalf("a pause of %v moves the end by %d working days", p.To.Sub(p.From), moved(ps))
		}
	})
}

func TestWorkingDaysAgreeWithCountingOneByOne(t *testing.T) {
	t.Parallel()
	all := calendars(t)
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(all).Draw(t, "calendar")
		from := calendar.NewDate(2023, 1, 1) + calendar.Date(rapid.IntRange(0, 2500).Draw(t, "from"))
		n := rapid.IntRange(1, 800).Draw(t, "n")
		want := from
		for left := n; left > 0; {
			if want++; c.IsWorkingDay(want) {
				left--
			}
		}
		if got := c.AddWorkingDays(from, n); got != want {
			t.Fatalf("AddWorkingDays(%v, %d) = %v, want %v", from, n, got, want)
		}
		if got := c.WorkingDays(from, want); got != n {
			t.Fatalf("WorkingDays(%v, %v) = %d, want %d", from, want, got, n)
		}
	})
}

func FuzzParseDocument(f *testing.F) {
	f.Add(load(f, "cn-statutory"))
	f.Add(load(f, "office"))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, file []byte) {
		doc, err := calendar.ParseDocument(file)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("ParseDocument = %v, want a fault of kind invalid", err)
			}
			return
		}
		text, err := doc.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := calendar.ParseDocument(text)
		if err != nil {
			t.Fatalf("read back: %v\n%s", err, text)
		}
		if doc.Digest() != again.Digest() {
			t.Fatalf("digest changes on the way:\n%s", text)
		}
	})
}

func FuzzDue(f *testing.F) {
	f.Add(int64(1_770_000_000), uint8(2), uint16(16), int64(5), int64(30))
	c := china(f)
	f.Fuzz(func(t *testing.T, start int64, basis uint8, value uint16, pauseFrom, pauseHours int64) {
		l := []calendar.Limit{
			{calendar.Elapsed, float64(value), calendar.Hour, 0},
			{calendar.CalendarDays, float64(value), calendar.CalDay, 0},
			{calendar.WorkingDays, float64(value), calendar.WorkingDay, 0},
			{calendar.CalendarMonths, float64(value % 1200), calendar.Month, 0},
			{calendar.SameDay, 0, calendar.CalDay, int(value % 25)},
			{calendar.NextHour, float64(value%48 + 1), calendar.Hour, 0},
		}[basis%6]
		s := time.Unix(start%4_000_000_000, 0)
		from := s.Add(time.Duration(pauseFrom%10_000) * time.Hour)
		pause := calendar.Pause{From: from, To: from.Add(time.Duration(pauseHours%10_000) * time.Hour)}
		with, err := c.Due(l, s, []calendar.Pause{pause})
		if fault.CodeOf(err) == "LIMIT_VALUE_WRONG" {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		without, err := c.Due(l, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		if with.At.Before(without.At) {
			t.Fatalf("a pause makes %v earlier: %v, without %v", l, with.At, without.At)
		}
	})
}

func BenchmarkDueWorkingDays(b *testing.B) {
	c := week(b, "Asia/Shanghai", 2020, 2021, 2022, 2023, 2024, 2025, 2026, 2027, 2028, 2029)
	l := lim(calendar.WorkingDays, 16, calendar.WorkingDay, 0)
	start := time.Date(2020, 1, 1, 9, 0, 0, 0, c.Location())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := c.Due(l, start.Add(time.Duration(i%3500)*24*time.Hour), nil); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "dues/s")
}
