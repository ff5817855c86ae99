package standard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/standard"
	"github.com/openspms/spms/ent/standardversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/store"
)

// errMoved says that what is in force changed while a publication was checked.
var errMoved = errors.New("the standards in force have changed")

// Publish puts an approved version in force in [effectiveFrom, effectiveTo) and
// freezes it with its digest. The version in force before it, if it has no end or
// a later one, ends where the new one begins, and is superseded then. An enterprise standard may
// only be stricter than what is above it in force on its first day; the answer
// lists when each binds. Publications happen one after the other.
//
// Errors: STANDARD_VERSION_NOT_FOUND, STANDARD_STATE, STALE_REVISION,
// STANDARD_INTERVAL_EMPTY, STANDARD_OVERLAP, STANDARD_NOT_STRICTER with an item per
// indicator, STANDARD_OVERTAKEN.
func (r *Room) Publish(ctx context.Context, in Publish) (Result, error) {
	const attempts = 3
	for range attempts {
		out, err := r.publish(ctx, in)
		if !errors.Is(err, errMoved) {
			return out, err
		}
	}
	return Result{}, fault.E(fault.Conflict, "STANDARD_OVERTAKEN").At("input", "versionID")
}

// publish checks a publication and carries it out if nothing else was published
// in between, else returns errMoved.
func (r *Room) publish(ctx context.Context, in Publish) (Result, error) {
	plan, err := r.plan(ctx, in)
	if err != nil {
		return Result{}, err
	}
	cmd := command.Command{Operation: "publishStandard", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (Result, error) {
		if err := alone(ctx, u); err != nil {
			return Result{}, err
		}
		row, err := inState(ctx, u, in.VersionID, in.Revision, access.PublishStandard, standardversion.StateApproved)
		if err != nil {
			return Result{}, err
		}
		if err := plan.holds(ctx, u, row); err != nil {
			return Result{}, err
		}
		if err := succeed(ctx, u, row, plan.from, plan.to); err != nil {
			return Result{}, err
		}
		if err := plan.refusal(); err != nil {
			return Result{}, err
		}
		return Result{StandardID: row.StandardID, VersionID: row.ID, Strictness: plan.strictness}, freeze(ctx, u, row, plan)
	})
}

// alone lets one publication happen at a time, on all nodes.
func alone(ctx context.Context, u *command.Unit) error {
	if u.Dialect() != dialect.Postgres {
		return nil
	}
	if _, err := u.ExecContext(ctx, "select pg_advisory_xact_lock(hashtextextended('spms.standard.publish', 0))"); err != nil {
		return fmt.Errorf("lock the publications: %w", err)
	}
	return nil
}

// holds returns errMoved when what the plan rests on has changed.
func (p *plan) holds(ctx context.Context, u *command.Unit, row *ent.StandardVersion) error {
	if p == nil || p.revision != row.Revision {
		return errMoved
	}
	if p.above == nil {
		return nil
	}
	generation, err := generationOf(ctx, u)
	if err == nil && generation != p.above.generation {
		err = errMoved
	}
	return err
}

func generationOf(ctx context.Context, u *command.Unit) (int64, error) {
	var n int64
	if err := u.Scan(ctx, generationSQL, &n); err != nil {
		return 0, fmt.Errorf("ask which standards are published: %w", err)
	}
	return n, nil
}

// plan is what a publication will write.
type plan struct {
	revision   int
	above      *inForce // what an enterprise standard was compared with
	from, to   *time.Time
	text       *norm.Standard
	version    norm.Version
	document   string
	strictness []IndicatorStrictness
	found      []*fault.Error
}

func (p *plan) refusal() error {
	if len(p.found) == 0 {
		return nil
	}
	return fault.E(fault.Precondition, "STANDARD_NOT_STRICTER", fault.P("count", len(p.found))).At("input", "versionID").With(p.found...)
}

// plan does the heavy part of a publication outside the command; nil when the
// version is in no state for it, which the command will say.
func (r *Room) plan(ctx context.Context, in Publish) (*plan, error) {
	row, err := version(ctx, r.door.Store.Client(), in.VersionID, "input", "versionID")
	if err != nil {
		return nil, err
	}
	if row.State != standardversion.StateApproved {
		return nil, nil
	}
	text, err := r.text(row)
	if err != nil {
		return nil, err
	}
	p := &plan{revision: row.Revision, text: text, version: text.Versions[0]}
	if p.from, p.to, err = interval(in, &p.version, r.door.Clock.Now()); err != nil {
		return nil, err
	}
	p.version.EffectiveFrom, p.version.EffectiveTo, p.version.Ended, p.version.Digest = norm.Instant{}, norm.Instant{}, norm.Instant{}, ""
	if p.from != nil {
		p.version.EffectiveFrom.Time = *p.from
	}
	if p.to != nil {
		p.version.EffectiveTo.Time = *p.to
	}
	if p.document, err = encode(text, &p.version); err != nil {
		return nil, err
	}
	if text.Authority == norm.Enterprise {
		if p.above, err = r.current(ctx); err != nil {
			return nil, err
		}
		p.strictness, p.found, err = r.strictness(ctx, p.above.set, row, text, &p.version)
	}
	return p, err
}

// interval is when a version shall apply: as asked, else as its document says,
// else from now on. nil is open.
func interval(in Publish, v *norm.Version, now time.Time) (from, to *time.Time, err error) {
	from, to = stored(v.EffectiveFrom.Time), stored(v.EffectiveTo.Time)
	if in.EffectiveFrom != nil {
		from, to = stored(*in.EffectiveFrom), nil
	}
	if in.EffectiveTo != nil {
		to = stored(*in.EffectiveTo)
	}
	if from == nil && !in.sinceEver {
		from = stored(now)
	}
	if from != nil && to != nil && !from.Before(*to) {
		return nil, nil, fault.E(fault.Invalid, "STANDARD_INTERVAL_EMPTY", fault.P("from", said(from)), fault.P("to", said(to))).At("input", "effectiveTo")
	}
	return from, to, nil
}

// said writes an end of an interval for a text.
func said(t *time.Time) string {
	if t == nil {
		return "…"
	}
	return t.UTC().Format(time.RFC3339)
}

// succeed ends the version in force before the new interval where that begins,
// and refuses an interval that meets any other.
func succeed(ctx context.Context, u *command.Unit, row *ent.StandardVersion, from, to *time.Time) error {
	rows, err := u.StandardVersion.Query().Where(standardversion.StandardID(row.StandardID),
		standardversion.StateIn(released...)).All(store.Locking(access.Elevated(ctx)))
	if err != nil {
		return fmt.Errorf("read the versions in force: %w", err)
	}
	for _, o := range rows {
		if !meet(from, to, o.EffectiveFrom, o.EffectiveTo) {
			continue
		}
		before := from != nil && (o.EffectiveFrom == nil || o.EffectiveFrom.Before(*from))
		if before && o.State == standardversion.StatePublished {
			upd := u.StandardVersion.UpdateOne(o).SetEffectiveTo(*from)
			if !from.After(u.Now) {
				upd.SetState(standardversion.StateSuperseded)
			}
			if err := upd.Exec(ctx); err != nil {
				return fmt.Errorf("end the earlier version: %w", err)
			}
			changed(u, o)
			continue
		}
		return fault.E(fault.Conflict, "STANDARD_OVERLAP", fault.P("number", o.Number), fault.P("from", said(o.EffectiveFrom)),
			fault.P("to", said(o.EffectiveTo))).At("input", "effectiveFrom")
	}
	return nil
}

// meet reports whether two intervals [from, to) have a common instant; nil is open.
func meet(aFrom, aTo, bFrom, bTo *time.Time) bool {
	at := func(t *time.Time) norm.Instant { return norm.Instant{Time: deref(t)} }
	if bFrom != nil && bTo != nil && !bFrom.Before(*bTo) {
		return false // withdrawn before it began
	}
	return norm.Overlap(at(aFrom), at(aTo), at(bFrom), at(bTo))
}

// freeze writes the publication.
func freeze(ctx context.Context, u *command.Unit, row *ent.StandardVersion, p *plan) error {
	upd := u.StandardVersion.UpdateOne(row).SetState(standardversion.StatePublished).SetDocument(p.document).
		SetDigest(p.text.Digest(&p.version)).SetPublishedAt(u.Now).AddRevision(1).
		SetNillableAppliedAt(appliedAt(&p.version, u.Now)).SetNillableEffectiveFrom(p.from).SetNillableEffectiveTo(p.to)
	if p.from == nil {
		upd.ClearEffectiveFrom()
	}
	if p.to == nil {
		upd.ClearEffectiveTo()
	}
	if err := upd.Exec(ctx); err != nil {
		return fmt.Errorf("publish the version: %w", err)
	}
	err := u.Standard.Update().Where(standard.ID(row.StandardID)).SetNameZh(p.text.Name.In("zh")).SetNameEn(p.text.Name.EN).
		SetSample(p.text.Sample).Exec(ctx)
	if err != nil {
		return fmt.Errorf("name the standard: %w", err)
	}
	changed(u, row)
	u.Note("effective_from", said(p.from))
	return nil
}
