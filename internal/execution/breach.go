package execution

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/breach"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
)

// breached lets happen what the process wants to follow the breach of a clock, in the
// transaction that writes the breach down, and so once: the open tasks are marked
// for a role, and those that come while the clock runs on; a corrective case is asked for. It returns the role and the process.
// A clock that another one shadows is followed only by what names it.
func (f *file) breached(ctx context.Context, c *ent.Clock, breachID string) (role, process string, err error) {
	for _, b := range f.model.Breaches {
		if !follows(&b, c) {
			continue
		}
		switch {
		case b.Do == "escalate" && role == "":
			role = b.Role
			f.escalate(role, c)
		case b.Do == "open" && process == "":
			process = b.Process
			err = f.leave(ctx, correctNote, note{CaseID: f.row.ID, To: breachID, Name: process, Variables: maps.Clone(f.state.Variables)})
		}
		if err != nil {
			return "", "", fmt.Errorf("follow a breach: %w", err)
		}
	}
	return role, process, nil
}

// follows reports whether an action is for the breach of a clock: one that names no
// indicator is for those that bind the case.
func follows(b *bpmn.BreachAction, c *ent.Clock) bool {
	return b.Indicator == c.IndicatorCode || b.Indicator == "" && c.Binding
}

// escalate marks the open tasks of people for a role and keeps that in their record.
func (f *file) escalate(role string, c *ent.Clock) {
	for _, seq := range slices.Sorted(maps.Keys(f.desk.open)) {
		f.mark(f.desk.open[seq], role, c)
	}
}

func (f *file) mark(t *ent.Task, role string, c *ent.Clock) {
	if t.Kind != task.KindHuman || t.EscalatedTo == role {
		return
	}
	t.EscalatedTo = role
	f.desk.change(t)
	f.actions = append(f.actions, f.unit.TaskAction.Create().SetCaseID(f.row.ID).SetTaskID(t.ID).SetRegionID(t.RegionID).SetRegionPath(t.RegionPath).
		SetAction("escalate").SetBy("system").SetTo(role).SetToName(role).SetReason(c.IndicatorCode).SetCreatedAt(f.unit.Now))
}

// escalateLate marks a task that comes while a clock runs on that was breached before,
// as those were that were open then. The clocks must be loaded.
func (f *file) escalateLate(t *ent.Task) {
	for _, m := range f.book.clocks {
		if m.row.BreachedAt == nil || m.row.StoppedAt != nil {
			continue
		}
		for i := range f.model.Breaches {
			if b := &f.model.Breaches[i]; b.Do == "escalate" && follows(b, m.row) && t.EscalatedTo == "" {
				f.mark(t, b.Role, m.row)
			}
		}
	}
}

// correct starts the corrective case of a breach, with those of the case's variables
// that its process takes as input. What cannot be started is told at the breach.
func (r *Room) correct(ctx context.Context, u *command.Unit, n note) error {
	f, err := r.open(ctx, u, n.CaseID, "caseID")
	if err != nil {
		return err
	}
	started, err := r.startCalled(ctx, u, f, n)
	change := u.Breach.Update().Where(breach.ID(n.To), breach.CorrectiveCaseIDIsNil())
	switch e := fault.From(err); {
	case err == nil:
		change.SetCorrectiveCaseID(started)
	case e.Kind == fault.Internal || e.Kind == fault.Unavailable:
		return err
	default:
		change.SetCorrectiveError(e.Code)
	}
	return change.Exec(access.Elevated(ctx))
}
