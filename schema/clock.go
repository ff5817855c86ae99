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

// Clock is a running measurement of an indicator on a case:
//
//	running ⇄ paused
//	running, paused → met | cancelled
//	running → breached (and goes on until it is stopped)
//
// due_at is the first instant that is too late. next_at is the next instant at
// which something happens by itself (warning, breach); far in the future when
// nothing will. What it measures by (indicator, clause, value, basis) changes only when a
// clause that applies at once is published.
type Clock struct{ ent.Schema }

// Mixin of the Clock.
func (Clock) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Clock}, regionMixin{}}
}

// Fields of the Clock.
func (Clock) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("indicator_id").Annotations(class.Internal),
		field.String("indicator_code").NotEmpty().Immutable().Annotations(class.Internal),
		field.String("standard_code").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("clause_number").Default("").Annotations(class.Internal, noFilter),
		field.String("name_zh").NotEmpty().Annotations(class.Internal, noFilter),
		field.String("name_en").Default("").Annotations(class.Internal, noFilter),
		field.String("nature").NotEmpty().Annotations(class.Internal, noFilter),
		field.String("start_event").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.String("stop_event").NotEmpty().Annotations(class.Internal),
		field.String("basis").NotEmpty().Annotations(class.Internal, noFilter),
		field.Float("value").Annotations(class.Internal, noFilter),
		field.String("unit").NotEmpty().Annotations(class.Internal, noFilter),
		field.Int("cutoff_hour").Default(0).Annotations(class.Internal, noFilter),
		field.Int64("credit_fen").Default(0).Annotations(class.Internal, noFilter).
			Comment("What a breach credits to the customer, in fen."),
		field.Enum("state").Values("running", "paused", "met", "breached", "cancelled").Default("running").Annotations(class.Internal),
		field.Time("started_at").Immutable().Annotations(class.Internal, noFilter),
		field.Time("due_at").Annotations(class.Internal, entgql.OrderField("DUE_AT"), noFilter),
		field.String("last_day").Default("").Annotations(class.Internal, noFilter).Comment("The last lawful day, YYYY-MM-DD in the region's zone; empty for exact hours."),
		field.Bool("provisional").Default(false).Annotations(class.Internal).Comment("Counted with a year that is not announced yet."),
		field.Time("warn_at").Annotations(class.Internal, noFilter),
		field.Time("next_at").Annotations(class.Internal, noFilter),
		field.Time("warned_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("breached_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("paused_at").Optional().Nillable().Annotations(class.Internal, noFilter).
			Comment("Since when the clock has been standing; null while it runs."),
		field.Time("stopped_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Bool("binding").Default(true).Annotations(class.Internal).Comment("The strictest of the clocks that measure the same."),
		field.String("shadowed_by_id").Optional().Nillable().Annotations(class.Internal),
		field.Int64("paused_micros").Default(0).Annotations(class.Internal, noFilter),
		field.JSON("pause_reasons", []string{}).Default([]string{}).Annotations(class.Internal),
	}
}

// Edges of the Clock.
func (Clock) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("indicator", Indicator.Type).Field("indicator_id").Unique().Required().Annotations(noFilter),
		edge.To("shadows", Clock.Type).Annotations(paged(), noFilter).From("shadowed_by").Field("shadowed_by_id").Unique().Annotations(noFilter),
		edge.From("pauses", Pause.Type).Ref("clock").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("breaches", Breach.Type).Ref("clock").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the Clock.
func (Clock) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id", "indicator_id"),
		index.Fields("indicator_id"),
		index.Fields("shadowed_by_id"),
		index.Fields("next_at"),
		index.Fields("state"),
		index.Fields("indicator_code"),
		index.Fields("stop_event"),
		index.Fields("provisional"),
		index.Fields("binding"),
		byPath("region_path", "state", "due_at"),
	}
}

// Annotations of the Clock.
func (Clock) Annotations() []entschema.Annotation { return listed() }
