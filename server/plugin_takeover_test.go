package server_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// lives lets ten seconds pass in which a node says that it lives, dies one in which it
// does not, less than ten seconds long.
func (w *workshop) lives(h *server.House) {
	w.t.Helper()
	for range 5 {
		w.clock.Advance(2 * time.Second)
		if err := h.Beat(w.t.Context()); err != nil {
			w.t.Errorf("Beat() = %v", err)
		}
	}
}

func (w *workshop) dies() { w.clock.Advance(9 * time.Second) }

// TestSecondNodeRunsModules opens another node on the same database: it fetches the
// bundle by its digest, verifies and unpacks it and runs it, without being told to.
func TestSecondNodeRunsModules(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		w.assigned("1.0.0", "full", `, fallbackRole: "l2"`)
		second, dir := w.neighbour()
		if unpacked, _ := os.ReadDir(dir); len(unpacked) > 0 {
			t.Fatalf("before it works the folder of the second node holds %v", unpacked)
		}
		w.question("ENQ-1", "price")
		if n, err := second.Innovation.Tick(t.Context()); n != 1 || err != nil {
			t.Errorf("Tick() of the second node = %d, %v, want 1", n, err)
		}
		if got := w.answer("ENQ-1"); got != "price 1.0.0" {
			t.Errorf("the answer is %q, want that of the second node", got)
		}
		digest, _ := w.get("ha-admin", `{ plugin(name: "answering") { versions(first: 1) { edges { node { digest } } } } }`, "plugin", "versions", "edges", 0, "node", "digest").(string)
		if _, err := os.Stat(filepath.Join(dir, strings.TrimPrefix(digest, "sha256:"), "answering")); err != nil {
			t.Errorf("the second node has not unpacked the bundle: %v", err)
		}

		// What the database holds is not trusted: a node that finds another bundle runs nothing.
		other, err := bundle.Pack(answering(t, "1.0.0"), manifest("1.0.0"))
		if err != nil {
			t.Fatal(err)
		}
		damage(t, url, fmt.Sprintf("update plugin_artifacts set content = %s where digest = '%s'", bytesIn(url, other), digest))
		third, _ := w.neighbour()
		w.question("ENQ-2", "price")
		if _, err := third.Innovation.Tick(t.Context()); err != nil {
			t.Errorf("Tick() of the third node = %v", err)
		}
		if got := w.runsCode("ENQ-2"); got != "PLUGIN_CHANGED" {
			t.Errorf("with another bundle in the database the run ended with %q, want PLUGIN_CHANGED", got)
		}
	})
}

// bytesIn writes bytes as the database of url wants them.
func bytesIn(url string, data []byte) string {
	if strings.HasPrefix(url, "sqlite:") {
		return fmt.Sprintf("x'%x'", data)
	}
	return fmt.Sprintf("'\\x%x'", data)
}

// runsCode are the codes of the runs for a case.
func (w *workshop) runsCode(number string) string {
	w.t.Helper()
	list, _ := w.get("ha-admin", fmt.Sprintf(`{ pluginRuns(first: 50, where: {caseID: %q}, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { code } } } }`, w.caseID(number)), "pluginRuns", "edges").([]any)
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(dig(e, "node", "code")))
	}
	return strings.Join(out, " ")
}

// TestModuleTakenOver lets a node die over a call of a module: another takes the task
// over within ten seconds, and never from one that lives.
func TestModuleTakenOver(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		w.assigned("1.0.0", "full", `, fallbackRole: "l2", attempts: 1`)
		w.question("ENQ-0", "price")
		w.modules() // the process is there
		patience := func(seconds int) {
			w.must("ha-admin", "assignPlugin", fmt.Sprintf(`versionID: "answering@1.0.0", regionID: "CN-HA", topic: "answer.expert", mode: "full", timeoutSeconds: %d`, seconds))
		}
		patience(3)
		second, _ := w.neighbour()
		launch := func(h *server.House, want int, why string) {
			t.Helper()
			if n, err := h.Innovation.Launch(t.Context()); n != want || err != nil {
				t.Errorf("Launch() %s = %d, %v, want %d", why, n, err, want)
			}
		}
		w.question("ENQ-1", "hang")
		launch(w.house, 1, "of the first node")
		launch(second, 0, "while the first has just begun")
		w.lives(w.house)
		launch(second, 0, "while the first lives")
		w.dies()
		patience(8)
		launch(second, 1, "when the first is dead")
		w.house.Innovation.Wait() // it was not: its call ends late, and must change nothing
		if got := w.with("ENQ-1") + " " + w.runs("ENQ-1"); got != withModules+" running" {
			t.Errorf("after the first node's call the task is %s, want it with the second", got)
		}
		second.Innovation.Wait()
		if got := w.with("ENQ-1") + " " + w.runs("ENQ-1"); got != withPeople+" retry" {
			t.Errorf("after both the task is %s, want one run, and the task with people", got)
		}
		w.verified()
	})
}

// post takes letters and may let them wait.
type post struct {
	mu   sync.Mutex
	got  []string
	hold chan struct{}
	came chan struct{}
}

// Send implements execution.Messenger.
func (p *post) Send(_ context.Context, l execution.Letter) (string, error) {
	p.came <- struct{}{}
	<-p.hold
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, l.ID)
	return "taken", nil
}

// TestNoticeTakenOver lets a node die over the gateway: another sends the notice within
// ten seconds, and never while the first lives.
func TestNoticeTakenOver(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.printed(manual(t)[:4])
		w.dispatched("FTTH-2001", "13800002001", "x")
		w.must("integration", "completeTask", `caseNumber: "FTTH-2001", nodeID: "a_slot", variables: {appointment: {slotStart: "2026-03-04T00:30:00Z"}}, notices: [{channel: "sms", to: "contact.phone", text: "师傅明天上门"}]`)
		second, _ := w.neighbour()
		slow, quick := &post{hold: make(chan struct{}), came: make(chan struct{}, 2)}, &post{hold: make(chan struct{}), came: make(chan struct{}, 2)}
		close(quick.hold)
		var late sync.WaitGroup
		late.Go(func() {
			if _, err := w.house.Cases.SendNotices(t.Context(), slow); err != nil {
				t.Errorf("SendNotices() of the first node = %v", err)
			}
		})
		<-slow.came
		send := func(want int, why string) {
			t.Helper()
			if n, err := second.Cases.SendNotices(t.Context(), quick); n != want || err != nil {
				t.Errorf("SendNotices() %s = %d, %v, want %d", why, n, err, want)
			}
		}
		send(0, "while the first has just begun")
		w.lives(w.house)
		send(0, "while the first lives")
		w.dies()
		send(1, "when the first is dead")
		close(slow.hold)
		late.Wait()
		got := fmt.Sprint(w.get("ha-admin", `{ serviceCase(number: "FTTH-2001") { notices(first: 5) { edges { node { state attempts } } } } }`, "serviceCase", "notices", "edges"))
		if got != "[map[node:map[attempts:2 state:sent]]]" || fmt.Sprint(slow.got) != fmt.Sprint(quick.got) {
			t.Errorf("the notice is %s, and the gateway got %v and %v, want one letter", got, slow.got, quick.got)
		}
		w.verified()
	})
}

// TestTrialTakenOver is in TestTrials; TestStrategyTakenOver lets a node die over the
// run of a strategy, and then lets the strategy crash and never answer.
func TestStrategyTakenOver(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai), func(c *server.PluginConfig) { c.Limits.Talk = 12 * time.Second })
		w.strategy("crasher", "crash")
		w.strategy("sleeper", "hang")
		second, _ := w.neighbour()
		ask := func(strategy string) {
			t.Helper()
			w.must("ha-admin", "proposeChanges", fmt.Sprintf(`strategyID: "%s@1.0.0", processID: "ftth-install@1", regionID: "CN-HA-ZZ", seed: "7"`, strategy))
		}
		run := func() string {
			t.Helper()
			return fmt.Sprint(w.get("ha-admin", `{ optimizationRuns(last: 1, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { state code attempt } } } }`, "optimizationRuns", "edges", 0, "node"))
		}
		tick := func(h *server.House, want int, why string) {
			t.Helper()
			if n, err := h.Optimization.Tick(t.Context()); n != want || err != nil {
				t.Errorf("Tick() %s = %d, %v, want %d", why, n, err, want)
			}
		}
		ask("crasher")
		tick(w.house, 1, "of the one that crashes")
		if got := run(); got != "map[attempt:1 code:PLUGIN_CRASHED state:failed]" {
			t.Errorf("the run of the strategy that crashes is %s", got)
		}
		w.clock.Advance(time.Second)
		ask("sleeper")
		var first sync.WaitGroup
		first.Go(func() { tick(w.house, 1, "of the one that never answers") })
		for range 600 {
			if strings.Contains(fmt.Sprint(w.get("ha-admin", `{ pluginStatus { inFlight } }`, "pluginStatus")), "inFlight:1") {
				break // the strategy is being asked
			}
			time.Sleep(10 * time.Millisecond)
		}
		tick(second, 0, "while the first has just begun")
		w.lives(w.house)
		tick(second, 0, "while the first lives")
		w.dies()
		var other sync.WaitGroup
		other.Go(func() { tick(second, 1, "when the first is dead") })
		for range 600 {
			if strings.Contains(run(), "attempt:2") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := w.house.Beat(t.Context()); err != nil {
			t.Errorf("Beat() = %v", err)
		}
		first.Wait() // it has given up
		if got := run(); got != "map[attempt:2 code: state:running]" {
			t.Errorf("when the first node has given up the run is %s, want it running on the second", got)
		}
		other.Wait()
		if got := run(); got != "map[attempt:2 code:PLUGIN_TIMEOUT state:failed]" {
			t.Errorf("the run of the strategy that never answers is %s", got)
		}
		w.verified()
	})
}

// TestMetrics lets a module report what it has not declared: the answer counts for
// nothing, and against its record. A guarded metric that strays returns the assignment.
func TestMetrics(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		m := manifest("6.6.6")
		most := 5.0
		m.Metrics = m.Metrics[:1]
		m.Metrics[0].Max = &most
		status, digest := w.put("ha-admin", w.packed("6.6.6", m))
		w.must("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, digest))
		w.must("ha-admin", "testPlugin", `versionID: "answering@6.6.6", inputs: {question: "what"}`)
		w.tested("answering")
		record := func(version string) string {
			t.Helper()
			list, _ := w.get("ha-admin", `{ plugin(name: "answering") { versions(first: 5) { edges { node { version report record { runs failed violated } } } } } }`, "plugin", "versions", "edges").([]any)
			for _, e := range list {
				if dig(e, "node", "version") == version {
					return fmt.Sprint(dig(e, "node", "report"), dig(e, "node", "record"))
				}
			}
			return ""
		}
		if got := record("6.6.6"); status != 200 || !strings.Contains(got, "metrics: ") || !strings.HasSuffix(got, "map[failed:0 runs:0 violated:0]") {
			t.Errorf("a program that declares other metrics than its manifest is %s, want it found out", got)
		}
		damage(t, url, "update plugin_versions set state = 'approved' where digest = '"+digest+"'")
		w.assigned("6.6.6", "full", `, fallbackRole: "l2", guardRuns: 100`)
		for number, how := range map[string][2]string{"ENQ-1": {"count 7", "METRIC_OUT_OF_BOUNDS"}, "ENQ-2": {"spell 3", "METRIC_UNDECLARED"}, "ENQ-3": {"count 5", ""}, "ENQ-4": {"fail now", "NO_ANSWER"}} {
			w.question(number, how[0])
			w.modules()
			if got := w.runsCode(number); got != how[1] {
				t.Errorf("%s: the run ended with %q, want %q", how[0], got, how[1])
			}
			if want := map[bool]string{true: withPeople, false: "service integration completed"}[how[1] != ""]; w.with(number) != want {
				t.Errorf("%s: the task is %s, want %s", how[0], w.with(number), want)
			}
		}
		if got := record("6.6.6"); !strings.HasSuffix(got, "map[failed:1 runs:4 violated:2]") {
			t.Errorf("the record is %s, want 4 runs, 1 failed and 2 violated", got)
		}

		w.assigned("1.0.0", "full", "")
		guards := `versionID: "answering@1.0.0", regionID: "CN-HA", topic: "answer.expert", mode: "full", guards: [{metric: %s}]`
		w.wants("ha-admin", "assignPlugin", fmt.Sprintf(guards, `"lines", max: 3`), "METRIC_GUARD_UNKNOWN")
		w.wants("ha-admin", "assignPlugin", fmt.Sprintf(guards, `"words"`), "METRIC_GUARD_EMPTY")
		w.wants("ha-admin", "assignPlugin", fmt.Sprintf(guards, `"words", min: 4, max: 3`), "METRIC_GUARD_EMPTY")
		w.assigned("1.0.0", "full", `, guardRuns: 2, guards: [{metric: "words", min: 1, max: 3.5}]`)
		assignment := func() string {
			return fmt.Sprint(w.get("ha-admin", `{ pluginAssignments(first: 5) { edges { node { reason generation guards { metric min max } } } } }`, "pluginAssignments", "edges", 0, "node"))
		}
		for i, words := range []int{2, 5, 1} { // the means of two are 3.5 and 3
			number := fmt.Sprintf("ENQ-1%d", i)
			w.question(number, fmt.Sprintf("count %d", words))
			w.modules()
		}
		if got := assignment(); got != "map[generation:3 guards:[map[max:3.5 metric:words min:1]] reason:]" {
			t.Errorf("within its bounds the assignment is %s", got)
		}
		w.question("ENQ-20", "count 7")
		w.modules()
		if got := assignment(); !strings.HasSuffix(got, "reason:guard: the mean of words over 2 runs is 4]") {
			t.Errorf("out of its bounds the assignment is %s, want it returned", got)
		}
		w.verified()
	})
}
