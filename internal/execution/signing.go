package execution

import (
	"context"
	"fmt"
	"slices"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/staff"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/tasksigner"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
)

// maxSigners bounds how many people are asked to sign one task.
const maxSigners = 50

// AddSigners asks people to sign the assignee's task (加签): before he can complete
// it, beside him - all of them (会签) or any one (或签) - or after him, one after
// another. Errors: TASK_STATE, TASK_NOT_YOURS, SIGNER_UNSUITABLE, SIGNER_TWICE with
// the path staffIDs[i], SIGNERS_TOO_MANY.
func (r *Room) AddSigners(ctx context.Context, in AddSigners) (TaskResult, error) {
	return r.onTask(ctx, "addSigners", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := mayHand(f.unit.Viewer, t); err != nil {
			return err
		}
		known, err := f.signers(ctx, t)
		if err != nil {
			return err
		}
		if len(known)+len(in.StaffIDs) > maxSigners {
			return fault.E(fault.Exhausted, "SIGNERS_TOO_MANY", fault.P("max", maxSigners)).At("input", "staffIDs")
		}
		for i, ref := range in.StaffIDs {
			at := fmt.Sprintf("staffIDs[%d]", i)
			who, err := f.signer(ctx, t, ref)
			if err != nil {
				return below(err, "input", at)
			}
			if slices.ContainsFunc(known, func(s *ent.TaskSigner) bool { return s.StaffID == who.ID && s.State != tasksigner.StateRemoved }) {
				return fault.E(fault.Conflict, "SIGNER_TWICE", fault.P("staff", ref)).At("input", at)
			}
			row, err := f.unit.TaskSigner.Create().SetTaskID(t.ID).SetStaffID(who.ID).SetStaffCode(who.Code).SetStaffName(who.Name).SetPlace(tasksigner.Place(in.Place)).SetSeq(len(known)).
				SetAskedBy(f.unit.Viewer.StaffID).SetRegionID(t.RegionID).SetRegionPath(t.RegionPath).SetCreatedAt(f.unit.Now).Save(ctx)
			if err != nil {
				return fmt.Errorf("ask a signer: %w", err)
			}
			known = append(known, row)
			f.act(t, "add_signer", who.ID, who.Name, deref(in.Reason))
		}
		if in.Mode != nil {
			t.SigningMode = task.SigningMode(*in.Mode)
			f.desk.change(t)
		}
		return nil
	})
}

// RemoveSigner takes back that a person was asked to sign (减签). Errors:
// TASK_NOT_YOURS, SIGNER_NOT_ASKED.
func (r *Room) RemoveSigner(ctx context.Context, in RemoveSigner) (TaskResult, error) {
	return r.onTask(ctx, "removeSigner", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		if err := yours(f.unit.Viewer, t); err != nil {
			return err
		}
		all, err := f.signers(ctx, t)
		if err != nil {
			return err
		}
		who, err := f.unit.Staff.Query().Where(staff.Or(staff.ID(in.StaffID), staff.Code(in.StaffID))).Only(access.Elevated(ctx))
		if err != nil && !ent.IsNotFound(err) {
			return fmt.Errorf("look up a signer: %w", err)
		}
		i := slices.IndexFunc(all, func(s *ent.TaskSigner) bool {
			return who != nil && s.StaffID == who.ID && (s.State == tasksigner.StateAsked || s.State == tasksigner.StateRefused)
		})
		if i < 0 {
			return fault.E(fault.Precondition, "SIGNER_NOT_ASKED", fault.P("staff", in.StaffID)).At("input", "staffID")
		}
		if err := f.sign(ctx, all[i], tasksigner.StateRemoved, ""); err != nil {
			return err
		}
		f.act(t, "remove_signer", who.ID, who.Name, in.Reason)
		return f.finishSigning(ctx, t, all)
	})
}

// SignTask signs a task that the viewer, or a person he stands in for, was asked to
// sign, or refuses to: then it goes back to its assignee. When the last signature
// is there the task is complete. Errors: SIGNER_NOT_ASKED, SIGNER_NOT_YET (those
// before him, or the assignee), SIGN_COMMENT_REQUIRED for a refusal without one.
func (r *Room) SignTask(ctx context.Context, in SignTask) (TaskResult, error) {
	return r.onTask(ctx, "signTask", taskRef{in.TaskID, in.CaseNumber, in.NodeID}, in.IdempotencyKey, in, func(ctx context.Context, f *file, t *ent.Task) error {
		all, err := f.signers(ctx, t)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(s *ent.TaskSigner) bool { return s.State == tasksigner.StateAsked && f.unit.Viewer.Is(s.StaffID) })
		if i < 0 {
			return fault.E(fault.Forbidden, "SIGNER_NOT_ASKED", fault.P("staff", f.unit.Viewer.Code)).At("input", "taskID")
		}
		if err := turn(t, all, all[i]); err != nil {
			return err
		}
		if !in.Agree && deref(in.Comment) == "" {
			return fault.E(fault.Invalid, "SIGN_COMMENT_REQUIRED").At("input", "comment")
		}
		state, word := tasksigner.StateAgreed, "agree"
		if !in.Agree {
			state, word = tasksigner.StateRefused, "refuse"
		}
		if err := f.sign(ctx, all[i], state, deref(in.Comment)); err != nil {
			return err
		}
		f.act(t, word, deref(t.AssigneeID), "", deref(in.Comment))
		if !in.Agree && t.State == task.StateSigning && (t.SigningMode == task.SigningModeAll || all[i].Place != tasksigner.PlaceBeside || !pending(all, tasksigner.PlaceBeside)) {
			t.State = task.StateStarted // the assignee does it again
			f.desk.change(t)
			return nil
		}
		return f.finishSigning(ctx, t, all)
	})
}

// turn refuses a signer whose turn it is not: after the assignee means once he has
// completed his part and those beside him and before in the row have signed.
func turn(t *ent.Task, all []*ent.TaskSigner, s *ent.TaskSigner) error {
	if s.Place != tasksigner.PlaceAfter {
		return nil
	}
	first := slices.IndexFunc(all, func(x *ent.TaskSigner) bool {
		return x.Place == tasksigner.PlaceAfter && x.State == tasksigner.StateAsked
	})
	if t.State == task.StateSigning && besideDone(t, all) && all[first].ID == s.ID {
		return nil
	}
	return fault.E(fault.Precondition, "SIGNER_NOT_YET", fault.P("task", taskName(t))).At("input", "taskID")
}

// signers reads the signers of a task in their order.
func (f *file) signers(ctx context.Context, t *ent.Task) ([]*ent.TaskSigner, error) {
	rows, err := f.unit.TaskSigner.Query().Where(tasksigner.TaskID(t.ID)).Order(ent.Asc(tasksigner.FieldSeq)).All(access.Elevated(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the signers: %w", err)
	}
	return rows, nil
}

// signer returns a person who can be asked to sign: active, allowed to read the
// case, and not the assignee. Others are refused alike, whether they exist or not.
func (f *file) signer(ctx context.Context, t *ent.Task, ref string) (*ent.Staff, error) {
	refused := fault.E(fault.Precondition, "SIGNER_UNSUITABLE", fault.P("staff", ref))
	who, err := f.unit.Staff.Query().Where(staff.Or(staff.ID(ref), staff.Code(ref))).Only(access.Elevated(ctx))
	if ent.IsNotFound(err) {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("look up a signer: %w", err)
	}
	rights, err := f.room.staffing.ViewerByID(ctx, who.ID, f.unit.Now)
	if fault.KindOf(err) == fault.Unauthenticated || err == nil && (!rights.May(access.ReadCases, t.RegionPath) || t.AssigneeID != nil && *t.AssigneeID == who.ID) {
		return nil, refused
	}
	return who, err
}

// sign writes what became of a signer.
func (f *file) sign(ctx context.Context, s *ent.TaskSigner, state tasksigner.State, comment string) error {
	s.State = state
	err := f.unit.TaskSigner.UpdateOneID(s.ID).SetState(state).SetComment(comment).SetSignedAt(f.unit.Now).Exec(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("write a signature: %w", err)
	}
	return nil
}

// pending reports whether someone of a place is still to sign.
func pending(all []*ent.TaskSigner, place tasksigner.Place) bool {
	return slices.ContainsFunc(all, func(s *ent.TaskSigner) bool { return s.Place == place && s.State == tasksigner.StateAsked })
}

// besideDone reports whether the signatures beside the assignee are there.
func besideDone(t *ent.Task, all []*ent.TaskSigner) bool {
	asked, agreed, refused := 0, 0, 0
	for _, s := range all {
		if s.Place != tasksigner.PlaceBeside {
			continue
		}
		switch s.State {
		case tasksigner.StateAsked:
			asked++
		case tasksigner.StateAgreed:
			agreed++
		case tasksigner.StateRefused:
			refused++
		}
	}
	if t.SigningMode == task.SigningModeAny && asked+agreed+refused > 0 {
		return agreed > 0
	}
	return asked+refused == 0
}

// ready refuses the assignee's completion while someone who signs before it has
// not agreed.
func ready(t *ent.Task, all []*ent.TaskSigner) error {
	for _, s := range all {
		if s.Place == tasksigner.PlaceBefore && (s.State == tasksigner.StateAsked || s.State == tasksigner.StateRefused) {
			return fault.E(fault.Precondition, "SIGNERS_PENDING", fault.P("task", taskName(t))).At("input", "taskID")
		}
	}
	return nil
}

// submit keeps the assignee's part of a task that others sign after it, and asks
// those again who had refused it. It reports whether it waits for someone.
func (f *file) submit(ctx context.Context, t *ent.Task, vars map[string]any, all []*ent.TaskSigner) (waits bool, err error) {
	for _, s := range all {
		again := s.Place == tasksigner.PlaceAfter && s.State == tasksigner.StateAgreed || s.Place != tasksigner.PlaceBefore && s.State == tasksigner.StateRefused
		if again {
			if err := f.sign(ctx, s, tasksigner.StateAsked, s.Comment); err != nil {
				return false, err
			}
		}
	}
	if besideDone(t, all) && !pending(all, tasksigner.PlaceAfter) {
		return false, nil
	}
	t.State = task.StateSigning
	f.desk.change(t)
	f.act(t, "submit", "", "", "")
	return true, f.step(ctx, engine.Event{Kind: engine.VariablesSet, Token: t.TokenSeq, Node: t.NodeID, Variables: vars})
}

// finishSigning completes a task that its assignee has done once all signatures
// are there.
func (f *file) finishSigning(ctx context.Context, t *ent.Task, all []*ent.TaskSigner) error {
	if t.State != task.StateSigning || !besideDone(t, all) || pending(all, tasksigner.PlaceAfter) {
		return nil
	}
	t.CompletedBy = t.AssigneeID
	f.desk.end(t, task.StateCompleted)
	return f.step(ctx, engine.Event{Kind: engine.TaskCompleted, Token: t.TokenSeq, Node: t.NodeID})
}
