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

// Region is a node of the tree headquarters > province > city > county. Its
// path lists the codes from the root, each with a slash behind it
// (CN/CN-HA/CN-HA-ZZ/), so that a prefix selects a region and all below it.
type Region struct{ ent.Schema }

// Mixin of the Region.
func (Region) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Region}, createdMixin{}}
}

// Fields of the Region.
func (Region) Fields() []ent.Field {
	return []ent.Field{
		field.String("code").NotEmpty().MaxLen(32).Unique().Immutable().
			Annotations(class.Public, entgql.OrderField("CODE")),
		field.String("region_path").NotEmpty().Unique().Immutable().
			Annotations(class.Public, entgql.OrderField("PATH"), noFilter),
		field.String("name_zh").NotEmpty().Annotations(class.Public, noFilter),
		field.String("name_en").NotEmpty().Annotations(class.Public, noFilter),
		field.Enum("level").Values("headquarters", "province", "city", "county").Immutable().
			Annotations(class.Public),
		field.Enum("area").Values("any", "urban", "rural").Default("any").
			Annotations(class.Public, noFilter),
		field.String("timezone").Default("Asia/Shanghai").Annotations(class.Public, noFilter),
		field.String("calendar_code").Default("cn-statutory").Annotations(class.Public, noFilter),
		field.String("parent_id").Optional().Nillable().Immutable().Annotations(class.Public),
	}
}

// Edges of the Region.
func (Region) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("children", Region.Type).Annotations(paged(), noFilter).
			From("parent").Field("parent_id").Unique().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Region.
func (Region) Indexes() []ent.Index {
	return []ent.Index{index.Fields("parent_id"), index.Fields("level")}
}

// Annotations of the Region.
func (Region) Annotations() []entschema.Annotation { return listed() }
