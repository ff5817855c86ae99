package execution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/batch"
	"github.com/openspms/spms/ent/batchitem"
	"github.com/openspms/spms/ent/failure"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
)

// How a node carries batches out. It claims one for a turn, under a lease that it
// renews with every slice, and the claim raises the fence. Each item is decided in a
// command of its own, which holds the batch's row: a node whose fence has been passed,
// or whose batch has been cancelled, finds that out there and writes nothing. An item
// that is refused, or only tried, has changed nothing; it is written down with its
// slice, and tried again when the node dies before.
const (
	batchLease = 7 * time.Second // with a turn and the pause between two looks, less than ten until another node takes over
	batchSlice = 32              // items between two renewals
	batchPage  = 500             // items listed between two renewals
	batchTurn  = time.Second     // until the next batch has its turn
	maxStalls  = 10              // turns without a slice
)

// errPassed tells that a batch is not this node's any more, or has ended.
var errPassed = errors.New("the batch is another node's or has ended")

// CarryBatches carries out the batches that wait or whose node is gone, in turns and
// until none is left, and returns how many items it has decided. side is how many
// cases are worked on side by side; with one, everything happens in a fixed order.
// Any number of nodes may do it at once. What cannot be gone on with now is left for
// its lease and holds up no other.
func (r *Room) CarryBatches(ctx context.Context, side int) (int, error) {
	ctx = access.With(ctx, access.System("batch"))
	done := 0
	var failed []error
	for {
		p, err := r.claimBatch(ctx)
		if err != nil || p == nil {
			return done, errors.Join(append(failed, err)...)
		}
		n, err := r.turn(ctx, p, side)
		done += n
		switch {
		case ctx.Err() != nil:
			return done, ctx.Err() // the lease ends and another node goes on
		case err != nil && !errors.Is(err, errPassed):
			failed = append(failed, fmt.Errorf("batch %s: %w", p.ID, err))
		}
	}
}

// claimBatch takes the batch that has waited longest for its turn; nil when none does.
func (r *Room) claimBatch(ctx context.Context) (*plan, error) {
	row, err := r.door.Store.Client().Batch.Query().
		Where(batch.StateIn(batch.StateQueued, batch.StateRunning), batch.LeaseUntilLTE(r.door.Clock.Now())).
		Order(batch.ByLeaseUntil(), batch.ByID()).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find a batch: %w", err)
	}
	lost := row.Stalls >= maxStalls
	mine, err := command.Run(ctx, r.door, command.Command{Operation: "claimBatch", Input: row.ID}, func(ctx context.Context, u *command.Unit) (bool, error) {
		u.On(row.ID, row.RegionPath)
		c := u.Batch.Update().Where(batch.ID(row.ID), batch.Fence(row.Fence), batch.StateEQ(row.State)).
			AddFence(1).AddStalls(1).SetState(batch.StateRunning).SetLeaseUntil(u.Now.Add(batchLease))
		if row.BeganAt == nil {
			c.SetBeganAt(u.Now)
		}
		if lost {
			c.SetState(batch.StateFailed).SetCode("BATCH_LOST").SetEndedAt(u.Now).SetLeaseUntil(schema.Far)
		}
		n, err := c.Save(ctx)
		if n > 0 {
			u.Changed(store.Change{Kind: "batched", ID: row.ID, RegionPath: row.RegionPath})
		}
		return n > 0 && !lost, err
	})
	if err != nil || !mine {
		return nil, err
	}
	if row, err = r.door.Store.Client().Batch.Get(ctx, row.ID); err != nil {
		return nil, fmt.Errorf("read a batch: %w", err)
	}
	return planOf(row)
}

// turn works on a batch for a while, slice by slice, and returns how many items it
// has decided.
func (r *Room) turn(ctx context.Context, p *plan, side int) (int, error) {
	decided := 0
	began := r.door.Clock.Now()
	for last := false; !last && p.State == batch.StateRunning; {
		if err := ctx.Err(); err != nil {
			return decided, err
		}
		last = r.door.Clock.Now().Sub(began) >= batchTurn
		if !p.Listed {
			if err := r.listItems(ctx, p, last); err != nil {
				return decided, err
			}
			continue
		}
		n, err := r.slice(ctx, p, side, last)
		decided += n
		if err != nil {
			return decided, err
		}
	}
	return decided, nil
}

// advance writes how far a batch is, if it is still this node's. The lease is renewed,
// or given up after the last slice of a turn.
func (r *Room) advance(ctx context.Context, u *command.Unit, p *plan, last bool, set func(*ent.BatchUpdate)) error {
	u.On(p.ID, p.RegionPath)
	c := u.Batch.Update().Where(batch.ID(p.ID), batch.Fence(p.Fence), batch.StateEQ(batch.StateRunning)).SetStalls(0).SetLeaseUntil(u.Now.Add(batchLease))
	if last {
		c.SetLeaseUntil(u.Now)
	}
	set(c)
	n, err := c.Save(ctx)
	if err != nil {
		return fmt.Errorf("write how far a batch is: %w", err)
	}
	if n == 0 {
		return errPassed
	}
	u.Changed(store.Change{Kind: "batched", ID: p.ID, RegionPath: p.RegionPath})
	return nil
}

// listItems writes the next items of a batch down.
func (r *Room) listItems(ctx context.Context, p *plan, last bool) error {
	type listing struct {
		Cursor   string
		Complete bool
		Total    int
	}
	l, err := command.Run(ctx, r.door, command.Command{Operation: "listBatch", Input: p.ID}, func(ctx context.Context, u *command.Unit) (listing, error) {
		l := listing{Cursor: p.Cursor, Total: p.Total}
		rows, err := p.choose(ctx, u.Client, p.Cursor, batchPage)
		if err != nil {
			return l, err
		}
		items := make([]*ent.BatchItemCreate, len(rows))
		for i, row := range rows {
			items[i] = u.BatchItem.Create().SetBatchID(p.ID).SetCaseID(row.caseID).SetSubject(row.subject).SetRegionID(p.RegionID).SetRegionPath(p.RegionPath).SetCreatedAt(u.Now)
			l.Cursor = row.subject
		}
		if err := u.BatchItem.CreateBulk(items...).Exec(ctx); err != nil {
			return l, fmt.Errorf("write the items of a batch: %w", err)
		}
		if l.Complete = len(rows) < batchPage; l.Complete {
			l.Cursor = ""
			if l.Total, err = u.BatchItem.Query().Where(batchitem.BatchID(p.ID)).Count(ctx); err != nil {
				return l, fmt.Errorf("count the items of a batch: %w", err)
			}
		}
		return l, r.advance(ctx, u, p, last, func(c *ent.BatchUpdate) {
			c.SetCursor(l.Cursor).SetListed(l.Complete).SetTotal(l.Total)
		})
	})
	if err == nil {
		p.Cursor, p.Listed, p.Total = l.Cursor, l.Complete, l.Total
	}
	return err
}

// decision is what became of an item. One that is kept stands in the database with
// the work that was done.
type decision struct {
	item    *ent.BatchItem
	outcome batchitem.Outcome
	code    string
	zh, en  string
	kept    bool
	err     error // it could not be decided
}

// slice decides the next items of a batch and writes down how far it is; after the
// last one the batch is done. It returns how many items it has decided.
func (r *Room) slice(ctx context.Context, p *plan, side int, last bool) (int, error) {
	items, err := r.door.Store.Client().BatchItem.Query().Where(batchitem.BatchID(p.ID), batchitem.SubjectGT(p.Cursor)).
		Order(batchitem.BySubject()).Limit(batchSlice).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the items of a batch: %w", err)
	}
	found, err := r.decideAll(ctx, p, items, side)
	if err != nil {
		return 0, err
	}
	next := *p.Batch
	for _, d := range found {
		next.Cursor = d.item.Subject
		if d.outcome == batchitem.OutcomeSucceeded {
			next.Succeeded++
		} else {
			next.Refused++
		}
	}
	if len(items) < batchSlice {
		next.State = batch.StateDone
	}
	_, err = command.Run(ctx, r.door, command.Command{Operation: "advanceBatch", Input: p.ID}, func(ctx context.Context, u *command.Unit) (int, error) {
		err := r.advance(ctx, u, p, last, func(c *ent.BatchUpdate) {
			c.SetCursor(next.Cursor).SetDone(next.Succeeded + next.Refused).SetSucceeded(next.Succeeded).SetRefused(next.Refused).SetState(next.State)
			if next.State == batch.StateDone {
				c.SetEndedAt(u.Now).SetLeaseUntil(schema.Far)
			}
		})
		for _, d := range found {
			if err == nil && !d.kept {
				err = d.keep(ctx, u)
			}
		}
		return len(found), err
	})
	if err != nil {
		return 0, err
	}
	p.Batch = &next
	return len(found), nil
}

// keep writes an item down that nobody has decided before.
func (d *decision) keep(ctx context.Context, u *command.Unit) error {
	n, err := u.BatchItem.Update().Where(batchitem.ID(d.item.ID), batchitem.OutcomeEQ(batchitem.OutcomeWaiting)).
		SetOutcome(d.outcome).SetCode(d.code).SetTextZh(d.zh).SetTextEn(d.en).SetDecidedAt(u.Now).Save(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("write an item of a batch: %w", err)
	}
	if n == 0 {
		return errPassed
	}
	return nil
}

// decideAll decides items in the name of who started the batch: those of one case in
// their order, those of several side by side. When one cannot be decided, none is
// begun after it.
func (r *Room) decideAll(ctx context.Context, p *plan, items []*ent.BatchItem, side int) ([]*decision, error) {
	found := make([]*decision, len(items))
	var cases [][]*decision
	at := map[string]int{}
	for i, item := range items {
		found[i] = &decision{item: item, outcome: item.Outcome, kept: item.Outcome != batchitem.OutcomeWaiting}
		if found[i].kept {
			continue // by a node that died before it had written how far it was
		}
		n, known := at[item.CaseID]
		if !known {
			n = len(cases)
			at[item.CaseID] = n
			cases = append(cases, nil)
		}
		cases[n] = append(cases[n], found[i])
	}
	v, gone := r.staffing.ViewerByID(ctx, p.StartedBy, r.door.Clock.Now())
	if gone != nil && fault.KindOf(gone) != fault.Unauthenticated {
		return nil, gone
	}
	var stopped atomic.Bool
	abreast(side, len(cases), func(i int) {
		for _, d := range cases[i] {
			if stopped.Load() {
				d.err = errPassed
				return
			}
			if d.take(gone); gone == nil {
				r.decide(access.With(ctx, v), p, d)
			}
			if d.err != nil {
				stopped.Store(true)
				return
			}
		}
	})
	// What went wrong first counts, not that others were not begun for it.
	for _, passed := range []bool{false, true} {
		i := slices.IndexFunc(found, func(d *decision) bool { return d.err != nil && errors.Is(d.err, errPassed) == passed })
		if i >= 0 {
			return nil, found[i].err
		}
	}
	return found, nil
}

// decide does with one item what its batch asks for, and writes the item down in the
// same transaction.
func (r *Room) decide(ctx context.Context, p *plan, d *decision) {
	d.kept = !p.Preview
	cmd := command.Command{Operation: operations[p.Action], Input: map[string]string{"batch": p.ID, "item": d.item.ID}}
	_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		if err := p.held(ctx, u); err != nil {
			return "", err
		}
		u.Note("batch", p.ID)
		text, err := r.act(ctx, u, p, d.item)
		if err != nil {
			return "", err
		}
		d.outcome, d.zh, d.en = batchitem.OutcomeSucceeded, text, text
		if p.Preview {
			return "", errPreview
		}
		return "", d.keep(ctx, u)
	})
	switch {
	case err == nil, errors.Is(err, errPreview):
	case errors.Is(err, errPassed), ctx.Err() != nil, fault.KindOf(err) == fault.Unavailable:
		d.err = err
	default:
		d.take(err)
		if fault.KindOf(err) == fault.Internal && r.door.Log != nil {
			r.door.Log.Error("decide an item of a batch", "batch", p.ID, "item", d.item.ID, "err", err)
		}
	}
}

// take refuses an item for an error; nil leaves it as it is.
func (d *decision) take(err error) {
	if err == nil {
		return
	}
	e := fault.From(err)
	d.outcome, d.kept, d.code = batchitem.OutcomeRefused, false, e.Code
	d.zh, d.en = fault.Text(fault.ZH, e), fault.Text(fault.EN, e)
}

// held makes sure inside a command that a batch is this node's, and that it stays so
// until the command ends.
func (p *plan) held(ctx context.Context, u *command.Unit) error {
	_, err := u.Batch.Query().Where(batch.ID(p.ID), batch.Fence(p.Fence), batch.StateEQ(batch.StateRunning)).Only(store.Holding(access.Elevated(ctx)))
	if ent.IsNotFound(err) {
		return errPassed
	}
	if err != nil {
		return fmt.Errorf("hold a batch: %w", err)
	}
	return nil
}

// operations are the names under which the items of batches are audited: those of the
// mutations that do the same to one.
var operations = map[batch.Action]string{
	batch.ActionRetry: "retryFailure", batch.ActionSkip: "skipFailure", batch.ActionMove: "moveToken",
	batch.ActionSetVariables: "setCaseVariables", batch.ActionCancel: "cancelCase", batch.ActionMigrate: "migrateCase",
}

// act does, inside a command, with one failure or case what a batch asks for. What it
// returns is told with the item.
func (r *Room) act(ctx context.Context, u *command.Unit, p *plan, item *ent.BatchItem) (text string, err error) {
	vars := p.request.Variables
	switch p.Action {
	case batch.ActionRetry:
		_, err = r.retry(ctx, u, RetryFailure{FailureID: item.Subject, Reason: p.Reason, Variables: vars})
	case batch.ActionSkip:
		_, err = r.skip(ctx, u, SkipFailure{FailureID: item.Subject, Reason: p.Reason, Variables: vars})
	case batch.ActionMove:
		_, err = r.onFailure(ctx, u, item.Subject, p.Reason, failure.StateMoved, func(ctx context.Context, f *file, row *ent.Failure) error {
			return f.move(ctx, MoveToken{Token: row.TokenSeq, ToNodeID: p.request.ToNodeID, Reason: p.Reason, Variables: vars})
		})
	case batch.ActionSetVariables:
		_, err = r.setVariables(ctx, u, SetCaseVariables{CaseID: item.CaseID, Variables: vars, Reason: p.Reason}, p.fails)
	case batch.ActionCancel:
		_, err = r.cancel(ctx, u, CancelCase{CaseID: item.CaseID, Reason: p.Reason}, p.fails)
	case batch.ActionMigrate:
		return r.migrateItem(ctx, u, p, item)
	}
	return "", err
}

// migrateItem moves one case and says where its tokens go.
func (r *Room) migrateItem(ctx context.Context, u *command.Unit, p *plan, item *ent.BatchItem) (string, error) {
	moved, err := r.migrateOpen(ctx, u, p.request.mapping(), item.CaseID, p.Reason)
	text := ""
	for _, m := range moved {
		if text != "" {
			text += ", "
		}
		text += m.From + " → " + m.To
	}
	return text, err
}
