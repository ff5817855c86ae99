package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// Calendar is a statutory calendar (days off, make-up workdays) or the opening
// hours of a pool, kept as the canonical text of its pack file.
type Calendar struct{ ent.Schema }

// Mixin of the Calendar.
func (Calendar) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Calendar}, regionMixin{}, createdMixin{}}
}

// Fields of the Calendar.
func (Calendar) Fields() []ent.Field {
	return []ent.Field{
		field.String("code").NotEmpty().MaxLen(64).Unique().Immutable().
			Annotations(class.Public, entgql.OrderField("CODE")),
		field.String("name_zh").NotEmpty().Annotations(class.Public, noFilter),
		field.String("name_en").Default("").Annotations(class.Public, noFilter),
		field.Enum("kind").Values("statutory", "hours").Immutable().Annotations(class.Public, noFilter),
		field.String("timezone").NotEmpty().Annotations(class.Public, noFilter),
		field.JSON("years", []int{}).Default([]int{}).
			Annotations(class.Public).
			Comment("The years announced; a due instant beyond them is provisional."),
		field.Text("document").NotEmpty().Annotations(class.Public, noFilter).
			Comment("The calendar as the YAML of its pack file."),
		field.String("digest").NotEmpty().Annotations(class.Public, noFilter),
		field.Int("revision").Default(1).Annotations(class.Public, noFilter),
	}
}

// Annotations of the Calendar.
func (Calendar) Annotations() []entschema.Annotation { return listed() }
