package model

import (
	"maps"
	"slices"
)

// Stay is where a token rests: at a node, at a join by one of its flows.
type Stay struct {
	Node int
	Flow int // index of the flow a token came to a join by; None elsewhere
}

// GoBack says what becomes of the other tokens of a scope when one is sent to an
// earlier node: which of them can stay, so that the scope is as it can be when that
// node is reached, and all others end with it (branches begun after it). ok is
// false when the scope is never in such a position, and when it has more than
// 50,000. others are the tokens of the scope beside the one that is sent.
func (m *Model) GoBack(parent, target int, others []Stay) (stays []bool, ok bool) {
	n, ok := newNet(m, parent)
	if !ok {
		return nil, false
	}
	all, done := n.reach(maxMarkings)
	if !done {
		return nil, false
	}
	best := -1
	for _, key := range slices.Sorted(maps.Keys(all)) {
		k := all[key]
		stay, fits := n.subset(k, target, others)
		count := 0
		for _, s := range stay {
			if s {
				count++
			}
		}
		if fits && count > best {
			best, stays = count, stay
		}
	}
	return stays, best >= 0
}

// subset reports whether a marking is a token before target and some of others;
// stay says which.
func (n *net) subset(k marking, target int, others []Stay) (stay []bool, fits bool) {
	stay = make([]bool, len(others))
	there := false
	for p := range n.places {
		if !k.has(p) {
			continue
		}
		if n.target[p] == target && !there {
			there = true
			continue
		}
		i := slices.IndexFunc(others, func(s Stay) bool {
			return s.Node == n.target[p] && (s.Flow == None || s.Flow == n.flow[p])
		})
		if i < 0 || stay[i] {
			return nil, false
		}
		stay[i] = true
	}
	return stay, there
}

// Precedes reports whether a visit of node a can come before one of node b.
func (m *Model) Precedes(a, b int) bool { return m.follow(a)[b] }
