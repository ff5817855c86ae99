package execution

import (
	"context"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/batch"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/starttimer"
)

// verifyStarts checks the timers of start events: of a binding and a node at most one
// waits; one that has fired says when, and names the case that it started or why there
// is none; that case is of its process, was made at that instant, and is no other's.
func (v *verifier) verifyStarts(ctx context.Context) error {
	waiting, started := map[string]bool{}, map[mark]bool{}
	for last := ""; ; {
		rows, err := v.client.StartTimer.Query().Where(starttimer.IDGT(last)).Order(ent.Asc(starttimer.FieldID)).Limit(verifyRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read start timers: %w", err)
		}
		cases, err := v.startedCases(ctx, rows)
		if err != nil {
			return err
		}
		for _, t := range rows {
			last = t.ID
			v.verifyStart(t, cases)
			if at := t.BindingID + " " + t.NodeID; t.State == starttimer.StateWaiting {
				if waiting[at] {
					v.out.add("starts", t.ID, "another timer of %s waits for the same binding", t.NodeID)
				}
				waiting[at] = true
			}
			if t.CaseID != nil {
				if m := markOf(*t.CaseID, "", ""); started[m] {
					v.out.add("starts", t.ID, "case %s was started by another timer, too", *t.CaseID)
				} else {
					started[m] = true
				}
			}
		}
		if len(rows) < verifyRows {
			return nil
		}
	}
}

// startedCases reads the cases that some start timers have started.
func (v *verifier) startedCases(ctx context.Context, rows []*ent.StartTimer) (map[string]*ent.ServiceCase, error) {
	var ids []string
	for _, t := range rows {
		if t.CaseID != nil {
			ids = append(ids, *t.CaseID)
		}
	}
	out := map[string]*ent.ServiceCase{}
	for i := 0; i < len(ids); i += verifyPage {
		found, err := v.client.ServiceCase.Query().Where(servicecase.IDIn(padded(ids[i:min(i+verifyPage, len(ids))])...)).
			Select(servicecase.FieldID, servicecase.FieldProcessID, servicecase.FieldCreatedAt).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the cases of start timers: %w", err)
		}
		for _, c := range found {
			out[c.ID] = c
		}
	}
	return out, nil
}

// verifyStart checks one start timer by itself and against the case that it has started.
func (v *verifier) verifyStart(t *ent.StartTimer, cases map[string]*ent.ServiceCase) {
	fired := t.State == starttimer.StateFired
	switch {
	case fired != (t.FiredAt != nil):
		v.out.add("starts", t.ID, "the timer is %s and fired at %s", t.State, stamp(t.FiredAt))
	case fired && (t.CaseID != nil) == (t.Error != ""):
		v.out.add("starts", t.ID, "the timer has fired; a case: %v, an error: %q", t.CaseID != nil, t.Error)
	case !fired && (t.CaseID != nil || t.Error != ""):
		v.out.add("starts", t.ID, "the timer is %s; a case: %v, an error: %q", t.State, t.CaseID != nil, t.Error)
	case t.CaseID == nil:
	case cases[*t.CaseID] == nil:
		v.out.add("starts", t.ID, "case %s is not there", *t.CaseID)
	default:
		if c := cases[*t.CaseID]; c.ProcessID != t.ProcessID || !c.CreatedAt.Equal(*t.FiredAt) {
			v.out.add("starts", t.ID, "case %s is of process %s and was made at %s, the timer is of %s and fired at %s",
				c.ID, c.ProcessID, stamp(&c.CreatedAt), t.ProcessID, stamp(t.FiredAt))
		}
	}
}

// restStarts finds the start timers and batches that were due by an instant.
func (v *verifier) restStarts(ctx context.Context) error {
	timers, err := v.client.StartTimer.Query().Where(starttimer.StateEQ(starttimer.StateWaiting), starttimer.DueAtLTE(v.atRest)).All(ctx)
	if err != nil {
		return fmt.Errorf("read due start timers: %w", err)
	}
	for _, t := range timers {
		v.out.add("due", t.ID, "the start timer of %s was due at %s", t.NodeID, stamp(&t.DueAt))
	}
	batches, err := v.client.Batch.Query().Where(batch.StateIn(batch.StateQueued, batch.StateRunning), batch.CreatedAtLTE(v.atRest), batch.LeaseUntilLTE(v.atRest)).All(ctx)
	if err != nil {
		return fmt.Errorf("read due batches: %w", err)
	}
	for _, b := range batches {
		v.out.add("due", b.ID, "the batch of %s is %s and nobody carries it out", stamp(&b.CreatedAt), b.State)
	}
	return nil
}
