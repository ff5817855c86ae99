package assignment

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/openspms/spms/plugins/builtin/pool"
	"github.com/openspms/spms/plugins/builtin/queue"
	"github.com/openspms/spms/plugins/sdk"
)

const (
	maxKept = 1_000_000 // tasks that are played again: 48 bytes each
	maxOpen = 300_000   // tasks that wait or are worked on at a time
)

// line is the queue of a pool as the log tells it.
type line struct {
	*pool.Pool
	week             *pool.Week
	jobs             []queue.Job // in open minutes
	peak             int         // most tasks worked on at a time
	begun, overtaken int         // tasks; those that waited while one due later was begun
	nodes            []*node
	waiting          *queue.Heap[*open] // by instant due; begun ones are passed over
	running          int
}

// servers is how many tasks the pool can do at a time: as many as it has people, or, where
// that is not known, as it had in hand at most.
func (l *line) servers() int {
	if l.Capacity != nil && *l.Capacity > 0 {
		return *l.Capacity
	}
	return max(l.peak, 1)
}

// node is what the log says of the tasks of a node in a pool.
type node struct {
	id        string
	class     int
	tasks     int
	overtaken int
	slack     float64 // minutes from being offered to being due, sum of those with an instant
	due       int
}

// open is a task that is not done.
type open struct {
	node           *node
	line           *line
	offered, begun int64
	due            float64 // open minute; +Inf for none
	gone           bool    // begun, over, or overtaken before: it counts no more
}

// queues are those of all pools, in the order in which the snapshot names them and then
// the log.
type queues struct {
	lines   []*line
	byID    map[string]*line
	classes map[string]int // of nodes, by number
	kept    int
}

type taskKey struct{ c, node string }

// read reads the log. Of a task that is done a few numbers stay; everything else is
// counted.
func read(ctx context.Context, run *sdk.Run) (*queues, error) {
	q := &queues{byID: map[string]*line{}, classes: map[string]int{}}
	for _, p := range pool.Read(run.Snapshot().Pools) {
		q.add(p)
	}
	tasks := map[taskKey]*open{}
	for e, err := range run.Events() {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.Pool == "" || e.Node == "" {
			continue
		}
		key := taskKey{e.Case, e.Node}
		t := tasks[key]
		switch e.Lifecycle {
		case sdk.Schedule, sdk.Start:
			if t == nil && len(tasks) < maxOpen {
				t = q.offer(e)
				tasks[key] = t
			}
			if t != nil && e.Lifecycle == sdk.Start && t.begun == 0 {
				t.begin(e.Time.UnixMicro())
			}
		case sdk.Completed, sdk.Abort:
			if t != nil {
				q.end(t, e)
				delete(tasks, key)
			}
		}
	}
	for _, p := range q.lines {
		slices.SortStableFunc(p.jobs, func(a, b queue.Job) int {
			switch {
			case a.At < b.At:
				return -1
			case a.At > b.At:
				return 1
			}
			return 0
		})
	}
	return q, nil
}

func (q *queues) add(p *pool.Pool) *line {
	l := &line{Pool: p, week: p.Week(), waiting: queue.NewHeap(func(a, b *open) bool { return a.due < b.due })}
	q.lines, q.byID[p.ID] = append(q.lines, l), l
	return l
}

// offer takes up a task that may be begun.
func (q *queues) offer(e sdk.Event) *open {
	l := q.byID[e.Pool]
	if l == nil {
		l = q.add(&pool.Pool{ID: e.Pool})
	}
	i := slices.IndexFunc(l.nodes, func(n *node) bool { return n.id == e.Node })
	if i < 0 {
		if _, ok := q.classes[e.Node]; !ok {
			q.classes[e.Node] = len(q.classes)
		}
		i = len(l.nodes)
		l.nodes = append(l.nodes, &node{id: e.Node, class: q.classes[e.Node]})
	}
	t := &open{node: l.nodes[i], line: l, offered: e.Time.UnixMicro(), due: math.Inf(1)}
	if at, err := time.Parse(time.RFC3339, e.Attributes["task.dueAt"]); err == nil {
		t.due = l.week.At(at.UnixMicro())
		t.node.due++
		t.node.slack += t.due - l.week.At(t.offered)
		l.waiting.Push(t)
	}
	t.node.tasks++
	return t
}

// begin lets a task leave the queue; those that wait and are due earlier were overtaken.
func (t *open) begin(us int64) {
	l := t.line
	t.gone, t.begun = true, us
	l.begun++
	l.running++
	l.peak = max(l.peak, l.running)
	for l.waiting.Len() > 0 && l.waiting.Least().due < t.due {
		if w := l.waiting.Pop(); !w.gone {
			w.gone = true
			w.node.overtaken++
			l.overtaken++
		}
	}
}

// end keeps what is needed to play the task again.
func (q *queues) end(t *open, e sdk.Event) {
	l, us := t.line, e.Time.UnixMicro()
	t.gone = true
	if t.begun == 0 {
		return
	}
	l.running--
	if e.Lifecycle == sdk.Completed && q.kept < maxKept {
		q.kept++
		l.jobs = append(l.jobs, queue.Job{At: l.week.At(t.offered), Service: l.week.Took(t.begun, us), Due: t.due, Class: t.node.class})
	}
}
