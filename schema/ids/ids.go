// Package ids makes the identifiers of rows: a prefix that names the entity and
// a time-ordered random part, such as case_0699x5f1h3v8v9v0e2m3k4n5p6. The
// prefix lets node(id) find the table without a look-up and works across
// databases. The package knows nothing of the entities' fields.
package ids

import (
	"encoding/base32"
	"strings"

	"github.com/google/uuid"
)

// Prefix names an entity inside an id.
type Prefix string

// The prefixes, one for each entity.
const (
	Region           Prefix = "reg"
	OrgUnit          Prefix = "org"
	Staff            Prefix = "stf"
	RoleAssignment   Prefix = "rol"
	Qualification    Prefix = "qua"
	Calendar         Prefix = "cal"
	Pool             Prefix = "pol"
	Standard         Prefix = "std"
	StandardVer      Prefix = "sdv"
	Clause           Prefix = "cla"
	Indicator        Prefix = "ind"
	Process          Prefix = "prc"
	ProcessVersion   Prefix = "prv"
	Binding          Prefix = "bnd"
	ServiceCase      Prefix = "case"
	StageVisit       Prefix = "stg"
	Token            Prefix = "tok"
	Task             Prefix = "task"
	Clock            Prefix = "clk"
	Pause            Prefix = "pau"
	Breach           Prefix = "bre"
	TimerRow         Prefix = "tmr"
	CaseEvent        Prefix = "evt"
	Failure          Prefix = "fail"
	Evidence         Prefix = "evi"
	SurveyResponse   Prefix = "srv"
	IdempotencyKey   Prefix = "key"
	AuditEntry       Prefix = "aud"
	APIToken         Prefix = "tkn"
	Job              Prefix = "job"
	ProcessEdit      Prefix = "ped"
	TaskSigner       Prefix = "sgn"
	TaskAction       Prefix = "act"
	Absence          Prefix = "abs"
	CaseAttribute    Prefix = "cat"
	Plugin           Prefix = "plg"
	PluginVersion    Prefix = "plv"
	PluginArtifact   Prefix = "art"
	PluginAssignment Prefix = "pas"
	PluginRun        Prefix = "run"
	OptimizationRun  Prefix = "opt"
	Proposal         Prefix = "prop"
	Notice           Prefix = "note"
	StartTimer       Prefix = "sta"
	Batch            Prefix = "bat"
	BatchItem        Prefix = "bit"
)

// tables maps each prefix to the table that node(id) reads.
var tables = map[Prefix]string{
	Region: "regions", OrgUnit: "org_units", Staff: "staffs", RoleAssignment: "role_assignments",
	Qualification: "qualifications", Calendar: "calendars", Pool: "pools", Standard: "standards",
	StandardVer: "standard_versions", Clause: "clauses", Indicator: "indicators", Process: "processes",
	ProcessVersion: "process_versions", Binding: "bindings", ServiceCase: "service_cases",
	StageVisit: "stage_visits", Token: "tokens", Task: "tasks", Clock: "clocks", Pause: "pauses",
	Breach: "breaches", TimerRow: "timer_rows", CaseEvent: "case_events", Failure: "failures",
	Evidence: "evidences", SurveyResponse: "survey_responses", AuditEntry: "audit_entries",
	APIToken: "api_tokens", TaskSigner: "task_signers", TaskAction: "task_actions", Absence: "absences",
	Plugin: "plugins", PluginVersion: "plugin_versions", PluginAssignment: "plugin_assignments", PluginRun: "plugin_runs", OptimizationRun: "optimization_runs", Proposal: "proposals", Notice: "notices",
	Batch: "batches", BatchItem: "batch_items",
}

var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// New returns a fresh id of a prefix: 26 characters of a UUIDv7 (RFC 9562) in
// Crockford's base 32, so that ids sort by the time they were made.
func New(p Prefix) string {
	u := uuid.Must(uuid.NewV7())
	return string(p) + "_" + alphabet.EncodeToString(u[:])
}

// Of returns New(p) as a function, the form ent wants for a default.
func Of(p Prefix) func() string { return func() string { return New(p) } }

// Table returns the table an id belongs to, and false for an id of no known prefix.
func Table(id string) (string, bool) {
	p, _, ok := strings.Cut(id, "_")
	if !ok {
		return "", false
	}
	t, ok := tables[Prefix(p)]
	return t, ok
}
