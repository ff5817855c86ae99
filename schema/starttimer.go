package schema

import (
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// StartTimer is one instant at which a timer start event of a bound version starts
// a case in the region of the binding; the row is the timer:
//
//	waiting → fired (case_id or error) | ended (another version was bound first)
//
// The next instant of a cycle is a row of its own, written when this one fires.
type StartTimer struct{ ent.Schema }

// Mixin of the StartTimer.
func (StartTimer) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.StartTimer}, regionMixin{}, createdMixin{}}
}

// Fields of the StartTimer.
func (StartTimer) Fields() []ent.Field {
	return []ent.Field{
		field.String("binding_id").Immutable().Annotations(class.Internal, noFilter),
		field.String("process_id").Immutable().Annotations(class.Internal, noFilter),
		field.String("version_id").Immutable().Annotations(class.Internal, noFilter),
		field.String("node_id").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.Int("occurrence").NonNegative().Immutable().Annotations(class.Internal, noFilter).Comment("From 0; those missed are counted."),
		field.Int("again").Immutable().Annotations(class.Internal, noFilter).Comment("How often it fires after this, -1 without end."),
		field.Time("due_at").Immutable().Annotations(class.Internal, noFilter),
		field.Enum("state").Values("waiting", "fired", "ended").Default("waiting").Annotations(class.Internal, noFilter),
		field.Time("fired_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.String("case_id").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.String("error").Default("").Annotations(class.Internal, noFilter).Comment("Why no case could be started."),
	}
}

// Indexes of the StartTimer.
func (StartTimer) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("binding_id", "node_id", "occurrence").Unique(),
		index.Fields("state", "due_at"),
	}
}

// Annotations of the StartTimer.
func (StartTimer) Annotations() []entschema.Annotation { return []entschema.Annotation{hidden} }
