package bpmn

import (
	"crypto/sha256"
	"encoding/hex"
)

// Digest returns the SHA-256 of the canonical form in hexadecimal: two documents
// that say the same in XML have the same digest.
func (d *Document) Digest() string {
	sum := sha256.Sum256(d.Canonical())
	return hex.EncodeToString(sum[:])
}
