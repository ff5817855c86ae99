package bpmn_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/bpmn"
)

// TestCollaboration draws four parties that talk: pools one below the other, every
// message from its source to its target, no line through a node.
func TestCollaboration(t *testing.T) {
	t.Parallel()
	d := read(t, "fault-with-contractor.bpmn")
	c, ok, err := d.Collaboration()
	if err != nil || !ok || len(c.Pools) != 4 || len(c.Messages) != 6 || c.Pools[3].Process != nil || c.Pools[1].Process.ID != "operator" {
		t.Fatalf("Collaboration() = %+v, %v, %v, want four pools, the last a black box, and six messages", c, ok, err)
	}
	if _, has := d.Drawing(c); has {
		t.Error("Drawing() of a document without a diagram, want none")
	}
	drawing := bpmn.LayoutCollaboration(c)
	drawsCollaboration(t, c, drawing)

	g, err := d.Graph("operator")
	if err != nil {
		t.Fatal(err)
	}
	d.SetDiagram(g, drawing)
	again, err := bpmn.Parse(bytes.NewReader(d.Bytes()), bpmn.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	kept, has := again.Drawing(c)
	if !has || len(kept.Shapes) != len(drawing.Shapes) || len(kept.Edges) != len(drawing.Edges) {
		t.Errorf("Drawing() after SetDiagram = %v, want the %d shapes and %d edges that were set", has, len(drawing.Shapes), len(drawing.Edges))
	}
	drawsCollaboration(t, c, kept)

	// An edit of one process draws all parties anew.
	if _, err := again.Apply("operator", bpmn.Edit{Op: bpmn.InsertNode, Flow: "o1", ID: "o-auto", Type: bpmn.ServiceTask, Name: "远程诊断", Lane: "l-desk"}); err != nil {
		t.Fatal(err)
	}
	after, _, err := again.Collaboration()
	if err != nil {
		t.Fatal(err)
	}
	redrawn, has := again.Drawing(after)
	if !has {
		t.Fatal("Drawing() after an edit, want one of all parties")
	}
	drawsCollaboration(t, after, redrawn)
}

// drawsCollaboration checks a drawing of a collaboration and its image.
func drawsCollaboration(t *testing.T, c *bpmn.Collaboration, d *bpmn.Diagram) {
	t.Helper()
	lines := map[string][]bpmn.Point{}
	for _, e := range d.Edges {
		lines[e.Element] = e.Waypoints
	}
	var nodes []*bpmn.Node
	bottom := 0.0
	for _, p := range c.Pools {
		box := d.Shape(p.ID).Bounds
		if box.Y < bottom {
			t.Errorf("pool %s begins at %v, above the end of the one before at %v", p.ID, box.Y, bottom)
		}
		bottom = box.Y + box.H
		if p.Process == nil {
			continue
		}
		for i, n := range p.Process.Nodes {
			b := d.Shape(n.ID).Bounds
			if b.X < box.X || b.Y < box.Y || b.X+b.W > box.X+box.W || b.Y+b.H > box.Y+box.H {
				t.Errorf("node %s at %v lies outside of pool %s at %v", n.ID, b, p.ID, box)
			}
			for _, o := range p.Process.Nodes[i+1:] {
				if n.AttachedTo == "" && o.AttachedTo == "" && n.Parent == o.Parent && overlap(b, d.Shape(o.ID).Bounds) {
					t.Errorf("nodes %s and %s overlap", n.ID, o.ID)
				}
			}
		}
		for _, f := range p.Process.Flows {
			if len(lines[f.ID]) < 2 {
				t.Errorf("flow %s is not drawn", f.ID)
			}
		}
		nodes = append(nodes, p.Process.Nodes...)
	}
	for _, m := range c.Messages {
		line := lines[m.ID]
		if len(line) < 2 {
			t.Errorf("message %s is not drawn", m.ID)
			continue
		}
		for i, end := range []string{m.From, m.To} {
			if at := line[i*(len(line)-1)]; !touches(d.Shape(end).Bounds, at) {
				t.Errorf("message %s ends at %v, not at %s", m.ID, at, end)
			}
		}
		for _, n := range nodes {
			if n.ID != m.From && n.ID != m.To && n.AttachedTo == "" && !around(d, n.ID, m) && through(line, d.Shape(n.ID).Bounds) {
				t.Errorf("message %s runs through node %s: %v", m.ID, n.ID, line)
			}
		}
	}
	var image bytes.Buffer
	if err := bpmn.RenderCollaboration(&image, c, d, bpmn.SVGOptions{Lang: "zh"}); err != nil {
		t.Fatalf("RenderCollaboration() = %v", err)
	}
	for dec := xml.NewDecoder(bytes.NewReader(image.Bytes())); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("RenderCollaboration() gave no XML: %v", err)
		}
	}
	for _, m := range c.Messages {
		if !strings.Contains(image.String(), `data-element="`+m.ID+`"`) {
			t.Errorf("the image does not show message %s", m.ID)
		}
	}
	for _, p := range c.Pools {
		if !strings.Contains(image.String(), p.Name) {
			t.Errorf("the image does not name %s", p.Name)
		}
	}
}

// around reports whether a node has an end of a message inside.
func around(d *bpmn.Diagram, id string, m *bpmn.MessageFlow) bool {
	box := d.Shape(id).Bounds
	return box.Contains(d.Shape(m.From).Bounds.Center()) || box.Contains(d.Shape(m.To).Bounds.Center())
}

// touches reports whether a point lies on the border of a box.
func touches(b bpmn.Bounds, p bpmn.Point) bool {
	const near = 0.2
	in := p.X > b.X-near && p.X < b.X+b.W+near && p.Y > b.Y-near && p.Y < b.Y+b.H+near
	return in && !(p.X > b.X+near && p.X < b.X+b.W-near && p.Y > b.Y+near && p.Y < b.Y+b.H-near)
}
