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

// Pause is an attributed stop of a clock; it is open until ended_at is set.
type Pause struct{ ent.Schema }

// Mixin of the Pause.
func (Pause) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Pause}, regionMixin{}}
}

// Fields of the Pause.
func (Pause) Fields() []ent.Field {
	return []ent.Field{
		field.String("clock_id").Immutable().Annotations(class.Internal),
		field.String("reason").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("party").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("note").Default("").Immutable().MaxLen(2000).Annotations(class.Internal, noFilter),
		field.String("node_id").Default("").Immutable().Annotations(class.Internal, noFilter).Comment("The node whose stay pauses; empty when a person paused."),
		field.Time("started_at").Immutable().Annotations(class.Internal, entgql.OrderField("STARTED_AT"), noFilter),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.String("by").Immutable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the Pause.
func (Pause) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("clock", Clock.Type).Field("clock_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Pause.
func (Pause) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("clock_id"),
	}
}

// Annotations of the Pause.
func (Pause) Annotations() []entschema.Annotation { return listed() }
