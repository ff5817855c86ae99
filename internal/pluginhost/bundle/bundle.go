// Package bundle reads and writes plugin bundles: zip files with a manifest, its
// minisign signature and the files that the manifest lists with their hashes, and
// nothing else. Its main types are Bundle and Manifest. It believes nothing that a
// bundle says of itself and never runs what is in it.
package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/plugins/sdk"
)

// The names that a bundle has for its manifest and its signature.
const (
	ManifestName  = "plugin.json"
	SignatureName = "plugin.json.minisig"
)

// What a bundle may be at most.
const (
	MaxPacked   = 64 << 20
	MaxUnpacked = 256 << 20
	MaxFiles    = 200
	maxManifest = 1 << 20
)

// Manifest says what a bundle is and holds. It is what is signed.
type Manifest struct {
	Name         string          `json:"name"`
	Version      string          `json:"version"`
	Contract     int             `json:"contract"`
	Kinds        []string        `json:"kinds"` // module, strategy, scorer
	Title        Text            `json:"title"`
	Description  Text            `json:"description,omitzero"`
	Topics       []string        `json:"topics,omitempty"`       // of the service tasks that a module carries out
	ConfigSchema json.RawMessage `json:"configSchema,omitempty"` // JSON Schema of the configuration
	Attributes   []string        `json:"attributes,omitempty"`   // inputs, or attributes of events, that it wants; it is shown no others
	Addresses    []string        `json:"addresses,omitempty"`    // inputs that are addresses of people: shown as pseudonyms, notices go to them
	Metrics      []Metric        `json:"metrics,omitempty"`
	Outputs      json.RawMessage `json:"outputs,omitempty"` // JSON Schema of a module's outputs
	Targets      []Target        `json:"targets"`
	Files        []File          `json:"files"`
}

// Text is said in both languages.
type Text struct {
	Zh string `json:"zh,omitempty"`
	En string `json:"en,omitempty"`
}

// Metric is a number that the plugin may report. A value outside its bounds breaks the
// contract; an end that is nil is open.
type Metric struct {
	Name        string   `json:"name"`
	Unit        string   `json:"unit"`
	Description string   `json:"description,omitempty"`
	Min         *float64 `json:"min,omitempty"`
	Max         *float64 `json:"max,omitempty"`
}

// Target is the executable for one platform, in the words of GOOS and GOARCH.
type Target struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Entry string `json:"entry"`
}

// File is one file of the bundle. SHA256 is in lower-case hex.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Bundle is a bundle that has been read whole and is what its manifest says.
type Bundle struct {
	Manifest Manifest
	Digest   string // "sha256:" and the hash of the whole file in hex
	Signed   bool

	manifest  []byte
	signature []byte
	files     map[string][]byte
}

func wrong(code string, params ...fault.Param) *fault.Error {
	return fault.E(fault.Invalid, code, params...).At("bundle")
}

// Read reads a bundle and checks all of it but the signature: structure, limits,
// manifest, every file's size and hash. Errors are fault.Invalid: BUNDLE_TOO_LARGE,
// BUNDLE_MALFORMED, BUNDLE_MANIFEST, BUNDLE_FILE.
func Read(data []byte) (*Bundle, error) {
	if len(data) > MaxPacked {
		return nil, wrong("BUNDLE_TOO_LARGE", fault.P("max", MaxPacked))
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, wrong("BUNDLE_MALFORMED", fault.P("cause", err.Error()))
	}
	sum := sha256.Sum256(data)
	b := &Bundle{Digest: "sha256:" + hex.EncodeToString(sum[:]), files: map[string][]byte{}}
	if err := b.readAll(z); err != nil {
		return nil, err
	}
	if err := b.readManifest(); err != nil {
		return nil, err
	}
	return b, b.compare()
}

// readAll unpacks every member into memory, never more than the limits allow,
// whatever the archive says of sizes.
func (b *Bundle) readAll(z *zip.Reader) error {
	if len(z.File) > MaxFiles {
		return wrong("BUNDLE_TOO_LARGE", fault.P("max", MaxFiles))
	}
	left := int64(MaxUnpacked)
	for _, f := range z.File {
		if !clean(f.Name) || !f.Mode().IsRegular() {
			return wrong("BUNDLE_FILE", fault.P("path", f.Name), fault.P("cause", "not a plain file of the bundle"))
		}
		if _, twice := b.files[f.Name]; twice {
			return wrong("BUNDLE_FILE", fault.P("path", f.Name), fault.P("cause", "twice"))
		}
		content, err := unpack(f, left)
		if err != nil {
			return err
		}
		left -= int64(len(content))
		b.files[f.Name] = content
	}
	return nil
}

func unpack(f *zip.File, left int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, wrong("BUNDLE_MALFORMED", fault.P("cause", err.Error()))
	}
	defer func() { _ = r.Close() }()
	content, err := io.ReadAll(io.LimitReader(r, left+1))
	switch {
	case err != nil:
		return nil, wrong("BUNDLE_MALFORMED", fault.P("cause", f.Name+": "+err.Error()))
	case int64(len(content)) > left:
		return nil, wrong("BUNDLE_TOO_LARGE", fault.P("max", MaxUnpacked))
	}
	return content, nil
}

// clean tells whether a path stays in the bundle, as it is written.
func clean(p string) bool {
	return fs.ValidPath(p) && p != "." && !strings.ContainsAny(p, "\\:\x00") && len(p) <= 200
}

func (b *Bundle) readManifest() error {
	manifest, ok := b.files[ManifestName]
	if !ok || len(manifest) > maxManifest {
		return wrong("BUNDLE_MANIFEST", fault.P("cause", ManifestName+" is missing or larger than 1 MiB"))
	}
	b.signature, b.Signed = b.files[SignatureName]
	b.manifest = manifest
	delete(b.files, ManifestName)
	delete(b.files, SignatureName)
	d := json.NewDecoder(bytes.NewReader(manifest))
	d.DisallowUnknownFields()
	if err := d.Decode(&b.Manifest); err != nil {
		return wrong("BUNDLE_MANIFEST", fault.P("cause", err.Error()))
	}
	if d.More() {
		return wrong("BUNDLE_MANIFEST", fault.P("cause", "something follows the manifest"))
	}
	return b.Manifest.Check()
}

// compare holds the files against the manifest: all of them are there, no others,
// and each is what its hash says.
func (b *Bundle) compare() error {
	for _, f := range b.Manifest.Files {
		content, ok := b.files[f.Path]
		sum := sha256.Sum256(content)
		switch {
		case !ok:
			return wrong("BUNDLE_FILE", fault.P("path", f.Path), fault.P("cause", "missing"))
		case int64(len(content)) != f.Size:
			return wrong("BUNDLE_FILE", fault.P("path", f.Path), fault.P("cause", "another size"))
		case hex.EncodeToString(sum[:]) != f.SHA256:
			return wrong("BUNDLE_FILE", fault.P("path", f.Path), fault.P("cause", "another hash"))
		}
	}
	if len(b.files) != len(b.Manifest.Files) {
		for name := range b.files {
			if !slices.ContainsFunc(b.Manifest.Files, func(f File) bool { return f.Path == name }) {
				return wrong("BUNDLE_FILE", fault.P("path", name), fault.P("cause", "not in the manifest"))
			}
		}
	}
	return nil
}

// File returns the content of a file of the bundle. Error: BUNDLE_FILE.
func (b *Bundle) File(name string) ([]byte, error) {
	content, ok := b.files[name]
	if !ok {
		return nil, wrong("BUNDLE_FILE", fault.P("path", name), fault.P("cause", "missing"))
	}
	return content, nil
}

// Entry is the executable for a platform. Error: PLUGIN_TARGET_MISSING.
func (b *Bundle) Entry(goos, goarch string) (File, error) {
	for _, t := range b.Manifest.Targets {
		if t.OS != goos || t.Arch != goarch {
			continue
		}
		i := slices.IndexFunc(b.Manifest.Files, func(f File) bool { return f.Path == t.Entry })
		return b.Manifest.Files[i], nil // Check has seen that it is there
	}
	return File{}, fault.E(fault.Precondition, "PLUGIN_TARGET_MISSING", fault.P("plugin", b.Manifest.Name), fault.P("target", goos+"/"+goarch))
}

// Extract writes the files of the bundle below dir, which nobody may
// write to afterwards, and returns the path of the entry. Errors:
// PLUGIN_TARGET_MISSING, those of the file system.
func (b *Bundle) Extract(dir, goos, goarch string) (string, error) {
	entry, err := b.Entry(goos, goarch)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open the folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	for name, content := range b.files {
		mode := fs.FileMode(0o444) // plugins run as users of their own
		if name == entry.Path {
			mode = 0o555
		}
		if err := put(root, name, content, mode); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, filepath.FromSlash(entry.Path)), nil
}

func put(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a folder: %w", err)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write a file of the bundle: %w", err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write a file of the bundle: %w", err)
	}
	return nil
}

// CheckConfig holds a JSON value against a JSON Schema in the SDK's keywords and
// returns what is wrong with it; nothing without a schema.
func CheckConfig(schema, config json.RawMessage) []sdk.Diagnostic {
	if len(schema) == 0 {
		return nil
	}
	s, err := sdk.ParseSchema(string(schema))
	if err != nil {
		return []sdk.Diagnostic{{Path: "$", Code: "SCHEMA", Message: err.Error()}}
	}
	return s.Check(config)
}
