// Package calendar counts time: statutory calendars with days off and make-up
// workdays, opening hours, and the due instant of a limit.
//
// The main type is Calendar, an immutable value that is safe for concurrent
// use. Its Due counts a limit by articles 200 to 204 of the Civil Code: the
// starting day does not count, hours run from the very moment, a limit in
// months ends on the same-numbered day, a last day that is a day off gives way
// to the next working day, and a last day ends at 24:00. A due instant is
// exclusive: it is the first instant that is too late.
//
// The package is pure: time is an argument. It must not know what a limit is
// for, where calendars are kept, or which norm asks.
package calendar

import (
	"slices"
	"time"
)

// Calendar is a statutory calendar: a zone, the weekly working days and, per
// announced year, the days off and make-up workdays. Days of a year that has
// not been announced follow the week alone.
type Calendar struct {
	doc   Document
	loc   *time.Location
	week  [7]bool // working, by time.Weekday
	years []int   // announced, ascending

	// The index covers the announced years and one year around each end.
	first   Date    // first day of the index
	work    []bool  // work[i]: first+i is a working day
	before  []int32 // before[i]: working days in [first, first+i); one longer than work
	working []Date  // the working days of the index, ascending
	begin   []int64 // begin[i]: Unix second at which first+i begins in loc; one longer than work
}

// New compiles a document of kind statutory. Errors are fault.Invalid:
// CALENDAR_INVALID with one item per finding. Cost: linear in the span of the
// announced years.
func New(doc Document) (*Calendar, error) {
	if doc.Kind != Statutory {
		return nil, invalid([]finding{{"kind", "CALENDAR_KIND_WRONG", string(doc.Kind)}})
	}
	if found := doc.check(); len(found) > 0 {
		return nil, invalid(found)
	}
	loc, err := time.LoadLocation(doc.Timezone)
	if err != nil {
		return nil, invalid([]finding{{"timezone", "CALENDAR_ZONE_UNKNOWN", doc.Timezone}})
	}
	c := &Calendar{doc: doc, loc: loc}
	for _, d := range doc.WeeklyWorkingDays {
		c.week[d.weekday()] = true
	}
	for _, y := range doc.Years {
		c.years = append(c.years, y.Year)
	}
	slices.Sort(c.years)
	c.index()
	return c, nil
}

// index fills the per-day tables.
func (c *Calendar) index() {
	if len(c.years) == 0 {
		return
	}
	c.first = NewDate(c.years[0]-1, time.January, 1)
	end := NewDate(c.years[len(c.years)-1]+2, time.January, 1)
	n := int(end - c.first)
	c.work = make([]bool, n)
	for i := range c.work {
		c.work[i] = c.week[(c.first + Date(i)).Weekday()]
	}
	for _, y := range c.doc.Years {
		for _, off := range y.DaysOff {
			for _, d := range off.Days {
				c.work[d-c.first] = false
			}
		}
	}
	for _, y := range c.doc.Years {
		for _, d := range y.MakeUpWorkdays {
			c.work[d-c.first] = true
		}
	}
	c.before = make([]int32, n+1)
	c.begin = make([]int64, n+1)
	for i, w := range c.work {
		c.before[i+1] = c.before[i]
		if w {
			c.before[i+1]++
			c.working = append(c.working, c.first+Date(i))
		}
	}
	for i := range c.begin {
		c.begin[i] = startOfDay(c.first+Date(i), c.loc)
	}
}

// Code returns the calendar's code.
func (c *Calendar) Code() string { return c.doc.Code }

// Document returns the file form of the calendar; the caller must not change it.
func (c *Calendar) Document() Document { return c.doc }

// Location returns the zone in which days are counted.
func (c *Calendar) Location() *time.Location { return c.loc }

// AnnouncedYears returns the years whose days off are known, ascending; the
// caller owns the slice.
func (c *Calendar) AnnouncedYears() []int { return slices.Clone(c.years) }

// Announced reports whether the days off of a year are known.
func (c *Calendar) Announced(year int) bool {
	_, ok := slices.BinarySearch(c.years, year)
	return ok
}

// announcedAll reports whether every year from that of a to that of b is announced.
func (c *Calendar) announcedAll(a, b Date) bool {
	i, ok := slices.BinarySearch(c.years, a.Year())
	if !ok {
		return false
	}
	span := b.Year() - c.years[i]
	return i+span < len(c.years) && c.years[i+span] == c.years[i]+span
}

// IsWorkingDay reports whether d is a working day: announced make-up workdays
// are, announced days off are not, any other day follows the week.
func (c *Calendar) IsWorkingDay(d Date) bool {
	if i := int(d - c.first); i >= 0 && i < len(c.work) {
		return c.work[i]
	}
	return c.week[d.Weekday()]
}

// WorkingDays returns the number of working days after from, up to and
// including to; 0 when to is not after from. Cost: constant inside the
// announced years, linear in weeks outside.
func (c *Calendar) WorkingDays(from, to Date) int {
	n := 0
	for d := from + 1; d <= to; {
		if i := int(d - c.first); i >= 0 && i < len(c.work) {
			j := min(int(to-c.first)+1, len(c.work))
			n += int(c.before[j] - c.before[i])
			d = c.first + Date(j)
			continue
		}
		if c.week[d.Weekday()] {
			n++
		}
		d++
	}
	return n
}

// AddWorkingDays returns the n-th working day after d, or for n = 0 the first
// working day that is not before d. Cost: as WorkingDays.
func (c *Calendar) AddWorkingDays(d Date, n int) Date {
	if n <= 0 {
		for !c.IsWorkingDay(d) {
			d++
		}
		return d
	}
	for {
		if i := int(d + 1 - c.first); i >= 0 && i < len(c.work) {
			k := int(c.before[i]) + n - 1
			if k < len(c.working) {
				return c.working[k]
			}
			n -= int(c.before[len(c.work)] - c.before[i])
			d = c.first + Date(len(c.work)) - 1
			continue
		}
		if per := c.perWeek(); n > per && (d+7 < c.first || int(d-c.first)+1 >= len(c.work)) {
			n -= per
			d += 7
			continue
		}
		d++
		if c.week[d.Weekday()] {
			if n--; n == 0 {
				return d
			}
		}
	}
}

// perWeek returns the number of weekly working days, 1 to 7.
func (c *Calendar) perWeek() int {
	n := 0
	for _, w := range c.week {
		if w {
			n++
		}
	}
	return n
}

// DateOf returns the civil day of t in the calendar's zone.
func (c *Calendar) DateOf(t time.Time) Date {
	u := t.Unix()
	if n := len(c.work); n > 0 && u >= c.begin[0] && u < c.begin[n] {
		i := min(int((u-c.begin[0])/secondsPerDay), n-1)
		for u < c.begin[i] {
			i--
		}
		for u >= c.begin[i+1] {
			i++
		}
		return c.first + Date(i)
	}
	return DateOf(t.In(c.loc))
}

// BeginOf returns the first instant of day d in the calendar's zone; where
// midnight is skipped by a change of the clocks it is the instant after.
func (c *Calendar) BeginOf(d Date) time.Time {
	if i := int(d - c.first); i >= 0 && i < len(c.begin) {
		return time.Unix(c.begin[i], 0).In(c.loc)
	}
	return time.Unix(startOfDay(d, c.loc), 0).In(c.loc)
}

// startOfDay returns the first Unix second from which on the civil day in loc
// is d or later.
func startOfDay(d Date, loc *time.Location) int64 {
	midnight := int64(d) * secondsPerDay // as if in UTC
	t := time.Date(1970, time.January, 1+int(d), 0, 0, 0, 0, loc)
	_, offset := t.Zone()
	from, until := t.ZoneBounds()
	switch day := DateOf(t); {
	case day < d: // midnight skipped, t lies before the gap
		return until.Unix()
	case t.Unix()+int64(offset) > midnight: // skipped, t lies after the gap
		return from.Unix()
	}
	if !from.IsZero() { // midnight may have come already, before the clocks went back
		_, old := from.Add(-time.Second).Zone()
		_, now := from.Zone()
		if u := midnight - int64(old); u < from.Unix() && from.Unix()+int64(now) >= midnight {
			return u
		}
	}
	if !until.IsZero() { // the clocks may go back into the day before
		_, next := until.Zone()
		if u := midnight - int64(next); u >= until.Unix() && until.Unix()+int64(next) < midnight {
			return u
		}
	}
	return t.Unix()
}
