package server_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// TestTrials tests a version that hangs in some rules: the one who asks does not wait
// for the end, nobody else may ask meanwhile, and the report comes. A test whose node
// was killed is taken up again when its lease has ended, and given up in the end.
func TestTrials(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		_, digest := w.put("ha-admin", w.pack("1.0.0"))
		w.must("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, digest))
		const ref = `versionID: "answering@1.0.0"`
		state := func() string {
			v, _ := w.get("ha-admin", `{ plugin(name: "answering") { versions(first: 1) { edges { node { state testState conforms report } } } } }`, "plugin", "versions", "edges", 0, "node").(map[string]any)
			return fmt.Sprintf("%v %v %v %v", v["state"], v["testState"], v["conforms"], v["report"])
		}
		waiting := func() int {
			t.Helper()
			n, err := w.house.Innovation.TryWaiting(t.Context())
			if err != nil {
				t.Fatalf("TryWaiting() = %v", err)
			}
			return n
		}
		w.must("ha-admin", "testPlugin", ref+`, inputs: {question: "hang"}`)
		if got := state(); !strings.HasPrefix(got, "verified running false") {
			t.Errorf("while it hangs the version is %s, want it verified and its test running", got)
		}
		w.wants("ha-admin", "testPlugin", ref, "PLUGIN_TEST_RUNNING")
		w.wants("demo-admin", "approvePlugin", ref, "PLUGIN_VERSION_STATE")
		for range 3 {
			w.clock.Advance(5 * time.Second)
			if n := waiting(); n != 0 {
				t.Errorf("TryWaiting() = %d while a node has the test, want 0", n)
			}
			if err := w.house.Beat(t.Context()); err != nil {
				t.Errorf("Beat() = %v", err)
			}
		}
		w.tested("answering")
		if got := state(); !strings.HasPrefix(got, "verified done false") || !strings.Contains(got, "wrong") {
			t.Errorf("the version that hangs is %s, want a report of what is wrong", got)
		}
		w.must("ha-admin", "testPlugin", ref+`, inputs: {question: "what"}, config: {token: "s3cret"}`)
		w.tested("answering")
		if got := state(); !strings.HasPrefix(got, "tested done true") {
			t.Errorf("the version is %s, want it tested", got)
		}
		row := w.rows()
		if strings.Contains(row, "s3cret") {
			t.Error("the secret of the test's configuration is kept as it is")
		}

		killed := func(attempt int) {
			damage(t, w.url, fmt.Sprintf("update plugin_versions set test_state = 'running', state = 'verified', report = '', test_attempt = %d where digest = '%s'", attempt, digest))
			w.clock.Advance(9 * time.Second)
		}
		killed(1)
		if n := waiting(); n != 1 {
			t.Errorf("TryWaiting() = %d after the lease of a killed node, want 1", n)
		}
		w.tested("answering")
		if got := state(); !strings.HasPrefix(got, "tested done true") {
			t.Errorf("taken up again the version is %s, want it tested", got)
		}
		killed(3)
		waiting()
		w.tested("answering")
		if got := state(); !strings.HasPrefix(got, "verified lost false") || !strings.Contains(got, "never ended") {
			t.Errorf("after three nodes the version is %s, want its test lost", got)
		}
		w.verified()
	})
}

// TestBundleQuota stores more than a person and a region may, and sees what nobody
// entered into the catalog gone after a day.
func TestBundleQuota(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai), func(c *server.PluginConfig) {
			c.Quota.PerPerson, c.Quota.PerRegion = 1, 1
		})
		first := w.pack("1.0.0")
		one := int64(len(first))
		if status, body := w.put("ha-admin", first); status != http.StatusInsufficientStorage || !strings.Contains(body, "BUNDLE_QUOTA") {
			t.Errorf("PUT /bundles of %d bytes = %d %s, want 507 BUNDLE_QUOTA", one, status, body)
		}
		w = openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai), func(c *server.PluginConfig) {
			c.Quota.PerPerson, c.Quota.PerRegion = one+one/2, one+one/2
		})
		first, second := w.pack("1.0.0"), w.pack("1.1.0")
		status, digest := w.put("ha-admin", first)
		if status != http.StatusOK {
			t.Fatalf("PUT /bundles = %d %s, want 200", status, digest)
		}
		if status, body := w.put("ha-admin", second); status != http.StatusInsufficientStorage {
			t.Errorf("a second bundle = %d %s, want 507", status, body)
		}
		if status, _ := w.put("ha-admin", first); status != http.StatusOK {
			t.Errorf("the same bundle again = %d, want 200: it takes no room", status)
		}
		w.must("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, digest))
		status, other := w.put("ha-admin", second)
		if status != http.StatusOK {
			t.Errorf("a second bundle, the first being in the catalog = %d %s, want 200", status, other)
		}
		w.wants("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, other), "PLUGIN_REGION_QUOTA")
		sweep := func(want int) {
			t.Helper()
			if n, err := w.house.Innovation.Sweep(t.Context()); err != nil || n != want {
				t.Errorf("Sweep() = %d, %v, want %d", n, err, want)
			}
		}
		w.clock.Advance(23 * time.Hour)
		sweep(0)
		w.clock.Advance(2 * time.Hour)
		sweep(1)
		w.wants("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, other), "PLUGIN_BUNDLE_NOT_FOUND")
		w.must("ha-admin", "testPlugin", `versionID: "answering@1.0.0"`) // its bundle is still there
		w.tested("answering")
		w.must("demo-admin", "approvePlugin", `versionID: "answering@1.0.0"`)
		w.verified()
	})
}

// TestSlowNeighbour lets one region's module hang: the module of another topic goes on
// beside it.
func TestSlowNeighbour(t *testing.T) {
	t.Parallel()
	w := openWorkshop(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	w.process()
	w.admit("1.0.0")
	assign := func(region string, timeout int) {
		w.must("ha-admin", "assignPlugin", fmt.Sprintf(`versionID: "answering@1.0.0", regionID: %q, topic: "answer.expert", mode: "full", timeoutSeconds: %d, concurrency: 1,
			inputs: [{name: "question", variable: "enquiry.question"}], outputs: [{name: "answer", variable: "enquiry.answer"}], fallbackRole: "l2"`, region, timeout))
	}
	assign("CN-HA", 60)
	w.question("ENQ-HANG", "hang")
	if n, err := w.house.Innovation.Launch(t.Context()); n != 1 || err != nil {
		t.Fatalf("Launch() = %d, %v, want the task begun", n, err)
	}
	w.question("ENQ-BEHIND", "price")
	if n, err := w.house.Innovation.Launch(t.Context()); n != 0 || err != nil {
		t.Errorf("Launch() = %d, %v, want none: the assignment has one place", n, err)
	}
	assign("CN-HA-ZZ", 60) // nearer: its own assignment with places of its own
	if n, err := w.house.Innovation.Launch(t.Context()); n != 1 || err != nil {
		t.Errorf("Launch() = %d, %v, want the task that waited begun", n, err)
	}
	for range 600 {
		if w.answer("ENQ-BEHIND") == "price 1.0.0" {
			return // and the one that hangs is still at it
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("beside a module that hangs the answer is %q, want that of the other", w.answer("ENQ-BEHIND"))
}

// TestEveryHostileModule lets a module do in a case everything that harms: no case fails
// or is stuck, the task is done or goes to people, and the state of the plugin says why.
func TestEveryHostileModule(t *testing.T) {
	t.Parallel()
	w := openWorkshop(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	w.process()
	w.admit("1.0.0")
	// limit says how long a call may take. What never comes back takes all of it; anything
	// else has as long as a slow machine needs.
	limit := func(seconds int) {
		t.Helper()
		w.must("ha-admin", "assignPlugin", fmt.Sprintf(`versionID: "answering@1.0.0", regionID: "CN-HA", topic: "answer.expert", mode: "full", timeoutSeconds: %d, attempts: 1, guardRuns: 1000,
			inputs: [{name: "question", variable: "enquiry.question"}], outputs: [{name: "answer", variable: "enquiry.answer"}], fallbackRole: "l2"`, seconds))
	}
	// recovers asks until the plugin answers: a process that was slow to come back may be
	// killed for it a moment later.
	recovers := func(after string) {
		t.Helper()
		limit(30)
		for try := range 10 {
			w.must("demo-admin", "releasePlugin", `versionID: "answering@1.0.0", reason: "again"`)
			number := fmt.Sprintf("ENQ-%s-%d", after, try)
			w.question(number, "price")
			w.modules()
			if w.answer(number) == "price 1.0.0" {
				return
			}
		}
		t.Errorf("after %s the plugin gives no answer any more: %v", after, w.get("ha-admin", `{ pluginStatus { state lastExit lastLog } }`, "pluginStatus", 0))
	}
	recovers("START")
	for _, hostile := range [][2]string{
		{"crash", "it ended in a call"},
		{"panic", ""},
		{"reply", ""},
		{"flood", ""},
		{"hang", "did not come back"},
		{"stop", "did not come back"},
		{"memory", "killed|memory"}, // by its limit, or by its deadline where the machine is slow to give it that much
	} {
		how, want := hostile[0], hostile[1]
		number := "ENQ-" + strings.ToUpper(how)
		if how == "hang" || how == "stop" {
			limit(1)
		}
		w.question(number, how)
		w.modules()
		if how == "flood" {
			if got := w.answer(number); got != "flood 1.0.0" {
				t.Errorf("flood: the answer is %q, want one: to log much is no crime", got)
			}
			continue
		}
		if got := fmt.Sprint(w.task(number, "a_expert", "kind role")); got != "map[kind:human nodeID:a_expert role:l2]" {
			t.Errorf("%s: the task is %s, want it with people", how, got)
		}
		last, told := "", regexp.MustCompile(want)
		for range 100 { // the process that hangs is killed a moment after its deadline
			if last = fmt.Sprint(w.get("ha-admin", `{ pluginStatus { lastExit lastLog } }`, "pluginStatus", 0)); told.MatchString(last) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if !told.MatchString(last) {
			t.Errorf("%s: the plugin is %.600s, want it told: %s", how, last, want)
		}
		recovers(strings.ToUpper(how))
	}
	w.verified()
}
