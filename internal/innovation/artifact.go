package innovation

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
)

// Artifact returns the executable of a version on this node, for rooms that run
// other kinds of plugins. Errors as of Bundle.Verify and PLUGIN_TARGET_MISSING.
func (r *Room) Artifact(ctx context.Context, v *ent.PluginVersion) (pluginhost.Artifact, error) {
	return r.artifact(ctx, v)
}

// artifact returns the executable of a version on this node. What is missing is
// fetched from the database by digest and verified again, signature included: the
// database is not trusted either. Errors: PLUGIN_CHANGED, PLUGIN_DEV_REGION, PLUGIN_TARGET_MISSING,
// those of Bundle.Verify; of a shipped plugin PLUGIN_NOT_SHIPPED.
func (r *Room) artifact(ctx context.Context, v *ent.PluginVersion) (pluginhost.Artifact, error) {
	if v.KeyID == ShippedKey {
		return r.inside(v)
	}
	if v.Dev && !r.inDev(v.RegionPath) {
		return pluginhost.Artifact{}, fault.E(fault.Forbidden, "PLUGIN_DEV_REGION", fault.P("region", v.RegionPath))
	}
	r.unpacking.Lock()
	defer r.unpacking.Unlock()
	if a, ok := r.artifacts[v.Digest]; ok {
		return a, nil
	}
	content, err := r.content(ctx, v.Digest)
	if err != nil {
		return pluginhost.Artifact{}, err
	}
	b, err := bundle.Read(content)
	if err != nil {
		return pluginhost.Artifact{}, err
	}
	if b.Digest != v.Digest || digestOf(content) != v.Digest {
		return pluginhost.Artifact{}, fault.E(fault.Precondition, "PLUGIN_CHANGED", fault.P("plugin", v.Digest))
	}
	keys := r.o.Trusted
	if v.Dev {
		keys = r.o.DevTrusted
	}
	if _, err := b.Verify(keys); err != nil {
		return pluginhost.Artifact{}, err
	}
	path, hash, err := r.unpack(b)
	if err != nil {
		return pluginhost.Artifact{}, err
	}
	a := pluginhost.Artifact{Digest: v.Digest, Name: b.Manifest.Name, Version: b.Manifest.Version, Path: path, SHA256: hash}
	r.artifacts[v.Digest] = a
	return a, nil
}

// unpack writes the files of a bundle into a folder of their own, all or none, and
// returns the executable for this machine with the hash that it must have.
func (r *Room) unpack(b *bundle.Bundle) (path, hash string, err error) {
	entry, err := b.Entry(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(r.o.Dir, strings.TrimPrefix(b.Digest, "sha256:"))
	path = filepath.Join(dir, filepath.FromSlash(entry.Path))
	if _, err := os.Stat(path); err == nil {
		return path, entry.SHA256, nil // its hash is looked at before each start
	}
	if err := os.MkdirAll(r.o.Dir, 0o711); err != nil {
		return "", "", fmt.Errorf("make the folder of plugins: %w", err)
	}
	fresh, err := os.MkdirTemp(r.o.Dir, "unpack-")
	if err != nil {
		return "", "", fmt.Errorf("make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if _, err := b.Extract(fresh, runtime.GOOS, runtime.GOARCH); err != nil {
		return "", "", err
	}
	if err := os.Chmod(fresh, 0o711); err != nil { //nolint:gosec // plugins run as users of their own
		return "", "", fmt.Errorf("open the folder of the plugin: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", "", fmt.Errorf("put the plugin in place: %w", err)
	}
	return path, entry.SHA256, nil
}
