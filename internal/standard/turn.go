package standard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/norm"
)

// Supersede marks the published versions whose successor has begun by now, each
// in a command of its own, and returns how many. Until then a version with a
// successor ahead stays published with the instant of its end. Several nodes may
// call it at once.
func (r *Room) Supersede(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("standards"))
	now := r.door.Clock.Now()
	ended, err := r.door.Store.Client().StandardVersion.Query().
		Where(standardversion.StateEQ(standardversion.StatePublished), standardversion.EffectiveToLTE(now)).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the versions that have ended: %w", err)
	}
	done := 0
	for _, row := range ended {
		followed, err := r.door.Store.Client().StandardVersion.Query().Where(standardversion.StandardID(row.StandardID),
			standardversion.StateIn(released...), standardversion.EffectiveFrom(*row.EffectiveTo)).Exist(ctx)
		if err != nil {
			return done, fmt.Errorf("look up a successor: %w", err)
		}
		if !followed {
			continue // it has run out; nothing took its place
		}
		if err := r.supersede(ctx, row.ID); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

func (r *Room) supersede(ctx context.Context, id string) error {
	_, err := command.Run(ctx, r.door, command.Command{Operation: "supersedeStandard", Input: id}, func(ctx context.Context, u *command.Unit) (int, error) {
		if err := alone(ctx, u); err != nil {
			return 0, err
		}
		row, err := u.StandardVersion.Get(ctx, id)
		if err != nil {
			return 0, notFound(err, "STANDARD_VERSION_NOT_FOUND", id)
		}
		if row.State != standardversion.StatePublished || row.EffectiveTo == nil || row.EffectiveTo.After(u.Now) {
			return 0, nil // another node was first, or its end was moved
		}
		u.On(row.ID, row.RegionPath)
		changed(u, row)
		return 1, u.StandardVersion.UpdateOne(row).SetState(standardversion.StateSuperseded).Exec(ctx)
	})
	return err
}

// Immediate is a version that has come into force with clauses that apply to
// running cases at once, and has not been applied to them yet.
type Immediate struct {
	VersionID string
	Standard  string // code
	Version   *norm.Version
}

// Indicators returns the codes of the indicators of clauses that apply at once.
func (m *Immediate) Indicators() []string {
	var out []string
	for i := range m.Version.Indicators {
		if ind := &m.Version.Indicators[i]; m.atOnce(ind.Clause) {
			out = append(out, ind.Code)
		}
	}
	return out
}

// Clauses returns the numbers of the clauses that apply at once.
func (m *Immediate) Clauses() []string {
	var out []string
	for i := range m.Version.Clauses {
		if c := &m.Version.Clauses[i]; c.Policy == norm.Immediate {
			out = append(out, c.Number)
		}
	}
	return out
}

// Moves reports whether a clock that was started by an indicator under a clause
// of an earlier version follows this one at once: by the clause that holds the
// indicator now, or, where it is gone, by the clause that held it.
func (m *Immediate) Moves(indicator, clause string) bool {
	if ind := m.Version.Indicator(indicator); ind != nil {
		clause = ind.Clause
	}
	return m.atOnce(clause)
}

func (m *Immediate) atOnce(clause string) bool {
	c := m.Version.Clause(clause)
	return c != nil && c.Policy == norm.Immediate
}

// PendingImmediate lists the versions in force that running cases have yet to be
// moved to, the earliest first.
func (r *Room) PendingImmediate(ctx context.Context) ([]Immediate, error) {
	ctx = access.With(ctx, access.System("standards"))
	rows, err := r.door.Store.Client().StandardVersion.Query().
		Where(standardversion.StateEQ(standardversion.StatePublished), standardversion.AppliedAtIsNil(),
			standardversion.Or(standardversion.EffectiveFromIsNil(), standardversion.EffectiveFromLTE(r.door.Clock.Now()))).
		WithStandard().Order(ent.Asc(standardversion.FieldPublishedAt, standardversion.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the versions to apply: %w", err)
	}
	var out []Immediate
	for _, row := range rows {
		text, err := r.text(row)
		if err != nil {
			return nil, err
		}
		out = append(out, Immediate{row.ID, row.Edges.Standard.Code, &text.Versions[0]})
	}
	return out, nil
}

// Applied notes that running cases have been moved to a version.
func (r *Room) Applied(ctx context.Context, versionID string, cases int) error {
	ctx = access.With(ctx, access.System("standards"))
	_, err := command.Run(ctx, r.door, command.Command{Operation: "applyStandard", Input: versionID}, func(ctx context.Context, u *command.Unit) (int, error) {
		row, err := u.StandardVersion.Get(ctx, versionID)
		if err != nil {
			return 0, notFound(err, "STANDARD_VERSION_NOT_FOUND", versionID)
		}
		u.On(row.ID, row.RegionPath)
		u.Note("cases", cases)
		return cases, u.StandardVersion.UpdateOne(row).SetAppliedAt(u.Now).Exec(ctx)
	})
	return err
}

// appliedAt is when a version counts as applied from the start: at its
// publication, when no clause of it applies at once.
func appliedAt(v *norm.Version, now time.Time) *time.Time {
	if m := (&Immediate{Version: v}); len(m.Clauses()) > 0 {
		return nil
	}
	return &now
}

// worked reports whether a person has written or changed a draft.
func worked(row *ent.StandardVersion, staffID string) bool {
	return row.AuthorID == staffID || slices.Contains(row.Editors, staffID)
}

// withEditor returns the editors of a draft with one more.
func withEditor(editors []string, staffID string) []string {
	if slices.Contains(editors, staffID) {
		return editors
	}
	return append(slices.Clone(editors), staffID)
}
