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

// Batch is work on many cases that a person has asked for by a filter and that is
// carried out in the background, item by item, under his rights:
//
//	queued → running → done | failed; queued, running → cancelled
//
// The row is its own lease: fence counts the turns that nodes have had at it, and who
// holds an earlier number writes nothing. The counts are those of the items up to the
// cursor.
type Batch struct{ ent.Schema }

// Mixin of the Batch.
func (Batch) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Batch}, regionMixin{}, createdMixin{}}
}

// Fields of the Batch.
func (Batch) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("action").Values("retry", "skip", "move", "set_variables", "cancel", "migrate").Immutable().Annotations(class.Internal),
		field.JSON("request", map[string]any{}).Immutable().Annotations(class.Internal, noFilter, entgql.Type("Map")).
			Comment("What selects the items, and what is done with them: filter, variables, target, mapping."),
		field.Bool("preview").Default(false).Immutable().Annotations(class.Internal, noFilter).Comment("Items say what would become of them, and nothing else is written."),
		field.Text("reason").NotEmpty().MaxLen(2000).Immutable().Annotations(class.Internal, noFilter),
		field.Enum("state").Values("queued", "running", "done", "cancelled", "failed").Default("queued").Annotations(class.Internal),
		field.Int("total").Default(0).NonNegative().Annotations(class.Internal, noFilter).Comment("Items; until they are all listed, those that were selected at the start."),
		field.Int("done").Default(0).NonNegative().Annotations(class.Internal, noFilter).Comment("Items that have been decided: succeeded and refused."),
		field.Int("succeeded").Default(0).NonNegative().Annotations(class.Internal, noFilter),
		field.Int("refused").Default(0).NonNegative().Annotations(class.Internal, noFilter),
		field.String("started_by").NotEmpty().Immutable().Annotations(class.Internal).Comment("The person whose rights count."),
		field.Time("began_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.String("code").Default("").Annotations(class.Internal, noFilter).Comment("Why it failed."),
		field.Text("cancel_reason").Default("").MaxLen(2000).Annotations(class.Internal, noFilter),

		field.Time("lease_until").Annotations(class.Internal, hidden).Comment("A running one whose lease has ended is taken over."),
		field.Int64("fence").Default(0).Annotations(class.Internal, hidden),
		field.Int("stalls").Default(0).Annotations(class.Internal, hidden).Comment("Turns since it last came on."),
		field.Bool("listed").Default(false).Annotations(class.Internal, hidden).Comment("All items have been written down."),
		field.String("cursor").Default("").Annotations(class.Internal, hidden).Comment("The last subject that was listed, then the last item that was decided."),
	}
}

// Edges of the Batch.
func (Batch) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("items", BatchItem.Type).Ref("batch").Annotations(paged(), noFilter),
	}
}

// Indexes of the Batch.
func (Batch) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("state", "lease_until"),
		index.Fields("action"),
		index.Fields("started_by"),
	}
}

// Annotations of the Batch.
func (Batch) Annotations() []entschema.Annotation { return listed() }
