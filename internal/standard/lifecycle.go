package standard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/standard"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// inState reads a version under the viewer's limits and locks it; it must have
// the revision (0: any) and one of the states, and the viewer the right.
func inState(ctx context.Context, u *command.Unit, ref string, revision int, may access.Action, states ...standardversion.State) (*ent.StandardVersion, error) {
	row, err := version(store.Locking(ctx), u.Client, ref, "input", "versionID")
	if err != nil {
		return nil, err
	}
	u.On(row.ID, row.RegionPath)
	if err := u.Require(may, row.RegionPath); err != nil {
		return nil, err
	}
	if !slices.Contains(states, row.State) {
		return nil, fault.E(fault.Conflict, "STANDARD_STATE", fault.P("state", string(row.State)), fault.P("want", string(states[0]))).At("input", "versionID")
	}
	if revision != 0 && revision != row.Revision {
		return nil, fault.E(fault.Conflict, "STALE_REVISION", fault.P("expected", revision), fault.P("actual", row.Revision)).At("input", "revision")
	}
	return row, nil
}

// step is one change of a version's state.
type step struct {
	operation string
	key       *string
	input     any
	ref       string
	revision  int
	may       access.Action
	from      []standardversion.State
	reason    string
	alone     bool // beside publications and other withdrawals
	apply     func(ctx context.Context, u *command.Unit, row *ent.StandardVersion, upd *ent.StandardVersionUpdateOne) error
}

func (r *Room) step(ctx context.Context, s step) (Result, error) {
	cmd := command.Command{Operation: s.operation, Key: deref(s.key), Input: s.input}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (Result, error) {
		if s.alone {
			if err := alone(ctx, u); err != nil {
				return Result{}, err
			}
		}
		row, err := inState(ctx, u, s.ref, s.revision, s.may, s.from...)
		if err != nil {
			return Result{}, err
		}
		upd := u.StandardVersion.UpdateOne(row)
		if err := s.apply(ctx, u, row, upd); err != nil {
			return Result{}, err
		}
		if err := upd.Exec(ctx); err != nil {
			return Result{}, fmt.Errorf("write the version: %w", err)
		}
		if s.reason != "" {
			u.Note("reason", s.reason)
		}
		changed(u, row)
		return Result{StandardID: row.StandardID, VersionID: row.ID}, nil
	})
}

// Submit hands a draft in for review. Errors: STANDARD_VERSION_NOT_FOUND,
// STANDARD_STATE, STALE_REVISION.
func (r *Room) Submit(ctx context.Context, in Submit) (Result, error) {
	return r.step(ctx, step{
		operation: "submitStandard", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		may: access.DraftStandard, from: []standardversion.State{standardversion.StateDraft},
		apply: func(_ context.Context, _ *command.Unit, _ *ent.StandardVersion, upd *ent.StandardVersionUpdateOne) error {
			upd.SetState(standardversion.StateInReview).AddRevision(1)
			return nil
		},
	})
}

// Return makes a version under review, or an approved one, a draft again.
// Errors: STANDARD_VERSION_NOT_FOUND, STANDARD_STATE.
func (r *Room) Return(ctx context.Context, in Return) (Result, error) {
	return r.step(ctx, step{
		operation: "returnStandard", key: in.IdempotencyKey, input: in, ref: in.VersionID, reason: in.Reason,
		may: access.ApproveStandard, from: []standardversion.State{standardversion.StateInReview, standardversion.StateApproved},
		apply: func(_ context.Context, _ *command.Unit, _ *ent.StandardVersion, upd *ent.StandardVersionUpdateOne) error {
			upd.SetState(standardversion.StateDraft).ClearApproverID().AddRevision(1)
			return nil
		},
	})
}

// Approve accepts the version under review; who has written or changed it may not. Errors:
// STANDARD_VERSION_NOT_FOUND, STANDARD_STATE, STALE_REVISION, STANDARD_SAME_PERSON.
func (r *Room) Approve(ctx context.Context, in Approve) (Result, error) {
	return r.step(ctx, step{
		operation: "approveStandard", key: in.IdempotencyKey, input: in, ref: in.VersionID, revision: in.Revision,
		may: access.ApproveStandard, from: []standardversion.State{standardversion.StateInReview},
		apply: func(_ context.Context, u *command.Unit, row *ent.StandardVersion, upd *ent.StandardVersionUpdateOne) error {
			if worked(row, u.Viewer.StaffID) {
				return fault.E(fault.Precondition, "STANDARD_SAME_PERSON").At("input", "versionID")
			}
			upd.SetState(standardversion.StateApproved).SetApproverID(u.Viewer.StaffID).AddRevision(1)
			return nil
		},
	})
}

// Withdraw ends a published version now; what it said of earlier instants stays.
// One that has not begun yet never applies, and the version that would have given
// way to it goes on as it was published. Errors: STANDARD_VERSION_NOT_FOUND,
// STANDARD_STATE.
func (r *Room) Withdraw(ctx context.Context, in Withdraw) (Result, error) {
	return r.step(ctx, step{
		operation: "withdrawStandard", key: in.IdempotencyKey, input: in, ref: in.VersionID, reason: in.Reason, alone: true,
		may: access.PublishStandard, from: []standardversion.State{standardversion.StatePublished, standardversion.StateSuperseded},
		apply: func(ctx context.Context, u *command.Unit, row *ent.StandardVersion, upd *ent.StandardVersionUpdateOne) error {
			end := *stored(u.Now)
			if row.EffectiveFrom != nil && end.Before(*row.EffectiveFrom) {
				end = *row.EffectiveFrom
				if err := r.goOn(ctx, u, row); err != nil {
					return err
				}
			}
			if row.EffectiveTo == nil || end.Before(*row.EffectiveTo) {
				upd.SetEffectiveTo(end)
			}
			upd.SetState(standardversion.StateWithdrawn)
			return nil
		},
	})
}

// goOn gives the version that ends where a withdrawn one would have begun the end
// back that it was published with, or that at which another version begins.
func (r *Room) goOn(ctx context.Context, u *command.Unit, withdrawn *ent.StandardVersion) error {
	rows, err := u.StandardVersion.Query().Where(standardversion.StandardID(withdrawn.StandardID), standardversion.IDNEQ(withdrawn.ID),
		standardversion.StateIn(released...)).All(store.Locking(access.Elevated(ctx)))
	if err != nil {
		return fmt.Errorf("read the versions in force: %w", err)
	}
	var before *ent.StandardVersion
	var next *time.Time
	for _, o := range rows {
		switch {
		case o.State == standardversion.StatePublished && o.EffectiveTo != nil && o.EffectiveTo.Equal(*withdrawn.EffectiveFrom):
			before = o
		case o.EffectiveFrom == nil || o.EffectiveFrom.Before(*withdrawn.EffectiveFrom):
		case o.EffectiveTo != nil && !o.EffectiveFrom.Before(*o.EffectiveTo): // withdrawn before it began
		case next == nil || o.EffectiveFrom.Before(*next):
			next = o.EffectiveFrom
		}
	}
	if before == nil {
		return nil
	}
	text, err := r.text(before)
	if err != nil {
		return err
	}
	end := stored(text.Versions[0].EffectiveTo.Time)
	if next != nil && (end == nil || next.Before(*end)) {
		end = next
	}
	upd := u.StandardVersion.UpdateOne(before).SetNillableEffectiveTo(end)
	if end == nil {
		upd.ClearEffectiveTo()
	}
	if err := upd.Exec(ctx); err != nil {
		return fmt.Errorf("let the earlier version go on: %w", err)
	}
	u.Note("goes_on", before.Number)
	changed(u, before)
	return nil
}

// At returns the version of a standard that applied at an instant, nil when none
// did. Errors: STANDARD_NOT_FOUND.
func (r *Room) At(ctx context.Context, code string, at time.Time) (*ent.StandardVersion, error) {
	client := r.door.Store.Client()
	row, err := client.Standard.Query().Where(standard.Code(code)).Only(ctx)
	if err != nil {
		if ent.IsNotFound(err) {
			return nil, fault.E(fault.NotFound, "STANDARD_NOT_FOUND", fault.P("id", code)).At("code")
		}
		return nil, fmt.Errorf("read a standard: %w", err)
	}
	v, err := client.StandardVersion.Query().Where(standardversion.StandardID(row.ID), standardversion.StateIn(released...),
		standardversion.Or(standardversion.EffectiveFromIsNil(), standardversion.EffectiveFromLTE(at)),
		standardversion.Or(standardversion.EffectiveToIsNil(), standardversion.EffectiveToGT(at))).Only(ctx)
	var none *ent.NotFoundError
	switch {
	case errors.As(err, &none):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the version in force: %w", err)
	}
	return v, nil
}
