package definition

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/binding"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// Bind lets a region (and all below it without a binding of their own) run a
// published version for new cases from an instant on; running cases stay on
// theirs. The version must comply with the standards in force in the region. Its timer
// start events are armed; a message start event must be the only one of its name in
// the region (BINDING_MESSAGE_TAKEN).
func (r *Room) Bind(ctx context.Context, in Bind) (string, error) {
	c, err := r.checkVersion(ctx, in.VersionID, in.RegionID)
	if err != nil {
		return "", err
	}
	if !c.OK() {
		return "", refusal("PROCESS_NOT_PUBLISHABLE", c.Findings)
	}
	cmd := command.Command{Operation: "bindProcess", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := regionOf(ctx, u, in.RegionID)
		if err != nil {
			return "", err
		}
		if err := u.Require(access.BindProcess, reg.RegionPath); err != nil {
			return "", err
		}
		v, err := r.version(ctx, u, in.VersionID, "versionID")
		if err != nil {
			return "", err
		}
		if v.State != processversion.StatePublished {
			return "", fault.E(fault.Precondition, "PROCESS_VERSION_STATE", fault.P("want", "published"), fault.P("have", string(v.State))).At("input", "versionID")
		}
		if !strings.HasPrefix(reg.RegionPath, v.RegionPath) {
			return "", fault.E(fault.Precondition, "PROCESS_FOREIGN_REGION", fault.P("region", reg.Code)).At("input", "regionID")
		}
		from, err := since(in.EffectiveFrom, u.Now)
		if err != nil {
			return "", err
		}
		if err := r.alone(ctx, u, c.Model, v, reg, from); err != nil {
			return "", err
		}
		b, err := bind(ctx, u, v, reg, from)
		if err != nil {
			return "", err
		}
		return b.ID, r.arm(ctx, u, c.Model, b, reg)
	})
}

// since returns when a binding takes effect; the past cannot be changed.
func since(at *time.Time, now time.Time) (time.Time, error) {
	if at == nil {
		return now, nil
	}
	if at.Before(now) {
		return now, fault.E(fault.Invalid, "BINDING_IN_THE_PAST", fault.P("from", at.UTC().Format(time.RFC3339))).At("input", "effectiveFrom")
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

// bind writes the binding and ends the region's earlier ones at its instant: those that
// go on, and those that would have until a later one, which gives way before it begins.
func bind(ctx context.Context, u *command.Unit, v *ent.ProcessVersion, reg *ent.Region, from time.Time) (*ent.Binding, error) {
	own := []predicate.Binding{binding.ProcessID(v.ProcessID), binding.RegionID(reg.ID)}
	err := u.Binding.Update().Where(append(own, binding.Or(binding.EndedAtIsNil(), binding.EndedAtGT(from)))...).SetEndedAt(from).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("end the earlier binding: %w", err)
	}
	b, err := u.Binding.Create().SetProcessID(v.ProcessID).SetVersionID(v.ID).SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).
		SetEffectiveFrom(from).SetBoundBy(u.Viewer.StaffID).SetCreatedAt(u.Now).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("create the binding: %w", err)
	}
	u.On(b.ID, reg.RegionPath)
	u.Changed(store.Change{Kind: "binding", ID: b.ID, RegionPath: reg.RegionPath})
	return b, nil
}

// bindings lists those of a process that hold now in a region and above it.
func bindings(ctx context.Context, u *command.Unit, of predicate.Binding, reg *ent.Region) ([]*ent.Binding, error) {
	rows, err := u.Binding.Query().Where(of, binding.RegionPathIn(access.Chain(reg.RegionPath)...),
		inForce(u.Now)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the bindings: %w", err)
	}
	return rows, nil
}

func nearest(rows []*ent.Binding, key string, reg *ent.Region) (*ent.Binding, error) {
	if len(rows) == 0 {
		return nil, fault.E(fault.Precondition, "PROCESS_NOT_BOUND", fault.P("process", key), fault.P("region", reg.Code)).At("input", "processKey")
	}
	return slices.MaxFunc(rows, func(a, b *ent.Binding) int { return cmp.Compare(len(a.RegionPath), len(b.RegionPath)) }), nil
}
