package model_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/model/modeltest"
)

// compiled compiles a shipped process after edits of its document.
func compiled(t testing.TB, name string, edits ...bpmn.Edit) *model.Model {
	t.Helper()
	raw, err := os.ReadFile("../../packs/process/" + name + ".bpmn")
	if err != nil {
		t.Fatal(err)
	}
	d, err := bpmn.Parse(strings.NewReader(string(raw)), bpmn.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(edits) > 0 {
		if _, err := d.Apply("", edits...); err != nil {
			t.Fatalf("Apply() = %v", err)
		}
	}
	g, err := d.Graph("")
	if err != nil {
		t.Fatal(err)
	}
	m, findings := model.Compile(g, model.Options{})
	if m == nil {
		t.Fatalf("Compile() = %v", findings)
	}
	return m
}

func TestMappingOntoItself(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ftth-install", "mobile-complaint", "leased-line", "enquiry"} {
		m := compiled(t, name)
		mapping := model.ProposeMapping(m, m)
		if len(mapping) == 0 {
			t.Errorf("ProposeMapping(%s) is empty", name)
		}
		for from, to := range mapping {
			if from != to {
				t.Errorf("ProposeMapping(%s) maps %s to %s", name, from, to)
			}
		}
		for _, f := range model.CheckMapping(m, m, mapping) {
			t.Errorf("CheckMapping(%s onto itself) finds %s %v %v", name, f.Code, f.Elements, f.Params)
		}
	}
}

// mappingCase changes a shipped process and wants exactly these findings of the
// proposed mapping with some pairs set by hand ("" takes a pair away).
type mappingCase struct {
	name    string
	process string
	base    []bpmn.Edit // of both versions
	edits   []bpmn.Edit
	set     model.Mapping
	want    []string
	at      string // an element of the first finding
}

func mappings() []mappingCase {
	insert := []bpmn.Edit{
		{Op: bpmn.InsertNode, Flow: "f-a_stock-m_slot", ID: "a_check", Type: bpmn.UserTask, Name: "远程预检", Lane: "lane-technician"},
		{Op: bpmn.SetStage, ID: "a_check", Value: "delivery"},
		{Op: bpmn.SetEvidence, ID: "a_check", Evidence: []bpmn.Evidence{{Kind: "预检结果"}}},
	}
	within := []bpmn.Edit{
		{Op: bpmn.InsertNode, Flow: "f-a_stock-m_slot", ID: "sub", Type: bpmn.SubProcess, Name: "预检"},
		{Op: bpmn.AddNode, ID: "s_in", Type: bpmn.StartEvent, Parent: "sub"},
		{Op: bpmn.AddNode, ID: "a_in", Type: bpmn.UserTask, Name: "远程预检", Parent: "sub"},
		{Op: bpmn.AddNode, ID: "e_in", Type: bpmn.EndEvent, Parent: "sub"},
		{Op: bpmn.AddFlow, From: "s_in", To: "a_in"},
		{Op: bpmn.AddFlow, From: "a_in", To: "e_in"},
	}
	var wide []bpmn.Edit
	for i := range 18 {
		id := "w" + strconv.Itoa(i)
		wide = append(wide, bpmn.Edit{Op: bpmn.AddNode, ID: id, Type: bpmn.UserTask, Name: id},
			bpmn.Edit{Op: bpmn.AddFlow, From: "p_split", To: id}, bpmn.Edit{Op: bpmn.AddFlow, From: id, To: "p_join"})
	}
	return []mappingCase{
		{name: "a task more", process: "ftth-install", edits: insert},
		{
			name: "a task less", process: "ftth-install", edits: []bpmn.Edit{{Op: bpmn.RemoveNode, ID: "a_stock", Reconnect: true}},
			want: []string{"MAPPING_NODE_MISSING"}, at: "a_stock",
		},
		{
			name: "a task less, its cases go on to the next", process: "ftth-install", edits: append(insert[:len(insert):len(insert)], bpmn.Edit{Op: bpmn.RemoveNode, ID: "a_stock", Reconnect: true}),
			set: model.Mapping{"a_stock": "a_check"},
		},
		{name: "a task that is not there", process: "ftth-install", set: model.Mapping{"a_visit": "nowhere"}, want: []string{"MAPPING_NODE_UNKNOWN"}, at: "a_visit"},
		{name: "a pair for no task", process: "ftth-install", set: model.Mapping{"nowhere": "a_visit"}, want: []string{"MAPPING_NODE_UNKNOWN"}, at: "nowhere"},
		{name: "a task to a timer", process: "ftth-install", set: model.Mapping{"a_visit": "t_24"}, want: []string{"MAPPING_KIND"}, at: "a_visit"},
		{name: "a gateway that nobody rests at", process: "ftth-install", set: model.Mapping{"g_visit": "g_visit"}, want: []string{"MAPPING_KIND"}, at: "g_visit"},
		{name: "back to an earlier task", process: "ftth-install", set: model.Mapping{"a_accept": "a_stock"}},
		{
			name: "past the event that stops the clocks", process: "ftth-install", set: model.Mapping{"a_visit": "a_repair"},
			want: []string{"MAPPING_EVENT_LOST", "MAPPING_EVENT_LOST"}, at: "a_visit",
		},
		{
			name: "a branch of parallel work onto another", process: "leased-line", set: model.Mapping{"a_z": "a_core"},
			want: []string{"MAPPING_NOT_SOUND"}, at: "a_z",
		},
		{
			name: "what follows becomes parallel", process: "leased-line",
			edits: []bpmn.Edit{{Op: bpmn.Parallelise, Nodes: []string{"a_bill", "a_hand"}}},
			want:  []string{"MAPPING_NOT_SOUND"}, at: "a_bill",
		},
		{
			name: "a flow into a join has no twin", process: "leased-line",
			edits: []bpmn.Edit{
				{Op: bpmn.RemoveFlow, ID: "f-a_core-p_join"},
				{Op: bpmn.AddFlow, From: "a_core", To: "a_z"},
				{Op: bpmn.RemoveFlow, ID: "f-p_split-a_z"},
			},
			want: []string{"MAPPING_JOIN_BRANCH"}, at: "p_join",
		},
		{
			name: "a variable of another type", process: "ftth-install",
			base:  []bpmn.Edit{{Op: bpmn.SetVariable, Variable: &bpmn.Variable{Name: "visit.note", Type: "string"}}},
			edits: []bpmn.Edit{{Op: bpmn.SetVariable, Variable: &bpmn.Variable{Name: "visit.note", Type: "int"}}},
			want:  []string{"MAPPING_VARIABLE_TYPE"},
		},
		{
			name: "out of a subprocess", process: "ftth-install", base: within,
			set: model.Mapping{"a_in": "a_stock"}, want: []string{"MAPPING_SCOPE"}, at: "a_in",
		},
		{name: "inside a subprocess", process: "ftth-install", base: within},
		{
			name: "more positions than are looked at", process: "leased-line", base: wide,
			want: []string{"MAPPING_UNDECIDED"},
		},
		{
			name: "a condition on what nobody has written yet", process: "ftth-install",
			edits: []bpmn.Edit{
				{Op: bpmn.SetVariable, Variable: &bpmn.Variable{Name: "stock.ready", Type: "bool"}},
				{Op: bpmn.SetForm, ID: "a_stock", Fields: []bpmn.Field{{Variable: "stock.ready"}}},
				{Op: bpmn.SetCondition, ID: "f-g_visit-a_reappt", Value: "stock.ready && visit.result == 'customer_absent'"},
			},
			want: []string{"MAPPING_VARIABLE_UNSET"}, at: "",
		},
	}
}

func TestMappings(t *testing.T) {
	t.Parallel()
	for _, tc := range mappings() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			from, to := compiled(t, tc.process, tc.base...), compiled(t, tc.process, slices.Concat(tc.base, tc.edits)...)
			mapping := model.ProposeMapping(from, to)
			for k, v := range tc.set {
				mapping[k] = v
			}
			found := model.CheckMapping(from, to, mapping)
			var got []string
			for _, f := range found {
				got = append(got, f.Code)
				for _, lang := range []fault.Lang{fault.ZH, fault.EN} {
					if text := fault.Text(lang, f.Fault()); strings.Contains(text, "{") {
						t.Errorf("the text of %s has a gap: %s", f.Code, text)
					}
				}
			}
			if !slices.Equal(slices.Compact(slices.Clone(got)), slices.Compact(slices.Clone(tc.want))) {
				t.Errorf("CheckMapping() finds %v, want %v", found, tc.want)
			}
			if tc.at != "" && len(found) > 0 && !slices.Contains(found[0].Elements, tc.at) {
				t.Errorf("CheckMapping() finds it at %v, want %s", found[0].Elements, tc.at)
			}
		})
	}
}

// TestMappingLosesCompensation drops what undoes an activity from the new version.
func TestMappingLosesCompensation(t *testing.T) {
	t.Parallel()
	compiled := func(text string) *model.Model {
		t.Helper()
		g, err := modeltest.Graph(text)
		if err != nil {
			t.Fatal(err)
		}
		m, findings := model.Compile(g, model.Options{})
		if len(model.Errors(findings)) > 0 {
			t.Fatal(findings)
		}
		return m
	}
	const plain = "start s\nuser a\nuser b\nend e\nflow s -> a -> b -> e\n"
	with, without := compiled(plain+"boundary u on=a compensate handler=h\nuser h undoes"), compiled(plain+"user h\nxor x\nend f\nboundary u on=b duration=PT1H\nflow u -> h -> x -> f")
	lost := func(from, to *model.Model) (at []string) {
		for _, f := range model.CheckMapping(from, to, model.ProposeMapping(from, to)) {
			if f.Code == "MAPPING_COMPENSATION_LOST" {
				at = append(at, f.Elements...)
			}
		}
		return at
	}
	if got := lost(with, without); len(got) != 1 || got[0] != "a" {
		t.Errorf("a compensation less is found at %v, want a", got)
	}
	if got := lost(without, with); got != nil {
		t.Errorf("a compensation more is found at %v, want nowhere", got)
	}
}
