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

// Notice is a message of a case to a person, written in the transaction that caused
// it and sent afterwards:
//
//	queued → sent | failed | cancelled; failed → queued
//
// The address is not kept here: it is read from the case when the notice is sent.
type Notice struct{ ent.Schema }

// Mixin of the Notice.
func (Notice) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Notice}, regionMixin{}, createdMixin{}}
}

// Fields of the Notice.
func (Notice) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("task_id").Immutable().Annotations(class.Internal),
		field.String("channel").NotEmpty().MaxLen(32).Immutable().Annotations(class.Internal).Comment("Way it goes: sms, email …"),
		field.String("recipient").NotEmpty().MaxLen(128).Immutable().Annotations(class.Internal, noFilter).Comment("Variable of the case that holds the address."),
		field.Text("text").NotEmpty().Immutable().MaxLen(4000).Annotations(class.Internal, noFilter),
		field.Enum("state").Values("queued", "sent", "failed", "cancelled").Default("queued").Annotations(class.Internal),
		field.Int("attempts").Default(0).NonNegative().Annotations(class.Internal, noFilter),
		field.Time("next_at").Annotations(class.Internal, noFilter).Comment("When it is sent or tried again."),
		field.String("code").Default("").Annotations(class.Internal, noFilter).Comment("Why the latest attempt failed."),
		field.String("receipt").Default("").MaxLen(200).Annotations(class.Internal, noFilter).Comment("What the gateway answered."),
		field.Text("reason").Default("").MaxLen(2000).Annotations(class.Internal, noFilter).Comment("Why it was cancelled or sent again."),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the Notice.
func (Notice) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Notice.
func (Notice) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id"),
		index.Fields("task_id"),
		index.Fields("channel"),
		index.Fields("state", "next_at"),
	}
}

// Annotations of the Notice.
func (Notice) Annotations() []entschema.Annotation { return listed() }
