package execution

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/evidence"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/tasksigner"
	"github.com/openspms/spms/ent/timerrow"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
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

// which selects the rows of one case: those whose column holds its id.
type which func(column string) func(*sql.Selector)

func ofCase(id string) which {
	return func(column string) func(*sql.Selector) { return sql.FieldEQ(column, id) }
}

// ofTask selects the rows of the case that a task belongs to. The id is asked for once,
// as a value: a database that knows nothing yet of how many rows there are reads all
// cases for a list of ids.
func ofTask(id string) which {
	return func(column string) func(*sql.Selector) {
		return func(s *sql.Selector) {
			t := sql.Table(task.Table)
			caseID := sql.Select(t.C(task.FieldCaseID)).From(t).Where(sql.EQ(t.C(task.FieldID), id))
			s.Where(sql.P(func(b *sql.Builder) {
				b.Ident(s.C(column)).WriteOp(sql.OpEQ).Wrap(func(b *sql.Builder) { b.Join(caseID) })
			}))
		}
	}
}

// query reads the rows of a case to a depth, the case itself locked first, and does
// also what is given. taskID names the task whose signers are read.
func (r *Room) query(ctx context.Context, u *command.Unit, of which, deep depth, taskID string, also ...func(ctx context.Context) error) (*rows, error) {
	out := &rows{}
	reads := []func(ctx context.Context) error{func(ctx context.Context) (err error) {
		out.found, err = u.ServiceCase.Query().Where(of(servicecase.FieldID)).All(store.Locking(ctx))
		return err
	}}
	add := func(read func(ctx context.Context) error) {
		reads = append(reads, func(ctx context.Context) error { return read(access.Elevated(ctx)) })
	}
	add(out.readTasks(u.Client, of))
	if deep >= toStep {
		for _, read := range out.resting(u.Client, of) {
			add(read)
		}
		add(func(ctx context.Context) (err error) {
			out.clocks, err = u.Clock.Query().Where(of(clock.FieldCaseID), clock.StoppedAtIsNil()).Order(ent.Asc(clock.FieldID)).All(ctx)
			return err
		})
		add(func(ctx context.Context) (err error) {
			out.norms, err = r.norms.Current(ctx, u.Tx)
			return err
		})
	}
	if deep >= toComplete {
		add(func(ctx context.Context) (err error) {
			out.evidence, err = u.Evidence.Query().Where(of(evidence.FieldCaseID)).All(ctx)
			return err
		})
		add(func(ctx context.Context) (err error) {
			out.signers, err = u.TaskSigner.Query().Where(tasksigner.TaskID(taskID)).Order(ent.Asc(tasksigner.FieldSeq)).All(ctx)
			return err
		})
	}
	if err := u.Together(ctx, append(reads, also...)...); err != nil {
		return nil, fmt.Errorf("read a case: %w", err)
	}
	return out, nil
}

// readTasks reads the open tasks of a case.
func (x *rows) readTasks(client *ent.Client, of which) func(ctx context.Context) error {
	return func(ctx context.Context) (err error) {
		x.tasks, err = client.Task.Query().Where(of(task.FieldCaseID), task.StateIn(OpenStates...)).All(ctx)
		return err
	}
}

// resting are the reads of where a case rests: its tokens and timers.
func (x *rows) resting(client *ent.Client, of which) []func(ctx context.Context) error {
	return []func(ctx context.Context) error{
		func(ctx context.Context) (err error) {
			x.tokens, err = client.Token.Query().Where(of(token.FieldCaseID)).Order(ent.Asc(token.FieldSeq)).All(ctx)
			return err
		},
		func(ctx context.Context) (err error) {
			x.timers, err = client.TimerRow.Query().Where(of(timerrow.FieldCaseID), timerrow.StateEQ(timerrow.StateWaiting)).
				Order(ent.Asc(timerrow.FieldSeq)).All(ctx)
			return err
		},
	}
}

// open loads a case for a change: visible to the viewer, locked, with its model.
// field names the input field that pointed to it, for the error's path.
func (r *Room) open(ctx context.Context, u *command.Unit, caseID, field string) (*file, error) {
	x, err := r.query(ctx, u, ofCase(caseID), toStep, "")
	if err != nil {
		return nil, err
	}
	return r.file(ctx, u, x, caseID, field)
}

// openTask loads a task that the viewer sees with its case. seen is the task as it
// is, open or not.
func (r *Room) openTask(ctx context.Context, u *command.Unit, ref taskRef, deep depth) (f *file, seen *ent.Task, err error) {
	if ref.id == nil {
		if seen, err = ref.find(ctx, u); err != nil {
			return nil, nil, err
		}
		x, err := r.query(ctx, u, ofCase(seen.CaseID), deep, seen.ID)
		if err != nil {
			return nil, nil, err
		}
		f, err = r.file(ctx, u, x, seen.CaseID, "taskID")
		return f, seen, err
	}
	var missing error
	x, err := r.query(ctx, u, ofTask(*ref.id), deep, *ref.id, func(ctx context.Context) error {
		seen, missing = ref.find(ctx, u)
		return nil
	})
	if err == nil {
		err = missing
	}
	if err != nil {
		return nil, nil, err
	}
	f, err = r.file(ctx, u, x, seen.CaseID, "taskID")
	return f, seen, err
}

// file puts what was read of a case together.
func (r *Room) file(ctx context.Context, u *command.Unit, x *rows, caseID, field string) (*file, error) {
	if len(x.found) == 0 {
		return nil, fault.E(fault.NotFound, "CASE_NOT_FOUND", fault.P("id", caseID)).At("input", field)
	}
	row := x.found[0]
	u.On(row.ID, row.RegionPath)
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
	for _, read := range append(x.resting(client, ofCase(caseID)), x.readTasks(client, ofCase(caseID))) {
		if err := read(access.Elevated(ctx)); err != nil {
			return nil, fmt.Errorf("read a case: %w", err)
		}
	}
	f.desk.take(x.tasks)
	return f, f.restore(x.tokens, x.timers)
}
