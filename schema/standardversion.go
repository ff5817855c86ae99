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

// StandardVersion is one text of a standard:
//
//	draft → in_review → approved → published → superseded | withdrawn
//	in_review, approved → draft (returned)
//
// A published one is never changed; its digest covers its canonical form.
type StandardVersion struct{ ent.Schema }

// Mixin of the StandardVersion.
func (StandardVersion) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.StandardVer}, regionMixin{}, createdMixin{}}
}

// Fields of the StandardVersion.
func (StandardVersion) Fields() []ent.Field {
	return []ent.Field{
		field.String("standard_id").Immutable().Annotations(class.Public),
		field.Int("number").Positive().Immutable().Annotations(class.Public, entgql.OrderField("NUMBER"), noFilter),
		field.Enum("state").
			Values("draft", "in_review", "approved", "published", "superseded", "withdrawn").
			Default("draft").Annotations(class.Public),
		field.Time("effective_from").Optional().Nillable().Annotations(class.Public, noFilter),
		field.Time("effective_to").Optional().Nillable().Annotations(class.Public, noFilter),
		field.String("author_id").Immutable().Annotations(class.Internal, noFilter),
		field.JSON("editors", []string{}).Default([]string{}).Annotations(class.Internal).
			Comment("Who has changed the draft; none of them may approve it."),
		field.String("approver_id").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("published_at").Optional().Nillable().Annotations(class.Public, noFilter),
		field.String("digest").Default("").Annotations(class.Public, noFilter),
		field.Text("document").NotEmpty().Annotations(class.Public, noFilter).
			Comment("The version as the YAML of a standard file."),
		field.Text("changelog").Default("").Annotations(class.Public, noFilter),
		field.Time("applied_at").Optional().Nillable().Annotations(class.Internal, noFilter).
			Comment("When running cases were moved to clauses that apply at once; null while that is to be done."),
		field.Int("revision").Default(1).Annotations(class.Public, noFilter),
	}
}

// Edges of the StandardVersion.
func (StandardVersion) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("standard", Standard.Type).Field("standard_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.From("clauses", Clause.Type).Ref("version").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("indicators", Indicator.Type).Ref("version").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the StandardVersion.
func (StandardVersion) Indexes() []ent.Index {
	return []ent.Index{index.Fields("standard_id", "number").Unique(), index.Fields("state")}
}

// Annotations of the StandardVersion.
func (StandardVersion) Annotations() []entschema.Annotation { return listed() }
