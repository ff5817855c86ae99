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

// Indicator is a measurable requirement of a clause: a clock on every case, or
// a figure over region, service and period.
type Indicator struct{ ent.Schema }

// Mixin of the Indicator.
func (Indicator) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Indicator}, regionMixin{}}
}

// Fields of the Indicator.
func (Indicator) Fields() []ent.Field {
	return []ent.Field{
		field.String("version_id").Immutable().Annotations(class.Public),
		field.String("clause_id").Immutable().Annotations(class.Public),
		field.String("code").NotEmpty().MaxLen(64).Annotations(class.Public, entgql.OrderField("CODE")),
		field.String("name_zh").NotEmpty().Annotations(class.Public, noFilter),
		field.String("name_en").Default("").Annotations(class.Public, noFilter),
		field.String("kind").NotEmpty().Annotations(class.Public),
		field.String("nature").NotEmpty().Annotations(class.Public, noFilter).
			Comment("limit and pledge put a clock on each case; target is judged over a period."),
		field.String("statistic").NotEmpty().Annotations(class.Public, noFilter),
		field.String("comparator").NotEmpty().Annotations(class.Public, noFilter),
		field.Float("value").Annotations(class.Public, noFilter),
		field.String("unit").NotEmpty().Annotations(class.Public, noFilter),
		field.String("basis").NotEmpty().Annotations(class.Public, noFilter),
		field.Int("cutoff_hour").Optional().Nillable().Annotations(class.Public, noFilter),
		field.Float("target").Optional().Nillable().Annotations(class.Public, noFilter).
			Comment("Share of cases that must keep the limit, 0 to 1; of pledges."),
		field.String("start_event").Default("").Annotations(class.Public),
		field.String("stop_event").Default("").Annotations(class.Public),
		field.JSON("areas", []string{}).Default([]string{}).Annotations(class.Public),
		field.JSON("services", []string{}).Default([]string{}).Annotations(class.Public),
		field.JSON("pause_reasons", []string{}).Default([]string{}).Annotations(class.Public),
		field.Text("exclusions").Default("").Annotations(class.Public, noFilter),
		field.Text("consequence").Default("").Annotations(class.Public, noFilter),
		field.Bool("enabled").Default(true).Annotations(class.Public),
		field.String("verification").Default("").Annotations(class.Public, noFilter),
		field.String("source").Default("").Annotations(class.Public, noFilter),
		field.String("address").Default("").Annotations(class.Public, noFilter),
	}
}

// Edges of the Indicator.
func (Indicator) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("version", StandardVersion.Type).Field("version_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("clause", Clause.Type).Field("clause_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the Indicator.
func (Indicator) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("version_id", "code").Unique(), index.Fields("clause_id"), index.Fields("code"),
		index.Fields("start_event"), index.Fields("stop_event"), index.Fields("kind"), index.Fields("enabled"),
	}
}

// Annotations of the Indicator.
func (Indicator) Annotations() []entschema.Annotation { return listed() }
