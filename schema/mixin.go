// Package schema is the data model of OpenSPMS, written by hand: one entity per
// file, from which ent generates the package of that name. Its main types are
// the entities; the mixins here give them their id, region scope and creation
// instant. It imports nothing generated, and no business rule lives in it.
package schema

import (
	"time"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"entgo.io/ent/schema/mixin"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// idMixin gives an entity its prefixed, time-ordered id.
type idMixin struct {
	mixin.Schema
	prefix ids.Prefix
}

// Fields of the id.
func (m idMixin) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(64).NotEmpty().Immutable().DefaultFunc(ids.Of(m.prefix)).
			Annotations(class.Public),
	}
}

// regionMixin scopes a row: the region it belongs to, and that region's path,
// by which store limits what a viewer sees. Both are set once.
type regionMixin struct{ mixin.Schema }

// Fields of the scope.
func (regionMixin) Fields() []ent.Field {
	return []ent.Field{
		field.String("region_id").Immutable().Annotations(class.Public),
		field.String("region_path").NotEmpty().Immutable().Annotations(class.Public, noFilter),
	}
}

// Edges of the scope.
func (regionMixin) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("region", Region.Type).Field("region_id").Unique().Required().Immutable().Annotations(noFilter),
	}
}

// Indexes of the scope.
func (regionMixin) Indexes() []ent.Index {
	return []ent.Index{byPath("region_path"), index.Fields("region_id")}
}

// createdMixin stamps a row with the instant of its creation, given by the
// room's clock and never by the database.
type createdMixin struct{ mixin.Schema }

// Fields of the stamp.
func (createdMixin) Fields() []ent.Field {
	return []ent.Field{
		field.Time("created_at").Immutable().
			Annotations(class.Public, entgql.OrderField("CREATED_AT"), noFilter),
	}
}

// Far is the instant that stands for "never" in NOT NULL columns that are
// sorted or scanned on: an open due time sorts last.
var Far = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// LongAgo is the instant that stands for "not any more" in such columns.
var LongAgo = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)

// noFilter keeps an unindexed field out of the generated filters.
var noFilter = entgql.Skip(entgql.SkipWhereInput)

// hidden keeps a field or entity out of GraphQL.
var hidden = entgql.Skip(entgql.SkipAll)

// listed are the annotations of every entity that GraphQL lists in pages.
func listed() []entschema.Annotation {
	return []entschema.Annotation{entgql.RelayConnection(), entgql.MultiOrder()}
}

// paged is the annotation of an edge to many, shown as a page.
func paged() entschema.Annotation { return entgql.RelayConnection() }

// byPath is an index that begins with the region path and serves its prefixes
// in either database, whatever PostgreSQL's collation.
func byPath(fields ...string) ent.Index {
	return index.Fields(fields...).Annotations(entsql.OpClassColumn("region_path", "text_pattern_ops"))
}
