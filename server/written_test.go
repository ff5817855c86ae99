package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/store/storetest"
)

// twoTasks is a process of two tasks for agents, a and b.
func twoTasks(key, variables string) string {
	return flowing(key, variables, "", element("startEvent", "s", "", "")+element("userTask", "a", "", "")+element("userTask", "b", "", "")+element("endEvent", "e", "", ""), "s a", "a b", "b e")
}

// TestCompletionTellsWhatIsNext completes a task: the answer names what the person can do
// next as it stands after the commit, and a task whose token has been moved meanwhile
// cannot be completed.
func TestCompletionTellsWhatIsNext(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.create("plain", twoTasks("plain", ""))
		start := func(number string) (id string) {
			t.Helper()
			o.must("zz-agent", "startCase", fmt.Sprintf(`processKey: "plain", regionID: "CN-HA-ZZ", number: %q`, number))
			o.must("zz-agent", "claimTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a"`, number))
			return fmt.Sprint(dig(o.task(number, "a", "id"), "id"))
		}
		id := start("PLAIN-1")
		r, _ := o.ask("zz-agent", fmt.Sprintf(`mutation { completeTask(input: {taskID: %q}) { task { state completedBy case { number } } nextTasks { nodeID state case { number state } } userErrors { code } } }`, id))
		want := fmt.Sprintf("map[nextTasks:[map[case:map[number:PLAIN-1 state:active] nodeID:b state:created]] task:map[case:map[number:PLAIN-1] completedBy:%s state:completed] userErrors:[]]", o.staffID("zz-agent"))
		if got := fmt.Sprint(dig(r.Data, "completeTask")); got != want {
			t.Errorf("completeTask() = %s, want %s", got, want)
		}
		o.must("zz-agent", "claimTask", `caseNumber: "PLAIN-1", nodeID: "b"`)
		r, _ = o.ask("zz-agent", `mutation { completeTask(input: {caseNumber: "PLAIN-1", nodeID: "b"}) { nextTasks { nodeID } userErrors { code } } }`)
		if got := fmt.Sprint(dig(r.Data, "completeTask")); got != "map[nextTasks:[] userErrors:[]]" {
			t.Errorf("completeTask() of the last task = %s, want nothing next", got)
		}

		stale := start("PLAIN-2")
		token := o.get("ha-admin", `{ serviceCase(number: "PLAIN-2") { tokens(first: 1) { edges { node { seq } } } } }`, "serviceCase", "tokens", "edges", 0, "node", "seq")
		o.must("ha-supervisor", "moveToken", fmt.Sprintf(`caseID: %q, token: %v, toNodeID: "b", reason: "测试"`, o.caseID("PLAIN-2"), token))
		before := o.rows()
		o.wants("zz-agent", "completeTask", fmt.Sprintf(`taskID: %q`, stale), "TASK_STATE")
		o.wants("zz-agent", "completeTask", fmt.Sprintf(`taskID: %q`, id), "CASE_ENDED")
		if got := o.at("PLAIN-2"); got != "b:task" || o.rows() != before {
			t.Errorf("after completing a task whose token was moved the case is at %s, %s, want b:task, %s", got, o.rows(), before)
		}
		o.verified()
	})
}

// TestPlanIsRead plans tasks and reads the plan back; worklists are sorted by priority and
// by the earliest clock.
func TestPlanIsRead(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		due := map[string]time.Time{}
		for i, number := range []string{"SO-1", "SO-2", "SO-3"} {
			o.clock.Set(time.Date(2026, 3, 3+i, 10, 0, 0, 0, shanghai))
			o.order(number)
			o.must("zz-dispatcher", "claimTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_disp"`, number))
			o.must("zz-dispatcher", "planTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_disp", priority: %d, followUpAt: "2026-03-0%dT02:00:00Z"`, number, []int{7, 80, 0}[i], i+5))
			due[number] = instantOf(t, dig(o.task(number, "a_disp", "dueAt"), "dueAt"))
			if got, want := fmt.Sprint(o.task(number, "a_disp", "priority followUpAt")), fmt.Sprintf("map[followUpAt:2026-03-0%dT02:00:00Z nodeID:a_disp priority:%d]", i+5, []int{7, 80, 0}[i]); got != want {
				t.Errorf("the plan of %s = %s, want %s", number, got, want)
			}
		}
		if !due["SO-1"].Before(due["SO-2"]) || !due["SO-2"].Before(due["SO-3"]) {
			t.Fatalf("the tasks are due at %v, want one after the other", due)
		}
		for order, want := range map[string]string{
			`{field: PRIORITY, direction: DESC}`: "SO-2 SO-1 SO-3", `{field: PRIORITY, direction: ASC}`: "SO-3 SO-1 SO-2",
			`{field: DUE_AT, direction: ASC}`: "SO-1 SO-2 SO-3", `{field: DUE_AT, direction: DESC}`: "SO-3 SO-2 SO-1",
		} {
			list, _ := o.get("zz-dispatcher", fmt.Sprintf(`{ worklist(mine: true, first: 10, orderBy: [%s]) { edges { node { case { number } } } } }`, order), "worklist", "edges").([]any)
			var got []string
			for _, e := range list {
				got = append(got, fmt.Sprint(dig(e, "node", "case", "number")))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("the worklist by %s = %v, want %s", order, got, want)
			}
		}
		o.wants("zz-dispatcher", "planTask", `caseNumber: "SO-1", nodeID: "a_disp", priority: 101`, "FIELD_TOO_LARGE")
		soon := int(due["SO-3"].Sub(o.clock.Now()).Minutes()) + 1
		if got := o.get("zz-dispatcher", fmt.Sprintf(`{ worklistCounts(mine: true, soonMinutes: %d) { total dueSoon overdue } }`, soon), "worklistCounts"); fmt.Sprint(got) != "map[dueSoon:1 overdue:2 total:3]" {
			t.Errorf("within %d minutes %v are due, want one of three, and two before", soon, got)
		}
	})
}

// TestAllBesideSign asks one person beside the assignee, all of whom are to sign, and then
// another: the task is done when both have agreed.
func TestAllBesideSign(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		visit := o.atVisit("SO-1")
		is := func(want, when string) {
			t.Helper()
			if got := dig(o.task("SO-1", "a_visit", "state"), "state"); got != want {
				t.Errorf("%s the visit is %v, want %s", when, got, want)
			}
		}
		o.must("zz-tech", "claimTask", visit)
		o.must("zz-tech", "addSigners", visit+`, staffIDs: ["zz-dispatcher"], place: "beside", mode: "all"`)
		o.must("zz-dispatcher", "signTask", visit+`, agree: true`)
		o.must("zz-tech", "addSigners", visit+`, staffIDs: ["zz-line", "zz-lead"], place: "beside"`)
		o.must("zz-tech", "completeTask", visit+visitDone)
		is("signing", "with one of three signatures")
		o.must("zz-line", "signTask", visit+`, agree: true`)
		is("signing", "with two of three signatures")
		o.must("zz-lead", "signTask", visit+`, agree: true`)
		is("completed", "with all three signatures")
		o.verified()
	})
}

// TestBreachTellsItsCredit lets clocks be breached: the breach keeps what the clause
// credits the customer.
func TestBreachTellsItsCredit(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.breached("SO-1")
		got := map[string]any{}
		list, _ := o.get("ha-supervisor", `{ serviceCase(number: "SO-1") { breaches { edges { node { indicatorCode creditFen } } } } }`, "serviceCase", "breaches", "edges").([]any)
		for _, e := range list {
			got[fmt.Sprint(dig(e, "node", "indicatorCode"))] = dig(e, "node", "creditFen")
		}
		if want := (map[string]any{"ENT-SAMEDAY-INSTALL": 2000.0, "ENT-FTTH-48H": 0.0}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the breaches credit %v fen, want %v", got, want)
		}
	})
}

// TestCallTakesWhatIsBound lets a case call another process after that has been bound
// anew: the version of the moment of the call runs, also when another one is bound later.
// What is not bound cannot be started and not be called.
func TestCallTakesWhatIsBound(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.create("inner", twoTasks("inner", ""))
		o.create("outer", flowing("outer", "", "", element("startEvent", "s", "", "")+element("userTask", "a", "", "")+element("callActivity", "c", `calledElement="inner"`, "")+
			element("endEvent", "e", "", ""), "s a", "a c", "c e"))
		anew := func(version string) {
			t.Helper()
			o.must("hq-standard", "createProcessDraft", `fromVersionID: "inner@1"`)
			o.must("hq-standard", "editProcessDraft", fmt.Sprintf(`versionID: %q, revision: 1, edits: [{op: "setVariable", variable: {name: "n.of", type: "int"}}]`, version))
			o.release(version, 2)
		}
		called := func() any {
			t.Helper()
			return o.get("zz-agent", `{ serviceCase(number: "OUTER-1") { called(first: 1) { edges { node { version { number } } } } } }`, "serviceCase", "called", "edges", 0, "node", "version", "number")
		}
		o.must("zz-agent", "startCase", `processKey: "outer", regionID: "CN-HA-ZZ", number: "OUTER-1"`)
		o.clock.Advance(time.Minute)
		anew("inner@2")
		o.work("zz-agent", "OUTER-1", "a", "")
		o.tick()
		if got := called(); got != 2.0 {
			t.Errorf("the called case runs version %v, want 2, which was bound when it was called", got)
		}
		o.clock.Advance(time.Minute)
		anew("inner@3")
		o.tick()
		if got := called(); got != 2.0 {
			t.Errorf("after another version was bound the called case runs version %v, want 2 still", got)
		}

		o.wants("ny-agent", "startCase", `processKey: "inner", regionID: "CN-HA-NY"`, "PROCESS_NOT_BOUND")
		o.must("demo-admin", "bindProcess", `versionID: "outer@1", regionID: "CN-HA-NY"`)
		o.must("ny-agent", "startCase", `processKey: "outer", regionID: "CN-HA-NY", number: "OUTER-2"`)
		o.work("ny-agent", "OUTER-2", "a", "")
		o.tick()
		if got := o.at("OUTER-2") + " " + o.failures("OUTER-2", "code"); got != "c:failed ERROR_UNCAUGHT" {
			t.Errorf("a call of what is not bound = %s, want its token failed", got)
		}
		if got := o.failures("OUTER-2", "detail"); !strings.Contains(got, "PROCESS_NOT_BOUND") {
			t.Errorf("the failure says %s, want PROCESS_NOT_BOUND", got)
		}
		o.verified()
	})
}

// TestLargeVariable sends values of 64 kB and of a byte more.
func TestLargeVariable(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.create("plain", twoTasks("plain", `<spms:variable name="n.text" type="string" labelZh="文" labelEn="Text" input="true"/>`))
		start := func(bytes int) string {
			return fmt.Sprintf(`processKey: "plain", regionID: "CN-HA-ZZ", variables: {n: {text: %q}}`, strings.Repeat("x", bytes))
		}
		if got := strings.Join(o.do("zz-agent", "startCase", start(expr.MaxValueBytes+1)), " "); got != "VARIABLE_TOO_LARGE" {
			t.Errorf("a text of 64 kB and a byte = %q, want VARIABLE_TOO_LARGE", got)
		}
		if got := o.do("zz-agent", "startCase", start(expr.MaxValueBytes)); len(got) > 0 {
			t.Errorf("a text of 64 kB is refused: %v", got)
		}
	})
}
