// Package pool reads the pools of a snapshot and counts their open time. Its main types are
// Pool and Week. It knows the snapshot of the contract and nothing of the house.
package pool

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Units of time.
const (
	MinutesOfWeek = 7 * 24 * 60 // of local time
	HoursOfWeek   = 7 * 24
	Minute        = 60_000_000 // in microseconds, the unit of instants
)

// Pool is a number of people of one role. Without capacity it cannot be planned, without
// hours it is always open, and without changeable it may be changed.
type Pool struct {
	ID, Name, NameEn, Role string
	Capacity               *int
	CostPerHourFen         int
	Changeable             *bool
	UTCOffsetMinutes       int
	Hours                  map[string][]string // day such as mon → windows such as 09:00-18:00
}

// Read reads the pools of a snapshot, each id once; what is no list of pools is none.
func Read(text json.RawMessage) []*Pool {
	var all, out []*Pool
	if json.Unmarshal(text, &all) != nil {
		return nil // of a later contract: nothing that we could plan
	}
	seen := map[string]bool{}
	for _, p := range all {
		if p != nil && p.ID != "" && !seen[p.ID] {
			seen[p.ID] = true
			out = append(out, p)
		}
	}
	return out
}

// Title is the name in Chinese, the id where there is none.
func (p *Pool) Title() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}

// English is the name in English, the id where there is none.
func (p *Pool) English() string {
	if p.NameEn != "" {
		return p.NameEn
	}
	return p.ID
}

// Week knows which minutes of the week, Monday first, a pool is open.
type Week struct {
	offset int // of local time, minutes
	before [MinutesOfWeek + 1]int
}

var days = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// Week reads opening hours; a pool without any is always open. Days off are not known.
func (p *Pool) Week() *Week {
	w := &Week{offset: p.UTCOffsetMinutes}
	open := [MinutesOfWeek]bool{}
	some := false
	for d, name := range days {
		for _, window := range p.Hours[name] {
			from, to, _ := strings.Cut(window, "-")
			for m := minuteOf(from); m < min(minuteOf(to), 24*60); m++ {
				open[d*24*60+m], some = true, true
			}
		}
	}
	for m := range open {
		w.before[m+1] = w.before[m]
		if open[m] || !some {
			w.before[m+1]++
		}
	}
	return w
}

// minuteOf reads 09:30; what is no time is the end of the day.
func minuteOf(s string) int {
	h, m, ok := strings.Cut(s, ":")
	hour, err1 := strconv.Atoi(h)
	minute, err2 := strconv.Atoi(m)
	if !ok || err1 != nil || err2 != nil || hour < 0 || minute < 0 {
		return 24 * 60
	}
	return hour*60 + minute
}

// Open is the number of open minutes in a week.
func (w *Week) Open() int { return w.before[MinutesOfWeek] }

// Before is the number of open minutes before a minute of the week.
func (w *Week) Before(minute int) int { return w.before[minute] }

// Local splits an instant into the number of its week and its minute there.
func (w *Week) Local(us int64) (number int, minute float64) {
	const thursday = 3 * 24 * 60 // 1970 began on one
	m := float64(us)/Minute + float64(w.offset+thursday)
	n := math.Floor(m / MinutesOfWeek)
	return int(n), min(max(m-n*MinutesOfWeek, 0), MinutesOfWeek-1e-6)
}

// At is an instant in open minutes: closed time does not pass.
func (w *Week) At(us int64) float64 {
	n, minute := w.Local(us)
	m := int(minute)
	part := (minute - float64(m)) * float64(w.before[m+1]-w.before[m])
	return float64(n*w.Open()+w.before[m]) + part
}

// Took is how many minutes work took that ended at an instant: the open ones, or all of
// them when it was finished after closing time.
func (w *Week) Took(from, to int64) float64 {
	if _, minute := w.Local(to); w.before[int(minute)+1] == w.before[int(minute)] {
		return float64(to-from) / Minute
	}
	return w.At(to) - w.At(from)
}
