package server_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// release publishes the draft of a process and binds it in Zhengzhou.
func (o *office) release(version string, revision int) {
	o.t.Helper()
	o.must("hq-standard", "submitProcess", fmt.Sprintf(`versionID: %q, revision: %d`, version, revision))
	o.must("demo-admin", "publishProcess", fmt.Sprintf(`versionID: %q, revision: %d`, version, revision+1))
	o.must("demo-admin", "bindProcess", fmt.Sprintf(`versionID: %q, regionID: "CN-HA-ZZ"`, version))
}

// divides lets an enquiry begin with a script that fails when its divisor is 0.
func (o *office) divides() {
	o.t.Helper()
	o.must("hq-standard", "createProcessDraft", `fromVersionID: "enquiry@1"`)
	o.must("hq-standard", "editProcessDraft", `versionID: "enquiry@2", revision: 1, edits: [
		{op: "setVariable", variable: {name: "calc.divisor", type: "int", input: true, required: true}},
		{op: "setVariable", variable: {name: "calc.result", type: "int"}},
		{op: "insertNode", flow: "f-s_call-a_call", id: "calc", type: "scriptTask", name: "计算", nameEn: "Calculate"},
		{op: "setScript", id: "calc", value: "10 / calc.divisor"}, {op: "setResult", id: "calc", value: "calc.result"}]`)
	o.release("enquiry@2", 2)
}

// ask starts an enquiry in Zhengzhou.
func (o *office) enquiry(key, number, variables string) {
	o.t.Helper()
	o.must("zz-agent", "startCase", fmt.Sprintf(`processKey: %q, regionID: "CN-HA-ZZ", number: %q, channel: "app", variables: {%s}`, key, number, variables))
}

// failures returns a field of the failures of a case, in the order in which they came.
func (o *office) failures(number, field string) string {
	o.t.Helper()
	list, _ := o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { failures(first: 50, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { %s } } } } }`, number, field),
		"serviceCase", "failures", "edges").([]any)
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(dig(e, "node", field)))
	}
	return strings.Join(out, " ")
}

// failure returns the id of the open failure of a case.
func (o *office) open(number string) string {
	o.t.Helper()
	ids, states := strings.Fields(o.failures(number, "id")), strings.Fields(o.failures(number, "state"))
	for i, s := range states {
		if s == "open" {
			return ids[i]
		}
	}
	o.t.Fatalf("%s has no open failure: %v", number, states)
	return ""
}

// at says where the tokens of a case are.
func (o *office) at(number string) string {
	o.t.Helper()
	list, _ := o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { tokens(first: 50) { edges { node { nodeID state } } } } }`, number), "serviceCase", "tokens", "edges").([]any)
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(dig(e, "node", "nodeID"), ":", dig(e, "node", "state")))
	}
	return strings.Join(out, " ")
}

// TestFailuresAreResolved retries, skips, moves and cancels what has failed, one by
// one and by filter.
func TestFailuresAreResolved(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.divides()
		for i := range 9 {
			o.enquiry("enquiry", fmt.Sprintf("Q-%04d", i), `calc: {divisor: 0}`)
		}
		if got := o.at("Q-0000"); got != "calc:failed" {
			t.Fatalf("an enquiry that divides by 0 is at %s, want calc:failed", got)
		}
		failure := func(number string) string { return fmt.Sprintf("failureID: %q, reason: \"测试\"", o.open(number)) }
		first := o.open("Q-0000")
		o.wants("zz-agent", "retryFailure", failure("Q-0000"), "ACTION_FORBIDDEN")
		o.must("ha-supervisor", "retryFailure", failure("Q-0000"))
		if got := o.failures("Q-0000", "state"); got != "retried open" {
			t.Errorf("retried with the same divisor the failures are %s, want retried open", got)
		}
		o.wants("ha-supervisor", "retryFailure", fmt.Sprintf("failureID: %q, reason: \"x\"", first), "FAILURE_ENDED")
		o.must("ha-supervisor", "retryFailure", failure("Q-0000")+`, variables: {calc: {divisor: 5}}`)
		o.must("ha-supervisor", "skipFailure", failure("Q-0001")+`, variables: {calc: {result: 7}}`)
		caseID := func(number string) string { return fmt.Sprintf("caseID: %q, reason: \"测试\"", o.caseID(number)) }
		o.wants("ha-supervisor", "moveToken", caseID("Q-0002")+`, token: 1, toNodeID: "nowhere"`, "ENGINE_MOVE_TARGET")
		o.wants("ha-supervisor", "moveToken", caseID("Q-0002")+`, token: 9, toNodeID: "a_call"`, "ENGINE_TOKEN_UNKNOWN")
		o.wants("zz-agent", "moveToken", caseID("Q-0002")+`, token: 1, toNodeID: "a_call"`, "ACTION_FORBIDDEN")
		o.must("ha-supervisor", "moveToken", caseID("Q-0002")+`, token: 1, toNodeID: "a_call"`)
		o.wants("ha-supervisor", "setCaseVariables", caseID("Q-0003")+`, variables: {calc: {divisor: "x"}}`, "VARIABLE_TYPE")
		o.must("ha-supervisor", "setCaseVariables", caseID("Q-0003")+`, variables: {calc: {divisor: 2}}`)
		o.must("ha-supervisor", "retryFailure", failure("Q-0003"))
		for i, want := range []string{"retried,retried", "skipped", "moved", "retried"} {
			number := fmt.Sprintf("Q-%04d", i)
			if got := strings.ReplaceAll(o.failures(number, "state"), " ", ","); got != want || o.at(number) != "a_call:task" {
				t.Errorf("%s is at %s with failures %s, want a_call:task with %s", number, o.at(number), got, want)
			}
		}

		o.must("ha-supervisor", "retryFailure", failure("Q-0004")+`, backOffSeconds: 60, attempts: 3`)
		for i, after := range []int{59, 1, 119, 1, 239, 1, 3600} {
			o.clock.Advance(time.Duration(after) * time.Second)
			o.tick()
			if got, want := len(strings.Fields(o.failures("Q-0004", "state"))), []int{2, 3, 3, 4, 4, 5, 5}[i]; got != want {
				t.Errorf("%d: the failing token has failed %d times, want %d", i, got, want)
			}
		}

		batch := func(input string) map[string]any {
			t.Helper()
			r, _ := o.ask("ha-supervisor", fmt.Sprintf(`mutation { resolveFailures(input: {%s}) { resolved left results { failureID userErrors { code } } userErrors { code path } } }`, input))
			got, _ := dig(r.Data, "resolveFailures").(map[string]any)
			return got
		}
		if got := batch(`action: "explode", reason: "x"`); dig(got, "userErrors", 0, "code") == nil {
			t.Errorf("an unknown action = %v, want a refusal", got)
		}
		if got := batch(`action: "retry", code: "NOTHING", reason: "x"`); got["resolved"] != 0.0 {
			t.Errorf("a filter that selects nothing resolves %v", got)
		}
		o.must("demo-admin", "cancelCase", caseID("Q-0008"))
		if got := o.failures("Q-0008", "state"); got != "ended" {
			t.Errorf("the failure of a cancelled case is %s, want ended", got)
		}
		if got := batch(`action: "retry", nodeID: "calc", processKey: "enquiry", regionID: "CN-HA", variables: {calc: {divisor: 1}}, reason: "修正除数", idempotencyKey: "b1"`); got["resolved"] != 4.0 || got["left"] != 0.0 {
			t.Errorf("the batch resolves %v, want 4 and none left", got)
		}
		for i := 4; i < 8; i++ {
			if got := o.at(fmt.Sprintf("Q-%04d", i)); got != "a_call:task" {
				t.Errorf("Q-%04d is at %s, want a_call:task", i, got)
			}
		}
		o.verified()
	})
}

// TestFailureThatIsOverAtOnce lets two timers be due at once: behind the first a script
// fails, the second interrupts it. The failure is told and not left open.
func TestFailureThatIsOverAtOnce(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		after := func(duration string) string {
			return `<bpmn:timerEventDefinition><bpmn:timeDuration>` + duration + `</bpmn:timeDuration></bpmn:timerEventDefinition>`
		}
		script := `<bpmn:scriptTask id="x" name="算" scriptFormat="CEL"><bpmn:extensionElements><spms:task nameEn="x" stage="demand"/><spms:result variable="n.of"/></bpmn:extensionElements><bpmn:script>10 / n.of</bpmn:script></bpmn:scriptTask>`
		inside := `<bpmn:startEvent id="s1" name="x"/><bpmn:endEvent id="e1" name="x"/>` + element("intermediateCatchEvent", "t1", "", after("PT1H")) + script
		for i, f := range []string{"s1 t1", "t1 x", "x e1"} {
			ends := strings.Fields(f)
			inside += fmt.Sprintf(`<bpmn:sequenceFlow id="g%d" sourceRef=%q targetRef=%q/>`, i, ends[0], ends[1])
		}
		o.create("sums", flowing("sums", `<spms:variable name="n.of" type="int" labelZh="数" labelEn="Number" default="0"/>`, "",
			element("startEvent", "s", "", "")+element("subProcess", "p", "", inside)+element("boundaryEvent", "b", `attachedToRef="p"`, after("PT2H"))+
				element("userTask", "a", "", "")+element("endEvent", "e", "", "")+element("endEvent", "f", "", ""), "s p", "p e", "b a", "a f"))
		for _, number := range []string{"NUM-1", "NUM-2"} {
			o.must("zz-agent", "startCase", fmt.Sprintf(`processKey: "sums", regionID: "CN-HA-ZZ", number: %q`, number))
			o.clock.Advance(time.Hour)
		}
		o.tick() // of NUM-1 both are due, of NUM-2 the first
		if got := o.at("NUM-1") + " " + o.failures("NUM-1", "state"); got != "a:task ended" {
			t.Errorf("with both timers due at once the case is at %s, want a:task and the failure ended", got)
		}
		if got := o.failures("NUM-2", "state"); got != "open" {
			t.Errorf("with one timer due the failure is %s, want open", got)
		}
		o.verified()
		o.clock.Advance(time.Hour)
		o.tick()
		if got := o.at("NUM-2") + " " + o.failures("NUM-2", "state"); got != "a:task ended" {
			t.Errorf("after the second timer the case is at %s, want a:task and the failure ended", got)
		}
		o.verified()
	})
}

// TestLeases lends service tasks to workers: each to one, and again when the lease
// has run out.
func TestLeases(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		for i := range 5 {
			number := fmt.Sprintf("SO-%d", i)
			o.must("zz-agent", "startCase", fmt.Sprintf(`processKey: "ftth-install", regionID: "CN-HA-ZZ", number: %q, channel: "hotline", variables: {case: {plan: "300M", planMbps: 300}}`, number))
			o.work("zz-agent", number, "a_reg", `, variables: {identity: {verified: true}}, evidence: [{kind: "证件核验记录", content: "ok"}, {kind: "受理单", content: "SL"}]`)
		}
		topic := fmt.Sprint(dig(o.task("SO-0", "a_res", "topic"), "topic"))
		fetch := func(person, worker string, most int) []string {
			t.Helper()
			r, _ := o.ask(person, fmt.Sprintf(`mutation { fetchTasks(input: {topic: %q, worker: %q, max: %d, leaseSeconds: 60}) { tasks { id case { number variables } } userErrors { code } } }`, topic, worker, most))
			list, _ := dig(r.Data, "fetchTasks", "tasks").([]any)
			var out []string
			for _, x := range list {
				out = append(out, fmt.Sprint(dig(x, "case", "number")))
			}
			return out
		}
		if got := fetch("zz-agent", "w1", 10); len(got) != 0 {
			t.Errorf("who does not hold the role is lent %v", got)
		}
		one, two, three := fetch("integration", "w1", 3), fetch("integration", "w2", 3), fetch("integration", "w3", 3)
		if len(one) != 3 || len(two) != 2 || len(three) != 0 {
			t.Fatalf("five tasks are lent as %v, %v, %v, want 3, 2 and 0", one, two, three)
		}
		res := func(number string) string {
			return fmt.Sprintf(`caseNumber: %q, nodeID: "a_res", variables: {resource: {status: "ready"}}, evidence: [{kind: "资源核查结果", content: "ok"}]`, number)
		}
		o.must("integration", "completeTask", res(one[0])+`, worker: "w1"`)
		o.wants("integration", "completeTask", res(one[1])+`, worker: "w2"`, "TASK_LEASE_LOST")
		o.wants("integration", "completeTask", res(one[1]), "TASK_LEASE_LOST")
		o.wants("integration", "failTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_res", worker: "w2", reason: "x"`, one[1]), "TASK_LEASE_LOST")
		o.must("integration", "failTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_res", worker: "w1", reason: "资源系统超时", retrySeconds: 300`, one[1]))
		o.must("integration", "failTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_res", worker: "w1", reason: "地址不存在", code: "NO_ADDRESS"`, one[2]))
		if got := o.failures(one[2], "code"); got != "ERROR_UNCAUGHT" {
			t.Errorf("what a worker could not do has failures %q, want ERROR_UNCAUGHT", got)
		}
		person := func(number string) string { return fmt.Sprintf(`caseNumber: %q, nodeID: "a_res"`, number) }
		o.wants("integration", "claimTask", person(two[1]), "TASK_LEASE_LOST")
		o.wants("demo-admin", "assignTask", person(two[1])+fmt.Sprintf(`, staffID: %q`, o.staffID("integration")), "TASK_LEASE_LOST")
		if got := fmt.Sprint(o.task(two[1], "a_res", `availableActions { action refused { code } }`)); !strings.Contains(got, "TASK_LEASE_LOST") {
			t.Errorf("of a task that is lent people are offered %s", got)
		}
		o.clock.Advance(61 * time.Second)
		o.must("integration", "claimTask", person(two[1]))
		o.verified()
		o.must("integration", "releaseTask", person(two[1]))
		if got := fetch("integration", "w3", 10); len(got) != 2 {
			t.Errorf("after the leases w3 is lent %v, want the two of w2", got)
		}
		o.wants("integration", "completeTask", res(two[0])+`, worker: "w2"`, "TASK_LEASE_LOST")
		o.must("integration", "completeTask", res(two[0])+`, worker: "w3"`)
		o.clock.Advance(300 * time.Second)
		if got := fetch("integration", "w1", 10); len(got) != 2 {
			t.Errorf("after the pause w1 is lent %v, want the retryable one and what w3 has left", got)
		}
		o.verified()
	})
}

// TestMigrateCases moves running orders to another version: their tokens, tasks with
// their people, timers and paused clocks.
func TestMigrateCases(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		visit := o.atVisit("SO-VISIT")
		o.must("zz-tech", "claimTask", visit)
		o.order("SO-STOCK")
		o.work("zz-dispatcher", "SO-STOCK", "a_disp", "")
		o.order("SO-SLOT")
		o.work("zz-dispatcher", "SO-SLOT", "a_disp", "")
		o.work("zz-store", "SO-SLOT", "a_stock", "")
		due := fmt.Sprint(o.clocks("SO-VISIT")["ENT-ACTIVATE-URBAN-16WD"]["dueAt"])

		o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1"`)
		o.must("hq-standard", "editProcessDraft", `versionID: "ftth-install@2", revision: 1, edits: [
			{op: "removeNode", id: "a_stock", reconnect: true},
			{op: "rename", id: "a_visit", name: "上门安装与调测", nameEn: "Install and test"},
			{op: "insertNode", flow: "f-a_visit-g_visit", id: "a_photo", type: "userTask", name: "上传照片", nameEn: "Upload photos", lane: "lane-technician"},
			{op: "setStage", id: "a_photo", value: "delivery"},
			{op: "setEvidence", id: "a_photo", evidence: [{kind: "安装照片", required: true}]}]`)
		o.release("ftth-install@2", 2)
		call := func(person, rest string) map[string]any {
			t.Helper()
			r, _ := o.ask(person, fmt.Sprintf(`mutation { migrateCases(input: {fromVersionID: "ftth-install@1", toVersionID: "ftth-install@2", reason: "新规范"%s}) {
				preview migrated left results { number userErrors { code } } userErrors { code path message } } }`, rest))
			out, _ := dig(r.Data, "migrateCases").(map[string]any)
			return out
		}
		if got := call("ha-admin", ""); !strings.Contains(fmt.Sprint(got["userErrors"]), "MAPPING_NODE_MISSING") {
			t.Errorf("without a place for a_stock = %v, want MAPPING_NODE_MISSING", got)
		}
		pairs := `, pairs: [{from: "a_stock", to: "a_disp"}]`
		o.wants("zz-agent", "migrateCases", `fromVersionID: "ftth-install@1", toVersionID: "ftth-install@2", reason: "x"`+pairs, "ACTION_FORBIDDEN")
		if got := call("ha-admin", pairs+`, preview: true`); got["migrated"] != 3.0 || got["preview"] != true {
			t.Errorf("the preview = %v, want 3 cases", got)
		}
		version := func(number string) any {
			return o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { version { number } } }`, number), "serviceCase", "version", "number")
		}
		if version("SO-VISIT") != 1.0 {
			t.Error("the preview has moved a case")
		}
		if got := call("ha-admin", pairs+`, idempotencyKey: "m1"`); got["migrated"] != 3.0 || got["left"] != 0.0 {
			t.Errorf("the migration = %v, want 3 cases and none left", got)
		}
		if got := call("ha-admin", pairs); got["migrated"] != 0.0 {
			t.Errorf("a second migration = %v, want none", got)
		}
		moved, _ := o.task("SO-VISIT", "a_visit", "nameZh state assignee { code } version { number }").(map[string]any)
		if moved["nameZh"] != "上门安装与调测" || dig(moved, "assignee", "code") != "zz-tech" || dig(moved, "version", "number") != 2.0 || version("SO-VISIT") != 2.0 {
			t.Errorf("the visit after the migration = %v, want its new name with zz-tech", moved)
		}
		if got := fmt.Sprint(o.clocks("SO-VISIT")["ENT-ACTIVATE-URBAN-16WD"]["dueAt"]); got != due {
			t.Errorf("the clock is due %s after the migration, want %s", got, due)
		}
		if got := o.at("SO-STOCK"); got != "a_disp:task" {
			t.Errorf("SO-STOCK is at %s, want a_disp:task", got)
		}
		o.verified()

		o.must("zz-tech", "completeTask", visit+visitDone)
		if got := o.at("SO-VISIT"); got != "a_photo:task" {
			t.Errorf("SO-VISIT is at %s, want a_photo:task", got)
		}
		slot := o.clock.Now().Add(time.Hour)
		o.must("zz-agent", "sendMessage", fmt.Sprintf(`caseNumber: "SO-SLOT", name: "slot.chosen", payload: {slotStart: %q}`, slot.Format(time.RFC3339)))
		o.clock.Set(slot)
		o.tick()
		for code, c := range o.clocks("SO-SLOT") {
			if c["state"] == "paused" {
				t.Errorf("clock %s of SO-SLOT is paused still", code)
			}
		}
		o.wants("zz-dispatcher", "withdrawTask", `caseNumber: "SO-SLOT", nodeID: "a_disp", reason: "x"`, "WITHDRAW_TOO_LATE")
		o.verified()
	})
}

// expert replaces the expert's task of the enquiry by another element.
func expert(t *testing.T, key, element, root string) string {
	t.Helper()
	text := processOf(t, key)
	task := regexp.MustCompile(`(?s)<bpmn:userTask id="a_expert".*?</bpmn:userTask>`)
	if !task.MatchString(text) {
		t.Fatal("the enquiry has no task a_expert")
	}
	text = task.ReplaceAllString(text, element)
	text = regexp.MustCompile(`(?m)^.*<spms:parameter.*$`).ReplaceAllString(text, "")
	return strings.Replace(text, "<bpmn:collaboration", root+"<bpmn:collaboration", 1)
}

const between = `<bpmn:incoming>f-g_call-a_expert</bpmn:incoming><bpmn:outgoing>f-a_expert-a_callback</bpmn:outgoing>`

// create publishes a process made from a document and binds it in Zhengzhou.
func (o *office) create(key, document string) {
	o.t.Helper()
	o.must("hq-standard", "createProcess", fmt.Sprintf(`regionID: "CN", bpmn: %s`, literal(document)))
	o.release(key+"@1", 1)
}

// TestCalledCases lets a case call another one: its answer, its error, and its end
// with the caller's.
func TestCalledCases(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		caller := func(key, called string) string {
			return expert(t, key, fmt.Sprintf(`<bpmn:callActivity id="a_expert" name="专家核实" calledElement=%q>%s</bpmn:callActivity>`, called, between), "")
		}
		r, _ := o.ask("hq-standard", fmt.Sprintf(`{ checkProcess(regionID: "CN", bpmn: %s) { ok findings { code elements } } }`, literal(caller("caller", "nobody"))))
		if got := fmt.Sprint(dig(r.Data, "checkProcess")); !strings.Contains(got, "CALLED_PROCESS_UNKNOWN") {
			t.Errorf("a call of nobody is checked as %s, want CALLED_PROCESS_UNKNOWN", got)
		}
		o.create("expert-case", processOf(t, "expert-case"))
		o.create("caller", caller("caller", "expert-case"))
		called := func(number string) string {
			return fmt.Sprint(o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { called(first: 5) { edges { node { number state owner { code } caller { number } } } } } }`, number),
				"serviceCase", "called", "edges", 0, "node", "number"))
		}
		pass := func(number string) {
			t.Helper()
			o.enquiry("caller", number, "")
			o.work("zz-agent", number, "a_call", `, variables: {enquiry: {topic: "tariff", answered: false}}`)
			o.tick()
			if got := o.at(number); got != "a_expert:call" {
				t.Fatalf("%s is at %s, want a_expert:call", number, got)
			}
		}
		pass("Q-ANSWER")
		child := called("Q-ANSWER")
		o.work("zz-agent", child, "a_call", `, variables: {enquiry: {topic: "tariff", answered: true, answer: "月租 99 元"}}`)
		o.tick()
		if got := o.at("Q-ANSWER"); got != "a_callback:task" {
			t.Errorf("answered, the caller is at %s, want a_callback:task", got)
		}
		if got := fmt.Sprint(o.get("ha-admin", `{ serviceCase(number: "Q-ANSWER") { variables } }`, "serviceCase", "variables")); !strings.Contains(got, "月租 99 元") {
			t.Errorf("the caller's variables = %s, want the answer of the called case", got)
		}

		pass("Q-CANCEL")
		o.must("demo-admin", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "用户撤回"`, o.caseID("Q-CANCEL")))
		o.tick()
		if got := o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { state } }`, called("Q-CANCEL")), "serviceCase", "state"); got != "cancelled" {
			t.Errorf("the called case of a cancelled one is %v, want cancelled", got)
		}

		pass("Q-ERROR")
		o.must("demo-admin", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "重复"`, o.caseID(called("Q-ERROR"))))
		o.tick()
		if got := o.failures("Q-ERROR", "code"); got != "ERROR_UNCAUGHT" {
			t.Errorf("a cancelled call leaves its caller with failures %q, want ERROR_UNCAUGHT", got)
		}
		o.must("ha-supervisor", "retryFailure", fmt.Sprintf(`failureID: %q, reason: "再次核实"`, o.open("Q-ERROR")))
		o.tick()
		if got := o.at("Q-ERROR"); got != "a_expert:call" {
			t.Errorf("tried again the caller is at %s, want a_expert:call", got)
		}

		pass("Q-AGAIN") // and calls another one before the first has answered
		first := called("Q-AGAIN")
		token := o.get("ha-admin", `{ serviceCase(number: "Q-AGAIN") { tokens(first: 5) { edges { node { seq } } } } }`, "serviceCase", "tokens", "edges", 0, "node", "seq")
		for i := range 2 {
			if i == 1 { // the second case has answered, and nobody has heard it yet
				for _, e := range o.calledBy("Q-AGAIN") {
					if dig(e, "node", "state") == "active" {
						o.work("zz-agent", fmt.Sprint(dig(e, "node", "number")), "a_call", `, variables: {enquiry: {topic: "tariff", answered: true}}`)
					}
				}
			}
			o.must("ha-supervisor", "moveToken", fmt.Sprintf(`caseID: %q, token: %v, toNodeID: "a_expert", reason: "重新核实"`, o.caseID("Q-AGAIN"), token))
			o.tick()
			if got := o.at("Q-AGAIN") + " " + o.failures("Q-AGAIN", "code"); got != "a_expert:call " {
				t.Errorf("called again the caller is at %s, want a_expert:call without failures", got)
			}
		}
		if got := o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { state } }`, first), "serviceCase", "state"); got != "cancelled" {
			t.Errorf("the first called case is %v, want cancelled", got)
		}
		o.verified()
	})
}

// calledBy lists the cases that a case has called.
func (o *office) calledBy(number string) []any {
	o.t.Helper()
	list, _ := o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { called(first: 9) { edges { node { number state } } } } }`, number), "serviceCase", "called", "edges").([]any)
	return list
}

// TestMessagesBetweenCases lets one case throw a message that another waits for by
// its key, and a signal for all in the region.
func TestMessagesBetweenCases(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		event := func(element, definition string) string {
			return fmt.Sprintf(`<bpmn:%s id="a_expert" name="核实">%%s%s%s</bpmn:%s>`, element, between, definition, element)
		}
		message := `<bpmn:messageEventDefinition messageRef="m.verified"/>`
		result := `<bpmn:extensionElements><spms:result variable="enquiry"/></bpmn:extensionElements>`
		const verified = `<bpmn:message id="m.verified" name="enquiry.verified"><bpmn:extensionElements><spms:correlation>enquiry.question</spms:correlation></bpmn:extensionElements></bpmn:message>`
		const cleared = `<bpmn:signal id="s.cleared" name="outage.cleared"/>`
		o.create("hears", expert(t, "hears", fmt.Sprintf(event("intermediateCatchEvent", message), result), verified))
		o.create("says", expert(t, "says", fmt.Sprintf(event("intermediateThrowEvent", message), ""), verified))
		o.create("waits", expert(t, "waits", fmt.Sprintf(event("intermediateCatchEvent", `<bpmn:signalEventDefinition signalRef="s.cleared"/>`), ""), cleared))
		o.create("clears", expert(t, "clears", fmt.Sprintf(event("intermediateThrowEvent", `<bpmn:signalEventDefinition signalRef="s.cleared"/>`), ""), cleared))
		pass := func(key, number, question, answer string) {
			t.Helper()
			o.enquiry(key, number, "")
			o.work("zz-agent", number, "a_call", fmt.Sprintf(`, variables: {enquiry: {topic: "network", question: %q, answered: false, answer: %q}}`, question, answer))
			o.tick()
		}
		pass("hears", "CASE-H-1", "K1", "")
		pass("hears", "CASE-H-2", "K2", "")
		pass("waits", "CASE-W-1", "x", "")
		pass("waits", "CASE-W-2", "x", "")
		pass("says", "CASE-S-1", "K2", "已恢复")
		if got := o.at("CASE-H-1") + " " + o.at("CASE-H-2"); got != "a_expert:message a_callback:task" {
			t.Errorf("after a message for K2 the cases are at %s, want the first waiting and the second gone on", got)
		}
		if got := fmt.Sprint(o.get("ha-admin", `{ serviceCase(number: "CASE-H-2") { variables } }`, "serviceCase", "variables")); !strings.Contains(got, "已恢复") {
			t.Errorf("CASE-H-2 has %s, want what the message brought", got)
		}
		pass("says", "CASE-S-2", "nobody", "") // is noted and gone
		if got := fmt.Sprint(o.get("demo-admin", `{ auditEntries(where: {operation: "deliver"}, first: 50) { edges { node { detail } } } }`, "auditEntries")); !strings.Contains(got, "undelivered:enquiry.verified") {
			t.Errorf("the audit trail says %s, want that a message reached nobody", got)
		}
		pass("clears", "CASE-C-1", "x", "")
		if got := o.at("CASE-W-1") + " and " + o.at("CASE-W-2"); got != "a_callback:task and a_callback:task" || o.at("CASE-H-1") != "a_expert:message" {
			t.Errorf("after the signal the cases are at %s, want both that wait for it gone on", got)
		}
		o.verified()
	})
}

// TestDamagedCaseHoldsUpNoNote lets a note fail that concerns a damaged case: the
// others are carried out, and it is when the row is whole again.
func TestDamagedCaseHoldsUpNoNote(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.create("expert-case", processOf(t, "expert-case"))
		o.create("caller", expert(t, "caller", `<bpmn:callActivity id="a_expert" name="专家核实" calledElement="expert-case">`+between+`</bpmn:callActivity>`, ""))
		for _, number := range []string{"Q-DAMAGED", "Q-WHOLE"} {
			o.enquiry("caller", number, "")
			o.work("zz-agent", number, "a_call", `, variables: {enquiry: {topic: "tariff", answered: false}}`)
		}
		called := func(number string) any {
			return o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { called(first: 5) { totalCount } } }`, number), "serviceCase", "called", "totalCount")
		}
		id := o.caseID("Q-DAMAGED")
		damage(t, url, fmt.Sprintf("update service_cases set variables = '[1]' where id = '%s'", id))
		if err := o.house.Tick(t.Context()); err == nil {
			t.Error("Tick() over a damaged caller = nil, want an error")
		}
		if got := called("Q-WHOLE"); got != 1.0 {
			t.Errorf("the whole caller has called %v cases, want 1", got)
		}
		o.tick() // its note waits now
		damage(t, url, fmt.Sprintf("update service_cases set variables = '{}' where id = '%s'", id))
		o.clock.Advance(time.Second)
		o.tick()
		if got := called("Q-DAMAGED"); got != 1.0 {
			t.Errorf("whole again, the caller has called %v cases, want 1", got)
		}
	})
}
