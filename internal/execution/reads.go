package execution

import (
	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/evidence"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/tasksigner"
	"github.com/openspms/spms/ent/timerrow"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/store"
)

// reads are the statements that read a case, each with an id as its argument. They are
// written once: writing them anew for each command took as long on SQLite as running them.
type reads struct {
	found, tasks, tokens, timers, clocks, evidence string
	signers                                        string // of a task, by its id
}

// which says which rows are those of the case: column is that of the case's id.
type which func(column string) *sql.Predicate

// ofCase selects by the id of the case.
func ofCase(column string) *sql.Predicate { return sql.EQ(column, "") }

// ofTask selects by the id of one of its tasks. The case is asked for once, as a value: a
// database that knows nothing yet of how many rows there are reads all cases for a list of ids.
func ofTask(column string) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		t := sql.Dialect(b.Dialect()).Select(task.FieldCaseID).From(sql.Table(task.Table).As("of")).Where(sql.EQ(task.FieldID, ""))
		b.Ident(column).WriteOp(sql.OpEQ).Wrap(func(b *sql.Builder) { b.Join(t) })
	})
}

// written writes the statements in a dialect.
func written(dialect string, of which) reads {
	text := func(table string, columns []string, caseID string, then func(s *sql.Selector)) string {
		t := sql.Table(table)
		s := sql.Dialect(dialect).Select(t.Columns(columns...)...).From(t)
		s.Where(of(t.C(caseID)))
		then(s)
		query, _ := s.Query()
		return query
	}
	signers := sql.Table(tasksigner.Table)
	sign, _ := sql.Dialect(dialect).Select(signers.Columns(tasksigner.Columns...)...).From(signers).
		Where(sql.EQ(signers.C(tasksigner.FieldTaskID), "")).OrderBy(signers.C(tasksigner.FieldSeq)).Query()
	return reads{
		found:  text(servicecase.Table, servicecase.Columns, servicecase.FieldID, store.ForUpdate),
		tasks:  text(task.Table, task.Columns, task.FieldCaseID, Open),
		tokens: text(token.Table, token.Columns, token.FieldCaseID, func(s *sql.Selector) { s.OrderBy(s.C(token.FieldSeq)) }),
		timers: text(timerrow.Table, timerrow.Columns, timerrow.FieldCaseID, func(s *sql.Selector) {
			s.Where(sql.ExprP(s.C(timerrow.FieldState) + " = '" + string(timerrow.StateWaiting) + "'")).OrderBy(s.C(timerrow.FieldSeq))
		}),
		clocks: text(clock.Table, clock.Columns, clock.FieldCaseID, func(s *sql.Selector) {
			s.Where(sql.IsNull(s.C(clock.FieldStoppedAt))).OrderBy(s.C(clock.FieldID))
		}),
		evidence: text(evidence.Table, evidence.Columns, evidence.FieldCaseID, func(*sql.Selector) {}),
		signers:  sign,
	}
}
