package innovation

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginartifact"
	"github.com/openspms/spms/ent/pluginassignment"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
)

const (
	// keepUnregistered is how long a bundle is kept that nobody enters into the catalog,
	// and a version in development that is assigned nowhere.
	keepUnregistered = 24 * time.Hour
	// sweepAtOnce is how many bundles one command removes.
	sweepAtOnce = 100
)

// Quota bounds what the bundles of plugins may take of the database, in bytes.
type Quota struct {
	PerPerson int64 // stored by one person and not yet in the catalog
	PerRegion int64 // of the versions of one region
}

// DefaultQuota is that of a server.
func DefaultQuota() Quota { return Quota{PerPerson: 256 << 20, PerRegion: 4 << 30} }

// unregistered are bundles that stand in no catalog.
func unregistered(s *sql.Selector) {
	s.Where(sql.NotIn(s.C(pluginartifact.FieldDigest), sql.Select(pluginversion.FieldDigest).From(sql.Table(pluginversion.Table))))
}

// bytesOf adds up the sizes of bundles.
func bytesOf(ctx context.Context, u *command.Unit, which ...predicate.PluginArtifact) (int64, error) {
	var rows []struct {
		Sum int64 `json:"sum"`
	}
	q := u.PluginArtifact.Query().Where(which...)
	if n, err := q.Clone().Count(access.Elevated(ctx)); err != nil || n == 0 { // a sum of nothing is no number
		return 0, err
	}
	if err := q.Aggregate(ent.As(ent.Sum(pluginartifact.FieldSize), "sum")).Scan(access.Elevated(ctx), &rows); err != nil {
		return 0, fmt.Errorf("add up the bundles: %w", err)
	}
	return rows[0].Sum, nil
}

// roomFor refuses a bundle that a person has no room for: BUNDLE_QUOTA.
func (r *Room) roomFor(ctx context.Context, u *command.Unit, size int) error {
	have, err := bytesOf(ctx, u, pluginartifact.StoredBy(u.Viewer.StaffID), unregistered)
	if err != nil {
		return err
	}
	if have+int64(size) > r.o.Quota.PerPerson {
		return fault.E(fault.Exhausted, "BUNDLE_QUOTA", fault.P("have", have), fault.P("max", r.o.Quota.PerPerson))
	}
	return nil
}

// roomInRegion refuses a version that its region has no room for: PLUGIN_REGION_QUOTA.
func (r *Room) roomInRegion(ctx context.Context, u *command.Unit, reg *ent.Region, size int) error {
	have, err := bytesOf(ctx, u, func(s *sql.Selector) {
		s.Where(sql.In(s.C(pluginartifact.FieldDigest), sql.Select(pluginversion.FieldDigest).From(sql.Table(pluginversion.Table)).Where(sql.EQ(pluginversion.FieldRegionID, reg.ID))))
	})
	if err != nil {
		return err
	}
	if have+int64(size) > r.o.Quota.PerRegion {
		return fault.E(fault.Exhausted, "PLUGIN_REGION_QUOTA", fault.P("have", have), fault.P("max", r.o.Quota.PerRegion)).At("input", "regionID")
	}
	return nil
}

// Sweep removes what is not needed any more: bundles that nobody has entered into the
// catalog for a day, with them versions in development that have been assigned nowhere
// for as long, and what this node has unpacked of either. It returns how many bundles
// went.
func (r *Room) Sweep(ctx context.Context) (int, error) {
	ctx = access.With(ctx, access.System("plugin"))
	before := r.door.Clock.Now().Add(-keepUnregistered)
	gone, err := r.sweepDev(ctx, before)
	if err != nil {
		return gone, err
	}
	for {
		n, err := r.sweepBundles(ctx, before)
		if gone += n; err != nil || n < sweepAtOnce {
			r.sweepFolders(ctx)
			return gone, err
		}
	}
}

// sweepBundles removes one command's worth of bundles that stand in no catalog.
func (r *Room) sweepBundles(ctx context.Context, before time.Time) (int, error) {
	old := []predicate.PluginArtifact{pluginartifact.CreatedAtLT(before), unregistered}
	ids, err := r.door.Store.Client().PluginArtifact.Query().Where(old...).Limit(sweepAtOnce).IDs(access.Elevated(ctx))
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	cmd := command.Command{Operation: "sweepBundles", Input: ids}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (int, error) {
		n, err := u.PluginArtifact.Delete().Where(append(old, pluginartifact.IDIn(ids...))...).Exec(access.Elevated(ctx))
		u.Note("bundles", n)
		return n, err
	})
}

// sweepDev revokes versions in development that no assignment names, and removes their
// bundles: every save of a developer makes one.
func (r *Room) sweepDev(ctx context.Context, before time.Time) (int, error) {
	idle := func(s *sql.Selector) {
		t := sql.Table(pluginassignment.Table)
		named := func(column string) *sql.Selector {
			return sql.Select(t.C(column)).From(t).Where(sql.EQ(t.C(pluginassignment.FieldState), string(pluginassignment.StateActive)))
		}
		s.Where(sql.And(sql.NotIn(s.C(pluginversion.FieldID), named(pluginassignment.FieldVersionID)), sql.NotIn(s.C(pluginversion.FieldID), named(pluginassignment.FieldPreviousVersionID))))
	}
	old := []predicate.PluginVersion{pluginversion.Dev(true), pluginversion.StateNEQ(pluginversion.StateRevoked), pluginversion.CreatedAtLT(before), idle}
	list, err := r.door.Store.Client().PluginVersion.Query().Where(old...).Limit(sweepAtOnce).All(ctx)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	var ids, digests []string
	for _, v := range list {
		ids, digests = append(ids, v.ID), append(digests, v.Digest)
	}
	cmd := command.Command{Operation: "sweepDevVersions", Input: ids}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (int, error) {
		n, err := u.PluginVersion.Update().Where(append(old, pluginversion.IDIn(ids...))...).SetState(pluginversion.StateRevoked).SetReason("in development, assigned nowhere").Save(access.Elevated(ctx))
		if err != nil || n != len(ids) {
			return 0, err // one was assigned just now: next time
		}
		u.Note("versions", n)
		return u.PluginArtifact.Delete().Where(pluginartifact.DigestIn(digests...)).Exec(access.Elevated(ctx))
	})
}

// sweepFolders removes what was unpacked here of bundles that are no more.
func (r *Room) sweepFolders(ctx context.Context) {
	folders, err := os.ReadDir(r.o.Dir)
	if err != nil {
		return // nothing was ever unpacked
	}
	r.unpacking.Lock()
	defer r.unpacking.Unlock()
	for _, f := range folders {
		digest := "sha256:" + f.Name()
		if len(f.Name()) != 64 || slices.ContainsFunc([]rune(f.Name()), func(c rune) bool { return c > 'f' }) {
			continue
		}
		known, err := r.door.Store.Client().PluginArtifact.Query().Where(pluginartifact.Digest(digest)).Exist(access.Elevated(ctx))
		if err != nil || known {
			continue
		}
		r.o.Host.Stop(digest)
		delete(r.artifacts, digest)
		if err := os.RemoveAll(filepath.Join(r.o.Dir, f.Name())); err != nil && r.door.Log != nil {
			r.door.Log.Warn("remove an unpacked plugin", "digest", digest, "err", err)
		}
	}
}
