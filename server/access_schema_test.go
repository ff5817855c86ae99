package server_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// The schema as the server tells it, from which the matrix is generated.

type typeRef struct {
	Kind   string
	Name   string
	OfType *typeRef
}

// named is the type without its lists and exclamation marks.
func (r typeRef) named() typeRef {
	for r.OfType != nil {
		r = *r.OfType
	}
	return r
}

func (r typeRef) required() bool { return r.Kind == "NON_NULL" }

// list tells whether the type is a list.
func (r typeRef) list() bool {
	return r.Kind == "LIST" || r.required() && r.OfType.Kind == "LIST"
}

type fieldDef struct {
	Name string
	Args []fieldDef
	Type typeRef
}

// pages tells whether the field is a connection.
func (f fieldDef) pages() bool { return strings.HasSuffix(f.Type.named().Name, "Connection") }

// needs tells whether the field cannot be asked for without arguments.
func (f fieldDef) needs() bool {
	for _, a := range f.Args {
		if a.Type.required() {
			return true
		}
	}
	return false
}

type typeDef struct {
	Kind, Name          string
	Fields, InputFields []fieldDef
	Interfaces          []typeRef
	EnumValues          []struct{ Name string }
}

func (d typeDef) field(name string) (fieldDef, bool) {
	for _, f := range append(d.Fields, d.InputFields...) {
		if f.Name == name {
			return f, true
		}
	}
	return fieldDef{}, false
}

// schema is all types by name.
type schema map[string]typeDef

const introspection = `{ __schema { types { kind name interfaces { name } enumValues { name }
	fields { name args { name type { ...r } } type { ...r } } inputFields { name type { ...r } } } } }
	fragment r on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`

// schema asks the server for its schema.
func (o *office) schema() schema {
	o.t.Helper()
	raw, err := json.Marshal(o.get("demo-admin", introspection, "__schema", "types"))
	if err != nil {
		o.t.Fatal(err)
	}
	var list []typeDef
	if err := json.Unmarshal(raw, &list); err != nil {
		o.t.Fatal(err)
	}
	s := schema{}
	for _, d := range list {
		s[d.Name] = d
	}
	return s
}

// row tells whether a type has rows: it is a Node.
func (s schema) row(name string) bool {
	for _, i := range s[name].Interfaces {
		if i.Name == "Node" {
			return true
		}
	}
	return false
}

// rowOf is the type of the rows that a field leads to, "" for none.
func (s schema) rowOf(f fieldDef) string {
	name := f.Type.named().Name
	if f.pages() {
		name = strings.TrimSuffix(name, "Connection")
	}
	if s.row(name) {
		return name
	}
	return ""
}

// edges are the fields of a type that lead to rows.
func (s schema) edges(typ string) []fieldDef {
	var out []fieldDef
	for _, f := range s[typ].Fields {
		if s.rowOf(f) != "" && !f.needs() {
			out = append(out, f)
		}
	}
	return out
}

// selection asks for the rows behind an edge, with what more is wanted of each.
func (f fieldDef) selection(first, more string) string {
	if f.pages() {
		return f.Name + "(first: " + first + ") { totalCount edges { node { __typename id " + more + " } } }"
	}
	return f.Name + " { __typename id " + more + " }"
}

// sortedKeys are the keys of a map in their order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
