package server_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/openspms/spms/internal/access"
)

// change is the rule of one mutation: the right it takes, the type of the row it
// is about, and its input for such a row. keep picks the rows it is tried on.
type change struct {
	right access.Action
	typ   string
	input func(m *matrix, c column) string
	keep  func(c column) bool
}

func in(format string, names ...string) func(*matrix, column) string {
	return func(_ *matrix, c column) string {
		args := make([]any, 0, len(names))
		for _, n := range names {
			args = append(args, c[n])
		}
		return fmt.Sprintf(format, args...)
	}
}

func state(want string) func(column) bool { return func(c column) bool { return c["state"] == want } }

// human is a person's task in a state.
func human(want string) func(column) bool {
	return func(c column) bool { return c["state"] == want && c["kind"] == "human" }
}

// changes are the rules of all mutations; one that is missing fails the test.
var changes = map[string]change{
	"startCase":    {access.StartCase, "Region", in(`processKey: "ftth-install", regionID: %q, variables: {case: {channel: "app", plan: "300M", planMbps: 300}}`, "code"), bound},
	"cancelCase":   {access.CancelCase, "ServiceCase", in(`caseID: %q, reason: "x"`, "id"), state("active")},
	"claimTask":    {access.WorkTask, "Task", in(`taskID: %q`, "id"), human("created")},
	"releaseTask":  {access.WorkTask, "Task", in(`taskID: %q`, "id"), human("claimed")},
	"beginTask":    {access.WorkTask, "Task", in(`taskID: %q`, "id"), human("claimed")},
	"completeTask": {access.WorkTask, "Task", in(`taskID: %q`, "id"), human("claimed")},
	"assignTask": {access.AssignTask, "Task", func(m *matrix, c column) string {
		return fmt.Sprintf(`taskID: %q, staffID: %q`, c["id"], m.staff("zz-tech"))
	}, human("created")},
	"completeTasks":       {access.WorkTask, "Task", in(`items: [{taskID: %q}]`, "id"), human("claimed")},
	"delegateTask":        {access.WorkTask, "Task", in(`taskID: %q, staffID: "zz-trainee", reason: "x"`, "id"), human("claimed")},
	"transferTask":        {access.WorkTask, "Task", in(`taskID: %q, staffID: "zz-trainee", reason: "x"`, "id"), human("claimed")},
	"returnTask":          {access.WorkTask, "Task", in(`taskID: %q, reason: "x"`, "id"), human("claimed")},
	"rejectTask":          {access.WorkTask, "Task", in(`taskID: %q, reason: "x"`, "id"), human("claimed")},
	"withdrawTask":        {access.WorkTask, "Task", in(`taskID: %q, reason: "x"`, "id"), human("completed")},
	"urgeTask":            {access.UrgeTask, "Task", in(`taskID: %q, reason: "x"`, "id"), human("created")},
	"planTask":            {access.AssignTask, "Task", in(`taskID: %q, priority: 1`, "id"), human("claimed")},
	"addSigners":          {access.WorkTask, "Task", in(`taskID: %q, staffIDs: ["demo-admin"], place: "beside"`, "id"), human("claimed")},
	"removeSigner":        {access.WorkTask, "Task", in(`taskID: %q, staffID: "demo-admin", reason: "x"`, "id"), human("claimed")},
	"signTask":            {access.WorkTask, "Task", in(`taskID: %q, agree: true`, "id"), human("claimed")},
	"sendMessage":         {access.SendMessage, "ServiceCase", in(`caseNumber: %q, name: "slot.chosen"`, "number"), state("active")},
	"pauseClock":          {access.PauseClock, "Clock", in(`clockID: %q, reason: "customer_slot", party: "customer", note: "x"`, "id"), state("running")},
	"resumeClock":         {access.PauseClock, "Clock", in(`clockID: %q`, "id"), state("running")},
	"retryFailure":        {access.ResolveFailure, "Failure", in(`failureID: %q, reason: "x"`, "id"), nil},
	"skipFailure":         {access.ResolveFailure, "Failure", in(`failureID: %q, reason: "x"`, "id"), nil},
	"resolveFailures":     {access.ResolveFailure, "Region", in(`action: "retry", regionID: %q, reason: "x"`, "code"), nil},
	"moveToken":           {access.ResolveFailure, "ServiceCase", in(`caseID: %q, token: 1, toNodeID: "a_disp", reason: "x"`, "id"), state("active")},
	"setCaseVariables":    {access.ResolveFailure, "ServiceCase", in(`caseID: %q, variables: {waiting: {reason: "x"}}, reason: "x"`, "id"), state("active")},
	"migrateCases":        {access.MigrateCases, "ServiceCase", in(`fromVersionID: "ftth-install@1", toVersionID: "ftth-install@2", caseIDs: [%q], reason: "x"`, "id"), state("active")},
	"startFailureBatch":   {access.ResolveFailure, "Region", in(`action: "retry", regionID: %q, reason: "x"`, "code"), nil},
	"startMigrationBatch": {access.MigrateCases, "Region", in(`fromVersionID: "ftth-install@1", toVersionID: "ftth-install@2", regionID: %q, reason: "x"`, "code"), nil},
	"cancelBatch":         {access.ResolveFailure, "Batch", in(`batchID: %q, reason: "x"`, "id"), func(c column) bool { return c["state"] == "queued" }},
	"fetchTasks":          {access.WorkTask, "Task", in(`topic: "x", worker: "w", max: 1, leaseSeconds: 1, regionID: %q`, "region_id"), nil},
	"parkTask":            {access.WorkTask, "Task", in(`taskID: %q, message: "x"`, "id"), human("claimed")},
	"divertTask":          {access.WorkTask, "Task", in(`taskID: %q, role: "agent", reason: "x"`, "id"), human("claimed")},
	"failTask":            {access.WorkTask, "Task", in(`taskID: %q, reason: "x"`, "id"), human("claimed")},

	"recordAbsence": {access.KeepStaff, "Staff", in(`staffID: %q, deputyID: "demo-admin", endsAt: "2099-01-01T00:00:00Z"`, "id"), nil},
	"endAbsence":    {access.KeepStaff, "Absence", in(`absenceID: %q`, "id"), nil},

	"createProcess": {access.DraftProcess, "Region", func(m *matrix, c column) string {
		return fmt.Sprintf("regionID: %q, bpmn: %s", c["code"], literal(processOf(m.o.t, "other")))
	}, nil},
	"createProcessFromTemplate": {access.DraftProcess, "Region", in(`templateVersionID: "ftth-install@1", key: "other", nameZh: "另一流程", nameEn: "Another", regionID: %q`, "code"), nil},
	"createProcessDraft":        {access.DraftProcess, "ProcessVersion", in(`fromVersionID: %q`, "id"), nil},
	"updateProcessDraft": {access.DraftProcess, "ProcessVersion", func(m *matrix, c column) string {
		return fmt.Sprintf("versionID: %q, revision: %s, bpmn: %s", c["id"], c["revision"], literal(processOf(m.o.t, "draft-"+strings.TrimSuffix(c["region_path"], "/"))))
	}, state("draft")},
	"createProcessVariant": {access.DraftProcess, "ProcessVersion", func(_ *matrix, c column) string {
		return fmt.Sprintf("fromVersionID: %q, regionID: %q", c["id"], c["region_id"])
	}, nil},
	"rebaseProcessVariant": {access.DraftProcess, "ProcessVersion", in(`versionID: %q, ontoVersionID: %q`, "id", "id"), nil},
	"editProcessDraft":     {access.DraftProcess, "ProcessVersion", in(`versionID: %q, revision: %s, edits: [{op: "rename", id: "", name: "x"}]`, "id", "revision"), state("draft")},
	"undoProcessEdit":      {access.DraftProcess, "ProcessVersion", in(`versionID: %q, revision: %s`, "id", "revision"), state("draft")},
	"redoProcessEdit":      {access.DraftProcess, "ProcessVersion", in(`versionID: %q, revision: %s`, "id", "revision"), state("draft")},
	"submitProcess":        {access.DraftProcess, "ProcessVersion", in(`versionID: %q, revision: %s`, "id", "revision"), state("draft")},
	"returnProcess":        {access.PublishProcess, "ProcessVersion", in(`versionID: %q, reason: "x"`, "id"), nil},
	"publishProcess":       {access.PublishProcess, "ProcessVersion", in(`versionID: %q, revision: %s`, "id", "revision"), state("draft")},
	"retireProcess":        {access.PublishProcess, "ProcessVersion", in(`versionID: %q`, "id"), state("published")},
	"bindProcess":          {access.BindProcess, "Region", in(`versionID: "ftth-install@1", regionID: %q`, "code"), nil},

	"importStandard": {access.DraftStandard, "Region", func(_ *matrix, c column) string {
		return "document: " + literal(standardOf(c["code"], "ENT-OTHER"))
	}, nil},
	"createStandardDraft": {access.DraftStandard, "StandardVersion", in(`fromVersionID: %q`, "id"), nil},
	"updateStandardDraft": {access.DraftStandard, "StandardVersion", func(m *matrix, c column) string {
		s := m.l["Standard"][c["standard_id"]]
		return fmt.Sprintf("versionID: %q, revision: %s, document: %s", c["id"], c["revision"], literal(standardOf(s["jurisdiction"], s["code"])))
	}, state("draft")},
	"setClause":    {access.DraftStandard, "StandardVersion", in(`versionID: %q, revision: %s, number: "9", title: {zh: "x", en: "x"}, text: {zh: "x", en: "x"}`, "id", "revision"), state("draft")},
	"removeClause": {access.DraftStandard, "StandardVersion", in(`versionID: %q, revision: %s, number: "1"`, "id", "revision"), state("draft")},
	"setIndicator": {access.DraftStandard, "StandardVersion", in(`versionID: %q, revision: %s, code: "X", name: {zh: "x", en: "x"}, clause: "1", kind: "time_limit",
		statistic: "each", comparator: "<=", value: 1, unit: "h", basis: "elapsed", services: ["any"], areas: ["any"]`, "id", "revision"), state("draft")},
	"removeIndicator": {access.DraftStandard, "StandardVersion", in(`versionID: %q, revision: %s, code: "X"`, "id", "revision"), state("draft")},
	"setRule": {access.DraftStandard, "StandardVersion", in(`versionID: %q, revision: %s, code: "R", name: {zh: "x", en: "x"}, clause: "1", on: "case", result: "flag",
		expression: "true"`, "id", "revision"), state("draft")},
	"removeRule":       {access.DraftStandard, "StandardVersion", in(`versionID: %q, revision: %s, code: "R"`, "id", "revision"), state("draft")},
	"submitStandard":   {access.DraftStandard, "StandardVersion", in(`versionID: %q, revision: %s`, "id", "revision"), state("draft")},
	"returnStandard":   {access.ApproveStandard, "StandardVersion", in(`versionID: %q, reason: "x"`, "id"), nil},
	"approveStandard":  {access.ApproveStandard, "StandardVersion", in(`versionID: %q, revision: %s`, "id", "revision"), nil},
	"publishStandard":  {access.PublishStandard, "StandardVersion", in(`versionID: %q, revision: %s`, "id", "revision"), nil},
	"withdrawStandard": {access.PublishStandard, "StandardVersion", in(`versionID: %q, reason: "x"`, "id"), state("published")},
	"importCalendar": {access.KeepCalendar, "Region", func(_ *matrix, c column) string {
		return fmt.Sprintf("regionID: %q, document: %s", c["code"], literal(calendarOf("other")))
	}, nil},

	"createRegion":  {access.KeepStaff, "Region", in(`code: "CN-OTHER", parentID: %q, nameZh: "x", nameEn: "x", level: "county"`, "code"), nil},
	"createOrgUnit": {access.KeepStaff, "Region", in(`code: "other", nameZh: "x", regionID: %q`, "code"), nil},
	"createStaff":   {access.KeepStaff, "Region", in(`code: "other", name: "x", regionID: %q`, "code"), nil},
	"createPool":    {access.KeepStaff, "Region", in(`code: "other", nameZh: "x", regionID: %q, role: "technician", size: 1, calendarCode: "field"`, "code"), nil},
	"updateStaff":   {access.KeepStaff, "Staff", in(`staffID: %q, name: "x"`, "id"), nil},
	"assignRole":    {access.AssignRole, "Staff", in(`staffID: %q, role: "agent", regionID: %q`, "id", "region_id"), nil},
	"endRole":       {access.AssignRole, "RoleAssignment", in(`assignmentID: %q`, "id"), nil},
	"grantQualification": {access.Qualify, "Staff", in(`staffID: %q, kind: "光纤熔接证", validFrom: "2026-01-01T00:00:00Z", validTo: "2027-01-01T00:00:00Z"`,
		"id"), nil},
	"revokeQualification": {access.Qualify, "Qualification", in(`qualificationID: %q, reason: "x"`, "id"), nil},
	"updatePool":          {access.KeepStaff, "Pool", in(`poolID: %q, size: 2`, "id"), nil},
	"createToken":         {access.KeepTokens, "Staff", in(`staffID: %q, label: "x"`, "id"), nil},
	"uploadPlugin":        {access.UploadPlugin, "Region", in(`digest: "sha256:0", regionID: %q`, "code"), nil},
	"testPlugin":          {access.UploadPlugin, "PluginVersion", in(`versionID: %q`, "id"), nil},
	"approvePlugin":       {access.ApprovePlugin, "PluginVersion", in(`versionID: %q`, "id"), nil},
	"deprecatePlugin":     {access.ApprovePlugin, "PluginVersion", in(`versionID: %q, reason: "x"`, "id"), nil},
	"revokePlugin":        {access.ApprovePlugin, "PluginVersion", in(`versionID: %q, reason: "x"`, "id"), nil},
	"releasePlugin":       {access.ApprovePlugin, "PluginVersion", in(`versionID: %q, reason: "x"`, "id"), nil},
	"assignPlugin":        {access.AssignPlugin, "Region", in(`versionID: "plugin-cn@1.0.0", regionID: %q, topic: "t", mode: "full"`, "code"), nil},
	"rollBackPlugin":      {access.AssignPlugin, "PluginAssignment", in(`assignmentID: %q, reason: "x"`, "id"), state("active")},
	"endPluginAssignment": {access.AssignPlugin, "PluginAssignment", in(`assignmentID: %q, reason: "x"`, "id"), state("active")},
	"proposeChanges":      {access.Optimize, "Region", in(`strategyID: "plugin-cn@1.0.0", processID: "ftth-install@1", regionID: %q`, "code"), nil},
	"adoptProposal":       {access.Optimize, "Proposal", in(`proposalID: %q`, "id"), nil},
	"replayOptimization":  {access.Optimize, "OptimizationRun", in(`runID: %q`, "id"), state("done")},
	"retryNotice":         {access.ResolveFailure, "Notice", in(`noticeID: %q, reason: "x"`, "id"), state("failed")},
	"cancelNotice":        {access.ResolveFailure, "Notice", in(`noticeID: %q, reason: "x"`, "id"), state("queued")},
	"declineProposal":     {access.Optimize, "Proposal", in(`proposalID: %q, reason: "x"`, "id"), nil},
	"revokeToken":         {access.KeepTokens, "APIToken", in(`tokenID: %q`, "id"), nil},
}

// bound keeps the regions in which the fibre order runs.
func bound(c column) bool { return strings.Count(c["region_path"], "/") == 3 }

func (m *matrix) staff(code string) string {
	for id, s := range m.l["Staff"] {
		if s["code"] == code {
			return id
		}
	}
	return ""
}

// changes tries every mutation on rows for which the person lacks the right, of
// those he sees and of those he does not: it is refused, in the same words
// whether a hidden row exists or not, and nothing is written but the refusal.
func (m *matrix) changes(p person) {
	if m.before == "" {
		m.before = m.o.everything()
	}
	for _, name := range sortedKeys(changes) {
		c := changes[name]
		seen, hidden := m.l.visible(p, c.typ)
		for i, list := range [][]string{seen, hidden} {
			for n, id := range spread(m.without(p, c, list), i+1) {
				row := m.l[c.typ][id]
				input := c.input(m, row)
				codes := m.o.do(p.code, name, input)
				if len(codes) == 0 || slices.ContainsFunc(codes, func(code string) bool { return !hides(code) }) {
					m.report("%s: %s of %s %s in %s = %v, want a refusal", p, name, c.typ, id, row["region_path"], codes)
				}
				if i == 1 && n == 0 {
					m.tried["change "+name] = true
					none := m.o.do(p.code, name, c.input(m, unknown(row)))
					if !slices.Equal(none, codes) {
						m.report("%s: %s of hidden %s %s = %v, of none = %v: it tells that the row exists", p, name, c.typ, id, codes, none)
					}
				}
			}
		}
	}
	if after := m.o.everything(); after != m.before {
		m.report("%s has changed rows by what was refused:\n%s\n%s", p, m.before, after)
		m.before = after
	}
}

// second is a further id in the input of a mutation that the person may do: a
// row that he does not see is not found.
type second struct {
	mutation, person, typ string
	input                 func(m *matrix, hidden string) string
}

func with(format string) func(*matrix, string) string {
	return func(_ *matrix, hidden string) string { return fmt.Sprintf(format, hidden) }
}

var seconds = []second{
	{"claimTask", "zz-agent", "ServiceCase", func(m *matrix, id string) string {
		return fmt.Sprintf(`caseNumber: %q, nodeID: "a_reg"`, m.l["ServiceCase"][id]["number"])
	}},
	{"sendMessage", "zz-agent", "ServiceCase", with(`caseID: %q, name: "slot.chosen"`)},
	{"sendMessage", "zz-agent", "Region", with(`regionID: %q, name: "slot.chosen"`)},
	{"startCase", "zz-agent", "Process", func(m *matrix, id string) string {
		return fmt.Sprintf(`processKey: %q, regionID: "CN-HA-ZZ"`, m.l["Process"][id]["key"])
	}},
	{"assignTask", "zz-lead", "Staff", func(_ *matrix, id string) string {
		return fmt.Sprintf(`caseNumber: "zz-NEW", nodeID: "a_disp", staffID: %q`, id)
	}},
	{"migrateCases", "ha-admin", "Region", with(`fromVersionID: "ftth-install@1", toVersionID: "ftth-install@1", regionID: %q, reason: "x"`)},
	{"startMigrationBatch", "ha-admin", "ProcessVersion", with(`fromVersionID: "ftth-install@1", toVersionID: %q, regionID: "CN-HA", reason: "x"`)},
	{"createStaff", "ha-admin", "OrgUnit", with(`code: "other", name: "x", regionID: "CN-HA", orgUnitID: %q`)},
	{"updateStaff", "ha-admin", "OrgUnit", func(m *matrix, id string) string {
		return fmt.Sprintf(`staffID: %q, orgUnitID: %q`, m.staff("zz-tech"), id)
	}},
	{"createOrgUnit", "ha-admin", "OrgUnit", with(`code: "other", nameZh: "x", regionID: "CN-HA", parentID: %q`)},
	{"assignRole", "ha-admin", "Staff", with(`staffID: %q, role: "quality", regionID: "CN-HA"`)},
	{"proposeChanges", "ha-admin", "PluginVersion", with(`strategyID: %q, processID: "ftth-install@1", regionID: "CN-HA-ZZ"`)},
	{"proposeChanges", "ha-admin", "ProcessVersion", with(`strategyID: "plugin-ha@1.0.0", processID: %q, regionID: "CN-HA-ZZ"`)},
	{"assignPlugin", "ha-admin", "PluginVersion", with(`versionID: %q, regionID: "CN-HA-ZZ", topic: "t", mode: "full"`)},
	{"bindProcess", "ha-admin", "ProcessVersion", with(`versionID: %q, regionID: "CN-HA-ZZ"`)},
}

// seconds tries further ids.
func (m *matrix) seconds() {
	for _, s := range seconds {
		p := m.person(s.person)
		_, hidden := m.l.visible(p, s.typ)
		for _, id := range spread(hidden, 3) {
			input := s.input(m, id)
			codes := m.o.do(p.code, s.mutation, input)
			if len(codes) != 1 || !strings.HasSuffix(codes[0], "_NOT_FOUND") {
				m.report("%s: %s(%s) = %v, want one that says not found", p, s.mutation, input, codes)
			}
		}
	}
	if after := m.o.everything(); after != m.before {
		m.report("what was refused for a further id has changed rows:\n%s\n%s", m.before, after)
	}
}

// without keeps the rows for which a person lacks the right of a change.
func (m *matrix) without(p person, c change, list []string) []string {
	var out []string
	for _, id := range list {
		row := m.l[c.typ][id]
		own := row["staff_id"] == p.id && (c.typ == "APIToken" || c.typ == "Absence") || // everyone ends his own
			c.typ == "Task" && row["assignee_id"] == p.id || c.typ == "Staff" && row["id"] == p.id
		may := slices.ContainsFunc(p.grants, func(g access.Grant) bool {
			return g.Role.Allows(c.right) && strings.HasPrefix(row["region_path"], g.RegionPath)
		})
		if !own && !may && (c.keep == nil || c.keep(row)) {
			out = append(out, id)
		}
	}
	return out
}

// unknown is a row like c that does not exist.
func unknown(c column) column {
	out := column{}
	for k, v := range c {
		out[k] = v
	}
	prefix, _, _ := strings.Cut(c["id"], "_")
	out["id"], out["number"], out["code"] = prefix+"_0", "NONE", "CN-NONE"
	return out
}

// everything is a count and sum of all rows but the audit trail of refusals.
func (o *office) everything() string {
	o.t.Helper()
	var out []string
	for _, typ := range sortedKeys(entities) {
		rows, sum := 0, uint64(0)
		table := entities[typ].table
		if typ == "AuditEntry" {
			table += " where outcome = 'applied'"
		}
		for _, c := range o.table(table) {
			rows++
			sum += digest(c)
		}
		out = append(out, fmt.Sprintf("%s %d %x", typ, rows, sum))
	}
	return strings.Join(out, ", ")
}

// digest sums a row up, whatever the order of its columns.
func digest(c column) uint64 {
	h := fnv.New64a()
	for _, k := range sortedKeys(c) {
		fmt.Fprintf(h, "%s=%s\n", k, c[k])
	}
	return h.Sum64()
}
