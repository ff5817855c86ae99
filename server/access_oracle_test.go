package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/access"
)

// The written rule, apart from the code that keeps it: a person sees and changes
// the rows of the regions of his roles and below, as far as the role's rights
// go, reads what the regions above have published, and what is his own.

// column is one row as text, by column; what is NULL is missing.
type column map[string]string

// ledger is every row of a database, read past all limits: by type and id.
type ledger map[string]map[string]column

// kind is how rows of an entity are shared out.
type kind int

const (
	regional  kind = iota // own regions and below
	personal              // like regional, and what is about oneself
	published             // like regional, and what regions above have published
)

// entity is the rule of one type: its table, the right that reads it, its kind,
// the column that names its person, and what "published" means.
type entity struct {
	table, right string
	kind         kind
	person       string
	out          func(l ledger, c column) bool
}

// entities is the rule of every type that has rows; a type of the schema that
// is missing here fails the test.
var entities = map[string]entity{
	"Region":          {table: "regions", right: "norm.read", kind: published},
	"Calendar":        {table: "calendars", right: "norm.read", kind: published},
	"Standard":        {table: "standards", right: "norm.read", kind: published, out: anyVersion("StandardVersion", "standard_id")},
	"StandardVersion": {table: "standard_versions", right: "norm.read", kind: published, out: isOut},
	"Clause":          {table: "clauses", right: "norm.read", kind: published, out: versionOut},
	"Indicator":       {table: "indicators", right: "norm.read", kind: published, out: versionOut},
	"Process":         {table: "processes", right: "process.read", kind: published, out: anyVersion("ProcessVersion", "process_id")},
	"ProcessVersion":  {table: "process_versions", right: "process.read", kind: published, out: isOut},
	"Binding":         {table: "bindings", right: "process.read", kind: published},
	"OrgUnit":         {table: "org_units", right: "staff.read"},
	"Pool":            {table: "pools", right: "staff.read"},
	"Staff":           {table: "staffs", right: "staff.read", kind: personal, person: "id"},
	"RoleAssignment":  {table: "role_assignments", right: "staff.read", kind: personal, person: "staff_id"},
	"Qualification":   {table: "qualifications", right: "staff.read", kind: personal, person: "staff_id"},
	"APIToken":        {table: "api_tokens", right: "token.read", kind: personal, person: "staff_id"},
	"ServiceCase":     {table: "service_cases", right: "case.read"},
	"StageVisit":      {table: "stage_visits", right: "case.read"},
	"Token":           {table: "tokens", right: "case.read"},
	"Task":            {table: "tasks", right: "case.read"},
	"Clock":           {table: "clocks", right: "case.read"},
	"Pause":           {table: "pauses", right: "case.read"},
	"Breach":          {table: "breaches", right: "case.read"},
	"TimerRow":        {table: "timer_rows", right: "case.read"},
	"CaseEvent":       {table: "case_events", right: "case.read"},
	"Failure":         {table: "failures", right: "case.read"},
	"Evidence":        {table: "evidences", right: "case.read"},
	"Notice":          {table: "notices", right: "case.read"},
	"SurveyResponse":  {table: "survey_responses", right: "case.read"},
	"TaskSigner":      {table: "task_signers", right: "case.read"},
	"TaskAction":      {table: "task_actions", right: "case.read"},
	"Batch":           {table: "batches", right: "case.read"},
	"BatchItem":       {table: "batch_items", right: "case.read"},
	"Absence":         {table: "absences", right: "staff.read", kind: personal, person: "staff_id"},
	"AuditEntry":      {table: "audit_entries", right: "audit.read"},

	"Plugin":           {table: "plugins", right: "plugin.read", kind: published, out: anyApproved},
	"PluginVersion":    {table: "plugin_versions", right: "plugin.read", kind: published, out: isApproved},
	"PluginAssignment": {table: "plugin_assignments", right: "plugin.read", kind: published},
	"PluginRun":        {table: "plugin_runs", right: "plugin.read"},
	"OptimizationRun":  {table: "optimization_runs", right: "plugin.read"},
	"Proposal":         {table: "proposals", right: "plugin.read"},
}

// readers says which roles have a reading right; norms and processes are read
// by every role. All others that are not named do not have it.
var readers = map[string][]access.Role{
	"staff.read": {"system_admin", "province_admin", "dispatcher", "team_lead", "quality", "supervisor", "auditor"},
	"audit.read": {"system_admin", "standard_admin", "province_admin", "supervisor", "auditor"},
	"token.read": {"system_admin"},

	"plugin.read": {"system_admin", "province_admin", "supervisor", "auditor"},
}

// isApproved: a plugin version is no secret of its region any more once it is approved.
func isApproved(_ ledger, c column) bool {
	return slices.Contains([]string{"approved", "deprecated", "revoked"}, c["state"])
}

// anyApproved: one of the plugin's versions is.
func anyApproved(l ledger, c column) bool {
	for _, v := range l["PluginVersion"] {
		if v["plugin_id"] == c["id"] && isApproved(l, v) {
			return true
		}
	}
	return false
}

// person is who asks: what he is, and where.
type person struct {
	code, id string
	grants   []access.Grant
}

func (p person) String() string { return p.code }

// reads tells whether a role has a reading right.
func reads(r access.Role, right string) bool {
	switch right {
	case "norm.read", "process.read":
		return true
	case "case.read":
		return r != access.StandardAdmin
	}
	return slices.Contains(readers[right], r)
}

// under tells whether a path lies in a region of a role that has the right.
func (p person) under(right, path string) bool {
	return slices.ContainsFunc(p.grants, func(g access.Grant) bool {
		return reads(g.Role, right) && strings.HasPrefix(path, g.RegionPath)
	})
}

// below tells whether a path is that of a region above one of his.
func (p person) below(right, path string) bool {
	return slices.ContainsFunc(p.grants, func(g access.Grant) bool {
		return reads(g.Role, right) && path != "" && path != g.RegionPath && strings.HasPrefix(g.RegionPath, path)
	})
}

// sees is the oracle.
func (l ledger) sees(p person, typ string, c column) bool {
	e, path := entities[typ], c["region_path"]
	switch {
	case p.under(e.right, path):
		return true
	case e.kind == personal && c[e.person] == p.id:
		return true
	case typ == "Staff":
		for _, a := range l["RoleAssignment"] {
			if a["staff_id"] == c["id"] && p.under(e.right, a["region_path"]) {
				return true
			}
		}
	case typ == "Region" && l.home(p, c["id"]):
		return true
	case e.kind == published:
		return p.below(e.right, path) && (e.out == nil || e.out(l, c))
	}
	return false
}

// home tells whether a region is named by a person or role that p sees: where
// someone is at home, and where p held a role.
func (l ledger) home(p person, region string) bool {
	for _, a := range l["RoleAssignment"] {
		if a["staff_id"] == p.id && a["region_id"] == region {
			return true
		}
	}
	for _, s := range l["Staff"] {
		if s["region_id"] == region && l.sees(p, "Staff", s) {
			return true
		}
	}
	return false
}

// visible are the ids of a type that a person sees, in their order.
func (l ledger) visible(p person, typ string) (seen, hidden []string) {
	for id, c := range l[typ] {
		if l.sees(p, typ, c) {
			seen = append(seen, id)
		} else {
			hidden = append(hidden, id)
		}
	}
	slices.Sort(seen)
	slices.Sort(hidden)
	return seen, hidden
}

var outStates = []string{"published", "superseded", "withdrawn", "retired"}

func isOut(_ ledger, c column) bool { return slices.Contains(outStates, c["state"]) }

func versionOut(l ledger, c column) bool { return isOut(l, l["StandardVersion"][c["version_id"]]) }

func anyVersion(typ, parent string) func(ledger, column) bool {
	return func(l ledger, c column) bool {
		for _, v := range l[typ] {
			if v[parent] == c["id"] && isOut(l, v) {
				return true
			}
		}
		return false
	}
}

// ledger reads every row of every entity.
func (o *office) ledger() ledger {
	o.t.Helper()
	l := ledger{}
	for typ, e := range entities {
		l[typ] = map[string]column{}
		for _, c := range o.table(e.table) {
			l[typ][c["id"]] = c
		}
	}
	return l
}

// table reads a table as text.
func (o *office) table(name string) []column {
	o.t.Helper()
	rows, err := o.house.Store.SQL().QueryContext(o.t.Context(), "select * from "+name)
	if err != nil {
		o.t.Fatalf("read %s: %v", name, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		o.t.Fatalf("read %s: %v", name, err)
	}
	var out []column
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			o.t.Fatalf("read %s: %v", name, err)
		}
		c := column{}
		for i, v := range values {
			switch v := v.(type) {
			case nil:
			case []byte:
				c[names[i]] = string(v)
			default:
				c[names[i]] = fmt.Sprint(v)
			}
		}
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		o.t.Fatalf("read %s: %v", name, err)
	}
	return out
}

// people are all who can ask, with the roles they hold.
func (l ledger) people() []person {
	var out []person
	for id, s := range l["Staff"] {
		p := person{code: s["code"], id: id}
		for _, a := range l["RoleAssignment"] {
			if a["staff_id"] == id {
				p.grants = append(p.grants, access.Grant{Role: access.Role(a["role"]), RegionPath: a["region_path"]})
			}
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b person) int { return strings.Compare(a.code, b.code) })
	return out
}

// TestOracleKnowsEveryRole checks that each role is one of the rule's, so that a
// new role must be thought about here.
func TestOracleKnowsEveryRole(t *testing.T) {
	t.Parallel()
	for _, d := range access.Definitions {
		for _, right := range reading {
			if got, want := d.Role.Allows(right), reads(d.Role, string(right)); got != want {
				t.Errorf("role %s allows %s = %v, the written rule says %v", d.Role, right, got, want)
			}
		}
	}
}
