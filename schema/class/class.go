// Package class classifies every field of the data model by who may see it.
// Its main type is Class, an ent annotation; a test fails for a field without
// one. The package knows nothing of rows or viewers: store and graph act on it.
package class

import "entgo.io/ent/schema"

// Class is the sensitivity of a field.
type Class string

// The classes, from open to closed.
const (
	// Public fields may be shown to any viewer who sees the row.
	Public Class = "public"
	// Internal fields are for the operator's own people who see the row.
	Internal Class = "internal"
	// Personal fields identify a person; they stay out of audit, logs and plugins.
	Personal Class = "personal"
	// Secret fields never leave the server.
	Secret Class = "secret"
)

// Name implements schema.Annotation.
func (Class) Name() string { return "Class" }

var _ schema.Annotation = Class("")
