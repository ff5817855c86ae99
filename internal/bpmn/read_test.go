package bpmn_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
)

func TestGraph(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/order.bpmn")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(t, src).Graph("")
	if err != nil {
		t.Fatalf("Graph = %v, want no error", err)
	}
	paid := func() *bpmn.Event {
		return &bpmn.Event{Kind: bpmn.MessageEvent, Name: "order.paid", Correlation: "order.number"}
	}
	none := []string(nil)
	want := &bpmn.Graph{
		ID: "p", Name: "订单", Executable: true,
		Extension: bpmn.ProcessExtension{
			Key: "order", NameEn: "Order", ServiceType: "home broadband", Calendars: "cn-statutory", Simulation: `{"seed":1}`,
			Variables: []bpmn.Variable{
				{Name: "order.number", Type: "string", LabelZh: "单号", LabelEn: "Number", Input: true, Required: true, Indexed: true},
				{Name: "order.kind", Type: "string", Enum: []string{"new", "move"}, Default: "'new'", Unit: "1"},
			},
			Rules: []bpmn.GuardRule{{ID: "R1", Node: "work", On: "complete", Result: "block", TextZh: "要", TextEn: "must", Clause: "STD 4.2", CEL: "order.kind != ''"}},
		},
		Lanes: []*bpmn.Lane{
			{ID: "front", Name: "前台", Role: "agent", Pool: "pool", Nodes: []string{"s"}},
			{ID: "inner", Parent: "front", Pool: "pool", Nodes: []string{"work"}},
		},
		Flows: []*bpmn.Flow{
			{ID: "g1", From: "ss", To: "sc"},
			{ID: "g2", From: "sc", To: "se"},
			{ID: "f1", From: "s", To: "work"},
			{ID: "f2", Name: "是", From: "work", To: "rt", Condition: "order.kind == 'new' && true", Extension: bpmn.FlowExtension{NameEn: "Yes", Simulation: `{"prob":0.4}`}},
			{ID: "f3", From: "work", To: "e"},
		},
		Nodes: []*bpmn.Node{
			{ID: "s", Type: bpmn.StartEvent, Lane: "front", Interrupting: true, Event: &bpmn.Event{Kind: bpmn.TimerEvent, Cycle: "R3/PT1H"}, Outgoing: []string{"f1"}},
			{
				ID: "work", Name: "办理", Type: bpmn.UserTask, Lane: "inner", Default: "f3", ScriptResult: "out", Incoming: []string{"f1"}, Outgoing: []string{"f2", "f3"},
				Loop: &bpmn.Loop{MultiInstance: true, Sequential: true, Cardinality: "3", Collection: "order.items", Element: "x", Completion: "done > 2"},
				Extension: bpmn.NodeExtension{
					NameEn: "Handle", Stage: "delivery", Role: "agent", Priority: 7, Visit: true, Survey: true, Qualifications: []string{"熔接"}, Simulation: `{"duration":1}`,
					Evidence:   []bpmn.Evidence{{Kind: "照片", Required: true, Media: "photo"}},
					Fields:     []bpmn.Field{{Variable: "order.kind", LabelZh: "种类", LabelEn: "Kind", Required: true}},
					Events:     []bpmn.EventBind{{Name: "order.accepted", On: "enter"}},
					Pauses:     []bpmn.PauseBind{{Reason: "customer_slot", Indicators: []string{"A", "B"}}},
					Reschedule: []bpmn.Reschedule{{Message: "slot.chosen", Variable: "slot"}},
				},
			},
			{ID: "late", Type: bpmn.BoundaryEvent, Lane: "inner", AttachedTo: "work", Event: &bpmn.Event{Kind: bpmn.TimerEvent, Duration: "PT24H"}},
			{ID: "bad", Type: bpmn.BoundaryEvent, Lane: "inner", AttachedTo: "work", Interrupting: true, Event: &bpmn.Event{Kind: bpmn.ErrorEvent, Name: "failed", Code: "E42"}},
			{ID: "sub", Type: bpmn.SubProcess, TriggeredByEvent: true},
			{ID: "ss", Type: bpmn.StartEvent, Parent: "sub", Event: paid(), Outgoing: []string{"g1"}},
			{ID: "sc", Type: bpmn.ScriptTask, Parent: "sub", Script: "1 + 1", Loop: &bpmn.Loop{TestBefore: true, Maximum: 5, Condition: "i < 3"}, Incoming: []string{"g1"}, Outgoing: []string{"g2"}},
			{ID: "se", Type: bpmn.EndEvent, Parent: "sub", Event: &bpmn.Event{Kind: bpmn.EscalationEvent, Name: "esc", Code: "ESC1"}, Incoming: []string{"g2"}},
			{ID: "rt", Type: bpmn.ReceiveTask, Event: paid(), Incoming: []string{"f2"}},
			{ID: "ca", Type: bpmn.CallActivity, CalledElement: "enquiry"},
			{ID: "th", Type: bpmn.IntermediateThrowEvent, Event: &bpmn.Event{Kind: bpmn.SignalEvent, Name: "storm"}},
			{ID: "li", Type: bpmn.IntermediateCatchEvent, Event: &bpmn.Event{Kind: bpmn.LinkEvent, Name: "page 2"}},
			{ID: "cond", Type: bpmn.IntermediateCatchEvent, Event: &bpmn.Event{Kind: bpmn.ConditionalEvent, Condition: "a > 1"}},
			{ID: "e", Type: bpmn.EndEvent, Event: &bpmn.Event{Kind: bpmn.TerminateEvent}, Incoming: []string{"f3"}, Outgoing: none},
			{ID: "m", Type: bpmn.EndEvent, Event: &bpmn.Event{Kind: bpmn.MultipleEvent}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Graph differs (-want +got):\n%s", diff)
	}
}

func TestGraphByID(t *testing.T) {
	t.Parallel()
	d := parse(t, []byte(definitions+"<process id='a'/><process id='b' isExecutable='true'/></definitions>"))
	for id, want := range map[string]string{"": "b", "a": "a", "b": "b"} {
		if g, err := d.Graph(id); err != nil || g.ID != want {
			t.Errorf("Graph(%q) = %v, %v, want %s", id, g, err, want)
		}
	}
	if _, err := d.Graph("c"); fault.CodeOf(err) != "BPMN_NO_PROCESS" || fault.KindOf(err) != fault.NotFound {
		t.Errorf("Graph(c) = %v, want BPMN_NO_PROCESS", err)
	}
}

func TestGraphsRefuses(t *testing.T) {
	t.Parallel()
	const head = `<definitions targetNamespace="urn:t" xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:t="urn:t" xmlns:o="urn:other" xmlns:spms="` + bpmn.Namespace + `"><process id="p" isExecutable="true">` + "\n"
	node := func(extension string) string {
		return `<task id="a"><extensionElements>` + extension + `</extensionElements></task>`
	}
	tests := []struct{ name, body, code, param, value string }{
		{"flow from nowhere", `<task id="a"/><sequenceFlow id="f" sourceRef="x" targetRef="a"/>`, "BPMN_REFERENCE", "attribute", "sourceRef"},
		{"flow to data", `<task id="a"/><dataObject id="x"/><sequenceFlow id="f" sourceRef="a" targetRef="x"/>`, "BPMN_REFERENCE", "attribute", "targetRef"},
		{"boundary of nothing", `<boundaryEvent id="a"/>`, "BPMN_REFERENCE", "attribute", "attachedToRef"},
		{"boundary of an unknown", `<boundaryEvent id="a" attachedToRef="x"/>`, "BPMN_REFERENCE", "id", "x"},
		{"default of another", `<task id="a" default="f"/><task id="b"/><sequenceFlow id="f" sourceRef="b" targetRef="a"/>`, "BPMN_REFERENCE", "attribute", "default"},
		{"message unknown", `<receiveTask id="a" messageRef="m"/>`, "BPMN_REFERENCE", "id", "m"},
		{"message is a task", `<receiveTask id="a" messageRef="t:b"/><task id="b"/>`, "BPMN_REFERENCE", "id", "t:b"},
		{"definition unknown", `<endEvent id="a"><eventDefinitionRef>x</eventDefinitionRef></endEvent>`, "BPMN_REFERENCE", "attribute", "eventDefinitionRef"},
		{"lane of an unknown", `<laneSet><lane id="l"><flowNodeRef>x</flowNodeRef></lane></laneSet>`, "BPMN_REFERENCE", "attribute", "flowNodeRef"},
		{"node without id", `<task/>`, "BPMN_REFERENCE", "attribute", "id"},
		{"id twice", `<task id="a"/><task id="a"/>`, "BPMN_DUPLICATE_ID", "id", "a"},
		{"extension unknown", node(`<spms:tsk/>`), "BPMN_EXTENSION", "attribute", "spms:tsk"},
		{"extension out of place", node(`<spms:lane role="x"/>`), "BPMN_EXTENSION", "attribute", "spms:lane"},
		{"attribute unknown", node(`<spms:task rôle="x"/>`), "BPMN_EXTENSION", "attribute", "spms:task/@rôle"},
		{"stage unknown", node(`<spms:task stage="later"/>`), "BPMN_EXTENSION", "value", "later"},
		{"flag unknown", node(`<spms:task visit="yes"/>`), "BPMN_EXTENSION", "value", "yes"},
		{"priority not a number", node(`<spms:task priority="high"/>`), "BPMN_EXTENSION", "value", "high"},
		{"event moment unknown", node(`<spms:event name="x" on="exit"/>`), "BPMN_EXTENSION", "value", "exit"},
		{"rule at an unknown node", `<extensionElements><spms:rule id="r" node="x" on="enter" result="block">true</spms:rule></extensionElements>`, "BPMN_REFERENCE", "id", "x"},
		{"imported message", `<receiveTask id="a" messageRef="o:m"/>`, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, []byte(head+tt.body+"</process></definitions>")).Graphs()
			if fault.CodeOf(err) != tt.code {
				t.Fatalf("Graphs = %v, want code %q", err, tt.code)
			}
			if e := fault.From(err); err != nil && (e.Param(tt.param) != tt.value || e.Param("line") != 2 || len(e.Path) == 0) {
				t.Errorf("Graphs = %v, want %s=%s on line 2 with a path", err, tt.param, tt.value)
			}
		})
	}
}

func TestGraphsNamesEveryFault(t *testing.T) {
	t.Parallel()
	body := strings.Repeat(`<sequenceFlow sourceRef="x" targetRef="y"/>`, 3)
	_, err := parse(t, []byte(definitions+"<process id='p'>"+body+"</process></definitions>")).Graphs()
	if e := fault.From(err); e == nil || len(e.Items) != 5 {
		t.Errorf("Graphs = %v, want six faults in one", err)
	}
}
