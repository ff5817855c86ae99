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

// CaseEvent is one input of the engine, in the order it was applied: the history
// of the case, from which its state can be computed again.
type CaseEvent struct{ ent.Schema }

// Mixin of the CaseEvent.
func (CaseEvent) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.CaseEvent}, regionMixin{}}
}

// Fields of the CaseEvent.
func (CaseEvent) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.Int("seq").NonNegative().Immutable().Annotations(class.Internal, entgql.OrderField("SEQ"), noFilter),
		field.String("kind").NotEmpty().Immutable().Annotations(class.Internal),
		field.String("node_id").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.JSON("input", map[string]any{}).Immutable().Annotations(class.Internal, entgql.Type("Map")),
		field.JSON("trail", []string{}).Default([]string{}).Immutable().Annotations(class.Internal).Comment("The nodes entered by this step, in order."),
		field.Time("at").Immutable().Annotations(class.Internal, noFilter),
		field.String("by").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.String("state_digest").Default("").Immutable().Annotations(class.Internal, noFilter).Comment("Of the state after the step."),
	}
}

// Edges of the CaseEvent.
func (CaseEvent) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the CaseEvent.
func (CaseEvent) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id", "seq").Unique(),
		index.Fields("kind"),
	}
}

// Annotations of the CaseEvent.
func (CaseEvent) Annotations() []entschema.Annotation { return listed() }
