package server_test

import (
	"fmt"
	"strings"
)

// parents are the columns by which the rows under a row are known.
var parents = map[string]string{
	"Region.children": "parent_id", "OrgUnit.children": "parent_id", "OrgUnit.staff": "org_unit_id", "Clock.shadows": "shadowed_by_id", "ProcessVersion.variants": "parent_id", "ServiceCase.called": "caller_id",
	"ServiceCase": "case_id", "ProcessVersion": "version_id", "StandardVersion": "version_id", "Process": "process_id",
	"Standard": "standard_id", "Clause": "clause_id", "Clock": "clock_id", "Staff": "staff_id", "Task": "task_id",
	"Plugin": "plugin_id", "PluginVersion": "version_id", "PluginAssignment": "assignment_id",
	"Batch":                       "batch_id",
	"PluginVersion.optimizations": "plugin_version_id", "OptimizationRun": "run_id",
}

// parentColumn is the column of a field's rows that names the row above, "" for
// a field that nobody has thought of.
func parentColumn(typ, field string) string {
	if c, ok := parents[typ+"."+field]; ok {
		return c
	}
	return parents[typ]
}

// counted compares the count of a list under a row with what the person may see of it.
func (m *matrix) counted(p person, typ, id, field string, got int) {
	f, ok := m.s[typ].field(field)
	if !ok {
		return // asked under another name
	}
	child, column, want := m.s.rowOf(f), parentColumn(typ, field), 0
	for _, c := range m.l[child] {
		if c[column] == id && m.l.sees(p, child, c) {
			want++
		}
	}
	if got != want {
		m.report("%s: %s of %s %s counts %d rows, want %d", p, field, typ, id, got, want)
	}
}

// spread are at most n of a list, from its beginning to its end.
func spread(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	out := make([]string, 0, n)
	for i := range n {
		out = append(out, list[i*(len(list)-1)/max(n-1, 1)])
	}
	return out
}

// nodes asks for rows by their ids: those that are hidden do not exist, those
// that are seen do.
func (m *matrix) nodes(p person) {
	var hidden, seen []string
	for typ := range entities {
		s, h := m.l.visible(p, typ)
		hidden, seen = append(hidden, spread(h, 4)...), append(seen, spread(s, 2)...)
	}
	m.byID(p, hidden, func(r reply, i int, id string) {
		m.refused(p, "node "+id, r, fmt.Sprint("n", i))
	})
	m.byID(p, seen, func(r reply, i int, id string) {
		if dig(r.Data, fmt.Sprint("n", i), "id") != id {
			m.report("%s: node %s is not shown: %v", p, id, r.Errors)
		}
	})
	for _, id := range spread(hidden, 3) {
		r, _ := m.o.ask(p.code, fmt.Sprintf(`{ nodes(ids: [%q, %q]) { __typename id } }`, p.id, id))
		m.walk(p, r.Data)
	}
}

// byID asks for rows by id, twenty at a time.
func (m *matrix) byID(p person, ids []string, look func(r reply, i int, id string)) {
	for len(ids) > 0 {
		n := min(len(ids), 20)
		var q strings.Builder
		for i, id := range ids[:n] {
			fmt.Fprintf(&q, " n%d: node(id: %q) { __typename id }", i, id)
		}
		r, _ := m.o.ask(p.code, "{"+q.String()+" }")
		m.walk(p, r.Data)
		for i, id := range ids[:n] {
			look(r, i, id)
		}
		ids = ids[n:]
	}
}

// nested goes two edges deep from rows of every entity that the person sees.
func (m *matrix) nested(p person) {
	for typ := range entities {
		seen, _ := m.l.visible(p, typ)
		if len(seen) == 0 {
			continue
		}
		ids := `"` + strings.Join(spread(seen, 10), `", "`) + `"`
		for _, e := range m.s.edges(typ) {
			var deeper []string
			for _, e2 := range m.s.edges(m.s.rowOf(e)) {
				deeper = append(deeper, e2.selection("10", ""))
			}
			m.ask(p, fmt.Sprintf(`{ nodes(ids: [%s]) { __typename id ... on %s { %s } } }`, ids, typ, e.selection("10", strings.Join(deeper, " "))))
		}
	}
	for _, f := range m.s["Query"].Fields {
		if !f.pages() {
			continue
		}
		for _, e := range m.s.edges(m.s.rowOf(f)) {
			m.ask(p, "{ "+f.selection("30", e.selection("10", ""))+" }")
		}
	}
}

// single is a root field that is asked with arguments of one row; none are what
// it takes without a row.
type single struct {
	typ  string                           // whose rows the arguments name
	args func(m *matrix, c column) string // of a row
	ask  string                           // what is wanted of the answer
}

func byColumn(arg, name string) func(*matrix, column) string {
	return func(_ *matrix, c column) string { return fmt.Sprintf("%s: %q", arg, c[name]) }
}

// singles are the root fields that are no lists; a field without a type shows
// nothing of rows, or those of the viewer alone.
var singles = map[string]single{
	"viewer":          {ask: "{ staffID code staff { __typename id } grants { regionPath } }"},
	"labels":          {ask: "{ list value }"},
	"errorCodes":      {ask: "{ code }"},
	"roleDefinitions": {ask: "{ role }"},
	"serviceCase":     {"ServiceCase", byColumn("number", "number"), "{ __typename id }"},
	"process":         {"Process", byColumn("key", "key"), "{ __typename id }"},
	"standard":        {"Standard", byColumn("code", "code"), "{ __typename id }"},
	"caseCounts":      {"Region", byColumn("regionID", "code"), "{ count region { __typename id } }"},
	"worklistCounts":  {"Region", byColumn("regionID", "code"), "{ total mine toSign unclaimed overdue dueSoon roles { role total } }"},
	"standardDiff": {"StandardVersion", func(_ *matrix, c column) string {
		return fmt.Sprintf("fromVersionID: %q, toVersionID: %q", c["id"], c["id"])
	}, "{ fromVersionID markdown }"},
	"processDiff": {"ProcessVersion", func(_ *matrix, c column) string {
		return fmt.Sprintf("from: %q, to: %q", c["id"], c["id"])
	}, "{ fromVersionID markdown }"},
	"processMapping": {"ProcessVersion", func(_ *matrix, c column) string {
		return fmt.Sprintf("from: %q, to: %q", c["id"], c["id"])
	}, "{ fromVersionID nodes { from } }"},
	"taskCandidates": {"Task", byColumn("taskID", "id"), "{ staffID }"},
	"returnTargets":  {"Task", byColumn("taskID", "id"), "{ nodeID }"},
	"exportStandard": {"Standard", byColumn("code", "code"), ""},
	"coverage":       {"Region", byColumn("regionID", "code"), "{ regionID rows { clause } }"},
	"standardImpact": {"StandardVersion", byColumn("versionID", "id"), "{ versionID cases { __typename id } }"},
	"indicatorValues": {"Region", func(_ *matrix, c column) string {
		return fmt.Sprintf(`indicatorID: "ENT-FTTH-48H", regionID: %q, from: "2026-01-01T00:00:00Z", to: "2026-04-01T00:00:00Z"`, c["code"])
	}, "{ n }"},
	"plugin":         {"Plugin", byColumn("name", "name"), "{ __typename id }"},
	"pluginStatus":   {ask: "{ name state }"},
	"rankedWorklist": {"Region", byColumn("regionID", "code"), "{ score reason code task { __typename id } version { __typename id } }"},
	"checkProcess": {"Region", func(m *matrix, c column) string {
		return fmt.Sprintf("regionID: %q, bpmn: %s", c["code"], literal(processOf(m.o.t, "check")))
	}, "{ ok }"},
}

// singles asks the root fields that are no lists.
func (m *matrix) singles(p person) {
	for name, s := range singles {
		if s.typ == "" {
			m.ask(p, "{ "+name+" "+s.ask+" }")
			continue
		}
		seen, hidden := m.l.visible(p, s.typ)
		for _, id := range spread(seen, 2) {
			if name == "indicatorValues" && len(p.grants) == 0 {
				continue // sees his home region and no indicator
			}
			m.ask(p, fmt.Sprintf("{ %s(%s) %s }", name, s.args(m, m.l[s.typ][id]), s.ask))
		}
		for _, id := range spread(hidden, 3) {
			args := s.args(m, m.l[s.typ][id])
			r, _ := m.o.ask(p.code, fmt.Sprintf("{ %s(%s) %s }", name, args, s.ask))
			m.refused(p, fmt.Sprintf("%s of hidden %s %s", name, s.typ, id), r, name)
		}
	}
	if n := fmt.Sprint(dig(m.ask(p, "{ worklistCounts { total } }"), "worklistCounts", "total")); n != fmt.Sprint(m.openTasks(p)) {
		m.report("%s: worklistCounts counts %s tasks, want %d", p, n, m.openTasks(p))
	}
	cases, _ := m.l.visible(p, "ServiceCase")
	list, _ := m.ask(p, "{ caseCounts { count region { __typename id } } }")["caseCounts"].([]any)
	sum := 0
	for _, c := range list {
		n, _ := dig(c, "count").(float64)
		sum += int(n)
	}
	if sum != len(cases) {
		m.report("%s: caseCounts counts %d cases, want %d", p, sum, len(cases))
	}
}
