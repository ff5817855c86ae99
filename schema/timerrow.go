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

// TimerRow is a BPMN timer of a case; the row is the timer. due_at is null while
// the timer is not set (its date is not known yet); due_order is then far away.
type TimerRow struct{ ent.Schema }

// Mixin of the TimerRow.
func (TimerRow) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.TimerRow}, regionMixin{}}
}

// Fields of the TimerRow.
func (TimerRow) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.Int("token_seq").NonNegative().Immutable().Annotations(class.Internal, noFilter),
		field.Int("seq").NonNegative().Immutable().Annotations(class.Internal, entgql.OrderField("SEQ"), noFilter),
		field.String("node_id").NotEmpty().Immutable().Annotations(class.Internal),
		field.Enum("state").Values("waiting", "fired", "cancelled").Default("waiting").Annotations(class.Internal),
		field.Time("due_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("due_order").Annotations(class.Internal, entgql.OrderField("DUE_AT"), noFilter),
		field.Time("fired_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Int("fired_count").Default(0).Annotations(class.Internal, noFilter),
	}
}

// Edges of the TimerRow.
func (TimerRow) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the TimerRow.
func (TimerRow) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id"),
		index.Fields("state", "due_order"),
		index.Fields("node_id"),
	}
}

// Annotations of the TimerRow.
func (TimerRow) Annotations() []entschema.Annotation { return listed() }
