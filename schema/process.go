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

// Process is a service process such as ftth-install.
type Process struct{ ent.Schema }

// Mixin of the Process.
func (Process) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Process}, regionMixin{}, createdMixin{}}
}

// Fields of the Process.
func (Process) Fields() []ent.Field {
	return []ent.Field{
		field.String("key").NotEmpty().MaxLen(64).Unique().Immutable().Annotations(class.Public, entgql.OrderField("KEY")),
		field.String("name_zh").NotEmpty().Annotations(class.Public, noFilter),
		field.String("name_en").Default("").Annotations(class.Public, noFilter),
		field.String("service_type").NotEmpty().Annotations(class.Public),
	}
}

// Edges of the Process.
func (Process) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("versions", ProcessVersion.Type).Ref("process").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("bindings", Binding.Type).Ref("process").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("cases", ServiceCase.Type).Ref("process").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the Process.
func (Process) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("service_type"),
	}
}

// Annotations of the Process.
func (Process) Annotations() []entschema.Annotation { return listed() }
