package bpmn

import (
	"math"
	"strconv"
	"strings"
)

// SetDiagram makes the document's diagram interchange show g as diagram says.
// Figures of elements that diagram names are replaced, keeping their ids and
// whatever else they carry, such as colours; figures of g's elements that it
// does not name are removed; all others stay. A plane is made when there is
// none.
func (d *Document) SetDiagram(g *Graph, diagram *Diagram) {
	w := &diWriter{doc: d, old: map[string]*element{}}
	w.plane = d.planeOf(g, diagram)
	w.sweep(g, diagram)
	for _, s := range diagram.Shapes {
		w.shape(s, d.byID(s.Element))
	}
	for _, e := range diagram.Edges {
		w.edge(e)
	}
	w.tidy()
	d.changed()
}

// diWriter replaces figures on a plane.
type diWriter struct {
	doc   *Document
	plane *element
	old   map[string]*element // figures there were, by the element they show
}

// planeOf returns the plane that shows g, or a new one for its collaboration,
// else its process.
func (d *Document) planeOf(g *Graph, diagram *Diagram) *element {
	shown := map[string]bool{g.ID: true}
	for _, n := range g.Nodes {
		shown[n.ID] = true
	}
	target := diagram.Element
	for c := range d.root.children(ModelNamespace, "collaboration") {
		for p := range c.children(ModelNamespace, "participant") {
			if localPart(p.attr("processRef")) == g.ID && (target == "" || target == g.ID) {
				target = c.attr("id")
			}
		}
	}
	if target == "" {
		target = g.ID
	}
	shown[target] = true
	for box := range d.root.children(diNamespace, "BPMNDiagram") {
		for plane := range box.children(diNamespace, "BPMNPlane") {
			if shown[localPart(plane.attr("bpmnElement"))] {
				return plane
			}
			for e := range plane.children(diNamespace, "BPMNShape") {
				if shown[localPart(e.attr("bpmnElement"))] {
					return plane
				}
			}
		}
	}
	box := d.make(d.root, diNamespace, "bpmndi", "BPMNDiagram")
	box.set("id", d.freeID(target+"_diagram"))
	plane := d.make(box, diNamespace, "bpmndi", "BPMNPlane")
	plane.set("id", d.freeID(target+"_plane"))
	plane.set("bpmnElement", target)
	d.root.items = append(d.root.items, item{kind: elementItem, element: box})
	box.items = append(box.items, item{kind: elementItem, element: plane})
	return plane
}

// sweep takes the figures off the plane that are drawn anew or belong to g.
func (w *diWriter) sweep(g *Graph, diagram *Diagram) {
	gone := map[string]bool{}
	for _, n := range g.Nodes {
		gone[n.ID] = true
	}
	for _, f := range g.Flows {
		gone[f.ID] = true
	}
	for _, l := range g.Lanes {
		gone[l.ID], gone[l.Pool] = true, true
	}
	for _, s := range diagram.Shapes {
		gone[s.Element] = true
	}
	for _, e := range diagram.Edges {
		gone[e.Element] = true
	}
	var kept []item
	for _, it := range w.plane.items {
		if e := it.element; e != nil && e.uri == diNamespace && gone[localPart(e.attr("bpmnElement"))] {
			w.old[localPart(e.attr("bpmnElement"))] = e
			continue
		}
		kept = append(kept, it)
	}
	w.plane.items = kept
}

// figure returns the element for a figure, a new one when there was none,
// without what a Diagram says.
func (w *diWriter) figure(local, shows string) *element {
	e := w.old[shows]
	if e == nil || e.local != local {
		e = w.doc.make(w.plane, diNamespace, "bpmndi", local)
		id := w.doc.freeID(shows + "_di")
		e.set("id", id)
		w.doc.ids[id] = e
		e.set("bpmnElement", shows)
	}
	var kept []item
	for _, it := range e.items {
		c := it.element
		if c != nil && (c.in(dcNamespace, "Bounds") || c.in(ddiNamespace, "waypoint") || c.in(diNamespace, "BPMNLabel")) || it.kind == textItem {
			continue
		}
		kept = append(kept, it)
	}
	e.items = kept
	w.plane.items = append(w.plane.items, item{kind: elementItem, element: e})
	return e
}

// shape writes one shape; of is the element it shows, nil when unknown.
func (w *diWriter) shape(s *Shape, of *element) {
	e := w.figure("BPMNShape", s.Element)
	e.set("isHorizontal", "")
	e.set("isExpanded", "")
	if of != nil && (of.is("lane") || of.is("participant")) {
		e.set("isHorizontal", strconv.FormatBool(!s.Vertical))
	}
	if of != nil && (of.is("subProcess") || of.is("transaction") || of.is("adHocSubProcess")) {
		e.set("isExpanded", strconv.FormatBool(s.Expanded))
	}
	if of != nil && of.is("exclusiveGateway") && e.attr("isMarkerVisible") == "" {
		e.set("isMarkerVisible", "true")
	}
	w.prepend(e, w.bounds(e, s.Bounds), w.label(e, s.Label))
}

// edge writes one line.
func (w *diWriter) edge(l *Edge) {
	e := w.figure("BPMNEdge", l.Element)
	var points []*element
	for _, p := range l.Waypoints {
		wp := w.doc.make(e, ddiNamespace, "di", "waypoint")
		wp.set("x", coordinate(p.X))
		wp.set("y", coordinate(p.Y))
		points = append(points, wp)
	}
	w.prepend(e, append(points, w.label(e, l.Label))...)
}

// prepend puts children before what e has kept, in the order the schema wants:
// extension elements of DI come first.
func (w *diWriter) prepend(e *element, children ...*element) {
	var first, rest []item
	for _, it := range e.items {
		if it.element != nil && it.element.in(ddiNamespace, "extension") {
			first = append(first, it)
		} else {
			rest = append(rest, it)
		}
	}
	for _, c := range children {
		if c != nil {
			first = append(first, item{kind: elementItem, element: c})
		}
	}
	e.items = append(first, rest...)
}

// label makes the label of a figure; nil when it has no place of its own.
func (w *diWriter) label(of *element, b Bounds) *element {
	if b == (Bounds{}) {
		return nil
	}
	l := w.doc.make(of, diNamespace, "bpmndi", "BPMNLabel")
	l.items = []item{{kind: elementItem, element: w.bounds(l, b)}}
	return l
}

// bounds makes a dc:Bounds.
func (w *diWriter) bounds(of *element, b Bounds) *element {
	e := w.doc.make(of, dcNamespace, "dc", "Bounds")
	e.set("x", coordinate(b.X))
	e.set("y", coordinate(b.Y))
	e.set("width", coordinate(b.W))
	e.set("height", coordinate(b.H))
	return e
}

// coordinate writes a length with at most one decimal.
func coordinate(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10+0, 'f', -1, 64)
}

// tidy puts every figure of the plane on its own line.
func (w *diWriter) tidy() {
	box := w.plane.parent
	indent(box, 1)
	if last := len(w.doc.root.items); last > 0 && w.doc.root.items[last-1].element == box {
		w.doc.root.items = append(w.doc.root.items[:last-1], item{kind: textItem, text: "  "}, item{kind: elementItem, element: box}, item{kind: textItem, text: "\n"})
	}
}

// indent puts the children of e on lines of their own where it has no other
// text.
func indent(e *element, depth int) {
	var items []item
	for _, it := range e.items {
		if it.kind == textItem && strings.TrimSpace(it.text) == "" {
			continue
		}
		items = append(items, item{kind: textItem, text: "\n" + strings.Repeat("  ", depth+1)}, it)
		if it.element != nil {
			indent(it.element, depth+1)
		}
	}
	if len(items) > 0 && e.content() == "" {
		e.items = append(items, item{kind: textItem, text: "\n" + strings.Repeat("  ", depth)})
	}
}
