package staffing

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/openspms/spms/plugins/sdk"
)

const (
	minutesOfWeek = 7 * 24 * 60
	hoursOfWeek   = 7 * 24
	microMinute   = 60_000_000
	bins          = 96 // of services: each 2^(1/4) as long as the one before, from one second
	maxOpen       = 300_000
)

// pool is one of the snapshot. Without capacity it cannot be planned, without hours it is
// always open, and without changeable it may be changed.
type pool struct {
	ID, Name, NameEn, Role string
	Capacity               *int
	CostPerHourFen         int
	Changeable             *bool
	UTCOffsetMinutes       int
	Hours                  map[string][]string
}

func (p *pool) title() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}

func (p *pool) english() string {
	if p.NameEn != "" {
		return p.NameEn
	}
	return p.ID
}

// week knows which minutes of the week, Monday first, a pool is open.
type week struct {
	offset int // of local time, minutes
	before [minutesOfWeek + 1]int
}

var days = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// weekOf reads opening hours; a pool without any is always open.
func weekOf(p *pool) *week {
	w := &week{offset: p.UTCOffsetMinutes}
	open := [minutesOfWeek]bool{}
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

// open is the number of open minutes in a week.
func (w *week) open() int { return w.before[minutesOfWeek] }

// local splits an instant into the number of its week and its minute there.
func (w *week) local(us int64) (number int, minute float64) {
	const thursday = 3 * 24 * 60 // 1970 began on one
	m := float64(us)/microMinute + float64(w.offset+thursday)
	n := math.Floor(m / minutesOfWeek)
	return int(n), min(max(m-n*minutesOfWeek, 0), minutesOfWeek-1e-6)
}

// at is an instant in open minutes: closed time does not pass.
func (w *week) at(us int64) float64 {
	n, minute := w.local(us)
	m := int(minute)
	part := (minute - float64(m)) * float64(w.before[m+1]-w.before[m])
	return float64(n*w.open()+w.before[m]) + part
}

// closed tells whether an instant is out of hours.
func (w *week) closed(us int64) bool {
	_, minute := w.local(us)
	return w.before[int(minute)+1] == w.before[int(minute)]
}

// load is what came to a pool, counted; nothing of single tasks is kept.
type load struct {
	pool *pool
	week *week

	arrivals    [hoursOfWeek]int // by local hour
	services    [bins]int
	n           int     // services
	minutes     float64 // of service in all
	begun       int     // with a known wait
	inTime      int
	waited      float64 // minutes, of those begun
	left        int     // without being begun
	outwaited   float64 // minutes, of those who left
	first, last int64   // instants
}

// serve counts a service of some minutes.
func (l *load) serve(minutes float64) {
	l.n++
	l.minutes += minutes
	l.services[min(max(int(4*math.Log2(max(minutes*60, 1))), 0), bins-1)]++
}

// task is one that is not yet done.
type task struct{ scheduled, started int64 }

type taskKey struct{ c, node string }

// measure reads the log into the loads of pools, in their order in the snapshot. Memory
// depends on the tasks that are open at a time; of more than maxOpen the rest is not
// counted.
func measure(ctx context.Context, run *sdk.Run, within float64) ([]*load, error) {
	var pools []*pool
	if err := json.Unmarshal(run.Snapshot().Pools, &pools); err != nil {
		pools = nil // of a later contract: nothing that we could plan
	}
	loads, byID := []*load{}, map[string]*load{}
	for _, p := range pools {
		if p == nil || p.ID == "" || byID[p.ID] != nil {
			continue
		}
		l := &load{pool: p, week: weekOf(p)}
		loads, byID[p.ID] = append(loads, l), l
	}
	open := map[taskKey]task{}
	for e, err := range run.Events() {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l := byID[e.Pool]
		if l == nil {
			continue
		}
		l.take(open, e, within)
	}
	return loads, nil
}

// take counts one event.
func (l *load) take(open map[taskKey]task, e sdk.Event, within float64) {
	key, us := taskKey{e.Case, e.Node}, e.Time.UnixMicro()
	if l.first == 0 {
		l.first = us
	}
	l.last = us
	t, known := open[key]
	arrive := func() {
		_, minute := l.week.local(us)
		l.arrivals[int(minute)/60]++
	}
	switch e.Lifecycle {
	case sdk.Schedule:
		arrive()
		if len(open) < maxOpen {
			open[key] = task{scheduled: us}
		}
	case sdk.Start:
		if !known || t.started != 0 {
			t = task{scheduled: us}
			arrive()
		}
		wait := l.week.at(us) - l.week.at(t.scheduled)
		l.begun++
		l.waited += wait
		if wait <= within {
			l.inTime++
		}
		t.started = us
		if known || len(open) < maxOpen {
			open[key] = t
		}
	case sdk.Completed:
		if t.started != 0 {
			minutes := l.week.at(us) - l.week.at(t.started)
			if l.week.closed(us) { // worked on after closing time
				minutes = float64(us-t.started) / microMinute
			}
			l.serve(minutes)
		}
		delete(open, key)
	case sdk.Abort:
		if known && t.started == 0 {
			l.left++
			l.outwaited += l.week.at(us) - l.week.at(t.scheduled)
		}
		delete(open, key)
	}
}

// statistics are those of the snapshot.
type statistics struct {
	Others map[string]struct {
		Tasks       int
		WorkSeconds float64
	}
}

// besides tells what the role of a pool has to do besides the log: by what arrivals and
// mean service grow.
func besides(run *sdk.Run, loads []*load, l *load) (arrivals, service float64) {
	var s statistics
	if json.Unmarshal(run.Snapshot().Statistics, &s) != nil {
		return 1, 1
	}
	tasks, minutes := 0, 0.0
	for _, x := range loads {
		if x.pool.Role == l.pool.Role {
			tasks += x.n
			minutes += x.minutes
		}
	}
	other, ok := s.Others[l.pool.Role]
	if !ok || l.pool.Role == "" || tasks == 0 || minutes == 0 || other.Tasks <= 0 {
		return 1, 1
	}
	arrivals = 1 + float64(other.Tasks)/float64(tasks)
	if other.WorkSeconds <= 0 {
		return arrivals, 1
	}
	return arrivals, (minutes + other.WorkSeconds/60) / (minutes * arrivals)
}
