package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// visitDone are the values and evidence of an on-site visit.
const visitDone = `, variables: {visit: {result: "installed"}}, evidence: [{kind: "上门签到定位", content: "x"}, {kind: "光功率读数", content: "-21"}, {kind: "安装照片", content: "x"}]`

// atVisit leads an order to its on-site visit.
func (o *office) atVisit(number string) string {
	o.t.Helper()
	o.order(number)
	o.work("zz-dispatcher", number, "a_disp", "")
	o.work("zz-store", number, "a_stock", "")
	slot := o.clock.Now().Add(24 * time.Hour)
	o.must("zz-agent", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "slot.chosen", payload: {slotStart: %q}`, number, slot.Format(time.RFC3339)))
	o.clock.Set(slot)
	o.tick()
	return fmt.Sprintf(`caseNumber: %q, nodeID: "a_visit"`, number)
}

// certify makes the trainee a technician who may visit.
func (o *office) certify() {
	o.t.Helper()
	for _, kind := range []string{"光纤熔接证", "登高证"} {
		o.must("demo-admin", "grantQualification", fmt.Sprintf(`staffID: %q, kind: %q, validFrom: "2026-01-01T00:00:00Z", validTo: "2027-01-01T00:00:00Z"`, o.staffID("zz-trainee"), kind))
	}
}

// task returns fields of the latest task of a node of a case.
func (o *office) task(number, node, fields string) any {
	o.t.Helper()
	var out any
	for _, e := range o.tasks(number, "nodeID "+fields) {
		if dig(e, "node", "nodeID") == node {
			out = dig(e, "node")
		}
	}
	return out
}

// tasks returns fields of the tasks of a case, in the order in which they were made.
func (o *office) tasks(number, fields string) []any {
	o.t.Helper()
	list, _ := o.get("demo-admin", fmt.Sprintf(`{ serviceCase(number: %q) { tasks(first: 100, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { %s } } } } }`, number, fields),
		"serviceCase", "tasks", "edges").([]any)
	return list
}

// wants checks the codes that a mutation is refused with; "" is none.
func (o *office) wants(person, field, input, code string) {
	o.t.Helper()
	got := strings.Join(o.do(person, field, input), " ")
	if got != code {
		o.t.Errorf("%s(%s) as %s = %q, want %q", field, input, person, got, code)
	}
}

// TestHandover passes a task on in every way there is; the clocks stay as they are.
func TestHandover(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		visit := o.atVisit("SO-1")
		due := fmt.Sprint(o.clocks("SO-1")["ENT-ACTIVATE-URBAN-16WD"]["dueAt"])
		tech, trainee := o.staffID("zz-tech"), o.staffID("zz-trainee")
		assignee := func() any { return dig(o.task("SO-1", "a_visit", "assignee { code } state"), "assignee", "code") }

		o.wants("zz-tech", "rejectTask", visit+`, reason: "不在我的片区"`, "TASK_STATE")
		for range 3 {
			o.must("zz-dispatcher", "assignTask", visit+fmt.Sprintf(`, staffID: %q, reason: "就近"`, tech))
			o.must("zz-tech", "rejectTask", visit+`, reason: "不在我的片区"`)
			if assignee() != nil {
				t.Errorf("a rejected task belongs to %v, want nobody", assignee())
			}
		}
		o.must("zz-dispatcher", "assignTask", visit+fmt.Sprintf(`, staffID: %q`, tech))
		o.wants("zz-tech", "rejectTask", visit+`, reason: "不在我的片区"`, "TASK_REJECTED_TOO_OFTEN")

		id := fmt.Sprint(dig(o.task("SO-1", "a_visit", "id"), "id"))
		candidates := func() string {
			return fmt.Sprint(o.get("zz-tech", fmt.Sprintf(`{ taskCandidates(taskID: %q) { code } }`, id), "taskCandidates"))
		}
		if got := candidates(); !strings.Contains(got, "zz-tech") || strings.Contains(got, "zz-trainee") {
			t.Errorf("candidates for the visit = %v, want the certified technician alone", got)
		}
		for _, who := range []string{"zz-trainee", "zz-agent", "yb-tech", "nobody", "zz-tech"} {
			o.wants("zz-tech", "delegateTask", visit+fmt.Sprintf(`, staffID: %q, reason: "顺路"`, who), "STAFF_NOT_CANDIDATE")
		}
		o.wants("zz-trainee", "transferTask", visit+`, staffID: "zz-tech", reason: "x"`, "TASK_NOT_YOURS")

		o.certify()
		if got := candidates(); !strings.Contains(got, "zz-trainee") {
			t.Errorf("candidates after the certificate = %v, want zz-trainee among them", got)
		}
		o.must("zz-tech", "delegateTask", visit+`, staffID: "zz-trainee", reason: "顺路"`)
		o.wants("zz-trainee", "delegateTask", visit+`, staffID: "zz-tech", reason: "x"`, "TASK_DELEGATED")
		o.wants("zz-tech", "completeTask", visit+visitDone, "TASK_NOT_YOURS")
		o.wants("zz-trainee", "rejectTask", visit+`, reason: "不会"`, "TASK_REJECTED_TOO_OFTEN")
		o.must("zz-trainee", "releaseTask", visit)
		if assignee() != "zz-tech" {
			t.Errorf("delegated work that is released belongs to %v, want zz-tech again", assignee())
		}
		o.must("zz-tech", "delegateTask", visit+`, staffID: "zz-trainee", reason: "顺路"`)
		o.must("zz-trainee", "completeTask", visit+visitDone)
		if assignee() != "zz-tech" {
			t.Errorf("delegated work that is done belongs to %v, want zz-tech again", assignee())
		}
		o.must("zz-tech", "transferTask", visit+`, staffID: "zz-trainee", reason: "调休"`)
		if assignee() != "zz-trainee" {
			t.Errorf("a transferred task belongs to %v, want zz-trainee", assignee())
		}
		o.must("zz-agent", "urgeTask", visit+`, reason: "用户来电催促"`)
		o.wants("ha-supervisor", "urgeTask", visit+`, reason: "督办"`, "TASK_URGED_JUST_NOW")
		o.clock.Advance(31 * time.Minute)
		o.must("ha-supervisor", "urgeTask", visit+`, reason: "督办"`)
		o.wants("zz-store", "urgeTask", visit+`, reason: "x"`, "ACTION_FORBIDDEN")
		o.must("zz-trainee", "planTask", visit+`, priority: 80, followUpAt: "2026-03-05T02:00:00Z"`)
		o.must("zz-trainee", "completeTask", visit+visitDone)

		said, _ := o.get("zz-agent", `{ serviceCase(number: "SO-1") { actions(first: 50) { edges { node { action byName toName reason } } } } }`, "serviceCase", "actions", "edges").([]any)
		count := map[string]int{}
		for _, e := range said {
			count[fmt.Sprint(dig(e, "node", "action"))]++
		}
		if want := fmt.Sprint(map[string]int{"assign": 4, "reject": 3, "delegate": 2, "delegate_done": 1, "transfer": 1, "urge": 2}); fmt.Sprint(count) != want {
			t.Errorf("the record shows %v, want %v", count, want)
		}
		if got := fmt.Sprint(o.clocks("SO-1")["ENT-ACTIVATE-URBAN-16WD"]["dueAt"]); got != due {
			t.Errorf("the clock is due %s after all that, want %s as before", got, due)
		}
		if got := o.get("zz-agent", `{ serviceCase(number: "SO-1") { owner { code } } }`, "serviceCase", "owner", "code"); got != "zz-agent" {
			t.Errorf("the first owner is %v, want zz-agent still", got)
		}
		o.must("demo-admin", "assignRole", fmt.Sprintf(`staffID: %q, role: "technician", regionID: "CN-HA-NY"`, trainee))
		o.verified()
	})
}

// TestReturnAndWithdraw sends a case back, and takes a completed task back as long
// as nobody has begun what follows.
func TestReturnAndWithdraw(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		at := func(number string) string {
			var open []any
			for _, e := range o.tasks(number, "nodeID state assignee { code }") {
				if state := dig(e, "node", "state"); state == "created" || state == "claimed" || state == "started" {
					open = append(open, dig(e, "node"))
				}
			}
			return fmt.Sprint(open)
		}
		o.order("SO-1")
		disp, stock := `caseNumber: "SO-1", nodeID: "a_disp"`, `caseNumber: "SO-1", nodeID: "a_stock"`
		o.work("zz-dispatcher", "SO-1", "a_disp", "")
		o.wants("zz-store", "withdrawTask", disp+`, reason: "x"`, "TASK_NOT_YOURS")
		o.must("zz-store", "claimTask", stock)
		o.must("zz-dispatcher", "withdrawTask", disp+`, reason: "派错班组"`)
		if got := at("SO-1"); !strings.Contains(got, "a_disp") || !strings.Contains(got, "zz-dispatcher") || strings.Contains(got, "a_stock") {
			t.Errorf("after the withdrawal the case waits for %s, want a_disp of zz-dispatcher alone", got)
		}
		o.must("zz-dispatcher", "completeTask", disp)
		o.must("zz-store", "claimTask", stock)
		o.must("zz-store", "beginTask", stock)
		o.wants("zz-dispatcher", "withdrawTask", disp+`, reason: "派错班组"`, "WITHDRAW_TOO_LATE")

		targets := fmt.Sprint(o.get("zz-store", fmt.Sprintf(`{ returnTargets(taskID: %q) { nodeID name { zh } } }`, dig(o.task("SO-1", "a_stock", "id"), "id")), "returnTargets"))
		if !strings.Contains(targets, "a_disp") || strings.Contains(targets, "a_visit") {
			t.Errorf("a_stock can be returned to %s, want a_disp among it and nothing that comes later", targets)
		}
		o.wants("zz-store", "returnTask", stock+`, toNodeID: "a_visit", reason: "x"`, "RETURN_TARGET")
		o.must("zz-store", "returnTask", stock+`, reason: "型号不符"`)
		if got := at("SO-1"); !strings.Contains(got, "a_disp") || !strings.Contains(got, "zz-dispatcher") {
			t.Errorf("after the return the case waits for %s, want a_disp with who did it", got)
		}
		o.must("zz-dispatcher", "completeTask", disp)
		o.work("zz-store", "SO-1", "a_stock", "")
		o.wants("zz-store", "withdrawTask", stock+`, reason: "x"`, "") // nobody has answered yet: the pause for the slot ends again
		o.verified()

		visit := o.atVisit("SO-2")
		o.work("zz-tech", "SO-2", "a_visit", visitDone)
		o.must("integration", "completeTask", `caseNumber: "SO-2", nodeID: "a_act", variables: {test: {downMbps: 960}}, evidence: [{kind: "测速结果", content: "960"}, {kind: "激活时间戳", content: "x"}]`)
		o.must("zz-tech", "claimTask", `caseNumber: "SO-2", nodeID: "a_accept"`)
		o.must("zz-tech", "returnTask", `caseNumber: "SO-2", nodeID: "a_accept", toNodeID: "a_visit", reason: "用户要求改位"`)
		if got := at("SO-2"); !strings.Contains(got, "a_visit") || !strings.Contains(got, "zz-tech") {
			t.Errorf("after the return SO-2 waits for %s, want a_visit with zz-tech", got)
		}
		o.must("zz-tech", "completeTask", visit+visitDone)
		o.verified()
	})
}

// TestSigning lets others sign a task before, beside and after its assignee.
func TestSigning(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		visit := o.atVisit("SO-1")
		state := func() any { return dig(o.task("SO-1", "a_visit", "state"), "state") }
		o.must("zz-tech", "claimTask", visit)
		for _, who := range []string{"zz-tech", "yb-lead", "yb-agent", "nobody"} {
			o.wants("zz-tech", "addSigners", visit+fmt.Sprintf(`, staffIDs: [%q], place: "before"`, who), "SIGNER_UNSUITABLE")
		}
		o.must("zz-tech", "addSigners", visit+`, staffIDs: ["zz-lead"], place: "before", reason: "高空作业许可"`)
		o.wants("zz-tech", "addSigners", visit+`, staffIDs: ["zz-lead"], place: "after"`, "SIGNER_TWICE")
		o.must("zz-tech", "addSigners", visit+`, staffIDs: ["zz-dispatcher", "zz-line"], place: "beside", mode: "any"`)
		o.must("zz-tech", "addSigners", visit+`, staffIDs: ["ha-quality", "ha-supervisor"], place: "after"`)
		waiting := func(person string) any {
			return o.get(person, `{ worklist(toSign: true) { totalCount } }`, "worklist", "totalCount")
		}
		if waiting("zz-lead") != 1.0 || waiting("ha-quality") != 1.0 || waiting("zz-store") != 0.0 {
			t.Errorf("to sign: lead %v, quality %v, store %v, want 1, 1, 0", waiting("zz-lead"), waiting("ha-quality"), waiting("zz-store"))
		}

		o.wants("zz-tech", "completeTask", visit+visitDone, "SIGNERS_PENDING")
		o.wants("ha-quality", "signTask", visit+`, agree: true`, "SIGNER_NOT_YET")
		o.wants("zz-store", "signTask", visit+`, agree: true`, "SIGNER_NOT_ASKED")
		o.wants("zz-lead", "signTask", visit+`, agree: false`, "SIGN_COMMENT_REQUIRED")
		o.must("zz-lead", "signTask", visit+`, agree: true`)
		o.must("zz-tech", "completeTask", visit+visitDone)
		if state() != "signing" {
			t.Errorf("done by its assignee the visit is %v, want signing", state())
		}
		o.wants("zz-tech", "completeTask", visit+visitDone, "TASK_STATE")
		o.must("zz-line", "signTask", visit+`, agree: true`) // any one beside is enough
		o.wants("ha-supervisor", "signTask", visit+`, agree: true`, "SIGNER_NOT_YET")
		o.must("ha-quality", "signTask", visit+`, agree: false, comment: "照片不清晰"`)
		if state() != "started" {
			t.Errorf("refused, the visit is %v, want started again", state())
		}
		o.must("zz-tech", "completeTask", visit+visitDone)
		o.must("ha-quality", "signTask", visit+`, agree: true`)
		o.must("zz-tech", "removeSigner", visit+`, staffID: "ha-supervisor", reason: "已口头同意"`)
		if state() != "completed" {
			t.Errorf("with the last signature the visit is %v, want completed", state())
		}
		o.verified()
	})
}

// TestAbsence lets a deputy stand in for a technician.
func TestAbsence(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.certify()
		visit := o.atVisit("SO-1")
		o.must("zz-tech", "claimTask", visit)
		for input, want := range map[string]string{
			`staffID: "zz-tech", deputyID: "zz-tech", endsAt: "2026-03-09T00:00:00Z"`:                                      "ABSENCE_DEPUTY",
			`staffID: "zz-tech", deputyID: "yb-tech", endsAt: "2026-03-09T00:00:00Z"`:                                      "ABSENCE_DEPUTY",
			`staffID: "zz-tech", deputyID: "nobody", endsAt: "2026-03-09T00:00:00Z"`:                                       "ABSENCE_DEPUTY",
			`staffID: "zz-tech", deputyID: "zz-trainee", endsAt: "2026-03-01T00:00:00Z"`:                                   "ABSENCE_INTERVAL",
			`staffID: "zz-tech", deputyID: "zz-trainee", startsAt: "2026-03-10T00:00:00Z", endsAt: "2026-03-09T00:00:00Z"`: "ABSENCE_INTERVAL",
			`staffID: "zz-store", deputyID: "zz-trainee", endsAt: "2026-03-09T00:00:00Z"`:                                  "STAFF_NOT_FOUND",
		} {
			o.wants("zz-tech", "recordAbsence", input, want)
		}
		o.wants("zz-trainee", "completeTask", visit+visitDone, "TASK_NOT_YOURS")
		o.must("zz-tech", "recordAbsence", `staffID: "zz-tech", deputyID: "zz-trainee", endsAt: "2026-03-09T00:00:00Z", reason: "培训"`)
		o.wants("zz-lead", "recordAbsence", fmt.Sprintf(`staffID: %q, deputyID: "zz-trainee", endsAt: "2026-03-08T00:00:00Z"`, o.staffID("zz-tech")), "ACTION_FORBIDDEN")
		o.wants("zz-tech", "recordAbsence", `staffID: "zz-tech", deputyID: "zz-trainee", startsAt: "2026-03-08T00:00:00Z", endsAt: "2026-03-12T00:00:00Z"`, "ABSENCE_OVERLAPS")
		if got := o.get("zz-trainee", `{ worklist(mine: true) { totalCount } }`, "worklist", "totalCount"); got != 1.0 {
			t.Errorf("the deputy's worklist shows %v tasks, want the visit", got)
		}
		o.must("zz-trainee", "completeTask", visit+visitDone)
		if got := dig(o.task("SO-1", "a_visit", "completedBy"), "completedBy"); got != o.staffID("zz-trainee") {
			t.Errorf("the visit is completed by %v, want the deputy", got)
		}

		second := o.atVisit("SO-2")
		o.must("zz-dispatcher", "assignTask", second+fmt.Sprintf(`, staffID: %q`, o.staffID("zz-tech")))
		if got := dig(o.task("SO-2", "a_visit", "assignee { code }"), "assignee", "code"); got != "zz-trainee" {
			t.Errorf("a task for who is away goes to %v, want his deputy", got)
		}
		absence := fmt.Sprint(o.get("zz-tech", `{ viewer { staff { absences(first: 1) { edges { node { id } } } } } }`, "viewer", "staff", "absences", "edges", 0, "node", "id"))
		o.must("zz-tech", "endAbsence", fmt.Sprintf("absenceID: %q", absence))
		o.wants("zz-tech", "endAbsence", fmt.Sprintf("absenceID: %q", absence), "ABSENCE_ENDED")
		third := o.atVisit("SO-3")
		o.must("zz-tech", "claimTask", third)
		o.wants("zz-trainee", "completeTask", third+visitDone, "TASK_NOT_YOURS")
		o.verified()
	})
}

// TestCompleteTasks completes a batch: each item by itself, and once however often
// the batch is sent.
func TestCompleteTasks(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		var items []string
		for i := range 5 {
			number := fmt.Sprintf("SO-%d", i)
			o.order(number)
			if i != 3 {
				o.must("zz-dispatcher", "claimTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_disp"`, number))
			}
			items = append(items, fmt.Sprintf(`{caseNumber: %q, nodeID: "a_disp"}`, number))
		}
		batch := fmt.Sprintf(`mutation { completeTasks(input: {idempotencyKey: "shift-1", items: [%s]}) { completed results { task { state } userErrors { code path } } userErrors { code } } }`, strings.Join(items, " "))
		first, _ := o.ask("zz-dispatcher", batch)
		if got := dig(first.Data, "completeTasks", "completed"); got != 4.0 {
			t.Errorf("completeTasks completed %v, want 4: %v %v", got, first.Data, first.Errors)
		}
		refused := dig(first.Data, "completeTasks", "results", 3, "userErrors", 0)
		if dig(refused, "code") != "TASK_STATE" || !strings.Contains(fmt.Sprint(dig(refused, "path")), "items[3]") {
			t.Errorf("the unclaimed item = %v, want TASK_STATE at items[3]", refused)
		}
		o.must("zz-dispatcher", "claimTask", `caseNumber: "SO-3", nodeID: "a_disp"`)
		again, _ := o.ask("zz-dispatcher", batch)
		if got := dig(again.Data, "completeTasks", "completed"); got != 5.0 {
			t.Errorf("sent again the batch has completed %v, want 5", got)
		}
		o.wants("zz-dispatcher", "completeTasks", `items: []`, "FIELD_TOO_FEW")

		attributes := func(filter string) any {
			return o.get("ha-supervisor", fmt.Sprintf(`{ worklist(attributes: [%s]) { totalCount } }`, filter), "worklist", "totalCount")
		}
		for filter, want := range map[string]float64{
			`{name: "case.channel", in: ["hotline"]}`:                                     5,
			`{name: "case.channel", in: ["store"]}`:                                       0,
			`{name: "case.plan", in: ["1000M"]}, {name: "case.channel", in: ["hotline"]}`: 5,
			`{name: "case.planMbps", min: 100}`:                                           0, // not declared as indexed
		} {
			if got := attributes(filter); got != want {
				t.Errorf("worklist with %s = %v, want %v", filter, got, want)
			}
		}
		o.verified()
	})
}
