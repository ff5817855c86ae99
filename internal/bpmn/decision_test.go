package bpmn_test

import (
	"strings"
	"testing"

	"github.com/openspms/spms/internal/bpmn"
)

// TestDecisionIsRead: the table of a business-rule task reaches the graph as it stands.
func TestDecisionIsRead(t *testing.T) {
	t.Parallel()
	const table = `{"hit": "first", "inputs": ["n"], "outputs": ["n"], "rules": [{"when": ["< 2"], "then": ["3"]}]}`
	doc, err := bpmn.Parse(strings.NewReader(`<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:spms="`+bpmn.Namespace+`" targetNamespace="urn:x">
<process id="p" isExecutable="true"><businessRuleTask id="r"><extensionElements><spms:decision>`+strings.ReplaceAll(table, "<", "&lt;")+`</spms:decision></extensionElements></businessRuleTask></process></definitions>`), bpmn.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	graphs, err := doc.Graphs()
	if err != nil {
		t.Fatal(err)
	}
	if got := graphs[0].Nodes[0].Extension.Decision; got != table {
		t.Errorf("Decision = %q, want %q", got, table)
	}
}
