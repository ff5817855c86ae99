package execution

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/failure"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
)

// backOff says whether and when the product tries a failed token again by itself.
type backOff struct {
	attempts, seconds, left int
}

// next is when a token that fails now is tried again; Far when it is not.
func (b backOff) next(now time.Time) time.Time {
	if b.left <= 0 {
		return schema.Far
	}
	return now.Add(time.Duration(b.seconds) * time.Second << min(b.attempts, 16))
}

// RetryFailure tries a failed token again now, after setting variables if any. With
// BackOffSeconds the product goes on trying by itself when it fails again: after
// that pause, then after twice as long each time, Attempts times in all.
func (r *Room) RetryFailure(ctx context.Context, in RetryFailure) (FailureResult, error) {
	cmd := command.Command{Operation: "retryFailure", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (FailureResult, error) { return r.retry(ctx, u, in) })
}

func (r *Room) retry(ctx context.Context, u *command.Unit, in RetryFailure) (FailureResult, error) {
	return r.onFailure(ctx, u, in.FailureID, in.Reason, failure.StateRetried, func(ctx context.Context, f *file, row *ent.Failure) error {
		vars, err := f.model.CheckVariables(in.Variables, nil)
		if err != nil {
			return below(err, "input", "variables")
		}
		if in.BackOffSeconds != nil {
			f.retrying = backOff{seconds: *in.BackOffSeconds, left: 5}
			if in.Attempts != nil {
				f.retrying.left = *in.Attempts
			}
		}
		return f.step(ctx, engine.Event{Kind: engine.Retry, Token: row.TokenSeq, Variables: vars, Reason: in.Reason})
	})
}

// SkipFailure lets a failed token go on as if its node were done. Errors: those of
// RetryFailure, ENGINE_SKIP at gateways.
func (r *Room) SkipFailure(ctx context.Context, in SkipFailure) (FailureResult, error) {
	cmd := command.Command{Operation: "skipFailure", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (FailureResult, error) { return r.skip(ctx, u, in) })
}

func (r *Room) skip(ctx context.Context, u *command.Unit, in SkipFailure) (FailureResult, error) {
	return r.onFailure(ctx, u, in.FailureID, in.Reason, failure.StateSkipped, func(ctx context.Context, f *file, row *ent.Failure) error {
		vars, err := f.model.CheckVariables(in.Variables, nil)
		if err != nil {
			return below(err, "input", "variables")
		}
		return f.step(ctx, engine.Event{Kind: engine.Skipped, Token: row.TokenSeq, Node: row.NodeID, Variables: vars, Reason: in.Reason})
	})
}

// onFailure makes, inside a command, a change that ends an open failure of an active
// case.
func (r *Room) onFailure(ctx context.Context, u *command.Unit, id, reason string, state failure.State,
	change func(ctx context.Context, f *file, row *ent.Failure) error,
) (FailureResult, error) {
	row, err := u.Failure.Get(ctx, id)
	if err != nil {
		return FailureResult{}, notFound(err, "FAILURE_NOT_FOUND", id, "failureID")
	}
	f, err := r.open(ctx, u, row.CaseID, "failureID")
	if err != nil {
		return FailureResult{}, err
	}
	if err := u.Require(access.ResolveFailure, f.row.RegionPath); err != nil {
		return FailureResult{}, err
	}
	if err := f.active("failureID"); err != nil {
		return FailureResult{}, err
	}
	if row, err = stillOpen(ctx, u, id); err != nil {
		return FailureResult{}, err
	}
	u.Note("reason", reason)
	if err := f.endFailures(ctx, state, reason, row.TokenSeq); err != nil {
		return FailureResult{}, err
	}
	if err := change(ctx, f, row); err != nil {
		return FailureResult{}, err
	}
	return FailureResult{row.ID, f.row.ID}, f.save(ctx)
}

// stillOpen reads a failure whose case is locked, and refuses one that is dealt with.
func stillOpen(ctx context.Context, u *command.Unit, id string) (*ent.Failure, error) {
	row, err := u.Failure.Get(ctx, id)
	if err != nil {
		return nil, notFound(err, "FAILURE_NOT_FOUND", id, "failureID")
	}
	if row.State != failure.StateOpen {
		return nil, failureEnded(id)
	}
	return row, nil
}

func failureEnded(id string) error {
	return fault.E(fault.Precondition, "FAILURE_ENDED", fault.P("failure", id)).At("input", "failureID")
}

// endFailures ends the open failures of tokens.
func (f *file) endFailures(ctx context.Context, state failure.State, reason string, tokens ...int) error {
	if f.resolved == nil {
		f.resolved = map[int]bool{}
	}
	for _, seq := range tokens {
		f.resolved[seq] = true
	}
	err := f.unit.Failure.Update().Where(failure.CaseID(f.row.ID), failure.StateEQ(failure.StateOpen), failure.TokenSeqIn(tokens...)).
		SetState(state).SetReason(reason).SetEndedAt(f.unit.Now).SetRetryAt(schema.Far).Exec(store.Later(access.Elevated(ctx)))
	if err != nil {
		return fmt.Errorf("end failures: %w", err)
	}
	return nil
}

// MoveToken moves a token, failed or resting, to another node of its scope, after
// setting variables if any. Errors: ACTION_FORBIDDEN, ENGINE_TOKEN_UNKNOWN,
// ENGINE_NOT_WAITING, ENGINE_MOVE_TARGET.
func (r *Room) MoveToken(ctx context.Context, in MoveToken) (CaseResult, error) {
	cmd := command.Command{Operation: "moveToken", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (CaseResult, error) {
		return r.intervene(ctx, u, in.CaseID, in.Reason, func(ctx context.Context, f *file) error {
			if err := f.endFailures(ctx, failure.StateMoved, in.Reason, in.Token); err != nil {
				return err
			}
			return f.move(ctx, in)
		})
	})
}

// move moves a token of an open case.
func (f *file) move(ctx context.Context, in MoveToken) error {
	vars, err := f.model.CheckVariables(in.Variables, nil)
	if err != nil {
		return below(err, "input", "variables")
	}
	f.reason = in.Reason
	f.unit.Note("to", in.ToNodeID)
	err = f.step(ctx, engine.Event{Kind: engine.TokenMoved, Token: in.Token, Node: in.ToNodeID, Variables: vars, Reason: in.Reason})
	switch fault.CodeOf(err) {
	case "ENGINE_MOVE_TARGET":
		return below(err, "input", "toNodeID")
	case "ENGINE_TOKEN_UNKNOWN", "ENGINE_NOT_WAITING":
		return below(err, "input", "token")
	}
	return err
}

// SetVariables changes variables of a running case; conditions that wait for them
// are looked at. Errors: ACTION_FORBIDDEN, VARIABLE_… with the path of the value.
func (r *Room) SetVariables(ctx context.Context, in SetCaseVariables) (CaseResult, error) {
	cmd := command.Command{Operation: "setCaseVariables", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (CaseResult, error) {
		return r.setVariables(ctx, u, in, nil)
	})
}

// setVariables sets the variables of a case inside a command, unless what is asked of it,
// once it is locked, says no; nil asks nothing.
func (r *Room) setVariables(ctx context.Context, u *command.Unit, in SetCaseVariables, ask func(ctx context.Context, f *file) error) (CaseResult, error) {
	return r.intervene(ctx, u, in.CaseID, in.Reason, func(ctx context.Context, f *file) error {
		if ask != nil {
			if err := ask(ctx, f); err != nil {
				return err
			}
		}
		vars, err := f.model.CheckVariables(in.Variables, nil)
		if err != nil {
			return below(err, "input", "variables")
		}
		return f.step(ctx, engine.Event{Kind: engine.VariablesSet, Variables: vars, Reason: in.Reason})
	})
}

// intervene makes, inside a command, a change of an active case by someone who
// resolves failures there.
func (r *Room) intervene(ctx context.Context, u *command.Unit, caseID, reason string, change func(ctx context.Context, f *file) error) (CaseResult, error) {
	f, err := r.open(ctx, u, caseID, "caseID")
	if err != nil {
		return CaseResult{}, err
	}
	if err := u.Require(access.ResolveFailure, f.row.RegionPath); err != nil {
		return CaseResult{}, err
	}
	if err := f.active("caseID"); err != nil {
		return CaseResult{}, err
	}
	u.Note("reason", reason)
	if err := change(ctx, f); err != nil {
		return CaseResult{}, err
	}
	return CaseResult{f.row.ID}, f.save(ctx)
}

// maxResolved bounds the failures that one ResolveFailures takes; the rest is left
// for the next.
const maxResolved = 500

// FailureItem is what became of one failure of a batch.
type FailureItem struct {
	FailureID, CaseID string
	Err               error
}

// Resolved is the answer of ResolveFailures.
type Resolved struct {
	Items []FailureItem
	Left  int // failures that the filter selects and that were not taken
}

// ResolveFailures retries, skips or cancels (the whole case) the open failures that
// a filter selects where the viewer resolves them, the oldest first, at most 500 at
// a time and each by itself. Errors: REGION_NOT_FOUND, ACTION_FORBIDDEN; others per
// item.
func (r *Room) ResolveFailures(ctx context.Context, in ResolveFailures) (Resolved, error) {
	client := r.door.Store.Client()
	q := client.Failure.Query().Where(failure.StateEQ(failure.StateOpen))
	v := access.From(ctx)
	if in.RegionID != nil {
		path, err := client.Region.Query().Where(store.RegionRef(*in.RegionID)).Select(region.FieldRegionPath).String(ctx)
		if err != nil {
			return Resolved{}, notFound(err, "REGION_NOT_FOUND", *in.RegionID, "regionID")
		}
		if !v.May(access.ResolveFailure, path) {
			return Resolved{}, fault.E(fault.Forbidden, "ACTION_FORBIDDEN", command.ActionLabel(access.ResolveFailure), command.RegionLabel(ctx, client, path))
		}
		q.Where(store.Within([]string{path}))
	}
	if !v.IsSystem() {
		q.Where(store.Within(v.Regions(access.ResolveFailure)))
	}
	if in.Code != nil {
		q.Where(failure.Code(*in.Code))
	}
	if in.NodeID != nil {
		q.Where(failure.NodeID(*in.NodeID))
	}
	if in.ProcessKey != nil {
		q.Where(failure.HasCaseWith(servicecase.HasProcessWith(process.Key(*in.ProcessKey))))
	}
	all, err := q.Clone().Count(ctx)
	if err != nil {
		return Resolved{}, fmt.Errorf("count failures: %w", err)
	}
	rows, err := q.Order(failure.ByCreatedAt(), failure.ByID()).Limit(maxResolved).All(ctx)
	if err != nil {
		return Resolved{}, fmt.Errorf("list failures: %w", err)
	}
	done := eachItem(ctx, len(rows), func(ctx context.Context, i int) (FailureResult, error) {
		return r.resolve(ctx, in, rows[i])
	})
	out := Resolved{Items: make([]FailureItem, len(rows)), Left: all - len(rows)}
	for i, d := range done {
		out.Items[i] = FailureItem{rows[i].ID, rows[i].CaseID, d.Err}
	}
	return out, nil
}

// resolve does with one failure what a batch asks for.
func (r *Room) resolve(ctx context.Context, in ResolveFailures, row *ent.Failure) (FailureResult, error) {
	var key *string
	if in.IdempotencyKey != nil {
		k := *in.IdempotencyKey + "#" + row.ID
		key = &k
	}
	switch in.Action {
	case "retry":
		return r.RetryFailure(ctx, RetryFailure{FailureID: row.ID, Reason: in.Reason, Variables: in.Variables, IdempotencyKey: key})
	case "skip":
		return r.SkipFailure(ctx, SkipFailure{FailureID: row.ID, Reason: in.Reason, Variables: in.Variables, IdempotencyKey: key})
	}
	cancel := CancelCase{CaseID: row.CaseID, Reason: in.Reason, IdempotencyKey: key}
	cmd := command.Command{Operation: "cancelCase", Key: deref(key), Input: cancel}
	_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (CaseResult, error) {
		return r.cancel(ctx, u, cancel, func(ctx context.Context, _ *file) error {
			_, err := stillOpen(ctx, u, row.ID)
			return err
		})
	})
	if fault.CodeOf(err) == "CASE_ENDED" {
		err = nil // by another of its failures
	}
	return FailureResult{row.ID, row.CaseID}, err
}

// RetryDue tries failed tokens again whose pause is over, and returns how many.
// One that fails holds up no other.
func (r *Room) RetryDue(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("retry"))
	rows, err := r.door.Store.Client().Failure.Query().Where(failure.StateEQ(failure.StateOpen), failure.RetryAtLTE(r.door.Clock.Now())).
		Order(failure.ByRetryAt()).Limit(tickBatch).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("list failures to retry: %w", err)
	}
	tried := 0
	var failed []error
	for _, row := range rows {
		cmd := command.Command{Operation: "retryFailure", Input: row.ID}
		_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (FailureResult, error) {
			return r.onFailure(ctx, u, row.ID, "back-off", failure.StateRetried, func(ctx context.Context, f *file, row *ent.Failure) error {
				f.retrying = backOff{attempts: row.Attempts + 1, seconds: row.RetrySeconds, left: row.RetriesLeft - 1}
				return f.step(ctx, engine.Event{Kind: engine.Retry, Token: row.TokenSeq, Reason: "back-off"})
			})
		})
		switch fault.CodeOf(err) {
		case "":
			tried++
		case "FAILURE_ENDED", "CASE_ENDED": // another node was faster, or a person
		default:
			failed = append(failed, fmt.Errorf("retry failure %s: %w", row.ID, err))
		}
	}
	return tried, errors.Join(failed...)
}
