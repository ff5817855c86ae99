package norm

import (
	"time"
)

// Counter counts limits in one calendar; *calendar.Calendar is one.
type Counter interface {
	// CountLimit returns the first instant that is too late; provisional says
	// that it rests on a year not announced, a zero instant that an open pause
	// keeps it unknown.
	CountLimit(basis string, value float64, unit string, cutoffHour int, start time.Time, pauses [][2]time.Time) (at time.Time, provisional bool, err error)
	// Location returns the zone in which days are counted.
	Location() *time.Location
	// AnnouncedYears returns the years whose days off are known, ascending.
	AnnouncedYears() []int
}

// Count counts the due instant of a clock-like indicator with c.
func (i *Indicator) Count(c Counter, start time.Time, pauses [][2]time.Time) (at time.Time, provisional bool, err error) {
	return c.CountLimit(string(i.Basis), i.Value, string(i.Unit), i.CutoffHour, start, pauses)
}
