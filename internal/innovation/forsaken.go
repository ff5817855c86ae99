package innovation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginassignment"
	"github.com/openspms/spms/ent/pluginrun"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// When a module is taken away (its assignment ended, was revoked, or returned to a
// mode in which it does nothing) and no other module does its tasks, they must not
// wait in silence:
//
//	begun by the module, parked and to be tried again too → its fallback, at once
//	later ones of the topic in the region, and nobody has fetched them for takeOver,
//	    nor any of the topic there lately → the fallback, too
//
// A module is not called for an assignment that has ended, so that the fallback
// "previous" means the fallback's role then, or without one a failure. What begins in
// the tasks' rows is asked of them again and again, so that no node has to remember it.
const (
	takeOver = time.Minute      // for which a task is left to whoever else fetches it
	lately   = 10 * time.Minute // a worker whose latest lease ended, or who completed a task, no longer ago is at work

	// goneCode is that of tasks whose module is gone; a process may catch it.
	goneCode = "MODULE_GONE"
)

// forsaking is one look at the tasks that modules have left, at an instant.
type forsaking struct {
	room    *Room
	now     time.Time
	byID    map[string]*ent.PluginAssignment
	revoked map[string]bool // versions
	busy    map[string]bool // topic + "\n" + region path → another worker is at work; a memo
}

// Forsaken gives the tasks whose module is gone to people, or fails them, as their
// assignment says, and returns how many. Any number of nodes may do so at the same
// time. Cost: linear in the open tasks of the topics that have lost a module.
func (r *Room) Forsaken(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("plugin"))
	all, err := r.door.Store.Client().PluginAssignment.Query().Where(pluginassignment.TopicNEQ("")).WithVersion().All(ctx)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	f := &forsaking{room: r, now: r.door.Clock.Now(), byID: map[string]*ent.PluginAssignment{}, revoked: map[string]bool{}, busy: map[string]bool{}}
	byTopic := map[string][]*ent.PluginAssignment{}
	for _, a := range all {
		f.byID[a.ID] = a
		byTopic[a.Topic] = append(byTopic[a.Topic], a)
	}
	revoked, err := r.door.Store.Client().PluginVersion.Query().Where(pluginversion.StateEQ(pluginversion.StateRevoked)).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the revoked versions: %w", err)
	}
	n := 0
	for topic, list := range byTopic {
		var stopped []string
		for _, v := range revoked {
			if f.revoked[v.ID] = true; slices.Contains(v.Topics, topic) {
				stopped = append(stopped, v.ID)
			}
		}
		done, err := f.topic(ctx, topic, list, stopped)
		if n += done; err != nil {
			return n, err
		}
	}
	return n, nil
}

// gone tells whether an assignment has given up tasks that it had.
func gone(a *ent.PluginAssignment) bool {
	return a.State == pluginassignment.StateEnded || a.Reason != "" && a.Mode != pluginassignment.ModeFull
}

// topic looks at the open tasks of a topic that are lent to nobody.
func (f *forsaking) topic(ctx context.Context, topic string, list []*ent.PluginAssignment, revoked []string) (int, error) {
	var active, left []*ent.PluginAssignment
	for _, a := range list {
		if a.State == pluginassignment.StateActive {
			active = append(active, a)
		}
	}
	for _, a := range list {
		if !gone(a) || served(active, a.RegionPath) {
			continue
		}
		took, err := f.took(ctx, a)
		if err != nil {
			return 0, fmt.Errorf("read what an assignment has done: %w", err)
		}
		if took {
			left = append(left, a)
		}
	}
	if len(left) == 0 && len(revoked) == 0 {
		return 0, nil
	}
	n, last := 0, ""
	for {
		q := f.room.door.Store.Client().Task.Query().Where(task.Topic(topic), task.KindEQ(task.KindService), task.StateEQ(task.StateCreated), task.IDGT(last),
			task.Or(task.LeaseBy(""), task.LeaseUntilLTE(f.now)), concerned(left, revoked)).Order(task.ByID()).Limit(pageSize).WithCase()
		page, err := q.All(ctx)
		if err != nil {
			return n, fmt.Errorf("find the tasks whose module is gone: %w", err)
		}
		runs, err := f.room.runsOf(ctx, page)
		if err != nil {
			return n, err
		}
		for _, t := range page {
			last = t.ID
			moved, err := f.look(ctx, t, active, left, runs[t.ID])
			if err != nil {
				return n, fmt.Errorf("task %s: %w", t.ID, err)
			}
			if moved {
				n++
			}
		}
		if len(page) < pageSize {
			return n, nil
		}
	}
}

// served tells whether modules do every task of a region and below.
func served(active []*ent.PluginAssignment, path string) bool {
	a := nearest(active, path)
	if a == nil || a.Mode != pluginassignment.ModeFull {
		return false
	}
	return !slices.ContainsFunc(active, func(a *ent.PluginAssignment) bool {
		return strings.HasPrefix(a.RegionPath, path) && a.Mode != pluginassignment.ModeFull
	})
}

// concerned selects the tasks in the regions of assignments that are gone, and those
// that a revoked version has begun.
func concerned(left []*ent.PluginAssignment, revoked []string) func(*sql.Selector) {
	return func(s *sql.Selector) {
		var either []*sql.Predicate
		if len(left) > 0 {
			paths := make([]string, len(left))
			for i, a := range left {
				paths[i] = a.RegionPath
			}
			either = append(either, store.Inside(s, paths))
		}
		if len(revoked) > 0 {
			in := make([]any, len(revoked))
			for i, v := range revoked {
				in[i] = v
			}
			runs := sql.Table(pluginrun.Table)
			either = append(either, sql.In(s.C(task.FieldID), sql.Select(runs.C(pluginrun.FieldTaskID)).From(runs).
				Where(sql.And(sql.In(runs.C(pluginrun.FieldVersionID), in...), sql.NEQ(runs.C(pluginrun.FieldMode), string(pluginrun.ModeShadow))))))
		}
		s.Where(sql.Or(either...))
	}
}

// look decides about one task and tells whether it was moved.
func (f *forsaking) look(ctx context.Context, t *ent.Task, active, left []*ent.PluginAssignment, runs []*ent.PluginRun) (bool, error) {
	begun := lastOf(runs)
	if a := nearest(active, t.RegionPath); a != nil {
		e, err := f.room.errand(ctx, t, a, runs)
		if err != nil {
			return false, err
		}
		if e != nil && !e.shadow {
			parked := t.LeaseUntil.After(f.now)
			if parked && begun != nil && f.revoked[begun.VersionID] {
				return true, f.recall(ctx, t) // nothing will wake it but the message, and that may never come
			}
			return false, nil
		}
	}
	if begun != nil {
		return true, f.leave(ctx, t, f.byID[begun.AssignmentID])
	}
	a := latest(left, t.RegionPath)
	if a == nil || f.now.Before(latestOf(t.CreatedAt, t.LeaseUntil, a.ChangedAt).Add(takeOver)) {
		return false, nil
	}
	if busy, err := f.others(ctx, t.Topic, a.RegionPath); err != nil || busy {
		return false, err
	}
	return true, f.leave(ctx, t, a)
}

// lastOf is the latest run that did more than look on; nil without one.
func lastOf(runs []*ent.PluginRun) *ent.PluginRun {
	for _, run := range slices.Backward(runs) {
		if run.Mode != pluginrun.ModeShadow {
			return run
		}
	}
	return nil
}

// latest is the assignment that counts in a region, of those that are gone: the
// nearest one, and of those of one region the one that changed last.
func latest(list []*ent.PluginAssignment, path string) *ent.PluginAssignment {
	var above []*ent.PluginAssignment
	for _, a := range list {
		if strings.HasPrefix(path, a.RegionPath) {
			above = append(above, a)
		}
	}
	if len(above) == 0 {
		return nil
	}
	return slices.MaxFunc(above, func(a, b *ent.PluginAssignment) int {
		return cmp.Or(cmp.Compare(len(a.RegionPath), len(b.RegionPath)), a.ChangedAt.Compare(b.ChangedAt), cmp.Compare(a.ID, b.ID))
	})
}

func latestOf(first time.Time, more ...time.Time) time.Time {
	return slices.MaxFunc(append(more, first), time.Time.Compare)
}

// took tells whether an assignment has ever had tasks: one that has only looked on
// leaves nobody behind.
func (f *forsaking) took(ctx context.Context, a *ent.PluginAssignment) (bool, error) {
	if a.State == pluginassignment.StateEnded && a.Mode != pluginassignment.ModeShadow {
		return true, nil
	}
	return f.room.door.Store.Client().PluginRun.Query().Where(pluginrun.AssignmentID(a.ID), pluginrun.ModeNEQ(pluginrun.ModeShadow)).Exist(ctx)
}

// others tells whether a worker that is no module has tasks of a topic in a region,
// or had or did some lately.
func (f *forsaking) others(ctx context.Context, topic, path string) (bool, error) {
	key := topic + "\n" + path
	if busy, known := f.busy[key]; known {
		return busy, nil
	}
	of := func(more ...predicate.Task) *ent.TaskQuery {
		return f.room.door.Store.Client().Task.Query().Where(task.Topic(topic), task.KindEQ(task.KindService), store.Within([]string{path})).Where(more...)
	}
	us := access.System("plugin").StaffID
	busy, err := of(task.StateEQ(task.StateCreated), task.LeaseByNEQ(""), task.Not(task.LeaseByHasPrefix(us+" ")), task.LeaseUntilGT(f.now.Add(-lately))).Exist(ctx)
	if err == nil && !busy {
		busy, err = of(task.StateEQ(task.StateCompleted), task.CompletedByNEQ(us), task.CompletedAtGT(f.now.Add(-lately))).Exist(ctx)
	}
	f.busy[key] = busy
	return busy, err
}

// recall lets a parked task be lent again: its version is stopped, so that the call is
// refused and the fallback of the assignment follows.
func (f *forsaking) recall(ctx context.Context, t *ent.Task) error {
	id, now := t.ID, 0
	_, err := f.room.cases.FailTask(ctx, execution.FailTask{TaskID: &id, Reason: "PLUGIN_REVOKED", RetrySeconds: &now})
	return fetched(err)
}

// leave gives a task to people, or fails it, as its assignment says.
func (f *forsaking) leave(ctx context.Context, t *ent.Task, a *ent.PluginAssignment) error {
	id, code := t.ID, goneCode
	why := strings.TrimSpace(goneCode + " " + a.Reason)
	var err error
	if a.Fallback == pluginassignment.FallbackFail || a.FallbackRole == "" {
		_, err = f.room.cases.FailTask(ctx, execution.FailTask{TaskID: &id, Reason: why, Code: &code})
	} else {
		_, err = f.room.cases.DivertTask(ctx, execution.DivertTask{TaskID: &id, Role: a.FallbackRole, Reason: why})
	}
	if err != nil {
		return fetched(err)
	}
	cmd := command.Command{Operation: "endPluginRun", Input: t.ID}
	_, err = command.Run(ctx, f.room.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(t.ID, t.RegionPath)
		u.Recorded()
		return t.ID, u.PluginRun.Update().Where(pluginrun.TaskID(t.ID), pluginrun.OutcomeEQ(pluginrun.OutcomeRunning)).
			SetOutcome(pluginrun.OutcomeLost).SetCode(goneCode).SetEndedAt(u.Now).Exec(ctx)
	})
	return err
}

// fetched forgives that somebody has just fetched a task, or that it is not there any more.
func fetched(err error) error {
	if fault.CodeOf(err) == leaseLost {
		return nil
	}
	return past(err)
}
