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

// Evidence is one item attached to a task of a case, such as 光功率读数.
type Evidence struct{ ent.Schema }

// Mixin of the Evidence.
func (Evidence) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Evidence}, regionMixin{}, createdMixin{}}
}

// Fields of the Evidence.
func (Evidence) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("task_id").Optional().Nillable().Immutable().Annotations(class.Internal),
		field.String("kind").NotEmpty().Immutable().MaxLen(128).Annotations(class.Internal),
		field.String("media").Default("text").Immutable().Annotations(class.Internal, noFilter),
		field.Text("content").NotEmpty().Immutable().MaxLen(65536).Annotations(class.Internal, noFilter),
		field.String("digest").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("by").Immutable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the Evidence.
func (Evidence) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("task", Task.Type).Field("task_id").Unique().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Evidence.
func (Evidence) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id"),
		index.Fields("task_id"),
		index.Fields("kind"),
	}
}

// Annotations of the Evidence.
func (Evidence) Annotations() []entschema.Annotation { return listed() }
