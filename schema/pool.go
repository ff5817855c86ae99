package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// Pool is a number of people of one role with opening hours, in a region and
// for all regions below it.
type Pool struct{ ent.Schema }

// Mixin of the Pool.
func (Pool) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Pool}, regionMixin{}, createdMixin{}}
}

// Fields of the Pool.
func (Pool) Fields() []ent.Field {
	return []ent.Field{
		field.String("code").NotEmpty().MaxLen(64).Unique().Immutable().
			Annotations(class.Internal, entgql.OrderField("CODE")),
		field.String("name_zh").NotEmpty().Annotations(class.Internal, noFilter),
		field.String("name_en").Default("").Annotations(class.Internal, noFilter),
		field.String("role").NotEmpty().Annotations(class.Internal),
		field.Int("size").NonNegative().Annotations(class.Internal, noFilter),
		field.String("calendar_code").NotEmpty().Annotations(class.Internal, noFilter),
		field.Bool("finish_over").Default(false).Annotations(class.Internal, noFilter).
			Comment("Begun work is finished after closing time."),
		field.Int("cost_per_hour_fen").NonNegative().Default(0).Annotations(class.Internal, noFilter),
	}
}

// Indexes of the Pool.
func (Pool) Indexes() []ent.Index { return []ent.Index{index.Fields("role")} }

// Annotations of the Pool.
func (Pool) Annotations() []entschema.Annotation { return listed() }
