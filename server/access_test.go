package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/store/storetest"
)

// TestAccessMatrix asks the server as every person for everything that its
// schema offers, and compares with the written rule what is told, counted,
// changed and streamed.
func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openWorld(t, url)
		m := &matrix{o: o, s: o.schema(), l: o.ledger(), tried: map[string]bool{}, report: t.Errorf}
		m.covers()
		people := m.l.people()
		for _, p := range people {
			m.roots(p)
			m.singles(p)
			m.nodes(p)
		}
		for _, p := range distinct(people, reading) {
			m.nested(p)
			m.filters(p)
		}
		for _, p := range distinct(people, access.Actions) {
			m.changes(p)
		}
		m.seconds()
		m.streams()
		m.thorough()
	})
}

// reading are the actions that let rows be seen.
var reading = []access.Action{access.ReadNorms, access.ReadProcesses, access.ReadStaff, access.ReadCases, access.ReadAudit, access.ReadTokens}

// matrix compares what people are told with the oracle; what differs it reports.
type matrix struct {
	o      *office
	s      schema
	l      ledger
	report func(format string, args ...any)
	before string          // all rows before the changes that are refused
	tried  map[string]bool // filters and changes that were tried
	orders int             // made to be heard of
}

// openTasks are the states of the tasks that a worklist lists.
var openTasks = []string{"created", "claimed", "started"}

// listed narrows a root field that does not list all rows of its type.
var listed = map[string]func(column) bool{
	"worklist": func(c column) bool { return slices.Contains(openTasks, c["state"]) },
}

// distinct are people of whom no two may do the same of some actions in the
// same regions.
func distinct(people []person, actions []access.Action) []person {
	seen := map[string]bool{}
	var out []person
	for _, p := range people {
		var key []string
		for _, g := range p.grants {
			key = append(key, g.RegionPath+fmt.Sprint(slices.DeleteFunc(slices.Clone(actions), func(a access.Action) bool { return !g.Role.Allows(a) })))
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
	var value string
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
	case "attributes":
		value = `[{name: "case.channel", in: ["hotline", "app"]}]`
	case "active", "mine", "toSign":
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
		"ACTION_FORBIDDEN", "REGION_FORBIDDEN", "TASK_NOT_YOURS", "TASK_ROLE_MISSING", "STANDARD_REGION_UNKNOWN", "SIGNER_NOT_ASKED",
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
