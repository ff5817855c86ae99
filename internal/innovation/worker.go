package innovation

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginassignment"
	"github.com/openspms/spms/ent/pluginrun"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/expr"
)

const (
	atOnce   = 16  // tasks of a topic that are begun in one go
	pageSize = 200 // tasks looked at in one query
	maxPages = 25  // pages looked at in one tick
)

// errand is one service task that a module is to do.
type errand struct {
	task   *ent.Task
	a      *ent.PluginAssignment
	v      *ent.PluginVersion
	begun  *ent.PluginRun // the run that an earlier lease has left without an end
	under  *ent.PluginRun // the latest run of the task, whose configuration goes on
	tries  int            // runs of the task that have ended
	waits  int            // runs of the task that have ended in a wait
	shadow bool
}

// hands is what modules work on at this node: how many calls each assignment has, and
// which tasks. A module that hangs holds its own places and nobody else's.
type hands struct {
	mu     sync.Mutex
	busy   map[string]int       // by assignment
	tasks  map[string]time.Time // in hand → until when they are lent; the zero time for those that are not
	failed error                // of runs that have ended since it was asked
	freed  chan struct{}        // something has ended
	open   sync.WaitGroup
}

func newHands() hands {
	return hands{busy: map[string]int{}, tasks: map[string]time.Time{}, freed: make(chan struct{}, 1)}
}

// take takes a task in hand for an assignment, if it has a place and nobody is at it.
func (h *hands) take(assignment string, places int, task string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, has := h.tasks[task]; has || h.busy[assignment] >= places {
		return false
	}
	h.busy[assignment]++
	h.tasks[task] = time.Time{}
	return true
}

// lent notes until when tasks in hand are lent.
func (h *hands) lent(tasks []string, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range tasks {
		if _, has := h.tasks[id]; has {
			h.tasks[id] = until
		}
	}
}

// ending are the tasks in hand whose lease ends before an instant.
func (h *hands) ending(before time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for id, until := range h.tasks {
		if !until.IsZero() && until.Before(before) {
			out = append(out, id)
		}
	}
	return sorted(out)
}

// full tells whether an assignment has no place left.
func (h *hands) full(assignment string, places int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.busy[assignment] >= places
}

// places is how many places some assignments have left.
func (h *hands) places(list []*ent.PluginAssignment) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, a := range list {
		n += max(a.Concurrency-h.busy[a.ID], 0)
	}
	return n
}

// release lets go of a task.
func (h *hands) release(assignment, task string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[assignment]--; h.busy[assignment] <= 0 {
		delete(h.busy, assignment)
	}
	delete(h.tasks, task)
	if err != nil {
		h.failed = errors.Join(h.failed, fmt.Errorf("task %s: %w", task, err))
	}
	select {
	case h.freed <- struct{}{}:
	default:
	}
}

// errors returns and forgets what has failed.
func (h *hands) errors() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.failed
	h.failed = nil
	return err
}

// Tick lets the modules that are assigned do the service tasks that wait for them,
// those first that are due first, waits for them and returns how many it called. Any
// number of nodes may do so at the same time: each task is lent to one. A task whose
// module fails in a way of the server's own is tried again later; the others are done.
// What modules have left behind is given to people: see Forsaken.
func (r *Room) Tick(ctx context.Context) (int, error) {
	called, err := r.Launch(ctx)
	r.hands.open.Wait()
	_, left := r.Forsaken(ctx)
	return called, errors.Join(err, r.hands.errors(), left)
}

// Freed tells when a module that Launch has called is done.
func (r *Room) Freed() <-chan struct{} { return r.hands.freed }

// Wait waits until no module works here.
func (r *Room) Wait() { r.hands.open.Wait() }

// Launch is Tick without waiting: what is slow in one region keeps nobody else from
// beginning. Runs that have failed since are told by the next call.
func (r *Room) Launch(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("plugin"))
	active, err := r.door.Store.Client().PluginAssignment.Query().
		Where(pluginassignment.StateEQ(pluginassignment.StateActive), pluginassignment.TopicNEQ("")).WithVersion().All(ctx)
	if err != nil || len(active) == 0 {
		return 0, err
	}
	byTopic := map[string][]*ent.PluginAssignment{}
	for _, a := range active {
		byTopic[a.Topic] = append(byTopic[a.Topic], a)
	}
	called, failed := 0, r.hands.errors()
	for topic, list := range byTopic {
		n, err := r.serve(ctx, topic, list)
		called, failed = called+n, errors.Join(failed, err)
	}
	return called, failed
}

// serve lets modules begin to work on one topic.
func (r *Room) serve(ctx context.Context, topic string, list []*ent.PluginAssignment) (int, error) {
	errands, err := r.find(ctx, topic, list)
	if err != nil {
		r.letGo(errands)
		return 0, err
	}
	var ids []string
	for _, e := range errands {
		if !e.shadow {
			ids = append(ids, e.task.ID)
		}
	}
	lent := map[string]bool{}
	if len(ids) > 0 {
		until := r.door.Clock.Now().Add(lease)
		got, err := r.cases.LendTasks(ctx, ids, r.worker, lease)
		if err != nil {
			r.letGo(errands)
			return 0, err
		}
		r.hands.lent(got, until)
		for _, id := range got {
			lent[id] = true
		}
	}
	return r.work(ctx, errands, lent), nil
}

// letGo lets go of errands that are not begun.
func (r *Room) letGo(errands []*errand) {
	for _, e := range errands {
		r.hands.release(e.a.ID, e.task.ID, nil)
	}
}

// work begins the errands, side by side.
func (r *Room) work(ctx context.Context, errands []*errand, lent map[string]bool) int {
	called := 0
	for _, e := range errands {
		if !e.shadow && !lent[e.task.ID] { // another node has it
			r.hands.release(e.a.ID, e.task.ID, nil)
			continue
		}
		called++
		r.hands.open.Go(func() { r.hands.release(e.a.ID, e.task.ID, r.do(ctx, e)) })
	}
	return called
}

// find takes those tasks of a topic in hand that modules are to do now, at most atOnce,
// also of an answer with an error.
func (r *Room) find(ctx context.Context, topic string, list []*ent.PluginAssignment) ([]*errand, error) {
	free := r.hands.places(list)
	if free == 0 {
		return nil, nil
	}
	now := r.door.Clock.Now()
	var out []*errand
	var last *ent.Task
	size := min(max(4*free, 32), pageSize) // a place that has become free is no reason to read everything
	for range maxPages {
		q := r.door.Store.Client().Task.Query().Where(task.Topic(topic), task.KindEQ(task.KindService), task.StateEQ(task.StateCreated), task.LeaseUntilLTE(now)).
			Order(task.ByDueOrder(), task.ByID()).Limit(size).WithCase()
		if last != nil {
			q.Where(task.Or(task.DueOrderGT(last.DueOrder), task.And(task.DueOrder(last.DueOrder), task.IDGT(last.ID))))
		}
		page, err := q.All(ctx)
		if err != nil {
			return out, fmt.Errorf("find the tasks of modules: %w", err)
		}
		runs, err := r.runsOf(ctx, page)
		if err != nil {
			return out, err
		}
		for _, t := range page {
			last = t
			a := nearest(list, t.RegionPath)
			if a == nil || r.hands.full(a.ID, a.Concurrency) {
				continue
			}
			e, err := r.errand(ctx, t, a, runs[t.ID])
			if err != nil {
				return out, err
			}
			if e != nil && r.hands.take(a.ID, a.Concurrency, t.ID) {
				out = append(out, e)
			}
			if len(out) == atOnce {
				return out, nil
			}
		}
		if len(page) < size {
			break
		}
		size = min(2*size, pageSize)
	}
	return out, nil
}

// runsOf reads the runs of tasks in one statement, in their order.
func (r *Room) runsOf(ctx context.Context, tasks []*ent.Task) (map[string][]*ent.PluginRun, error) {
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.ID
	}
	list, err := r.door.Store.Client().PluginRun.Query().Where(pluginrun.TaskIDIn(ids...)).Order(ent.Asc(pluginrun.FieldID)).WithVersion().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the runs of tasks: %w", err)
	}
	out := map[string][]*ent.PluginRun{}
	for _, run := range list {
		out[run.TaskID] = append(out[run.TaskID], run)
	}
	return out, nil
}

// nearest is the assignment that counts in a region: its own, else the nearest above.
func nearest(list []*ent.PluginAssignment, path string) *ent.PluginAssignment {
	var best *ent.PluginAssignment
	for _, a := range list {
		if strings.HasPrefix(path, a.RegionPath) && (best == nil || len(a.RegionPath) > len(best.RegionPath)) {
			best = a
		}
	}
	return best
}

// errand decides whether a module does a task, and in which version: the one that
// has begun the task goes on with it. It returns nil when none does.
func (r *Room) errand(ctx context.Context, t *ent.Task, a *ent.PluginAssignment, runs []*ent.PluginRun) (*errand, error) {
	e := &errand{task: t, a: a, v: a.Edges.Version, shadow: a.Mode == pluginassignment.ModeShadow}
	for _, run := range runs {
		if (run.Mode == pluginrun.ModeShadow) != e.shadow {
			continue
		}
		if e.shadow {
			return nil, nil // looked on already
		}
		e.v, e.under = run.Edges.Version, run
		if run.Outcome == pluginrun.OutcomeRunning {
			e.begun = run
			continue
		}
		if run.Outcome == pluginrun.OutcomeWaiting {
			e.waits++
		} else {
			e.tries++
		}
	}
	if e.under != nil || a.Mode != pluginassignment.ModePilot {
		return e, nil
	}
	if r.chosen(ctx, t, a) {
		return e, nil
	}
	if id := a.PreviousVersionID; id != "" && a.PreviousMode == pluginassignment.PreviousModeFull {
		v, err := r.door.Store.Client().PluginVersion.Get(ctx, id)
		e.v = v
		return e, err
	}
	return nil, nil
}

// chosen tells whether a case is among those of a pilot: always the same ones, by
// the hash of the case and the assignment, within the cohort.
func (r *Room) chosen(ctx context.Context, t *ent.Task, a *ent.PluginAssignment) bool {
	if share(a.ID, t.CaseID) >= a.SharePermille {
		return false
	}
	if a.Cohort == "" {
		return true
	}
	p, err := r.cohort(ctx, r.door.Store.Client(), t.VersionID, a.Cohort)
	if p == nil || err != nil {
		return false // what makes no sense in this process selects none of its cases
	}
	c := t.Edges.Case
	in, err := p.Holds(expr.Activation{Variables: c.Variables, Now: r.door.Clock.Now(), Region: expr.Region{Area: c.Area}})
	return err == nil && in
}

// share is where a case lies between 0 and 999 for an assignment.
func share(assignment, caseID string) int {
	sum := sha256.Sum256([]byte(assignment + "\n" + caseID))
	return int(binary.BigEndian.Uint64(sum[:8]) % 1000) //nolint:gosec // below 1000
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
