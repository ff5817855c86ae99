package model

import (
	"math/bits"
	"slices"
)

// fast decides a free-choice net without exploring it: every place can be marked
// and can reach an end; visits balance at every join whatever the choices are;
// and no place is concurrent with itself. It is sufficient and necessary for nets
// that come from graphs with exclusive and parallel gateways; the tests compare it
// with exploration. Cost: moves times places squared over 64, and a sparse
// elimination of as many unknowns as places.
func (n *net) fast() bool {
	n.suspect = n.moves[0].node
	return n.reachable() && n.completable() && n.balanced() && n.safe()
}

// reachable reports whether every move can happen when tokens are never used up.
func (n *net) reachable() bool {
	mark := make([]bool, n.places)
	mark[0] = true
	fired := make([]bool, len(n.moves))
	for again := true; again; {
		again = false
		for i, mv := range n.moves {
			if fired[i] || slices.ContainsFunc(mv.in, func(p int) bool { return !mark[p] }) {
				continue
			}
			fired[i], again = true, true
			for _, p := range mv.out {
				mark[p] = true
			}
		}
	}
	if i := slices.Index(fired, false); i >= 0 {
		n.suspect = n.moves[i].node
		return false
	}
	return true
}

// completable reports whether a token on every place has some way to be used up.
func (n *net) completable() bool {
	good := make([]bool, n.places)
	for again := true; again; {
		again = false
		for _, mv := range n.moves {
			if slices.ContainsFunc(mv.out, func(p int) bool { return !good[p] }) {
				continue
			}
			for _, p := range mv.in {
				if !good[p] {
					good[p], again = true, true
				}
			}
		}
	}
	if p := slices.Index(good, false); p >= 0 {
		n.suspect = max(n.target[p], 0)
		return false
	}
	return true
}

// prime is the modulus of the balance equations, 2^61-1.
const prime = 1<<61 - 1

func mulMod(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, r := bits.Div64(hi%prime, lo, prime)
	return r
}

func subMod(a, b uint64) uint64 { return (a + prime - b) % prime }

// inverse returns 1/a by Fermat.
func inverse(a uint64) uint64 {
	r := uint64(1)
	for e := uint64(prime - 2); e > 0; e >>= 1 {
		if e&1 == 1 {
			r = mulMod(r, a)
		}
		a = mulMod(a, a)
	}
	return r
}

// weight is the share of an option of a node: fixed numbers that hit upon a
// coincidence with a chance of about places over 2^61. The shares of a node sum
// up to one.
func weight(node, option, options int) uint64 {
	mix := func(k int) uint64 {
		z := uint64(node+1)*0x9e3779b97f4a7c15 + uint64(k+1)*0xbf58476d1ce4e5b9
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return (z ^ z>>31) % prime
	}
	if option < options-1 {
		return mix(option)
	}
	sum := uint64(1)
	for k := range options - 1 {
		sum = subMod(sum, mix(k))
	}
	return sum
}

// row is a linear equation: coefficients by place; place -1 holds the constant.
type row map[int]uint64

func (r row) add(place int, v uint64) {
	if v = (r[place] + v) % prime; v == 0 {
		delete(r, place)
		return
	}
	r[place] = v
}

// balanced reports whether the expected visits of places have one solution under
// choices at random: at a parallel join all incoming flows are visited alike.
func (n *net) balanced() bool {
	rows := make([]row, n.places)
	for p := range rows {
		rows[p] = row{p: 1}
	}
	rows[0].add(-1, 1) // begun once
	for _, mv := range n.moves {
		w := weight(mv.node, mv.option, mv.options)
		for _, q := range mv.out {
			rows[q].add(mv.in[0], subMod(0, w))
		}
		for _, p := range mv.in[1:] {
			if mv.option == 0 {
				rows = append(rows, row{mv.in[0]: 1, p: prime - 1})
			}
		}
	}
	return solve(rows, n.places)
}

// solve reports whether equations have exactly one solution in so many unknowns.
func solve(rows []row, unknowns int) bool {
	holds := make([]map[int]bool, unknowns) // by place: rows that name it
	for p := range holds {
		holds[p] = map[int]bool{}
	}
	for i, r := range rows {
		for p := range r {
			if p >= 0 {
				holds[p][i] = true
			}
		}
	}
	used := make([]bool, len(rows))
	for p := unknowns - 1; p >= 0; p-- {
		pivot := None
		for i := range holds[p] {
			if !used[i] && (pivot == None || len(rows[i]) < len(rows[pivot]) || len(rows[i]) == len(rows[pivot]) && i < pivot) {
				pivot = i
			}
		}
		if pivot == None {
			return false
		}
		used[pivot] = true
		scale := inverse(rows[pivot][p])
		for i := range holds[p] {
			if used[i] {
				continue
			}
			f := mulMod(rows[i][p], scale)
			for q, v := range rows[pivot] {
				rows[i].add(q, subMod(0, mulMod(f, v)))
				if _, there := rows[i][q]; q >= 0 && q != p {
					if there {
						holds[q][i] = true
					} else {
						delete(holds[q], i)
					}
				}
			}
		}
	}
	for i, r := range rows {
		if !used[i] && len(r) > 0 {
			return false
		}
	}
	return true
}

// safe reports whether no place is concurrent with itself. The relation is that of
// Kovalyov and Esparza (1996): what a move produces is concurrent with each other
// and with whatever is concurrent with all it consumes.
func (n *net) safe() bool {
	words := (n.places + 63) / 64
	with := make([]marking, n.places)
	for p := range with {
		with[p] = make(marking, words)
	}
	queue := []int{}
	queued := make([]bool, len(n.moves))
	wake := func(p int) {
		for _, i := range n.out[p] {
			if !queued[i] {
				queued[i] = true
				queue = append(queue, i)
			}
		}
	}
	wake(0)
	done := make([]bool, len(n.moves)) // moves that have happened at all
	common := make(marking, words)
	for len(queue) > 0 {
		i := queue[0]
		queue, queued[i] = queue[1:], false
		mv := &n.moves[i]
		if !n.together(with, mv.in, common) {
			continue
		}
		first := !done[i]
		done[i] = true
		for _, q := range mv.out {
			changed := first
			for w := range common {
				add := common[w]
				if fresh := add &^ with[q][w]; fresh != 0 {
					with[q][w] |= add
					changed = true
					for ; fresh != 0; fresh &= fresh - 1 {
						s := w<<6 + bits.TrailingZeros64(fresh)
						with[s][q>>6] |= 1 << (q & 63)
						wake(s)
					}
				}
			}
			for _, o := range mv.out {
				if o != q && !with[q].has(o) {
					with[q][o>>6] |= 1 << (o & 63)
					changed = true
				}
			}
			if with[q].has(q) {
				n.suspect = max(n.target[q], 0)
				return false
			}
			if changed {
				wake(q)
			}
		}
	}
	return true
}

// together reports whether places can be marked at once, and sets common to what
// is concurrent with all of them.
func (n *net) together(with []marking, in []int, common marking) bool {
	copy(common, with[in[0]])
	for i, p := range in[1:] {
		for _, o := range in[:i+1] {
			if !with[p].has(o) {
				return false
			}
		}
		for w := range common {
			common[w] &= with[p][w]
		}
	}
	return true
}
