package bpmn_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/bpmn"
)

func shippedGraph(t testing.TB, file string) *bpmn.Graph {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := bpmn.Parse(strings.NewReader(string(text)), bpmn.Limits{})
	if err != nil {
		t.Fatalf("Parse(%v) = %v", file, err)
	}
	g, err := d.Graph("")
	if err != nil {
		t.Fatalf("Graph of %v = %v", file, err)
	}
	return g
}

// TestLayoutOfShippedProcesses: every node and flow is drawn, nodes do not
// overlap, and no edge runs through a node that it does not touch.
func TestLayoutOfShippedProcesses(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../packs/process/*.bpmn")
	if err != nil || len(files) == 0 {
		t.Fatalf("shipped processes = %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			g := shippedGraph(t, file)
			d := bpmn.Layout(g)
			shapes := map[string]bpmn.Bounds{}
			for _, s := range d.Shapes {
				shapes[s.Element] = s.Bounds
			}
			edges := map[string][]bpmn.Point{}
			for _, e := range d.Edges {
				edges[e.Element] = e.Waypoints
			}
			for i, n := range g.Nodes {
				if shapes[n.ID].W == 0 {
					t.Errorf("node %s is not drawn", n.ID)
				}
				for _, o := range g.Nodes[i+1:] {
					if n.AttachedTo == "" && o.AttachedTo == "" && n.Parent == o.Parent && overlap(shapes[n.ID], shapes[o.ID]) {
						t.Errorf("nodes %s and %s overlap", n.ID, o.ID)
					}
				}
			}
			for _, f := range g.Flows {
				if len(edges[f.ID]) < 2 {
					t.Errorf("flow %s is not drawn", f.ID)
				}
				for _, n := range g.Nodes {
					if n.ID != f.From && n.ID != f.To && n.AttachedTo == "" && through(edges[f.ID], shapes[n.ID]) {
						t.Errorf("flow %s runs through node %s", f.ID, n.ID)
					}
				}
			}
		})
	}
}

func overlap(a, b bpmn.Bounds) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// through reports whether an orthogonal line enters the inside of a box.
func through(line []bpmn.Point, box bpmn.Bounds) bool {
	for i := 1; i < len(line); i++ {
		a, b := line[i-1], line[i]
		segment := bpmn.Bounds{X: min(a.X, b.X), Y: min(a.Y, b.Y), W: max(a.X, b.X) - min(a.X, b.X), H: max(a.Y, b.Y) - min(a.Y, b.Y)}
		if segment.X < box.X+box.W && box.X < segment.X+segment.W+1e-9 && segment.Y < box.Y+box.H && box.Y < segment.Y+segment.H+1e-9 &&
			segment.X+segment.W > box.X && segment.Y+segment.H > box.Y {
			return true
		}
	}
	return false
}

// BenchmarkLayout lays out chains of gateways, 500 nodes.
func BenchmarkLayout(b *testing.B) {
	g := &bpmn.Graph{ID: "p"}
	add := func(id string, typ bpmn.NodeType) *bpmn.Node {
		n := &bpmn.Node{ID: id, Name: id, Type: typ}
		g.Nodes = append(g.Nodes, n)
		return n
	}
	link := func(from, to *bpmn.Node) {
		f := &bpmn.Flow{ID: fmt.Sprintf("f%d", len(g.Flows)), From: from.ID, To: to.ID}
		g.Flows = append(g.Flows, f)
		from.Outgoing, to.Incoming = append(from.Outgoing, f.ID), append(to.Incoming, f.ID)
	}
	last := add("s", bpmn.StartEvent)
	for i := 0; len(g.Nodes) < 499; i++ {
		split := add(fmt.Sprintf("x%d", i), bpmn.ExclusiveGateway)
		join := add(fmt.Sprintf("j%d", i), bpmn.ExclusiveGateway)
		link(last, split)
		for k := range 3 {
			task := add(fmt.Sprintf("t%d_%d", i, k), bpmn.UserTask)
			link(split, task)
			link(task, join)
		}
		last = join
	}
	link(last, add("e", bpmn.EndEvent))
	b.ReportAllocs()
	for b.Loop() {
		bpmn.Layout(g)
	}
	b.ReportMetric(float64(len(g.Nodes))*float64(b.N)/b.Elapsed().Seconds(), "nodes/s")
}
