package execution

import (
	"context"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
)

// SendMessage delivers a message to a case: the one named, or the one whose
// token waits for the name with the correlation key, the longest waiting first. When
// no case is named, none waits and a region is given, it starts a case there; see
// startBySent.
// Errors: MESSAGE_NOT_EXPECTED, CASE_NOT_FOUND, VARIABLE_TYPE in the payload,
// MESSAGE_STARTS_NOTHING, MESSAGE_CASE_RUNS.
func (r *Room) SendMessage(ctx context.Context, in SendMessage) (MessageResult, error) {
	cmd := command.Command{Operation: "sendMessage", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (MessageResult, error) {
		id, field := deref(in.CaseID), "caseID"
		switch {
		case id != "":
		case in.CaseNumber != nil:
			row, err := u.ServiceCase.Query().Where(servicecase.Number(*in.CaseNumber)).Only(ctx)
			if err != nil {
				return MessageResult{}, notFound(err, "CASE_NOT_FOUND", *in.CaseNumber, "caseNumber")
			}
			id, field = row.ID, "caseNumber"
		default:
			var err error
			id, err = waiting(ctx, u, in)
			if code := fault.CodeOf(err); in.RegionID != nil && (code == "MESSAGE_NOT_EXPECTED" || code == "MESSAGE_UNADDRESSED") {
				return r.startBySent(ctx, u, in)
			}
			if err != nil {
				return MessageResult{}, err
			}
			field = "correlationKey"
		}
		f, err := r.open(ctx, u, id, field)
		if err != nil {
			return MessageResult{}, err
		}
		if err := u.Require(access.SendMessage, f.row.RegionPath); err != nil {
			return MessageResult{}, err
		}
		if err := f.active(field); err != nil {
			return MessageResult{}, err
		}
		if err := f.deliver(ctx, in); err != nil {
			return MessageResult{}, err
		}
		return MessageResult{CaseID: f.row.ID, Delivered: 1}, f.save(ctx)
	})
}

// waiting finds the case of a message by its correlation key.
func waiting(ctx context.Context, u *command.Unit, in SendMessage) (string, error) {
	key := deref(in.CorrelationKey)
	if key == "" {
		return "", fault.E(fault.Invalid, "MESSAGE_UNADDRESSED").At("input", "caseID")
	}
	t, err := u.Token.Query().Where(token.WaitName(in.Name), token.WaitKey(key)).Order(ent.Asc(token.FieldEnteredAt, token.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return parked(ctx, u, in.Name, key)
	}
	if err != nil {
		return "", fmt.Errorf("find the waiting token: %w", err)
	}
	return t.CaseID, nil
}

// parked finds the case of a service task whose worker waits for the message.
func parked(ctx context.Context, u *command.Unit, name, key string) (string, error) {
	t, err := u.Task.Query().Where(task.WaitMessage(name), task.WaitKey(key)).Order(ent.Asc(task.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return "", notExpected(name)
	}
	if err != nil {
		return "", fmt.Errorf("find the waiting task: %w", err)
	}
	return t.CaseID, nil
}

func notExpected(name string) error {
	return fault.E(fault.Precondition, "MESSAGE_NOT_EXPECTED", fault.P("message", name)).At("input", "name")
}

// deliver lets the engine take the message; it checks the payload against the
// variable of the node that waits.
func (f *file) deliver(ctx context.Context, in SendMessage) error {
	if woken, err := f.wake(ctx, in); woken || err != nil {
		return err
	}
	err := f.step(ctx, engine.Event{Kind: engine.MessageReceived, Name: in.Name, Key: deref(in.CorrelationKey), Variables: in.Payload})
	switch fault.CodeOf(err) {
	case "":
		return nil
	case "MESSAGE_NOT_EXPECTED":
		return notExpected(in.Name)
	}
	return below(err, "input", "payload")
}

// PauseClock stops a running clock for a reason that its indicator admits, with
// the party it lies with and what shows it.
func (r *Room) PauseClock(ctx context.Context, in PauseClock) (string, error) {
	return r.onClock(ctx, "pauseClock", in.ClockID, in.IdempotencyKey, in, func(_ context.Context, f *file, m *measure) error {
		switch {
		case m.row.State == clock.StatePaused:
			return fault.E(fault.Precondition, "CLOCK_PAUSED", fault.P("clock", m.row.NameZh)).At("input", "clockID")
		case m.row.BreachedAt != nil:
			return fault.E(fault.Precondition, "CLOCK_BREACHED", fault.P("clock", m.row.NameZh)).At("input", "clockID")
		case !admits(m.row, in.Reason):
			return fault.E(fault.Precondition, "PAUSE_REASON_NOT_ADMITTED", fault.P("reason", in.Reason),
				fault.P("clock", m.row.NameZh), fault.P("admitted", m.row.PauseReasons)).At("input", "reason")
		}
		f.unit.Note("reason", in.Reason)
		f.book.pause(m, &ent.Pause{Reason: in.Reason, Party: in.Party, Note: in.Note, By: f.unit.Viewer.StaffID}, f.unit.Now)
		return nil
	})
}

// ResumeClock ends the pauses that people have begun on a clock; one that a
// node's stay has begun ends with the stay.
func (r *Room) ResumeClock(ctx context.Context, in ResumeClock) (string, error) {
	return r.onClock(ctx, "resumeClock", in.ClockID, in.IdempotencyKey, in, func(ctx context.Context, f *file, m *measure) error {
		if !f.book.unpause(m, f.unit.Now, func(p *pause) bool { return p.row.NodeID == "" }) {
			return fault.E(fault.Precondition, "CLOCK_NOT_PAUSED", fault.P("clock", m.row.NameZh)).At("input", "clockID")
		}
		if err := f.book.count(ctx, m); err != nil {
			return err
		}
		f.book.bind()
		return nil
	})
}

// onClock runs a change of one clock of an active case.
func (r *Room) onClock(ctx context.Context, operation, clockID string, key *string, input any,
	change func(ctx context.Context, f *file, m *measure) error,
) (string, error) {
	cmd := command.Command{Operation: operation, Key: deref(key), Input: input}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		seen, err := u.Clock.Get(ctx, clockID)
		if err != nil {
			return "", notFound(err, "CLOCK_NOT_FOUND", clockID, "clockID")
		}
		f, err := r.open(ctx, u, seen.CaseID, "clockID")
		if err != nil {
			return "", err
		}
		u.On(seen.ID, seen.RegionPath)
		if err := u.Require(access.PauseClock, f.row.RegionPath); err != nil {
			return "", err
		}
		if err := f.active("clockID"); err != nil {
			return "", err
		}
		if err := f.book.load(ctx); err != nil {
			return "", err
		}
		m, err := f.book.find(clockID)
		if err != nil {
			return "", err
		}
		if err := change(ctx, f, m); err != nil {
			return "", err
		}
		return clockID, f.saveStill(ctx)
	})
}
