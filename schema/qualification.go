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

// Qualification is a certificate of a person, such as 光纤熔接证, valid from an
// instant and before another. A task can need one that is valid on the day.
type Qualification struct{ ent.Schema }

// Mixin of the Qualification.
func (Qualification) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Qualification}, regionMixin{}, createdMixin{}}
}

// Fields of the Qualification.
func (Qualification) Fields() []ent.Field {
	return []ent.Field{
		field.String("staff_id").Immutable().Annotations(class.Internal),
		field.String("kind").NotEmpty().MaxLen(64).Immutable().
			Annotations(class.Internal, entgql.OrderField("KIND")),
		field.String("number").Default("").MaxLen(64).Immutable().Annotations(class.Internal, noFilter),
		field.Time("valid_from").Immutable().Annotations(class.Internal, noFilter),
		field.Time("valid_to").Annotations(class.Internal, entgql.OrderField("VALID_TO")),
	}
}

// Edges of the Qualification.
func (Qualification) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("staff", Staff.Type).Field("staff_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Qualification.
func (Qualification) Indexes() []ent.Index {
	return []ent.Index{index.Fields("staff_id"), index.Fields("kind"), index.Fields("valid_to")}
}

// Annotations of the Qualification.
func (Qualification) Annotations() []entschema.Annotation { return listed() }
