package model

import (
	"slices"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
)

// maxMarkings bounds the states explored of one scope where the polynomial check
// does not apply, or does not find an example by itself.
const maxMarkings = 50_000

// maxSubsets bounds the flows of a node that are taken in any combination.
const maxSubsets = 6

// Sound checks the process and each subprocess by itself: no token waits for ever
// at a join (SOUND_DEADLOCK), no two tokens meet on one flow
// (SOUND_LACK_OF_SYNCHRONISATION), and the end can always be reached
// (SOUND_NO_COMPLETION). Elements of a finding are the nodes of an example path.
// Conditions are taken as free choices, a boundary event as a choice, one that
// does not interrupt as happening once or not; what undoes an activity is not on the
// normal flow. The check is polynomial where joins are exclusive or parallel and no end
// cancels others: such a graph is a free-choice net (Desel and Esparza, Free Choice Petri Nets, 1995). With
// inclusive joins, terminate or error ends up to 50,000 states are explored;
// beyond that SOUND_UNDECIDED is noted.
func Sound(m *Model) []Finding {
	var out []Finding
	for parent := None; parent < len(m.Nodes); parent++ {
		if parent != None && !m.Nodes[parent].Container() {
			continue
		}
		n, ok := newNet(m, parent)
		if !ok {
			out = append(out, undecided(m, parent))
			continue
		}
		if n.free && n.fast() {
			continue
		}
		v, done := n.explore(n.beginning(), maxMarkings, nil)
		switch {
		case v != nil:
			out = append(out, Finding{Code: v.code, Severity: SeverityError, Elements: v.path, Params: []fault.Param{fault.P("node", v.path[len(v.path)-1])}})
		case !done && n.free:
			out = append(out, Finding{
				Code: "SOUND_DEADLOCK", Severity: SeverityError, Elements: []string{m.Nodes[n.suspect].ID},
				Params: []fault.Param{fault.P("node", m.Nodes[n.suspect].ID)},
			})
		case !done:
			out = append(out, undecided(m, parent))
		}
	}
	return out
}

func undecided(m *Model, parent int) Finding {
	id := m.graph.ID
	if parent != None {
		id = m.Nodes[parent].ID
	}
	return Finding{Code: "SOUND_UNDECIDED", Severity: SeverityNote, Elements: []string{id}, Params: []fault.Param{fault.P("limit", maxMarkings)}}
}

// net is one scope as a Petri net: a place for each flow (and link), one more
// where it begins; a transition for each way a node can consume and produce.
type net struct {
	m       *Model
	places  int
	target  []int // node that a token on the place waits at
	flow    []int // the flow that the place stands for, None for others
	moves   []move
	out     [][]int // by place: moves that consume from it
	free    bool    // free choice, and no end cancels others
	suspect int     // node at which the fast check failed
}

// move is a transition; an inclusive join consumes what is there of its places.
type move struct {
	node    int
	in, out []int
	any     bool // inclusive join
	cancels bool // terminate or error end: everything goes
	option  int  // which of how many options of the node
	options int
}

// newNet builds the net of a scope. It reports false when a node has too many
// flows to take in any combination.
func newNet(m *Model, parent int) (*net, bool) {
	n := &net{m: m, free: true, places: 1, target: []int{None}, flow: []int{None}, suspect: None}
	ins, outs := map[int][]int{}, map[int][]int{} // places by node
	place := func(from, to, flow int) {
		ins[to], outs[from] = append(ins[to], n.places), append(outs[from], n.places)
		n.target, n.flow = append(n.target, to), append(n.flow, flow)
		n.places++
	}
	for f := range m.Flows { // in the order of Node.In
		if m.Nodes[m.Flows[f].From].Parent == parent {
			place(m.Flows[f].From, m.Flows[f].To, f)
		}
	}
	for i := range m.Nodes {
		if m.Nodes[i].Parent == parent && m.Nodes[i].LinkTo != None {
			place(i, m.Nodes[i].LinkTo, None)
		}
	}
	starts := m.Starts
	if parent != None {
		starts = m.Nodes[parent].Starts
	}
	for i, s := range starts {
		n.moves = append(n.moves, move{node: s, in: []int{0}, out: outs[s], option: i, options: len(starts)})
	}
	for i := range m.Nodes {
		node := &m.Nodes[i]
		if node.Parent != parent || node.Type == bpmn.StartEvent || node.Type == bpmn.BoundaryEvent || node.EventSub || node.ForCompensation {
			continue
		}
		options, ok := n.options(node, outs)
		if !ok {
			return nil, false
		}
		n.consume(node, ins[i], options)
	}
	n.out = make([][]int, n.places)
	for i, mv := range n.moves {
		for _, p := range mv.in {
			n.out[p] = append(n.out[p], i)
		}
	}
	return n, true
}

// options returns the sets of places a node can produce on.
func (n *net) options(node *Node, outs map[int][]int) ([][]int, bool) {
	own := outs[node.Index]
	var options [][]int
	switch {
	case node.Type == bpmn.EndEvent:
		return [][]int{nil}, true
	case node.Type == bpmn.ExclusiveGateway, node.Type == bpmn.EventBasedGateway:
		for _, p := range own {
			options = append(options, []int{p})
		}
	case node.Type == bpmn.InclusiveGateway, n.conditional(node):
		if len(own) > maxSubsets {
			return nil, false
		}
		options = subsets(own)[1:]
	default:
		options = [][]int{own}
	}
	var beside []int // boundary events that do not interrupt
	for _, b := range node.Boundary {
		if n.m.Nodes[b].Interrupting {
			options = append(options, outs[b])
		} else {
			beside = append(beside, b)
		}
	}
	if len(beside) > maxSubsets {
		return nil, false
	}
	var all [][]int
	for _, with := range subsets(beside) {
		for _, o := range options {
			set := slices.Clone(o)
			for _, b := range with {
				set = append(set, outs[b]...)
			}
			all = append(all, set)
		}
	}
	return all, true
}

// conditional reports whether a node other than a gateway decides by conditions.
func (n *net) conditional(node *Node) bool {
	for _, f := range node.Out {
		if n.m.Flows[f].Condition != nil {
			return true
		}
	}
	return false
}

// subsets returns all subsets of few things, the empty one first.
func subsets(of []int) [][]int {
	out := [][]int{nil}
	for _, x := range of {
		for _, s := range out[:len(out):len(out)] {
			out = append(out, append(slices.Clone(s), x))
		}
	}
	return out
}

// consume adds the moves of a node for each option.
func (n *net) consume(node *Node, ins []int, options [][]int) {
	cancels := node.Type == bpmn.EndEvent && (node.Kind == bpmn.TerminateEvent || node.Kind == bpmn.ErrorEvent || node.Kind == bpmn.CancelEvent)
	anyJoin := node.Type == bpmn.InclusiveGateway && len(ins) > 1
	if cancels || anyJoin {
		n.free = false
	}
	for k, o := range options {
		mv := move{node: node.Index, out: o, cancels: cancels, any: anyJoin, option: k, options: len(options)}
		if anyJoin || node.Type == bpmn.ParallelGateway {
			mv.in = ins
			n.moves = append(n.moves, mv)
			continue
		}
		for _, p := range ins {
			mv.in = []int{p}
			n.moves = append(n.moves, mv)
		}
	}
}
