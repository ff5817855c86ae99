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

// Absence is a time in which a deputy stands in for a person (代理): from an instant
// and before another. The deputy acts under his own rights.
type Absence struct{ ent.Schema }

// Mixin of the Absence.
func (Absence) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Absence}, regionMixin{}, createdMixin{}}
}

// Fields of the Absence.
func (Absence) Fields() []ent.Field {
	return []ent.Field{
		field.String("staff_id").Immutable().Annotations(class.Internal),
		field.String("deputy_id").Immutable().Annotations(class.Internal),
		field.String("deputy_code").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("deputy_name").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.Time("starts_at").Immutable().Annotations(class.Internal, entgql.OrderField("STARTS_AT"), noFilter),
		field.Time("ends_at").Annotations(class.Internal, noFilter),
		field.String("reason").Default("").MaxLen(2000).Immutable().Annotations(class.Personal, noFilter),
		field.String("kept_by").Immutable().Annotations(class.Internal, noFilter).Comment("Who entered it."),
	}
}

// Edges of the Absence.
func (Absence) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("staff", Staff.Type).Field("staff_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Absence.
func (Absence) Indexes() []ent.Index {
	return []ent.Index{index.Fields("staff_id", "ends_at"), index.Fields("deputy_id", "ends_at")}
}

// Annotations of the Absence.
func (Absence) Annotations() []entschema.Annotation { return listed() }
