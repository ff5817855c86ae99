package bpmn

import (
	"slices"
)

// Space in pixels around the lines in a channel.
const (
	channelPad = 18 // beside the first and last track
	rowPad     = 16
	outerPad   = 24
)

// measure finds the coordinates of columns, rows and tracks from what they hold.
func (l *layout) measure(byLine map[[2]int][]*run) {
	l.colX, l.colW = make([]float64, l.columns), make([]float64, l.columns)
	l.rowTop, l.rowY, l.rowB = make([]float64, l.rows), make([]float64, l.rows), make([]float64, l.rows)
	for r := range l.rows {
		l.rowTop[r], l.rowB[r] = 14, 14
	}
	before := make([]float64, l.columns+1) // room for flow names at the start of a channel
	for _, c := range l.cells {
		l.colW[c.column] = max(l.colW[c.column], c.w, c.labelW, eventSize)
		top, bottom := c.extents()
		l.rowTop[c.row] = max(l.rowTop[c.row], top)
		l.rowB[c.row] = max(l.rowB[c.row], bottom)
	}
	for _, k := range l.links {
		if len(k.runs) == 0 || k.labelW == 0 {
			continue
		}
		c := l.cells[k.from]
		switch first := k.runs[0]; {
		case !first.vertical && k.hung == nil && first.sense() > 0:
			before[c.column+1] = max(before[c.column+1], k.labelW+10-(l.colW[c.column]-c.w)/2)
		case first.vertical && first.sense() > 0:
			l.rowB[c.row] = max(l.rowB[c.row], c.h/2+k.labelH)
		case first.vertical:
			l.rowTop[c.row] = max(l.rowTop[c.row], c.h/2+k.labelH)
		}
	}
	l.columnsAt(byLine, before)
	l.rowsAt(byLine)
}

// extents is what a cell needs above and below its center line.
func (c *cell) extents() (top, bottom float64) {
	top, bottom = c.h/2, c.h/2
	if c.labelH > 0 && c.side == labelAbove {
		top += c.labelH + 4
	} else if c.labelH > 0 {
		bottom += c.labelH + 4
	}
	for _, n := range c.hung {
		_, h := nameBox(n.Name, n.Extension.NameEn, boundaryPitch+40, 2)
		bottom = max(bottom, c.h/2+eventSize/2+h+4)
	}
	return top, bottom
}

// columnsAt sets the x of columns and vertical runs.
func (l *layout) columnsAt(byLine map[[2]int][]*run, before []float64) {
	x := 0.0
	for c := range l.columns + 1 {
		runs := byLine[[2]int{2 * c, 1}]
		n := channel(runs)
		pad := max(channelPad, before[c])
		if c == 0 || c == l.columns {
			pad = outerPad / 2
		}
		for _, r := range runs {
			r.at = x + pad + r.offset
		}
		x += pad + float64(max(n-1, 0))*trackPitch + channelPad
		if c == l.columns {
			break
		}
		l.colX[c] = x
		x += l.colW[c]
		runs = byLine[[2]int{2*c + 1, 1}]
		centerLine(runs)
		for _, r := range runs {
			r.at = l.colX[c] + l.colW[c]/2 + r.offset
		}
	}
	l.width = x
}

// rowsAt sets the y of rows, lane borders and horizontal runs.
func (l *layout) rowsAt(byLine map[[2]int][]*run) {
	y := 0.0
	for r := range l.rows + 1 {
		runs := byLine[[2]int{2 * r, 0}]
		n := channel(runs)
		pad := 0.0
		if r == l.rows || r == 0 || l.laneOf[r] != l.laneOf[r-1] {
			if r > 0 {
				y += rowPad / 2
				if r == l.rows {
					y += max(0, minLaneHeight-(y-l.borders[len(l.borders)-1]))
				}
			}
			if r < l.rows {
				if r > 0 && y-l.borders[len(l.borders)-1] < minLaneHeight && l.lanes[0] != nil {
					y = l.borders[len(l.borders)-1] + minLaneHeight
				}
				l.borders = append(l.borders, y)
			}
			pad = rowPad / 2
		}
		if n > 0 {
			pad += rowPad / 2
		}
		for _, k := range runs {
			k.at = y + pad + k.offset
		}
		y += pad + float64(max(n-1, 0))*trackPitch + rowPad/2
		if n > 0 {
			y += rowPad / 4
		}
		if r == l.rows {
			break
		}
		y += l.rowTop[r]
		l.rowY[r] = y
		runs = byLine[[2]int{2*r + 1, 0}]
		centerLine(runs)
		for _, k := range runs {
			k.at = y + k.offset
		}
		y += l.rowB[r]
	}
	l.borders = append(l.borders, y)
	l.height = y
}

// draw makes the shapes and edges of the scope with its upper left at 0, 0.
func (l *layout) draw() {
	for _, c := range l.cells {
		at := Point{l.colX[c.column] + l.colW[c.column]/2, l.rowY[c.row]}
		b := Bounds{at.X - c.w/2, at.Y - c.h/2, c.w, c.h}
		s := &Shape{Element: c.node.ID, Bounds: b, Expanded: c.inner != nil}
		if c.labelW > 0 {
			s.Label = Bounds{at.X - c.labelW/2, b.Y + b.H + 3, c.labelW, c.labelH}
			switch c.side {
			case labelAbove:
				s.Label.Y = b.Y - c.labelH - 3
			case labelBeside:
				s.Label.X = at.X + 8
			}
		}
		l.shapes = append(l.shapes, s)
		if c.inner != nil {
			c.inner.shift(b.X+(b.W-c.inner.width)/2, b.Y+subHeader)
			l.shapes = append(l.shapes, c.inner.shapes...)
			l.edges = append(l.edges, c.inner.edges...)
		}
		for i, n := range c.hung {
			l.shapes = append(l.shapes, hungShape(n, b, i, len(c.hung)))
		}
	}
	for _, k := range l.links {
		l.edges = append(l.edges, l.edge(k))
	}
}

// hungX is the center of the i-th of n boundary events on an activity.
func hungX(b Bounds, i, n int) float64 {
	return b.X + b.W - 28 - float64(n-1-i)*boundaryPitch
}

// hungShape is the shape of a boundary event.
func hungShape(n *Node, b Bounds, i, of int) *Shape {
	x := hungX(b, i, of)
	s := &Shape{Element: n.ID, Bounds: Bounds{x - eventSize/2, b.Y + b.H - eventSize/2, eventSize, eventSize}}
	if w, h := nameBox(n.Name, n.Extension.NameEn, boundaryPitch+40, 2); w > 0 {
		s.Label = Bounds{x - eventSize/2 - w + 12, b.Y + b.H + eventSize/2 + 2, w, h}
	}
	return s
}

// edge is the line of a link.
func (l *layout) edge(k *link) *Edge {
	e := &Edge{Element: k.flow.ID}
	a, b := l.box(k.from), l.box(k.to)
	if len(k.runs) == 0 {
		e.Waypoints = []Point{a.Center(), b.Center()}
		return e
	}
	first, last := k.runs[0], k.runs[len(k.runs)-1]
	add := func(p Point) { e.Waypoints = append(e.Waypoints, p) }
	if k.hung != nil {
		x := hungX(a, k.hungAt, len(l.cells[k.from].hung))
		add(Point{x, a.Y + a.H + eventSize/2})
		if first.vertical {
			first.at = x
		} else {
			add(Point{x, first.at})
		}
	} else {
		add(port(a, direction(first.first, first.last)))
	}
	for i := 1; i < len(k.runs); i++ {
		v, h := k.runs[i-1], k.runs[i]
		if h.vertical {
			v, h = h, v
		}
		add(Point{v.at, h.at})
	}
	end := port(b, (direction(last.first, last.last)+2)%4)
	if k.hung != nil && last.vertical && last == first { // straight down from the border
		add(Point{first.at, end.Y - 14})
		add(Point{end.X, end.Y - 14})
	}
	add(end)
	e.Waypoints = straight(e.Waypoints)
	e.label(k)
	return e
}

// box returns the bounds of a cell.
func (l *layout) box(i int) Bounds {
	c := l.cells[i]
	return Bounds{l.colX[c.column] + l.colW[c.column]/2 - c.w/2, l.rowY[c.row] - c.h/2, c.w, c.h}
}

// port returns the middle of a side.
func port(b Bounds, side int) Point {
	c := b.Center()
	switch side {
	case goRight:
		return Point{b.X + b.W, c.Y}
	case goLeft:
		return Point{b.X, c.Y}
	case goDown:
		return Point{c.X, b.Y + b.H}
	}
	return Point{c.X, b.Y}
}

// straight drops points that change nothing.
func straight(in []Point) []Point {
	var out []Point
	for _, p := range in {
		n := len(out)
		if n > 0 && out[n-1] == p {
			continue
		}
		if n > 1 && (out[n-1].X == out[n-2].X && p.X == out[n-1].X || out[n-1].Y == out[n-2].Y && p.Y == out[n-1].Y) {
			out[n-1] = p
			continue
		}
		out = append(out, p)
	}
	return out
}

// label puts the name of a flow beside the start of its line.
func (e *Edge) label(k *link) {
	if k.labelW == 0 || len(e.Waypoints) < 2 {
		return
	}
	a, b := e.Waypoints[0], e.Waypoints[1]
	l := Bounds{a.X + 5, a.Y - k.labelH - 3, k.labelW, k.labelH}
	switch {
	case a.X > b.X:
		l.X = a.X - k.labelW - 5
	case a.X == b.X && b.Y > a.Y:
		l.Y = a.Y + 4
	case a.X == b.X:
		l.Y = a.Y - k.labelH - 4
	}
	e.Label = l
}

// shift moves the drawing of a scope.
func (l *layout) shift(dx, dy float64) {
	for _, s := range l.shapes {
		s.Bounds = s.Bounds.moved(dx, dy)
		if s.Label.W > 0 {
			s.Label = s.Label.moved(dx, dy)
		}
	}
	for _, e := range l.edges {
		for i := range e.Waypoints {
			e.Waypoints[i].X += dx
			e.Waypoints[i].Y += dy
		}
		if e.Label.W > 0 {
			e.Label = e.Label.moved(dx, dy)
		}
	}
}

// bands returns the shapes of pool and lanes and moves the drawing beside their
// names.
func (l *layout) bands() []*Shape {
	if l.lanes[0] == nil {
		l.shift(outerPad, outerPad)
		return nil
	}
	depth := func(a *Lane) (n int) {
		for p := a.Parent; p != "" && n < len(l.g.Lanes); n++ {
			i := slices.IndexFunc(l.g.Lanes, func(b *Lane) bool { return b.ID == p })
			if i < 0 {
				return n
			}
			p = l.g.Lanes[i].Parent
		}
		return n
	}
	deepest := 0
	for _, a := range l.lanes {
		deepest = max(deepest, depth(a))
	}
	left := float64((deepest + 1) * headerWidth)
	var out []*Shape
	pool := l.pool()
	x0 := 0.0
	if pool != "" {
		x0 = headerWidth
		out = append(out, &Shape{Element: pool, Bounds: Bounds{0, 0, x0 + left + l.width, l.height}})
	}
	boxes := map[string]Bounds{}
	for i, a := range l.lanes {
		y := l.borders[i]
		for up := a; up != nil; {
			x := x0 + float64(depth(up)*headerWidth)
			boxes[up.ID] = boxes[up.ID].union(Bounds{x, y, x0 + left + l.width - x, l.borders[i+1] - y})
			j := slices.IndexFunc(l.g.Lanes, func(b *Lane) bool { return b.ID == up.Parent })
			up = nil
			if j >= 0 {
				up = l.g.Lanes[j]
			}
		}
	}
	for _, a := range l.g.Lanes {
		out = append(out, &Shape{Element: a.ID, Bounds: boxes[a.ID]})
	}
	l.shift(x0+left, 0)
	for _, s := range out {
		s.Bounds = s.Bounds.moved(outerPad, outerPad)
	}
	l.shift(outerPad, outerPad)
	return out
}
