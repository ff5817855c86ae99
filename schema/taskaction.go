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

// TaskAction is one thing that a person did with a task, as whoever sees the case
// may read it (流转记录): assigned, delegated, returned, urged … with the reason.
type TaskAction struct{ ent.Schema }

// Mixin of the TaskAction.
func (TaskAction) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.TaskAction}, regionMixin{}, createdMixin{}}
}

// Fields of the TaskAction.
func (TaskAction) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("task_id").Immutable().Annotations(class.Internal),
		field.String("action").NotEmpty().MaxLen(32).Immutable().Annotations(class.Internal),
		field.String("by").Immutable().Annotations(class.Internal, noFilter).Comment("Id of the person; system for the product."),
		field.String("by_name").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.String("to").Default("").Immutable().Annotations(class.Internal, noFilter).Comment("Id of the person or node it went to, else empty."),
		field.String("to_name").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.Text("reason").Default("").MaxLen(2000).Immutable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the TaskAction.
func (TaskAction) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("task", Task.Type).Field("task_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the TaskAction.
func (TaskAction) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id"),
		index.Fields("task_id"),
		index.Fields("action"),
	}
}

// Annotations of the TaskAction.
func (TaskAction) Annotations() []entschema.Annotation { return listed() }
