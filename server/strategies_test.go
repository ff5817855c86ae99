package server_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// proposes lets a strategy propose for the fibre process in a region and returns the run.
func (w *workshop) proposes(strategy, process, more string) map[string]any {
	w.t.Helper()
	w.clock.Advance(time.Second)
	w.must("ha-admin", "proposeChanges", fmt.Sprintf(`strategyID: "%s@1.0.0", processID: %q, regionID: "CN-HA-ZZ", seed: "7"%s`, strategy, process, more))
	if _, err := w.house.Optimization.Tick(w.t.Context()); err != nil {
		w.t.Fatalf("Tick() of strategies = %v", err)
	}
	run, _ := w.get("ha-admin", `{ optimizationRuns(last: 1, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { id state code detail message events questions violations resultDigest logDigest replay
		proposals(first: 50) { edges { node { id number titleZh titleEn rationale edits claims state } } } } } } }`, "optimizationRuns", "edges", 0, "node").(map[string]any)
	w.clock.Advance(time.Second)
	if run["state"] != "done" || fmt.Sprint(run["violations"]) != "[]" {
		w.t.Fatalf("%s: the run = %v, want it done without violation", strategy, run)
	}
	return run
}

// proposed are the proposals of a run.
func proposed(run map[string]any) []map[string]any {
	var out []map[string]any
	edges, _ := dig(run, "proposals", "edges").([]any)
	for _, e := range edges {
		node, _ := dig(e, "node").(map[string]any)
		out = append(out, node)
	}
	return out
}

// visits plays fibre orders up to the end of the visit with one storekeeper, who is
// slow: orders come every quarter of an hour and his work takes twenty minutes.
func (w *workshop) visits(n int) {
	w.t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	type step struct {
		at time.Time
		do func()
	}
	var steps []step
	start, free := w.clock.Now(), w.clock.Now()
	for i := range n {
		number := fmt.Sprintf("SV-%03d", i)
		at := start.Add(time.Duration(i) * 15 * time.Minute)
		begun := at.Add(time.Minute)
		if free.After(begun) {
			begun = free
		}
		free = begun.Add(time.Duration(15+r.IntN(10)) * time.Minute)
		steps = append(steps,
			step{at, func() { w.order(number); w.work("zz-dispatcher", number, "a_disp", "") }},
			step{begun, func() { w.must("zz-store", "claimTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_stock"`, number)) }},
			step{free, func() { w.must("zz-store", "completeTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_stock"`, number)) }})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	for _, s := range steps {
		if d := s.at.Sub(w.clock.Now()); d > 0 {
			w.clock.Advance(d)
		}
		s.do()
	}
}

// TestStaffingStrategy plays orders that wait for a storekeeper, asks for the size of the
// pool, adopts it, and replays the run.
func TestStaffingStrategy(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 9, 0, 0, 0, shanghai))
		w.must("ha-admin", "createPool", `code: "stores-zz", nameZh: "郑州仓储", regionID: "CN-HA-ZZ", role: "storekeeper", size: 1, calendarCode: "field", costPerHourFen: 3500`)
		w.visits(30)
		config := `, config: {targetPercent: 90, withinMinutes: 10, minTasks: 20}`
		run := w.proposes("staffing", "ftth-install@1", config)
		found := proposed(run)
		if len(found) != 1 || !strings.HasPrefix(fmt.Sprint(found[0]["titleZh"]), "郑州仓储：由 1 人调整为 ") {
			t.Fatalf("it proposed %v and said %v, want more storekeepers and nothing else", found, run["message"])
		}
		var edits []struct{ Op, ID, From, Value string }
		if err := json.Unmarshal([]byte(fmt.Sprint(found[0]["edits"])), &edits); err != nil || len(edits) != 1 || edits[0].Op != "setCapacity" || edits[0].ID != "stores-zz" || edits[0].From != "1" {
			t.Fatalf("the edits are %v (%v)", found[0]["edits"], err)
		}
		if again := w.proposes("staffing", "ftth-install@1", config); again["resultDigest"] != run["resultDigest"] {
			t.Errorf("the same question again gave %v, want %v", proposed(again), found)
		}
		w.must("ha-admin", "replayOptimization", fmt.Sprintf(`runID: %q`, run["id"]))
		if _, err := w.house.Optimization.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		replay := func() any {
			return w.get("ha-admin", `{ optimizationRuns(last: 1, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { replay } } } }`, "optimizationRuns", "edges", 0, "node", "replay")
		}
		if got := replay(); got != "same" {
			t.Errorf("the replay says %v, want same", got)
		}

		id := fmt.Sprint(found[0]["id"])
		w.must("ha-admin", "adoptProposal", fmt.Sprintf(`proposalID: %q, reason: "旺季"`, id))
		size := func() string {
			return fmt.Sprint(w.get("ha-admin", `{ pools(first: 50) { edges { node { code size } } } }`, "pools"))
		}
		if got := size(); !strings.Contains(got, "code:stores-zz size:"+edits[0].Value) {
			t.Errorf("adopted, the pools are %s, want stores-zz of %s", got, edits[0].Value)
		}
		if got := fmt.Sprint(w.get("ha-admin", fmt.Sprintf(`{ node(id: %q) { ... on Proposal { state draftID } } }`, id), "node")); got != "map[draftID: state:adopted]" {
			t.Errorf("the proposal is %s, want it adopted without a draft", got)
		}
		audit := fmt.Sprint(w.get("demo-admin", `{ auditEntries(last: 20) { edges { node { operation detail } } } }`, "auditEntries"))
		if !strings.Contains(audit, "resizePools") || !strings.Contains(audit, "1 → "+edits[0].Value) || !strings.Contains(audit, "inverse") {
			t.Errorf("the audit has %s, want the new size and what takes it back", audit)
		}
		// What is adopted late is compared with what is there.
		other := proposed(w.proposes("staffing", "ftth-install@1", `, config: {targetPercent: 90, withinMinutes: 10, minTasks: 20, growthPercent: 400}`))
		if len(other) != 1 {
			t.Fatalf("for five times the demand, %s people are made %v", edits[0].Value, other)
		}
		pool := w.get("ha-admin", `{ pools(where: {code: "stores-zz"}) { edges { node { id } } } }`, "pools", "edges", 0, "node", "id")
		w.must("ha-admin", "updatePool", fmt.Sprintf(`poolID: %q, size: 9`, pool))
		w.wants("ha-admin", "adoptProposal", fmt.Sprintf(`proposalID: %q`, other[0]["id"]), "POOL_SIZE_STALE")
		w.must("ha-admin", "replayOptimization", fmt.Sprintf(`runID: %q`, run["id"]))
		if _, err := w.house.Optimization.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := replay(); got != "log_differs" {
			t.Errorf("with another pool the replay says %v, want log_differs", got)
		}
		w.verified()
	})
}

// checked publishes the fibre process with two tests that can end an order before the
// clocks begin: one of half an hour that hardly rejects, and one of twenty minutes that
// rejects every second order.
func (w *workshop) checked() {
	w.t.Helper()
	w.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1", changelog: "两道检查"`)
	w.must("hq-standard", "editProcessDraft", `versionID: "ftth-install@2", revision: 1, edits: [
		{op: "setVariable", variable: {name: "check.address", type: "bool"}}, {op: "setVariable", variable: {name: "check.debt", type: "bool"}},
		{op: "insertNode", flow: "f-g_sign-g_build", id: "k_address", type: "userTask", name: "地址复核", nameEn: "Address check"},
		{op: "insertNode", flow: "f-k_address-g_build", id: "g_address", type: "exclusiveGateway", name: "地址相符", nameEn: "Address right?"},
		{op: "insertNode", flow: "f-g_address-g_build", id: "k_debt", type: "userTask", name: "欠费核查", nameEn: "Debt check"},
		{op: "insertNode", flow: "f-k_debt-g_build", id: "g_debt", type: "exclusiveGateway", name: "无欠费", nameEn: "No debt?"},
		{op: "addNode", id: "e_address", type: "endEvent", name: "地址不符"}, {op: "addNode", id: "e_debt", type: "endEvent", name: "欠费"},
		{op: "addFlow", id: "x_address", from: "g_address", to: "e_address", name: "不符"}, {op: "addFlow", id: "x_debt", from: "g_debt", to: "e_debt", name: "欠费"},
		{op: "setDefault", id: "g_address", flow: "x_address"}, {op: "setDefault", id: "g_debt", flow: "x_debt"},
		{op: "setCondition", id: "f-g_address-g_build", value: "has(check.address) && check.address"}, {op: "setCondition", id: "f-g_debt-g_build", value: "has(check.debt) && check.debt"},
		{op: "setForm", id: "k_address", fields: [{variable: "check.address", required: true}]}, {op: "setForm", id: "k_debt", fields: [{variable: "check.debt", required: true}]},
		{op: "setRole", id: "k_address", value: "agent"}, {op: "setRole", id: "k_debt", value: "dispatcher"},
		{op: "setStage", id: "k_address", value: "design"}, {op: "setStage", id: "k_debt", value: "design"}]`)
	w.release("ftth-install@2", 2)
}

// checks plays orders through both tests up to the end of the dispatch. All come within
// an hour; one dispatcher works from 8 to 20 o'clock, first come first served, so that
// orders that are due today wait behind tests that have no clock.
func (w *workshop) checks(n int) {
	w.t.Helper()
	type item struct {
		number, node string
		at           time.Time
	}
	var queue []item
	until := func(at time.Time) {
		if d := at.Sub(w.clock.Now()); d > 0 {
			w.clock.Advance(d)
		}
	}
	for i := range n {
		number := fmt.Sprintf("CK-%03d", i)
		w.order(number)
		w.must("zz-agent", "claimTask", fmt.Sprintf(`caseNumber: %q, nodeID: "k_address"`, number))
		w.clock.Advance(time.Minute)
		queue = append(queue, item{number, "k_debt", time.Time{}})
	}
	w.clock.Advance(30 * time.Minute)
	for i := range queue {
		w.must("zz-agent", "completeTask", fmt.Sprintf(`caseNumber: %q, nodeID: "k_address", variables: {check: {address: true}}`, queue[i].number))
		w.clock.Advance(time.Second)
		queue[i].at = w.clock.Now()
	}
	for free := w.clock.Now(); len(queue) > 0; {
		x := queue[0]
		queue = queue[1:]
		if x.at.After(free) {
			free = x.at
		}
		if local := free.In(shanghai); local.Hour() >= 20 {
			free = time.Date(local.Year(), local.Month(), local.Day()+1, 8, 0, 0, 0, shanghai)
		}
		until(free)
		task := fmt.Sprintf(`caseNumber: %q, nodeID: %q`, x.number, x.node)
		w.must("zz-dispatcher", "claimTask", task)
		if x.node == "a_disp" {
			free = free.Add(10 * time.Minute)
			until(free)
			w.must("zz-dispatcher", "completeTask", task)
			continue
		}
		free = free.Add(20 * time.Minute)
		until(free)
		good := x.number[len(x.number)-1]%2 == 0
		w.must("zz-dispatcher", "completeTask", task+fmt.Sprintf(`, variables: {check: {debt: %v}}`, good))
		if good {
			queue = append(queue, item{x.number, "a_disp", free})
		}
	}
}

// TestOrderStrategies asks for the order of two tests and for who goes first, adopts and
// publishes, and ranks a worklist.
func TestOrderStrategies(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 8, 30, 0, 0, shanghai))
		w.checked()
		w.checks(40)

		run := w.proposes("resequence", "ftth-install@2", `, config: {minCases: 20}`)
		found := proposed(run)
		if len(found) != 1 || found[0]["titleZh"] != "先做淘汰多、花费少的检查：欠费核查 → 地址复核" {
			t.Fatalf("it proposed %v and said %v, want the debt check first", found, run["message"])
		}
		w.must("demo-admin", "adoptProposal", fmt.Sprintf(`proposalID: %q`, found[0]["id"]))
		draft := fmt.Sprint(w.get("demo-admin", fmt.Sprintf(`{ node(id: %q) { ... on Proposal { draftID } } }`, found[0]["id"]), "node", "draftID"))
		w.must("demo-admin", "submitProcess", fmt.Sprintf(`versionID: %q, revision: 2`, draft))
		w.must("hq-standard", "publishProcess", fmt.Sprintf(`versionID: %q, revision: 3`, draft))
		if got := fmt.Sprint(w.get("demo-admin", fmt.Sprintf(`{ processDiff(from: "ftth-install@2", to: %q) { markdown } }`, draft), "processDiff", "markdown")); !strings.Contains(got, `k\_debt`) {
			t.Errorf("the published version differs by %s, want the tests in another order", got)
		}

		run = w.proposes("assignment", "ftth-install@2", `, config: {minTasks: 20}`)
		found = proposed(run)
		if len(found) != 1 || found[0]["titleZh"] != "装维调度：时限短的环节优先" || !strings.Contains(fmt.Sprint(found[0]["edits"]), `{"id":"a_disp","op":"setPriority","value":"90"}`) {
			t.Fatalf("it proposed %v and said %v, want the dispatch of orders with a clock before tests without", found, run["message"])
		}
		w.must("demo-admin", "adoptProposal", fmt.Sprintf(`proposalID: %q`, found[0]["id"]))

		w.must("ha-admin", "assignPlugin", `versionID: "assignment@1.0.0", regionID: "CN-HA", mode: "full", config: {agingHours: 24}`)
		ranked, _ := w.get("zz-store", `{ rankedWorklist(regionID: "CN-HA-ZZ") { score reason code task { nodeID } version { version } } }`, "rankedWorklist").([]any)
		if len(ranked) == 0 {
			t.Fatal("the worklist is empty")
		}
		last := 1e18
		for _, r := range ranked {
			score, ok := dig(r, "score").(float64)
			if !ok || score > last || dig(r, "code") != "" || dig(r, "reason") == "" {
				t.Errorf("ranked is %v after %v, want falling scores with reasons", r, last)
			}
			last = score
		}
		w.verified()
	})
}

// TestProtectedStrategy lets a strategy that means no good touch protected steps: every
// one is named and nothing is kept.
func TestProtectedStrategy(t *testing.T) {
	t.Parallel()
	w := openWorkshop(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	w.strategy("stripper", "strip")
	w.must("ha-admin", "proposeChanges", `strategyID: "stripper@1.0.0", processID: "ftth-install@1", regionID: "CN-HA-ZZ", seed: "7"`)
	if _, err := w.house.Optimization.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := w.get("ha-admin", `{ optimizationRuns(last: 1) { edges { node { state violations proposals(first: 50) { edges { node { edits } } } } } } }`, "optimizationRuns", "edges", 0, "node")
	if got := fmt.Sprint(dig(run, "violations")); got != "[PROTECTED_STEP POOL_NOT_FOUND POOL_FOREIGN_REGION POOL_SIZE_STALE CAPACITY_OUT_OF_BOUNDS CAPACITY_TWICE]" || dig(run, "state") != "done" {
		t.Errorf("the run is %v with %s, want it done with PROTECTED_STEP and the faults of capacities", dig(run, "state"), got)
	}
	kept, _ := dig(run, "proposals", "edges").([]any)
	if len(kept) != 1 || !strings.Contains(fmt.Sprint(kept), "tech-zz") {
		t.Errorf("kept are %v, want the one good capacity of tech-zz", kept)
	}
}
