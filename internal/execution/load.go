package execution

import (
	"context"
	"fmt"
	"slices"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/standard"
)

// depth says how much of a case a command reads before it begins. What it needs
// beyond is read when it is needed; what is read together costs one round trip.
type depth int

// Depths, each with all of those before.
const (
	toClaim    depth = iota // open tasks; the engine cannot step
	toStep                  // tokens, timers, clocks and the standards in force
	toComplete              // evidence and the signers of the task
)

// rows are those of a case as one command finds them.
type rows struct {
	found    []*ent.ServiceCase // one, or none
	tokens   []*ent.Token
	timers   []*ent.TimerRow
	tasks    []*ent.Task
	clocks   []*ent.Clock
	evidence []*ent.Evidence
	signers  []*ent.TaskSigner
	norms    *standard.Current
}

// query reads the rows of a case to a depth, the case itself locked first. The case is that of an
// id, or that of a task of an id, by the statements for it; taskID names the task
// whose signers are read. Whoever calls it says whether the viewer sees the case.
func (r *Room) query(ctx context.Context, u *command.Unit, by *reads, id string, deep depth, taskID string) (*rows, error) {
	out := &rows{}
	read := []func(ctx context.Context) error{
		into(&out.found, u.ServiceCase.Rows, by.found, id),
		into(&out.tasks, u.Task.Rows, by.tasks, id),
	}
	if deep >= toStep {
		read = append(read,
			into(&out.tokens, u.Token.Rows, by.tokens, id),
			into(&out.timers, u.TimerRow.Rows, by.timers, id),
			into(&out.clocks, u.Clock.Rows, by.clocks, id),
			func(ctx context.Context) (err error) {
				out.norms, err = r.norms.Current(ctx, u.Tx)
				return err
			})
	}
	if deep >= toComplete {
		read = append(read,
			into(&out.evidence, u.Evidence.Rows, by.evidence, id),
			into(&out.signers, u.TaskSigner.Rows, by.signers, taskID))
	}
	if err := u.Together(access.Elevated(ctx), read...); err != nil {
		return nil, fmt.Errorf("read a case: %w", err)
	}
	return out, nil
}

// into reads the rows that a statement answers.
func into[T any](to *[]*T, rows func(ctx context.Context, query string, args ...any) ([]*T, error), query, id string) func(ctx context.Context) error {
	return func(ctx context.Context) (err error) {
		*to, err = rows(ctx, query, id)
		return err
	}
}

// open loads a case for a change: visible to the viewer, locked, with its model.
// field names the input field that pointed to it, for the error's path.
func (r *Room) open(ctx context.Context, u *command.Unit, caseID, field string) (*file, error) {
	x, err := r.query(ctx, u, &r.byCase, caseID, toStep, "")
	if err != nil {
		return nil, err
	}
	return r.file(ctx, u, x, caseID, field)
}

// openTask loads a task that the viewer sees with its case. seen is the task as it
// is, open or not.
func (r *Room) openTask(ctx context.Context, u *command.Unit, ref taskRef, deep depth) (f *file, seen *ent.Task, err error) {
	var x *rows
	var taskID string
	if ref.id != nil {
		taskID = *ref.id
		x, err = r.query(ctx, u, &r.byTask, taskID, deep, taskID)
	} else if seen, err = ref.find(ctx, u); err == nil {
		taskID = seen.ID
		x, err = r.query(ctx, u, &r.byCase, seen.CaseID, deep, taskID)
	}
	if err != nil {
		return nil, nil, err
	}
	if open := slices.IndexFunc(x.tasks, func(t *ent.Task) bool { return t.ID == taskID && sees(ctx, u, t.RegionPath) }); open >= 0 {
		seen = x.tasks[open]
	} else if seen, err = ref.find(ctx, u); err != nil {
		return nil, nil, err
	}
	f, err = r.file(ctx, u, x, seen.CaseID, "taskID")
	return f, seen, err
}

// sees reports whether the viewer sees the cases of a region.
func sees(ctx context.Context, u *command.Unit, path string) bool {
	return access.IsElevated(ctx) || u.Viewer.May(access.ReadCases, path)
}

// file puts what was read of a case together.
func (r *Room) file(ctx context.Context, u *command.Unit, x *rows, caseID, field string) (*file, error) {
	if len(x.found) == 0 || !sees(ctx, u, x.found[0].RegionPath) {
		return nil, fault.E(fault.NotFound, "CASE_NOT_FOUND", fault.P("id", caseID)).At("input", field)
	}
	row := x.found[0]
	u.On(row.ID, row.RegionPath)
	u.Locked(row.ID)
	f, err := r.attach(ctx, u.Client, u, row)
	if err != nil || row.State != servicecase.StateActive {
		return f, err
	}
	f.norms, f.evidence, f.signed = x.norms, x.evidence, x.signers
	f.desk.take(x.tasks)
	if x.norms == nil { // to claim
		f.state.Variables, f.still = row.Variables, true
		return f, nil
	}
	if err := f.book.take(ctx, x.clocks); err != nil {
		return nil, err
	}
	return f, f.restore(x.tokens, x.timers)
}

// read loads a case that the viewer sees without a lock and for no change.
func (r *Room) read(ctx context.Context, client *ent.Client, caseID string) (*file, error) {
	row, err := client.ServiceCase.Get(ctx, caseID)
	if err != nil {
		return nil, notFound(err, "CASE_NOT_FOUND", caseID, "caseID")
	}
	f, err := r.attach(ctx, client, nil, row)
	if err != nil || row.State != servicecase.StateActive {
		return f, err
	}
	var x rows
	for _, read := range []func(ctx context.Context) error{
		into(&x.tasks, client.Task.Rows, r.byCase.tasks, caseID),
		into(&x.tokens, client.Token.Rows, r.byCase.tokens, caseID),
		into(&x.timers, client.TimerRow.Rows, r.byCase.timers, caseID),
	} {
		if err := read(access.Elevated(ctx)); err != nil {
			return nil, fmt.Errorf("read a case: %w", err)
		}
	}
	f.desk.take(x.tasks)
	return f, f.restore(x.tokens, x.timers)
}
