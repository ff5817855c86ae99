package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// AuditEntry is the record of one mutation, applied or refused, written in its
// transaction. It names who did what to which row; it holds no personal data.
type AuditEntry struct{ ent.Schema }

// Mixin of the AuditEntry.
func (AuditEntry) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.AuditEntry}, createdMixin{}}
}

// Fields of the AuditEntry.
func (AuditEntry) Fields() []ent.Field {
	return []ent.Field{
		field.String("viewer").NotEmpty().Immutable().Annotations(class.Internal),
		field.String("region_path").Default("").Immutable().Annotations(class.Internal, noFilter).
			Comment("The region acted in; empty when none was known, then only the server sees the row."),
		field.String("viewer_name").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.String("operation").NotEmpty().Immutable().Annotations(class.Internal),
		field.String("subject").Default("").Immutable().Annotations(class.Internal).Comment("The id of the row acted upon."),
		field.Enum("outcome").Values("applied", "refused").Immutable().Annotations(class.Internal),
		field.String("code").Default("").Immutable().Annotations(class.Internal).Comment("The error code of a refusal."),
		field.JSON("detail", map[string]any{}).Optional().Immutable().Annotations(class.Internal, entgql.Type("Map")),
		field.String("input_hash").Default("").Immutable().Annotations(class.Internal, noFilter),
		field.Text("changes").Default("").Immutable().Annotations(class.Internal, hidden).
			Comment("The rows of cases that the command has changed, in the form of store.Change: what subscriptions are told from."),
		field.Int64("position").Optional().Immutable().Annotations(class.Internal, hidden, entsql.DefaultExprs(map[string]string{
			dialect.Postgres: "(pg_current_xact_id())::text::bigint", dialect.SQLite: "0",
		})).Comment("The command's transaction on PostgreSQL, where rows are not committed in the order of their ids; 0 on SQLite, where they are."),
	}
}

// Indexes of the AuditEntry.
func (AuditEntry) Indexes() []ent.Index {
	return []ent.Index{
		byPath("region_path"),
		index.Fields("created_at"),
		index.Fields("viewer"),
		index.Fields("operation"),
		index.Fields("subject"),
		index.Fields("outcome"),
		index.Fields("code"),
		index.Fields("position").Annotations(entsql.IndexWhere("position > 0")), // empty on SQLite
	}
}

// Annotations of the AuditEntry.
func (AuditEntry) Annotations() []entschema.Annotation { return listed() }
