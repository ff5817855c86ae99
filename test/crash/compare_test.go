package crash_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent/auditentry"
	"github.com/openspms/spms/ent/caseevent"
	"github.com/openspms/spms/ent/failure"
	"github.com/openspms/spms/ent/idempotencykey"
	"github.com/openspms/spms/ent/job"
	"github.com/openspms/spms/ent/timerrow"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/store"
)

// compare lets the server do what is due, stops it in good order, and checks
// the journals, read back from their files, against the database.
func (r *run) compare() []finding {
	r.t.Helper()
	s, err := store.Open(r.ctx, r.program.database)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	ctx := access.With(r.ctx, access.System("crash"))
	if err := untilNothingIsDue(ctx, s); err != nil {
		r.t.Fatal(err)
	}
	if err := r.server.stop(); err != nil {
		r.t.Fatalf("stop the server: %v", err)
	}
	if r.steady != nil {
		if err := r.steady.stop(); err != nil {
			r.t.Fatalf("stop the second server: %v", err)
		}
	}
	held, err := readTraces(ctx, s)
	if err != nil {
		r.t.Fatal(err)
	}
	var journals [][]*entry
	cutOff, done := 0, 0
	for _, c := range append(slices.Clone(r.clients), r.workers...) {
		for key, sent := range c.retried {
			cutOff++
			if at, ok := held.kept[key]; ok && at.Before(sent) {
				done++
			}
		}
		j, err := readJournal(c.journal.file.Name())
		if err != nil {
			r.t.Fatal(err)
		}
		journals = append(journals, j)
	}
	r.t.Logf("of %d mutations that a kill cut off, %d were done already when they were sent again", cutOff, done)
	if many := cutOff >= 100; many && (done == 0 || done == cutOff) {
		r.t.Errorf("of %d mutations cut off, %d were done: the kills miss the moments around the commit", cutOff, done)
	}
	return check(journals, held)
}

// verify runs spms verify, which replays every case and finds nothing due, and looks into the log.
func (r *run) verify() {
	r.t.Helper()
	r.verified()
	logged, err := r.program.errors()
	if err != nil {
		r.t.Error(err)
	}
	for _, line := range logged {
		r.t.Errorf("the server logged %s", line)
	}
}

// verified runs spms verify.
func (r *run) verified() {
	r.t.Helper()
	out, err := r.program.run(r.ctx, "verify", "--at-rest")
	if err != nil {
		r.t.Error(err)
	}
	r.t.Log(strings.TrimSpace(out))
}

// untilNothingIsDue waits until the server has fired every timer that is due and carried
// out every note.
func untilNothingIsDue(ctx context.Context, s *store.Store) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		n, err := s.Client().TimerRow.Query().Where(timerrow.StateEQ(timerrow.StateWaiting), timerrow.DueAtLTE(time.Now())).Count(ctx)
		if err != nil {
			return err
		}
		notes, err := s.Client().Job.Query().Where(job.StateEQ(job.StateReady)).Count(access.Elevated(ctx))
		if err != nil || n+notes == 0 {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%d timers are due and do not fire, %d notes are not carried out: %w", n, notes, ctx.Err())
		}
	}
}

// readTraces reads what the clients' mutations have left in the database.
func readTraces(ctx context.Context, s *store.Store) (traces, error) {
	h := traces{effects: map[string]int{}, keys: map[string]int{}, kept: map[string]time.Time{}}
	client := s.Client()
	cases, err := client.ServiceCase.Query().All(ctx)
	if err != nil {
		return h, err
	}
	numbers, titles := map[string]string{}, map[string]string{} // by the case's id
	for _, c := range cases {
		numbers[c.ID], titles[c.ID] = c.Number, c.Title
		if c.CallerID != nil {
			h.effects["call "+c.Title]++
		} else {
			h.effects["start "+c.Title]++
		}
	}
	tasks, err := client.Task.Query().All(ctx)
	if err != nil {
		return h, err
	}
	nodes := map[string]string{} // number and node, by the task's id
	for _, t := range tasks {
		nodes[t.ID] = numbers[t.CaseID] + " " + t.NodeID
		if t.NodeID == visitNode {
			h.effects["reach "+nodes[t.ID]]++
		}
	}
	claims, err := client.AuditEntry.Query().Where(auditentry.Operation("claimTask"), auditentry.OutcomeEQ(auditentry.OutcomeApplied)).All(ctx)
	if err != nil {
		return h, err
	}
	for _, a := range claims {
		h.effects["claim "+nodes[a.Subject]]++
	}
	failures, err := client.Failure.Query().Where(failure.Reason(retryReason)).All(ctx)
	if err != nil {
		return h, err
	}
	for _, f := range failures {
		h.effects["retry "+f.ID]++
	}
	events, err := client.CaseEvent.Query().Where(caseevent.KindIn(string(engine.TaskCompleted), string(engine.MessageReceived), string(engine.VariablesSet))).All(ctx)
	if err != nil {
		return h, err
	}
	for _, e := range events {
		switch byProduct := strings.HasPrefix(e.By, "system:"); {
		case e.Kind == string(engine.VariablesSet):
			h.effects["set "+e.CaseID]++
		case e.Kind == string(engine.MessageReceived) && byProduct:
			h.effects["told "+titles[e.CaseID]]++
		case e.Kind == string(engine.MessageReceived):
			h.effects[fmt.Sprintf("message %s %v", numbers[e.CaseID], e.Input["name"])]++
		case byProduct: // the answer of a called case
			h.effects["answered "+titles[e.CaseID]]++
		default:
			h.effects["complete "+numbers[e.CaseID]+" "+e.NodeID]++
		}
	}
	keys, err := client.IdempotencyKey.Query().Where(idempotencykey.KeyHasPrefix("crash-")).All(ctx)
	if err != nil {
		return h, err
	}
	for _, k := range keys {
		h.keys[k.Key]++
		h.kept[k.Key] = k.CreatedAt
	}
	return h, nil
}
