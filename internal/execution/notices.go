package execution

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/notice"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
)

// A notice is written in the transaction of the task that causes it and sent
// afterwards by whichever node is first. Its address stays in the case: it is read
// when the notice is sent, and nobody but the gateway is told it.

// Letter is a notice as a gateway gets it. The same ID is the same letter, however
// often it comes: it may be handed over again after a crash.
type Letter struct {
	ID        string    `json:"id"`
	Channel   string    `json:"channel"`
	Address   string    `json:"address"`
	Text      string    `json:"text"`
	Case      string    `json:"case"`   // number
	Region    string    `json:"region"` // path
	CreatedAt time.Time `json:"createdAt"`
}

// Messenger hands letters to a gateway. What it returns is kept as a receipt. An
// error of kind Unavailable is tried again later, any other ends the notice.
type Messenger interface {
	Send(ctx context.Context, l Letter) (receipt string, err error)
}

const (
	noticeLease    = 8 * time.Second // of one attempt, renewed by BeatNotices; a node that dies leaves its notices to others
	noticeRenew    = 6 * time.Second // a lease that ends sooner is renewed
	noticeAttempts = 12
	noticeBatch    = 50
)

// addresses are the forms of the channels that have one.
var addresses = map[string]*regexp.Regexp{
	"sms":   regexp.MustCompile(`^\+?[0-9][0-9 -]{3,18}[0-9]$`),
	"email": regexp.MustCompile(`^[^@\s]+@[^@\s]+$`),
}

// notify writes the notices that come with the completion of a task.
func (f *file) notify(ctx context.Context, taskID string, list []*NoticeItem) error {
	for i, n := range list {
		v, ok := f.model.Variable(n.To)
		if !ok || v.Type != expr.String {
			return fault.E(fault.Invalid, "NOTICE_RECIPIENT_UNKNOWN", fault.P("variable", n.To)).At("input", "notices", strconv.Itoa(i), "to")
		}
		row, err := f.unit.Notice.Create().SetCaseID(f.row.ID).SetTaskID(taskID).SetChannel(n.Channel).SetRecipient(n.To).SetText(n.Text).
			SetNextAt(f.unit.Now).SetRegionID(f.row.RegionID).SetRegionPath(f.row.RegionPath).SetCreatedAt(f.unit.Now).Save(access.Elevated(ctx))
		if err != nil {
			return fmt.Errorf("write a notice: %w", err)
		}
		f.unit.Changed(store.Change{Kind: "notice", ID: row.ID, CaseID: f.row.ID, RegionPath: f.row.RegionPath})
	}
	return nil
}

// SendNotices hands the notices that are due to the messenger, the oldest first, and
// returns how many it has handed over. What fails is tried again later, each time
// after twice as long. Several nodes may send at once: an attempt is one node's.
func (r *Room) SendNotices(ctx context.Context, m Messenger) (int, error) {
	ctx = access.With(ctx, access.System("notices"))
	sent, failed := 0, error(nil)
	for {
		rows, err := r.claimNotices(ctx)
		if err != nil || len(rows) == 0 {
			return sent, errors.Join(failed, err)
		}
		for _, row := range rows {
			receipt, err := r.send(ctx, m, row)
			if ctx.Err() != nil {
				r.onTheirWay.drop(rows...)
				return sent, ctx.Err() // the lease ends and it is handed over again, under the same id
			}
			r.onTheirWay.drop(row)
			if err := r.handed(ctx, row, receipt, err); err != nil {
				failed = errors.Join(failed, fmt.Errorf("notice %s: %w", row.ID, err))
			}
			if err == nil {
				sent++
			}
		}
	}
}

// claimNotices takes the notices that are due for the length of a lease.
func (r *Room) claimNotices(ctx context.Context) ([]*ent.Notice, error) {
	due, err := r.door.Store.Client().Notice.Query().Where(notice.StateEQ(notice.StateQueued), notice.NextAtLTE(r.door.Clock.Now())).
		Order(notice.ByNextAt(), notice.ByID()).Limit(noticeBatch).WithCase().All(ctx)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	cmd := command.Command{Operation: "claimNotices", Input: len(due)}
	mine, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) ([]*ent.Notice, error) {
		mine := []*ent.Notice{}
		for _, row := range due {
			n, err := u.Notice.Update().Where(notice.ID(row.ID), notice.StateEQ(notice.StateQueued), notice.Attempts(row.Attempts), notice.NextAtLTE(u.Now)).
				AddAttempts(1).SetNextAt(u.Now.Add(noticeLease)).Save(access.Elevated(ctx))
			if err != nil {
				return nil, fmt.Errorf("claim a notice: %w", err)
			}
			if n > 0 {
				mine = append(mine, row)
			}
		}
		u.Note("notices", len(mine))
		return mine, nil
	})
	for _, row := range mine {
		row.Attempts++
	}
	r.onTheirWay.put(r.door.Clock.Now().Add(noticeLease), mine...)
	return mine, err
}

// way is what a node has claimed and not handed over yet.
type way struct {
	mu    sync.Mutex
	until map[string]time.Time
	rows  map[string]*ent.Notice
}

func (w *way) put(until time.Time, rows ...*ent.Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows == nil {
		w.rows, w.until = map[string]*ent.Notice{}, map[string]time.Time{}
	}
	for _, row := range rows {
		w.rows[row.ID], w.until[row.ID] = row, until
	}
}

func (w *way) drop(rows ...*ent.Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, row := range rows {
		delete(w.rows, row.ID)
		delete(w.until, row.ID)
	}
}

// ending are those whose lease ends before an instant.
func (w *way) ending(before time.Time) (out []*ent.Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, row := range w.rows {
		if w.until[id].Before(before) {
			out = append(out, row)
		}
	}
	return out
}

// renewed notes a lease that was renewed, of a notice that has not been handed over meanwhile.
func (w *way) renewed(row *ent.Notice, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows[row.ID] == row {
		w.until[row.ID] = until
	}
}

// BeatNotices renews the leases of the notices that this node is sending, as the
// server asks each second: a node that does not any more leaves them to others.
func (r *Room) BeatNotices(ctx context.Context) error {
	rows := r.onTheirWay.ending(r.door.Clock.Now().Add(noticeRenew))
	if len(rows) == 0 {
		return nil
	}
	ctx = access.With(ctx, access.System("notices"))
	until, err := command.Run(ctx, r.door, command.Command{Operation: "renewNotices", Input: len(rows)}, func(ctx context.Context, u *command.Unit) (time.Time, error) {
		u.Recorded() // a lease is no decision
		until := u.Now.Add(noticeLease)
		for _, row := range rows {
			// A pause that handed has written meanwhile is later and stays.
			err := u.Notice.Update().Where(notice.ID(row.ID), notice.StateEQ(notice.StateQueued), notice.Attempts(row.Attempts), notice.NextAtLT(until)).
				SetNextAt(until).Exec(access.Elevated(ctx))
			if err != nil {
				return until, fmt.Errorf("renew the lease of a notice: %w", err)
			}
		}
		return until, nil
	})
	if err != nil {
		return err
	}
	for _, row := range rows {
		r.onTheirWay.renewed(row, until)
	}
	return nil
}

// send reads the address from the case and hands the letter over.
func (r *Room) send(ctx context.Context, m Messenger, row *ent.Notice) (string, error) {
	c := row.Edges.Case
	address, _ := model.Get(c.Variables, row.Recipient).(string)
	address = strings.TrimSpace(address)
	if address == "" {
		return "", fault.E(fault.Precondition, "NOTICE_ADDRESS_MISSING", fault.P("variable", row.Recipient))
	}
	if form := addresses[row.Channel]; form != nil && !form.MatchString(address) {
		return "", fault.E(fault.Precondition, "NOTICE_ADDRESS_MALFORMED", fault.P("variable", row.Recipient), fault.P("channel", row.Channel))
	}
	return m.Send(ctx, Letter{ID: row.ID, Channel: row.Channel, Address: address, Text: row.Text, Case: c.Number, Region: row.RegionPath, CreatedAt: row.CreatedAt})
}

// handed writes down what became of an attempt, if it is still this node's.
func (r *Room) handed(ctx context.Context, row *ent.Notice, receipt string, failed error) error {
	cmd := command.Command{Operation: "sendNotice", Input: row.ID}
	_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(row.ID, row.RegionPath)
		c := u.Notice.Update().Where(notice.ID(row.ID), notice.StateEQ(notice.StateQueued), notice.Attempts(row.Attempts))
		switch f := fault.From(failed); {
		case failed == nil:
			c.SetState(notice.StateSent).SetEndedAt(u.Now).SetNextAt(schema.Far).SetCode("").SetReceipt(short(receipt, 200))
		case f.Kind == fault.Unavailable && row.Attempts < noticeAttempts:
			c.SetCode(f.Code).SetNextAt(u.Now.Add(min(5*time.Second<<min(row.Attempts-1, 12), time.Hour)))
		default:
			c.SetState(notice.StateFailed).SetEndedAt(u.Now).SetNextAt(schema.Far).SetCode(f.Code)
		}
		n, err := c.Save(access.Elevated(ctx))
		if err == nil && n > 0 {
			u.Changed(store.Change{Kind: "noticed", ID: row.ID, CaseID: row.CaseID, RegionPath: row.RegionPath})
		}
		return row.ID, err
	})
	return err
}

// short cuts a text of somebody else's to so many bytes.
func short(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}

// RetryNotice queues a failed notice again. Errors: NOTICE_NOT_FOUND, NOTICE_STATE,
// ACTION_FORBIDDEN.
func (r *Room) RetryNotice(ctx context.Context, in JudgeNotice) (string, error) {
	return r.onNotice(ctx, "retryNotice", in, notice.StateFailed, func(u *command.Unit, c *ent.NoticeUpdate) {
		c.SetState(notice.StateQueued).SetAttempts(0).SetNextAt(u.Now).ClearEndedAt().SetCode("")
	})
}

// CancelNotice keeps a notice from being sent. One that is on its way to the gateway
// at this moment may have been sent all the same. Errors as of RetryNotice.
func (r *Room) CancelNotice(ctx context.Context, in JudgeNotice) (string, error) {
	return r.onNotice(ctx, "cancelNotice", in, notice.StateQueued, func(u *command.Unit, c *ent.NoticeUpdate) {
		c.SetState(notice.StateCancelled).SetNextAt(schema.Far).SetEndedAt(u.Now)
	})
}

func (r *Room) onNotice(ctx context.Context, operation string, in JudgeNotice, from notice.State, change func(*command.Unit, *ent.NoticeUpdate)) (string, error) {
	cmd := command.Command{Operation: operation, Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		row, err := u.Notice.Query().Where(notice.ID(in.NoticeID)).Only(store.Locking(ctx))
		if err != nil {
			return "", notFound(err, "NOTICE_NOT_FOUND", in.NoticeID, "noticeID")
		}
		u.On(row.ID, row.RegionPath)
		if err := u.Require(access.ResolveFailure, row.RegionPath); err != nil {
			return "", err
		}
		if row.State != from {
			return "", fault.E(fault.Precondition, "NOTICE_STATE", fault.P("want", string(from)), fault.P("have", string(row.State))).At("input", "noticeID")
		}
		u.Note("reason", in.Reason)
		c := u.Notice.Update().Where(notice.ID(row.ID)).SetReason(in.Reason)
		change(u, c)
		u.Changed(store.Change{Kind: "notice", ID: row.ID, CaseID: row.CaseID, RegionPath: row.RegionPath})
		return row.ID, c.Exec(access.Elevated(ctx))
	})
}
