package schema

import (
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// APIToken lets a client act as a person. Only its hash is stored; the secret is
// shown once, when it is made.
type APIToken struct{ ent.Schema }

// Mixin of the APIToken.
func (APIToken) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.APIToken}, regionMixin{}, createdMixin{}}
}

// Fields of the APIToken.
func (APIToken) Fields() []ent.Field {
	return []ent.Field{
		field.String("staff_id").Immutable().Annotations(class.Internal),
		field.String("label").NotEmpty().MaxLen(128).Immutable().Annotations(class.Internal, noFilter),
		field.String("hash").NotEmpty().Unique().Immutable().Sensitive().Annotations(class.Secret, hidden),
		field.Time("expires_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("revoked_at").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the APIToken.
func (APIToken) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("staff", Staff.Type).Field("staff_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the APIToken.
func (APIToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("staff_id"),
	}
}

// Annotations of the APIToken.
func (APIToken) Annotations() []entschema.Annotation { return listed() }
