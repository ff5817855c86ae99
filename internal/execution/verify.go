package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/auditentry"
	"github.com/openspms/spms/ent/breach"
	"github.com/openspms/spms/ent/caseevent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/idempotencykey"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/timerrow"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/engine"
)

// Violation is an invariant that does not hold.
type Violation struct {
	Rule    string // short name of the invariant
	Subject string // the row or case concerned
	Detail  string
}

// Report is the answer of Verify.
type Report struct {
	Cases, Events, Keys, Audits int
	Violations                  []Violation
}

func (r *Report) add(rule, subject, format string, args ...any) {
	r.Violations = append(r.Violations, Violation{rule, subject, fmt.Sprintf(format, args...)})
}

// verifyPage is how many cases are read at a time.
const verifyPage = 200

// Verify checks the invariants of the database and returns what does not hold:
//
//	history   the events of a case, applied again, give its stored state
//	tokens    an active case has at least one, an ended one has none
//	tasks     an open task belongs to a token that waits for one, and each such token has one
//	timers    each has fired at most once; none waits in an ended case
//	clocks    none runs in an ended case; a breached one has exactly one breach row
//	keys      each acknowledged key has exactly one applied audit entry
//	batches   a batch that is done has its items, each subject once; its counts are those of the items
//
// The database should be at rest. ctx must be the server's own. Cost: linear in
// the events.
func (r *Room) Verify(ctx context.Context, progress func(done, all int)) (*Report, error) {
	client := r.door.Store.Client()
	out := &Report{}
	all, err := client.ServiceCase.Query().Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the cases: %w", err)
	}
	last := ""
	for {
		rows, err := client.ServiceCase.Query().Where(servicecase.IDGT(last)).Order(ent.Asc(servicecase.FieldID)).Limit(verifyPage).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		for _, row := range rows {
			if err := r.verifyCase(ctx, client, row, out); err != nil {
				return nil, fmt.Errorf("verify case %s: %w", row.Number, err)
			}
			out.Cases++
			last = row.ID
		}
		progress(out.Cases, all)
		if len(rows) < verifyPage {
			return out, errors.Join(r.verifyKeys(ctx, client, out), r.verifyBatches(ctx, client, out))
		}
	}
}

func (r *Room) verifyCase(ctx context.Context, client *ent.Client, row *ent.ServiceCase, out *Report) error {
	events, err := client.CaseEvent.Query().Where(caseevent.CaseID(row.ID)).Order(ent.Asc(caseevent.FieldSeq)).All(ctx)
	if err != nil {
		return err
	}
	out.Events += len(events)
	if len(events) != row.Revision {
		out.add("history", row.Number, "the case is at revision %d with %d events", row.Revision, len(events))
	}
	h, err := r.beginning(ctx, client, row, events)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := h.apply(ctx, e); err != nil {
			out.add("history", row.Number, "event %d cannot be applied again: %v", e.Seq, err)
			return nil
		}
		if d := engine.Digest(h.model, &h.state); d != e.StateDigest {
			out.add("history", row.Number, "event %d gives another state than it did", e.Seq)
			return nil
		}
	}
	if h.version != row.VersionID {
		out.add("history", row.Number, "the history ends in version %s, the case is in %s", h.version, row.VersionID)
		return nil
	}
	f := &file{room: r, row: row, model: h.model, tokens: map[int]string{}, timers: map[int]*ent.TimerRow{}}
	return f.verifyRows(ctx, client, &h.state, out)
}

func eventOf(row *ent.CaseEvent) (engine.Event, error) {
	var ev engine.Event
	body, err := json.Marshal(row.Input)
	if err != nil {
		return ev, err
	}
	return ev, json.Unmarshal(body, &ev)
}

// verifyRows compares the stored rows of a case with the state its history gives.
func (f *file) verifyRows(ctx context.Context, client *ent.Client, want *engine.State, out *Report) error {
	number, active := f.row.Number, f.row.State == servicecase.StateActive
	tokens, err := client.Token.Query().Where(token.CaseID(f.row.ID)).Order(ent.Asc(token.FieldSeq)).All(ctx)
	if err != nil {
		return err
	}
	timers, err := client.TimerRow.Query().Where(timerrow.CaseID(f.row.ID)).Order(ent.Asc(timerrow.FieldSeq)).All(ctx)
	if err != nil {
		return err
	}
	var waiting []*ent.TimerRow
	for _, t := range timers {
		if t.FiredCount > 1 {
			out.add("timers", number, "timer %d has fired %d times", t.Seq, t.FiredCount)
		}
		if t.State == timerrow.StateWaiting {
			waiting = append(waiting, t)
		}
	}
	switch {
	case active && len(tokens) == 0:
		out.add("tokens", number, "the case is active and has no token")
	case !active && len(tokens) > 0:
		out.add("tokens", number, "the case has ended and has %d tokens", len(tokens))
	case !active && len(waiting) > 0:
		out.add("timers", number, "the case has ended and %d timers wait", len(waiting))
	}
	if active {
		if err := f.restore(tokens, waiting); err != nil {
			return err
		}
		if engine.Digest(f.model, &f.state) != engine.Digest(f.model, want) {
			out.add("history", number, "the stored state differs from what the history gives")
		}
	}
	if err := f.verifyTasks(ctx, client, tokens, out); err != nil {
		return err
	}
	return f.verifyClocks(ctx, client, out)
}

func (f *file) verifyTasks(ctx context.Context, client *ent.Client, tokens []*ent.Token, out *Report) error {
	open, err := client.Task.Query().Where(task.CaseID(f.row.ID), task.StateIn(OpenStates...)).All(ctx)
	if err != nil {
		return err
	}
	wanted := map[int]bool{}
	for _, t := range tokens {
		if t.State == string(engine.AtTask) {
			wanted[t.Seq] = true
		}
	}
	for _, t := range open {
		if !wanted[t.TokenSeq] {
			out.add("tasks", f.row.Number, "task %s is open and no token waits for it", t.ID)
		}
		delete(wanted, t.TokenSeq)
	}
	for seq := range wanted {
		out.add("tasks", f.row.Number, "token %d waits for a task that is not there", seq)
	}
	return nil
}

func (f *file) verifyClocks(ctx context.Context, client *ent.Client, out *Report) error {
	clocks, err := client.Clock.Query().Where(clock.CaseID(f.row.ID)).All(ctx)
	if err != nil {
		return err
	}
	breaches, err := client.Breach.Query().Where(breach.CaseID(f.row.ID)).All(ctx)
	if err != nil {
		return err
	}
	rows := map[string]int{}
	for _, b := range breaches {
		rows[b.ClockID]++
	}
	for _, c := range clocks {
		if f.row.State != servicecase.StateActive && c.StoppedAt == nil {
			out.add("clocks", f.row.Number, "the case has ended and clock %s runs", c.IndicatorCode)
		}
		want := 0
		if c.BreachedAt != nil {
			want = 1
		}
		if rows[c.ID] != want {
			out.add("clocks", f.row.Number, "clock %s has %d breach rows, want %d", c.IndicatorCode, rows[c.ID], want)
		}
	}
	return nil
}

// verifyKeys checks that each acknowledged key was applied exactly once.
func (r *Room) verifyKeys(ctx context.Context, client *ent.Client, out *Report) error {
	var err error
	if out.Audits, err = client.AuditEntry.Query().Count(ctx); err != nil {
		return fmt.Errorf("count the audit entries: %w", err)
	}
	last := ""
	for {
		keys, err := client.IdempotencyKey.Query().Where(idempotencykey.IDGT(last)).Order(ent.Asc(idempotencykey.FieldID)).Limit(verifyPage).All(ctx)
		if err != nil {
			return fmt.Errorf("read idempotency keys: %w", err)
		}
		for _, k := range keys {
			last = k.ID
			n, err := client.AuditEntry.Query().Where(auditentry.Viewer(k.Viewer), auditentry.Operation(k.Operation),
				auditentry.InputHash(k.InputHash), auditentry.OutcomeEQ(auditentry.OutcomeApplied)).Count(ctx)
			if err != nil {
				return fmt.Errorf("read audit entries: %w", err)
			}
			if n != 1 {
				out.add("keys", k.Key, "%s was applied %d times", k.Operation, n)
			}
			out.Keys++
		}
		if len(keys) < verifyPage {
			return nil
		}
	}
}
