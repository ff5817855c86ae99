package schema

import (
	"encoding/json"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// Token tells where a case stands: at a node, waiting for a task, a timer, a
// message or its siblings. Rows are deleted when the engine consumes the token.
type Token struct{ ent.Schema }

// Mixin of the Token.
func (Token) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Token}, regionMixin{}}
}

// Fields of the Token.
func (Token) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.Int("seq").NonNegative().Immutable().Annotations(class.Internal, entgql.OrderField("SEQ"), noFilter),
		field.String("node_id").NotEmpty().Annotations(class.Internal),
		field.String("state").NotEmpty().Annotations(class.Internal, noFilter),
		field.Int("scope").Default(0).Annotations(class.Internal, noFilter),
		field.String("wait_name").Default("").Annotations(class.Internal, noFilter).Comment("The message or signal waited for."),
		field.String("wait_key").Default("").Annotations(class.Internal, noFilter).Comment("The correlation key of that message."),
		field.JSON("engine", json.RawMessage{}).Optional().Annotations(class.Internal, hidden).Comment("What else the engine keeps of the token."),
		field.Time("entered_at").Annotations(class.Internal, noFilter),
	}
}

// Edges of the Token.
func (Token) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Token.
func (Token) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id", "seq").Unique(),
		index.Fields("node_id"),
		index.Fields("wait_name", "wait_key"),
	}
}

// Annotations of the Token.
func (Token) Annotations() []entschema.Annotation { return listed() }
