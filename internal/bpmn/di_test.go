package bpmn_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/bpmn"
)

const small = `<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:di="urn:not-di" id="d" targetNamespace="urn:t">
  <collaboration id="c"><participant id="pool" processRef="p"/></collaboration>
  <process id="p">
    <laneSet><lane id="l"><flowNodeRef>s</flowNodeRef></lane></laneSet>
    <startEvent id="s" name="go"/><exclusiveGateway id="x"/><subProcess id="sub"><task id="t"/></subProcess>
    <sequenceFlow id="f" sourceRef="s" targetRef="x"/>
  </process>
</definitions>
`

func smallDiagram() *bpmn.Diagram {
	return &bpmn.Diagram{
		Element: "c",
		Shapes: []*bpmn.Shape{
			{Element: "pool", Bounds: bpmn.Bounds{X: 0, Y: 0, W: 600, H: 200}},
			{Element: "l", Bounds: bpmn.Bounds{X: 30, Y: 0, W: 570, H: 200}},
			{Element: "s", Bounds: bpmn.Bounds{X: 50.5, Y: 20, W: 36, H: 36}, Label: bpmn.Bounds{X: 50, Y: 60, W: 20, H: 14.3}},
			{Element: "x", Bounds: bpmn.Bounds{X: 150, Y: 13, W: 50, H: 50}},
			{Element: "sub", Bounds: bpmn.Bounds{X: 300, Y: 13, W: 200, H: 150}, Expanded: true},
			{Element: "t", Bounds: bpmn.Bounds{X: 320, Y: 53, W: 120, H: 80}},
		},
		Edges: []*bpmn.Edge{{Element: "f", Waypoints: []bpmn.Point{{X: 86.5, Y: 38}, {X: 150, Y: 38}}, Label: bpmn.Bounds{X: 100, Y: 20, W: 30, H: 14}}},
	}
}

func TestSetDiagram(t *testing.T) {
	t.Parallel()
	d := parse(t, []byte(small))
	g, err := d.Graph("")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Diagram(g); ok {
		t.Error("Diagram of a document without one = true, want false")
	}
	want := smallDiagram()
	d.SetDiagram(g, want)
	first := d.Bytes()
	again := parse(t, first)
	got, ok := again.Diagram(g)
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Fatalf("Diagram differs from what was set (-want +got):\n%s", diff)
	}
	if g2, err := again.Graph(""); err != nil || !cmp.Equal(g, g2) {
		t.Errorf("Graph after SetDiagram = %v, %v, want it unchanged", g2, err)
	}
	again.SetDiagram(g, got)
	if diff := cmp.Diff(string(first), string(again.Bytes())); diff != "" {
		t.Errorf("setting the same diagram again changes the document:\n%s", diff)
	}
	for _, line := range strings.Split(string(first), "\n") {
		if strings.Count(line, "bpmnElement=") > 1 {
			t.Errorf("two figures on one line: %s", line)
		}
	}
}

func TestSetDiagramKeeps(t *testing.T) {
	t.Parallel()
	d := parse(t, []byte(small))
	g, err := d.Graph("")
	if err != nil {
		t.Fatal(err)
	}
	d.SetDiagram(g, smallDiagram())
	src := strings.Replace(string(d.Bytes()), `bpmnElement="t"`, `bpmnElement="t" stroke="red"`, 1)
	src = strings.Replace(src, "</bpmndi:BPMNPlane>", `<bpmndi:BPMNShape id="note_di" bpmnElement="note"/></bpmndi:BPMNPlane>`, 1)
	d = parse(t, []byte(src))
	moved := smallDiagram()
	moved.Shapes = moved.Shapes[:5]
	moved.Shapes = append(moved.Shapes, &bpmn.Shape{Element: "t", Bounds: bpmn.Bounds{X: 330, Y: 53, W: 120, H: 80}})
	moved.Edges = nil
	d.SetDiagram(g, moved)
	out := string(d.Bytes())
	for _, want := range []string{`stroke="red"`, `bpmnElement="note"`, `x="330"`} {
		if !strings.Contains(out, want) {
			t.Errorf("document lacks %s after SetDiagram:\n%s", want, out)
		}
	}
	for _, gone := range []string{`x="320"`, `bpmnElement="f"`} {
		if strings.Contains(out, gone) {
			t.Errorf("document still has %s after SetDiagram", gone)
		}
	}
}

func TestDiagramOfOneOfTwoPools(t *testing.T) {
	t.Parallel()
	src := definitions + `<collaboration id="c"><participant id="P" processRef="p"/><participant id="Q" processRef="q"/><messageFlow id="m" sourceRef="a" targetRef="b"/></collaboration>
<process id="p"><task id="a"/></process><process id="q"><task id="b"/></process>
<BPMNDiagram xmlns="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:o="http://www.omg.org/spec/DD/20100524/DC" xmlns:w="http://www.omg.org/spec/DD/20100524/DI"><BPMNPlane bpmnElement="c">
<BPMNShape bpmnElement="P"><o:Bounds x="0" y="0" width="300" height="100"/></BPMNShape>
<BPMNShape bpmnElement="Q"><o:Bounds x="0" y="150" width="300" height="100"/></BPMNShape>
<BPMNShape bpmnElement="a"><o:Bounds x="50" y="10" width="100" height="80"/></BPMNShape>
<BPMNShape bpmnElement="b"><o:Bounds x="50" y="160" width="NaN" height="80"/></BPMNShape>
<BPMNEdge bpmnElement="m"><w:waypoint x="100" y="90"/><w:waypoint x="100" y="160"/></BPMNEdge>
</BPMNPlane></BPMNDiagram></definitions>`
	d := parse(t, []byte(src))
	gs, err := d.Graphs()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := d.Diagram(gs[0])
	want := &bpmn.Diagram{Element: "c", Shapes: []*bpmn.Shape{
		{Element: "P", Bounds: bpmn.Bounds{W: 300, H: 100}},
		{Element: "a", Bounds: bpmn.Bounds{X: 50, Y: 10, W: 100, H: 80}},
	}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("Diagram differs (-want +got):\n%s", diff)
	}
	if _, ok := d.Diagram(gs[1]); ok {
		t.Error("Diagram of a process whose only shape is broken = true, want false")
	}
}
