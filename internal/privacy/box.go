// Package privacy keeps secret what must not be read in the database. Its main type
// is Box, which encrypts the secrets of configurations.
package privacy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/openspms/spms/internal/fault"
)

// KeyBytes is the length of a box's key.
const KeyBytes = 32

// Box encrypts and decrypts with one key: AES-256-GCM under a random nonce, with the
// name of what is kept bound to it.
type Box struct{ aead cipher.AEAD }

// NewBox returns the box of a key of KeyBytes bytes.
func NewBox(key []byte) (*Box, error) {
	if len(key) != KeyBytes {
		return nil, fault.E(fault.Invalid, "SECRET_KEY_LENGTH", fault.P("want", KeyBytes), fault.P("have", len(key)))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make the cipher: %w", err)
	}
	return &Box{aead}, nil
}

// NewKey returns a fresh key.
func NewKey() ([]byte, error) {
	key := make([]byte, KeyBytes)
	_, err := rand.Read(key)
	return key, err
}

// Seal encrypts what is kept under a name, as base64.
func (b *Box) Seal(name string, plain []byte) (string, error) {
	nonce := make([]byte, b.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b.aead.Seal(nonce, nonce, plain, []byte(name))), nil
}

// Open decrypts what Seal returned for the same name. Error: SECRET_UNREADABLE, when
// the key or the name is another one or the text was changed.
func (b *Box) Open(name, sealed string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err == nil && len(raw) < b.aead.NonceSize() {
		err = errors.New("too short")
	}
	if err == nil {
		var plain []byte
		if plain, err = b.aead.Open(nil, raw[:b.aead.NonceSize()], raw[b.aead.NonceSize():], []byte(name)); err == nil {
			return plain, nil
		}
	}
	return nil, fault.E(fault.Precondition, "SECRET_UNREADABLE", fault.P("name", name)).Because(err)
}
