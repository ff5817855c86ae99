package bpmn

import "math"

// naming places the names of events, gateways and flows after everything else
// stands: each where it covers least of what is there.
type naming struct {
	diagram *Diagram
	rooms   map[[2]int][]obstacle // by square of the sheet
}

// obstacle is something a name should not cover.
type obstacle struct {
	Bounds
	price float64
	owner string // element it belongs to
}

// Prices of covering things, and the size of the squares that index them.
const (
	coverShape = 100.0
	coverName  = 80.0
	coverLine  = 12.0
	squareSize = 160.0
)

// placeNames moves the names of d to better places. O(names · what is near).
func placeNames(d *Diagram, g *Graph) {
	p := &naming{diagram: d, rooms: map[[2]int][]obstacle{}}
	solid := map[string]bool{}
	for _, n := range g.Nodes {
		solid[n.ID] = true
	}
	for _, s := range d.Shapes {
		if solid[s.Element] && !s.Expanded {
			p.put(obstacle{s.Bounds, coverShape, s.Element})
		}
	}
	for _, e := range d.Edges {
		for i := 1; i < len(e.Waypoints); i++ {
			a, b := e.Waypoints[i-1], e.Waypoints[i]
			line := Bounds{min(a.X, b.X) - 0.5, min(a.Y, b.Y) - 0.5, math.Abs(a.X-b.X) + 1, math.Abs(a.Y-b.Y) + 1}
			p.put(obstacle{line, coverLine, e.Element})
		}
	}
	for _, s := range d.Shapes {
		if s.Label.W > 0 && solid[s.Element] {
			s.Label = p.best(s.Element, s.Label, besideShape(s), 2)
			p.put(obstacle{s.Label, coverName, s.Element})
		}
	}
	for _, e := range d.Edges {
		if e.Label.W > 0 {
			e.Label = p.best(e.Element, e.Label, besideLine(e), 7)
			p.put(obstacle{e.Label, coverName, e.Element})
		}
	}
}

// squares calls f for the squares that b touches.
func squares(b Bounds, f func(at [2]int)) {
	for x := int(math.Floor(b.X / squareSize)); x <= int(math.Floor((b.X+b.W)/squareSize)); x++ {
		for y := int(math.Floor(b.Y / squareSize)); y <= int(math.Floor((b.Y+b.H)/squareSize)); y++ {
			f([2]int{x, y})
		}
	}
}

// put enters an obstacle.
func (p *naming) put(o obstacle) {
	squares(o.Bounds, func(at [2]int) { p.rooms[at] = append(p.rooms[at], o) })
}

// namePlace is a place for a name; price says how far it is from the usual.
type namePlace struct {
	Bounds
	price float64
}

// best returns the cheapest place for the name of an element; lines of others
// should be further away than reach.
func (p *naming) best(element string, now Bounds, places []namePlace, reach float64) Bounds {
	least, found := math.Inf(1), now
	for _, c := range places {
		cost := c.price
		near := Bounds{c.X - 2.5, c.Y - 2, c.W + 5, c.H + 4}
		beside := Bounds{c.X - reach, c.Y - reach, c.W + 2*reach, c.H + 2*reach}
		seen := map[obstacle]bool{}
		squares(beside, func(at [2]int) {
			for _, o := range p.rooms[at] {
				touched := o.meets(near)
				if o.price == coverLine { // a name beside two lines could be of either
					touched = o.meets(beside)
				}
				if touched && !seen[o] && (o.owner != element || o.meets(c.Bounds)) {
					seen[o] = true
					cost += o.price
				}
			}
		})
		if cost < least {
			least, found = cost, c.Bounds
		}
	}
	return found
}

// besideShape lists places for the name of an event or gateway.
func besideShape(s *Shape) []namePlace {
	b, w, h := s.Bounds, s.Label.W, s.Label.H
	c := b.Center()
	below, above, mid := b.Y+b.H+3, b.Y-h-3, c.Y-h/2
	out := []namePlace{
		{s.Label, 0},
		{Bounds{c.X - w/2, below, w, h}, 1},
		{Bounds{c.X - w/2, above, w, h}, 1},
		{Bounds{b.X + b.W/2 + 8, above, w, h}, 3},
		{Bounds{b.X + b.W/2 - w - 8, above, w, h}, 3},
		{Bounds{b.X + b.W/2 + 8, below, w, h}, 3},
		{Bounds{b.X + b.W/2 - w - 8, below, w, h}, 3},
	}
	if b.H > eventSize { // the corners of a diamond are free
		out = append(out, namePlace{Bounds{b.X + b.W*0.78, b.Y - h/2, w, h}, 4}, namePlace{Bounds{b.X + b.W*0.22 - w, b.Y - h/2, w, h}, 4},
			namePlace{Bounds{b.X + b.W*0.78, b.Y + b.H - h/2, w, h}, 4}, namePlace{Bounds{b.X + b.W*0.22 - w, b.Y + b.H - h/2, w, h}, 4})
	}
	return append(out, namePlace{Bounds{b.X + b.W + 4, mid, w, h}, 6}, namePlace{Bounds{b.X - w - 4, mid, w, h}, 6})
}

// besideLine lists places for the name of a flow: along its line, better near
// its source.
func besideLine(e *Edge) []namePlace {
	w, h := e.Label.W, e.Label.H
	out := []namePlace{{e.Label, 0}}
	walked := 0.0
	for i := 1; i < len(e.Waypoints); i++ {
		a, b := e.Waypoints[i-1], e.Waypoints[i]
		length := math.Abs(a.X-b.X) + math.Abs(a.Y-b.Y)
		need := w + 8
		if a.X == b.X {
			need = h + 8
		}
		for _, share := range []float64{0, 0.5, 1} {
			far := 6 + min((length-need)*share, 240)
			if far < 4 {
				continue
			}
			price := (walked+far)/30 + float64(i)/4
			if length < need {
				price += 8
			}
			if a.X == b.X {
				y := a.Y + far
				if b.Y < a.Y {
					y = a.Y - far - h
				}
				out = append(out, namePlace{Bounds{a.X + 5, y, w, h}, price}, namePlace{Bounds{a.X - w - 5, y, w, h}, price + 1})
				continue
			}
			x := a.X + far
			if b.X < a.X {
				x = a.X - far - w
			}
			out = append(out, namePlace{Bounds{x, a.Y - h - 3, w, h}, price}, namePlace{Bounds{x, a.Y + 3, w, h}, price + 1})
		}
		walked += length
	}
	return out
}
