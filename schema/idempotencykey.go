package schema

import (
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// IdempotencyKey is the answer kept for a mutation sent under a key, scoped to
// the viewer: the same key gives the same answer, once.
type IdempotencyKey struct{ ent.Schema }

// Mixin of the IdempotencyKey.
func (IdempotencyKey) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.IdempotencyKey}, createdMixin{}}
}

// Fields of the IdempotencyKey.
func (IdempotencyKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("viewer").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("key").NotEmpty().MaxLen(128).Immutable().Annotations(class.Internal, noFilter),
		field.String("operation").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("input_hash").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.Bytes("result").Immutable().Annotations(class.Internal, noFilter),
	}
}

// Indexes of the IdempotencyKey.
func (IdempotencyKey) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("viewer", "key").Unique(),
		index.Fields("created_at"),
	}
}

// Annotations of the IdempotencyKey.
func (IdempotencyKey) Annotations() []entschema.Annotation { return []entschema.Annotation{hidden} }
