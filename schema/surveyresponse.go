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

// SurveyResponse is a customer's answer to the satisfaction question of a case, 0 to 10.
type SurveyResponse struct{ ent.Schema }

// Mixin of the SurveyResponse.
func (SurveyResponse) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.SurveyResponse}, regionMixin{}, createdMixin{}}
}

// Fields of the SurveyResponse.
func (SurveyResponse) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.Int("score").Range(0, 10).Immutable().Annotations(class.Internal, entgql.OrderField("SCORE")),
		field.String("comment").Default("").Immutable().MaxLen(2000).Annotations(class.Internal, noFilter),
	}
}

// Edges of the SurveyResponse.
func (SurveyResponse) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the SurveyResponse.
func (SurveyResponse) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id"),
		index.Fields("score"),
	}
}

// Annotations of the SurveyResponse.
func (SurveyResponse) Annotations() []entschema.Annotation { return listed() }
