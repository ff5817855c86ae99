package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// Plugin is a program outside the house that regions may let carry out service tasks,
// propose changes of processes or rank items.
type Plugin struct{ ent.Schema }

// Mixin of the Plugin.
func (Plugin) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Plugin}, regionMixin{}, createdMixin{}}
}

// Fields of the Plugin.
func (Plugin) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").NotEmpty().MaxLen(64).Unique().Immutable().Annotations(class.Public, entgql.OrderField("NAME")),
		field.String("name_zh").NotEmpty().Annotations(class.Public, noFilter),
		field.String("name_en").Default("").Annotations(class.Public, noFilter),
	}
}

// Edges of the Plugin.
func (Plugin) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("versions", PluginVersion.Type).Ref("plugin").Annotations(paged(), noFilter),
		edge.From("assignments", PluginAssignment.Type).Ref("plugin").Annotations(paged(), noFilter),
	}
}

// Annotations of the Plugin.
func (Plugin) Annotations() []entschema.Annotation { return listed() }
