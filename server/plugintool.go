package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

// The tools of a plugin's author. They need Go where they build and nothing else.

//go:embed template
var templates embed.FS

func pluginTools() PluginCommands {
	return PluginCommands{New: pluginNew, Test: pluginTest, Pack: pluginPack, Keygen: pluginKeygen, Sign: pluginSign, Verify: pluginVerify, Push: pluginPush, Dev: pluginDev}
}

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

const sdkPath = "github.com/openspms/spms/plugins/sdk"

// pluginNew writes a plugin with its own copy of the SDK into a folder that must not
// exist.
func pluginNew(_ context.Context, c Console, name, dir string) error {
	if !pluginName.MatchString(name) {
		return refuse("name", name, pluginName.String())
	}
	if _, err := os.Stat(dir); err == nil {
		return refuse("dir", dir, "a folder that does not exist yet")
	}
	if err := copySDK(filepath.Join(dir, "sdk")); err != nil {
		return err
	}
	for _, file := range []string{"main.go", "main_test.go", "README.md"} {
		text, err := templates.ReadFile("template/" + file + ".txt")
		if err != nil {
			return err
		}
		out := strings.NewReplacer("NAME", name, "example.org/sdk", sdkPath).Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, file), []byte(out), 0o600); err != nil {
			return err
		}
	}
	m := bundle.Manifest{
		Name: name, Version: "0.1.0", Contract: sdk.ContractVersion, Kinds: []string{"module"}, Title: bundle.Text{Zh: name, En: name},
		Topics: []string{name}, Attributes: []string{"wish"}, ConfigSchema: json.RawMessage(`{"type":"object","properties":{"greeting":{"type":"string"}}}`),
		Outputs: json.RawMessage(`{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}`),
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, bundle.ManifestName), append(manifest, '\n'), 0o600); err != nil {
		return err
	}
	if err := writeModule(dir, name); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "%s\n  cd %s && go test .\n", dir, dir)
	return nil
}

// copySDK unpacks the SDK, without its tests.
func copySDK(dir string) error {
	return fs.WalkDir(sdk.Source, ".", func(p string, d fs.DirEntry, err error) error {
		to := filepath.Join(dir, filepath.FromSlash(p))
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(to, 0o755) //nolint:gosec // source code
		case strings.HasSuffix(p, "_test.go") || path.Base(p) == "source.go":
			return nil
		}
		content, err := sdk.Source.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o600)
	})
}

// writeModule writes go.mod and go.sum: the SDK's requirements are the plugin's, so
// that nothing has to be looked up.
func writeModule(dir, name string) error {
	mod, err := sdk.Source.ReadFile("go.mod")
	if err != nil {
		return err
	}
	sum, err := sdk.Source.ReadFile("go.sum")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(mod), "\n")
	rest = regexp.MustCompile(`(?m)^(\s+\S+ v\S+)$`).ReplaceAllString(rest, "$1 // indirect")
	text := "module " + name + "\n" + rest + "\nrequire " + sdkPath + " v0.0.0\n\nreplace " + sdkPath + " => ./sdk\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "go.sum"), sum, 0o600)
}

// draft reads the manifest of a plugin that is being written.
func draft(dir string) (bundle.Manifest, error) {
	var m bundle.Manifest
	text, err := os.ReadFile(filepath.Join(dir, bundle.ManifestName))
	if err != nil {
		return m, refuse("dir", dir, "a folder with plugin.json")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fault.E(fault.Invalid, "BUNDLE_MANIFEST", fault.P("cause", err.Error()))
	}
	return m, nil
}

// build builds the plugin of a folder for a platform, such as linux/amd64; suffix
// follows the version that it says of itself.
func build(ctx context.Context, c Console, dir, target, out, suffix string) error {
	goos, goarch, _ := strings.Cut(target, "/")
	flags := "-ldflags=-s -w"
	if suffix != "" {
		flags += " -X " + sdkPath + ".development=" + suffix
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", flags, "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	text, err := cmd.CombinedOutput()
	if err != nil {
		fmt.Fprintf(c.Out, "%s", text)
		return failed("go build " + target)
	}
	return nil
}

var machine = runtime.GOOS + "/" + runtime.GOARCH

// pluginTest builds a plugin, starts it as a server would and holds it against the
// contract.
func pluginTest(ctx context.Context, c Console, dir string) error {
	m, err := draft(dir)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "spms-test-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := os.Chmod(tmp, 0o711); err != nil { //nolint:gosec // the plugin runs as another user
		return err
	}
	program := filepath.Join(tmp, m.Name)
	if err := build(ctx, c, dir, machine, program, ""); err != nil {
		return err
	}
	return try(ctx, c, m, program, plugintest.Sample{}, true)
}

// try starts a program as a server would and holds it against the contract; it prints
// what is wrong, and what is well if asked.
func try(ctx context.Context, c Console, m bundle.Manifest, program string, sample plugintest.Sample, all bool) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	host, err := pluginhost.Open(pluginhost.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { _ = host.Close() }()
	a := pluginhost.Artifact{Digest: "local", Name: m.Name, Version: m.Version, Path: program, SHA256: hex.EncodeToString(sum[:])}
	report, err := host.Check(ctx, a, sample)
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		if f.Err != nil {
			fmt.Fprintf(c.Out, "FAIL %s: %v\n", f.Rule, f.Err)
			continue
		}
		if all {
			fmt.Fprintf(c.Out, "ok   %s\n", f.Rule)
		}
	}
	if all {
		fmt.Fprintf(c.Out, "isolation: %s\n", strings.Join(host.Status()[0].Isolation, " "))
	}
	if report.Err() != nil {
		return failed("plugin test")
	}
	return nil
}

// pluginPack builds a plugin for the targets and writes an unsigned bundle.
func pluginPack(ctx context.Context, c Console, dir, out string, targets []string) error {
	m, err := draft(dir)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		targets = []string{machine}
	}
	stage, err := os.MkdirTemp("", "spms-pack-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	m.Targets, m.Files = nil, nil
	for _, t := range targets {
		goos, goarch, _ := strings.Cut(t, "/")
		entry := path.Join("bin", goos+"-"+goarch, m.Name)
		if goos == "windows" {
			entry += ".exe"
		}
		if err := build(ctx, c, dir, t, filepath.Join(stage, filepath.FromSlash(entry)), ""); err != nil {
			return err
		}
		m.Targets = append(m.Targets, bundle.Target{OS: goos, Arch: goarch, Entry: entry})
	}
	data, err := bundle.Pack(stage, m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, data, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "%s: %s %s for %s, %d bytes, not signed\n", out, m.Name, m.Version, strings.Join(targets, ", "), len(data))
	return nil
}

// pluginKeygen makes a pair of keys in new files.
func pluginKeygen(_ context.Context, c Console, prefix, password string) error {
	public, err := writeKeys(prefix, password)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "%s.key, keep it to yourself; %s.pub, key %s, for the operators who trust you\n", prefix, prefix, public.ID())
	return nil
}

// writeKeys makes a pair of keys in new files.
func writeKeys(prefix, password string) (bundle.PublicKey, error) {
	public, private, err := bundle.GenerateKey(nil)
	if err != nil {
		return public, err
	}
	text, err := private.Text(password)
	if err != nil {
		return public, err
	}
	for name, content := range map[string][]byte{prefix + ".key": text, prefix + ".pub": []byte(public.String() + "\n")} {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return public, refuse("out", prefix, "files that do not exist yet")
		}
		if _, err := f.Write(content); err != nil {
			_ = f.Close()
			return public, err
		}
		if err := f.Close(); err != nil {
			return public, err
		}
	}
	return public, nil
}

// pluginSign signs a bundle in its place.
func pluginSign(_ context.Context, c Console, file, key, password string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return refuse("bundle", file, "a bundle")
	}
	text, err := os.ReadFile(key)
	if err != nil {
		return refuse("key", key, "a file with a private key")
	}
	k, err := bundle.ParsePrivateKey(string(text), password)
	if err != nil {
		return err
	}
	signed, err := bundle.Sign(data, k)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", signed, 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "%s: signed\n", file)
	return nil
}

// pluginVerify checks a bundle whole.
func pluginVerify(_ context.Context, c Console, file string, trust []string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return refuse("bundle", file, "a bundle")
	}
	b, err := bundle.Read(data)
	if err != nil {
		return err
	}
	keys, err := trusted(trust)
	if err != nil {
		return err
	}
	key, err := b.Verify(keys)
	if err != nil {
		return err
	}
	m := b.Manifest
	fmt.Fprintf(c.Out, "%s %s (%s)\n  %s\n  signed by %s\n", m.Name, m.Version, strings.Join(m.Kinds, ", "), b.Digest, key.ID())
	for _, t := range m.Targets {
		fmt.Fprintf(c.Out, "  %s/%s %s\n", t.OS, t.Arch, t.Entry)
	}
	return nil
}

// trusted reads public keys from files.
func trusted(files []string) ([]bundle.PublicKey, error) {
	var out []bundle.PublicKey
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, refuse("trust", file, "a file with a minisign public key")
		}
		key, err := bundle.ParsePublicKey(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, key)
	}
	return out, nil
}

// pluginPush stores a bundle on a server and enters it into the catalog.
func pluginPush(ctx context.Context, c Console, p PluginPush) error {
	data, err := os.ReadFile(p.Bundle)
	if err != nil {
		return refuse("bundle", p.Bundle, "a bundle")
	}
	digest, err := p.store(ctx, data)
	if err != nil {
		return err
	}
	v, err := p.enter(ctx, digest)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "%s@%s %s\n  %s\n", v.Plugin.Name, v.Version, v.ID, digest)
	return nil
}

// store stores a bundle and returns its digest.
func (p PluginPush) store(ctx context.Context, data []byte) (string, error) {
	var stored struct{ Digest string }
	return stored.Digest, p.send(ctx, http.MethodPut, "/bundles", "application/zip", data, &stored)
}

// entered is a version in the catalog.
type entered struct {
	ID, Version string
	Plugin      struct{ Name string }
}

// enter enters a stored bundle into the catalog.
func (p PluginPush) enter(ctx context.Context, digest string) (entered, error) {
	var answer struct{ UploadPlugin struct{ Version entered } }
	err := p.ask(ctx, `mutation($in: UploadPluginInput!) { uploadPlugin(input: $in) { version { id version plugin { name } } userErrors { code message } } }`,
		map[string]any{"digest": digest, "regionID": p.Region}, &answer)
	return answer.UploadPlugin.Version, err
}

// refusedError is a refusal by the server.
type refusedError struct{ code, message string }

func (e refusedError) Error() string { return e.code + ": " + e.message }

// ask sends a mutation with its input. What the server refuses is a refusedError.
func (p PluginPush) ask(ctx context.Context, query string, in map[string]any, into any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"in": in}})
	if err != nil {
		return err
	}
	var answer struct {
		Data   map[string]json.RawMessage
		Errors []struct{ Message string }
	}
	if err := p.send(ctx, http.MethodPost, "/graphql", "application/json", body, &answer); err != nil {
		return err
	}
	for _, e := range answer.Errors {
		return failed(e.Message)
	}
	for _, payload := range answer.Data {
		var told struct {
			UserErrors []struct{ Code, Message string }
		}
		if err := json.Unmarshal(payload, &told); err != nil {
			return err
		}
		for _, e := range told.UserErrors {
			why := refusedError{e.Code, e.Message}
			return fault.E(fault.Precondition, "PLUGIN_TOOL_FAILED", fault.P("what", why.Error())).Because(why)
		}
	}
	data, err := json.Marshal(answer.Data)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// send asks the server and decodes its answer.
func (p PluginPush) send(ctx context.Context, method, door, kind string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, p.Server+door, bytes.NewReader(body))
	if err != nil {
		return refuse("server", p.Server, "http://host:port")
	}
	req.Header.Set("Content-Type", kind)
	if p.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.Token)
	}
	if p.Person != "" {
		req.Header.Set(PersonHeader, p.Person)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.E(fault.Unavailable, "PLUGIN_TOOL_FAILED", fault.P("what", err.Error())).Because(errors.Join(errNoServer, err))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return failed(err.Error())
	}
	if resp.StatusCode != http.StatusOK {
		return failed(resp.Status + ": " + strings.TrimSpace(string(answer)))
	}
	return json.Unmarshal(answer, into)
}
