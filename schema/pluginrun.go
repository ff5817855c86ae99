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

// PluginRun is one call of a plugin: what it was given, as digests, under which
// isolation it ran, and what came of it.
type PluginRun struct{ ent.Schema }

// Mixin of the PluginRun.
func (PluginRun) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.PluginRun}, regionMixin{}, createdMixin{}}
}

// Fields of the PluginRun.
func (PluginRun) Fields() []ent.Field {
	return []ent.Field{
		field.String("assignment_id").Immutable().Annotations(class.Public),
		field.String("version_id").Immutable().Annotations(class.Public),
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("task_id").Immutable().Annotations(class.Internal),
		field.Enum("mode").Values("shadow", "pilot", "full").Immutable().Annotations(class.Public, noFilter),
		field.Int("attempt").Positive().Immutable().Annotations(class.Internal, noFilter),
		field.Int("generation").NonNegative().Immutable().Annotations(class.Internal, noFilter),
		field.String("input_digest").Immutable().Annotations(class.Internal, noFilter),
		field.String("config_digest").Immutable().Annotations(class.Internal, noFilter),
		field.String("output_digest").Default("").Annotations(class.Internal, noFilter),
		field.JSON("isolation", []string{}).Default([]string{}).Annotations(class.Internal, noFilter),
		field.Enum("outcome").Values("running", "completed", "waiting", "retry", "failed", "violated", "lost").Default("running").Annotations(class.Internal),
		field.String("code").Default("").Annotations(class.Internal, noFilter),
		field.Text("detail").Default("").MaxLen(4000).Annotations(class.Internal, noFilter),
		field.JSON("metrics", map[string]any{}).Default(map[string]any{}).Annotations(class.Internal, noFilter, entgql.Type("Map")),
		field.Int64("micros").Default(0).Annotations(class.Internal, noFilter).Comment("How long the call took."),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the PluginRun.
func (PluginRun) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("assignment", PluginAssignment.Type).Field("assignment_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("version", PluginVersion.Type).Field("version_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the PluginRun.
func (PluginRun) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("assignment_id", "outcome"),
		index.Fields("task_id"),
		index.Fields("case_id"),
		index.Fields("version_id", "outcome"),
	}
}

// Annotations of the PluginRun.
func (PluginRun) Annotations() []entschema.Annotation { return listed() }
