package execution

import (
	"context"
	"fmt"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/breach"
	"github.com/openspms/spms/ent/caseevent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/failure"
	entpause "github.com/openspms/spms/ent/pause"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/ent/timerrow"
	"github.com/openspms/spms/ent/token"
	"github.com/openspms/spms/internal/engine"
)

// page is the rows of some cases, by case.
type page struct {
	events   map[string][]*ent.CaseEvent
	tokens   map[string][]*ent.Token
	timers   map[string][]*ent.TimerRow
	tasks    map[string][]*ent.Task // open ones
	clocks   map[string][]*ent.Clock
	breaches map[string][]*ent.Breach
	failures map[string][]*ent.Failure     // open ones
	called   map[string][]*ent.ServiceCase // by the caller
	callers  map[string]*ent.ServiceCase
	calling  map[string]map[int]bool // tokens of callers that call, by the caller
	pauses   map[string][]*ent.Pause // by the clock
}

// load reads the rows of some cases.
func (v *verifier) load(ctx context.Context, rows []*ent.ServiceCase) (*page, error) {
	p := &page{callers: map[string]*ent.ServiceCase{}, calling: map[string]map[int]bool{}}
	var own, callers []string
	for _, row := range rows {
		own = append(own, row.ID)
		if row.CallerID != nil {
			callers = append(callers, *row.CallerID)
		}
	}
	ids, c := padded(own), v.client
	var err error
	read(&err, &p.events, func(e *ent.CaseEvent) string { return e.CaseID }, func() ([]*ent.CaseEvent, error) {
		return c.CaseEvent.Query().Where(caseevent.CaseIDIn(ids...)).Order(ent.Asc(caseevent.FieldCaseID, caseevent.FieldSeq)).All(ctx)
	})
	read(&err, &p.tokens, func(t *ent.Token) string { return t.CaseID }, func() ([]*ent.Token, error) {
		return c.Token.Query().Where(token.CaseIDIn(ids...)).Order(ent.Asc(token.FieldCaseID, token.FieldSeq)).All(ctx)
	})
	read(&err, &p.timers, func(t *ent.TimerRow) string { return t.CaseID }, func() ([]*ent.TimerRow, error) {
		return c.TimerRow.Query().Where(timerrow.CaseIDIn(ids...)).Order(ent.Asc(timerrow.FieldCaseID, timerrow.FieldSeq)).All(ctx)
	})
	read(&err, &p.tasks, func(t *ent.Task) string { return t.CaseID }, func() ([]*ent.Task, error) {
		return c.Task.Query().Where(task.CaseIDIn(ids...), task.StateIn(OpenStates...)).All(ctx)
	})
	read(&err, &p.clocks, func(k *ent.Clock) string { return k.CaseID }, func() ([]*ent.Clock, error) {
		return c.Clock.Query().Where(clock.CaseIDIn(ids...)).All(ctx)
	})
	read(&err, &p.pauses, func(s *ent.Pause) string { return s.ClockID }, func() ([]*ent.Pause, error) {
		return c.Pause.Query().Where(entpause.HasClockWith(clock.CaseIDIn(ids...))).All(ctx)
	})
	read(&err, &p.breaches, func(b *ent.Breach) string { return b.CaseID }, func() ([]*ent.Breach, error) {
		return c.Breach.Query().Where(breach.CaseIDIn(ids...)).All(ctx)
	})
	read(&err, &p.failures, func(f *ent.Failure) string { return f.CaseID }, func() ([]*ent.Failure, error) {
		return c.Failure.Query().Where(failure.CaseIDIn(ids...), failure.StateEQ(failure.StateOpen)).All(ctx)
	})
	read(&err, &p.called, func(k *ent.ServiceCase) string { return *k.CallerID }, func() ([]*ent.ServiceCase, error) {
		return c.ServiceCase.Query().Where(servicecase.CallerIDIn(ids...)).All(ctx)
	})
	if err == nil && len(callers) > 0 {
		err = v.loadCallers(ctx, p, padded(callers))
	}
	if err != nil {
		return nil, fmt.Errorf("read the rows of cases: %w", err)
	}
	return p, nil
}

// loadCallers reads who has called cases of the page, and which of their tokens call.
func (v *verifier) loadCallers(ctx context.Context, p *page, ids []string) error {
	rows, err := v.client.ServiceCase.Query().Where(servicecase.IDIn(ids...)).All(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		p.callers[row.ID], p.calling[row.ID] = row, map[int]bool{}
	}
	tokens, err := v.client.Token.Query().Where(token.CaseIDIn(ids...), token.State(string(engine.Calling))).All(ctx)
	for _, t := range tokens {
		p.calling[t.CaseID][t.Seq] = true
	}
	return err
}

// read runs a query unless one before it has failed, and sorts its rows by case.
func read[T any](failed *error, into *map[string][]T, of func(T) string, query func() ([]T, error)) {
	if *failed != nil {
		return
	}
	var rows []T
	rows, *failed = query()
	*into = map[string][]T{}
	for _, row := range rows {
		(*into)[of(row)] = append((*into)[of(row)], row)
	}
}

// waiting are the timers of a case that have not fired.
func (p *page) waiting(caseID string) []*ent.TimerRow {
	var out []*ent.TimerRow
	for _, t := range p.timers[caseID] {
		if t.State == timerrow.StateWaiting {
			out = append(out, t)
		}
	}
	return out
}

// at are the tokens of a case in a state, by number.
func (p *page) at(caseID string, state engine.Status) map[int]bool {
	out := map[int]bool{}
	for _, t := range p.tokens[caseID] {
		if t.State == string(state) {
			out[t.Seq] = true
		}
	}
	return out
}

// verifyStanding compares the rows of a case with each other.
func (v *verifier) verifyStanding(p *page, row *ent.ServiceCase) {
	switch tokens, active := len(p.tokens[row.ID]), row.State == servicecase.StateActive; {
	case active && tokens == 0:
		v.out.add("tokens", row.Number, "the case is active and has no token")
	case !active && tokens > 0:
		v.out.add("tokens", row.Number, "the case has ended and has %d tokens", tokens)
	}
	v.verifyTimers(p, row)
	v.verifyTasks(p, row)
	v.verifyClocks(p, row)
	v.verifyFailures(p, row)
	v.verifyCalls(p, row)
	v.verifyBreaches(p, row)
}

func (v *verifier) verifyTimers(p *page, row *ent.ServiceCase) {
	there := map[int]bool{}
	for _, t := range p.tokens[row.ID] {
		there[t.Seq] = true
	}
	for _, t := range p.timers[row.ID] {
		if t.FiredCount > 1 {
			v.out.add("timers", row.Number, "timer %d has fired %d times", t.Seq, t.FiredCount)
		}
	}
	for _, t := range p.waiting(row.ID) {
		switch {
		case row.State != servicecase.StateActive:
			v.out.add("timers", row.Number, "the case has ended and timer %d waits", t.Seq)
		case !there[t.TokenSeq]:
			v.out.add("timers", row.Number, "timer %d waits for token %d, which is not there", t.Seq, t.TokenSeq)
		}
	}
}

// longestLease is how long a service task can be lent at a time.
const longestLease = 24 * time.Hour

func (v *verifier) verifyTasks(p *page, row *ent.ServiceCase) {
	wanted, due := map[int]string{}, dueOf(p.clocks[row.ID]) // the node at which each token waits for a task
	for _, t := range p.tokens[row.ID] {
		if t.State == string(engine.AtTask) {
			wanted[t.Seq] = t.NodeID
		}
	}
	for _, t := range p.tasks[row.ID] {
		switch {
		case wanted[t.TokenSeq] != t.NodeID:
			v.out.add("tasks", row.Number, "task %s is open and no token waits for it", t.ID)
			continue
		case (t.DueAt == nil) != (due == nil) || due != nil && !t.DueAt.Equal(*due):
			v.out.add("tasks", row.Number, "task %s is due at %s, the earliest binding clock at %s", t.ID, stamp(t.DueAt), stamp(due))
		}
		delete(wanted, t.TokenSeq)
		switch {
		case t.LeaseBy != "" && (t.Kind != task.KindService || t.State != task.StateCreated):
			v.out.add("leases", row.Number, "task %s is lent to %s, and %s by %s", t.ID, t.LeaseBy, t.State, t.Kind)
		case t.WaitMessage == "" && t.LeaseUntil.After(v.now.Add(longestLease+time.Hour)):
			v.out.add("leases", row.Number, "task %s is lent until %s", t.ID, stamp(&t.LeaseUntil))
		}
	}
	for _, t := range p.tokens[row.ID] {
		if wanted[t.Seq] != "" {
			v.out.add("tasks", row.Number, "token %d waits for a task that is not there", t.Seq)
		}
	}
}

// dueOf is the earliest instant at which a binding clock is due, nil without one.
func dueOf(clocks []*ent.Clock) *time.Time {
	b := &book{}
	for _, c := range clocks {
		b.clocks = append(b.clocks, &measure{row: c})
	}
	return b.nextDue()
}

func stamp(at *time.Time) string {
	if at == nil {
		return "no instant"
	}
	return at.UTC().Format(time.RFC3339Nano)
}

func (v *verifier) verifyClocks(p *page, row *ent.ServiceCase) {
	rows := map[string]int{}
	for _, b := range p.breaches[row.ID] {
		rows[b.ClockID]++
	}
	for _, c := range p.clocks[row.ID] {
		if row.State != servicecase.StateActive && c.StoppedAt == nil {
			v.out.add("clocks", row.Number, "the case has ended and clock %s runs", c.IndicatorCode)
		}
		want := 0
		if c.BreachedAt != nil {
			want = 1
		}
		if rows[c.ID] != want {
			v.out.add("clocks", row.Number, "clock %s has %d breach rows, want %d", c.IndicatorCode, rows[c.ID], want)
		}
		open, stood := 0, time.Duration(0)
		for _, s := range p.pauses[c.ID] {
			if s.EndedAt == nil {
				open++
			} else {
				stood += s.EndedAt.Sub(s.StartedAt)
			}
		}
		if (open > 0) != (c.State == clock.StatePaused) {
			v.out.add("clocks", row.Number, "clock %s is %s with %d open pauses", c.IndicatorCode, c.State, open)
		}
		if stood.Microseconds() != c.PausedMicros {
			v.out.add("clocks", row.Number, "clock %s has stood %d µs, its pauses %d", c.IndicatorCode, c.PausedMicros, stood.Microseconds())
		}
	}
}

func (v *verifier) verifyFailures(p *page, row *ent.ServiceCase) {
	open, failed := map[int]int{}, p.at(row.ID, engine.AtFailure)
	for _, f := range p.failures[row.ID] {
		open[f.TokenSeq]++
		if !failed[f.TokenSeq] {
			v.out.add("failures", row.Number, "failure %s is open and token %d has not failed", f.ID, f.TokenSeq)
		}
	}
	for _, t := range p.tokens[row.ID] {
		if n := open[t.Seq]; failed[t.Seq] && n != 1 {
			v.out.add("failures", row.Number, "token %d has failed and has %d open failures, want 1", t.Seq, n)
		}
	}
}

// verifyCalls checks both ends of the calls of a case.
func (v *verifier) verifyCalls(p *page, row *ent.ServiceCase) {
	running, answered := map[int]int{}, map[int]bool{} // by token
	for _, c := range p.called[row.ID] {
		if c.CallerToken > 0 && c.State == servicecase.StateActive {
			running[c.CallerToken]++
		} else if v.notes.answers[c.ID] > 0 {
			answered[c.CallerToken] = true
		}
	}
	for _, t := range p.tokens[row.ID] {
		if t.State != string(engine.Calling) {
			continue
		}
		at := call{row.ID, t.Seq}
		n := running[t.Seq] + v.notes.calls[at] - v.notes.uncalls[at]
		if n != 1 && !(n == 0 && answered[t.Seq]) { // beside a case that runs, an answer is one from before
			v.out.add("calls", row.Number, "token %d waits for one called case, and %d are there", t.Seq, n)
		}
	}
	if row.CallerID == nil || row.CallerToken == 0 || row.State != servicecase.StateActive {
		return
	}
	if !p.calling[*row.CallerID][row.CallerToken] && v.notes.uncalls[call{*row.CallerID, row.CallerToken}] == 0 {
		v.out.add("calls", row.Number, "the case runs and token %d of its caller does not wait for it", row.CallerToken)
	}
}

func (v *verifier) verifyBreaches(p *page, row *ent.ServiceCase) {
	opened := map[string]int{} // corrective case → breaches that name it
	for _, b := range p.breaches[row.ID] {
		n := v.notes.corrections[b.ID]
		if b.CorrectiveCaseID != nil {
			opened[*b.CorrectiveCaseID]++
			n++
		}
		if b.CorrectiveError != "" {
			n++
		}
		if want := min(len(b.CorrectiveProcess), 1); n != want {
			v.out.add("breaches", row.Number, "what the breach of %s asks for was done %d times, want %d", b.IndicatorCode, n, want)
		}
	}
	for _, c := range p.called[row.ID] {
		if c.CallerToken == 0 && opened[c.ID] != 1 {
			v.out.add("breaches", row.Number, "corrective case %s is named by %d breaches, want 1", c.Number, opened[c.ID])
		}
		delete(opened, c.ID)
	}
	for _, b := range p.breaches[row.ID] {
		if b.CorrectiveCaseID != nil && opened[*b.CorrectiveCaseID] > 0 {
			v.out.add("breaches", row.Number, "the breach of %s names corrective case %s, which it has not opened", b.IndicatorCode, *b.CorrectiveCaseID)
		}
	}
}
