package execution

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/schema"
)

// ApplyImmediate moves the running clocks of cases to what the clauses that apply
// at once say since their version is in force: each clock is counted again from
// its own start and pauses by the new figures. Every case is a command of its own,
// audited with the old and the new due instant; the version is marked at the end,
// so that an interrupted move is taken up again. It returns how many cases moved.
func (r *Room) ApplyImmediate(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("standards"))
	pending, err := r.norms.PendingImmediate(ctx)
	if err != nil {
		return 0, err
	}
	all := 0
	for _, v := range pending {
		cases, err := r.door.Store.Client().Clock.Query().
			Where(clock.StandardCode(v.Standard), clock.ClauseNumberIn(v.Clauses...), clock.StoppedAtIsNil(), clock.BreachedAtIsNil()).
			Unique(true).Select(clock.FieldCaseID).Strings(ctx)
		if err != nil {
			return all, fmt.Errorf("list the cases that %s touches: %w", v.Standard, err)
		}
		moved := 0
		for _, id := range cases {
			n, err := r.applyTo(ctx, id, v)
			if err != nil {
				return all, fmt.Errorf("apply %s to case %s: %w", v.Standard, id, err)
			}
			moved += n
		}
		if err := r.norms.Applied(ctx, v.VersionID, moved); err != nil {
			return all, err
		}
		all += moved
	}
	return all, nil
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
		moved, err := f.book.move(ctx, v)
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

// move lets the unstopped clocks of clauses that apply at once measure by the
// version in force; one whose indicator is gone is cancelled. A breach stays.
func (b *book) move(ctx context.Context, v standard.Immediate) (int, error) {
	set, err := b.file.room.norms.InForce(ctx)
	if err != nil {
		return 0, err
	}
	now, moved := b.file.unit.Now, 0
	for _, m := range b.clocks {
		if m.row.StandardCode != v.Standard || m.row.StoppedAt != nil || m.row.BreachedAt != nil || !slices.Contains(v.Clauses, m.row.ClauseNumber) {
			continue
		}
		before := m.row.DueAt
		a, ok := set.Find(m.row.IndicatorCode, now)
		if !ok || !a.Indicator.Enabled || a.Standard.Code != v.Standard {
			b.unpause(m, now, func(*pause) bool { return true })
			m.row.StoppedAt, m.row.NextAt, m.row.State, m.dirty = &now, schema.Far, clock.StateCancelled, true
			b.file.unit.Note(m.row.IndicatorCode, map[string]any{"from": before, "to": nil})
			moved++
			continue
		}
		id, err := b.file.room.norms.IndicatorID(ctx, a)
		if err != nil {
			return moved, err
		}
		if id == m.row.IndicatorID {
			continue
		}
		measureBy(m.row, id, a.Indicator)
		m.moved = true
		if err := b.count(ctx, m); err != nil {
			return moved, err
		}
		b.file.unit.Note(m.row.IndicatorCode, map[string]any{"from": before, "to": m.row.DueAt, "clause": v.Standard + " " + m.row.ClauseNumber})
		moved++
	}
	return moved, nil
}
