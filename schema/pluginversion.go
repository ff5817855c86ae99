package schema

import (
	"time"

	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// PluginVersion is one signed bundle of a plugin:
//
//	verified → tested → approved → deprecated | revoked
//
// What cannot be verified is never kept; a version that failed its test stays
// verified with the report. Registering never starts it.
type PluginVersion struct{ ent.Schema }

// Mixin of the PluginVersion.
func (PluginVersion) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.PluginVersion}, regionMixin{}, createdMixin{}}
}

// Fields of the PluginVersion.
func (PluginVersion) Fields() []ent.Field {
	return []ent.Field{
		field.String("plugin_id").Immutable().Annotations(class.Public),
		field.String("version").NotEmpty().MaxLen(64).Immutable().Annotations(class.Public, noFilter),
		field.String("digest").NotEmpty().Unique().Immutable().Annotations(class.Public).Comment("SHA-256 of the bundle."),
		field.Enum("state").Values("verified", "tested", "approved", "deprecated", "revoked").Default("verified").Annotations(class.Public),
		field.JSON("kinds", []string{}).Immutable().Annotations(class.Public, noFilter),
		field.JSON("topics", []string{}).Immutable().Annotations(class.Public, noFilter).Comment("Topics of the service tasks that it carries out."),
		field.JSON("attributes", []string{}).Immutable().Annotations(class.Public, noFilter).Comment("Case variables that it is shown; others are not."),
		field.Text("config_schema").Default("").Immutable().Annotations(class.Public, noFilter).Comment("JSON Schema of its configuration."),
		field.Text("manifest").Immutable().Annotations(class.Internal, noFilter).Comment("The signed manifest, JSON."),
		field.String("key_id").NotEmpty().Immutable().Annotations(class.Public, noFilter).Comment("Key that signed it."),
		field.Int("size").NonNegative().Immutable().Annotations(class.Public, noFilter),
		field.String("uploaded_by").Immutable().Annotations(class.Internal, noFilter),
		field.Bool("dev").Default(false).Immutable().Annotations(class.Public, noFilter).Comment("Signed by the key of a developer: for the regions that the operator has opened to development, without approval, and for no others."),
		field.Enum("test_state").Values("none", "queued", "running", "done", "lost").Default("none").Annotations(class.Public, noFilter).Comment("Of the latest test."),
		field.Text("test_input").Default("").Annotations(class.Internal, hidden).Comment("What the latest test is given, JSON; secrets are encrypted."),
		field.Time("test_lease_until").Default(longAgo).Annotations(class.Internal, hidden).Comment("A running test whose lease has ended is taken up again."),
		field.Int("test_attempt").Default(0).Annotations(class.Internal, noFilter).Comment("How often the latest test was begun."),
		field.Bool("conforms").Default(false).Annotations(class.Public, noFilter).Comment("Whether the latest test found nothing."),
		field.Text("report").Default("").Annotations(class.Internal, noFilter).Comment("What the latest test found, JSON."),
		field.JSON("isolation", []string{}).Default([]string{}).Annotations(class.Internal, noFilter).Comment("What kept it apart while it was tested."),
		field.Time("tested_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.String("tested_by").Default("").Annotations(class.Internal, noFilter),
		field.String("approved_by").Default("").Annotations(class.Internal, noFilter),
		field.Time("approved_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Text("reason").Default("").MaxLen(2000).Annotations(class.Internal, noFilter).Comment("Why it was deprecated or revoked."),
	}
}

func longAgo() time.Time { return LongAgo }

// Edges of the PluginVersion.
func (PluginVersion) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("plugin", Plugin.Type).Field("plugin_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.From("assignments", PluginAssignment.Type).Ref("version").Annotations(paged(), noFilter),
		edge.From("optimizations", OptimizationRun.Type).Ref("plugin_version").Annotations(paged(), noFilter),
		edge.From("runs", PluginRun.Type).Ref("version").Annotations(paged(), noFilter),
	}
}

// Indexes of the PluginVersion.
func (PluginVersion) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("plugin_id", "version").Unique(),
		index.Fields("state"),
		index.Fields("test_state", "test_lease_until"),
	}
}

// Annotations of the PluginVersion.
func (PluginVersion) Annotations() []entschema.Annotation { return listed() }
