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

// Staff is a person (or the account of a system) that works with cases or keeps norms.
type Staff struct{ ent.Schema }

// Mixin of the Staff.
func (Staff) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Staff}, regionMixin{}, createdMixin{}}
}

// Fields of the Staff.
func (Staff) Fields() []ent.Field {
	return []ent.Field{
		field.String("code").NotEmpty().MaxLen(64).Unique().Immutable().
			Annotations(class.Internal, entgql.OrderField("CODE")),
		field.String("name").NotEmpty().MaxLen(64).Annotations(class.Internal, noFilter),
		field.Bool("active").Default(true).Annotations(class.Internal),
		field.String("org_unit_id").Optional().Nillable().Annotations(class.Internal),
	}
}

// Edges of the Staff.
func (Staff) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("org_unit", OrgUnit.Type).Field("org_unit_id").Unique().Annotations(noFilter),
		edge.From("roles", RoleAssignment.Type).Ref("staff").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("absences", Absence.Type).Ref("staff").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("qualifications", Qualification.Type).Ref("staff").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the Staff.
func (Staff) Indexes() []ent.Index {
	return []ent.Index{index.Fields("org_unit_id"), index.Fields("active")}
}

// Annotations of the Staff.
func (Staff) Annotations() []entschema.Annotation { return listed() }
