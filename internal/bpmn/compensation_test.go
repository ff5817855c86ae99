package bpmn_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/bpmn"
)

// compensates is a process whose task is undone by another, to which an association
// leads that an editor drew the other way round.
const compensates = definitions + `<process id="p" isExecutable="true"><startEvent id="s"/><task id="a"/><task id="undo" isForCompensation="true"/>
	<boundaryEvent id="u" attachedToRef="a"><compensateEventDefinition/></boundaryEvent>
	<endEvent id="e"><compensateEventDefinition activityRef="a" waitForCompletion="false"/></endEvent>
	<textAnnotation id="t"><text>x</text></textAnnotation><association id="as0" sourceRef="u" targetRef="t"/>
	<sequenceFlow id="f1" sourceRef="s" targetRef="a"/><sequenceFlow id="f2" sourceRef="a" targetRef="e"/>
	<association id="as" sourceRef="undo" targetRef="u"/></process></definitions>`

func TestCompensationIsRead(t *testing.T) {
	t.Parallel()
	g, err := parse(t, []byte(compensates)).Graph("p")
	if err != nil {
		t.Fatal(err)
	}
	nodes := map[string]*bpmn.Node{}
	for _, n := range g.Nodes {
		nodes[n.ID] = n
	}
	if u := nodes["u"]; u.Handler != "undo" || u.Association != "as" || !nodes["undo"].ForCompensation || nodes["a"].ForCompensation {
		t.Errorf("boundary event = %+v, want it led to undo by as", u)
	}
	if ev := nodes["e"].Event; ev.Name != "a" || !ev.NoWait {
		t.Errorf("end event = %+v, want it to compensate a without waiting", ev)
	}
	again, err := parse(t, []byte(strings.Replace(compensates, `id="undo" isForCompensation="true"`, `id="undo"`, 1))).Graph("p")
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string]bool{}
	for _, c := range bpmn.Diff(g, again) {
		for _, p := range c.Properties {
			changed[c.ID+" "+p.Path] = true
		}
	}
	if !changed["undo forCompensation"] || !changed["u handler"] {
		t.Errorf("Diff() finds %v, want that undo undoes no more", changed)
	}
}

// TestCompensationIsDrawn lays the process out: the association is a line, and what
// undoes stands beside the flow.
func TestCompensationIsDrawn(t *testing.T) {
	t.Parallel()
	g, err := parse(t, []byte(compensates)).Graph("p")
	if err != nil {
		t.Fatal(err)
	}
	d := bpmn.Layout(g)
	i := slices.IndexFunc(d.Edges, func(e *bpmn.Edge) bool { return e.Element == "as" })
	if i < 0 || len(d.Edges) != 3 {
		t.Fatalf("%d lines are drawn, want two flows and the association", len(d.Edges))
	}
	way := d.Edges[i].Waypoints
	if from, to := d.Shape("u").Bounds, d.Shape("undo").Bounds; from.Center().X != way[0].X || !overlap(bpmn.Bounds{X: way[len(way)-1].X - 1, Y: way[len(way)-1].Y - 1, W: 2, H: 2}, to) {
		t.Errorf("the association runs along %v, want it from %v to %v", way, from, to)
	}
	_, ids := drawn(t, g, bpmn.SVGOptions{Lang: "zh"})
	if !ids["as"] {
		t.Error("the association is not in the image")
	}
}

// TestCompensationGoesWithItsActivity removes an activity with what undoes it, and
// takes that back.
func TestCompensationGoesWithItsActivity(t *testing.T) {
	t.Parallel()
	d := parse(t, []byte(compensates))
	before := string(d.Canonical())
	undo, err := d.Apply("p", bpmn.Edit{Op: bpmn.RemoveNode, ID: "a", Reconnect: true})
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.Graph("p")
	if err != nil || len(g.Nodes) != 2 || strings.Contains(string(d.Bytes()), "as\"") {
		t.Errorf("without the activity = %d nodes, %v, want start and end", len(g.Nodes), err)
	}
	if _, err := d.Apply("p", undo); err != nil || string(d.Canonical()) != before {
		t.Errorf("taken back = %v, want the document as it was:\n%s", err, d.Canonical())
	}
}
