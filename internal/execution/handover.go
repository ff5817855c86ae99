package execution

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// MaxRejections is how often a task can be given back as wrongly dispatched; after
// that it stays where it is sent.
const MaxRejections = 3

// UrgePause is how long a task that was urged is left alone.
const UrgePause = 30 * time.Minute

// DelegateTask lets another person do the assignee's work (委派): the assignee stays
// responsible, the task comes back to him when the other one has completed it.
// Errors: TASK_STATE, TASK_NOT_YOURS, TASK_DELEGATED, STAFF_NOT_CANDIDATE.
func (r *Room) DelegateTask(ctx context.Context, in HandTask) (TaskResult, error) {
	return r.onTask(ctx, "delegateTask", in.ref(), in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := mayHand(f.unit.Viewer, t); err != nil {
			return err
		}
		if t.DelegatedBy != nil {
			return fault.E(fault.Precondition, "TASK_DELEGATED", fault.P("task", taskName(t))).At("input", "taskID")
		}
		who, err := f.candidate(ctx, t, in.StaffID)
		if err != nil {
			return err
		}
		t.DelegatedBy = t.AssigneeID
		f.hand(t, who)
		f.act(t, "delegate", who.ID, who.Name, in.Reason)
		return nil
	})
}

// TransferTask gives the assignee's task to another person for good (转办). Errors:
// those of DelegateTask.
func (r *Room) TransferTask(ctx context.Context, in HandTask) (TaskResult, error) {
	return r.onTask(ctx, "transferTask", in.ref(), in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := mayHand(f.unit.Viewer, t); err != nil {
			return err
		}
		who, err := f.candidate(ctx, t, in.StaffID)
		if err != nil {
			return err
		}
		f.hand(t, who)
		f.act(t, "transfer", who.ID, who.Name, in.Reason)
		return nil
	})
}

// RejectTask gives a task back that was wrongly dispatched to the viewer (退单), at
// most MaxRejections times a task. Errors: TASK_STATE, TASK_NOT_YOURS,
// TASK_NOT_DISPATCHED, TASK_REJECTED_TOO_OFTEN.
func (r *Room) RejectTask(ctx context.Context, in ReasonedTask) (TaskResult, error) {
	return r.onTask(ctx, "rejectTask", in.ref(), in.IdempotencyKey, in, func(_ context.Context, f *file, t *ent.Task) error {
		if err := mayReject(f.unit.Viewer, t); err != nil {
			return err
		}
		f.act(t, "reject", deref(t.AssignedBy), "", in.Reason)
		t.Rejections++
		if t.DelegatedBy != nil { // back to whose work it is
			f.giveBack(t)
			return nil
		}
		t.State, t.AssigneeID, t.ClaimedAt, t.AssignedBy, t.DelegatedBy = task.StateCreated, nil, nil, nil, nil
		f.desk.change(t)
		return nil
	})
}

// UrgeTask asks whoever has a task to hurry (催办): he is told, and the record shows
// it. The clocks are as they were. Errors: ACTION_FORBIDDEN, TASK_URGED_JUST_NOW.
func (r *Room) UrgeTask(ctx context.Context, in ReasonedTask) (TaskResult, error) {
	return r.onTask(ctx, "urgeTask", in.ref(), in.IdempotencyKey, in, func(_ context.Context, f *file, t *ent.Task) error {
		if err := f.mayUrge(t); err != nil {
			return err
		}
		t.Urges++
		t.UrgedAt = f.at()
		f.desk.change(t)
		f.act(t, "urge", deref(t.AssigneeID), "", in.Reason)
		return nil
	})
}

func (f *file) mayUrge(t *ent.Task) error {
	if f.row.OwnerID == nil || *f.row.OwnerID != f.unit.Viewer.StaffID {
		if err := f.unit.Require(access.UrgeTask, t.RegionPath); err != nil {
			return err
		}
	}
	if t.UrgedAt != nil && f.unit.Now.Before(t.UrgedAt.Add(UrgePause)) {
		return fault.E(fault.Precondition, "TASK_URGED_JUST_NOW", fault.P("task", taskName(t)), fault.P("at", *t.UrgedAt)).At("input", "taskID")
	}
	return nil
}

// PlanTask sets a task's priority, or when the assignee wants to look at it again.
// The assignee may, and who assigns tasks. Errors: ACTION_FORBIDDEN, TASK_STATE.
func (r *Room) PlanTask(ctx context.Context, in PlanTask) (TaskResult, error) {
	return r.onTask(ctx, "planTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(_ context.Context, f *file, t *ent.Task) error {
		if yours(f.unit.Viewer, t) != nil {
			if err := f.unit.Require(access.AssignTask, t.RegionPath); err != nil {
				return err
			}
		}
		if in.Priority != nil {
			t.Priority = *in.Priority
		}
		if in.FollowUpAt != nil {
			t.FollowUpAt = in.FollowUpAt
		}
		f.desk.change(t)
		return nil
	})
}

// ReturnTask sends a case back from the viewer's task to an earlier task (退回), the
// one completed last when none is named. The person who did it gets it again.
// Branches that were begun after that task end; those beside it go on. Clocks run
// on. Errors: TASK_STATE, TASK_NOT_YOURS, RETURN_TARGET.
func (r *Room) ReturnTask(ctx context.Context, in ReturnTask) (TaskResult, error) {
	return r.onTask(ctx, "returnTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := mayHand(f.unit.Viewer, t); err != nil {
			return err
		}
		targets, err := f.returnTargets(ctx, t)
		if err != nil {
			return err
		}
		at := 0
		if in.ToNodeID != nil {
			at = slices.IndexFunc(targets, func(x *ent.Task) bool { return x.NodeID == *in.ToNodeID })
		}
		if at < 0 || at >= len(targets) {
			return fault.E(fault.Precondition, "RETURN_TARGET", fault.P("node", deref(in.ToNodeID)), fault.P("task", taskName(t))).At("input", "toNodeID")
		}
		f.act(t, "return", targets[at].NodeID, targets[at].NameZh, in.Reason)
		f.unit.Note("to", targets[at].NodeID)
		f.reason = in.Reason
		return f.sendBack(ctx, t.TokenSeq, targets[at], in.Reason)
	})
}

// returnTargets are the earlier tasks of people that a case can be sent back to
// from a task, the one completed last first; one for each node.
func (f *file) returnTargets(ctx context.Context, t *ent.Task) ([]*ent.Task, error) {
	here, ok := f.model.Node(t.NodeID)
	if !ok {
		return nil, lostNode(t.NodeID)
	}
	if f.model.Nodes[here].ForCompensation {
		return nil, nil // it is not on the way from anywhere
	}
	done, err := f.db.Task.Query().Where(task.CaseID(f.row.ID), task.StateEQ(task.StateCompleted), task.KindEQ(task.KindHuman)).
		Order(ent.Desc(task.FieldCompletedAt, task.FieldID)).All(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the tasks done: %w", err)
	}
	var out []*ent.Task
	for _, d := range done {
		node, ok := f.model.Node(d.NodeID)
		if !ok || d.NodeID == t.NodeID || f.model.Nodes[node].Parent != f.model.Nodes[here].Parent || !f.model.Precedes(node, here) {
			continue
		}
		if slices.ContainsFunc(out, func(x *ent.Task) bool { return x.NodeID == d.NodeID }) {
			continue
		}
		if _, ok := f.besides(t.TokenSeq, node); ok {
			out = append(out, d)
		}
	}
	return out, nil
}

// besides says which tokens end when the token of seq is sent to a node.
func (f *file) besides(seq, node int) (cancels []int, ok bool) {
	scope, parent := 0, f.model.Nodes[node].Parent
	for _, t := range f.state.Tokens {
		if t.Seq == seq {
			scope = t.Scope
		}
	}
	var others []int
	var stays []model.Stay
	for _, t := range f.state.Tokens {
		if t.Seq == seq || t.Scope != scope || t.Status == engine.Listening {
			continue
		}
		others = append(others, t.Seq)
		stays = append(stays, f.stay(t))
	}
	keep, ok := f.model.GoBack(parent, node, stays)
	if !ok {
		return nil, false
	}
	for i, stays := range keep {
		if !stays {
			cancels = append(cancels, others[i])
		}
	}
	return cancels, true
}

// sendBack moves a token to the node of a task done before, and gives the new task
// to the person who did it, if he is still fit for it.
func (f *file) sendBack(ctx context.Context, seq int, to *ent.Task, reason string) error {
	node, _ := f.model.Node(to.NodeID)
	cancels, ok := f.besides(seq, node)
	if !ok {
		return fault.E(fault.Precondition, "RETURN_TARGET", fault.P("node", to.NodeID), fault.P("task", taskName(to))).At("input", "toNodeID")
	}
	if err := f.step(ctx, engine.Event{Kind: engine.TokenMoved, Token: seq, Node: to.NodeID, Tokens: cancels, Reason: reason}); err != nil {
		return err
	}
	fresh, ok := f.desk.open[seq]
	if !ok || to.CompletedBy == nil || fresh.NodeID != to.NodeID {
		return nil
	}
	id, err := f.room.staffing.Deputy(ctx, f.unit.Client, *to.CompletedBy, f.unit.Now)
	if err != nil {
		return err
	}
	who, err := f.room.staffing.ViewerByID(ctx, id, f.unit.Now)
	if fault.KindOf(err) == fault.Unauthenticated {
		return nil // not with us any more: whoever is free takes it
	}
	if err != nil {
		return err
	}
	if f.room.fit(ctx, f.qualified(id), who, fresh, f) == nil {
		by := f.unit.Viewer.StaffID
		fresh.AssignedBy = &by
		f.take(fresh, id)
	}
	return nil
}

// mayHand lets the assignee of a task pass it on.
func mayHand(v *access.Viewer, t *ent.Task) error {
	if t.State != task.StateClaimed && t.State != task.StateStarted {
		return taskState(t)
	}
	return yours(v, t)
}

func mayReject(v *access.Viewer, t *ent.Task) error {
	switch err := mayHand(v, t); {
	case err != nil:
		return err
	case t.AssignedBy == nil || *t.AssignedBy == v.StaffID:
		return fault.E(fault.Precondition, "TASK_NOT_DISPATCHED", fault.P("task", taskName(t))).At("input", "taskID")
	case t.Rejections >= MaxRejections:
		return fault.E(fault.Precondition, "TASK_REJECTED_TOO_OFTEN", fault.P("task", taskName(t)), fault.P("max", MaxRejections)).At("input", "taskID")
	}
	return nil
}

// hand gives a task to another person, who has not begun it.
func (f *file) hand(t *ent.Task, who *ent.Staff) {
	by := f.unit.Viewer.StaffID
	t.AssignedBy = &by
	f.take(t, who.ID)
	f.unit.Note("assignee", who.ID)
}

// act keeps what a person did with a task for those who read the case.
func (f *file) act(t *ent.Task, action, to, toName, reason string) {
	f.unit.Note("reason", reason)
	f.actions = append(f.actions, f.unit.TaskAction.Create().SetCaseID(f.row.ID).SetTaskID(t.ID).SetRegionID(t.RegionID).SetRegionPath(t.RegionPath).
		SetAction(action).SetBy(f.unit.Viewer.StaffID).SetByName(f.unit.Viewer.Name).SetTo(to).SetToName(toName).
		SetReason(strings.TrimSpace(reason)).SetCreatedAt(f.unit.Now))
}

// maxCandidates bounds the people that a list of candidates shows.
const maxCandidates = 200

// candidate returns the person that a task can go to, or who stands in for him. A
// person who does not exist and one who is not fit are refused alike.
func (f *file) candidate(ctx context.Context, t *ent.Task, ref string) (*ent.Staff, error) {
	list, err := f.room.staffing.Candidates(ctx, f.unit.Client, t.Role, t.RegionPath, t.RequiredQualifications, f.unit.Now, maxCandidates)
	if err != nil {
		return nil, err
	}
	find := func(ref string) *ent.Staff {
		if i := slices.IndexFunc(list, func(s *ent.Staff) bool { return s.ID == ref || s.Code == ref }); i >= 0 {
			return list[i]
		}
		return nil
	}
	refused := fault.E(fault.Precondition, "STAFF_NOT_CANDIDATE", fault.P("staff", ref), fault.P("task", taskName(t))).At("input", "staffID")
	who := find(ref)
	if who == nil {
		return nil, refused
	}
	id, err := f.room.staffing.Deputy(ctx, f.unit.Client, who.ID, f.unit.Now)
	if err != nil {
		return nil, err
	}
	if id != who.ID {
		f.unit.Note("instead of", who.ID)
		if who = find(id); who == nil {
			return nil, refused
		}
	}
	if t.AssigneeID != nil && who.ID == *t.AssigneeID {
		return nil, refused
	}
	return who, nil
}

// Candidates lists the people whom a task that the viewer sees can go to, by name;
// the assignee may ask, and who assigns or works tasks there.
func (r *Room) Candidates(ctx context.Context, taskID string) ([]*ent.Staff, error) {
	client := r.door.Store.Client()
	t, err := client.Task.Get(ctx, taskID)
	if err != nil {
		return nil, notFound(err, "TASK_NOT_FOUND", taskID, "taskID")
	}
	v := access.From(ctx)
	if !v.May(access.AssignTask, t.RegionPath) && !v.Has(access.Role(t.Role), t.RegionPath) && (t.AssigneeID == nil || !v.Is(*t.AssigneeID)) {
		return []*ent.Staff{}, nil
	}
	return r.staffing.Candidates(ctx, client, t.Role, t.RegionPath, t.RequiredQualifications, r.door.Clock.Now(), maxCandidates)
}

// ReturnTargets lists the earlier tasks that a case can be sent back to from a task
// that the viewer sees; see Room.ReturnTask.
func (r *Room) ReturnTargets(ctx context.Context, taskID string) ([]*ent.Task, error) {
	client := r.door.Store.Client()
	t, err := client.Task.Get(ctx, taskID)
	if err != nil {
		return nil, notFound(err, "TASK_NOT_FOUND", taskID, "taskID")
	}
	f, err := r.read(ctx, client, t.CaseID)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(OpenStates, t.State) {
		return []*ent.Task{}, nil
	}
	return f.returnTargets(ctx, t)
}
