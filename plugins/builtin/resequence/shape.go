package resequence

import (
	"cmp"
	"slices"

	"github.com/openspms/spms/plugins/builtin/flow"
)

// test is an activity that can end a case early, with the choice behind it: one flow leads
// onward, all others lead to the end without meeting what is ahead.
type test struct {
	activity, choice *flow.Node
	onward           *flow.Flow
	ahead, out       map[*flow.Node]bool // nodes that follow by the onward flow, and by the others alone
}

// chain are tests that follow one another directly, with the flows between: entry leads to
// the first.
type chain struct {
	entry *flow.Flow
	tests []*test
}

// chains finds the chains of two or more tests.
func chains(p *flow.Process) []chain {
	tests := map[*flow.Node]*test{}
	for _, n := range p.Nodes {
		if t := testOf(p, n); t != nil {
			tests[n] = t
		}
	}
	var out []chain
	for _, n := range p.Nodes {
		t := tests[n]
		if t == nil {
			continue
		}
		if before := n.In[0].From; len(before.In) == 1 {
			if b := tests[before.In[0].From]; b != nil && b.onward == n.In[0] {
				continue // not the first
			}
		}
		c := chain{entry: n.In[0]}
		for t != nil {
			c.tests = append(c.tests, t)
			t = tests[t.onward.To]
		}
		if len(c.tests) > 1 {
			out = append(out, c)
		}
	}
	return out
}

// testOf reads a node as a test; nil when it is none.
func testOf(p *flow.Process, n *flow.Node) *test {
	if !n.Activity() || n.Type == "subProcess" || len(n.In) != 1 || len(n.Out) != 1 || guarded(p, n) {
		return nil
	}
	g := n.Out[0].To
	if g.Type != "exclusiveGateway" || len(g.In) != 1 || len(g.Out) < 2 {
		return nil
	}
	var found *test
	for _, f := range g.Out {
		t := &test{activity: n, choice: g, onward: f, ahead: p.Reach(f.To), out: map[*flow.Node]bool{}}
		alone := works(t.ahead)
		for _, other := range g.Out {
			if other == f {
				continue
			}
			reached := p.Reach(other.To)
			for x := range reached {
				if t.ahead[x] && x.Type != "endEvent" {
					alone = false // they meet again: nothing ends early
				}
				t.out[x] = true
			}
		}
		if alone && (found == nil || size(t.ahead) > size(found.ahead)) {
			found = t
		}
	}
	if found == nil || works(found.out) && size(found.out) >= size(found.ahead) {
		return nil // the other way is as long: a choice between two kinds of work
	}
	return found
}

// guarded tells whether something hangs on a node.
func guarded(p *flow.Process, n *flow.Node) bool {
	return slices.ContainsFunc(p.Nodes, func(b *flow.Node) bool { return b.Attached == n.ID })
}

func works(nodes map[*flow.Node]bool) bool { return size(nodes) > 0 }

// size is the number of activities.
func size(nodes map[*flow.Node]bool) (count int) {
	for n := range nodes {
		if n.Activity() {
			count++
		}
	}
	return count
}

// reads and writes of a test include what its choice looks at.
func (t *test) reads() []string {
	out := slices.Clone(t.activity.Reads)
	for _, f := range t.choice.Out {
		out = append(out, flow.Names(f.Condition)...)
	}
	return out
}

// before tells whether a must stay before b: b looks at what a brings or the other way
// round, or both move clocks.
func before(a, b *test) bool {
	return flow.Touch(a.activity.Writes, b.reads()) || flow.Touch(b.activity.Writes, a.reads()) || flow.Touch(a.activity.Writes, b.activity.Writes) ||
		clocked(a.activity, a.choice) && clocked(b.activity, b.choice)
}

// clocked tells whether nodes start, stop or pause clocks.
func clocked(nodes ...*flow.Node) bool {
	return slices.ContainsFunc(nodes, func(n *flow.Node) bool { return len(n.Events) > 0 || n.Pauses })
}

// pairs are activities of which one follows the other directly and that need nothing of
// each other: they could run side by side.
func pairs(p *flow.Process) [][2]*flow.Node {
	var out [][2]*flow.Node
	plain := func(n *flow.Node) bool {
		return n.Activity() && n.Type != "subProcess" && len(n.In) == 1 && len(n.Out) == 1 && !guarded(p, n)
	}
	for _, a := range p.Nodes {
		if !plain(a) || a.Out[0].Condition != "" {
			continue
		}
		b := a.Out[0].To
		if b == a || !plain(b) || a.Parent != b.Parent || !independent(a, b) {
			continue
		}
		out = append(out, [2]*flow.Node{a, b})
	}
	return out
}

// independent tells whether neither looks at or writes what the other writes, at most one
// moves clocks, and not the same people do both.
func independent(a, b *flow.Node) bool {
	return !flow.Touch(a.Writes, b.Reads) && !flow.Touch(b.Writes, a.Reads) && !flow.Touch(a.Writes, b.Writes) &&
		!clocked(a) && !clocked(b) && (a.Role == "" || a.Role != b.Role)
}

// sequence orders tests by the knock-out rule, rejections per unit of effort, as far as
// what must stay before what allows. Source: W. M. P. van der Aalst: Re-engineering
// knock-out processes, Decision Support Systems 30 (2001) 451–468, proposition on the
// order of tasks; optimal when nothing constrains it.
func sequence(tests []*test, reject, effort []float64) []int {
	ratio := func(i int) float64 { return reject[i] / max(effort[i], 1e-9) }
	var out []int
	for len(out) < len(tests) {
		best := -1
		for i := range tests {
			if slices.Contains(out, i) {
				continue
			}
			free := true
			for j := range i {
				free = free && (slices.Contains(out, j) || !before(tests[j], tests[i]))
			}
			if free && (best < 0 || cmp.Compare(ratio(i), ratio(best)) > 0) {
				best = i
			}
		}
		out = append(out, best)
	}
	return out
}

// expected is the effort of a case on average when tests come in an order, each made only
// on what the ones before have let through. The tests are taken as independent.
func expected(order []int, reject, effort []float64) (total float64) {
	through := 1.0
	for _, i := range order {
		total += through * effort[i]
		through *= 1 - reject[i]
	}
	return total
}
