package bpmn

import "slices"

// Sizes of shapes in pixels, as BPMN editors draw them.
const (
	taskWidth, taskHeight = 110, 80
	eventSize             = 36
	gatewaySize           = 50
	headerWidth           = 30  // name bands of pools and lanes
	labelWidth            = 96  // names beside events, gateways and flows wrap here
	labelLines            = 4   // and have at most so many lines
	subPadding            = 24  // between a subprocess and its content
	subHeader             = 28  // above the content, for the name
	boundaryPitch         = 52  // between boundary events of one activity
	trackPitch            = 10  // between parallel lines in a channel
	minLaneHeight         = 110 //
)

// Layout draws a process from left to right: nodes in columns by their distance
// from the start, in the band of their lane, with lines that run along the
// gutters between them and cross no node. Subprocesses are drawn expanded,
// boundary events on the lower border of their activity. The result depends on
// the graph alone. Cost about nodes × flows in the worst case; 500 nodes take
// some tenths of a second.
//
// The method is that of Sugiyama, Tagawa and Toda (1981): break cycles, assign
// layers, order to avoid crossings, assign coordinates; the lines are routed on
// a grid with costs for length, bends and crossings.
func Layout(g *Graph) *Diagram {
	d := &Diagram{Element: g.ID}
	l := newLayout(g, "")
	l.place()
	l.draw()
	d.Shapes, d.Edges = l.bands(), l.edges
	if len(d.Shapes) > 0 && l.pool() != "" {
		d.Element = ""
	}
	d.Shapes = append(d.Shapes, l.shapes...)
	placeNames(d, g)
	return d
}

// layout is the work on one scope: a process or a subprocess.
type layout struct {
	g      *Graph
	parent string
	lanes  []*Lane // bands from top to bottom; one nil band without lanes
	cells  []*cell
	byID   map[string]int // cell of a node; boundary events have their host's
	hung   map[string]*Node
	links  []*link

	columns int
	rows    int
	laneOf  []int // lane of each row

	colX, colW         []float64 // columns: left edge and width
	rowTop, rowY, rowB []float64 // rows: ink above the center, the center, ink below
	borders            []float64 // upper border of each lane and the lower of the last
	width, height      float64

	shapes []*Shape
	edges  []*Edge
}

// cell is a node with its place on the grid.
type cell struct {
	node     *Node
	inner    *layout // expanded subprocess
	w, h     float64
	labelW   float64
	labelH   float64
	hung     []*Node // boundary events
	lane     int
	column   int
	row      int
	layer    int
	side     labelSide
	isolated bool
}

// labelSide is where the name of an event or gateway stands.
type labelSide uint8

const (
	labelBelow labelSide = iota
	labelAbove
	labelBeside // below, to the right of a line
)

// link is a sequence flow between two cells of the scope, or the association of a
// compensation.
type link struct {
	flow     *Flow
	from, to int
	hung     *Node // boundary event the flow leaves, nil otherwise
	hungAt   int   // its number among those of its activity
	back     bool  // closes a cycle
	path     []spot
	runs     []*run
	labelW   float64
	labelH   float64
}

// newLayout collects the nodes and flows of a scope and lays out the
// subprocesses in it.
func newLayout(g *Graph, parent string) *layout {
	l := &layout{g: g, parent: parent, byID: map[string]int{}, hung: map[string]*Node{}}
	band := l.findLanes()
	for _, n := range g.Nodes {
		if n.Parent == parent && n.Type != BoundaryEvent {
			l.byID[n.ID] = len(l.cells)
			l.cells = append(l.cells, l.newCell(n, band))
		}
	}
	for _, n := range g.Nodes {
		if host, ok := l.byID[n.AttachedTo]; ok && n.Parent == parent && n.Type == BoundaryEvent {
			l.byID[n.ID], l.hung[n.ID] = host, n
			c := l.cells[host]
			c.hung = append(c.hung, n)
			c.w = max(c.w, float64(len(c.hung))*boundaryPitch+16)
		}
	}
	flows := g.Flows
	for _, n := range g.Nodes {
		if n.Association != "" { // drawn as a flow is
			flows = append(slices.Clip(flows), &Flow{ID: n.Association, From: n.ID, To: n.Handler})
		}
	}
	for _, f := range flows {
		from, ok := l.byID[f.From]
		to, ok2 := l.byID[f.To]
		if !ok || !ok2 {
			continue
		}
		k := &link{flow: f, from: from, to: to, hung: l.hung[f.From]}
		k.hungAt = slices.Index(l.cells[from].hung, k.hung)
		k.labelW, k.labelH = nameBox(f.Name, f.Extension.NameEn, labelWidth, 2)
		l.links = append(l.links, k)
	}
	return l
}

// findLanes makes the bands: lanes that have nodes of their own or no lanes
// inside. It returns the band of each lane.
func (l *layout) findLanes() map[string]int {
	band := map[string]int{}
	if l.parent == "" {
		for _, a := range l.g.Lanes {
			inner := slices.ContainsFunc(l.g.Lanes, func(b *Lane) bool { return b.Parent == a.ID })
			if !inner || len(a.Nodes) > 0 {
				band[a.ID] = len(l.lanes)
				l.lanes = append(l.lanes, a)
			}
		}
	}
	if len(l.lanes) == 0 {
		l.lanes = []*Lane{nil}
	}
	return band
}

// newCell makes the cell of a node with its size.
func (l *layout) newCell(n *Node, band map[string]int) *cell {
	c := &cell{node: n, w: taskWidth, h: taskHeight, lane: band[n.Lane]}
	switch {
	case isEvent(n.Type):
		c.w, c.h = eventSize, eventSize
	case isGateway(n.Type):
		c.w, c.h = gatewaySize, gatewaySize
	case l.hasContent(n):
		c.inner = newLayout(l.g, n.ID)
		c.inner.place()
		c.inner.draw()
		c.w = max(c.inner.width+2*subPadding, 200)
		c.h = c.inner.height + subPadding + subHeader
	}
	if c.w < taskWidth {
		c.labelW, c.labelH = nameBox(n.Name, n.Extension.NameEn, labelWidth, labelLines)
	}
	return c
}

// hasContent reports whether a subprocess has nodes inside.
func (l *layout) hasContent(n *Node) bool {
	return slices.ContainsFunc(l.g.Nodes, func(m *Node) bool { return m.Parent == n.ID })
}

// isEvent reports whether t is drawn as a circle.
func isEvent(t NodeType) bool {
	return t == StartEvent || t == EndEvent || t == IntermediateCatchEvent || t == IntermediateThrowEvent || t == BoundaryEvent
}

// isGateway reports whether t is drawn as a diamond.
func isGateway(t NodeType) bool {
	return t == ExclusiveGateway || t == ParallelGateway || t == InclusiveGateway || t == EventBasedGateway || t == ComplexGateway
}

// place finds column and row of every cell and the way of every link.
func (l *layout) place() {
	l.layers()
	l.arrange()
	l.route()
	l.chooseSides()
	l.tracks()
}

// pool returns the participant whose lanes are drawn, "" without.
func (l *layout) pool() string {
	for _, a := range l.g.Lanes {
		if a.Pool != "" {
			return a.Pool
		}
	}
	return ""
}
