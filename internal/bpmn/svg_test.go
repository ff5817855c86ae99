package bpmn_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/bpmn"
)

// drawn renders g where Layout puts it and returns the image, which must be
// well-formed, with the ids of its groups.
func drawn(t *testing.T, g *bpmn.Graph, o bpmn.SVGOptions) (image string, ids map[string]bool) {
	t.Helper()
	var b bytes.Buffer
	if err := bpmn.RenderSVG(&b, g, bpmn.Layout(g), o); err != nil {
		t.Fatalf("RenderSVG = %v, want no error", err)
	}
	ids = map[string]bool{}
	dec := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), ids
		}
		if err != nil {
			t.Fatalf("RenderSVG gave no XML: %v", err)
		}
		s, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if s.Name.Local == "script" {
			t.Errorf("RenderSVG gave a script")
		}
		for _, a := range s.Attr {
			if a.Name.Local == "data-element" {
				ids[a.Value] = true
			}
		}
	}
}

func TestRenderSVGOfShippedProcesses(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../packs/process/*.bpmn")
	if err != nil || len(files) == 0 {
		t.Fatalf("shipped processes = %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			g := shippedGraph(t, file)
			zh, ids := drawn(t, g, bpmn.SVGOptions{})
			en, _ := drawn(t, g, bpmn.SVGOptions{Lang: "en"})
			for _, n := range g.Nodes {
				if !ids[n.ID] {
					t.Errorf("node %s is not in the image", n.ID)
				}
			}
			for _, f := range g.Flows {
				if !ids[f.ID] {
					t.Errorf("flow %s is not in the image", f.ID)
				}
			}
			if !strings.Contains(zh, "<title>"+g.Name+"</title>") || !strings.Contains(en, "<title>"+g.Extension.NameEn+"</title>") {
				t.Errorf("titles are not %s and %s", g.Name, g.Extension.NameEn)
			}
			if strings.ContainsFunc(en[strings.Index(en, "<defs>"):], func(r rune) bool { return r >= 0x4E00 && r <= 0x9FFF }) {
				t.Errorf("the English image has Chinese names")
			}
		})
	}
}

// TestNamesStandFree: no name of a node or flow covers a node or another name.
func TestNamesStandFree(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"ftth-install", "mobile-complaint", "leased-line", "enquiry"} {
		g := shippedGraph(t, "../../packs/process/"+file+".bpmn")
		d := bpmn.Layout(g)
		nodes := map[string]bool{}
		for _, n := range g.Nodes {
			nodes[n.ID] = true
		}
		type box struct {
			id string
			bpmn.Bounds
		}
		var names, shapes []box
		for _, s := range d.Shapes {
			if nodes[s.Element] {
				shapes = append(shapes, box{s.Element, s.Bounds})
			}
			if s.Label.W > 0 {
				names = append(names, box{s.Element, s.Label})
			}
		}
		for _, e := range d.Edges {
			if e.Label.W > 0 {
				names = append(names, box{e.Element, e.Label})
			}
		}
		for i, a := range names {
			for _, s := range shapes {
				if a.id != s.id && overlap(a.Bounds, s.Bounds) {
					t.Errorf("%s: the name of %s covers %s", file, a.id, s.id)
				}
			}
			for _, b := range names[i+1:] {
				if overlap(a.Bounds, b.Bounds) {
					t.Errorf("%s: the names of %s and %s cover each other", file, a.id, b.id)
				}
			}
		}
	}
}

func TestRenderSVGHeat(t *testing.T) {
	t.Parallel()
	g := shippedGraph(t, "../../packs/process/enquiry.bpmn")
	hot := g.Nodes[1].ID
	plain, _ := drawn(t, g, bpmn.SVGOptions{Lang: "en"})
	warm, _ := drawn(t, g, bpmn.SVGOptions{Lang: "en", Heat: map[string]bpmn.Figures{hot: {Count: 1234, Minutes: 90, BreachRate: 0.125}}})
	const badge = "×1234 · 90 min · 12.5%"
	if strings.Contains(plain, badge) || !strings.Contains(warm, badge) {
		t.Errorf("the badge %q is in the plain image: %v, in the warm one: %v, want only there", badge, strings.Contains(plain, badge), strings.Contains(warm, badge))
	}
	silent, _ := drawn(t, g, bpmn.SVGOptions{Heat: map[string]bpmn.Figures{hot: {Count: 7, Minutes: -1, BreachRate: -1}}})
	if !strings.Contains(silent, ">×7</text>") {
		t.Errorf("the badge does not leave unknown figures out")
	}
}

func TestRenderSVGEscapes(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script>&` + "\x01"
	g := &bpmn.Graph{
		ID: "p", Name: evil,
		Nodes: []*bpmn.Node{
			{ID: `a"b`, Name: evil, Type: bpmn.UserTask, Outgoing: []string{"f"}},
			{ID: "g", Name: evil, Type: bpmn.ExclusiveGateway, Incoming: []string{"f"}},
		},
		Flows: []*bpmn.Flow{{ID: "f", Name: evil, From: `a"b`, To: "g"}},
	}
	if _, ids := drawn(t, g, bpmn.SVGOptions{}); !ids[`a"b`] {
		t.Errorf("groups = %v, want one of a\"b", ids)
	}
}

// TestLayoutOfEveryNode draws one process with all node types, loops, event
// kinds, nested subprocesses and a self-loop.
func TestLayoutOfEveryNode(t *testing.T) {
	t.Parallel()
	g := &bpmn.Graph{ID: "p", Name: "all"}
	kinds := []bpmn.EventKind{
		bpmn.NoneEvent, bpmn.TimerEvent, bpmn.MessageEvent, bpmn.ErrorEvent, bpmn.EscalationEvent, bpmn.SignalEvent, bpmn.LinkEvent,
		bpmn.TerminateEvent, bpmn.ConditionalEvent, bpmn.CompensateEvent, bpmn.CancelEvent, bpmn.MultipleEvent,
	}
	add := func(n *bpmn.Node) { g.Nodes = append(g.Nodes, n) }
	flow := func(from, to string) {
		g.Flows = append(g.Flows, &bpmn.Flow{ID: from + "-" + to, From: from, To: to, Name: "到 " + to})
	}
	last := "StartEvent"
	add(&bpmn.Node{ID: last, Type: bpmn.StartEvent, Event: &bpmn.Event{Kind: bpmn.NoneEvent}})
	for _, typ := range []bpmn.NodeType{
		bpmn.Task, bpmn.UserTask, bpmn.ManualTask, bpmn.ServiceTask, bpmn.SendTask, bpmn.ReceiveTask, bpmn.ScriptTask, bpmn.BusinessRuleTask,
		bpmn.SubProcess, bpmn.Transaction, bpmn.AdHocSubProcess, bpmn.CallActivity,
		bpmn.ExclusiveGateway, bpmn.ParallelGateway, bpmn.InclusiveGateway, bpmn.EventBasedGateway, bpmn.ComplexGateway,
	} {
		add(&bpmn.Node{ID: string(typ), Name: string(typ), Type: typ, Loop: &bpmn.Loop{MultiInstance: len(typ)%2 == 0, Sequential: len(typ)%3 == 0}})
		flow(last, string(typ))
		last = string(typ)
	}
	for i, k := range kinds {
		add(&bpmn.Node{ID: "in-" + string(k), Name: string(k), Type: bpmn.IntermediateCatchEvent, Parent: "subProcess", Event: &bpmn.Event{Kind: k}})
		add(&bpmn.Node{ID: "end-" + string(k), Name: string(k), Type: bpmn.EndEvent, Event: &bpmn.Event{Kind: k}})
		flow("complexGateway", "end-"+string(k))
		if i < 2 {
			add(&bpmn.Node{ID: "on-" + string(k), Name: "边界 " + string(k), Type: bpmn.BoundaryEvent, AttachedTo: "userTask", Event: &bpmn.Event{Kind: k}})
			flow("on-"+string(k), "end-"+string(k))
		}
	}
	flow("in-none", "in-timer")
	flow("manualTask", "manualTask")
	flow("callActivity", "task")
	add(&bpmn.Node{ID: "event-sub", Type: bpmn.SubProcess, TriggeredByEvent: true})
	add(&bpmn.Node{ID: "event-sub-start", Type: bpmn.StartEvent, Parent: "event-sub", Event: &bpmn.Event{Kind: bpmn.MessageEvent}})
	_, ids := drawn(t, g, bpmn.SVGOptions{})
	d := bpmn.Layout(g)
	for _, n := range g.Nodes {
		s := d.Shape(n.ID)
		if s == nil || !ids[n.ID] {
			t.Fatalf("node %s is not drawn", n.ID)
		}
		if p := d.Shape(n.Parent); n.Parent != "" && (s.Bounds.X < p.Bounds.X || s.Bounds.Y < p.Bounds.Y || s.Bounds.X+s.Bounds.W > p.Bounds.X+p.Bounds.W || s.Bounds.Y+s.Bounds.H > p.Bounds.Y+p.Bounds.H) {
			t.Errorf("node %s at %v lies outside its subprocess at %v", n.ID, s.Bounds, p.Bounds)
		}
	}
	for _, e := range d.Edges {
		if len(e.Waypoints) < 2 {
			t.Errorf("flow %s has %d waypoints, want at least 2", e.Element, len(e.Waypoints))
		}
		for i := 1; i < len(e.Waypoints); i++ {
			if a, b := e.Waypoints[i-1], e.Waypoints[i]; a.X != b.X && a.Y != b.Y {
				t.Errorf("flow %s runs aslant from %v to %v", e.Element, a, b)
			}
		}
	}
}
