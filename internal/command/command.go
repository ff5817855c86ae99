// Package command is the one write path of the house: who is asking → has this
// key been answered already → the room's work → the audit row, all in one
// transaction. Its main types are Door, Command and Unit. It knows no entity but
// the idempotency key and the audit entry.
package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/auditentry"
	"github.com/openspms/spms/ent/idempotencykey"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// Door is where commands enter: the database and the clock they act by.
type Door struct {
	Store *store.Store
	Clock clock.Clock
	Log   *slog.Logger
}

// Command names one mutation. Key is the client's idempotency key, "" without;
// Input is hashed, so that the same key with another input is refused.
type Command struct {
	Operation string
	Key       string
	Input     any
	Ahead     bool // the work may run beside other commands, as Store.WriteAhead says
}

// Unit is what a room works with inside a command.
type Unit struct {
	*store.Tx
	Viewer *access.Viewer
	Now    time.Time

	store   *store.Store
	place   func(path string) fault.Param // names a region in the words of a refusal
	subject string
	region  string
	detail  map[string]any
	changes []store.Change
	quiet   bool
}

// maxKey is the longest idempotency key, in bytes.
const maxKey = 128

// Run runs work as one command and returns its result once it is on disk. A
// repeated key returns the first answer without running work again. The result
// must survive JSON: it is kept with the key. Refusals for want of rights or
// qualification leave an audit row and nothing else.
//
// Errors: VIEWER_UNKNOWN, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_TOO_LONG,
// those of work, and UNAVAILABLE kinds when the commit's fate is unknown.
func Run[T any](ctx context.Context, d *Door, c Command, work func(ctx context.Context, u *Unit) (T, error)) (T, error) {
	var zero, result T
	v := access.From(ctx)
	if v == nil {
		return zero, fault.E(fault.Unauthenticated, "VIEWER_UNKNOWN")
	}
	if len(c.Key) > maxKey {
		return zero, fault.E(fault.Invalid, "IDEMPOTENCY_KEY_TOO_LONG", fault.P("max", maxKey)).At("input", "idempotencyKey")
	}
	hash, err := inputHash(c)
	if err != nil {
		return zero, err
	}
	var unit *Unit
	write := d.Store.Write
	if c.Ahead {
		write = d.Store.WriteAhead
	}
	err = write(ctx, func(ctx context.Context, tx *store.Tx) error {
		result = zero
		unit = &Unit{
			Tx: tx, Viewer: v, Now: d.Clock.Now(), store: d.Store,
			place: func(path string) fault.Param { return RegionLabel(ctx, tx.Client, path) },
		}
		answered, err := replay(ctx, unit, c, hash, &result)
		if err != nil || answered {
			return err
		}
		if result, err = work(ctx, unit); err != nil {
			return err
		}
		return seal(ctx, unit, c, hash, result)
	})
	if err != nil {
		if fault.KindOf(err) == fault.Forbidden {
			d.recordRefusal(ctx, c, hash, unit, fault.From(err))
		}
		return zero, err
	}
	return result, nil
}

// Require refuses unless the viewer may do a in the region of path.
func (u *Unit) Require(a access.Action, path string) error {
	if u.region == "" {
		u.region = path
	}
	if u.Viewer.May(a, path) {
		return nil
	}
	return fault.E(fault.Forbidden, "ACTION_FORBIDDEN", ActionLabel(a), u.place(path))
}

// ActionLabel names an action in the text of an error, as its parameter "action".
func ActionLabel(a access.Action) fault.Param {
	zh, en := a.Label()
	return fault.P("action", fault.Label{ZH: zh, EN: en})
}

// RegionLabel names the region of a path in the text of an error, as its
// parameter "region"; one that the viewer does not see is named by its code.
func RegionLabel(ctx context.Context, client *ent.Client, path string) fault.Param {
	if row, err := client.Region.Query().Where(region.RegionPath(path)).Only(ctx); err == nil {
		return fault.P("region", fault.Label{ZH: row.NameZh, EN: row.NameEn})
	}
	codes := strings.Split(strings.TrimSuffix(path, "/"), "/")
	return fault.P("region", codes[len(codes)-1])
}

// On names the row acted upon and its region, for the audit row.
func (u *Unit) On(subject, regionPath string) { u.subject, u.region = subject, regionPath }

// Note adds a detail to the audit row; never personal data.
func (u *Unit) Note(key string, value any) {
	if u.detail == nil {
		u.detail = map[string]any{}
	}
	u.detail[key] = value
}

// Recorded says that the rows which the command writes are themselves the record of who
// did what and when, so that an audit row would only repeat them: it is left out, unless
// something is noted, a change is told, or a key has to be answered for. Only the house's own work at
// scale is recorded so, never what a person decides.
func (u *Unit) Recorded() { u.quiet = true }

// Changed tells subscribers of a changed row once the command is on disk, and
// writes it into the audit row, so that who is not there hears of it later. Said
// again of the same row it is told once, unless many were said in between.
func (u *Unit) Changed(c store.Change) {
	if !slices.Contains(u.changes[max(0, len(u.changes)-32):], c) {
		u.changes = append(u.changes, c)
	}
}

func inputHash(c Command) (string, error) {
	body, err := json.Marshal(c.Input)
	if err != nil {
		return "", fault.E(fault.Invalid, "INPUT_UNWRITABLE").Because(err)
	}
	sum := sha256.Sum256(append([]byte(c.Operation+"\n"), body...))
	return hex.EncodeToString(sum[:]), nil
}

// replay reports whether the key has been answered, and if so fills result.
func replay(ctx context.Context, u *Unit, c Command, hash string, result any) (bool, error) {
	if c.Key == "" {
		return false, nil
	}
	ctx = access.Elevated(ctx)
	if u.Dialect() == dialect.Postgres {
		// Two concurrent sends of one key queue here; the second then finds the answer.
		if _, err := u.ExecContext(store.Later(ctx), "select pg_advisory_xact_lock(hashtextextended($1, 0))", u.Viewer.StaffID+"\n"+c.Key); err != nil {
			return false, fmt.Errorf("lock the idempotency key: %w", err)
		}
	}
	row, err := u.IdempotencyKey.Query().
		Where(idempotencykey.Viewer(u.Viewer.StaffID), idempotencykey.Key(c.Key)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up the idempotency key: %w", err)
	case row.Operation != c.Operation || row.InputHash != hash:
		return false, fault.E(fault.Conflict, "IDEMPOTENCY_KEY_REUSED", fault.P("key", c.Key)).At("input", "idempotencyKey")
	}
	if err := json.NewDecoder(bytes.NewReader(row.Result)).Decode(result); err != nil {
		return false, fmt.Errorf("read the kept answer: %w", err)
	}
	return true, nil
}

// seal keeps the answer and writes the audit row.
func seal(ctx context.Context, u *Unit, c Command, hash string, result any) error {
	ctx = store.Later(access.Elevated(ctx))
	if c.Key != "" {
		body, err := json.Marshal(result)
		if err != nil {
			return fmt.Errorf("keep the answer: %w", err)
		}
		err = u.IdempotencyKey.Create().SetViewer(u.Viewer.StaffID).SetKey(c.Key).SetOperation(c.Operation).
			SetInputHash(hash).SetResult(body).SetCreatedAt(u.Now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep the answer: %w", err)
		}
	}
	u.AfterCommit(func() {
		for _, changed := range u.changes {
			u.store.Publish(changed)
		}
	})
	if u.quiet && c.Key == "" && len(u.detail) == 0 && len(u.changes) == 0 {
		return nil
	}
	return audit(ctx, u, c, hash, auditentry.OutcomeApplied, "")
}

func audit(ctx context.Context, u *Unit, c Command, hash string, outcome auditentry.Outcome, code string) error {
	err := u.AuditEntry.Create().SetViewer(u.Viewer.StaffID).SetViewerName(u.Viewer.Code).
		SetOperation(c.Operation).SetSubject(u.subject).SetRegionPath(u.region).SetOutcome(outcome).
		SetCode(code).SetDetail(u.detail).SetInputHash(hash).SetChanges(store.Pack(u.changes)).SetCreatedAt(u.Now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("write the audit row: %w", err)
	}
	return nil
}

// recordRefusal leaves the audit row of a refused command. The refusal stands
// whether or not the row can be written.
func (d *Door) recordRefusal(ctx context.Context, c Command, hash string, refused *Unit, why *fault.Error) {
	ctx = access.Elevated(context.WithoutCancel(ctx))
	err := d.Store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		u := *refused
		u.Tx, u.changes = tx, nil
		return audit(ctx, &u, c, hash, auditentry.OutcomeRefused, why.Code)
	})
	if err != nil && d.Log != nil {
		d.Log.Error("record a refusal", "operation", c.Operation, "code", why.Code, "err", err)
	}
}
