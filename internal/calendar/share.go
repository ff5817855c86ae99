package calendar

import "time"

// Share returns the instant at which a share of limit l, in permille from 1 to 999,
// is used up: counted on the same basis and with the same pauses as its end.
//
// Of an elapsed limit it is the instant at which that share of the running time has
// passed. A day count is used up by the days that count, each as a whole; what is
// left over of a day is a part of the next day that counts, of the day of the start
// a part of what is left of it. So 80 % of 10 working days are over at 24:00 of the
// 8th, those of one working day at 19:12 of it. Days that a last day gives way to
// are no part of the limit. Of NextHour it is a part of the time to its end. An
// instant at which the clock stands gives way to that at which it runs again. It is
// never after the due instant.
//
// open says that an open pause keeps the instant unknown. Errors are those of
// Limit.Check. Cost: as Due.
func (c *Calendar) Share(l Limit, permille int, start time.Time, pauses []Pause) (at time.Time, open bool, err error) {
	if err := l.Check(); err != nil {
		return time.Time{}, false, err
	}
	switch l.Basis {
	case Elapsed:
		at, open = addRunning(start, partOf(l.length(), permille), pauses)
	case NextHour:
		end, _ := c.addHours(start, int(l.length()/time.Hour), nil)
		at, open = skipPauses(start.Add(partOf(end.Sub(start), permille)), pauses)
	default:
		if at, open = c.shareOfDays(l, permille, start, pauses); !open {
			at, open = skipPauses(at, pauses)
		}
	}
	return at.In(c.loc), open, nil
}

func partOf(d time.Duration, permille int) time.Duration {
	return d/1000*time.Duration(permille) + d%1000*time.Duration(permille)/1000
}

// shareOfDays is Share of a day count: it counts the whole days of the share as Due
// counts those of a limit.
func (c *Calendar) shareOfDays(l Limit, permille int, start time.Time, pauses []Pause) (at time.Time, open bool) {
	begun := c.DateOf(start)
	n := int(l.Value) * dayUnit(l.Basis, l.Unit)
	days := Limit{Basis: CalendarDays, Unit: CalDay}
	switch l.Basis {
	case WorkingDays:
		days = Limit{Basis: WorkingDays, Unit: WorkingDay}
	case CalendarMonths:
		last, open := c.lastDay(l, begun, start, pauses)
		if open {
			return time.Time{}, true
		}
		paused, _ := c.pausedEnds(begun, last, false, pauses)
		n = int(last-begun) - paused
	case SameDay:
		if n++; l.CutoffHour == 0 || !c.hourReached(start, l.CutoffHour) {
			begun--
		}
	}
	if n == 0 { // it ends with the day of the start
		n, begun, days = 1, begun-1, Limit{Basis: CalendarDays, Unit: CalDay}
	}
	days.Value = float64(n * permille / 1000)
	part := n * permille % 1000
	if part > 0 {
		days.Value++
	}
	day, open := c.lastDay(days, begun, start, pauses)
	if open {
		return time.Time{}, true
	}
	from, end := c.BeginOf(day), c.BeginOf(day+1)
	if part == 0 {
		return end, false
	}
	if start.After(from) {
		from = start
	}
	return from.Add(partOf(end.Sub(from), part)), false
}
