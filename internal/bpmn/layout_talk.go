package bpmn

import (
	"cmp"
	"math"
	"slices"
)

// Sizes of collaborations in pixels.
const (
	blackBoxHeight = 60
	poolGap        = 40 // between two pools without messages
	messagePitch   = 16 // between the lines of messages in a gap
	corridorStep   = 6  // how finely ways past the nodes are looked for
	corridorRoom   = 5  // left free beside a node
)

// LayoutCollaboration draws the pools of a collaboration one below the other, each as
// Layout does, and the message flows between them: out of their pool where no
// node stands in the way, along the gaps between pools, and in again. The result
// depends on c alone. Cost that of Layout, and for each message the nodes times
// the width of the drawing.
func LayoutCollaboration(c *Collaboration) *Diagram {
	t := &talk{c: c, d: &Diagram{Element: c.ID}, of: map[string]int{}}
	t.stack()
	for i, m := range c.Messages {
		t.message(i, m)
	}
	return t.d
}

// talk is the work on a collaboration.
type talk struct {
	c     *Collaboration
	d     *Diagram
	of    map[string]int // pool by node or pool
	pools []*Shape
	solid []*Shape // nodes that lines go around: all but boundary events
}

// stack draws the pools. Between two of them is room for every message that goes
// from one of the pools above to one below.
func (t *talk) stack() {
	drawn, width := make([]*Diagram, len(t.c.Pools)), float64(taskWidth)
	for i, p := range t.c.Pools {
		t.of[p.ID] = i
		if p.Process == nil {
			continue
		}
		for _, n := range p.Process.Nodes {
			t.of[n.ID] = i
		}
		drawn[i] = Layout(p.Process)
		width = max(width, drawn[i].Bounds().W+2*outerPad)
	}
	y := float64(outerPad)
	for i, p := range t.c.Pools {
		if i > 0 {
			y += poolGap + float64(t.crossing(i))*messagePitch
		}
		pool := &Shape{Element: p.ID, Bounds: Bounds{outerPad, y, headerWidth + width, blackBoxHeight}}
		t.pools = append(t.pools, pool)
		t.d.Shapes = append(t.d.Shapes, pool)
		if drawn[i] != nil {
			t.put(pool, drawn[i], p.Process)
		}
		y += pool.Bounds.H
	}
}

// crossing counts the messages that pass the gap above pool i, or go along it.
func (t *talk) crossing(i int) int {
	n := 0
	for _, m := range t.c.Messages {
		a, b := t.end(m.From), t.end(m.To)
		if min(a, b) < i && max(a, b) >= i {
			n++
		}
	}
	return n
}

// end returns the pool of a node or pool; those further down are not stacked yet, so it
// asks the collaboration.
func (t *talk) end(id string) int {
	return slices.IndexFunc(t.c.Pools, func(p *Pool) bool {
		return p.ID == id || p.Process != nil && slices.ContainsFunc(p.Process.Nodes, func(n *Node) bool { return n.ID == id })
	})
}

// put moves the drawing of a process into its pool.
func (t *talk) put(pool *Shape, d *Diagram, g *Graph) {
	d.Shapes = slices.DeleteFunc(d.Shapes, func(s *Shape) bool { return s.Element == pool.Element })
	box := d.Bounds()
	lanes := map[string]bool{}
	for _, l := range g.Lanes {
		lanes[l.ID] = true
	}
	pad := float64(outerPad)
	if len(lanes) > 0 {
		pad = 0
	}
	pool.Bounds.H = box.H + 2*pad
	dx, dy := pool.Bounds.X+headerWidth+pad-box.X, pool.Bounds.Y+pad-box.Y
	attached := map[string]bool{}
	for _, n := range g.Nodes {
		attached[n.ID] = n.Type == BoundaryEvent
	}
	for _, s := range d.Shapes {
		s.Bounds = s.Bounds.moved(dx, dy)
		if s.Label.W > 0 {
			s.Label = s.Label.moved(dx, dy)
		}
		if lanes[s.Element] {
			s.Bounds.W = pool.Bounds.X + pool.Bounds.W - s.Bounds.X
		} else if !attached[s.Element] {
			t.solid = append(t.solid, s)
		}
	}
	for _, e := range d.Edges {
		for i := range e.Waypoints {
			e.Waypoints[i].X, e.Waypoints[i].Y = e.Waypoints[i].X+dx, e.Waypoints[i].Y+dy
		}
		if e.Label.W > 0 {
			e.Label = e.Label.moved(dx, dy)
		}
	}
	t.d.Shapes, t.d.Edges = append(t.d.Shapes, d.Shapes...), append(t.d.Edges, d.Edges...)
}

// message draws the i-th message flow.
func (t *talk) message(i int, m *MessageFlow) {
	a, b := t.of[m.From], t.of[m.To]
	down := a <= b
	from, to := t.d.Shape(m.From), t.d.Shape(m.To)
	if from == nil || to == nil {
		return
	}
	// The gaps next to the two pools, on the sides that face each other.
	gapA, gapB := a, b+1
	if down {
		gapA, gapB = a+1, b
	}
	yA, yB := t.track(gapA, i), t.track(gapB, i)
	at := to.Bounds.Center().X
	if t.pools[b] == to {
		at = from.Bounds.Center().X
	}
	out := t.leave(from, t.pools[a], yA, at)
	in := t.leave(to, t.pools[b], yB, out[len(out)-1].X)
	slices.Reverse(in)
	line := out
	if gapA != gapB { // past the pools between
		x := t.corridor(in[0].X, min(yA, yB), max(yA, yB), nil)
		line = append(line, Point{x, yA}, Point{x, yB})
	}
	line = straight(append(line, in...))
	e := &Edge{Element: m.ID, Waypoints: line}
	if w, h := nameBox(m.Name, "", labelWidth, 2); w > 0 {
		e.Label = Bounds{out[len(out)-1].X + 6, yA - h - 2, w, h}
	}
	t.d.Edges = append(t.d.Edges, e)
}

// track is the height of the i-th message in the gap above a pool; the gap after the
// last pool, and the one above the first, have room enough.
func (t *talk) track(gap, i int) float64 {
	if gap == 0 {
		return t.pools[0].Bounds.Y - poolGap/2
	}
	above := t.pools[gap-1].Bounds
	top := above.Y + above.H
	room := float64(poolGap)
	if gap < len(t.pools) {
		room = t.pools[gap].Bounds.Y - top
	}
	n := max(len(t.c.Messages), 1)
	return top + 14 + (room-28)*(float64(i)+0.5)/float64(n)
}

// leave is the way from a shape to a height outside of its pool: straight up or down
// where nothing is in the way, else beside it first. A pool is left where the
// other end wants it.
func (t *talk) leave(s, pool *Shape, y, want float64) []Point {
	b := s.Bounds
	top, bottom := b.Y, b.Y+b.H
	edge := bottom
	if y < top {
		edge = top
	}
	if s == pool {
		x := min(max(want, b.X+headerWidth+corridorRoom), b.X+b.W-corridorRoom)
		return []Point{{x, edge}, {x, y}}
	}
	c := b.Center()
	if t.free(Bounds{c.X, min(edge, y), 0, max(edge, y) - min(edge, y)}, s) {
		return []Point{{c.X, edge}, {c.X, y}}
	}
	x := t.corridor(c.X, min(c.Y, y), max(c.Y, y), s)
	side := b.X + b.W
	if x < c.X {
		side = b.X
	}
	return []Point{{side, c.Y}, {x, c.Y}, {x, y}}
}

// corridor returns the x next to want at which a vertical line between two heights meets
// no node; from a shape, where the way to it along its middle is free as well. It
// is want itself when there is none.
func (t *talk) corridor(want, y0, y1 float64, from *Shape) float64 {
	left, right := t.pools[0].Bounds.X+headerWidth, t.pools[0].Bounds.X+t.pools[0].Bounds.W
	var found []float64
	for step := 1.0; step*corridorStep < right-left && len(found) == 0; step++ {
		for _, x := range []float64{want + step*corridorStep, want - step*corridorStep} {
			if x <= left || x >= right || !t.free(Bounds{x, y0, 0, y1 - y0}, from) {
				continue
			}
			if from != nil {
				c := from.Bounds.Center()
				if !t.free(Bounds{min(c.X, x), c.Y, max(c.X, x) - min(c.X, x), 0}, from) {
					continue
				}
			}
			found = append(found, x)
		}
	}
	if len(found) == 0 {
		return want
	}
	return slices.MinFunc(found, func(a, b float64) int { return cmp.Compare(math.Abs(a-want), math.Abs(b-want)) })
}

// free reports whether a line, as a box without width or height, keeps off all nodes
// but one and the subprocesses around that.
func (t *talk) free(line Bounds, but *Shape) bool {
	around := Bounds{line.X - corridorRoom, line.Y - 0.1, line.W + 2*corridorRoom, line.H + 0.2}
	return !slices.ContainsFunc(t.solid, func(s *Shape) bool {
		return s != but && !(but != nil && s.Bounds.Contains(but.Bounds.Center())) && s.Bounds.meets(around)
	})
}
