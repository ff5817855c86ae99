package bpmn

// Point is a place on a diagram in pixels; y grows downwards.
type Point struct{ X, Y float64 }

// Bounds is a rectangle on a diagram in pixels: its upper left corner and size.
type Bounds struct{ X, Y, W, H float64 }

// Center returns the middle of b.
func (b Bounds) Center() Point { return Point{b.X + b.W/2, b.Y + b.H/2} }

// Contains reports whether p lies strictly inside b.
func (b Bounds) Contains(p Point) bool {
	return p.X > b.X && p.X < b.X+b.W && p.Y > b.Y && p.Y < b.Y+b.H
}

// moved returns b shifted.
func (b Bounds) moved(dx, dy float64) Bounds { return Bounds{b.X + dx, b.Y + dy, b.W, b.H} }

// union returns the smallest rectangle around b and o; a zero b is nothing.
func (b Bounds) union(o Bounds) Bounds {
	if b == (Bounds{}) {
		return o
	}
	x, y := min(b.X, o.X), min(b.Y, o.Y)
	return Bounds{x, y, max(b.X+b.W, o.X+o.W) - x, max(b.Y+b.H, o.Y+o.H) - y}
}

// meets reports whether the insides of b and o have a point in common.
func (b Bounds) meets(o Bounds) bool {
	return b.X < o.X+o.W && o.X < b.X+b.W && b.Y < o.Y+o.H && o.Y < b.Y+b.H
}

// Diagram is the drawing of one plane: where each element stands. It is what
// BPMN DI says (BPMN 2.0.2, chapter 12), without styles.
type Diagram struct {
	Element string // process, collaboration or subprocess that is drawn
	Shapes  []*Shape
	Edges   []*Edge
}

// Shape is the place of a node, lane, pool or artifact. Label is where the name
// of an event, gateway or data object stands; zero for names inside the shape.
type Shape struct {
	Element  string
	Bounds   Bounds
	Label    Bounds
	Expanded bool // subprocesses: drawn with their content
	Vertical bool // pools and lanes: drawn top to bottom
}

// Edge is the line of a sequence flow, message flow or association, from its
// source to its target. Label is where the name stands; zero without.
type Edge struct {
	Element   string
	Waypoints []Point
	Label     Bounds
}

// Bounds returns the rectangle around all of d.
func (d *Diagram) Bounds() Bounds {
	var b Bounds
	for _, s := range d.Shapes {
		b = b.union(s.Bounds)
		if s.Label.W > 0 {
			b = b.union(s.Label)
		}
	}
	for _, e := range d.Edges {
		for _, p := range e.Waypoints {
			b = b.union(Bounds{p.X, p.Y, 0.1, 0.1})
		}
		if e.Label.W > 0 {
			b = b.union(e.Label)
		}
	}
	return b
}

// Shape returns the shape of an element, nil when it is not drawn.
func (d *Diagram) Shape(element string) *Shape {
	for _, s := range d.Shapes {
		if s.Element == element {
			return s
		}
	}
	return nil
}
