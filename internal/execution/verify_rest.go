package execution

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/auditentry"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/failure"
	"github.com/openspms/spms/ent/idempotencykey"
	"github.com/openspms/spms/ent/job"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/timerrow"
)

// call is a call activity that a token of a case is at.
type call struct {
	caseID string
	token  int
}

// notes are the notes that cases have left and that are not carried out.
type notes struct {
	calls, uncalls map[call]int
	answers        map[string]int // by the called case
	corrections    map[string]int // by the breach
	bad            []string       // what is wrong with some
}

// loadNotes reads the notes; at rest there are few.
func (v *verifier) loadNotes(ctx context.Context) error {
	v.notes = notes{calls: map[call]int{}, uncalls: map[call]int{}, answers: map[string]int{}, corrections: map[string]int{}}
	last := ""
	for {
		rows, err := v.client.Job.Query().Where(job.IDGT(last)).Order(ent.Asc(job.FieldID)).Limit(verifyRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read notes: %w", err)
		}
		var from []string
		for _, row := range rows {
			last = row.ID
			from = append(from, v.notes.keep(row))
		}
		if err := v.senders(ctx, rows, from); err != nil {
			return err
		}
		if len(rows) < verifyRows {
			return nil
		}
	}
}

// keep counts a note and returns the case that has left it.
func (n *notes) keep(row *ent.Job) string {
	var what note
	if err := json.Unmarshal(row.Args, &what); err != nil {
		n.bad = append(n.bad, fmt.Sprintf("%s cannot be read: %v", row.ID, err))
	}
	if row.State != job.StateReady {
		n.bad = append(n.bad, fmt.Sprintf("%s is %s, so that nobody carries it out", row.ID, row.State))
	}
	switch row.Kind {
	case callNote:
		n.calls[call{what.CaseID, what.Token}]++
	case uncallNote:
		n.uncalls[call{what.CaseID, what.Token}]++
	case answerNote:
		n.answers[what.CaseID]++
	case correctNote:
		n.corrections[what.To]++
	case messageNote, signalNote, startNote, riseNote:
	default:
		n.bad = append(n.bad, fmt.Sprintf("%s is of kind %q, which nobody carries out", row.ID, row.Kind))
	}
	return what.CaseID
}

// senders finds the notes whose case is not there.
func (v *verifier) senders(ctx context.Context, rows []*ent.Job, from []string) error {
	for i := 0; i < len(rows); i += verifyPage {
		part := from[i:min(i+verifyPage, len(rows))]
		there, err := v.client.ServiceCase.Query().Where(servicecase.IDIn(padded(part)...)).IDs(ctx)
		if err != nil {
			return fmt.Errorf("read who left notes: %w", err)
		}
		slices.Sort(there)
		for k, id := range part {
			if _, ok := slices.BinarySearch(there, id); !ok {
				v.notes.bad = append(v.notes.bad, fmt.Sprintf("%s is of case %q, which is not there", rows[i+k].ID, id))
			}
		}
	}
	return nil
}

func (v *verifier) verifyNotes() {
	for _, text := range v.notes.bad {
		v.out.add("notes", "outbox", "note %s", text)
	}
}

// verifyAudit checks that each event of some cases has the audit entry of its command: of
// the same person at the same instant.
func (v *verifier) verifyAudit(ctx context.Context, p *page) error {
	type deed struct {
		at int64
		by string
	}
	missing := map[deed]*ent.CaseEvent{}
	instants := map[int64]time.Time{}
	for _, events := range p.events {
		for _, e := range events {
			d := deed{e.At.UnixMicro(), e.By}
			instants[d.at] = e.At
			if before := missing[d]; before == nil || e.ID < before.ID {
				missing[d] = e
			}
		}
	}
	var list []time.Time
	for _, at := range instants {
		list = append(list, at)
	}
	slices.SortFunc(list, time.Time.Compare)
	for len(list) > 0 {
		part := make([]time.Time, verifyPage) // as many each time, so that the statement stays prepared
		for i := range part {
			part[i] = list[min(i, len(list)-1)]
		}
		list = list[min(verifyPage, len(list)):]
		var rows []struct {
			Viewer    string             `json:"viewer"`
			Outcome   auditentry.Outcome `json:"outcome"`
			CreatedAt time.Time          `json:"created_at"`
		}
		err := v.client.AuditEntry.Query().Where(auditentry.CreatedAtIn(part...)).
			Select(auditentry.FieldViewer, auditentry.FieldOutcome, auditentry.FieldCreatedAt).Scan(ctx, &rows)
		if err != nil {
			return fmt.Errorf("read audit entries: %w", err)
		}
		for _, a := range rows {
			if a.Outcome == auditentry.OutcomeApplied {
				delete(missing, deed{a.CreatedAt.UnixMicro(), a.Viewer})
			}
		}
	}
	var lost []*ent.CaseEvent
	for _, e := range missing {
		lost = append(lost, e)
	}
	slices.SortFunc(lost, func(a, b *ent.CaseEvent) int { return a.At.Compare(b.At) })
	for _, e := range lost {
		v.out.add("audit", e.CaseID, "event %d of %s at %s has no audit entry", e.Seq, e.By, stamp(&e.At))
	}
	return nil
}

// mark stands for a command as keys and audit entries name it.
type mark [16]byte

func markOf(viewer, operation, hash string) mark {
	sum := sha256.Sum256([]byte(viewer + "\n" + operation + "\n" + hash))
	return mark(sum[:16])
}

// verifyKeys checks that each acknowledged key was applied exactly once.
func (v *verifier) verifyKeys(ctx context.Context) error {
	applied := map[mark]int32{}
	for last := ""; ; {
		var keys []struct {
			ID, Viewer, Operation string
			InputHash             string `json:"input_hash"`
		}
		err := v.client.IdempotencyKey.Query().Where(idempotencykey.IDGT(last)).Order(ent.Asc(idempotencykey.FieldID)).Limit(verifyRows).
			Select(idempotencykey.FieldID, idempotencykey.FieldViewer, idempotencykey.FieldOperation, idempotencykey.FieldInputHash).Scan(ctx, &keys)
		if err != nil {
			return fmt.Errorf("read idempotency keys: %w", err)
		}
		for _, k := range keys {
			last = k.ID
			applied[markOf(k.Viewer, k.Operation, k.InputHash)] = 0
		}
		v.out.Keys += len(keys)
		if len(keys) < verifyRows {
			break
		}
	}
	if err := v.countApplied(ctx, applied); err != nil {
		return err
	}
	for m, n := range applied {
		if n == 1 {
			delete(applied, m)
		}
	}
	return v.nameKeys(ctx, applied)
}

// countApplied counts the audit entries of the commands that have a key.
func (v *verifier) countApplied(ctx context.Context, applied map[mark]int32) error {
	for last := ""; ; {
		var rows []struct {
			ID, Viewer, Operation string
			Outcome               auditentry.Outcome
			InputHash             string `json:"input_hash"`
		}
		err := v.client.AuditEntry.Query().Where(auditentry.IDGT(last)).Order(ent.Asc(auditentry.FieldID)).Limit(verifyRows).
			Select(auditentry.FieldID, auditentry.FieldViewer, auditentry.FieldOperation, auditentry.FieldOutcome, auditentry.FieldInputHash).Scan(ctx, &rows)
		if err != nil {
			return fmt.Errorf("read audit entries: %w", err)
		}
		for _, a := range rows {
			last = a.ID
			if a.Outcome != auditentry.OutcomeApplied {
				continue
			}
			m := markOf(a.Viewer, a.Operation, a.InputHash)
			if n, keyed := applied[m]; keyed {
				applied[m] = n + 1
			}
		}
		v.out.Audits += len(rows)
		if len(rows) < verifyRows {
			return nil
		}
	}
}

// nameKeys says which keys were not applied exactly once; mostly there are none.
func (v *verifier) nameKeys(ctx context.Context, wrong map[mark]int32) error {
	if len(wrong) == 0 {
		return nil
	}
	for last := ""; ; {
		keys, err := v.client.IdempotencyKey.Query().Where(idempotencykey.IDGT(last)).Order(ent.Asc(idempotencykey.FieldID)).Limit(verifyRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read idempotency keys: %w", err)
		}
		for _, k := range keys {
			last = k.ID
			if n, ok := wrong[markOf(k.Viewer, k.Operation, k.InputHash)]; ok {
				v.out.add("keys", k.Key, "%s was applied %d times", k.Operation, n)
			}
		}
		if len(keys) < verifyRows {
			return nil
		}
	}
}

// verifyRest finds what was due by an instant and is not done.
func (v *verifier) verifyRest(ctx context.Context) error {
	by, c := v.atRest, v.client
	timers, err := c.TimerRow.Query().Where(timerrow.StateEQ(timerrow.StateWaiting), timerrow.DueOrderLTE(by)).WithCase().All(ctx)
	if err != nil {
		return fmt.Errorf("read due timers: %w", err)
	}
	for _, t := range timers {
		v.out.add("due", t.Edges.Case.Number, "timer %d at %s was due at %s", t.Seq, t.NodeID, stamp(t.DueAt))
	}
	clocks, err := c.Clock.Query().Where(clock.NextAtLTE(by)).WithCase().All(ctx)
	if err != nil {
		return fmt.Errorf("read due clocks: %w", err)
	}
	for _, k := range clocks {
		v.out.add("due", k.Edges.Case.Number, "clock %s was to act at %s", k.IndicatorCode, stamp(&k.NextAt))
	}
	failures, err := c.Failure.Query().Where(failure.StateEQ(failure.StateOpen), failure.RetryAtLTE(by)).WithCase().All(ctx)
	if err != nil {
		return fmt.Errorf("read due failures: %w", err)
	}
	for _, f := range failures {
		v.out.add("due", f.Edges.Case.Number, "failure %s was to be tried again at %s", f.ID, stamp(&f.RetryAt))
	}
	jobs, err := c.Job.Query().Where(job.StateEQ(job.StateReady), job.RunAtLTE(by)).All(ctx)
	if err != nil {
		return fmt.Errorf("read due notes: %w", err)
	}
	for _, j := range jobs {
		v.out.add("due", "outbox", "note %s (%s) was to be carried out at %s: %s", j.ID, j.Kind, stamp(&j.RunAt), j.LastError)
	}
	return nil
}
