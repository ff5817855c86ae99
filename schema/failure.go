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
//	open → retried | resolved
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
		field.Enum("state").Values("open", "retried", "resolved").Default("open").Annotations(class.Internal),
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
		index.Fields("state"),
		index.Fields("node_id"),
		index.Fields("code"),
	}
}

// Annotations of the Failure.
func (Failure) Annotations() []entschema.Annotation { return listed() }
