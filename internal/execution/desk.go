package execution

import (
	"context"
	"fmt"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/schema"
)

// OpenStates are the states of a task that still wants doing.
var OpenStates = []task.State{task.StateCreated, task.StateClaimed, task.StateStarted, task.StateSigning}

// Open selects the tasks in OpenStates, in the words of the indexes that hold only them.
func Open(s *sql.Selector) {
	s.Where(sql.ExprP(s.C(task.FieldState) + strings.TrimPrefix(schema.OpenTasks, task.FieldState)))
}

// desk is the open tasks of one case during one command: loaded once, changed in
// memory, written once at the end.
type desk struct {
	file  *file
	open  map[int]*ent.Task // token seq → open task
	fresh []*ent.Task       // made by this command, in order
	dirty []*ent.Task       // loaded and changed
}

// take puts the open tasks on the desk.
func (d *desk) take(open []*ent.Task) {
	for _, t := range open {
		d.open[t.TokenSeq] = t
	}
}

// add puts a new task on the desk.
func (d *desk) add(t *ent.Task) {
	d.open[t.TokenSeq] = t
	d.fresh = append(d.fresh, t)
}

// change marks a task for writing.
func (d *desk) change(t *ent.Task) {
	for _, known := range append(d.fresh, d.dirty...) {
		if known == t {
			return
		}
	}
	d.dirty = append(d.dirty, t)
}

// end takes a task off the desk in a closing state.
func (d *desk) end(t *ent.Task, state task.State) {
	delete(d.open, t.TokenSeq)
	t.State, t.CompletedAt = state, d.file.at()
	d.change(t)
}

// due gives every open task the earliest binding due instant of the case.
func (d *desk) due(at *time.Time) {
	order := schema.Far
	if at != nil {
		order = *at
	}
	for _, t := range d.open {
		if t.DueOrder.Equal(order) && (t.DueAt == nil) == (at == nil) {
			continue
		}
		t.DueAt, t.DueOrder = at, order
		d.change(t)
	}
}

// save writes the tasks that are new or changed.
func (d *desk) save(ctx context.Context) error {
	var rows []*ent.TaskCreate
	for _, t := range d.fresh {
		rows = append(rows, d.file.unit.Task.Create().SetID(t.ID).SetCaseID(t.CaseID).SetVersionID(t.VersionID).
			SetRegionID(t.RegionID).SetRegionPath(t.RegionPath).SetTokenSeq(t.TokenSeq).SetNodeID(t.NodeID).
			SetNameZh(t.NameZh).SetNameEn(t.NameEn).SetKind(t.Kind).SetTopic(t.Topic).SetRole(t.Role).SetStage(t.Stage).
			SetState(t.State).SetNillableAssigneeID(t.AssigneeID).SetNillableClaimedAt(t.ClaimedAt).SetNillableAssignedBy(t.AssignedBy).
			SetLeaseUntil(t.LeaseUntil).SetPriority(t.Priority).SetEscalatedTo(t.EscalatedTo).SetRequiredQualifications(t.RequiredQualifications).
			SetNillableCompletedAt(t.CompletedAt).SetNillableDueAt(t.DueAt).SetDueOrder(t.DueOrder).SetCreatedAt(t.CreatedAt))
	}
	if len(rows) > 0 {
		if err := d.file.unit.Task.CreateBulk(rows...).Exec(ctx); err != nil {
			return fmt.Errorf("create tasks: %w", err)
		}
	}
	for _, t := range d.dirty {
		if err := d.update(ctx, t); err != nil {
			return fmt.Errorf("write task %s: %w", t.ID, err)
		}
	}
	for _, t := range append(d.fresh, d.dirty...) {
		d.file.taskChanged(t)
	}
	d.fresh, d.dirty = nil, nil
	return nil
}

func (d *desk) update(ctx context.Context, t *ent.Task) error {
	u := d.file.unit.Task.Update().Where(task.ID(t.ID)).SetState(t.State).SetDueOrder(t.DueOrder).SetPriority(t.Priority).
		SetSigningMode(t.SigningMode).SetRejections(t.Rejections).SetEscalatedTo(t.EscalatedTo).SetUrges(t.Urges).SetNillableUrgedAt(t.UrgedAt).
		SetNillableFollowUpAt(t.FollowUpAt). // the lease is written where it is given: it is not under the case's lock
		SetVersionID(t.VersionID).SetNodeID(t.NodeID).SetNameZh(t.NameZh).SetNameEn(t.NameEn).SetTopic(t.Topic).SetRole(t.Role).
		SetStage(t.Stage).SetRequiredQualifications(t.RequiredQualifications).
		SetNillableStartedAt(t.StartedAt).SetNillableCompletedAt(t.CompletedAt).SetNillableCompletedBy(t.CompletedBy)
	if t.AssigneeID == nil {
		u.ClearAssigneeID()
	} else {
		u.SetAssigneeID(*t.AssigneeID)
	}
	if t.AssignedBy == nil {
		u.ClearAssignedBy()
	} else {
		u.SetAssignedBy(*t.AssignedBy)
	}
	if t.DelegatedBy == nil {
		u.ClearDelegatedBy()
	} else {
		u.SetDelegatedBy(*t.DelegatedBy)
	}
	if t.ClaimedAt == nil {
		u.ClearClaimedAt()
	} else {
		u.SetClaimedAt(*t.ClaimedAt)
	}
	if t.DueAt == nil {
		u.ClearDueAt()
	} else {
		u.SetDueAt(*t.DueAt)
	}
	return u.Exec(ctx)
}
