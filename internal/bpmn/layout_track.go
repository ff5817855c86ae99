package bpmn

import (
	"cmp"
	"slices"
)

// run is a straight part of a link's way along one line of the grid.
type run struct {
	link     *link
	vertical bool
	line     int  // x of a vertical run, y of a horizontal one
	lo, hi   int  // its ends along the line
	first    spot // where it begins and
	last     spot // ends
	pinned   bool // begins or ends at a node: lies on the center line
	before   int  // -1 or +1: where the way comes from across the line, 0 at a node
	after    int  // and where it goes on to
	offset   float64
	at       float64 // coordinate of the line when drawn
}

// tracks cuts the ways into runs and puts runs that share a line side by side.
func (l *layout) tracks() {
	byLine := map[[2]int][]*run{}
	for _, k := range l.links {
		k.cut()
		for _, r := range k.runs {
			key := [2]int{r.line, 0}
			if r.vertical {
				key[1] = 1
			}
			byLine[key] = append(byLine[key], r)
		}
	}
	l.measure(byLine)
}

// cut makes the runs of a link's way.
func (k *link) cut() {
	k.runs = nil
	for i := 1; i < len(k.path); i++ {
		a, b := k.path[i-1], k.path[i]
		vertical := a.x == b.x
		if n := len(k.runs); n > 0 && k.runs[n-1].vertical == vertical {
			k.runs[n-1].last = b
			continue
		}
		k.runs = append(k.runs, &run{link: k, vertical: vertical, first: a, last: b})
	}
	for i, r := range k.runs {
		r.line, r.lo, r.hi = r.first.y, min(r.first.x, r.last.x), max(r.first.x, r.last.x)
		if r.vertical {
			r.line, r.lo, r.hi = r.first.x, min(r.first.y, r.last.y), max(r.first.y, r.last.y)
		}
		r.pinned = i == 0 && k.hung == nil || i == len(k.runs)-1
		if i > 0 {
			r.before = -k.runs[i-1].sense()
		} else if k.hung != nil && !r.vertical {
			r.before = -1
		}
		if i < len(k.runs)-1 {
			r.after = k.runs[i+1].sense()
		}
	}
}

// sense is +1 for a run to the right or downwards, else -1.
func (r *run) sense() int {
	if r.last.x > r.first.x || r.last.y > r.first.y {
		return 1
	}
	return -1
}

// conflict reports whether two runs of a line must not lie on each other.
func (r *run) conflict(o *run) bool {
	if r.link == o.link || r.link.to == o.link.to || r.link.from == o.link.from && r.link.hung == o.link.hung && r.lo == o.lo && r.hi == o.hi {
		return r.link == o.link && r != o && r.lo <= o.hi && o.lo <= r.hi
	}
	return r.lo <= o.hi && o.lo <= r.hi
}

// crossings counts the crossings of r and o when r lies on the lower side of
// the line's coordinates (above, or to the left of o).
func (r *run) crossings(o *run) int {
	n := 0
	count := func(at, turn, lo, hi, bad int) {
		if at >= lo && at <= hi && turn == bad {
			n++
		}
	}
	pos := func(x *run, s spot) int {
		if x.vertical {
			return s.y
		}
		return s.x
	}
	count(pos(r, r.first), r.before, o.lo, o.hi, 1)
	count(pos(r, r.last), r.after, o.lo, o.hi, 1)
	count(pos(o, o.first), o.before, r.lo, r.hi, -1)
	count(pos(o, o.last), o.after, r.lo, r.hi, -1)
	return n
}

// bundle is the runs of a line that lead to one node and touch each other: they
// share a track.
type bundle struct {
	runs  []*run
	track int
	lean  int
}

// channel puts the runs of a channel on tracks and returns how many it needs.
func channel(runs []*run) int {
	bundles := bundled(runs)
	for _, b := range bundles {
		for _, r := range b.runs {
			b.lean += r.before + r.after
		}
	}
	slices.SortStableFunc(bundles, func(a, b *bundle) int { return cmp.Compare(a.lean, b.lean) })
	for range bundles {
		swapped := false
		for i := 1; i < len(bundles); i++ {
			a, b := bundles[i-1], bundles[i]
			if a.crossings(b) > b.crossings(a) {
				bundles[i-1], bundles[i] = b, a
				swapped = true
			}
		}
		if !swapped {
			break
		}
	}
	tracks := 0
	for i, b := range bundles {
		for _, o := range bundles[:i] {
			if b.conflict(o) {
				b.track = max(b.track, o.track+1)
			}
		}
		tracks = max(tracks, b.track+1)
		for _, r := range b.runs {
			r.offset = float64(b.track) * trackPitch
		}
	}
	return tracks
}

// bundled groups runs to one node that touch each other.
func bundled(runs []*run) []*bundle {
	sorted := slices.Clone(runs)
	slices.SortStableFunc(sorted, func(a, b *run) int {
		return cmp.Or(cmp.Compare(a.link.to, b.link.to), cmp.Compare(a.lo, b.lo))
	})
	var out []*bundle
	hi := 0
	for i, r := range sorted {
		if i > 0 && r.link.to == sorted[i-1].link.to && r.lo <= hi {
			b := out[len(out)-1]
			b.runs = append(b.runs, r)
			hi = max(hi, r.hi)
			continue
		}
		out = append(out, &bundle{runs: []*run{r}})
		hi = r.hi
	}
	return out
}

func (b *bundle) conflict(o *bundle) bool {
	for _, r := range b.runs {
		for _, s := range o.runs {
			if r.conflict(s) {
				return true
			}
		}
	}
	return false
}

func (b *bundle) crossings(o *bundle) int {
	n := 0
	for _, r := range b.runs {
		for _, s := range o.runs {
			if r.conflict(s) {
				n += r.crossings(s)
			}
		}
	}
	return n
}

// centerLine keeps pinned runs of a center line on it and moves others that
// meet them aside.
func centerLine(runs []*run) {
	var set []*run
	for _, r := range runs {
		if r.pinned {
			set = append(set, r)
		}
	}
	for _, r := range runs {
		if r.pinned {
			continue
		}
		for _, offset := range []float64{0, -12, 12, -24, 24} {
			r.offset = offset
			if !slices.ContainsFunc(set, func(o *run) bool { return o.offset == offset && r.conflict(o) }) {
				break
			}
		}
		set = append(set, r)
	}
}

// chooseSides puts the names of events and gateways where no line leaves.
func (l *layout) chooseSides() {
	used := make([][4]bool, len(l.cells))
	for _, k := range l.links {
		if len(k.path) < 2 {
			continue
		}
		if k.hung == nil {
			used[k.from][direction(k.path[0], k.path[1])] = true
		}
		n := len(k.path)
		used[k.to][direction(k.path[n-1], k.path[n-2])] = true
	}
	for i, c := range l.cells {
		switch {
		case !used[i][goDown]:
			c.side = labelBelow
		case !used[i][goUp]:
			c.side = labelAbove
		default:
			c.side = labelBeside
		}
	}
}
