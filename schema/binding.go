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

// Binding says which version of a process a region (and all below it without a
// binding of their own) runs for new cases from an instant on.
type Binding struct{ ent.Schema }

// Mixin of the Binding.
func (Binding) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Binding}, regionMixin{}, createdMixin{}}
}

// Fields of the Binding.
func (Binding) Fields() []ent.Field {
	return []ent.Field{
		field.String("process_id").Immutable().Annotations(class.Public),
		field.String("version_id").Immutable().Annotations(class.Public),
		field.Time("effective_from").Immutable().Annotations(class.Public, entgql.OrderField("EFFECTIVE_FROM"), noFilter),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Public, noFilter),
		field.String("bound_by").Immutable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the Binding.
func (Binding) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("process", Process.Type).Field("process_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("version", ProcessVersion.Type).Field("version_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Binding.
func (Binding) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("process_id", "region_id", "effective_from"),
		index.Fields("version_id"),
	}
}

// Annotations of the Binding.
func (Binding) Annotations() []entschema.Annotation { return listed() }
