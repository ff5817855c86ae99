package model_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/packs"
)

var places = map[string]model.Where{
	"henan urban":  {Regions: []string{"CN-HA-ZZ", "CN-HA", "CN"}, Area: "urban"},
	"henan rural":  {Regions: []string{"CN-HA-NY", "CN-HA", "CN"}, Area: "rural"},
	"chongqing":    {Regions: []string{"CN-CQ-YB", "CN-CQ", "CN"}, Area: "urban"},
	"headquarters": {Regions: []string{"CN"}},
}

func norms(t testing.TB) *norm.Set {
	t.Helper()
	n, err := packs.Norms()
	if err != nil {
		t.Fatal(err)
	}
	return n.Set
}

// shipped returns the graphs of the shipped processes by file name.
func shipped(t testing.TB) map[string]*bpmn.Graph {
	t.Helper()
	files, err := filepath.Glob("../../packs/process/*.bpmn")
	if err != nil || len(files) == 0 {
		t.Fatalf("no process files: %v", err)
	}
	out := map[string]*bpmn.Graph{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := bpmn.Parse(strings.NewReader(string(raw)), bpmn.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if out[strings.TrimSuffix(filepath.Base(f), ".bpmn")], err = d.Graph(""); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestShippedProcessesComply(t *testing.T) {
	t.Parallel()
	set := norms(t)
	for name, g := range shipped(t) {
		m, findings := model.Compile(g, model.Options{})
		if m == nil {
			t.Fatalf("%s: %v", name, findings)
		}
		for place, w := range places {
			w.At = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
			found, err := model.Comply(m, set, w)
			if err != nil {
				t.Fatalf("%s in %s: %v", name, place, err)
			}
			for _, f := range found {
				t.Errorf("%s in %s: %s %s %v %s %v", name, place, f.Severity, f.Code, f.Elements, f.Clause, f.Params)
			}
		}
	}
}

// codes returns the codes of findings that are not notes, sorted.
func codes(findings []model.Finding) []string {
	out := []string{}
	for _, f := range findings {
		if f.Severity != model.SeverityNote {
			out = append(out, f.Code)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestMutations breaks a shipped process in one way and wants exactly that finding.
func TestMutations(t *testing.T) {
	t.Parallel()
	set := norms(t)
	known := func(role string) bool { return role != "astronaut" }
	for _, tc := range []struct {
		name   string
		change func(g *bpmn.Graph)
		want   []string
	}{
		{"unchanged", func(*bpmn.Graph) {}, []string{}},
		{"no evidence and no form", func(g *bpmn.Graph) {
			n := node(g, "a_disp")
			n.Extension.Evidence, n.Extension.Fields = nil, nil
		}, []string{"TASK_WITHOUT_TRACE"}},
		{"a role nobody has", func(g *bpmn.Graph) { node(g, "a_line").Extension.Role = "astronaut" }, []string{"TASK_ROLE_UNKNOWN"}},
		{"no role", func(g *bpmn.Graph) {
			node(g, "a_line").Extension.Role, node(g, "a_line").Lane = "", ""
		}, []string{"TASK_WITHOUT_ROLE"}},
		{"the stop event is gone", func(g *bpmn.Graph) { drop(g, "service.activated") }, []string{"CLOCK_NEVER_STOPS"}},
		{"the monitoring never ends", func(g *bpmn.Graph) {
			redirect(g, "t_24", "a_accept")
			redirect(g, "a_accept", "t_24")
		}, []string{"NODE_UNREACHABLE"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := shipped(t)["ftth-install"]
			tc.change(g)
			m, findings := model.Compile(g, model.Options{})
			if m != nil {
				w := places["henan urban"]
				w.At, w.KnownRole = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), known
				more, err := model.Comply(m, set, w)
				if err != nil {
					t.Fatal(err)
				}
				findings = append(findings, more...)
			}
			if got := codes(findings); !slices.Equal(got, tc.want) {
				t.Errorf("%s: findings %v, want %v (%v)", tc.name, got, tc.want, findings)
			}
		})
	}
}

func node(g *bpmn.Graph, id string) *bpmn.Node {
	for _, n := range g.Nodes {
		if n.ID == id {
			return n
		}
	}
	panic("no node " + id)
}

// drop unbinds a domain event everywhere.
func drop(g *bpmn.Graph, event string) {
	found := false
	for _, n := range g.Nodes {
		before := len(n.Extension.Events)
		n.Extension.Events = slices.DeleteFunc(n.Extension.Events, func(b bpmn.EventBind) bool { return b.Name == event })
		found = found || len(n.Extension.Events) < before
	}
	if !found {
		panic("no event " + event)
	}
}

// redirect lets every flow out of a node lead elsewhere.
func redirect(g *bpmn.Graph, from, to string) {
	for _, f := range g.Flows {
		if f.From == from {
			f.To = to
		}
	}
}
