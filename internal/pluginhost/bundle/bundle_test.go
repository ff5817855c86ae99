package bundle_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost/bundle"
)

func manifest() bundle.Manifest {
	return bundle.Manifest{
		Name: "sample", Version: "1.0.0", Contract: 1, Kinds: []string{"module"}, Title: bundle.Text{Zh: "样例"}, Topics: []string{"t"},
		Targets: []bundle.Target{{OS: "linux", Arch: "amd64", Entry: "bin/sample"}}, Files: []bundle.File{{Path: "notes.txt"}},
	}
}

// folder holds the files of the sample.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"bin/sample": "#!/bin/sh\n", "notes.txt": "notes"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func packed(t testing.TB) []byte {
	t.Helper()
	data, err := bundle.Pack(folder(t), manifest())
	if err != nil {
		t.Fatalf("Pack() = %v", err)
	}
	return data
}

// TestRoundTrip packs, signs, reads, verifies and unpacks a bundle.
func TestRoundTrip(t *testing.T) {
	data := packed(t)
	if again := packed(t); !bytes.Equal(data, again) {
		t.Error("the same input gives other bytes")
	}
	public, private, err := bundle.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = bundle.Sign(data, private); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(data)
	if err != nil {
		t.Fatalf("Read() = %v", err)
	}
	parsed, err := bundle.ParsePublicKey(public.String())
	if err != nil {
		t.Fatal(err)
	}
	if key, err := b.Verify([]bundle.PublicKey{parsed}); err != nil || key.ID() != public.ID() {
		t.Errorf("Verify() = %v, %v, want %s", key, err, public.ID())
	}
	dir := t.TempDir()
	entry, err := b.Extract(dir, "linux", "amd64")
	if err != nil || entry != filepath.Join(dir, "bin", "sample") {
		t.Fatalf("Extract() = %s, %v, want the entry", entry, err)
	}
	if info, err := os.Stat(entry); err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("the entry has mode %v, %v, want 0555", info.Mode(), err)
	}
	if _, err := b.Extract(t.TempDir(), "plan9", "mips"); fault.CodeOf(err) != "PLUGIN_TARGET_MISSING" {
		t.Errorf("Extract() for another platform = %v, want PLUGIN_TARGET_MISSING", err)
	}
}

// repack changes a bundle's members and writes it again.
func repack(t testing.TB, data []byte, change func(files map[string]string)) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		files[f.Name] = text.String()
	}
	change(files)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestDamaged changes one thing of a good bundle: it is refused for that.
func TestDamaged(t *testing.T) {
	edit := func(change func(m *bundle.Manifest)) func(map[string]string) {
		return func(files map[string]string) {
			var m bundle.Manifest
			if err := json.Unmarshal([]byte(files[bundle.ManifestName]), &m); err != nil {
				t.Fatal(err)
			}
			change(&m)
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			files[bundle.ManifestName] = string(text)
		}
	}
	tests := []struct {
		name, code string
		change     func(files map[string]string)
	}{
		{"no manifest", "BUNDLE_MANIFEST", func(f map[string]string) { delete(f, bundle.ManifestName) }},
		{"manifest is no JSON", "BUNDLE_MANIFEST", func(f map[string]string) { f[bundle.ManifestName] = "{" }},
		{"unknown field", "BUNDLE_MANIFEST", func(f map[string]string) { f[bundle.ManifestName] = `{"nme":"x"}` }},
		{"something follows", "BUNDLE_MANIFEST", func(f map[string]string) { f[bundle.ManifestName] += "{}" }},
		{"name", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Name = "No Name" })},
		{"version", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Version = "one" })},
		{"contract", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Contract = 2 })},
		{"kind", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Kinds = []string{"virus"} })},
		{"no kind", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Kinds = nil })},
		{"title", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Title = bundle.Text{} })},
		{"module without topics", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Topics = nil })},
		{"topic", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Topics = []string{" t"} })},
		{"schema", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.ConfigSchema = json.RawMessage(`{"type":"thing"}`) })},
		{"outputs", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Outputs = json.RawMessage(`{"oneOf":[]}`) })},
		{"no target", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Targets = nil })},
		{"target twice", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Targets = append(m.Targets, m.Targets[0]) })},
		{"entry not among the files", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Targets[0].Entry = "bin/other" })},
		{"path goes up", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Files[1].Path = "../notes.txt" })},
		{"hash is no hash", "BUNDLE_MANIFEST", edit(func(m *bundle.Manifest) { m.Files[1].SHA256 = "00" })},
		{"another hash", "BUNDLE_FILE", edit(func(m *bundle.Manifest) { m.Files[1].SHA256 = strings.Repeat("0", 64) })},
		{"another size", "BUNDLE_FILE", edit(func(m *bundle.Manifest) { m.Files[1].Size++ })},
		{"file changed", "BUNDLE_FILE", func(f map[string]string) { f["notes.txt"] = "nodes" }},
		{"file missing", "BUNDLE_FILE", func(f map[string]string) { delete(f, "notes.txt") }},
		{"file too many", "BUNDLE_FILE", func(f map[string]string) { f["more.txt"] = "x" }},
		{"member goes up", "BUNDLE_FILE", func(f map[string]string) { f["../../etc/passwd"] = "x" }},
		{"member is absolute", "BUNDLE_FILE", func(f map[string]string) { f["/etc/passwd"] = "x" }},
		{"member is a folder", "BUNDLE_FILE", func(f map[string]string) { f["folder/"] = "" }},
		{"too many members", "BUNDLE_TOO_LARGE", func(f map[string]string) {
			for i := range bundle.MaxFiles + 1 {
				f[strings.Repeat("x", i+1)] = ""
			}
		}},
		{"bomb", "BUNDLE_TOO_LARGE", func(f map[string]string) { f["zeros"] = string(make([]byte, bundle.MaxUnpacked+1)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := bundle.Read(repack(t, packed(t), tt.change)); fault.CodeOf(err) != tt.code {
				t.Errorf("Read() = %v, want %s", err, tt.code)
			}
		})
	}
}

// TestSignature changes what is signed: the signature does not hold any more.
func TestSignature(t *testing.T) {
	public, private, err := bundle.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := bundle.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := bundle.Sign(packed(t), private)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, code string
		data       []byte
		key        bundle.PublicKey
	}{
		{"good", "", signed, public},
		{"unsigned", "PLUGIN_UNSIGNED", packed(t), public},
		{"another key", "PLUGIN_KEY_UNKNOWN", signed, other},
		{"manifest changed", "PLUGIN_SIGNATURE_WRONG", repack(t, signed, func(f map[string]string) {
			f[bundle.ManifestName] = strings.Replace(f[bundle.ManifestName], "1.0.0", "1.0.1", 1)
		}), public},
		{"signature garbled", "PLUGIN_SIGNATURE_WRONG", repack(t, signed, func(f map[string]string) { f[bundle.SignatureName] = "signed, honestly" }), public},
	} {
		b, err := bundle.Read(tt.data)
		if err == nil {
			_, err = b.Verify([]bundle.PublicKey{tt.key})
		}
		if got := fault.CodeOf(err); err != nil && got != tt.code || err == nil && tt.code != "" {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.code)
		}
	}
}

// FuzzRead reads whatever comes: it refuses or gives a bundle whose manifest is sound.
func FuzzRead(f *testing.F) {
	data := packed(f)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Read(data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("Read() = %v, want an invalid fault", err)
			}
			return
		}
		if err := b.Manifest.Check(); err != nil {
			t.Errorf("Read() took a manifest that Check refuses: %v", err)
		}
	})
}
