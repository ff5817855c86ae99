package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// assigned assigns a version of answering to the whole of Henan.
func (w *workshop) assigned(version, mode, more string) {
	w.t.Helper()
	w.must("ha-admin", "assignPlugin", fmt.Sprintf(`versionID: "answering@%s", regionID: "CN-HA", topic: "answer.expert", mode: %q, inputs: [{name: "question", variable: "enquiry.question"}],
		outputs: [{name: "answer", variable: "enquiry.answer"}], timeoutSeconds: 60%s`, version, mode, more))
}

// ended ends what is assigned in Henan with a mutation of assignments.
func (w *workshop) ended(mutation string) {
	w.t.Helper()
	id := w.get("ha-admin", `{ pluginAssignments(first: 5, where: {state: active}) { edges { node { id } } } }`, "pluginAssignments", "edges", 0, "node", "id")
	w.must("ha-admin", mutation, fmt.Sprintf(`assignmentID: %q, reason: "enough"`, id))
}

// with tells who has the task of the module in an enquiry.
func (w *workshop) with(number string) string {
	w.t.Helper()
	task, _ := w.task(number, "a_expert", "kind role state").(map[string]any)
	return fmt.Sprint(task["kind"], " ", task["role"], " ", task["state"])
}

const (
	withPeople  = "human l2 created"
	withModules = "service integration created"
)

// TestModuleGone takes modules away in every way while tasks wait for them: what a
// module has begun goes to people at once, what comes later when nobody fetches it.
func TestModuleGone(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		for how, guard := range map[string]string{"END": ", guardRuns: 1000", "GUARD": ", guardRuns: 3, guardPermille: 500"} {
			w.assigned("1.0.0", "full", `, fallbackRole: "l2"`+guard)
			w.taken(how, func() {
				if how == "END" {
					w.ended("endPluginAssignment")
					return
				}
				w.question("BAD-1", "fail now")
				w.modules()
			})
		}
		w.assigned("1.0.0", "full", `, fallback: "fail", guardRuns: 1000`)
		w.question("FAIL-PARKED", "wait please")
		w.modules()
		w.ended("endPluginAssignment")
		w.question("FAIL-LATER", "price")
		w.clock.Advance(61 * time.Second)
		w.modules()
		for _, number := range []string{"FAIL-PARKED", "FAIL-LATER"} {
			if got := w.failures(number, "detail"); !strings.Contains(got, "MODULE_GONE") {
				t.Errorf("%s: the failures are %q, want one of MODULE_GONE", number, got)
			}
		}

		w.assigned("1.0.0", "shadow", `, fallbackRole: "l2"`)
		w.ended("endPluginAssignment")
		w.assigned("1.0.0", "shadow", `, fallbackRole: "l2"`)
		w.assigned("1.0.0", "full", "")
		w.question("SHADOW-PARKED", "wait please")
		w.modules()
		w.ended("rollBackPlugin")
		w.modules()
		if got := w.with("SHADOW-PARKED"); got != withPeople {
			t.Errorf("returned to shadow, the parked task is %s, want it with people", got)
		}
		w.ended("endPluginAssignment")

		w.assigned("1.0.0", "full", `, fallbackRole: "l2", guardRuns: 1000`)
		w.taken("REVOKE", func() { w.must("demo-admin", "revokePlugin", `versionID: "answering@1.0.0", reason: "unsafe"`) })
		w.verified()
	})
}

// taken takes the module away while one task waits to be tried again and one for a
// message, and lets one come later.
func (w *workshop) taken(how string, take func()) {
	w.t.Helper()
	retried, parked, later := how+"-RETRY", how+"-PARKED", how+"-LATER"
	w.question(parked, "wait please")
	w.modules()
	w.question(retried, "retry later")
	w.modules()
	for _, number := range []string{retried, parked} {
		if got := w.with(number); got != withModules {
			w.t.Errorf("%s is %s while the module is there, want it with the module", number, got)
		}
	}
	take()
	w.modules()
	for _, number := range []string{retried, parked} {
		if got := w.with(number); got != withPeople {
			w.t.Errorf("%s is %s when the module is gone, want it with people", number, got)
		}
	}
	w.question(later, "price")
	w.modules()
	if got := w.with(later); got != withModules {
		w.t.Errorf("%s is %s at once, want it left to other workers for a minute", later, got)
	}
	w.clock.Advance(61 * time.Second)
	w.modules()
	if got := w.with(later); got != withPeople {
		w.t.Errorf("%s is %s after a minute, want it with people", later, got)
	}
}

// TestWorkerAfterModule lets another worker take over the topic of a module: its tasks
// are left to it as long as it is at work.
func TestWorkerAfterModule(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		w.assigned("1.0.0", "full", `, fallbackRole: "l2"`)
		w.ended("endPluginAssignment")
		for _, number := range []string{"ENQ-1", "ENQ-2"} {
			w.question(number, "price")
		}
		w.clock.Advance(30 * time.Second)
		w.must("integration", "fetchTasks", `topic: "answer.expert", worker: "w", max: 1, leaseSeconds: 60`)
		w.must("integration", "completeTask", `caseNumber: "ENQ-1", nodeID: "a_expert", worker: "w", variables: {enquiry: {answer: "by a worker"}}`)
		w.clock.Advance(9 * time.Minute)
		w.modules()
		if got := w.with("ENQ-2"); got != withModules {
			t.Errorf("nine minutes after the worker's last task the other is %s, want it left to the worker", got)
		}
		w.clock.Advance(2 * time.Minute)
		w.modules()
		if got := w.with("ENQ-2"); got != withPeople {
			t.Errorf("eleven minutes after the worker's last task the other is %s, want it with people", got)
		}
		w.verified()
	})
}

// TestRevokedGivesWay revokes the version that has parked a task, with one before it:
// that one goes on at once, not when the message comes.
func TestRevokedGivesWay(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		w.admit("1.1.0")
		w.assigned("1.0.0", "full", `, fallbackRole: "l2"`)
		w.assigned("1.1.0", "full", `, fallback: "previous"`)
		w.question("ENQ-1", "hold 1")
		w.modules()
		w.must("demo-admin", "revokePlugin", `versionID: "answering@1.1.0", reason: "unsafe"`)
		w.modules()
		w.modules()
		if got := w.runs("ENQ-1"); got != "waiting failed waiting" {
			t.Errorf("the runs are %s, want the version before to have gone on", got)
		}
		w.must("zz-agent", "sendMessage", `correlationKey: "hold-1", name: "archive.found", payload: {text: "x"}`)
		w.modules()
		if got := w.answer("ENQ-1"); got != "1 1.0.0" {
			t.Errorf("the answer is %q, want that of 1.0.0", got)
		}
		w.verified()
	})
}

// TestOpenTaskKeepsItsConfiguration changes the configuration twice and back while
// tasks are open: each goes on under the one that it began under.
func TestOpenTaskKeepsItsConfiguration(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		w.admit("1.1.0")
		for _, x := range []struct{ version, prefix string }{{"1.0.0", "A"}, {"1.0.0", "B"}, {"1.1.0", "C"}} {
			w.assigned(x.version, "full", fmt.Sprintf(`, fallbackRole: "l2", config: {prefix: "%s:", token: "s3cret"}`, x.prefix))
			w.question("ENQ-"+x.prefix, "hold "+x.prefix)
			w.modules()
		}
		w.ended("rollBackPlugin")
		w.question("ENQ-NEW", "price")
		for _, key := range []string{"A", "B", "C"} {
			w.must("zz-agent", "sendMessage", fmt.Sprintf(`correlationKey: "hold-%s", name: "archive.found", payload: {text: "x"}`, key))
		}
		w.modules()
		for number, want := range map[string]string{"ENQ-A": "A:A 1.0.0", "ENQ-B": "B:B 1.0.0", "ENQ-C": "C:C 1.1.0", "ENQ-NEW": "B:prices3cret 1.0.0"} {
			if got := w.answer(number); got != want {
				t.Errorf("%s: the answer is %q, want %q", number, got, want)
			}
		}
		if strings.Contains(w.rows(), "s3cret") {
			t.Error("a secret of a configuration that open tasks began under is kept as it is")
		}
		for _, prefix := range []string{"E", "F"} {
			w.assigned("1.0.0", "full", fmt.Sprintf(`, fallbackRole: "l2", config: {prefix: "%s:"}`, prefix))
		}
		// Another region counts its generations by itself; the process of the plugin is the same.
		w.must("ha-admin", "assignPlugin", `versionID: "answering@1.0.0", regionID: "CN-HA-ZZ", topic: "answer.expert", mode: "full", inputs: [{name: "question", variable: "enquiry.question"}],
			outputs: [{name: "answer", variable: "enquiry.answer"}], timeoutSeconds: 60, fallbackRole: "l2", config: {prefix: "Z:"}`)
		w.question("ENQ-Z", "price")
		w.modules()
		if got := w.answer("ENQ-Z"); got != "Z:price 1.0.0" {
			t.Errorf("under the assignment of its own region the answer is %q, want Z:price 1.0.0", got)
		}
		w.verified()
	})
}

// TestRollBackRestoresEverything returns an assignment in one call.
func TestRollBackRestoresEverything(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		w.admit("1.1.0")
		look := func() string {
			return fmt.Sprint(w.get("ha-admin", `{ pluginAssignments(first: 5) { edges { node { mode config version { version } previousVersionID } } } }`, "pluginAssignments", "edges", 0, "node"))
		}
		w.assigned("1.0.0", "pilot", `, fallbackRole: "l2", config: {prefix: "A:"}`)
		before := look()
		w.assigned("1.1.0", "full", `, config: {prefix: "B:"}`)
		if got := look(); got == before {
			t.Fatalf("after the second assignment it is %s, as before", got)
		}
		w.ended("rollBackPlugin")
		if got := look(); got != before {
			t.Errorf("rolled back the assignment is %s, want %s", got, before)
		}
		w.question("ENQ-1", "price")
		w.modules()
		if got := w.answer("ENQ-1"); got != "A:price 1.0.0" {
			t.Errorf("rolled back the answer is %q, want A:price 1.0.0", got)
		}
	})
}
