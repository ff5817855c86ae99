package bpmn

import (
	"cmp"
	"slices"
)

// layers breaks cycles and gives every cell its column: the longest way from
// the start, then as close to what follows as the balance of its flows wants.
func (l *layout) layers() {
	out := make([][]*link, len(l.cells))
	in := make([][]*link, len(l.cells))
	for _, k := range l.links {
		out[k.from] = append(out[k.from], k)
		in[k.to] = append(in[k.to], k)
	}
	order := l.breakCycles(out, in)
	for _, c := range order {
		for _, k := range in[c] {
			if !k.back {
				l.cells[c].layer = max(l.cells[c].layer, l.cells[k.from].layer+1)
			}
		}
	}
	for _, c := range slices.Backward(order) {
		next, before := -1, 0
		for _, k := range out[c] {
			if at := l.cells[k.to].layer; !k.back && (next < 0 || at < next) {
				next = at
			}
		}
		for _, k := range in[c] {
			if !k.back {
				before++
			}
		}
		if next >= 0 && (before == 0 || before < len(out[c])) && l.cells[c].node.Type != StartEvent {
			l.cells[c].layer = max(l.cells[c].layer, next-1)
		}
	}
	l.isolate(out, in)
	for _, c := range l.cells {
		c.column = c.layer
		l.columns = max(l.columns, c.column+1)
	}
}

// isolate puts large cells without flows, such as event subprocesses, into
// columns of their own behind the others.
func (l *layout) isolate(out, in [][]*link) {
	last := 0
	for i, c := range l.cells {
		c.isolated = len(out[i]) == 0 && len(in[i]) == 0
		if !c.isolated {
			last = max(last, c.layer+1)
		}
	}
	for _, c := range l.cells {
		if c.isolated && c.inner != nil && last > 0 {
			c.layer = last
		}
	}
}

// breakCycles marks the links that close a cycle and returns the cells in an
// order in which all other links lead forward.
func (l *layout) breakCycles(out, in [][]*link) []int {
	const (
		fresh = iota
		open
		done
	)
	state := make([]uint8, len(l.cells))
	var order []int
	var visit func(c int)
	visit = func(c int) {
		state[c] = open
		for _, k := range out[c] {
			switch state[k.to] {
			case open:
				k.back = true
			case fresh:
				visit(k.to)
			}
		}
		state[c] = done
		order = append(order, c)
	}
	roots := make([]int, len(l.cells))
	for i := range roots {
		roots[i] = i
	}
	rank := func(c int) int {
		switch {
		case l.cells[c].node.Type == StartEvent:
			return 0
		case len(in[c]) == 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(roots, func(a, b int) int { return cmp.Compare(rank(a), rank(b)) })
	for _, c := range roots {
		if state[c] == fresh {
			visit(c)
		}
	}
	slices.Reverse(order)
	return order
}

// slot is a cell, or the place where a long link passes a column.
type slot struct {
	cell  int // -1 for a passing link
	lane  int
	layer int
	row   int
	key   float64
	prev  []bond // to the layers before, and
	next  []bond // after
}

// bond joins two slots; near bonds are between neighbouring columns of one lane
// and pull their ends onto one row.
type bond struct {
	to     *slot
	weight float64
	near   bool
}

// arrange gives every cell its row.
func (l *layout) arrange() {
	layers, all := l.slots()
	best, rows := -1.0, make([]int, len(all))
	keep := func() {
		if s := score(layers); best < 0 || s < best {
			best = s
			for i, s := range all {
				rows[i] = s.row
			}
		}
	}
	keep()
	for round := range 10 {
		for i := range layers {
			if round%2 == 0 {
				settle(layers[i], func(s *slot) []bond { return s.prev }, round < 6)
			} else {
				settle(layers[len(layers)-1-i], func(s *slot) []bond { return s.next }, round < 6)
			}
		}
		keep()
	}
	for i, s := range all {
		s.row = rows[i]
	}
	compact(all)
	if len(all) < 400 {
		improve(layers)
		compact(all)
	}
	l.number(all)
}

// slots makes the slots of each layer and lane, in document order, and their
// bonds.
func (l *layout) slots() (layers [][]*slot, all []*slot) {
	layers = make([][]*slot, l.columns)
	used := map[[2]int]int{}
	add := func(cell, lane, layer int) *slot {
		s := &slot{cell: cell, lane: lane, layer: layer, row: used[[2]int{lane, layer}]}
		used[[2]int{lane, layer}]++
		layers[layer] = append(layers[layer], s)
		all = append(all, s)
		return s
	}
	real := make([]*slot, len(l.cells))
	for i, c := range l.cells {
		real[i] = add(i, c.lane, c.layer)
	}
	join := func(a, b *slot, weight float64, near bool) {
		a.next = append(a.next, bond{b, weight, near})
		b.prev = append(b.prev, bond{a, weight, near})
	}
	first := map[int]bool{}
	for _, k := range l.links {
		from, to := real[k.from], real[k.to]
		if k.back || from.layer >= to.layer {
			continue
		}
		weight := 2.0
		if !first[k.from] && k.hung == nil {
			weight, first[k.from] = 2.5, true
		}
		if from.lane != to.lane {
			join(from, to, 1, false)
			continue
		}
		for layer := from.layer + 1; layer < to.layer; layer++ {
			pass := add(-1, from.lane, layer)
			join(from, pass, weight*2, true)
			from, weight = pass, weight+1
		}
		join(from, to, weight, true)
	}
	return layers, all
}

// settle orders the slots of a layer by what they are bonded to on one side and
// brings each as close to it as the others allow.
func settle(layer []*slot, side func(*slot) []bond, reorder bool) {
	for _, s := range layer {
		s.key = float64(s.lane)*1000 + float64(s.row)
		sum, n := 0.0, 0.0
		for _, b := range side(s) {
			sum += b.weight * (float64(b.to.lane)*1000 + float64(b.to.row))
			n += b.weight
		}
		if n > 0 && reorder {
			s.key = sum / n
		}
	}
	slices.SortStableFunc(layer, func(a, b *slot) int {
		return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.key, b.key), cmp.Compare(a.row, b.row))
	})
	for i := 0; i < len(layer); {
		j := i
		for j < len(layer) && layer[j].lane == layer[i].lane {
			j++
		}
		pull(layer[i:j], side)
		i = j
	}
}

// pull gives ordered slots of one lane the rows nearest to those they want:
// isotonic regression on row minus position, by pooling neighbours that want
// to cross.
func pull(group []*slot, side func(*slot) []bond) {
	type pool struct{ sum, weight, n float64 }
	var pools []pool
	for i, s := range group {
		want, weight := float64(s.row), 0.2
		sum, n := 0.0, 0.0
		for _, b := range side(s) {
			if b.near {
				sum += b.weight * float64(b.to.row)
				n += b.weight
			}
		}
		if n > 0 {
			want, weight = sum/n, n
		}
		pools = append(pools, pool{(want - float64(i)) * weight, weight, 1})
		for len(pools) > 1 {
			a, b := &pools[len(pools)-2], pools[len(pools)-1]
			if a.sum/a.weight <= b.sum/b.weight {
				break
			}
			*a = pool{a.sum + b.sum, a.weight + b.weight, a.n + b.n}
			pools = pools[:len(pools)-1]
		}
	}
	i := 0
	for _, p := range pools {
		at := int(p.sum/p.weight+1000.5) - 1000
		for range int(p.n) {
			group[i].row = max(at+i, 0)
			if i > 0 && group[i].row <= group[i-1].row {
				group[i].row = group[i-1].row + 1
			}
			i++
		}
	}
}

// score is what the lines between all layers cost.
func score(layers [][]*slot) float64 {
	sum := 0.0
	for _, layer := range layers {
		sum += gapScore(layer)
	}
	return sum
}

// gapScore is the cost of the bonds that leave a layer: their slant and their
// crossings, within and between lanes.
func gapScore(layer []*slot) float64 {
	type line struct{ a, b float64 }
	var lines []line
	sum := 0.0
	for _, s := range layer {
		for _, b := range s.next {
			n := line{float64(s.lane*100 + s.row), float64(b.to.lane*100 + b.to.row)}
			if b.near {
				slant := n.a - n.b
				if slant != 0 {
					sum += b.weight * (1 + max(slant, -slant))
				}
			}
			for _, o := range lines {
				if (n.a-o.a)*(n.b-o.b) < 0 {
					sum += 3
				}
			}
			lines = append(lines, n)
		}
		sum += 0.3 * float64(s.row)
	}
	return sum
}

// improve tries exchanges and moves of single slots as long as they pay.
func improve(layers [][]*slot) {
	cost := func(i int) float64 {
		sum := gapScore(layers[i])
		if i > 0 {
			sum += gapScore(layers[i-1])
		}
		return sum
	}
	for range 6 {
		better := false
		for i, layer := range layers {
			for _, s := range layer {
				before := cost(i)
				row, bestRow, other := s.row, s.row, (*slot)(nil)
				for r := 0; r <= len(layer)+1; r++ {
					at := slices.IndexFunc(layer, func(o *slot) bool { return o != s && o.lane == s.lane && o.row == r })
					s.row = r
					var swap *slot
					if at >= 0 {
						swap = layer[at]
						swap.row = row
					}
					if now := cost(i); now < before-1e-9 {
						before, bestRow, other, better = now, r, swap, true
					}
					if swap != nil {
						swap.row = r
					}
					s.row = row
				}
				if bestRow != row {
					s.row = bestRow
					if other != nil {
						other.row = row
					}
				}
			}
		}
		if !better {
			return
		}
	}
}

// compact moves parts of a lane that no line joins to each other as far up as
// the parts above leave room.
func compact(all []*slot) {
	part := map[*slot]int{}
	var parts [][]*slot
	var join func(s *slot)
	join = func(s *slot) {
		n := len(parts) - 1
		part[s] = n
		parts[n] = append(parts[n], s)
		for _, b := range slices.Concat(s.prev, s.next) {
			if _, seen := part[b.to]; !seen && b.near {
				join(b.to)
			}
		}
	}
	for _, s := range all {
		if _, seen := part[s]; !seen {
			parts = append(parts, nil)
			join(s)
		}
	}
	top := func(p []*slot) int {
		return slices.MinFunc(p, func(a, b *slot) int { return cmp.Compare(a.row, b.row) }).row
	}
	slices.SortStableFunc(parts, func(a, b []*slot) int { return cmp.Compare(top(a), top(b)) })
	taken := map[[3]int]bool{} // lane, layer, row
	for _, p := range parts {
		up := top(p)
		for ; up > 0; up-- {
			if !slices.ContainsFunc(p, func(s *slot) bool { return taken[[3]int{s.lane, s.layer, s.row - up}] }) {
				break
			}
		}
		for _, s := range p {
			s.row -= up
			taken[[3]int{s.lane, s.layer, s.row}] = true
		}
	}
}

// number turns rows of lanes into rows of the scope without empty ones.
func (l *layout) number(all []*slot) {
	for lane := range l.lanes {
		used := map[int]bool{}
		for _, s := range all {
			if s.lane == lane && (s.cell >= 0 || true) {
				used[s.row] = true
			}
		}
		var rows []int
		for r := range used {
			rows = append(rows, r)
		}
		slices.Sort(rows)
		at := map[int]int{}
		for _, r := range rows {
			at[r] = l.rows + len(at)
		}
		for _, s := range all {
			if s.lane == lane && s.cell >= 0 {
				l.cells[s.cell].row = at[s.row]
			}
		}
		n := max(len(rows), 1)
		for range n {
			l.laneOf = append(l.laneOf, lane)
		}
		l.rows += n
	}
}
