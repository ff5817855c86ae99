package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/store/storetest"
)

// TestAccessMatrix asks the server as every person for everything that its
// schema offers, and compares with the written rule what is told, counted,
// changed and streamed.
func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openWorld(t, url)
		m := &matrix{o: o, s: o.schema(), l: o.ledger(), report: t.Errorf}
		m.covers()
		people := m.l.people()
		for _, p := range people {
			m.roots(p)
			m.singles(p)
			m.nodes(p)
		}
		for _, p := range distinct(people) {
			m.nested(p)
			m.filters(p)
		}
		for _, p := range people {
			m.changes(p)
		}
		m.streams()
	})
}

// TestAccessMatrixFindsLeaks asks as one who may see more than the rule is told
// of him: each part of the matrix must report it.
func TestAccessMatrixFindsLeaks(t *testing.T) {
	t.Parallel()
	o := openWorld(t, storetest.SQLiteURL(t))
	m := &matrix{o: o, s: o.schema(), l: o.ledger()}
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

// matrix compares what people are told with the oracle; what differs it reports.
type matrix struct {
	o      *office
	s      schema
	l      ledger
	report func(format string, args ...any)
	before string // all rows before the changes that are refused
	orders int    // made to be heard of
}

// openTasks are the states of the tasks that a worklist lists.
var openTasks = []string{"created", "claimed", "started"}

// listed narrows a root field that does not list all rows of its type.
var listed = map[string]func(column) bool{
	"worklist": func(c column) bool { return slices.Contains(openTasks, c["state"]) },
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

// distinct are people of whom no two have the same roles in the same regions.
func distinct(people []person) []person {
	seen := map[string]bool{}
	var out []person
	for _, p := range people {
		var key []string
		for _, g := range p.grants {
			rights := []string{g.RegionPath}
			for _, right := range []string{"staff.read", "audit.read", "token.read", "case.read"} {
				rights = append(rights, fmt.Sprint(reads(g.Role, right)))
			}
			key = append(key, strings.Join(rights, " "))
		}
		slices.Sort(key)
		if k := strings.Join(key, "\n"); !seen[k] {
			seen[k] = true
			out = append(out, p)
		}
	}
	return out
}

// roots pages through every list of the schema.
func (m *matrix) roots(p person) {
	for _, f := range m.s["Query"].Fields {
		if !f.pages() {
			continue
		}
		typ := m.s.rowOf(f)
		seen, hidden := m.l.visible(p, typ)
		if keep := listed[f.Name]; keep != nil {
			seen = slices.DeleteFunc(seen, func(id string) bool { return !keep(m.l[typ][id]) })
		}
		got, total := m.pages(p, f.Name, "")
		if !slices.Equal(got, seen) {
			m.report("%s: %s lists %s, want %s", p, f.Name, less(got, seen), less(seen, got))
		}
		if total != len(seen) {
			m.report("%s: %s counts %d rows, want %d", p, f.Name, total, len(seen))
		}
		for _, a := range f.Args {
			m.argument(p, f, a, hidden)
		}
	}
}

// less are the first of a that are not in b.
func less(a, b []string) string {
	out := slices.DeleteFunc(slices.Clone(a), func(id string) bool { return slices.Contains(b, id) })
	return fmt.Sprintf("%d more %v", len(out), out[:min(len(out), 3)])
}

// pages reads all pages of a root field, with further arguments, and returns
// the ids in their order and the count.
func (m *matrix) pages(p person, field, args string) (ids []string, total int) {
	after := ""
	for {
		v := m.ask(p, fmt.Sprintf(`{ %s(first: 200 %s %s) { totalCount pageInfo { hasNextPage endCursor } edges { node { __typename id } } } }`, field, after, args))
		list, _ := dig(v, field, "edges").([]any)
		for _, e := range list {
			ids = append(ids, fmt.Sprint(dig(e, "node", "id")))
		}
		n, _ := dig(v, field, "totalCount").(float64)
		total = int(n)
		if more, _ := dig(v, field, "pageInfo", "hasNextPage").(bool); !more {
			break
		}
		after = fmt.Sprintf("after: %q", dig(v, field, "pageInfo", "endCursor"))
	}
	slices.Sort(ids)
	return ids, total
}

// paging are the arguments that every list has.
var paging = []string{"after", "first", "before", "last", "orderBy", "where"}

// argument asks a list with one further argument, set to what is not the
// person's: nothing may come that the list without it does not show.
func (m *matrix) argument(p person, f, a fieldDef, hidden []string) {
	if slices.Contains(paging, a.Name) {
		return
	}
	value := ""
	switch a.Name {
	case "regionID":
		_, foreign := m.l.visible(p, "Region")
		if len(foreign) == 0 {
			return
		}
		value = fmt.Sprintf("%q", m.l["Region"][foreign[0]]["code"])
	case "assigneeID":
		_, foreign := m.l.visible(p, "Staff")
		if len(foreign) == 0 {
			return
		}
		value = fmt.Sprintf("%q", foreign[0])
	case "role":
		value = `"technician"`
	case "topic":
		value = `"resource.check"`
	case "qualification":
		value = `"光纤熔接证"`
	case "at":
		value = `"2026-03-03T00:00:00Z"`
	case "active", "mine":
		value = "true"
	default:
		m.report("argument %s of %s has no rule in the matrix", a.Name, f.Name)
		return
	}
	r, _ := m.o.ask(p.code, fmt.Sprintf(`{ %s(first: 200, %s: %s) { totalCount edges { node { __typename id } } } }`, f.Name, a.Name, value))
	if a.Name == "regionID" {
		m.refused(p, fmt.Sprintf("%s of a foreign region", f.Name), r, f.Name)
	}
	m.walk(p, r.Data)
	list, _ := dig(r.Data, f.Name, "edges").([]any)
	if n, _ := dig(r.Data, f.Name, "totalCount").(float64); int(n) != len(list) && int(n) > len(m.l[m.s.rowOf(f)])-len(hidden) {
		m.report("%s: %s(%s: %s) counts %v rows and shows %d", p, f.Name, a.Name, value, n, len(list))
	}
}

// ask asks what nothing may refuse and walks the answer.
func (m *matrix) ask(p person, query string) map[string]any {
	m.o.t.Helper()
	r, status := m.o.ask(p.code, query)
	if len(r.Errors) > 0 || status != http.StatusOK {
		m.report("%s: %s = %d %v", p, query, status, r.Errors)
	}
	m.walk(p, r.Data)
	return r.Data
}

// refused reports an answer that is there, or refused for another reason than
// that the row is not to be seen or the right is missing.
func (m *matrix) refused(p person, what string, r reply, field string) {
	if v := dig(r.Data, field); v != nil {
		m.report("%s: %s is answered with %v", p, what, v)
	}
	for _, e := range r.Errors {
		if code := fmt.Sprint(e.Extensions["code"]); !hides(code) {
			m.report("%s: %s is refused with %s", p, what, code)
		}
	}
}

// hides tells whether a code says that a row is not to be seen or a right missing.
func hides(code string) bool {
	return strings.HasSuffix(code, "_NOT_FOUND") || slices.Contains([]string{
		"ACTION_FORBIDDEN", "REGION_FORBIDDEN", "TASK_NOT_YOURS", "TASK_ROLE_MISSING", "STANDARD_REGION_UNKNOWN",
	}, code)
}

// walk looks at every row in an answer, and at every count of rows under it.
func (m *matrix) walk(p person, v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			m.walk(p, x)
		}
	case map[string]any:
		typ, _ := v["__typename"].(string)
		id, _ := v["id"].(string)
		if typ != "" && id != "" {
			if c, ok := m.l[typ][id]; !ok || !m.l.sees(p, typ, c) {
				m.report("%s is shown %s %s of %s", p, typ, id, c["region_path"])
			}
		}
		for field, x := range v {
			if n, ok := dig(x, "totalCount").(float64); ok && typ != "" {
				m.counted(p, typ, id, field, int(n))
			}
			m.walk(p, x)
		}
	}
}
