package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"aead.dev/minisign"

	"github.com/openspms/spms/internal/fault"
)

// PublicKey is a minisign key whose signatures are believed.
type PublicKey struct{ key minisign.PublicKey }

// PrivateKey is a minisign key that signs.
type PrivateKey struct{ key minisign.PrivateKey }

// ID is the key's number as minisign prints it, 16 hex digits.
func (k PublicKey) ID() string { return fmt.Sprintf("%016X", k.key.ID()) }

// String is the key as minisign writes it into files.
func (k PublicKey) String() string { return k.key.String() }

// GenerateKey makes a pair of keys.
func GenerateKey(random io.Reader) (PublicKey, PrivateKey, error) {
	public, private, err := minisign.GenerateKey(random)
	return PublicKey{public}, PrivateKey{private}, err
}

// ParsePublicKey reads a key from the text of a file that minisign or keygen wrote,
// with or without its comment. Error: PLUGIN_KEY_MALFORMED.
func ParsePublicKey(text string) (PublicKey, error) {
	var k minisign.PublicKey
	if err := k.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
		return PublicKey{}, fault.E(fault.Invalid, "PLUGIN_KEY_MALFORMED", fault.P("cause", err.Error()))
	}
	return PublicKey{k}, nil
}

// ParsePrivateKey reads a key, encrypted by a password unless that is empty. Error:
// PLUGIN_KEY_MALFORMED, which a wrong password is too.
func ParsePrivateKey(text, password string) (PrivateKey, error) {
	var (
		k   minisign.PrivateKey
		err error
	)
	if password != "" || minisign.IsEncrypted([]byte(text)) {
		k, err = minisign.DecryptKey(password, []byte(text))
	} else {
		err = k.UnmarshalText([]byte(text))
	}
	if err != nil {
		return PrivateKey{}, fault.E(fault.Invalid, "PLUGIN_KEY_MALFORMED", fault.P("cause", err.Error()))
	}
	return PrivateKey{k}, nil
}

// Text is the key as a file, encrypted by a password unless that is empty.
func (k PrivateKey) Text(password string) ([]byte, error) {
	if password == "" {
		return k.key.MarshalText()
	}
	return minisign.EncryptKey(password, k.key)
}

// Verify tells which of the trusted keys has signed the manifest, and with it the
// hash of every file. Errors are fault.Precondition: PLUGIN_UNSIGNED,
// PLUGIN_KEY_UNKNOWN, PLUGIN_SIGNATURE_WRONG.
func (b *Bundle) Verify(trusted []PublicKey) (PublicKey, error) {
	if !b.Signed {
		return PublicKey{}, fault.E(fault.Precondition, "PLUGIN_UNSIGNED").At("bundle")
	}
	var s minisign.Signature
	if err := s.UnmarshalText(b.signature); err != nil {
		return PublicKey{}, fault.E(fault.Precondition, "PLUGIN_SIGNATURE_WRONG").At("bundle")
	}
	i := slices.IndexFunc(trusted, func(k PublicKey) bool { return k.key.ID() == s.KeyID })
	if i < 0 {
		return PublicKey{}, fault.E(fault.Precondition, "PLUGIN_KEY_UNKNOWN", fault.P("key", fmt.Sprintf("%016X", s.KeyID))).At("bundle")
	}
	if !minisign.Verify(trusted[i].key, b.manifest, b.signature) {
		return PublicKey{}, fault.E(fault.Precondition, "PLUGIN_SIGNATURE_WRONG").At("bundle")
	}
	return trusted[i], nil
}

// Pack makes an unsigned bundle of the files below dir that m names, whose sizes and
// hashes it fills in. The same input gives the same bytes. Errors: BUNDLE_MANIFEST,
// those of the file system.
func Pack(dir string, m Manifest) ([]byte, error) {
	files := map[string][]byte{}
	paths := map[string]bool{}
	for _, f := range m.Files {
		paths[f.Path] = true
	}
	for _, t := range m.Targets {
		paths[t.Entry] = true
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	m.Files = nil
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		content, err := root.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("read a file of the plugin: %w", err)
		}
		sum := sha256.Sum256(content)
		m.Files = append(m.Files, File{Path: p, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])})
		files[p] = content
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return archive(manifest, nil, files)
}

// Sign returns the bundle with the signature of a key, in place of any that it had.
// Errors as of Read.
func Sign(data []byte, k PrivateKey) ([]byte, error) {
	b, err := Read(data)
	if err != nil {
		return nil, err
	}
	comment := "plugin:" + b.Manifest.Name + "@" + b.Manifest.Version
	return archive(b.manifest, minisign.SignWithComments(k.key, b.manifest, comment, comment), b.files)
}

// archive writes a bundle: manifest, signature, files in the order of their paths,
// all of one fixed instant.
func archive(manifest, signature []byte, files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	add := func(name string, content []byte) error {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
		h.SetMode(0o644)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	}
	err := add(ManifestName, manifest)
	if signature != nil && err == nil {
		err = add(SignatureName, signature)
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if err == nil {
			err = add(p, files[p])
		}
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("write the bundle: %w", err)
	}
	return out.Bytes(), nil
}
