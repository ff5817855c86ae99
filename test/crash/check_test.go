package crash_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// finding is one thing that a crash has broken.
type finding struct {
	kind   string // lost, doubled, changed, refused, unanswered or stray
	key    string // of the mutation, or the effect when no key explains it
	detail string
}

// traces are what the database holds, as far as clients can have caused it.
type traces struct {
	effects map[string]int       // how often each effect is there, named as effectsOf does
	keys    map[string]int       // how many rows there are of each idempotency key
	kept    map[string]time.Time // since when
}

// check compares what the clients can prove with what the database holds:
//
//	lost        an acknowledged mutation whose effect or key is not there
//	doubled     a mutation whose effect or key is there more than once
//	changed     an acknowledged key that was answered differently when sent again
//	refused     a mutation that only a lost or doubled one before it can make fail
//	unanswered  a key that never got its answer
//	stray       an effect that no client has asked for
//
// It reads nothing else and says all it finds, in the order of the journals.
func check(journals [][]*entry, held traces) []finding {
	var out []finding
	add := func(kind, key, format string, args ...any) {
		out = append(out, finding{kind, key, fmt.Sprintf(format, args...)})
	}
	asked := map[string]bool{}
	for _, e := range slices.Concat(journals...) {
		effects := effectsOf(e)
		refused := e.acked && e.operation != batch && strings.Contains(e.answer, `"code":`)
		switch {
		case refused:
			add("refused", e.key, "%s is refused: %s", e.operation, e.answer)
		case !e.acked:
			add("unanswered", e.key, "%s never got an answer", e.operation)
		}
		for _, effect := range effects {
			asked[effect] = true
			if e.acked && !refused && held.effects[effect] == 0 {
				add("lost", e.key, "%s is acknowledged and not there", effect)
			}
		}
		for _, key := range keysOf(e) {
			switch n := held.keys[key]; {
			case n == 0 && e.acked && !refused:
				add("lost", e.key, "key %s is acknowledged and not kept", key)
			case n > 1:
				add("doubled", e.key, "key %s is kept %d times", key, n)
			}
		}
		for _, again := range e.again {
			if again != e.answer {
				add("changed", e.key, "%s was answered %s, then %s", e.operation, e.answer, again)
			}
		}
	}
	for _, effect := range slices.Sorted(maps.Keys(held.effects)) {
		switch n := held.effects[effect]; {
		case !asked[effect]:
			add("stray", effect, "nobody asked for it")
		case n > 1:
			add("doubled", effect, "it is there %d times", n)
		}
	}
	return out
}

// batch is the mutation whose items are each done, or refused, by themselves: a worker may
// have lost its lease meanwhile.
const batch = "completeTasks"

// input is what effects are named by.
type input struct {
	ProcessKey, CaseID, CaseNumber, FailureID, NodeID, Name string
	Items                                                   []input
}

// effectsOf names the traces that a mutation leaves, such as
// "complete 20260303-8QK2F6XW a_reg". A case is known by the key that started
// it, which the client gives as the title. The message that sets a timer also
// leaves the task to which the timer leads; a case that calls another one leaves
// that, and what comes back from it.
func effectsOf(e *entry) []string {
	var in input
	_ = json.Unmarshal([]byte(e.input), &in)
	switch {
	case e.operation == "startCase" && in.ProcessKey == askProcess:
		return []string{"start " + e.key, "call " + e.key, "told " + e.key, "answered " + e.key}
	case e.operation == "startCase":
		return []string{"start " + e.key}
	case e.operation == "sendMessage" && in.Name == slotMessage:
		return []string{"message " + in.CaseNumber + " " + in.Name, "reach " + in.CaseNumber + " " + visitNode}
	case e.operation == "sendMessage":
		return []string{"message " + in.CaseNumber + " " + in.Name}
	case e.operation == "setCaseVariables":
		return []string{"set " + in.CaseID}
	case e.operation == "retryFailure":
		return []string{"retry " + in.FailureID}
	case e.operation == batch:
		var out []string
		for _, i := range doneOf(e) {
			out = append(out, "complete "+in.Items[i].CaseNumber+" "+in.Items[i].NodeID)
		}
		return out
	}
	return []string{strings.TrimSuffix(e.operation, "Task") + " " + in.CaseNumber + " " + in.NodeID}
}

// keysOf are the keys that a mutation leaves: its own, of a batch those of its items.
func keysOf(e *entry) []string {
	if e.operation != batch {
		return []string{e.key}
	}
	var out []string
	for _, i := range doneOf(e) {
		out = append(out, fmt.Sprintf("%s#%d", e.key, i))
	}
	return out
}

// doneOf are the items of a batch that were not refused, by number.
func doneOf(e *entry) []int {
	var answer struct {
		Results []struct{ UserErrors []any }
	}
	_ = json.Unmarshal([]byte(e.answer), &answer)
	var out []int
	for i, r := range answer.Results {
		if len(r.UserErrors) == 0 {
			out = append(out, i)
		}
	}
	return out
}

// TestCheck breaks a small house in every way and finds it.
func TestCheck(t *testing.T) {
	t.Parallel()
	start := func() *entry {
		return &entry{key: "k1", operation: "startCase", input: `{"title":"k1"}`, acked: true, answer: `{"id":"case_1"}`}
	}
	complete := func() *entry {
		return &entry{key: "k2", operation: "completeTask", input: `{"caseNumber":"N1","nodeID":"a"}`, acked: true, answer: `{"id":"task_1"}`}
	}
	whole := func() traces {
		return traces{effects: map[string]int{"start k1": 1, "complete N1 a": 1}, keys: map[string]int{"k1": 1, "k2": 1}}
	}
	tests := []struct {
		name  string
		crash func(start, complete *entry, h traces)
		want  []string
	}{
		{"nothing", func(_, _ *entry, _ traces) {}, nil},
		{"repeated with the same answer", func(s, _ *entry, _ traces) { s.again = []string{s.answer, s.answer} }, nil},
		{"repeated with another answer", func(s, _ *entry, _ traces) { s.again = []string{s.answer, `{"id":"case_2"}`} }, []string{"changed k1"}},
		{"a case is gone", func(_, _ *entry, h traces) { delete(h.effects, "start k1"); delete(h.keys, "k1") }, []string{"lost k1", "lost k1"}},
		{"a completion is gone", func(_, _ *entry, h traces) { delete(h.effects, "complete N1 a") }, []string{"lost k2"}},
		{"a key is gone", func(_, _ *entry, h traces) { delete(h.keys, "k2") }, []string{"lost k2"}},
		{"two cases", func(_, _ *entry, h traces) { h.effects["start k1"] = 2 }, []string{"doubled start k1"}},
		{"two completions, unanswered", func(_, c *entry, h traces) { h.effects["complete N1 a"], c.acked = 2, false }, []string{"unanswered k2", "doubled complete N1 a"}},
		{"a key twice", func(_, _ *entry, h traces) { h.keys["k1"] = 2 }, []string{"doubled k1"}},
		{"a retry that is refused", func(_, c *entry, _ traces) { c.answer = `{"userErrors":[{"code":"TASK_STATE"}]}` }, []string{"refused k2"}},
		{"a case nobody asked for", func(_, _ *entry, h traces) { h.effects["start k9"] = 1 }, []string{"stray start k9"}},
		{"an item of a batch is gone", func(_, c *entry, h traces) { itemised(c, h); delete(h.effects, "complete N1 a") }, []string{"lost k2"}},
		{"the key of an item is gone", func(_, c *entry, h traces) { itemised(c, h); delete(h.keys, "k2#0") }, []string{"lost k2"}},
		{"an item of a batch that was refused", func(_, c *entry, h traces) { itemised(c, h) }, nil},
		{"an item that was refused and done", func(_, c *entry, h traces) { itemised(c, h); h.effects["complete N2 a"] = 1 }, []string{"stray complete N2 a"}},
		{"applied without an answer", func(_, c *entry, _ traces) { c.acked = false }, []string{"unanswered k2"}},
	}
	for _, tt := range tests {
		s, c, h := start(), complete(), whole()
		tt.crash(s, c, h)
		var got []string
		for _, f := range check([][]*entry{{s}, {c}}, h) {
			got = append(got, f.kind+" "+f.key)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: check() = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// itemised makes a completion a batch of two, the second of which was refused.
func itemised(e *entry, h traces) {
	e.operation, e.input = batch, `{"items":[{"caseNumber":"N1","nodeID":"a"},{"caseNumber":"N2","nodeID":"a"}]}`
	e.answer = `{"results":[{"task":{"id":"task_1"},"userErrors":[]},{"userErrors":[{"code":"TASK_LEASE_LOST"}]}]}`
	delete(h.keys, "k2")
	h.keys["k2#0"] = 1
}
