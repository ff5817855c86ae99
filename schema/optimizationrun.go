package schema

import (
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// OptimizationRun is one run of a strategy over the log of a process in a region:
//
//	queued → running → done | failed
//
// Its digests tell what it was given; the same ones with the same seed give the same
// proposals.
type OptimizationRun struct{ ent.Schema }

// Mixin of the OptimizationRun.
func (OptimizationRun) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.OptimizationRun}, regionMixin{}, createdMixin{}}
}

// Fields of the OptimizationRun.
func (OptimizationRun) Fields() []ent.Field {
	return []ent.Field{
		field.String("plugin_version_id").Immutable().Annotations(class.Public),
		field.String("base_id").Immutable().Annotations(class.Public).Comment("The process version that proposals start from."),
		field.String("base_digest").Immutable().Annotations(class.Internal, noFilter),
		field.String("seed").NotEmpty().Immutable().Annotations(class.Public, noFilter).Comment("Of all chance in the run: a whole number of 64 bits."),
		field.Text("config").Default("{}").Immutable().Annotations(class.Internal, noFilter),
		field.Enum("state").Values("queued", "running", "done", "failed").Default("queued").Annotations(class.Public),
		field.Time("lease_until").Annotations(class.Internal, noFilter).Comment("A running one whose lease has ended is taken up again."),
		field.Int("attempt").Default(0).Annotations(class.Internal, noFilter),
		field.Int("permille").Default(0).Annotations(class.Public, noFilter).Comment("How far it is."),
		field.String("message").Default("").Annotations(class.Internal, noFilter),
		field.Int("events").Default(0).Annotations(class.Internal, noFilter).Comment("Events of the log that the strategy was given."),
		field.String("log_digest").Default("").Annotations(class.Internal, noFilter),
		field.Int("questions").Default(0).Annotations(class.Internal, noFilter),
		field.JSON("violations", []string{}).Default([]string{}).Annotations(class.Internal, noFilter).Comment("What the strategy did that it must not, by code."),
		field.JSON("isolation", []string{}).Default([]string{}).Annotations(class.Internal, noFilter),
		field.String("replay_of").Default("").Immutable().Annotations(class.Public, noFilter).Comment("The run that this one repeats; empty for none."),
		field.Time("as_of").Immutable().Annotations(class.Public, noFilter).Comment("Instant up to which the log counts."),
		field.Enum("replay").Values("none", "pending", "same", "log_differs", "result_differs").Default("none").Annotations(class.Internal, noFilter).Comment("How a repetition compares with what it repeats."),
		field.String("result_digest").Default("").Annotations(class.Internal, noFilter).Comment("Of the proposals; equal for equal runs."),
		field.String("code").Default("").Annotations(class.Internal, noFilter),
		field.Text("detail").Default("").Annotations(class.Internal, noFilter),
		field.String("asked_by").Immutable().Annotations(class.Internal, noFilter),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the OptimizationRun.
func (OptimizationRun) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("plugin_version", PluginVersion.Type).Field("plugin_version_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("base", ProcessVersion.Type).Field("base_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.From("proposals", Proposal.Type).Ref("run").Annotations(paged(), noFilter),
	}
}

// Indexes of the OptimizationRun.
func (OptimizationRun) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("state", "lease_until"),
		index.Fields("plugin_version_id"),
		index.Fields("base_id"),
	}
}

// Annotations of the OptimizationRun.
func (OptimizationRun) Annotations() []entschema.Annotation { return listed() }
