package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// RoleAssignment gives a person a role in a region and below it, from an
// instant and, when valid_to is set, before another.
type RoleAssignment struct{ ent.Schema }

// Mixin of the RoleAssignment.
func (RoleAssignment) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.RoleAssignment}, regionMixin{}, createdMixin{}}
}

// Fields of the RoleAssignment.
func (RoleAssignment) Fields() []ent.Field {
	return []ent.Field{
		field.String("staff_id").Immutable().Annotations(class.Internal),
		field.String("role").NotEmpty().MaxLen(32).Immutable().
			Annotations(class.Internal, entgql.OrderField("ROLE")),
		field.Time("valid_from").Immutable().Annotations(class.Internal, noFilter),
		field.Time("valid_to").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the RoleAssignment.
func (RoleAssignment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("staff", Staff.Type).Field("staff_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the RoleAssignment.
func (RoleAssignment) Indexes() []ent.Index {
	return []ent.Index{index.Fields("staff_id"), index.Fields("role")}
}

// Annotations of the RoleAssignment.
func (RoleAssignment) Annotations() []entschema.Annotation { return listed() }
