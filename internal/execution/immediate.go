package execution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/indicator"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/schema"
)

// ApplyImmediate moves the running clocks of cases to what the clauses that apply
// at once say since their version is in force: each clock is counted again from
// its own start and pauses by the new figures. Every case is a command of its own,
// audited with the old and the new due instant; the version is marked when all
// have been moved, so that an interrupted move is taken up again. A case that
// cannot be moved holds up no other. It returns how many cases moved.
func (r *Room) ApplyImmediate(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("standards"))
	pending, err := r.norms.PendingImmediate(ctx)
	if err != nil {
		return 0, err
	}
	all := 0
	var failed []error
	for _, v := range pending {
		moved, err := r.applyVersion(ctx, v)
		all += moved
		if err == nil {
			err = r.norms.Applied(ctx, v.VersionID, moved)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return all, errors.Join(failed...)
}

// applyVersion moves the cases that a version concerns and returns how many.
func (r *Room) applyVersion(ctx context.Context, v standard.Immediate) (int, error) {
	concerned := clock.Or(clock.IndicatorCodeIn(v.Indicators()...), clock.ClauseNumberIn(v.Clauses()...))
	cases, err := r.door.Store.Client().Clock.Query().
		Where(clock.StandardCode(v.Standard), clock.StoppedAtIsNil(), clock.BreachedAtIsNil(), concerned,
			clock.HasIndicatorWith(indicator.VersionIDNEQ(v.VersionID))).
		Unique(true).Select(clock.FieldCaseID).Strings(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the cases that %s touches: %w", v.Standard, err)
	}
	moved := 0
	var failed []error
	for _, id := range cases {
		n, err := r.applyTo(ctx, id, v)
		moved += n
		if ctx.Err() != nil {
			return moved, ctx.Err()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("apply %s to case %s: %w", v.Standard, id, err))
		}
	}
	return moved, errors.Join(failed...)
}

// applyTo moves the clocks of one case; 1 when any has moved.
func (r *Room) applyTo(ctx context.Context, caseID string, v standard.Immediate) (int, error) {
	n, err := command.Run(ctx, r.door, command.Command{Operation: "applyStandard", Input: caseID}, func(ctx context.Context, u *command.Unit) (int, error) {
		f, err := r.open(ctx, u, caseID, "caseID")
		if err != nil || f.row.State != servicecase.StateActive {
			return 0, err
		}
		if err := f.book.load(ctx); err != nil {
			return 0, err
		}
		moved, err := f.book.follow(ctx, v)
		if err != nil {
			return 0, err
		}
		if moved == 0 {
			return 0, errUnchanged
		}
		u.Note("version", v.VersionID)
		f.book.bind()
		return 1, f.saveStill(ctx)
	})
	if errors.Is(err, errUnchanged) {
		return 0, nil
	}
	return n, err
}

// follow lets the unstopped clocks of clauses that apply at once measure by the
// version in force. One whose indicator is gone, is for other cases now or starts
// with another event is cancelled. A breach stays.
func (b *book) follow(ctx context.Context, v standard.Immediate) (int, error) {
	now, moved := b.file.unit.Now, 0
	applies := map[string][]norm.Applicable{}
	for _, m := range b.clocks {
		if m.row.StandardCode != v.Standard || m.row.StoppedAt != nil || m.row.BreachedAt != nil || !v.Moves(m.row.IndicatorCode, m.row.ClauseNumber) {
			continue
		}
		found, ok := applies[m.row.StartEvent]
		if !ok {
			var err error
			if found, err = b.applicable(ctx, m.row.StartEvent, now); err != nil {
				return moved, err
			}
			applies[m.row.StartEvent] = found
		}
		n, err := b.followOne(ctx, m, v, found, now)
		if err != nil {
			return moved, err
		}
		moved += n
	}
	return moved, nil
}

// followOne moves one clock to its indicator among those that apply; 1 when it moved.
func (b *book) followOne(ctx context.Context, m *measure, v standard.Immediate, found []norm.Applicable, now time.Time) (int, error) {
	before, clause := m.row.DueAt, m.row.StandardCode+" "+m.row.ClauseNumber
	at := slices.IndexFunc(found, func(a norm.Applicable) bool {
		return a.Standard.Code == v.Standard && a.Indicator.Code == m.row.IndicatorCode
	})
	if at < 0 {
		b.unpause(m, now, func(*pause) bool { return true })
		m.row.StoppedAt, m.row.NextAt, m.row.State, m.dirty = &now, schema.Far, clock.StateCancelled, true
		b.file.unit.Note(m.row.IndicatorCode, map[string]any{"from": before, "to": nil, "clause": clause})
		return 1, nil
	}
	id, err := b.file.room.norms.IndicatorID(ctx, found[at])
	if err != nil || id == m.row.IndicatorID {
		return 0, err
	}
	measureBy(m.row, id, found[at])
	m.moved = true
	if err := b.count(ctx, m); err != nil {
		return 0, err
	}
	clause = m.row.StandardCode + " " + m.row.ClauseNumber
	b.file.unit.Note(m.row.IndicatorCode, map[string]any{"from": before, "to": m.row.DueAt, "clause": clause})
	return 1, nil
}
