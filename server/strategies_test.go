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
	storetest.EachURL(t, func(t *testing.T, url string) {
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
