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

// Clause is one numbered statement of a standard version.
type Clause struct{ ent.Schema }

// Mixin of the Clause.
func (Clause) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Clause}, regionMixin{}}
}

// Fields of the Clause.
func (Clause) Fields() []ent.Field {
	return []ent.Field{
		field.String("version_id").Immutable().Annotations(class.Public),
		field.String("number").NotEmpty().MaxLen(64).Annotations(class.Public, noFilter),
		field.Int("position").NonNegative().Annotations(class.Public, entgql.OrderField("POSITION"), noFilter),
		field.String("parent_number").Default("").Annotations(class.Public, noFilter),
		field.String("title_zh").Default("").Annotations(class.Public, noFilter),
		field.String("title_en").Default("").Annotations(class.Public, noFilter),
		field.Text("text_zh").Default("").Annotations(class.Public, noFilter),
		field.Text("text_en").Default("").Annotations(class.Public, noFilter),
		field.Bool("mandatory").Default(true).Annotations(class.Public, noFilter),
		field.JSON("roles", []string{}).Default([]string{}).Annotations(class.Public),
		field.Enum("policy").Values("pinned", "immediate").Default("pinned").Annotations(class.Public, noFilter).
			Comment("What running cases do when the clause changes."),
		field.String("source").Default("").Annotations(class.Public, noFilter),
		field.String("address").Default("").Annotations(class.Public, noFilter),
	}
}

// Edges of the Clause.
func (Clause) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("version", StandardVersion.Type).Field("version_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.From("indicators", Indicator.Type).Ref("clause").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the Clause.
func (Clause) Indexes() []ent.Index {
	return []ent.Index{index.Fields("version_id", "number").Unique()}
}

// Annotations of the Clause.
func (Clause) Annotations() []entschema.Annotation { return listed() }
