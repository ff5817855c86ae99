package schema

import (
	"encoding/json"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// ServiceCase is one running or finished instance of a process version: active,
// then completed (an end event was reached) or cancelled. Its variables are the
// process's typed data; revision counts the steps it has made.
type ServiceCase struct{ ent.Schema }

// Mixin of the ServiceCase.
func (ServiceCase) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.ServiceCase}, regionMixin{}, createdMixin{}}
}

// Fields of the ServiceCase.
func (ServiceCase) Fields() []ent.Field {
	return []ent.Field{
		field.String("number").NotEmpty().MaxLen(64).Unique().Immutable().Annotations(class.Internal, entgql.OrderField("NUMBER")),
		field.String("process_id").Immutable().Annotations(class.Internal),
		field.String("version_id").Annotations(class.Internal),
		field.Enum("state").Values("active", "completed", "cancelled").Default("active").Annotations(class.Internal),
		field.String("stage").Default("").Annotations(class.Internal),
		field.String("outcome").Default("").Annotations(class.Internal, noFilter).Comment("The end node that was reached."),
		field.String("title").Default("").MaxLen(256).Annotations(class.Internal, noFilter),
		field.String("area").Default("any").Annotations(class.Internal, noFilter),
		field.String("channel").Default("").Annotations(class.Internal),
		field.JSON("variables", map[string]any{}).Annotations(class.Internal, entgql.Type("Map")),
		field.JSON("engine", json.RawMessage{}).Optional().Annotations(class.Internal, hidden).
			Comment("Id counters and scopes of the engine's state."),
		field.JSON("flags", []Flag{}).Default([]Flag{}).Annotations(class.Internal, entgql.Type("[CaseFlag!]")).
			Comment("Rules of standards that the case did not keep and that only mark it."),
		field.Int("revision").Default(0).Annotations(class.Internal, noFilter),
		field.Time("ended_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.String("started_by").Immutable().Annotations(class.Internal, noFilter),
		field.String("caller_id").Optional().Nillable().Immutable().Annotations(class.Internal).Comment("The case whose call activity started this one."),
		field.Int("caller_token").Default(0).Immutable().Annotations(class.Internal, noFilter),
		field.String("start_key").Optional().Nillable().Annotations(class.Internal, hidden).
			Comment("Name and correlation key of the message that started the case, while it runs."),
		field.String("owner_id").Optional().Nillable().Annotations(class.Internal).Comment("The first owner (首问负责)."),
	}
}

// Edges of the ServiceCase.
func (ServiceCase) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("process", Process.Type).Field("process_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("version", ProcessVersion.Type).Field("version_id").Unique().Required().Annotations(noFilter),
		edge.To("owner", Staff.Type).Field("owner_id").Unique().Annotations(noFilter),
		edge.To("called", ServiceCase.Type).Annotations(paged(), noFilter).From("caller").Field("caller_id").Unique().Immutable().Annotations(noFilter),
		edge.From("tasks", Task.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("clocks", Clock.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("tokens", Token.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("timers", TimerRow.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("events", CaseEvent.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("evidence", Evidence.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("failures", Failure.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("stages", StageVisit.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("breaches", Breach.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("actions", TaskAction.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("notices", Notice.Type).Ref("case").Annotations(paged(), noFilter),
		edge.From("surveys", SurveyResponse.Type).Ref("case").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the ServiceCase.
func (ServiceCase) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("process_id", "start_key").Unique(),
		index.Fields("version_id"),
		index.Fields("owner_id"),
		index.Fields("caller_id"),
		index.Fields("state"),
		index.Fields("stage"),
		index.Fields("channel"),
		byPath("region_path", "state", "stage"),
		index.Fields("created_at"),
	}
}

// Annotations of the ServiceCase.
func (ServiceCase) Annotations() []entschema.Annotation { return listed() }
