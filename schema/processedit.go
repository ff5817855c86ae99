package schema

import (
	"encoding/json"

	"entgo.io/ent"
	entschema "entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/openspms/spms/schema/class"
	"github.com/openspms/spms/schema/ids"
)

// ProcessEdit is one change of a process draft that can be taken back: back is
// the edit that does so, or, once it is undone, the one that does it again.
type ProcessEdit struct{ ent.Schema }

// Mixin of the ProcessEdit.
func (ProcessEdit) Mixin() []ent.Mixin {
	return []ent.Mixin{idMixin{prefix: ids.ProcessEdit}, createdMixin{}}
}

// Fields of the ProcessEdit.
func (ProcessEdit) Fields() []ent.Field {
	return []ent.Field{
		field.String("version_id").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
		field.Int("seq").Positive().Immutable().Annotations(class.Internal, noFilter),
		field.JSON("back", json.RawMessage{}).Annotations(class.Internal, noFilter),
		field.Bool("undone").Default(false).Annotations(class.Internal, noFilter),
		field.String("by").NotEmpty().Immutable().Annotations(class.Internal, noFilter),
	}
}

// Indexes of the ProcessEdit.
func (ProcessEdit) Indexes() []ent.Index {
	return []ent.Index{index.Fields("version_id", "seq").Unique()}
}

// Annotations of the ProcessEdit.
func (ProcessEdit) Annotations() []entschema.Annotation { return []entschema.Annotation{hidden} }
