package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/store/storetest"
)

// TestAccessMatrixFindsLeaks asks as one who may see more than the rule is told
// of him: each part of the matrix must report it.
func TestAccessMatrixFindsLeaks(t *testing.T) {
	t.Parallel()
	o := openWorld(t, storetest.SQLiteURL(t))
	m := &matrix{o: o, s: o.schema(), l: o.ledger(), tried: map[string]bool{}}
	agent := m.person("zz-agent")
	for _, part := range []struct {
		name string
		as   string // who asks in the agent's name
		try  func(*matrix, person)
	}{
		{"roots", "ha-supervisor", (*matrix).roots},
		{"singles", "ha-supervisor", (*matrix).singles},
		{"nodes", "ha-supervisor", (*matrix).nodes},
		{"nested", "ha-supervisor", (*matrix).nested},
		{"filters", "ha-supervisor", (*matrix).filters},
		{"changes", "ha-admin", (*matrix).changes},
	} {
		found := 0
		m.report = func(string, ...any) { found++ }
		part.try(m, person{code: part.as, id: agent.id, grants: agent.grants})
		if found == 0 {
			t.Errorf("%s told %s what is not %s's, and the matrix found nothing", part.name, part.as, agent)
		}
	}
	found := 0
	m.report = func(string, ...any) { found++ }
	m.walk(agent, map[string]any{"x": []any{map[string]any{"__typename": "ServiceCase", "id": "case_none"}}})
	if found != 1 {
		t.Errorf("a row that nobody knows is reported %d times, want once", found)
	}
	delete(m.s, "Task")
	m.s["New"] = typeDef{Name: "New", Interfaces: []typeRef{{Name: "Node"}}}
	q := m.s["Query"]
	q.Fields = append(q.Fields, fieldDef{Name: "newField"})
	m.s["Query"] = q
	var told []string
	m.report = func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	m.covers()
	for _, want := range []string{"type New has rows", "Task has a rule and is no type", "Query.newField has no rule"} {
		if !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("the matrix of a changed schema says %q, want %q", told, want)
		}
	}
}

// person is one of the sample people.
func (m *matrix) person(code string) person {
	for _, p := range m.l.people() {
		if p.code == code {
			return p
		}
	}
	m.o.t.Fatalf("no person is called %s", code)
	return person{}
}

// covers checks that every type with rows and every root field has its rule,
// and that every entity has rows in more than one region.
func (m *matrix) covers() {
	for name := range m.s {
		if _, known := entities[name]; m.s.row(name) && !known {
			m.report("type %s has rows and no rule of who sees them", name)
		}
	}
	for typ, rows := range m.l {
		places := map[string]bool{}
		for _, c := range rows {
			places[c["region_path"]] = true
		}
		if len(places) < 2 {
			m.report("%s has rows in %d regions: nothing is tried with it", typ, len(places))
		}
		if !m.s.row(typ) {
			m.report("%s has a rule and is no type of the schema", typ)
		}
		for _, f := range m.s.edges(typ) {
			if f.pages() && parentColumn(typ, f.Name) == "" {
				m.report("%s.%s: no column is known by which its rows are counted", typ, f.Name)
			}
		}
	}
	for _, f := range m.s["Mutation"].Fields {
		if _, known := changes[f.Name]; !known {
			m.report("Mutation.%s has no rule in the matrix", f.Name)
		}
	}
	m.named()
	for _, f := range m.s["Subscription"].Fields {
		if _, known := streams[f.Name]; !known {
			m.report("Subscription.%s has no rule in the matrix", f.Name)
		}
	}
	for _, f := range m.s["Query"].Fields {
		_, single := singles[f.Name]
		if !f.pages() && !single && f.Name != "node" && f.Name != "nodes" {
			m.report("Query.%s has no rule in the matrix", f.Name)
		}
	}
}

// named checks that every id in the input of a mutation is tried with the id of
// a row that is not to be seen.
func (m *matrix) named() {
	inputs := map[string]string{}
	for name, c := range changes {
		for _, row := range m.l[c.typ] {
			inputs[name] += c.input(m, row)
			break
		}
	}
	for _, s := range seconds {
		inputs[s.mutation] += s.input(m, "x")
	}
	for _, f := range m.s["Mutation"].Fields {
		for _, i := range m.s[f.Args[0].Type.named().Name].InputFields {
			if i.Type.named().Name == "ID" && !strings.Contains(inputs[f.Name], i.Name+": ") {
				m.report("%s(%s) is never tried with a row that is not to be seen", f.Name, i.Name)
			}
		}
	}
}

// thorough checks that every filter and mutation has been tried at all.
func (m *matrix) thorough() {
	for name := range changes {
		if !m.tried["change "+name] {
			m.report("%s was tried on no hidden row", name)
		}
	}
	for _, d := range m.s {
		for _, f := range d.Fields {
			for _, a := range f.Args {
				typ, filter := strings.CutSuffix(a.Type.named().Name, "WhereInput")
				if filter && !m.tried["filter "+typ] {
					m.report("the filters of %s.%s were never tried", d.Name, f.Name)
				}
			}
		}
	}
}
