package flow_test

import (
	"os"
	"slices"
	"testing"

	"github.com/openspms/spms/plugins/builtin/flow"
)

// TestRead reads the fibre process that ships.
func TestRead(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../packs/process/ftth-install.bpmn")
	if err != nil {
		t.Fatal(err)
	}
	p, err := flow.Read(raw, "ftth-install")
	if err != nil {
		t.Fatal(err)
	}
	visit, act := p.Node("a_visit"), p.Node("a_act")
	if p.ID != "ftth-install" || visit == nil || visit.Role != "technician" || !visit.Activity() || len(visit.In) != 3 || len(visit.Out) != 1 {
		t.Fatalf("a_visit = %+v", visit)
	}
	for _, tt := range []struct {
		what string
		have []string
		want string
	}{
		{"reads", visit.Reads, "stock.ontSerial"},
		{"writes", visit.Writes, "visit.result"},
		{"events", visit.Events, "technician.on_site"},
		{"evidence", visit.Evidence, "光功率读数"},
		{"reads of a rule", act.Reads, "identity.verified"},
	} {
		if !slices.Contains(tt.have, tt.want) {
			t.Errorf("%s: %v, want %s among it", tt.what, tt.have, tt.want)
		}
	}
	if slices.Contains(visit.Writes, "stock.ontSerial") {
		t.Errorf("a_visit writes %v, want nothing that it may only read", visit.Writes)
	}
	if n := p.Node("m_slot"); !n.Pauses || n.Activity() || n.Role != "dispatcher" {
		t.Errorf("m_slot = %+v, want a waiting event that pauses, in the dispatcher's lane", n)
	}
	if got := p.Node("g_build"); got.Title(true) != "Expansion needed?" || got.Title(false) != "需要扩容" {
		t.Errorf("titles %q and %q", got.Title(true), got.Title(false))
	}
	ahead := p.Reach(p.Node("a_disp"))
	if !ahead[visit] || ahead[p.Node("a_plan")] || !ahead[p.Node("m_resp_timeout")] {
		t.Error("Reach(a_disp) lacks the visit or the timeout at the end, or goes back to the plan")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	got := flow.Names(`has(a.b) && case.plan == 'x.y' || a.b >= 0.9 * c`)
	if want := []string{"a.b", "c", "case.plan", "has"}; !slices.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
	for _, tt := range []struct {
		a, b []string
		want bool
	}{
		{[]string{"a.b"}, []string{"a.b.c"}, true},
		{[]string{"a"}, []string{"a.b"}, true},
		{[]string{"a.b"}, []string{"a.bc"}, false},
		{nil, []string{"a"}, false},
	} {
		if got := flow.Touch(tt.a, tt.b); got != tt.want {
			t.Errorf("Touch(%v, %v) = %v", tt.a, tt.b, got)
		}
	}
	if _, err := flow.Read([]byte("<a"), ""); err == nil {
		t.Error("Read(no XML) = nil")
	}
	if p, err := flow.Read([]byte("<definitions/>"), "x"); err != nil || len(p.Nodes) != 0 || p.Node("x") != nil {
		t.Errorf("Read(no process) = %v, %v", p, err)
	}
}
