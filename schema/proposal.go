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

// Proposal is a change of a process that a strategy proposes and the house has
// checked: it applies to the base, is sound and keeps the standards of the region.
type Proposal struct{ ent.Schema }

// Mixin of the Proposal.
func (Proposal) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Proposal}, regionMixin{}, createdMixin{}}
}

// Fields of the Proposal.
func (Proposal) Fields() []ent.Field {
	return []ent.Field{
		field.String("run_id").Immutable().Annotations(class.Public),
		field.Int("number").Positive().Immutable().Annotations(class.Public, noFilter),
		field.Enum("state").Values("open", "adopted", "declined").Default("open").Annotations(class.Public),
		field.String("title_zh").Default("").MaxLen(256).Immutable().Annotations(class.Public, noFilter),
		field.String("title_en").Default("").MaxLen(256).Immutable().Annotations(class.Public, noFilter),
		field.Text("rationale").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.Text("edits").Immutable().Annotations(class.Internal, noFilter).Comment("Typed edits of the base, JSON."),
		field.Text("claims").Default("[]").Immutable().Annotations(class.Internal, noFilter).Comment("What the strategy says it brings, JSON; only claims."),
		field.Int("warnings").Default(0).Immutable().Annotations(class.Internal, noFilter).Comment("Warnings that the check of the changed process gave."),
		field.String("draft_id").Default("").Annotations(class.Internal, noFilter).Comment("The draft that it became."),
		field.String("judged_by").Default("").Annotations(class.Internal, noFilter),
		field.Text("reason").Default("").MaxLen(2000).Annotations(class.Internal, noFilter),
	}
}

// Edges of the Proposal.
func (Proposal) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("run", OptimizationRun.Type).Field("run_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Proposal.
func (Proposal) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("run_id", "number").Unique(),
		index.Fields("state"),
	}
}

// Annotations of the Proposal.
func (Proposal) Annotations() []entschema.Annotation { return listed() }
