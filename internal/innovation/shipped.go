package innovation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/plugin"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/ent/region"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/plugins/builtin"
	"github.com/openspms/spms/plugins/sdk"
)

// A plugin that ships with the product has no bundle: the program that runs is its
// executable, and who trusts the program trusts it. It belongs to the region at the
// root, is approved from the beginning and is assigned, tried and revoked as any other.

// ShippedKey stands in place of the key that signed a bundle.
const ShippedKey = "shipped"

// shipped is one plugin of this program with its manifest as it is kept.
type shipped struct {
	builtin.Shipped
	manifest bundle.Manifest
	text     string
	digest   string
}

// ship makes the manifests of the plugins of this program, by digest.
func ship(list []builtin.Shipped) (map[string]shipped, error) {
	out := map[string]shipped{}
	for _, p := range list {
		m := bundle.Manifest{
			Name: p.Name, Version: p.Version, Contract: sdk.ContractVersion, Title: bundle.Text{Zh: p.TitleZh, En: p.TitleEn}, Topics: p.Topics,
			ConfigSchema: json.RawMessage(p.ConfigSchema), Attributes: p.Attributes, Addresses: p.Addresses, Outputs: json.RawMessage(p.Outputs),
			Targets: []bundle.Target{}, Files: []bundle.File{},
		}
		for kind, has := range map[string]bool{"module": p.Module != nil, "strategy": p.Strategy != nil, "scorer": p.Scorer != nil} {
			if has {
				m.Kinds = append(m.Kinds, kind)
			}
		}
		m.Kinds = sorted(m.Kinds)
		for _, x := range p.Metrics {
			m.Metrics = append(m.Metrics, bundle.Metric{Name: x.Name, Unit: x.Unit, Description: x.Description, Min: x.Min, Max: x.Max})
		}
		text, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("the manifest of %s: %w", p.Name, err)
		}
		digest := digestOf(text)
		out[digest] = shipped{p, m, string(text), digest}
	}
	return out, nil
}

// Ship enters the plugins of this program into the catalog, once, and tells whether
// there was a region to keep them. A name that a region's own plugin has already is
// left to it.
func (r *Room) Ship(ctx context.Context) (bool, error) {
	ctx = access.With(ctx, access.System("plugin"))
	root, err := r.door.Store.Client().Region.Query().Where(region.ParentIDIsNil()).Order(ent.Asc(region.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the region at the root: %w", err)
	}
	var failed error
	for _, p := range r.shipped {
		known, err := r.door.Store.Client().PluginVersion.Query().Where(pluginversion.Digest(p.digest)).Exist(ctx)
		if err == nil && !known {
			err = r.enter(ctx, p, root)
		}
		failed = errors.Join(failed, err)
	}
	return failed == nil, failed
}

// enter writes one plugin of this program into the catalog.
func (r *Room) enter(ctx context.Context, p shipped, root *ent.Region) error {
	cmd := command.Command{Operation: "shipPlugin", Input: p.digest}
	_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		known, err := u.PluginVersion.Query().Where(pluginversion.Digest(p.digest)).Exist(ctx)
		if err != nil || known {
			return "", err // another node was faster
		}
		row, err := entry(ctx, u, p.manifest, root, false)
		if fault.CodeOf(err) == "PLUGIN_FOREIGN_REGION" {
			u.Note("left", p.Name)
			return "", nil
		}
		if err != nil {
			return "", err
		}
		taken, err := u.PluginVersion.Query().Where(pluginversion.HasPluginWith(plugin.ID(row.ID)), pluginversion.Version(p.Version)).Exist(ctx)
		if err != nil || taken {
			return "", err
		}
		v, err := u.PluginVersion.Create().SetPluginID(row.ID).SetVersion(p.Version).SetDigest(p.digest).SetKinds(p.manifest.Kinds).SetTopics(list(p.Topics)).
			SetAttributes(list(p.Attributes)).SetConfigSchema(p.ConfigSchema).SetManifest(p.text).SetKeyID(ShippedKey).SetSize(0).SetUploadedBy("").
			SetState(pluginversion.StateApproved).SetApprovedAt(u.Now).SetRegionID(root.ID).SetRegionPath(root.RegionPath).SetCreatedAt(u.Now).Save(ctx)
		if err != nil {
			return "", fmt.Errorf("create the plugin version: %w", err)
		}
		u.On(v.ID, v.RegionPath)
		return v.ID, nil
	})
	return err
}

// inside is the artifact of a plugin that this program brings. Another program, of an
// older or newer release, may have entered it: PLUGIN_NOT_SHIPPED.
func (r *Room) inside(v *ent.PluginVersion) (pluginhost.Artifact, error) {
	p, ok := r.shipped[v.Digest]
	if !ok {
		return pluginhost.Artifact{}, fault.E(fault.Unavailable, "PLUGIN_NOT_SHIPPED", fault.P("plugin", v.ID))
	}
	return pluginhost.Artifact{Digest: v.Digest, Name: p.Name, Version: p.Version, Inside: builtin.Variable + "=" + p.Name}, nil
}
