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

// Failure is a token that cannot go on for a technical reason:
//
//	open → retried | skipped | moved | ended (its token went another way)
type Failure struct{ ent.Schema }

// Mixin of the Failure.
func (Failure) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Failure}, regionMixin{}, createdMixin{}}
}

// Fields of the Failure.
func (Failure) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.Int("token_seq").NonNegative().Immutable().Annotations(class.Internal, noFilter),
		field.String("node_id").NotEmpty().Immutable().Annotations(class.Internal),
		field.String("code").NotEmpty().Immutable().Annotations(class.Internal),
		field.Text("detail").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.Enum("state").Values("open", "retried", "skipped", "moved", "ended").Default("open").Annotations(class.Internal),
		field.Int("attempts").Default(0).Immutable().Annotations(class.Internal, noFilter).Comment("Retries made by the product before it."),
		field.Time("retry_at").Annotations(class.Internal, noFilter).Comment("When the product tries again; far in the future when it does not."),
		field.Int("retry_seconds").Default(0).Annotations(class.Internal, noFilter).Comment("First pause between retries; each is twice the one before."),
		field.Int("retries_left").Default(0).Annotations(class.Internal, noFilter),
		field.Text("reason").Default("").MaxLen(2000).Annotations(class.Internal, noFilter).Comment("Why it was ended as it was."),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the Failure.
func (Failure) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Failure.
func (Failure) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id"),
		index.Fields("state", "retry_at"),
		index.Fields("node_id"),
		index.Fields("code"),
	}
}

// Annotations of the Failure.
func (Failure) Annotations() []entschema.Annotation { return listed() }
