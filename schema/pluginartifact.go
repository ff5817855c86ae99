package schema

import (
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// PluginArtifact is the bundle of a plugin version, kept by its digest.
type PluginArtifact struct{ ent.Schema }

// Mixin of the PluginArtifact.
func (PluginArtifact) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.PluginArtifact}, createdMixin{}}
}

// Fields of the PluginArtifact.
func (PluginArtifact) Fields() []ent.Field {
	return []ent.Field{
		field.String("digest").NotEmpty().Unique().Immutable().Annotations(class.Internal, noFilter),
		field.Bytes("content").Immutable().Annotations(class.Internal, noFilter),
		field.Int("size").NonNegative().Default(0).Immutable().Annotations(class.Internal, noFilter).Comment("Bytes of the content."),
		field.String("stored_by").Default("").Immutable().Annotations(class.Internal, noFilter).Comment("Whose quota it counts against until it is in the catalog."),
	}
}

// Indexes of the PluginArtifact.
func (PluginArtifact) Indexes() []ent.Index {
	return []ent.Index{index.Fields("stored_by"), index.Fields("created_at")}
}

// Annotations of the PluginArtifact.
func (PluginArtifact) Annotations() []entschema.Annotation { return []entschema.Annotation{hidden} }
