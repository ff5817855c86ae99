package bpmn

import (
	"math"
	"slices"
	"strconv"
)

// maxWaypoints bounds the corners of one line.
const maxWaypoints = 10_000

// Diagram returns what the document's diagram interchange says of a process:
// the shapes and lines of its elements, of its pool and lanes, its artifacts,
// data and message flows, on the plane that shows them. False when the
// document shows no node of g.
func (d *Document) Diagram(g *Graph) (*Diagram, bool) {
	nodes := map[string]bool{}
	for _, n := range g.Nodes {
		nodes[n.ID] = true
	}
	for diagram := range d.root.children(diNamespace, "BPMNDiagram") {
		for plane := range diagram.children(diNamespace, "BPMNPlane") {
			out := readPlane(plane)
			if slices.ContainsFunc(out.Shapes, func(s *Shape) bool { return nodes[s.Element] }) {
				return d.only(out, g), true
			}
		}
	}
	return nil, false
}

// readPlane reads the figures of one BPMNPlane.
func readPlane(plane *element) *Diagram {
	out := &Diagram{Element: localPart(plane.attr("bpmnElement"))}
	for e := range plane.children(diNamespace, "") {
		switch e.local {
		case "BPMNShape":
			if s, ok := readShape(e); ok {
				out.Shapes = append(out.Shapes, s)
			}
		case "BPMNEdge":
			if l, ok := readEdge(e); ok {
				out.Edges = append(out.Edges, l)
			}
		}
	}
	return out
}

// only drops what belongs to other processes of the same plane.
func (d *Document) only(out *Diagram, g *Graph) *Diagram {
	foreign := map[string]bool{}
	for p := range d.root.children(ModelNamespace, "process") {
		if p.attr("id") == g.ID {
			continue
		}
		p.walk(func(e *element) bool {
			foreign[e.attr("id")] = true
			return true
		})
	}
	if len(foreign) == 0 {
		return out
	}
	kept := &Diagram{Element: out.Element}
	for _, s := range out.Shapes {
		if e := d.byID(s.Element); !foreign[s.Element] && (e == nil || !e.is("participant") || localPart(e.attr("processRef")) == g.ID) {
			kept.Shapes = append(kept.Shapes, s)
		}
	}
	for _, l := range out.Edges {
		if e := d.byID(l.Element); !foreign[l.Element] && (e == nil || !e.is("messageFlow")) {
			kept.Edges = append(kept.Edges, l)
		}
	}
	return kept
}

// readShape reads a BPMNShape; false without a usable place.
func readShape(e *element) (*Shape, bool) {
	b, ok := readBounds(e)
	if !ok || e.attr("bpmnElement") == "" {
		return nil, false
	}
	return &Shape{
		Element: localPart(e.attr("bpmnElement")), Bounds: b, Label: readLabel(e),
		Expanded: isTrue(e.attr("isExpanded")), Vertical: e.attr("isHorizontal") == "false" || e.attr("isHorizontal") == "0",
	}, true
}

// readEdge reads a BPMNEdge; false without at least two waypoints.
func readEdge(e *element) (*Edge, bool) {
	l := &Edge{Element: localPart(e.attr("bpmnElement")), Label: readLabel(e)}
	for w := range e.children(ddiNamespace, "waypoint") {
		x, okX := number(w.attr("x"))
		y, okY := number(w.attr("y"))
		if !okX || !okY || len(l.Waypoints) == maxWaypoints {
			return nil, false
		}
		l.Waypoints = append(l.Waypoints, Point{x, y})
	}
	return l, len(l.Waypoints) > 1 && l.Element != ""
}

// readLabel reads where the label of a shape or edge stands; zero without.
func readLabel(e *element) Bounds {
	for label := range e.children(diNamespace, "BPMNLabel") {
		if b, ok := readBounds(label); ok {
			return b
		}
	}
	return Bounds{}
}

// readBounds reads the dc:Bounds of a shape or label.
func readBounds(e *element) (Bounds, bool) {
	for b := range e.children(dcNamespace, "Bounds") {
		var out Bounds
		for name, field := range map[string]*float64{"x": &out.X, "y": &out.Y, "width": &out.W, "height": &out.H} {
			v, ok := number(b.attr(name))
			if !ok {
				return Bounds{}, false
			}
			*field = v
		}
		return out, out.W >= 0 && out.H >= 0
	}
	return Bounds{}, false
}

// number reads a coordinate; what no drawing has is refused.
func number(s string) (float64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && !math.IsNaN(v) && math.Abs(v) < 1e7
}
