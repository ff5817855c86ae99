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

// ProcessVersion is one definition of a process, as a BPMN document:
//
//	draft → in_review → published → retired
//	in_review → draft (returned)
//
// A published one is never changed; its digest covers the canonical document.
type ProcessVersion struct{ ent.Schema }

// Mixin of the ProcessVersion.
func (ProcessVersion) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.ProcessVersion}, regionMixin{}, createdMixin{}}
}

// Fields of the ProcessVersion.
func (ProcessVersion) Fields() []ent.Field {
	return []ent.Field{
		field.String("process_id").Immutable().Annotations(class.Public),
		field.Int("number").Positive().Immutable().Annotations(class.Public, entgql.OrderField("NUMBER"), noFilter),
		field.Enum("state").Values("draft", "in_review", "published", "retired").Default("draft").Annotations(class.Public),
		field.String("parent_id").Optional().Nillable().Immutable().Annotations(class.Public, noFilter).
			Comment("Of a region's variant: the version it was made from or last brought up to."),
		field.String("author_id").Immutable().Annotations(class.Internal, noFilter),
		field.JSON("editors", []string{}).Default([]string{}).Annotations(class.Internal).
			Comment("Who has changed the draft; none of them may approve it."),
		field.String("approver_id").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("published_at").Optional().Nillable().Annotations(class.Public, noFilter),
		field.String("digest").Default("").Annotations(class.Public, noFilter),
		field.Text("document").NotEmpty().Annotations(class.Public, noFilter).Comment("The definition as BPMN 2.0 XML."),
		field.Text("changelog").Default("").Annotations(class.Public, noFilter),
		field.Int("revision").Default(1).Annotations(class.Public, noFilter),
	}
}

// Edges of the ProcessVersion.
func (ProcessVersion) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("process", Process.Type).Field("process_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("variants", ProcessVersion.Type).Annotations(paged(), noFilter).From("parent").Field("parent_id").Unique().Immutable().Annotations(noFilter),
		edge.From("bindings", Binding.Type).Ref("version").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("cases", ServiceCase.Type).Ref("version").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the ProcessVersion.
func (ProcessVersion) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("process_id", "number").Unique(),
		index.Fields("parent_id"),
		index.Fields("state"),
	}
}

// Annotations of the ProcessVersion.
func (ProcessVersion) Annotations() []entschema.Annotation { return listed() }
