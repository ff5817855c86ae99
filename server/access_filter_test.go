package server_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// filters asks every generated filter of every entity for the values of a row
// that the person does not see: what comes is his all the same, and a filter
// for that row's id finds nothing.
func (m *matrix) filters(p person) {
	for _, typ := range sortedKeys(entities) {
		seen, hidden := m.l.visible(p, typ)
		if len(hidden) == 0 {
			continue
		}
		open, shut, list := m.list(p, typ)
		if list == "" {
			continue // he sees no row under which these are listed
		}
		m.tried["filter "+typ] = true
		row := m.l[typ][hidden[len(hidden)/2]]
		wheres := []string{
			fmt.Sprintf(`{or: [{id: %q}, {idNEQ: "x"}]}`, row["id"]),
			fmt.Sprintf(`{and: [{id: %q}]}`, row["id"]),
			fmt.Sprintf(`{not: {idNEQ: %q}}`, row["id"]),
		}
		for _, f := range m.s[typ+"WhereInput"].InputFields {
			if v := m.value(typ, f, row); v != "" {
				wheres = append(wheres, fmt.Sprintf("{%s: %s}", f.Name, v))
			}
		}
		for chunk := range slices.Chunk(wheres, 10) {
			var q strings.Builder
			for i, w := range chunk {
				fmt.Fprintf(&q, " f%d: %s(first: 20, where: %s) { totalCount edges { node { __typename id } } }", i, list, w)
			}
			answer := m.ask(p, open+q.String()+shut)
			m.filtered(p, typ, chunk, answer, row["id"], len(seen))
		}
	}
}

// filtered looks at the answers of some filters: no count beyond what is seen,
// and none for the hidden row alone.
func (m *matrix) filtered(p person, typ string, wheres []string, answer any, hidden string, seen int) {
	switch v := answer.(type) {
	case []any:
		for _, x := range v {
			m.filtered(p, typ, wheres, x, hidden, seen)
		}
	case map[string]any:
		for i, w := range wheres {
			n, ok := dig(v, fmt.Sprint("f", i), "totalCount").(float64)
			if !ok {
				continue
			}
			only := slices.Contains([]string{
				fmt.Sprintf("{id: %q}", hidden), fmt.Sprintf("{idIn: [%q]}", hidden),
				fmt.Sprintf("{and: [{id: %q}]}", hidden), fmt.Sprintf("{not: {idNEQ: %q}}", hidden),
			}, w)
			if int(n) > seen || only && n != 0 {
				m.report("%s: %s where %s counts %v rows of %d seen", p, typ, w, n, seen)
			}
		}
		for _, x := range v {
			m.filtered(p, typ, wheres, x, hidden, seen)
		}
	}
}

// list finds a place where the rows of a type are listed with a filter: a root
// field, or a list under rows that the person sees. The type's rows stand
// between open and shut.
func (m *matrix) list(p person, typ string) (open, shut, field string) {
	for _, f := range m.s["Query"].Fields {
		if f.pages() && m.s.rowOf(f) == typ {
			return "{", " }", f.Name
		}
	}
	for _, parent := range sortedKeys(entities) {
		for _, f := range m.s[parent].Fields {
			if !f.pages() || m.s.rowOf(f) != typ || !slices.ContainsFunc(f.Args, func(a fieldDef) bool { return a.Name == "where" }) {
				continue
			}
			if above, _ := m.l.visible(p, parent); len(above) > 0 {
				return fmt.Sprintf(`{ nodes(ids: ["%s"]) { ... on %s {`, strings.Join(spread(above, 5), `", "`), parent), " } } }", f.Name
			}
		}
	}
	return "", "", ""
}

// operators are the endings of generated filter fields.
var operators = []string{"EqualFold", "ContainsFold", "HasPrefix", "HasSuffix", "Contains", "NotIn", "NotNil", "IsNil", "NEQ", "GTE", "LTE", "GT", "LT", "In"}

var capital = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// value is what a filter field is set to, from the column it is about; "" for
// the fields that combine filters, and for columns that the row has not set.
func (m *matrix) value(typ string, f fieldDef, row column) string {
	if slices.Contains([]string{"not", "and", "or"}, f.Name) {
		return ""
	}
	name := f.Name
	if _, plain := m.s[typ].field(name); !plain {
		for _, o := range operators {
			if base, cut := strings.CutSuffix(name, o); cut {
				name = base
				break
			}
		}
	}
	of, ok := m.s[typ].field(name)
	if !ok {
		m.report("filter %s of %s is about no field that is known", f.Name, typ)
		return ""
	}
	v, set := row[strings.ToLower(capital.ReplaceAllString(name, "${1}_${2}"))]
	kind := f.Type.named()
	switch {
	case kind.Name == "Boolean" && of.Type.named().Name != "Boolean":
		return "true"
	case !set:
		return ""
	case kind.Name == "Boolean":
		v = fmt.Sprint(v == "1" || v == "true")
	case kind.Name == "Time":
		v = `"2026-03-03T00:00:00Z"`
	case kind.Kind != "ENUM" && kind.Name != "Int" && kind.Name != "Float":
		v = fmt.Sprintf("%q", v)
	}
	if f.Type.list() {
		v = "[" + v + "]"
	}
	return v
}
