package innovation

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/plugin"
	"github.com/openspms/spms/ent/pluginartifact"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// VersionRef selects a plugin version by its id or as NAME@VERSION.
func VersionRef(ref string) predicate.PluginVersion {
	if name, version, ok := strings.Cut(ref, "@"); ok {
		return pluginversion.And(pluginversion.HasPluginWith(plugin.Name(name)), func(s *sql.Selector) {
			s.Where(sql.EQ(s.C(pluginversion.FieldVersion), version))
		})
	}
	return pluginversion.ID(ref)
}

// Keep stores the bytes of a bundle under their digest and returns it; the same
// bytes are stored once. Nothing in them is believed or run. What nobody has entered
// into the catalog counts against the quota of who stored it, and is removed after a
// day. Errors: ACTION_FORBIDDEN, BUNDLE_QUOTA, and those of bundle.Read.
func (r *Room) Keep(ctx context.Context, content []byte) (string, error) {
	if v := access.From(ctx); v == nil || !v.MayAnywhere(access.UploadPlugin) {
		return "", fault.E(fault.Forbidden, "ACTION_FORBIDDEN", fault.P("action", string(access.UploadPlugin)), fault.P("region", "/"))
	}
	b, err := bundle.Read(content)
	if err != nil {
		return "", err
	}
	cmd := command.Command{Operation: "storeBundle", Input: b.Digest}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		known, err := u.PluginArtifact.Query().Where(pluginartifact.Digest(b.Digest)).Exist(access.Elevated(ctx))
		if err != nil || known {
			return b.Digest, err
		}
		if err := r.roomFor(ctx, u, len(content)); err != nil {
			return "", err
		}
		u.Note("digest", b.Digest)
		return b.Digest, u.PluginArtifact.Create().SetDigest(b.Digest).SetContent(content).SetSize(len(content)).SetStoredBy(u.Viewer.StaffID).SetCreatedAt(u.Now).Exec(ctx)
	})
}

// Upload enters a stored bundle into the catalog of a region: its structure, every
// file's hash and its signature by a trusted key are verified, nothing is started.
// A bundle signed by a developer's key is taken for the regions that are open to
// development only, and belongs to the one it is brought into. It returns the id of the
// version. Errors: PLUGIN_BUNDLE_NOT_FOUND, those of bundle.Read and Bundle.Verify,
// PLUGIN_VERSION_TAKEN, PLUGIN_FOREIGN_REGION, PLUGIN_DEV_REGION, PLUGIN_REGION_QUOTA.
func (r *Room) Upload(ctx context.Context, in UploadPlugin) (string, error) {
	var b *received
	if r.mayUpload(ctx, in.RegionID) {
		var err error
		if b, err = r.received(ctx, in.Digest); err != nil {
			return "", err
		}
	}
	cmd := command.Command{Operation: "uploadPlugin", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := regionOf(ctx, u, in.RegionID)
		if err != nil {
			return "", err
		}
		if err := u.Require(access.UploadPlugin, reg.RegionPath); err != nil {
			return "", err
		}
		if b == nil { // the right was given only now
			return "", fault.E(fault.Conflict, "PLUGIN_BUNDLE_NOT_FOUND", fault.P("id", in.Digest)).At("input", "digest")
		}
		if b.dev && !r.inDev(reg.RegionPath) {
			return "", fault.E(fault.Forbidden, "PLUGIN_DEV_REGION", fault.P("region", reg.Code)).At("input", "regionID")
		}
		p, err := entry(ctx, u, b.Manifest, reg, b.dev)
		if err != nil {
			return "", err
		}
		if err := r.roomInRegion(ctx, u, reg, b.size); err != nil {
			return "", err
		}
		return r.version(ctx, u, p, reg, b)
	})
}

// mayUpload tells whether the viewer may upload plugins to a region that he sees, so
// that nothing is read or started for others; the command itself asks again.
func (r *Room) mayUpload(ctx context.Context, ref string) bool {
	reg, err := r.door.Store.Client().Region.Query().Where(store.RegionRef(ref)).Only(ctx)
	v := access.From(ctx)
	return err == nil && v != nil && v.May(access.UploadPlugin, reg.RegionPath)
}

// received is a stored bundle that has been verified.
type received struct {
	*bundle.Bundle
	key  bundle.PublicKey
	size int
	dev  bool // it is a developer's key
}

// received reads and verifies a stored bundle.
func (r *Room) received(ctx context.Context, digest string) (*received, error) {
	content, err := r.content(ctx, digest)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Read(content)
	if err != nil {
		return nil, err
	}
	out := &received{Bundle: b, size: len(content)}
	out.key, err = b.Verify(r.o.Trusted)
	if fault.CodeOf(err) == "PLUGIN_KEY_UNKNOWN" && len(r.o.DevTrusted) > 0 {
		out.dev = true
		out.key, err = b.Verify(r.o.DevTrusted)
	}
	return out, err
}

// inDev tells whether the operator has opened a region, or one above it, to
// development.
func (r *Room) inDev(path string) bool {
	return slices.ContainsFunc(r.o.Dev, func(code string) bool { return strings.Contains(path, "/"+code+"/") })
}

// content reads a stored bundle.
func (r *Room) content(ctx context.Context, digest string) ([]byte, error) {
	row, err := r.door.Store.Client().PluginArtifact.Query().Where(pluginartifact.Digest(digest)).Only(access.Elevated(ctx))
	if err != nil {
		return nil, notFound(err, "PLUGIN_BUNDLE_NOT_FOUND", digest, "digest")
	}
	return row.Content, nil
}

// entry returns the plugin that a manifest names, made when it is new. A plugin
// belongs to the region that brought it first; versions in development may be brought
// into a region below.
func entry(ctx context.Context, u *command.Unit, m bundle.Manifest, reg *ent.Region, dev bool) (*ent.Plugin, error) {
	p, err := u.Plugin.Query().Where(plugin.Name(m.Name)).Only(store.Locking(access.Elevated(ctx)))
	switch {
	case ent.IsNotFound(err):
		return u.Plugin.Create().SetName(m.Name).SetNameZh(m.Title.Zh).SetNameEn(m.Title.En).SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(u.Now).Save(ctx)
	case err != nil:
		return nil, fmt.Errorf("read the plugin: %w", err)
	case p.RegionID != reg.ID && !(dev && strings.HasPrefix(reg.RegionPath, p.RegionPath)):
		return nil, fault.E(fault.Conflict, "PLUGIN_FOREIGN_REGION", fault.P("plugin", m.Name), fault.P("region", reg.Code)).At("input", "regionID")
	}
	return p, nil
}

func (r *Room) version(ctx context.Context, u *command.Unit, p *ent.Plugin, reg *ent.Region, b *received) (string, error) {
	m := b.Manifest
	manifest, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("keep the manifest: %w", err)
	}
	v, err := u.PluginVersion.Create().SetPluginID(p.ID).SetVersion(m.Version).SetDigest(b.Digest).SetKinds(m.Kinds).
		SetTopics(list(m.Topics)).SetAttributes(list(m.Attributes)).SetConfigSchema(string(m.ConfigSchema)).SetManifest(string(manifest)).
		SetKeyID(b.key.ID()).SetDev(b.dev).SetSize(b.size).SetUploadedBy(u.Viewer.StaffID).SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(u.Now).Save(ctx)
	if ent.IsConstraintError(err) {
		return "", fault.E(fault.Conflict, "PLUGIN_VERSION_TAKEN", fault.P("plugin", m.Name), fault.P("version", m.Version)).At("input", "digest")
	}
	if err != nil {
		return "", fmt.Errorf("create the plugin version: %w", err)
	}
	u.On(v.ID, v.RegionPath)
	u.Note("digest", b.Digest)
	if b.dev {
		u.Note("dev", true)
	}
	return v.ID, nil
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// contradiction tells where a plugin says something else of itself than its signed
// manifest; "" for nowhere.
func contradiction(v *ent.PluginVersion, said *pluginv1.DescribeResponse) string {
	var kinds []string
	for _, k := range said.GetKinds() {
		kinds = append(kinds, strings.ToLower(strings.TrimPrefix(k.String(), "KIND_")))
	}
	switch {
	case !sameList(kinds, v.Kinds):
		return fmt.Sprintf("kinds: the program says %v, the manifest %v", kinds, v.Kinds)
	case !sameList(said.GetAttributes(), v.Attributes):
		return fmt.Sprintf("attributes: the program says %v, the manifest %v", said.GetAttributes(), v.Attributes)
	case !sameList(said.GetAddresses(), manifestOf(v).Addresses):
		return fmt.Sprintf("addresses: the program says %v, the manifest %v", said.GetAddresses(), manifestOf(v).Addresses)
	case !sameMetrics(said.GetMetrics(), manifestOf(v).Metrics):
		return fmt.Sprintf("metrics: the program says %v, the manifest %v, or their bounds differ", metricNames(said.GetMetrics()), manifestOf(v).Metrics)
	case !sameJSON(said.GetConfigSchemaJson(), v.ConfigSchema):
		return "the program has another schema of its configuration than the manifest"
	}
	return ""
}

func metricNames(list []*pluginv1.Metric) []string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = m.GetName()
	}
	return out
}

// sameMetrics compares names and bounds; units and descriptions are for people.
func sameMetrics(said []*pluginv1.Metric, signed []bundle.Metric) bool {
	if len(said) != len(signed) {
		return false
	}
	for _, m := range said {
		if !slices.ContainsFunc(signed, func(d bundle.Metric) bool {
			return d.Name == m.GetName() && sameEnd(d.Min, m.Min) && sameEnd(d.Max, m.Max)
		}) {
			return false
		}
	}
	return true
}

func sameEnd(a, b *float64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// manifestOf is the manifest of a version, which was well formed when it was kept.
func manifestOf(v *ent.PluginVersion) bundle.Manifest {
	var m bundle.Manifest
	_ = json.Unmarshal([]byte(v.Manifest), &m)
	return m
}

func sameList(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func sameJSON(a, b string) bool {
	var x, y any
	if a == "" || b == "" {
		return a == b
	}
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// kit is a report as it is kept: each rule of the conformance kit with what was
// wrong, and why the plugin could not be tried at all.
type kit struct {
	Findings []finding `json:"findings"`
	Error    string    `json:"error,omitempty"`
}

type finding struct {
	Rule  string `json:"rule"`
	Wrong string `json:"wrong,omitempty"`
}

// isolation is what keeps the plugin apart on this node.
func (r *Room) isolation(a pluginhost.Artifact) []string {
	for _, s := range r.o.Host.Status() {
		if s.Digest == a.Digest {
			return s.Isolation
		}
	}
	return nil
}

func text(m map[string]any) string {
	if m == nil {
		return "{}"
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// Approve lets regions be assigned a tested version. It takes another person than
// those who uploaded and tested it. A version that a developer's key signed is never
// approved. Errors: PLUGIN_VERSION_STATE, PLUGIN_OWN_WORK, PLUGIN_DEV_ONLY.
func (r *Room) Approve(ctx context.Context, in JudgePlugin) (string, error) {
	return r.judge(ctx, "approvePlugin", in, func(u *command.Unit, v *ent.PluginVersion) (*ent.PluginVersionUpdateOne, error) {
		if v.Dev {
			return nil, fault.E(fault.Precondition, "PLUGIN_DEV_ONLY").At("input", "versionID")
		}
		if err := inState(v, pluginversion.StateTested); err != nil {
			return nil, err
		}
		if u.Viewer.Is(v.UploadedBy) || u.Viewer.Is(v.TestedBy) {
			return nil, fault.E(fault.Forbidden, "PLUGIN_OWN_WORK").At("input", "versionID")
		}
		return u.PluginVersion.UpdateOne(v).SetState(pluginversion.StateApproved).SetApprovedBy(u.Viewer.StaffID).SetApprovedAt(u.Now), nil
	})
}

// Deprecate keeps an approved version from being assigned anew; where it is
// assigned it goes on. Errors: PLUGIN_VERSION_STATE, PLUGIN_REASON_REQUIRED.
func (r *Room) Deprecate(ctx context.Context, in JudgePlugin) (string, error) {
	return r.judge(ctx, "deprecatePlugin", in, func(u *command.Unit, v *ent.PluginVersion) (*ent.PluginVersionUpdateOne, error) {
		if err := inState(v, pluginversion.StateApproved); err != nil {
			return nil, err
		}
		return u.PluginVersion.UpdateOne(v).SetState(pluginversion.StateDeprecated).SetReason(deref(in.Reason)), reasoned(in)
	})
}

// Revoke stops a version everywhere: its assignments return to what ran before, its
// processes end. Errors: PLUGIN_VERSION_STATE, PLUGIN_REASON_REQUIRED.
func (r *Room) Revoke(ctx context.Context, in JudgePlugin) (string, error) {
	return r.judge(ctx, "revokePlugin", in, func(u *command.Unit, v *ent.PluginVersion) (*ent.PluginVersionUpdateOne, error) {
		if v.State == pluginversion.StateRevoked {
			return nil, inState(v, pluginversion.StateApproved)
		}
		u.AfterCommit(func() { r.o.Host.Stop(v.Digest) })
		return u.PluginVersion.UpdateOne(v).SetState(pluginversion.StateRevoked).SetReason(deref(in.Reason)), reasoned(in)
	})
}

func reasoned(in JudgePlugin) error {
	if strings.TrimSpace(deref(in.Reason)) == "" {
		return fault.E(fault.Invalid, "PLUGIN_REASON_REQUIRED").At("input", "reason")
	}
	return nil
}

// judge runs one decision about a version.
func (r *Room) judge(ctx context.Context, operation string, in JudgePlugin,
	decide func(*command.Unit, *ent.PluginVersion) (*ent.PluginVersionUpdateOne, error),
) (string, error) {
	cmd := command.Command{Operation: operation, Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := versionOf(ctx, u, in.VersionID)
		if err != nil {
			return "", err
		}
		u.On(v.ID, v.RegionPath)
		if err := u.Require(access.ApprovePlugin, v.RegionPath); err != nil {
			return "", err
		}
		change, err := decide(u, v)
		if err != nil {
			return "", err
		}
		if in.Reason != nil {
			u.Note("reason", *in.Reason)
		}
		if err := change.Exec(ctx); err != nil {
			return "", fmt.Errorf("write the plugin version: %w", err)
		}
		if operation == "revokePlugin" {
			err = retreat(ctx, u, v, deref(in.Reason))
		}
		return v.ID, err
	})
}

// Release ends the quarantine of a version on the node that is asked.
func (r *Room) Release(ctx context.Context, in ReleasePlugin) (string, error) {
	return r.judge(ctx, "releasePlugin", JudgePlugin{in.VersionID, &in.Reason, in.IdempotencyKey}, func(u *command.Unit, v *ent.PluginVersion) (*ent.PluginVersionUpdateOne, error) {
		u.AfterCommit(func() { r.o.Host.Release(v.Digest) })
		return u.PluginVersion.UpdateOne(v), nil
	})
}
