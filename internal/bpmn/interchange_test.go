package bpmn_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/bpmn"
)

// The files of testdata/interchange hold the constructs of the public reference
// models for BPMN interchange (BPMN MIWG, series A to C) in models of our own.

// read parses a file that must be good.
func read(t *testing.T, name string) *bpmn.Document {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", "interchange", name))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, src)
}

func TestEveryElement(t *testing.T) {
	t.Parallel()
	g, err := read(t, "every-element.bpmn").Graph("main")
	if err != nil {
		t.Fatalf("Graph = %v, want no error", err)
	}
	types, kinds := map[bpmn.NodeType]int{}, map[string]bool{}
	for _, n := range g.Nodes {
		types[n.Type]++
		if n.Event != nil {
			kinds[string(n.Type)+" "+string(n.Event.Kind)] = true
		}
	}
	for _, want := range []bpmn.NodeType{
		bpmn.StartEvent, bpmn.EndEvent, bpmn.IntermediateCatchEvent, bpmn.IntermediateThrowEvent, bpmn.BoundaryEvent,
		bpmn.Task, bpmn.UserTask, bpmn.ManualTask, bpmn.ServiceTask, bpmn.SendTask, bpmn.ReceiveTask, bpmn.ScriptTask, bpmn.BusinessRuleTask,
		bpmn.SubProcess, bpmn.Transaction, bpmn.AdHocSubProcess, bpmn.CallActivity,
		bpmn.ExclusiveGateway, bpmn.ParallelGateway, bpmn.InclusiveGateway, bpmn.EventBasedGateway, bpmn.ComplexGateway,
	} {
		if types[want] == 0 {
			t.Errorf("no node of type %s, want some", want)
		}
	}
	for event, want := range map[string]string{
		"startEvent":             "none message timer signal conditional multiple escalation",
		"intermediateCatchEvent": "message timer signal conditional link",
		"intermediateThrowEvent": "none message escalation signal compensate link",
		"boundaryEvent":          "message timer error escalation signal conditional compensate cancel",
		"endEvent":               "none message error escalation signal compensate terminate cancel multiple",
	} {
		for _, kind := range strings.Fields(want) {
			if !kinds[event+" "+kind] {
				t.Errorf("no %s of kind %s, want some", event, kind)
			}
		}
	}
	if len(g.Flows) != 56 || len(g.Lanes) != 4 {
		t.Errorf("Graph has %d flows and %d lanes, want 56 and 4", len(g.Flows), len(g.Lanes))
	}
	i := slices.IndexFunc(g.Nodes, func(n *bpmn.Node) bool { return n.ID == "deep_t" })
	if i < 0 || g.Nodes[i].Parent != "deep" {
		t.Errorf("task of the inner subprocess = %v, want it with parent deep", i)
	}
}

func TestVendorExtensions(t *testing.T) {
	t.Parallel()
	d := read(t, "vendor-extensions.bpmn")
	g, err := d.Graph("invoice")
	if err != nil {
		t.Fatalf("Graph = %v, want no error", err)
	}
	nodes := map[string]*bpmn.Node{}
	for _, n := range g.Nodes {
		nodes[n.ID] = n
	}
	if got := nodes["received"].Event; got.Kind != bpmn.MessageEvent || got.Name != "in" {
		t.Errorf("event of received = %+v, want message in", got)
	}
	if got := nodes["received"].Name; got != "Invoice\r\nreceived" {
		t.Errorf("name of received = %q, want its line break", got)
	}
	if got := nodes["ok"].Default; got != "f3" {
		t.Errorf("default of ok = %q, want f3", got)
	}
	if got := nodes["book"].Loop; got == nil || !got.MultiInstance || got.Sequential {
		t.Errorf("loop of book = %+v, want parallel instances", got)
	}
	if i := slices.IndexFunc(g.Flows, func(f *bpmn.Flow) bool { return f.ID == "f4" }); g.Flows[i].Condition != "${!approved && x < 1}" {
		t.Errorf("condition of f4 = %q, want that of the vendor", g.Flows[i].Condition)
	}
	canonical := string(d.Canonical())
	for _, want := range []string{
		`metaKey="empty" metaValue=""`, `<?keep this?>`, `xml:space="preserve"`, `color:background-color="#ffe0b2"`, `xsi:type="omgdc:Point"`,
		"name=\"Rechnung&#xD;&#xA;prüfen\"", `<Grid spacing="15"></Grid>`, `<q></q>`, `resolution="120.0"`, `source="= join(risks, &quot;, &quot;)"`,
	} {
		if !strings.Contains(canonical, want) {
			t.Errorf("document lost %s", want)
		}
	}
	diagram, ok := d.Diagram(g)
	want := &bpmn.Diagram{
		Element: "invoice",
		Shapes:  []*bpmn.Shape{{Element: "approve", Bounds: bpmn.Bounds{X: -94, Y: 12.5, W: 100, H: 80}}},
		Edges:   []*bpmn.Edge{{Element: "f2", Waypoints: []bpmn.Point{{X: 6, Y: 52}, {X: 60, Y: 52}, {X: 60, Y: 90.75}}}},
	}
	if diff := cmp.Diff(want, diagram); !ok || diff != "" {
		t.Errorf("Diagram differs (-want +got):\n%s", diff)
	}
	want.Shapes[0].Bounds.X = 5
	d.SetDiagram(g, want)
	if out := string(d.Bytes()); !strings.Contains(out, `color:background-color="#ffe0b2"`) || !strings.Contains(out, `<style:shape hidden="false"/>`) || !strings.Contains(out, `<omgdc:Bounds x="5"`) {
		t.Errorf("SetDiagram lost what the figure carries:\n%s", out)
	}
}

func TestPoolsAndTalk(t *testing.T) {
	t.Parallel()
	d := read(t, "pools-and-talk.bpmn")
	all, err := d.Graphs()
	if err != nil || len(all) != 2 {
		t.Fatalf("Graphs = %d, %v, want two", len(all), err)
	}
	sell, buy := all[0], all[1]
	if len(sell.Lanes) != 3 || sell.Lanes[0].Pool != "p1" || sell.Lanes[2].ID != "inside" {
		t.Errorf("lanes of sell = %+v, want sales and ship of p1 and inside", sell.Lanes)
	}
	if n := sell.Nodes[0]; n.Event.Kind != bpmn.MessageEvent || n.Event.Name != "order" {
		t.Errorf("event of %s = %+v, want the shared definition", n.ID, n.Event)
	}
	if n := buy.Nodes[1]; n.Event.Name != "order" {
		t.Errorf("event of %s = %+v, want message order", n.ID, n.Event)
	}
	diagram, ok := d.Diagram(buy)
	if !ok || len(diagram.Shapes) != 2 || !diagram.Shapes[0].Vertical || len(diagram.Edges) != 0 {
		t.Errorf("Diagram(buy) = %+v, %v, want its upright pool and its task", diagram, ok)
	}
}

// TestInterchange reads every file of the folder, writes it again without loss,
// understands, lays out and draws each of its processes and collaborations.
func TestInterchange(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/interchange/*.bpmn")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v, want ten", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			d := read(t, filepath.Base(file))
			again := parse(t, d.Bytes())
			if got, want := string(again.Canonical()), string(d.Canonical()); got != want {
				t.Errorf("written and read again it differs:\n%s", cmp.Diff(want, got))
			}
			all, err := d.Graphs()
			if err != nil || len(all) == 0 {
				t.Fatalf("Graphs() = %d, %v, want processes", len(all), err)
			}
			for _, g := range all {
				drawsProcess(t, d, g)
			}
			if c, ok, err := d.Collaboration(); err != nil {
				t.Errorf("Collaboration() = %v", err)
			} else if ok {
				drawsCollaboration(t, c, bpmn.LayoutCollaboration(c))
			}
		})
	}
}

// drawsProcess lays a process out, draws it, and keeps the drawing in the document.
func drawsProcess(t *testing.T, d *bpmn.Document, g *bpmn.Graph) {
	t.Helper()
	if len(g.Nodes) == 0 {
		return
	}
	diagram := bpmn.Layout(g)
	for _, n := range g.Nodes {
		s := diagram.Shape(n.ID)
		if s == nil {
			t.Errorf("%s: node %s is not drawn", g.ID, n.ID)
			continue
		}
		for _, o := range g.Nodes {
			if at := diagram.Shape(o.ID); o != n && at != nil && o.Parent == n.Parent && n.AttachedTo == "" && o.AttachedTo == "" && overlap(s.Bounds, at.Bounds) {
				t.Errorf("%s: nodes %s and %s overlap", g.ID, n.ID, o.ID)
			}
		}
	}
	_, ids := drawn(t, g, bpmn.SVGOptions{Lang: "zh"})
	for _, f := range g.Flows {
		if !ids[f.ID] {
			t.Errorf("%s: flow %s is not in the image", g.ID, f.ID)
		}
	}
	copied := parse(t, d.Bytes())
	copied.SetDiagram(g, diagram)
	kept, ok := parse(t, copied.Bytes()).Diagram(g)
	if !ok || kept.Shape(g.Nodes[0].ID) == nil {
		t.Errorf("%s: the drawing is not kept", g.ID)
	}
}

// TestInterchangeTable compares the table of the folder with the folder.
func TestInterchangeTable(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/interchange/README.md")
	if err != nil {
		t.Fatal(err)
	}
	models, listed := 0, map[string]bool{}
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], ".") {
			continue
		}
		models++
		for _, name := range strings.Split(cells[3], ",") {
			listed[strings.TrimSpace(name)+".bpmn"] = true
		}
	}
	if models != 21 {
		t.Errorf("the table has %d reference models, want 21", models)
	}
	files, err := os.ReadDir("testdata/interchange")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".bpmn") && !listed[f.Name()] {
			t.Errorf("%s is in no row", f.Name())
		}
		delete(listed, f.Name())
	}
	for name := range listed {
		t.Errorf("%s is listed and not there", name)
	}
}
