package bpmn

import (
	"os"
	"strings"
	"testing"
)

// TestDocumented holds the documentation to name every extension element with
// its attributes and every edit.
func TestDocumented(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../docs/bpmn.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(src)
	for name, attrs := range attributesOf {
		if !strings.Contains(text, "<spms:"+name) {
			t.Errorf("docs/bpmn.md has no example of spms:%s", name)
		}
		for _, a := range attrs {
			if !strings.Contains(text, a+`="`) && !strings.Contains(text, "`"+a+"`") {
				t.Errorf("docs/bpmn.md does not show attribute %s of spms:%s", a, name)
			}
		}
	}
	for _, op := range []Op{
		AddNode, RemoveNode, InsertNode, AddFlow, RemoveFlow, Reconnect, Rename, SetLane, Parallelise, Sequence, SetRole, SetStage, SetTopic,
		SetPriority, SetCondition, SetDefault, SetEvent, SetScript, SetResult, SetEvidence, SetForm, SetQualifications, SetClocks, SetPauses,
		SetReschedule, SetVariable, RemoveVariable, SetRule, RemoveRule, SetSimulation, SetDecision, SetExtension, Restore,
	} {
		if !strings.Contains(text, string(op)) {
			t.Errorf("docs/bpmn.md does not name the edit %s", op)
		}
	}
}
