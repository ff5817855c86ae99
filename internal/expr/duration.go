package expr

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/openspms/spms/internal/fault"
)

// Period is an ISO 8601 duration: years, months and days follow the calendar,
// the rest is exact time. P1M after 31 January is the last day of February.
type Period struct {
	Years, Months, Days int
	Time                time.Duration
}

// ParsePeriod reads an ISO 8601 duration such as PT24H, P3D, P2W or P1Y2M3DT4H.
// Only seconds may have a fraction; a sign is not allowed. The error is
// fault.Invalid EXPR_DURATION.
func ParsePeriod(s string) (Period, error) {
	var p Period
	bad := fault.E(fault.Invalid, "EXPR_DURATION", fault.P("text", s))
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" || len(s) > 64 {
		return p, bad
	}
	date, clock, timed := strings.Cut(rest, "T")
	if timed && clock == "" {
		return p, bad
	}
	for order := ""; date != ""; {
		n, unit, tail, ok := component(date)
		if !ok || n != math.Trunc(n) || n > 100_000 || order != "" && strings.IndexByte("YMWD", unit) <= strings.IndexByte("YMWD", order[0]) {
			return p, bad
		}
		switch unit {
		case 'Y':
			p.Years = int(n)
		case 'M':
			p.Months = int(n)
		case 'W':
			p.Days += 7 * int(n)
		case 'D':
			p.Days += int(n)
		default:
			return p, bad
		}
		order, date = string(unit), tail
	}
	for order := ""; clock != ""; {
		n, unit, tail, ok := component(clock)
		scale := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}[unit]
		if !ok || scale == 0 || unit != 'S' && n != math.Trunc(n) || n > 10_000_000_000/scale.Seconds() ||
			order != "" && strings.IndexByte("HMS", unit) <= strings.IndexByte("HMS", order[0]) {
			return p, bad
		}
		if n > float64(math.MaxInt64/4/int64(scale)) {
			return p, bad
		}
		p.Time += time.Duration(math.Round(n * float64(scale)))
		order, clock = string(unit), tail
	}
	return p, nil
}

// component splits "12H…" into its number, its unit and what follows.
func component(s string) (n float64, unit byte, tail string, ok bool) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	if i == 0 || i == len(s) || s[0] == '.' {
		return 0, 0, "", false
	}
	n, err := strconv.ParseFloat(s[:i], 64)
	return n, s[i], s[i+1:], err == nil
}

// After returns the instant p after t, counted in t's location: first years and
// months, the day clipped to the length of the month, then days, then time.
func (p Period) After(t time.Time) time.Time {
	if p.Years != 0 || p.Months != 0 {
		y, m, d := t.Date()
		first := time.Date(y+p.Years, m+time.Month(p.Months), 1, 0, 0, 0, 0, time.UTC) // there is one: no zone skips it
		last := first.AddDate(0, 1, -1).Day()
		h, mi, s := t.Clock()
		t = time.Date(first.Year(), first.Month(), min(d, last), h, mi, s, t.Nanosecond(), t.Location())
	}
	if p.Days != 0 {
		t = t.AddDate(0, 0, p.Days)
	}
	return t.Add(p.Time)
}

// Floor returns the shortest exact time that p can take: a month of 28 days, a
// year of 365, days of 24 hours.
func (p Period) Floor() time.Duration {
	return time.Duration(p.Years*365+p.Months*28+p.Days)*24*time.Hour + p.Time
}

// Exact returns the time of a period without years and months, and whether it
// has none. A day counts 24 hours.
func (p Period) Exact() (time.Duration, bool) {
	return time.Duration(p.Days)*24*time.Hour + p.Time, p.Years == 0 && p.Months == 0
}

// Format writes a duration as ISO 8601 (PT1H30M, P1D as PT24H); zero is PT0S.
func Format(d time.Duration) string {
	if d == 0 {
		return "PT0S"
	}
	var b strings.Builder
	if d < 0 {
		b.WriteByte('-')
		d = -d
	}
	b.WriteString("PT")
	if h := d / time.Hour; h > 0 {
		b.WriteString(strconv.FormatInt(int64(h), 10) + "H")
	}
	if m := d % time.Hour / time.Minute; m > 0 {
		b.WriteString(strconv.FormatInt(int64(m), 10) + "M")
	}
	if s := d % time.Minute; s > 0 {
		b.WriteString(strconv.FormatFloat(s.Seconds(), 'f', -1, 64) + "S")
	}
	return b.String()
}

// Cycle is a repeating interval: Count firings (-1 without end), Every apart,
// the first one at Start or, when that is zero, Every after the beginning.
type Cycle struct {
	Count int
	Start time.Time
	Every Period
}

// ParseCycle reads an ISO 8601 repeating interval: R3/PT1H, R/P1D or
// R2/2026-03-04T00:00:00+08:00/P1D, of a second or more. The error is fault.Invalid
// EXPR_DURATION.
func ParseCycle(s string) (Cycle, error) {
	bad := fault.E(fault.Invalid, "EXPR_DURATION", fault.P("text", s))
	c := Cycle{Count: -1}
	head, rest, ok := strings.Cut(s, "/")
	if !ok || !strings.HasPrefix(head, "R") {
		return c, bad
	}
	if head != "R" {
		n, err := strconv.Atoi(head[1:])
		if err != nil || n < 1 || n > 1_000_000 {
			return c, bad
		}
		c.Count = n
	}
	if from, every, two := strings.Cut(rest, "/"); two {
		t, err := time.Parse(time.RFC3339, from)
		if err != nil {
			return c, bad
		}
		c.Start, rest = t, every
	}
	p, err := ParsePeriod(rest)
	if err != nil || p.Years == 0 && p.Months == 0 && p.Days == 0 && p.Time < time.Second {
		return c, bad
	}
	c.Every = p
	return c, nil
}
