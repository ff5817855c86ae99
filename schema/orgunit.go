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

// OrgUnit is a department or team of a region.
type OrgUnit struct{ ent.Schema }

// Mixin of the OrgUnit.
func (OrgUnit) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.OrgUnit}, regionMixin{}, createdMixin{}}
}

// Fields of the OrgUnit.
func (OrgUnit) Fields() []ent.Field {
	return []ent.Field{
		field.String("code").NotEmpty().MaxLen(64).Unique().Immutable().
			Annotations(class.Internal, entgql.OrderField("CODE")),
		field.String("name_zh").NotEmpty().MaxLen(128).Annotations(class.Internal, noFilter),
		field.String("name_en").Default("").MaxLen(128).Annotations(class.Internal, noFilter),
		field.String("parent_id").Optional().Nillable().Annotations(class.Internal),
	}
}

// Edges of the OrgUnit.
func (OrgUnit) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("children", OrgUnit.Type).Annotations(paged(), noFilter).
			From("parent").Field("parent_id").Unique().Annotations(noFilter),
		edge.From("staff", Staff.Type).Ref("org_unit").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the OrgUnit.
func (OrgUnit) Indexes() []ent.Index { return []ent.Index{index.Fields("parent_id")} }

// Annotations of the OrgUnit.
func (OrgUnit) Annotations() []entschema.Annotation { return listed() }
