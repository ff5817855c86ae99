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

// CaseAttribute is the present value of a variable that the process declares as
// indexed, so that lists can be filtered by it; the case's variables are the truth.
type CaseAttribute struct{ ent.Schema }

// Mixin of the CaseAttribute.
func (CaseAttribute) Mixin() []ent.Mixin { return []ent.Mixin{idMixin{prefix: ids.CaseAttribute}} }

// Fields of the CaseAttribute.
func (CaseAttribute) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("name").NotEmpty().Immutable().Annotations(class.Internal),
		field.String("text").Default("").Annotations(class.Internal).Comment("The value as text; empty of a number."),
		field.Float("number").Default(0).Annotations(class.Internal).Comment("The value of a number; an instant in seconds since 1970."),
	}
}

// Edges of the CaseAttribute.
func (CaseAttribute) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable(),
	}
}

// Indexes of the CaseAttribute.
func (CaseAttribute) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id", "name").Unique(),
		index.Fields("name", "text", "case_id"),
		index.Fields("name", "number", "text", "case_id"),
	}
}

// Annotations of the CaseAttribute.
func (CaseAttribute) Annotations() []entschema.Annotation { return []entschema.Annotation{hidden} }
