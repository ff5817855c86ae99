package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/schema"
)

// LendTasks lends service tasks to a worker of the server, as FetchTasks does, but
// those named. It returns the ids of those that were free: still waiting, and lent
// to nobody. Only the server itself may ask: ACTION_FORBIDDEN.
func (r *Room) LendTasks(ctx context.Context, ids []string, worker string, lease time.Duration) ([]string, error) {
	cmd := command.Command{Operation: "lendTasks", Input: ids}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) ([]string, error) {
		if !u.Viewer.IsSystem() {
			return nil, fault.E(fault.Forbidden, "ACTION_FORBIDDEN", fault.P("action", string(access.WorkTask)), fault.P("region", "/"))
		}
		var lent []string
		for _, id := range ids {
			n, err := u.Task.Update().Where(task.ID(id), task.KindEQ(task.KindService), task.StateEQ(task.StateCreated), task.LeaseUntilLTE(u.Now)).
				SetLeaseBy(lessee(u.Viewer, worker)).SetLeaseUntil(u.Now.Add(lease)).Save(access.Elevated(ctx))
			if err != nil {
				return nil, fmt.Errorf("lend task %s: %w", id, err)
			}
			if n > 0 {
				lent = append(lent, id)
			}
		}
		u.Note("tasks", len(lent))
		if len(lent) == 0 {
			return nil, nil
		}
		rows, err := u.Task.Query().Where(task.IDIn(lent...)).Select(task.FieldID, task.FieldCaseID, task.FieldRegionPath).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the tasks that were lent: %w", err)
		}
		for _, t := range rows {
			lentTo(u, t)
		}
		return lent, nil
	})
}

// KeepTasks renews the leases of tasks that a worker of the server has been lent and
// nobody else has since. Only the server itself may ask: ACTION_FORBIDDEN.
func (r *Room) KeepTasks(ctx context.Context, ids []string, worker string, lease time.Duration) error {
	cmd := command.Command{Operation: "keepTasks", Input: ids}
	_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (int, error) {
		if !u.Viewer.IsSystem() {
			return 0, fault.E(fault.Forbidden, "ACTION_FORBIDDEN", fault.P("action", string(access.WorkTask)), fault.P("region", "/"))
		}
		u.Recorded() // a lease is no decision
		return u.Task.Update().Where(task.IDIn(ids...), task.StateEQ(task.StateCreated), task.LeaseBy(lessee(u.Viewer, worker))).
			SetLeaseUntil(u.Now.Add(lease)).Save(access.Elevated(ctx))
	})
	return err
}

// ParkTask says that the worker of a service task waits for a message. Nobody is
// lent the task until the message has come, which is then kept with it, or the
// time is up. Errors: TASK_STATE, TASK_LEASE_LOST.
func (r *Room) ParkTask(ctx context.Context, in ParkTask) (TaskResult, error) {
	return r.onTask(ctx, "parkTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := f.workable(ctx, t, in.Worker); err != nil {
			return err
		}
		until := schema.Far
		if in.Until != nil {
			until = in.Until.UTC().Truncate(time.Microsecond)
			if !until.After(f.unit.Now) {
				return fault.E(fault.Invalid, "PARK_IN_THE_PAST", fault.P("until", until)).At("input", "until")
			}
		}
		f.unit.Note("message", in.Message)
		t.WaitMessage, t.WaitKey, t.WaitPayload, t.LeaseBy, t.LeaseUntil = in.Message, deref(in.Key), "", "", until
		return f.unit.Task.Update().Where(task.ID(t.ID)).SetWaitMessage(t.WaitMessage).SetWaitKey(t.WaitKey).SetWaitPayload("").
			SetLeaseBy("").SetLeaseUntil(until).Exec(access.Elevated(ctx))
	})
}

// workable refuses what is no service task, or is lent to another worker.
func (f *file) workable(ctx context.Context, t *ent.Task, worker *string) error {
	if err := f.room.mayComplete(ctx, f.qualified(f.unit.Viewer.StaffID), f.unit.Viewer, t); err != nil {
		return err
	}
	if t.Kind != task.KindService {
		return taskState(t)
	}
	return f.held(t, worker)
}

// DivertTask gives a service task to people (转人工): it becomes a task of the role,
// with the same form and clocks, and no worker is lent it any more. Errors:
// TASK_STATE, TASK_LEASE_LOST, ROLE_UNKNOWN.
func (r *Room) DivertTask(ctx context.Context, in DivertTask) (TaskResult, error) {
	return r.onTask(ctx, "divertTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := f.workable(ctx, t, in.Worker); err != nil {
			return err
		}
		d, known := access.Lookup(access.Role(in.Role))
		if !known {
			return fault.E(fault.Invalid, "ROLE_UNKNOWN", fault.P("role", in.Role)).At("input", "role")
		}
		t.Kind, t.Role, t.LeaseBy = task.KindHuman, in.Role, ""
		f.desk.change(t)
		f.act(t, "divert", in.Role, d.Zh, in.Reason)
		return f.unit.Task.Update().Where(task.ID(t.ID)).SetKind(t.Kind).SetLeaseBy("").SetLeaseUntil(schema.LongAgo).
			SetWaitMessage("").SetWaitKey("").SetWaitPayload("").Exec(access.Elevated(ctx))
	})
}

// wake keeps a message with the service task whose worker waits for it, and lets
// workers be lent the task at once. It tells whether there was one.
func (f *file) wake(ctx context.Context, in SendMessage) (bool, error) {
	for _, t := range f.desk.open {
		if t.WaitMessage != in.Name || t.WaitKey != "" && in.CorrelationKey != nil && t.WaitKey != *in.CorrelationKey {
			continue
		}
		payload, err := json.Marshal(in.Payload)
		if err != nil {
			return false, fmt.Errorf("keep a message: %w", err)
		}
		if len(payload) > maxPayload {
			return false, fault.E(fault.Invalid, "MESSAGE_TOO_LARGE", fault.P("max", maxPayload)).At("input", "payload")
		}
		f.taskChanged(t)
		return true, f.unit.Task.Update().Where(task.ID(t.ID)).SetWaitMessage("").SetWaitKey("").SetWaitPayload(string(payload)).
			SetLeaseBy("").SetLeaseUntil(schema.LongAgo).Exec(access.Elevated(ctx))
	}
	return false, nil
}

// maxPayload bounds the message kept with a task, in bytes of JSON.
const maxPayload = 64 << 10
