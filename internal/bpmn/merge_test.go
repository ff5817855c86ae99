package bpmn_test

import (
	"os"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/bpmn"
)

// fibre parses the shipped fibre process.
func fibre(t testing.TB) *bpmn.Document {
	t.Helper()
	raw, err := os.ReadFile("../../packs/process/ftth-install.bpmn")
	if err != nil {
		t.Fatal(err)
	}
	d, err := bpmn.Parse(strings.NewReader(string(raw)), bpmn.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// edited is the fibre process after edits.
func edited(t testing.TB, edits ...bpmn.Edit) *bpmn.Document {
	t.Helper()
	d := fibre(t)
	if len(edits) == 0 {
		return d
	}
	if _, err := d.Apply("", edits...); err != nil {
		t.Fatalf("Apply(%v) = %v", edits, err)
	}
	return d
}

// TestMerge changes the fibre process in two ways: what is independent is merged
// to what both edits together give, in either direction; the rest is a conflict
// at its element.
func TestMerge(t *testing.T) {
	t.Parallel()
	precheck := bpmn.Edit{Op: bpmn.InsertNode, Flow: "f-a_stock-m_slot", ID: "a_precheck", Type: bpmn.UserTask, Name: "远程预检", Lane: "lane-technician"}
	survey := bpmn.Edit{Op: bpmn.InsertNode, Flow: "f-a_care-a_survey", ID: "a_call", Type: bpmn.UserTask, Name: "回访", Lane: "lane-quality"}
	visit := bpmn.Edit{Op: bpmn.Rename, ID: "a_visit", Name: "上门安装"}
	tests := []struct {
		name         string
		ours, theirs []bpmn.Edit
		conflicts    []string // element and property
	}{
		{"nothing", nil, nil, nil},
		{"only theirs", nil, []bpmn.Edit{precheck, visit}, nil},
		{"only ours", []bpmn.Edit{precheck, visit}, nil, nil},
		{"two tasks put in", []bpmn.Edit{precheck}, []bpmn.Edit{survey}, nil},
		{"a task put in, another renamed", []bpmn.Edit{precheck}, []bpmn.Edit{visit}, nil},
		{"two properties of one task", []bpmn.Edit{visit}, []bpmn.Edit{{Op: bpmn.SetPriority, ID: "a_visit", Value: "5"}}, nil},
		{
			"two items of evidence",
			[]bpmn.Edit{{Op: bpmn.SetEvidence, ID: "a_line", Evidence: []bpmn.Evidence{{Kind: "线路整治记录"}, {Kind: "甲"}}}},
			[]bpmn.Edit{{Op: bpmn.SetEvidence, ID: "a_line", Evidence: []bpmn.Evidence{{Kind: "线路整治记录"}, {Kind: "乙"}}}},
			nil,
		},
		{"the same on both sides", []bpmn.Edit{visit}, []bpmn.Edit{visit}, nil},
		{"one name, twice", []bpmn.Edit{visit}, []bpmn.Edit{{Op: bpmn.Rename, ID: "a_visit", Name: "登门"}}, []string{"a_visit @name"}},
		{
			"one condition, twice",
			[]bpmn.Edit{{Op: bpmn.SetCondition, ID: "f-g_act-a_accept", Value: "test.downMbps > 1.0"}},
			[]bpmn.Edit{{Op: bpmn.SetCondition, ID: "f-g_act-a_accept", Value: "test.downMbps > 2.0"}},
			[]string{"f-g_act-a_accept text"},
		},
		{
			"taken out here, changed there",
			[]bpmn.Edit{{Op: bpmn.RemoveNode, ID: "a_care", Reconnect: true}},
			[]bpmn.Edit{{Op: bpmn.Rename, ID: "a_care", Name: "关怀"}},
			[]string{"ftth-install #a_care"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, sides := range [][2][]bpmn.Edit{{tt.ours, tt.theirs}, {tt.theirs, tt.ours}} {
				merged, conflicts, err := bpmn.Merge(fibre(t), edited(t, sides[0]...), edited(t, sides[1]...))
				if err != nil {
					t.Fatalf("Merge() = %v", err)
				}
				var got []string
				for _, c := range conflicts {
					got = append(got, c.Element+" "+c.Property)
				}
				if strings.Join(got, ", ") != strings.Join(tt.conflicts, ", ") || (merged == nil) != (len(got) > 0) {
					t.Fatalf("Merge() has conflicts %v, want %v", conflicts, tt.conflicts)
				}
				if merged == nil {
					continue
				}
				want, err := edited(t, dedupe(sides[0], sides[1])...).Graph("")
				if err != nil {
					t.Fatal(err)
				}
				have, err := merged.Graph("")
				if err != nil {
					t.Fatal(err)
				}
				if tt.name == "two items of evidence" {
					if n := len(nodeOf(have, "a_line").Extension.Evidence); n != 3 {
						t.Errorf("merged, the task asks for %d items of evidence, want 3", n)
					}
					continue
				}
				if diff := bpmn.Diff(want, have); len(diff) > 0 {
					t.Errorf("merged, the process differs from both edits together: %v", diff)
				}
				if _, has := merged.Diagram(have); !has {
					t.Errorf("merged, the process has lost its diagram")
				}
			}
		})
	}
}

// dedupe joins edits, the same one once.
func dedupe(a, b []bpmn.Edit) []bpmn.Edit {
	out := append([]bpmn.Edit{}, a...)
	for _, e := range b {
		same := false
		for _, x := range a {
			same = same || x.Op == e.Op && x.ID == e.ID && x.Name == e.Name
		}
		if !same {
			out = append(out, e)
		}
	}
	return out
}

func nodeOf(g *bpmn.Graph, id string) *bpmn.Node {
	for _, n := range g.Nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}
