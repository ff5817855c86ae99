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

// BatchItem is one failure or case of a batch, once, with what became of it:
//
//	waiting → succeeded | refused
//
// It leaves waiting in the transaction that does the work, so that the work is done
// at most once. It belongs to the region of its batch. Of a cancelled batch those
// that still wait were never touched.
type BatchItem struct{ ent.Schema }

// Mixin of the BatchItem.
func (BatchItem) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.BatchItem}, regionMixin{}, createdMixin{}}
}

// Fields of the BatchItem.
func (BatchItem) Fields() []ent.Field {
	return []ent.Field{
		field.String("batch_id").Immutable().Annotations(class.Internal),
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("subject").NotEmpty().Immutable().Annotations(class.Internal, noFilter).Comment("The failure, or the case."),
		field.Enum("outcome").Values("waiting", "succeeded", "refused").Default("waiting").Annotations(class.Internal),
		field.String("code").Default("").Annotations(class.Internal, noFilter).Comment("Why it was refused."),
		field.Text("text_zh").Default("").Annotations(class.Internal, noFilter).Comment("Why it was refused; of a migration, where its tokens go."),
		field.Text("text_en").Default("").Annotations(class.Internal, noFilter),
		field.Time("decided_at").Optional().Nillable().Annotations(class.Internal, noFilter),
	}
}

// Edges of the BatchItem.
func (BatchItem) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("batch", Batch.Type).Field("batch_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the BatchItem.
func (BatchItem) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("batch_id", "subject").Unique(),
		index.Fields("batch_id", "outcome"),
		index.Fields("case_id"),
	}
}

// Annotations of the BatchItem.
func (BatchItem) Annotations() []entschema.Annotation { return listed() }
