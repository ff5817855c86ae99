package execution

import (
	"context"
	"fmt"
	"slices"
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
	open  map[int]*ent.Task   // token seq → open task
	fresh []*ent.Task         // made by this command, in order
	dirty []*ent.Task         // loaded and changed
	was   map[string]ent.Task // by id, as they are written
}

// take puts the open tasks on the desk.
func (d *desk) take(open []*ent.Task) {
	for _, t := range open {
		d.open[t.TokenSeq], d.was[t.ID] = t, *t
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

// update writes what has changed of a task: a column that is written costs the indexes it is
// in, whether its value is another or not.
func (d *desk) update(ctx context.Context, t *ent.Task) error {
	was, known := d.was[t.ID]
	if !known { // made by this command, and written already
		was = ent.Task{ID: t.ID}
	}
	u := d.file.unit.Task.Update().Where(task.ID(t.ID)) // the lease is written where it is given: it is not under the case's lock
	put(was.State, t.State, u.SetState, !known)
	put(was.DueOrder, t.DueOrder, u.SetDueOrder, !known)
	put(was.Priority, t.Priority, u.SetPriority, !known)
	put(was.SigningMode, t.SigningMode, u.SetSigningMode, !known)
	put(was.Rejections, t.Rejections, u.SetRejections, !known)
	put(was.EscalatedTo, t.EscalatedTo, u.SetEscalatedTo, !known)
	put(was.Urges, t.Urges, u.SetUrges, !known)
	put(was.VersionID, t.VersionID, u.SetVersionID, !known)
	put(was.NodeID, t.NodeID, u.SetNodeID, !known)
	put(was.NameZh, t.NameZh, u.SetNameZh, !known)
	put(was.NameEn, t.NameEn, u.SetNameEn, !known)
	put(was.Topic, t.Topic, u.SetTopic, !known)
	put(was.Role, t.Role, u.SetRole, !known)
	put(was.Stage, t.Stage, u.SetStage, !known)
	if !known || !slices.Equal(was.RequiredQualifications, t.RequiredQualifications) {
		u.SetRequiredQualifications(t.RequiredQualifications)
	}
	putOr(was.AssigneeID, t.AssigneeID, u.SetAssigneeID, u.ClearAssigneeID, !known)
	putOr(was.AssignedBy, t.AssignedBy, u.SetAssignedBy, u.ClearAssignedBy, !known)
	putOr(was.DelegatedBy, t.DelegatedBy, u.SetDelegatedBy, u.ClearDelegatedBy, !known)
	putOr(was.ClaimedAt, t.ClaimedAt, u.SetClaimedAt, u.ClearClaimedAt, !known)
	putOr(was.StartedAt, t.StartedAt, u.SetStartedAt, u.ClearStartedAt, !known)
	putOr(was.UrgedAt, t.UrgedAt, u.SetUrgedAt, u.ClearUrgedAt, !known)
	putOr(was.FollowUpAt, t.FollowUpAt, u.SetFollowUpAt, u.ClearFollowUpAt, !known)
	putOr(was.DueAt, t.DueAt, u.SetDueAt, u.ClearDueAt, !known)
	putOr(was.CompletedAt, t.CompletedAt, u.SetCompletedAt, u.ClearCompletedAt, !known)
	putOr(was.CompletedBy, t.CompletedBy, u.SetCompletedBy, u.ClearCompletedBy, !known)
	d.was[t.ID] = *t
	return u.Exec(ctx)
}

// put writes a value that is another than it was, or any.
func put[T comparable, U any](was, is T, set func(T) U, anyway bool) {
	if anyway || is != was {
		set(is)
	}
}

// putOr is put for a value that may be none.
func putOr[T comparable, U any](was, is *T, set func(T) U, none func() U, anyway bool) {
	switch {
	case is == nil && (anyway || was != nil):
		none()
	case is != nil && (anyway || was == nil || *is != *was):
		set(*is)
	}
}
