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

// PluginAssignment lets a plugin version work in a region and below, until a later
// assignment of the same plugin and topic there replaces it. Its generation names
// the configuration for the plugin and grows with each change.
type PluginAssignment struct{ ent.Schema }

// Mixin of the PluginAssignment.
func (PluginAssignment) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.PluginAssignment}, regionMixin{}, createdMixin{}}
}

// Fields of the PluginAssignment.
func (PluginAssignment) Fields() []ent.Field {
	return []ent.Field{
		field.String("plugin_id").Annotations(class.Public),
		field.String("version_id").Annotations(class.Public),
		field.String("topic").Default("").Immutable().Annotations(class.Public).Comment("Topic of the service tasks; empty for strategies and scorers."),
		field.Enum("state").Values("active", "ended").Default("active").Annotations(class.Public),
		field.Enum("mode").Values("shadow", "pilot", "full").Annotations(class.Public, noFilter),
		field.Int("share_permille").Range(0, 1000).Default(1000).Annotations(class.Public, noFilter).Comment("pilot: share of the cases, the same cases each time."),
		field.Text("cohort").Default("").Annotations(class.Public, noFilter).Comment("pilot: CEL over the variables of a case; empty for all."),
		field.Text("config").Default("{}").Annotations(class.Internal, noFilter).Comment("Configuration, JSON; secrets are encrypted."),
		field.JSON("inputs", map[string]any{}).Default(map[string]any{}).Annotations(class.Public, noFilter, entgql.Type("Map")).Comment("Input of the plugin → variable of the case, where they differ."),
		field.JSON("outputs", map[string]any{}).Default(map[string]any{}).Annotations(class.Public, noFilter, entgql.Type("Map")).Comment("Variable of the case → output of the plugin, where they differ."),
		field.Int("generation").NonNegative().Annotations(class.Public, noFilter),
		field.String("previous_version_id").Default("").Annotations(class.Public, noFilter).Comment("What ran before and a rollback returns to."),
		field.Text("previous_config").Default("").Annotations(class.Internal, noFilter),
		field.Enum("previous_mode").Values("none", "shadow", "pilot", "full").Default("none").Annotations(class.Public, noFilter),
		field.Enum("fallback").Values("human", "previous", "fail").Default("human").Annotations(class.Public, noFilter).Comment("What becomes of a task that the plugin cannot do."),
		field.String("fallback_role").Default("").Annotations(class.Public, noFilter),
		field.Int("attempts").Range(1, 20).Default(3).Annotations(class.Public, noFilter).Comment("Tries of a task before the fallback."),
		field.Int("timeout_seconds").Range(1, 300).Default(30).Annotations(class.Public, noFilter),
		field.Int("concurrency").Range(1, 64).Default(8).Annotations(class.Public, noFilter).Comment("Calls at a time on one node."),
		field.Int("guard_permille").Range(0, 1000).Default(200).Annotations(class.Public, noFilter).Comment("Share of failed runs above which the assignment returns to what ran before."),
		field.Int("guard_runs").Range(1, 10000).Default(20).Annotations(class.Public, noFilter).Comment("Runs that are looked at, and must have been made first."),
		field.JSON("guards", []MetricGuard{}).Default([]MetricGuard{}).Annotations(class.Public, noFilter, entgql.Type("[PluginGuard!]")).Comment("Bounds of declared metrics, looked at over the same runs."),
		field.JSON("configs", map[string]string{}).Default(map[string]string{}).Annotations(class.Internal, hidden).Comment("Generation → configuration, as in config, of generations that open tasks began under."),
		field.String("assigned_by").Annotations(class.Internal, noFilter),
		field.Text("reason").Default("").MaxLen(2000).Annotations(class.Internal, noFilter).Comment("Why it was rolled back or ended."),
		field.Time("changed_at").Annotations(class.Public, noFilter),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Public, noFilter),
	}
}

// Edges of the PluginAssignment.
func (PluginAssignment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("plugin", Plugin.Type).Field("plugin_id").Unique().Required().Annotations(noFilter),
		edge.To("version", PluginVersion.Type).Field("version_id").Unique().Required().Annotations(noFilter),
		edge.From("runs", PluginRun.Type).Ref("assignment").Annotations(paged(), noFilter),
	}
}

// Indexes of the PluginAssignment.
func (PluginAssignment) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("plugin_id", "region_id", "topic"),
		index.Fields("state", "topic"),
		index.Fields("version_id"),
	}
}

// Annotations of the PluginAssignment.
func (PluginAssignment) Annotations() []entschema.Annotation { return listed() }

// MetricGuard bounds the mean of a metric that a module declares; an end that is nil
// is open.
type MetricGuard struct {
	Metric string   `json:"metric"`
	Min    *float64 `json:"min,omitempty"`
	Max    *float64 `json:"max,omitempty"`
}
