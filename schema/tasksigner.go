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

// TaskSigner is a person who was asked to sign a task beside its assignee (加签):
// before he can complete it, beside him, or after him in the order of seq.
//
//	asked → agreed | refused | removed
//	refused, agreed → asked (the assignee has completed the task again)
type TaskSigner struct{ ent.Schema }

// Mixin of the TaskSigner.
func (TaskSigner) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.TaskSigner}, regionMixin{}, createdMixin{}}
}

// Fields of the TaskSigner.
func (TaskSigner) Fields() []ent.Field {
	return []ent.Field{
		field.String("task_id").Immutable().Annotations(class.Internal),
		field.String("staff_id").Immutable().Annotations(class.Internal),
		field.String("staff_code").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("staff_name").NotEmpty().Immutable().Annotations(class.Internal, noFilter).Comment("For those who read the case and not the staff."),
		field.Enum("place").Values("before", "beside", "after").Immutable().Annotations(class.Internal, noFilter),
		field.Int("seq").NonNegative().Immutable().Annotations(class.Internal, noFilter),
		field.Enum("state").Values("asked", "agreed", "refused", "removed").Default("asked").Annotations(class.Internal),
		field.Text("comment").Default("").MaxLen(2000).Annotations(class.Internal, noFilter),
		field.String("asked_by").Immutable().Annotations(class.Internal, noFilter),
		field.Time("signed_at").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the TaskSigner.
func (TaskSigner) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("task", Task.Type).Field("task_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the TaskSigner.
func (TaskSigner) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("task_id"),
		index.Fields("staff_id", "state"),
		index.Fields("state"),
	}
}

// Annotations of the TaskSigner.
func (TaskSigner) Annotations() []entschema.Annotation { return listed() }
