package calendar

import (
	"time"

	"github.com/openspms/spms/internal/fault"
)

// Hours is the opening hours of a pool: weekly windows of the wall clock, and
// what holds on statutory days off. It is immutable and safe for concurrent use.
type Hours struct {
	doc       Document
	loc       *time.Location
	windows   [7][]Window // by time.Weekday, ascending
	ordinary  []Window    // windows of a make-up workday: those of the first weekly day that has any, from Monday
	always    bool        // open around the clock
	statutory *Calendar   // nil unless closed on statutory days off
}

// NewHours compiles a document of kind hours. statutory is needed when the
// document says closed on statutory days off, and may be nil otherwise: on its
// days off the pool is closed, on its make-up workdays the pool keeps the hours
// of an ordinary working day. Errors are fault.Invalid: CALENDAR_INVALID.
func NewHours(doc Document, statutory *Calendar) (*Hours, error) {
	if doc.Kind != OpeningHours {
		return nil, invalid([]finding{{"kind", "CALENDAR_KIND_WRONG", string(doc.Kind)}})
	}
	if found := doc.check(); len(found) > 0 {
		return nil, invalid(found)
	}
	if doc.Statutory == ClosedOnHolidays && statutory == nil {
		return nil, fault.E(fault.Invalid, "CALENDAR_STATUTORY_MISSING", fault.P("code", doc.Code))
	}
	loc, err := time.LoadLocation(doc.Timezone)
	if err != nil {
		return nil, invalid([]finding{{"timezone", "CALENDAR_ZONE_UNKNOWN", doc.Timezone}})
	}
	h := &Hours{doc: doc, loc: loc, always: doc.Statutory == OpenOnHolidays}
	for day, ws := range doc.Weekly {
		h.windows[day.weekday()] = ws
	}
	for i := range 7 {
		ws := h.windows[(i+1)%7]
		if h.ordinary == nil && len(ws) > 0 {
			h.ordinary = ws
		}
		open := 0
		for _, w := range ws {
			open += w.Close - w.Open
		}
		h.always = h.always && open == 24*60
	}
	if doc.Statutory == ClosedOnHolidays {
		h.statutory = statutory
	}
	return h, nil
}

// Code returns the calendar's code.
func (h *Hours) Code() string { return h.doc.Code }

// Document returns the file form; the caller must not change it.
func (h *Hours) Document() Document { return h.doc }

// Location returns the zone of the wall clock.
func (h *Hours) Location() *time.Location { return h.loc }

// on returns the windows of a day.
func (h *Hours) on(d Date) []Window {
	ws := h.windows[d.Weekday()]
	if h.statutory == nil {
		return ws
	}
	switch weekly := h.statutory.week[d.Weekday()]; {
	case h.statutory.IsWorkingDay(d) == weekly:
		return ws
	case weekly: // announced day off
		return nil
	}
	return h.ordinary // make-up workday
}

// at returns the instant at which the wall clock of day d reaches a minute.
func (h *Hours) at(d Date, minute int) time.Time {
	return time.Date(1970, time.January, 1+int(d), 0, minute, 0, 0, h.loc)
}

// Open reports whether the pool is open at t.
func (h *Hours) Open(t time.Time) bool {
	if h.always {
		return true
	}
	d := DateOf(t.In(h.loc))
	for _, w := range h.on(d) {
		if !t.Before(h.at(d, w.Open)) && t.Before(h.at(d, w.Close)) {
			return true
		}
	}
	return false
}

// horizon bounds a search for the next opening: longer than any announced
// series of days off.
const horizon = 400

// next returns the first open span that ends after t, in its zone; ok is false
// when the pool does not open within 400 days.
func (h *Hours) next(t time.Time) (from, to time.Time, ok bool) {
	first := DateOf(t.In(h.loc))
	for d := first; d < first+horizon; d++ {
		for _, w := range h.on(d) {
			if to = h.at(d, w.Close); to.After(t) {
				if from = h.at(d, w.Open); to.After(from) {
					return from, to, true
				}
			}
		}
	}
	return time.Time{}, time.Time{}, false
}

// NextOpen returns t when the pool is open at t, else the next instant at which
// it opens; the zero time when it does not open within 400 days.
func (h *Hours) NextOpen(t time.Time) time.Time {
	if h.always {
		return t
	}
	from, _, ok := h.next(t)
	switch {
	case !ok:
		return time.Time{}
	case from.After(t):
		return from
	}
	return t
}

// NextClose returns the first instant from t on at which the pool is closed:
// t itself when it is closed; the zero time for a pool that does not close
// within 400 days.
func (h *Hours) NextClose(t time.Time) time.Time {
	if h.always {
		return time.Time{}
	}
	end := t
	for end.Before(t.AddDate(0, 0, horizon)) {
		from, to, ok := h.next(end)
		if !ok || from.After(end) {
			return end
		}
		end = to
	}
	return time.Time{}
}

// Add returns the instant at which d of open time has passed since t; for d = 0
// it is t. The zero time when the pool stops opening. Cost: linear in the open
// spans passed.
func (h *Hours) Add(t time.Time, d time.Duration) time.Time {
	if h.always || d <= 0 {
		return t.Add(max(d, 0))
	}
	for {
		from, to, ok := h.next(t)
		if !ok {
			return time.Time{}
		}
		if from.After(t) {
			t = from
		}
		left := to.Sub(t)
		if left >= d {
			return t.Add(d)
		}
		d -= left
		t = to
	}
}

// Between returns the open time in [from, to); 0 when to is not after from.
// Cost: linear in the open spans between.
func (h *Hours) Between(from, to time.Time) time.Duration {
	if h.always {
		return max(0, to.Sub(from))
	}
	var sum time.Duration
	for t := from; t.Before(to); {
		begin, end, ok := h.next(t)
		if !ok || !begin.Before(to) {
			break
		}
		if begin.Before(t) {
			begin = t
		}
		if end.After(to) {
			end = to
		}
		sum += end.Sub(begin)
		t = end
	}
	return sum
}
