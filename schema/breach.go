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

// Breach is the violation of a clock: one row for each, ever.
type Breach struct{ ent.Schema }

// Mixin of the Breach.
func (Breach) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Breach}, regionMixin{}}
}

// Fields of the Breach.
func (Breach) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("clock_id").Unique().Immutable().Annotations(class.Internal),
		field.String("indicator_code").NotEmpty().Immutable().Annotations(class.Internal),
		field.String("standard_code").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("clause_number").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.Bool("binding").Immutable().Annotations(class.Internal, noFilter),
		field.Int64("credit_fen").Default(0).Immutable().Annotations(class.Internal, noFilter).
			Comment("Credited to the customer once, in fen."),
		field.String("escalated_to").Default("").Immutable().Annotations(class.Internal, noFilter).
			Comment("The role that its process asks to look after the open tasks; empty without."),
		field.String("corrective_process").Default("").Immutable().Annotations(class.Internal, noFilter).
			Comment("Key of the process of which a corrective case is started; empty without."),
		field.String("corrective_case_id").Optional().Nillable().Annotations(class.Internal).Comment("The corrective case, once it is started."),
		field.String("corrective_error").Default("").Annotations(class.Internal, noFilter).Comment("Code of why it could not be started."),
		field.Time("at").Immutable().Annotations(class.Internal, entgql.OrderField("AT"), noFilter),
	}
}

// Edges of the Breach.
func (Breach) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("corrective_case", ServiceCase.Type).Field("corrective_case_id").Unique().Annotations(noFilter),
		edge.To("clock", Clock.Type).Field("clock_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Breach.
func (Breach) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id"),
		index.Fields("corrective_case_id"),
		index.Fields("indicator_code"),
		index.Fields("at"),
	}
}

// Annotations of the Breach.
func (Breach) Annotations() []entschema.Annotation { return listed() }
