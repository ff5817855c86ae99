package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

const (
	devFolder = ".spms"                // beside the sources: the key of the developer
	devLook   = 300 * time.Millisecond // how often the sources are looked at
	devRetry  = 3 * time.Second        // after which a server that did not answer is asked again
)

// pluginDev brings a plugin to work at each save until ctx ends: built, held against
// the contract quickly, signed by the developer's own key, stored, entered into the
// catalog and assigned. What fails is printed, and the version before goes on working.
// The sources are looked at, not watched: that needs no library and works on every disk.
func pluginDev(ctx context.Context, c Console, d PluginDev) error {
	m, err := draft(d.Dir)
	if err != nil {
		return err
	}
	key, err := devKey(c, d.Dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "watching %s; %s works in %s at each save\n", d.Dir, m.Name, d.Region)
	done, seen := "", ""
	var retry time.Time
	look := time.NewTicker(devLook)
	defer look.Stop()
	for {
		now, err := fingerprint(d.Dir, d.Config)
		if err == nil && now == seen && now != done && !systemClock.Now().Before(retry) { // nothing is being written just now
			began := systemClock.Now()
			version, err := d.bring(ctx, c, key, now)
			switch {
			case ctx.Err() != nil:
				return nil
			case err == nil:
				fmt.Fprintf(c.Out, "%s live in %s after %.1f s\n", version, d.Region, systemClock.Now().Sub(began).Seconds())
			default:
				d.explain(c, err)
			}
			done = now
			if errors.Is(err, errNoServer) {
				done, retry = "", systemClock.Now().Add(devRetry)
			}
		}
		seen = now
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

// errNoServer is that of a server which could not be asked.
var errNoServer = errors.New("no answer")

// explain prints what went wrong and, where the server has to be told something, what.
func (d PluginDev) explain(c Console, err error) {
	e := fault.From(err)
	cause := fault.Text(c.Lang, e)
	fmt.Fprintf(c.Out, "FAIL %s: %s\n     the version before, if any, goes on working\n", e.Code, cause)
	refused, _ := errors.AsType[refusedError](err)
	if errors.Is(err, errNoServer) || slices.Contains([]string{"PLUGIN_KEY_UNKNOWN", "PLUGIN_DEV_REGION"}, refused.code) {
		trust, err := filepath.Abs(filepath.Join(d.Dir, devFolder, "dev.pub"))
		if err != nil {
			trust = filepath.Join(d.Dir, devFolder, "dev.pub")
		}
		fmt.Fprintf(c.Out, "     the server must be started so: spms serve --plugin-dev %s --plugin-dev-trust %s\n", d.Region, trust)
	}
}

// devKey is the developer's key, made at its first use in a folder that git leaves
// alone and no bundle takes in.
func devKey(c Console, dir string) (bundle.PrivateKey, error) {
	at := filepath.Join(dir, devFolder)
	prefix := filepath.Join(at, "dev")
	if _, err := os.Stat(prefix + ".key"); err != nil {
		if err := os.MkdirAll(at, 0o700); err != nil {
			return bundle.PrivateKey{}, err
		}
		if err := os.WriteFile(filepath.Join(at, ".gitignore"), []byte("*\n"), 0o600); err != nil {
			return bundle.PrivateKey{}, err
		}
		public, err := writeKeys(prefix, "")
		if err != nil {
			return bundle.PrivateKey{}, err
		}
		fmt.Fprintf(c.Out, "%s.key is your key %s for development; it stays on this machine\n", prefix, public.ID())
	}
	text, err := os.ReadFile(prefix + ".key")
	if err != nil {
		return bundle.PrivateKey{}, refuse("dir", dir, "a readable key in "+at)
	}
	return bundle.ParsePrivateKey(string(text), "")
}

// fingerprint is the hash of everything that the plugin is made of: all files but those
// whose name, or a folder's above, begins with a dot, and the configuration.
func fingerprint(dir, config string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		hidden := p != dir && strings.HasPrefix(e.Name(), ".")
		switch {
		case err != nil:
			return err
		case e.IsDir() && hidden:
			return filepath.SkipDir
		case e.IsDir(), hidden, !e.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q %d\n", filepath.ToSlash(name), len(content))
		_, err = sum.Write(content)
		return err
	})
	if err == nil && config != "" {
		content, err := os.ReadFile(config)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "config %d\n", len(content))
		_, _ = sum.Write(content) // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}

// bring brings one state of the sources to work and returns its version, of which the
// fingerprint is a part: the same sources are the same version.
func (d PluginDev) bring(ctx context.Context, c Console, key bundle.PrivateKey, print string) (string, error) {
	m, err := draft(d.Dir)
	if err != nil {
		return "", err
	}
	suffix := "-dev." + print[:12]
	if strings.Contains(m.Version, "-") {
		suffix = strings.Replace(suffix, "-", ".", 1)
	}
	m.Version += suffix
	data, err := d.pack(ctx, c, m, suffix)
	if err != nil {
		return "", err
	}
	if data, err = bundle.Sign(data, key); err != nil {
		return "", err
	}
	name := m.Name + "@" + m.Version
	digest, err := d.store(ctx, data)
	if err != nil {
		return "", err
	}
	_, err = d.enter(ctx, digest)
	if refused, ok := errors.AsType[refusedError](err); err != nil && (!ok || refused.code != "PLUGIN_VERSION_TAKEN") { // taken: sources that were there before
		return "", err
	}
	return name, d.assign(ctx, m, name)
}

// pack builds a plugin for this machine, holds it against the contract, with little
// patience, and packs it.
func (d PluginDev) pack(ctx context.Context, c Console, m bundle.Manifest, suffix string) ([]byte, error) {
	stage, err := os.MkdirTemp("", "spms-dev-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	if err := os.Chmod(stage, 0o711); err != nil { //nolint:gosec // the plugin runs as another user
		return nil, err
	}
	entry := path.Join("bin", m.Name)
	if runtime.GOOS == "windows" {
		entry += ".exe"
	}
	program := filepath.Join(stage, filepath.FromSlash(entry))
	if err := build(ctx, c, d.Dir, machine, program, suffix); err != nil {
		return nil, err
	}
	if err := os.Chmod(filepath.Dir(program), 0o711); err != nil { //nolint:gosec // likewise
		return nil, err
	}
	if err := try(ctx, c, m, program, plugintest.Sample{Events: 1000, Patience: 5}, false); err != nil {
		return nil, err
	}
	m.Targets, m.Files = []bundle.Target{{OS: runtime.GOOS, Arch: runtime.GOARCH, Entry: entry}}, nil
	return bundle.Pack(stage, m)
}

// assign lets a version work in the region in place of the one before.
func (d PluginDev) assign(ctx context.Context, m bundle.Manifest, name string) error {
	in := map[string]any{"versionID": name, "regionID": d.Region, "mode": d.Mode}
	if slices.Contains(m.Kinds, "module") {
		topic := d.Topic
		if topic == "" && len(m.Topics) > 0 {
			topic = m.Topics[0]
		}
		in["topic"], in["fallback"] = topic, "fail"
		if d.Role != "" {
			in["fallback"], in["fallbackRole"] = "human", d.Role
		}
	}
	for field, mapping := range map[string]map[string]string{"inputs": d.Inputs, "outputs": d.Outputs} {
		list := []map[string]string{}
		for name, variable := range mapping {
			list = append(list, map[string]string{"name": name, "variable": variable})
		}
		if len(list) > 0 {
			in[field] = list
		}
	}
	if d.Config != "" {
		text, err := os.ReadFile(d.Config)
		if err != nil {
			return refuse("config", d.Config, "a file with a JSON object")
		}
		var config map[string]any
		if err := json.Unmarshal(text, &config); err != nil {
			return refuse("config", d.Config, "a JSON object: "+err.Error())
		}
		in["config"] = config
	}
	var none struct{}
	return d.ask(ctx, `mutation($in: AssignPluginInput!) { assignPlugin(input: $in) { assignment { id } userErrors { code message } } }`, in, &none)
}
