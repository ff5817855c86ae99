package model

import (
	"slices"
)

// verdict is an unsoundness with the nodes of a shortest path to it.
type verdict struct {
	code string
	path []string
}

// marking is a set of marked places, one bit each; a place never holds two tokens
// before that is found.
type marking []uint64

func (k marking) has(p int) bool { return k[p>>6]&(1<<(p&63)) != 0 }
func (k marking) key() string {
	b := make([]byte, 0, len(k)*8)
	for _, w := range k {
		for s := 0; s < 64; s += 8 {
			b = append(b, byte(w>>s))
		}
	}
	return string(b)
}

func (k marking) empty() bool {
	for _, w := range k {
		if w != 0 {
			return false
		}
	}
	return true
}

// trace is an explored marking and how it was reached.
type trace struct {
	mark   marking
	from   int // index of the trace before
	by     int // move that led here
	before []int
}

// beginning is the marking before anything has happened.
func (n *net) beginning() marking {
	k := make(marking, (n.places+63)/64)
	k[0] = 1
	return k
}

// explore visits the markings of a net that follow one, nearest first, and returns
// the first that is wrong. done is false when there are more than limit markings.
// A marking of good is known to complete properly; when all is right, what was
// visited is added to it. good may be nil.
func (n *net) explore(first marking, limit int, good map[string]bool) (found *verdict, done bool) {
	seen := map[string]int{first.key(): 0}
	traces := []trace{{mark: first, from: None, by: None}}
	var finals []int
	for at := 0; at < len(traces); at++ {
		if len(traces) > limit {
			return nil, false
		}
		k := traces[at].mark
		if k.empty() || good[k.key()] {
			finals = append(finals, at)
			continue
		}
		fired := false
		for i := range n.moves {
			if !n.enabled(k, i) {
				continue
			}
			fired = true
			next, clash := n.fire(k, i)
			if clash {
				return &verdict{"SOUND_LACK_OF_SYNCHRONISATION", n.path(traces, at, i)}, true
			}
			id, known := seen[next.key()]
			if !known {
				id = len(traces)
				seen[next.key()] = id
				traces = append(traces, trace{mark: next, from: at, by: i})
			}
			traces[id].before = append(traces[id].before, at)
		}
		if !fired {
			return &verdict{"SOUND_DEADLOCK", append(n.path(traces, at, None), n.stuck(k)...)}, true
		}
	}
	found = n.incomplete(traces, finals)
	if found == nil && good != nil {
		for key := range seen {
			good[key] = true
		}
	}
	return found, true
}

// incomplete finds a marking from which the end cannot be reached.
func (n *net) incomplete(traces []trace, finals []int) *verdict {
	ok := make([]bool, len(traces))
	for stack := slices.Clone(finals); len(stack) > 0; {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !ok[i] {
			ok[i] = true
			stack = append(stack, traces[i].before...)
		}
	}
	i := slices.Index(ok, false)
	if len(finals) == 0 {
		i = len(traces) - 1 // the end is out of reach from the beginning: show the longest way
	}
	if i >= 0 {
		p := append(n.path(traces, i, None), n.stuck(traces[i].mark)...)
		return &verdict{"SOUND_NO_COMPLETION", p}
	}
	return nil
}

// enabled reports whether a move can happen.
func (n *net) enabled(k marking, i int) bool {
	mv := &n.moves[i]
	if mv.any {
		return n.joins(k, mv)
	}
	for _, p := range mv.in {
		if !k.has(p) {
			return false
		}
	}
	return true
}

// joins reports whether an inclusive join has waited for all; see Node.Reach.
func (n *net) joins(k marking, mv *move) bool {
	marked := false
	for _, p := range mv.in {
		marked = marked || k.has(p)
	}
	if !marked {
		return false
	}
	node := &n.m.Nodes[mv.node]
	for p := 1; p < n.places; p++ {
		if !k.has(p) || n.target[p] == mv.node {
			continue
		}
		at := n.target[p]
		empty, filled := false, false
		for j, in := range mv.in {
			if j >= len(node.Reach) || node.Reach[j][at>>6]&(1<<(at&63)) == 0 {
				continue
			}
			empty, filled = empty || !k.has(in), filled || k.has(in)
		}
		if empty && !filled {
			return false
		}
	}
	return true
}

// fire returns the marking after a move and whether two tokens met on a place.
func (n *net) fire(k marking, i int) (next marking, clash bool) {
	mv := &n.moves[i]
	next = make(marking, len(k))
	if mv.cancels {
		return next, false
	}
	copy(next, k)
	for _, p := range mv.in {
		next[p>>6] &^= 1 << (p & 63)
	}
	for _, p := range mv.out {
		clash = clash || next.has(p)
		next[p>>6] |= 1 << (p & 63)
	}
	return next, clash
}

// path returns the nodes of the moves that led to a trace, and of one more move.
func (n *net) path(traces []trace, at, last int) []string {
	var out []string
	if last != None {
		out = append(out, n.m.Nodes[n.moves[last].node].ID)
	}
	for ; traces[at].by != None; at = traces[at].from {
		out = append(out, n.m.Nodes[n.moves[traces[at].by].node].ID)
	}
	slices.Reverse(out)
	return out
}

// stuck returns the nodes that tokens wait at.
func (n *net) stuck(k marking) []string {
	var out []string
	for p := 1; p < n.places; p++ {
		if id := n.m.Nodes[max(n.target[p], 0)].ID; k.has(p) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}
