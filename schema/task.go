package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// Task is one execution of a node in a case; a human task waits in a worklist:
//
//	created → claimed → started → completed
//	started → signing → completed (others sign after the assignee; a refusal: → started)
//	every open state → cancelled (the token left by another way)
//	claimed, started → created (released, rejected)
type Task struct{ ent.Schema }

// Mixin of the Task.
func (Task) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.Task}, regionMixin{}, createdMixin{}}
}

// Fields of the Task.
func (Task) Fields() []ent.Field {
	return []ent.Field{
		field.String("case_id").Immutable().Annotations(class.Internal),
		field.String("version_id").Annotations(class.Internal),
		field.Int("token_seq").NonNegative().Immutable().Annotations(class.Internal, noFilter),
		field.String("node_id").NotEmpty().Annotations(class.Internal),
		field.String("name_zh").NotEmpty().Annotations(class.Internal, noFilter),
		field.String("name_en").Default("").Annotations(class.Internal, noFilter),
		field.Enum("kind").Values("human", "service").Annotations(class.Internal),
		field.String("topic").Default("").Annotations(class.Internal).Comment("What the worker of a service task subscribes to."),
		field.String("role").Default("").Annotations(class.Internal),
		field.String("stage").Default("").Annotations(class.Internal, noFilter),
		field.Enum("state").Values("created", "claimed", "started", "signing", "completed", "cancelled").Default("created").Annotations(class.Internal),
		field.Int("priority").Default(0).Annotations(class.Internal, entgql.OrderField("PRIORITY"), noFilter),
		field.JSON("required_qualifications", []string{}).Default([]string{}).Annotations(class.Internal),
		field.String("assignee_id").Optional().Nillable().Annotations(class.Internal),
		field.Time("claimed_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("started_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("completed_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.String("completed_by").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.String("assigned_by").Optional().Nillable().Annotations(class.Internal, noFilter).Comment("Who gave it to the assignee; null when he took it."),
		field.String("delegated_by").Optional().Nillable().Annotations(class.Internal, noFilter).Comment("Whose work the assignee does (委派): it goes back to him when it is done."),
		field.Enum("signing_mode").Values("all", "any").Default("all").Annotations(class.Internal, noFilter).Comment("Whether all signers beside the assignee sign (会签) or one is enough (或签)."),
		field.Int("rejections").Default(0).Annotations(class.Internal, noFilter).Comment("How often it was given back as wrongly dispatched (退单)."),
		field.String("escalated_to").Default("").Annotations(class.Internal).Comment("The role that is to look after it since a clock was breached; empty without."),
		field.String("wait_message").Default("").Annotations(class.Internal, noFilter).Comment("A service task whose worker waits: name of the message."),
		field.String("wait_key").Default("").Annotations(class.Internal, noFilter).Comment("Key that the message must bring."),
		field.Text("wait_payload").Default("").Annotations(class.Internal, noFilter).Comment("The message that came, JSON."),
		field.Int("urges").Default(0).Annotations(class.Internal, noFilter).Comment("How often it was urged (催办)."),
		field.Time("urged_at").Optional().Nillable().Annotations(class.Internal, noFilter),
		field.Time("follow_up_at").Optional().Nillable().Annotations(class.Internal, noFilter).Comment("When the assignee wants to look at it again."),
		field.String("lease_by").Default("").Annotations(class.Internal, noFilter).Comment("The worker that a service task is lent to."),
		field.Time("lease_until").Annotations(class.Internal, noFilter).Comment("Until when; long ago when it is not lent."),
		field.Time("due_at").Optional().Nillable().Annotations(class.Internal, noFilter).Comment("The earliest binding clock of the case; null without one."),
		field.Time("due_order").Annotations(class.Internal, entgql.OrderField("DUE_AT"), noFilter).Comment("due_at, far in the future when null: for sorting."),
	}
}

// Edges of the Task.
func (Task) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("case", ServiceCase.Type).Field("case_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("version", ProcessVersion.Type).Field("version_id").Unique().Required().Annotations(noFilter),
		edge.To("assignee", Staff.Type).Field("assignee_id").Unique().Annotations(noFilter),
		edge.From("signers", TaskSigner.Type).Ref("task").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("actions", TaskAction.Type).Ref("task").Annotations(paged(), noFilter).Annotations(noFilter),
		edge.From("evidence", Evidence.Type).Ref("task").Annotations(paged(), noFilter).Annotations(noFilter),
	}
}

// Indexes of the Task.
func (Task) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("case_id"),
		index.Fields("version_id"),
		index.Fields("assignee_id"),
		index.Fields("node_id"),
		index.Fields("topic", "state", "due_order", "id"),
		index.Fields("kind"),
		index.Fields("escalated_to"),
		index.Fields("wait_message", "wait_key"),
		// Worklists in their order: of one region, and of many, where the region is read in
		// the index: of all roles, of one, and what matters most first.
		ofOpen("region_path", "due_order", "id"),
		ofOpen("due_order", "id", "region_path"),
		ofOpen("role", "due_order", "id", "region_path"),
		ofOpen("priority", "id", "region_path").Annotations(entsql.DescColumns("priority")),
	}
}

// ofOpen is byPath of the open tasks alone.
func ofOpen(fields ...string) *index.Builder {
	return index.Fields(fields...).Annotations(entsql.OpClassColumn("region_path", "text_pattern_ops"), entsql.IndexWhere(OpenTasks))
}

// OpenTasks is the condition of the indexes that hold only what still wants doing,
// which are a small part of all tasks after some years. A query is served by them
// when it says the same words.
const OpenTasks = "state IN ('created', 'claimed', 'started', 'signing')"

// Annotations of the Task.
func (Task) Annotations() []entschema.Annotation { return listed() }
