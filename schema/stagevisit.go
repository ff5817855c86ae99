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

// StageVisit stamps one stay of a case in a stage: demand, design, delivery,
// followup or satisfaction. The stays of a case follow each other without a gap,
// so their times add up to the time of the case.
type StageVisit struct{ ent.Schema }

// Mixin of the StageVisit.
func (StageVisit) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.StageVisit}, regionMixin{}}
}

// Fields of the StageVisit.
func (StageVisit) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.Int("seq").NonNegative().Immutable().Annotations(class.Internal, entgql.OrderField("SEQ"), noFilter),
		field.String("stage").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("reason").Default("").Immutable().Annotations(class.Internal, noFilter).
			Comment("Why the case went back to an earlier stage; empty otherwise."),
		field.Time("entered_at").Immutable().Annotations(class.Internal, noFilter),
		field.Time("left_at").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the StageVisit.
func (StageVisit) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the StageVisit.
func (StageVisit) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id", "seq").Unique(),
	}
}

// Annotations of the StageVisit.
func (StageVisit) Annotations() []entschema.Annotation { return listed() }
