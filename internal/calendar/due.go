package calendar

import (
	"math"
	"time"

	"github.com/openspms/spms/internal/fault"
)

// Basis is how a limit is counted.
type Basis string

// The bases of a clock.
const (
	Elapsed        Basis = "elapsed"         // exact time from the starting instant (Civil Code 201 II)
	CalendarDays   Basis = "calendar_days"   // every day counts, the last rolls over days off (201 I, 203)
	WorkingDays    Basis = "working_days"    // only working days count
	CalendarMonths Basis = "calendar_months" // to the same-numbered day, rolls over days off (202, 203)
	SameDay        Basis = "same_day"        // the day of the start itself, the next from the cut-off on (204: as pledged)
	NextHour       Basis = "next_hour"       // the next whole hour of the wall clock
)

// Unit is the unit of a limit's value.
type Unit string

// The units of a limit.
const (
	Second     Unit = "s"
	Minute     Unit = "min"
	Hour       Unit = "h"
	CalDay     Unit = "day"
	Week       Unit = "week"
	WorkingDay Unit = "working_day"
	Month      Unit = "month"
)

// Limit is an amount of time and how it is counted. CutoffHour (0 to 24, local)
// matters for SameDay alone: a start at or after it belongs to the next day; 0
// means no cut-off.
type Limit struct {
	Basis      Basis
	Value      float64
	Unit       Unit
	CutoffHour int
}

// Pause is a time during which a clock stands, [From, To). A zero To means that
// the pause still lasts. Pauses may overlap and come in any order.
type Pause struct {
	From   time.Time
	To     time.Time
	Reason string
}

// Due is the end of a limit.
type Due struct {
	At          time.Time // first instant that is too late; zero while an open pause keeps the end unknown
	LastDay     Date      // civil day of the last instant that is in time; meaningless while Open
	Provisional bool      // rests on a year whose days off are not announced: weekends only
	Open        bool      // an open pause keeps the end unknown
}

// Left is what remains of a limit at an instant.
type Left struct {
	Time     time.Duration // until the due instant when the clock runs; of elapsed limits what is left while paused; negative when late
	Days     int           // of day counts: counted days left, the present one included
	Paused   bool          // a pause covers the instant
	Due      Due           // as of now, open pauses included
	Breached bool          // the instant is at or after the due instant
}

// maxValue bounds a limit's value in its unit: 100 years of days.
const maxValue = 36_525

// Check reports whether the limit can be counted: a known basis with a unit
// that fits it, a value from 0 that is whole for day and month counts, a
// cut-off from 0 to 24. Errors are fault.Invalid.
func (l Limit) Check() error {
	switch l.Basis {
	case Elapsed, NextHour:
		if unitLength(l.Unit) == 0 {
			return fault.E(fault.Invalid, "LIMIT_UNIT_WRONG", fault.P("basis", string(l.Basis)), fault.P("unit", string(l.Unit)))
		}
	case CalendarDays, SameDay, WorkingDays, CalendarMonths:
		if dayUnit(l.Basis, l.Unit) == 0 {
			return fault.E(fault.Invalid, "LIMIT_UNIT_WRONG", fault.P("basis", string(l.Basis)), fault.P("unit", string(l.Unit)))
		}
		if l.Value != math.Trunc(l.Value) {
			return fault.E(fault.Invalid, "LIMIT_VALUE_WRONG", fault.P("value", l.Value))
		}
	default:
		return fault.E(fault.Invalid, "LIMIT_BASIS_UNKNOWN", fault.P("basis", string(l.Basis)))
	}
	whole := l.Value
	if u := unitLength(l.Unit); l.Basis == Elapsed || l.Basis == NextHour {
		whole *= u.Hours() / 24
	}
	if !(l.Value >= 0 && whole <= maxValue) {
		return fault.E(fault.Invalid, "LIMIT_VALUE_WRONG", fault.P("value", l.Value))
	}
	if l.Basis == NextHour && (l.length() < time.Hour || l.length()%time.Hour != 0) {
		return fault.E(fault.Invalid, "LIMIT_VALUE_WRONG", fault.P("value", l.Value))
	}
	if l.CutoffHour < 0 || l.CutoffHour > 24 {
		return fault.E(fault.Invalid, "LIMIT_CUTOFF_WRONG", fault.P("hour", l.CutoffHour))
	}
	return nil
}

// unitLength returns the exact length of a unit of elapsed time, 0 for others.
func unitLength(u Unit) time.Duration {
	switch u {
	case Second:
		return time.Second
	case Minute:
		return time.Minute
	case Hour:
		return time.Hour
	case CalDay:
		return 24 * time.Hour
	case Week:
		return 7 * 24 * time.Hour
	}
	return 0
}

// dayUnit returns how many days (months) one unit of a day-counting basis has,
// 0 where the unit does not fit.
func dayUnit(b Basis, u Unit) int {
	switch {
	case b == WorkingDays && u == WorkingDay, b == CalendarMonths && u == Month:
		return 1
	case (b == CalendarDays || b == SameDay) && u == CalDay:
		return 1
	case b == CalendarDays && u == Week:
		return 7
	}
	return 0
}

// length returns the exact length of an elapsed limit.
func (l Limit) length() time.Duration {
	return time.Duration(math.Round(l.Value * float64(unitLength(l.Unit))))
}

// Due counts limit l from start.
//
// Bases. Elapsed adds exact time. CalendarDays and CalendarMonths end at 24:00
// of the last day, which gives way to the next working day when it is a day
// off; WorkingDays ends at 24:00 of the n-th working day after the starting
// day. SameDay ends at 24:00 of the starting day, or of the next one when start
// is at or after the cut-off, plus Value days; it is a pledge about the day
// itself and does not roll over days off (Civil Code 204). NextHour ends at the
// Value-th whole hour of the wall clock after start.
//
// Pauses. An elapsed clock stands while paused. A day count ticks at 24:00 of
// each day that counts, and does not tick when a pause covers that midnight:
// a pause moves the end by the day-ends it covers, so the effects of separate
// pauses add up, a pause inside one day changes nothing, and a later start or a
// shorter pause never ends later or earlier than it should. Months are counted
// from the starting day moved by the paused day-ends. Pauses do not touch
// NextHour unless they cover its end, which then moves to the next running hour.
//
// Provisional says that the count looked at a day of a year not announced; only
// the week was known there. Elapsed, SameDay and NextHour never are.
//
// Errors are those of Check. Cost: constant inside the announced years plus the
// square of the number of pauses; no allocation without error.
func (c *Calendar) Due(l Limit, start time.Time, pauses []Pause) (Due, error) {
	if err := l.Check(); err != nil {
		return Due{}, err
	}
	switch l.Basis {
	case Elapsed:
		at, open := addRunning(start, l.length(), pauses)
		return c.instant(at, open), nil
	case NextHour:
		at, open := c.addHours(start, int(l.length()/time.Hour), pauses)
		return c.instant(at, open), nil
	}
	last, open := c.lastDay(l, c.DateOf(start), start, pauses)
	if open {
		return Due{Open: true}, nil
	}
	return c.dayEnd(l, c.DateOf(start), last, pauses), nil
}

// CountLimit is Due in plain types, for callers that know no calendar values:
// norm counts limits through an interface with this method.
func (c *Calendar) CountLimit(basis string, value float64, unit string, cutoffHour int, start time.Time, pauses [][2]time.Time) (at time.Time, provisional bool, err error) {
	var ps []Pause
	for _, p := range pauses {
		ps = append(ps, Pause{From: p[0], To: p[1]})
	}
	d, err := c.Due(Limit{Basis: Basis(basis), Value: value, Unit: Unit(unit), CutoffHour: cutoffHour}, start, ps)
	return d.At, d.Provisional, err
}

// instant makes the Due of a limit that is not counted in days.
func (c *Calendar) instant(at time.Time, open bool) Due {
	if open {
		return Due{Open: true}
	}
	return Due{At: at.In(c.loc), LastDay: c.DateOf(at.Add(-1))}
}

// dayEnd rolls the last day of a day count where the basis asks for it and
// makes its Due.
func (c *Calendar) dayEnd(l Limit, begun, last Date, pauses []Pause) Due {
	d := last
	provisional := false
	switch {
	case l.Basis == WorkingDays && l.Value > 0:
		provisional = !c.announcedAll(min(begun+1, last), last)
	case l.Basis != SameDay:
		for !c.IsWorkingDay(d) || c.stands(d, pauses) {
			var open bool
			if d, open = c.skip(d+1, pauses); open {
				return Due{Open: true}
			}
		}
		provisional = !c.announcedAll(last, d)
	}
	return Due{At: c.BeginOf(d + 1), LastDay: d, Provisional: provisional}
}

// lastDay returns the day on which a day count ends, before rolling: the least
// fixed point of counting and adding the paused day-ends met on the way.
func (c *Calendar) lastDay(l Limit, begun Date, start time.Time, pauses []Pause) (last Date, open bool) {
	n := int(l.Value) * dayUnit(l.Basis, l.Unit)
	if l.Basis == SameDay {
		begun--
		if l.CutoffHour > 0 && c.hourReached(start, l.CutoffHour) {
			begun++
		}
		n++
	}
	paused := 0
	for {
		switch {
		case l.Basis == CalendarMonths:
			last = (begun + Date(paused)).addMonths(n)
		case l.Basis == WorkingDays && n+paused > 0:
			last = c.AddWorkingDays(begun, n+paused)
		default:
			last = begun + Date(n+paused)
		}
		if len(pauses) == 0 {
			return last, false
		}
		k, open := c.pausedEnds(begun, last, l.Basis == WorkingDays, pauses)
		if open {
			return 0, true
		}
		if k == paused {
			return last, false
		}
		paused = k
	}
}

// hourReached reports whether the wall clock of t shows at least hour.
func (c *Calendar) hourReached(t time.Time, hour int) bool {
	return t.In(c.loc).Hour() >= hour
}

// ends returns the days [from, to] whose 24:00 a pause covers; to < from when
// there is none. An open pause covers every day-end from its first on.
func (c *Calendar) ends(p Pause) (from, to Date) {
	from = c.DateOf(p.From)
	if p.To.IsZero() {
		return from, forever
	}
	return from, c.DateOf(p.To) - 1
}

const forever = Date(math.MaxInt32)

// stands reports whether a pause covers 24:00 of d.
func (c *Calendar) stands(d Date, pauses []Pause) bool {
	for _, p := range pauses {
		if from, to := c.ends(p); from <= d && d <= to {
			return true
		}
	}
	return false
}

// skip returns the first day from d on whose end no pause covers; open when an
// open pause covers all of them.
func (c *Calendar) skip(d Date, pauses []Pause) (next Date, open bool) {
	for moved := true; moved; {
		moved = false
		for _, p := range pauses {
			if from, to := c.ends(p); from <= d && d <= to {
				if to == forever {
					return 0, true
				}
				d, moved = to+1, true
			}
		}
	}
	return d, false
}

// pausedEnds counts the day-ends in (after, last] that pauses cover, each once;
// of working days alone when working is set. Open when an open pause covers one.
func (c *Calendar) pausedEnds(after, last Date, working bool, pauses []Pause) (n int, open bool) {
	for d := after + 1; d <= last; {
		clear, isOpen := c.skip(d, pauses)
		if isOpen {
			return 0, true
		}
		if stop := min(clear-1, last); stop >= d {
			if working {
				n += c.WorkingDays(d-1, stop)
			} else {
				n += int(stop - d + 1)
			}
		}
		next := forever
		for _, p := range pauses {
			if from, to := c.ends(p); from <= to && from > clear {
				next = min(next, from)
			}
		}
		d = next
		if next == forever {
			break
		}
	}
	return n, false
}

// addRunning returns the instant at which length of running time has passed
// since start; open when an open pause keeps the clock from getting there.
func addRunning(start time.Time, length time.Duration, pauses []Pause) (at time.Time, open bool) {
	t := start
	for {
		var isOpen bool
		if t, isOpen = skipPauses(t, pauses); isOpen {
			return time.Time{}, true
		}
		next, found := nextPause(t, pauses)
		if !found || next.Sub(t) >= length {
			return t.Add(length), false
		}
		length -= next.Sub(t)
		t = next
	}
}

// skipPauses returns the first instant from t on that no pause covers.
func skipPauses(t time.Time, pauses []Pause) (running time.Time, open bool) {
	for moved := true; moved; {
		moved = false
		for _, p := range pauses {
			if p.From.After(t) {
				continue
			}
			if p.To.IsZero() {
				return time.Time{}, true
			}
			if p.To.After(t) {
				t, moved = p.To, true
			}
		}
	}
	return t, false
}

// nextPause returns the earliest beginning of a non-empty pause after t.
func nextPause(t time.Time, pauses []Pause) (next time.Time, found bool) {
	for _, p := range pauses {
		if p.From.After(t) && (p.To.IsZero() || p.To.After(p.From)) && (!found || p.From.Before(next)) {
			next, found = p.From, true
		}
	}
	return next, found
}

// addHours returns the n-th instant after start at which the wall clock shows a
// whole hour and no pause has just covered it.
func (c *Calendar) addHours(start time.Time, n int, pauses []Pause) (at time.Time, open bool) {
	t := start
	for range n {
		t = c.wholeHourAfter(t)
	}
	for {
		running, isOpen := skipPauses(t.Add(-1), pauses)
		if isOpen {
			return time.Time{}, true
		}
		if running.Before(t) {
			return t, false
		}
		t = c.wholeHourAfter(running)
	}
}

// wholeHourAfter returns the first instant after t at which the wall clock
// shows a whole hour; changes of the clocks by less than an hour included.
func (c *Calendar) wholeHourAfter(t time.Time) time.Time {
	for {
		_, offset := t.In(c.loc).Zone()
		local := t.Unix() + int64(offset)
		t = time.Unix((floorDiv(local, 3600)+1)*3600-int64(offset), 0).In(c.loc)
		if t.Minute() == 0 && t.Second() == 0 {
			return t
		}
	}
}

// Remaining returns what is left of limit l at now. A clock that runs shows the
// time until its due instant, whatever the basis. While paused, an elapsed
// limit shows the running time that is left; every day count shows Days, the
// counted days that have not yet ended, the present one included. Errors are
// those of Check. Cost: as Due, twice.
func (c *Calendar) Remaining(l Limit, start, now time.Time, pauses []Pause) (Left, error) {
	due, err := c.Due(l, start, pauses)
	if err != nil {
		return Left{}, err
	}
	left := Left{Due: due, Breached: !due.Open && !now.Before(due.At)}
	for _, p := range pauses {
		if !p.From.After(now) && (p.To.IsZero() || p.To.After(now)) {
			left.Paused = true
		}
	}
	resumed := due // as if every pause ended now
	if left.Paused || due.Open {
		if resumed, err = c.Due(l, start, endedBy(pauses, now)); err != nil {
			return Left{}, err
		}
	}
	left.Time = resumed.At.Sub(now)
	if l.Basis != Elapsed && l.Basis != NextHour {
		left.Days = max(0, int(resumed.LastDay-c.DateOf(now))+1)
		if l.Basis == WorkingDays {
			left.Days = max(0, c.WorkingDays(c.DateOf(now)-1, resumed.LastDay))
		}
	}
	return left, nil
}

// endedBy returns the pauses cut off at now.
func endedBy(pauses []Pause, now time.Time) []Pause {
	var out []Pause
	for _, p := range pauses {
		if p.From.After(now) {
			continue
		}
		if p.To.IsZero() || p.To.After(now) {
			p.To = now
		}
		out = append(out, p)
	}
	return out
}
