package calendar

import (
	"fmt"
	"time"
)

// Date is a civil day: the number of days since 1970-01-01 in the proleptic
// Gregorian calendar, without a zone.
type Date int32

// NewDate returns the day of a year, month and day; out-of-range months and
// days are normalised as time.Date does.
func NewDate(year int, month time.Month, day int) Date {
	return Date(floorDiv(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix(), secondsPerDay))
}

// DateOf returns the civil day of t in its own location.
func DateOf(t time.Time) Date {
	_, offset := t.Zone()
	return Date(floorDiv(t.Unix()+int64(offset), secondsPerDay))
}

// ParseDate reads a day written as 2006-01-02.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("read %q as a day: %w", s, err)
	}
	return Date(floorDiv(t.Unix(), secondsPerDay)), nil
}

// Civil returns year, month and day.
func (d Date) Civil() (year int, month time.Month, day int) {
	return time.Unix(int64(d)*secondsPerDay, 0).UTC().Date()
}

// Year returns the year of the day.
func (d Date) Year() int {
	y, _, _ := d.Civil()
	return y
}

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday {
	return time.Weekday(((int(d)+4)%7 + 7) % 7)
}

// String writes the day as 2006-01-02.
func (d Date) String() string {
	return time.Unix(int64(d)*secondsPerDay, 0).UTC().Format(time.DateOnly)
}

// MarshalText writes the day as 2006-01-02.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a day written as 2006-01-02.
func (d *Date) UnmarshalText(text []byte) error {
	v, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// addMonths returns the day that ends a period of n months begun on d: the day
// of the same number, or the month's last day where there is none (Civil Code
// art. 202).
func (d Date) addMonths(n int) Date {
	y, m, day := d.Civil()
	first := NewDate(y, m+time.Month(n), 1)
	last := NewDate(y, m+time.Month(n)+1, 1) - 1
	return min(first+Date(day-1), last)
}

const secondsPerDay = 24 * 60 * 60

// floorDiv divides rounding towards minus infinity; b is positive.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
