package schema

import (
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// Job is work to be done outside the transaction that caused it:
//
//	ready → running (leased) → done | ready (retry with back-off) | dead
//
// A lease that has run out makes the row claimable again; token fences the late worker.
type Job struct{ ent.Schema }

// Mixin of the Job.
func (Job) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Job}, createdMixin{}}
}

// Fields of the Job.
func (Job) Fields() []ent.Field {
	return []ent.Field{
		field.String("kind").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.Bytes("args").Immutable().Annotations(class.Internal, noFilter),
		field.Enum("state").Values("ready", "running", "done", "dead").Default("ready").Annotations(class.Internal, noFilter),
		field.Time("run_at").Annotations(class.Internal, noFilter),
		field.Int("attempt").Default(0).Annotations(class.Internal, noFilter),
		field.Int64("token").Default(0).Annotations(class.Internal, noFilter),
		field.String("cursor").Default("").Annotations(class.Internal, noFilter).Comment("Where a sliced job goes on."),
		field.String("last_error").Default("").Annotations(class.Internal, noFilter),
	}
}

// Indexes of the Job.
func (Job) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("state", "run_at"),
		index.Fields("kind"),
	}
}

// Annotations of the Job.
func (Job) Annotations() []entschema.Annotation { return []entschema.Annotation{hidden} }
