package bpmn

import (
	"encoding/xml"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSchemaAgrees holds the published schema of the extension elements to the
// attributes the reader knows.
func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../schema/bpmn/spms.xsd")
	if err != nil {
		t.Fatal(err)
	}
	type attributes []struct {
		Name string `xml:"name,attr"`
	}
	var schema struct {
		Target   string `xml:"targetNamespace,attr"`
		Elements []struct {
			Name  string     `xml:"name,attr"`
			Plain attributes `xml:"complexType>attribute"`
			Text  attributes `xml:"complexType>simpleContent>extension>attribute"`
		} `xml:"element"`
	}
	if err := xml.Unmarshal(src, &schema); err != nil {
		t.Fatalf("Unmarshal = %v, want no error", err)
	}
	if schema.Target != Namespace {
		t.Errorf("target namespace = %s, want %s", schema.Target, Namespace)
	}
	got, want := map[string][]string{}, map[string][]string{}
	for _, e := range schema.Elements {
		got[e.Name] = []string{}
		for _, a := range slices.Concat(e.Plain, e.Text) {
			got[e.Name] = append(got[e.Name], a.Name)
		}
		slices.Sort(got[e.Name])
	}
	for name, attrs := range attributesOf {
		want[name] = slices.Sorted(slices.Values(attrs))
		if want[name] == nil {
			want[name] = []string{}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schema differs from the reader (-reader +schema):\n%s", diff)
	}
}
