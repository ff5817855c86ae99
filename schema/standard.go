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

// Standard is a norm: a law, a regulation or an enterprise standard of one region.
type Standard struct{ ent.Schema }

// Mixin of the Standard.
func (Standard) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Standard}, regionMixin{}, createdMixin{}}
}

// Fields of the Standard.
func (Standard) Fields() []ent.Field {
	return []ent.Field{
		field.String("code").NotEmpty().MaxLen(64).Unique().Immutable().
			Annotations(class.Public, entgql.OrderField("CODE")),
		field.String("name_zh").NotEmpty().Annotations(class.Public, noFilter),
		field.String("name_en").Default("").Annotations(class.Public, noFilter),
		field.Enum("authority").
			Values("law", "administrative_regulation", "ministry_rule", "local_regulation", "industry", "enterprise").
			Immutable().Annotations(class.Public),
		field.String("jurisdiction").NotEmpty().Immutable().Annotations(class.Public),
		field.Bool("sample").Default(false).Annotations(class.Public, noFilter).
			Comment("Shipped as an example (示例), not a norm in force anywhere."),
	}
}

// Edges of the Standard.
func (Standard) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("versions", StandardVersion.Type).Ref("standard").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the Standard.
func (Standard) Indexes() []ent.Index {
	return []ent.Index{index.Fields("authority"), index.Fields("jurisdiction")}
}

// Annotations of the Standard.
func (Standard) Annotations() []entschema.Annotation { return listed() }
