package execution

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// A service task is worked by programs outside. A worker fetches some under a lease:
// until it ends nobody else is given them; then, if they are not completed, others
// are. Whoever completes a task after its lease went to another is refused.

// FetchTasks lends the worker service tasks of a topic in the regions where the
// viewer works them, those first that are due first. It returns their ids; none is
// no error. Errors: REGION_NOT_FOUND, ACTION_FORBIDDEN.
func (r *Room) FetchTasks(ctx context.Context, in FetchTasks) ([]string, error) {
	cmd := command.Command{Operation: "fetchTasks", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) ([]string, error) {
		path := ""
		if in.RegionID != nil {
			reg, err := u.Region.Query().Where(store.RegionRef(*in.RegionID)).Only(ctx)
			if err != nil {
				return nil, notFound(err, "REGION_NOT_FOUND", *in.RegionID, "regionID")
			}
			if err := u.Require(access.WorkTask, reg.RegionPath); err != nil {
				return nil, err
			}
			path = reg.RegionPath
		}
		q := u.Task.Query().Where(task.Topic(in.Topic), task.KindEQ(task.KindService), task.StateEQ(task.StateCreated),
			task.LeaseUntilLTE(u.Now), lent(u.Viewer))
		q.Order(task.ByDueOrder(), task.ByID()).Limit(in.Max)
		if path != "" {
			q.Where(store.Within([]string{path}))
		}
		if u.Dialect() == dialect.Postgres {
			q.ForUpdate(sql.WithLockAction(sql.SkipLocked))
		}
		found, err := q.Select(task.FieldID, task.FieldCaseID, task.FieldRegionPath).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("find tasks to lend: %w", err)
		}
		ids := make([]string, len(found))
		for i, t := range found {
			ids[i] = t.ID
		}
		if len(ids) == 0 {
			return ids, nil
		}
		until := u.Now.Add(time.Duration(in.LeaseSeconds) * time.Second)
		n, err := u.Task.Update().Where(task.IDIn(ids...)).SetLeaseBy(lessee(u.Viewer, in.Worker)).SetLeaseUntil(until).Save(access.Elevated(ctx))
		if err != nil {
			return nil, fmt.Errorf("lend tasks: %w", err)
		}
		for _, t := range found {
			lentTo(u, t)
		}
		u.Note("tasks", n)
		return ids, nil
	})
}

// lentTo tells subscribers that a task was lent. It is no change that anybody works on.
func lentTo(u *command.Unit, t *ent.Task) {
	u.Locked(t.ID)
	u.Changed(store.Change{Kind: "lease", ID: t.ID, CaseID: t.CaseID, RegionPath: t.RegionPath})
}

// lent selects the tasks whose role the viewer holds in their region.
func lent(v *access.Viewer) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if v.IsSystem() {
			return
		}
		either := []*sql.Predicate{sql.False()}
		for _, g := range v.Grants {
			either = append(either, sql.And(store.Inside(s, []string{g.RegionPath}), sql.EQ(s.C(task.FieldRole), string(g.Role))))
		}
		s.Where(sql.Or(either...))
	}
}

// lessee names who holds a lease: a worker under the name of the viewer that it
// asks as, so that no other viewer can hold it.
func lessee(v *access.Viewer, worker string) string { return v.StaffID + " " + worker }

// held refuses to complete a service task that is lent to another worker now.
func (f *file) held(t *ent.Task, worker *string) error {
	if t.Kind != task.KindService {
		return nil
	}
	f.unit.Locked(t.ID) // leases are given without the lock of the case
	if t.LeaseBy == "" {
		return nil
	}
	mine := worker != nil && t.LeaseBy == lessee(f.unit.Viewer, *worker)
	if mine || !t.LeaseUntil.After(f.unit.Now) && worker == nil {
		return nil
	}
	return taskLent(t, "worker")
}

func taskLent(t *ent.Task, field string) error {
	return fault.E(fault.Conflict, "TASK_LEASE_LOST", fault.P("task", taskName(t)), fault.P("until", t.LeaseUntil)).At("input", field)
}

// leased reports whether a task is in the hands of a worker.
func leased(t *ent.Task, now time.Time) bool { return t.LeaseBy != "" && t.LeaseUntil.After(now) }

// fromWorkers takes a service task from the workers for a person to do. What one of them
// has now is his until the lease ends, and tasks are lent without the case's lock: the row
// says who was first.
func (f *file) fromWorkers(ctx context.Context, t *ent.Task) error {
	if t.Kind != task.KindService {
		return nil
	}
	n, err := f.unit.Task.Update().Where(task.ID(t.ID), task.Or(task.LeaseBy(""), task.LeaseUntilLTE(f.unit.Now))).SetLeaseBy("").Save(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("take a task from the workers: %w", err)
	}
	if n == 0 {
		return taskLent(t, "taskID")
	}
	t.LeaseBy = ""
	return nil
}

// FailTask says that a worker could not do a service task. A retryable one is lent
// again after a pause; any other becomes a Failure of its token. A code that the
// process catches goes its way instead. Errors: TASK_STATE, TASK_LEASE_LOST.
func (r *Room) FailTask(ctx context.Context, in FailTask) (TaskResult, error) {
	return r.onTask(ctx, "failTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := f.workable(ctx, t, in.Worker); err != nil {
			return err
		}
		f.unit.Note("reason", in.Reason)
		if in.RetrySeconds != nil {
			until := f.unit.Now.Add(time.Duration(*in.RetrySeconds) * time.Second)
			return f.unit.Task.Update().Where(task.ID(t.ID)).SetLeaseBy("").SetLeaseUntil(until).Exec(access.Elevated(ctx))
		}
		code := deref(in.Code)
		if code == "" {
			code = "TASK_FAILED"
		}
		return f.step(ctx, engine.Event{Kind: engine.ErrorThrown, Token: t.TokenSeq, Node: t.NodeID, Name: code, Reason: in.Reason})
	})
}
