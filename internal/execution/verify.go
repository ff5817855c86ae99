package execution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/servicecase"
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

// Check narrows or widens what Verify looks at.
type Check func(*checks)

type checks struct {
	only   []string  // cases; nil: all of them, and the keys
	atRest time.Time // what was due by then is done; zero: nothing is asked
}

// OnlyCases lets Verify look at some cases and at nothing else.
func OnlyCases(ids []string) Check {
	return func(c *checks) { c.only = slices.Sorted(slices.Values(ids)) }
}

// AtRest lets Verify ask that what was due by an instant is done.
func AtRest(by time.Time) Check { return func(c *checks) { c.atRest = by } }

// Bounds of what is read at a time.
const (
	verifyPage   = 200  // cases
	verifyEvents = 5000 // their events, unless a single case has more
	verifyRows   = 2000 // rows of other kinds
)

// Verify checks the invariants of the database and returns what does not hold:
//
//	history   the events of a case, applied again, give its stored state
//	tokens    an active case has at least one, an ended one has none
//	tasks     an open task belongs to a token that waits for one, and each such token has one;
//	          it is due when the earliest binding clock of its case is
//	leases    only an unclaimed service task is lent, and for a day at most
//	timers    each has fired at most once; one that waits belongs to a token, and none waits in an ended case
//	clocks    none runs in an ended case; a breached one has exactly one breach row; one stands still
//	          while it has an open pause and has stood as long as its pauses say
//	failures  each failed token has exactly one open failure, and each open failure such a token
//	calls     each token that calls is called for by a note, or has one case that runs, or one whose answer is
//	          on its way; no called case runs for which nobody waits
//	breaches  what a breach asks for was opened once, refused, or is on its way
//	notes     each is of a kind that is carried out and of a case that is there
//	audit     each event has the audit entry of its command
//	keys      each acknowledged key has exactly one applied audit entry
//	batches   a batch that is done has its items, each subject once; its counts are those of the items
//	starts    of a bound timer start event at most one timer waits; one that has fired has either started a
//	          case, of its process and of its instant and nobody else's, or says why not
//	due       nothing is due and not done (only with AtRest)
//
// The database should be at rest. ctx must be the server's own. Cost: linear in
// the events; a dozen statements for 200 cases; some 40 bytes of memory for each key and start timer.
func (r *Room) Verify(ctx context.Context, progress func(done, all int), how ...Check) (*Report, error) {
	var c checks
	for _, h := range how {
		h(&c)
	}
	v := &verifier{room: r, client: r.door.Store.Client(), out: &Report{}, checks: c, now: r.door.Clock.Now()}
	if err := v.loadNotes(ctx); err != nil {
		return nil, err
	}
	if err := v.cases(ctx, progress); err != nil {
		return nil, err
	}
	if c.only != nil {
		return v.out, nil
	}
	v.verifyNotes()
	if err := errors.Join(v.verifyKeys(ctx), v.verifyStarts(ctx), r.verifyBatches(ctx, v.client, v.out)); err != nil {
		return nil, err
	}
	if c.atRest.IsZero() {
		return v.out, nil
	}
	return v.out, errors.Join(v.verifyRest(ctx), v.restStarts(ctx))
}

// verifier is one run of Verify.
type verifier struct {
	checks
	room   *Room
	client *ent.Client
	out    *Report
	now    time.Time
	notes  notes
}

// cases verifies the cases page by page.
func (v *verifier) cases(ctx context.Context, progress func(done, all int)) error {
	all, left := len(v.only), v.only
	if v.only == nil {
		var err error
		if all, err = v.client.ServiceCase.Query().Count(ctx); err != nil {
			return fmt.Errorf("count the cases: %w", err)
		}
	}
	last := ""
	for {
		q := v.client.ServiceCase.Query().Order(ent.Asc(servicecase.FieldID)).Limit(verifyPage)
		if v.only == nil {
			q.Where(servicecase.IDGT(last))
		} else {
			n := min(len(left), verifyPage)
			if n == 0 {
				return nil
			}
			q.Where(servicecase.IDIn(padded(left[:n])...))
			left = left[n:]
		}
		rows, err := q.All(ctx)
		if err != nil {
			return fmt.Errorf("read cases: %w", err)
		}
		for _, part := range byEvents(rows) {
			if err := v.page(ctx, part); err != nil {
				return err
			}
			progress(v.out.Cases, all)
		}
		if v.only == nil && len(rows) < verifyPage {
			return nil
		}
		if len(rows) > 0 {
			last = rows[len(rows)-1].ID
		}
	}
}

// byEvents divides cases so that the histories of each part fit into memory.
func byEvents(rows []*ent.ServiceCase) [][]*ent.ServiceCase {
	var out [][]*ent.ServiceCase
	events := 0
	for i, row := range rows {
		if i == 0 || events+row.Revision > verifyEvents {
			out, events = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], row)
		events += row.Revision
	}
	return out
}

// page verifies some cases.
func (v *verifier) page(ctx context.Context, rows []*ent.ServiceCase) error {
	p, err := v.load(ctx, rows)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := v.verifyCase(ctx, p, row); err != nil {
			return fmt.Errorf("verify case %s: %w", row.Number, err)
		}
		v.out.Cases++
	}
	return v.verifyAudit(ctx, p)
}

// verifyCase checks one case, the rows of which are in the page.
func (v *verifier) verifyCase(ctx context.Context, p *page, row *ent.ServiceCase) error {
	events := p.events[row.ID]
	v.out.Events += len(events)
	v.verifyStanding(p, row)
	if len(events) != row.Revision {
		v.out.add("history", row.Number, "the case is at revision %d with %d events", row.Revision, len(events))
	}
	h, err := v.room.beginning(ctx, v.client, row, events)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := h.apply(ctx, e); err != nil {
			v.out.add("history", row.Number, "event %d cannot be applied again: %v", e.Seq, err)
			return nil
		}
		if d := engine.Digest(h.model, &h.state); d != e.StateDigest {
			v.out.add("history", row.Number, "event %d gives another state than it did", e.Seq)
			return nil
		}
	}
	if h.version != row.VersionID {
		v.out.add("history", row.Number, "the history ends in version %s, the case is in %s", h.version, row.VersionID)
		return nil
	}
	if row.State != servicecase.StateActive {
		return nil
	}
	f := &file{room: v.room, row: row, model: h.model, tokens: map[int]string{}, timers: map[int]*ent.TimerRow{}}
	if err := f.restore(p.tokens[row.ID], p.waiting(row.ID)); err != nil {
		v.out.add("history", row.Number, "the stored state cannot be read: %v", err)
		return nil
	}
	if engine.Digest(f.model, &f.state) != engine.Digest(f.model, &h.state) {
		v.out.add("history", row.Number, "the stored state differs from what the history gives")
	}
	return nil
}
