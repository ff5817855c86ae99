package staffing

import (
	"context"
	"encoding/json"
	"math"

	"github.com/openspms/spms/plugins/builtin/pool"
	"github.com/openspms/spms/plugins/sdk"
)

const (
	bins    = 96 // of services: each 2^(1/4) as long as the one before, from one second
	maxOpen = 300_000
)

// load is what came to a pool, counted; nothing of single tasks is kept.
type load struct {
	pool *pool.Pool
	week *pool.Week

	arrivals    [pool.HoursOfWeek]int // by local hour
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
	loads, byID := []*load{}, map[string]*load{}
	for _, p := range pool.Read(run.Snapshot().Pools) {
		l := &load{pool: p, week: p.Week()}
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
		_, minute := l.week.Local(us)
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
		wait := l.week.At(us) - l.week.At(t.scheduled)
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
			l.serve(l.week.Took(t.started, us))
		}
		delete(open, key)
	case sdk.Abort:
		if known && t.started == 0 {
			l.left++
			l.outwaited += l.week.At(us) - l.week.At(t.scheduled)
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
