package model_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

var words = regexp.MustCompile(`(removed|given|stripped|led|moves|pauses|evidence|rule|clock|pause)`)

// fibre returns the fibre process after edits.
func fibre(t *testing.T, edits ...bpmn.Edit) *model.Model {
	t.Helper()
	raw, err := os.ReadFile("../../packs/process/ftth-install.bpmn")
	if err != nil {
		t.Fatal(err)
	}
	d, err := bpmn.Parse(strings.NewReader(string(raw)), bpmn.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(edits) > 0 {
		if _, err := d.Apply("", edits...); err != nil {
			t.Fatal(err)
		}
	}
	g, err := d.Graph("")
	if err != nil {
		t.Fatal(err)
	}
	m, findings := model.Compile(g, model.Options{})
	if m == nil {
		t.Fatalf("Compile() finds %v", findings)
	}
	return m
}

// TestProtectedSteps touches each kind of protected step in each way.
func TestProtectedSteps(t *testing.T) {
	t.Parallel()
	where := places["henan urban"]
	where.At = time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)
	p, err := model.Protect(fibre(t), norms(t), where)
	if err != nil {
		t.Fatal(err)
	}
	for node, want := range map[string]string{
		"a_reg": model.ProtectEvidence, "a_plan": model.ProtectRule, "g_build": model.ProtectClock, "a_accept": model.ProtectClock, "m_slot": model.ProtectPause,
	} {
		if got := p.Why(node); !slices.Contains(got, want) {
			t.Errorf("Why(%s) = %v, want %s among it", node, got, want)
		}
	}
	if got := p.Why("a_stock"); len(got) != 0 {
		t.Errorf("Why(a_stock) = %v, want nothing", got)
	}
	for name, tt := range map[string]struct {
		edits []bpmn.Edit
		want  string // node and how; "" for nothing
	}{
		"nothing":               {nil, ""},
		"a priority":            {[]bpmn.Edit{{Op: bpmn.SetPriority, ID: "a_visit", Value: "80"}}, ""},
		"evidence: removed":     {[]bpmn.Edit{{Op: bpmn.RemoveNode, ID: "a_reg", Reconnect: true}}, "a_reg removed"},
		"evidence: stripped":    {[]bpmn.Edit{{Op: bpmn.SetEvidence, ID: "a_reg"}}, "a_reg stripped"},
		"evidence: optional":    {[]bpmn.Edit{{Op: bpmn.SetEvidence, ID: "a_reg", Evidence: []bpmn.Evidence{{Kind: "证件核验记录"}, {Kind: "受理单", Required: true}}}}, "a_reg stripped"},
		"evidence: other role":  {[]bpmn.Edit{{Op: bpmn.SetRole, ID: "a_reg", Value: "technician"}}, "a_reg given to others"},
		"evidence: lane's role": {[]bpmn.Edit{{Op: bpmn.SetRole, ID: "a_visit", Value: "line_crew"}}, "a_visit given to others"},
		"evidence: led past":    {[]bpmn.Edit{{Op: bpmn.AddFlow, From: "g_ch", To: "a_res", Condition: "case.plan == '300M'"}}, "a_reg led past"},
		"rule: removed":         {[]bpmn.Edit{{Op: bpmn.RemoveRule, Value: "K1"}}, "a_plan stripped"},
		"rule: weakened":        {[]bpmn.Edit{{Op: bpmn.SetRule, Rule: &bpmn.GuardRule{ID: "K1", Node: "a_plan", On: "complete", Result: "flag", CEL: "true"}}}, "a_plan stripped"},
		"rule: other role":      {[]bpmn.Edit{{Op: bpmn.SetRole, ID: "a_plan", Value: "l2"}}, "a_plan given to others"},
		"clock: taken off":      {[]bpmn.Edit{{Op: bpmn.SetClocks, ID: "g_build"}}, "g_build stripped"},
		"clock: stopped early":  {[]bpmn.Edit{{Op: bpmn.SetClocks, ID: "a_disp", Events: []bpmn.EventBind{{Name: "service.activated", On: "enter"}, {Name: "install.dispatched", On: "enter"}, {Name: "order.accepted", On: "enter"}}}}, "a_disp moves a clock"},
		"clock: led past":       {[]bpmn.Edit{{Op: bpmn.Reconnect, ID: "f-g_sign-g_build", To: "a_disp"}, {Op: bpmn.AddFlow, From: "g_sign", To: "g_build", Condition: "case.plan == '300M'"}}, "g_build led past"},
		"pause: taken off":      {[]bpmn.Edit{{Op: bpmn.SetPauses, ID: "m_slot"}}, "m_slot stripped"},
		"pause: new":            {[]bpmn.Edit{{Op: bpmn.SetPauses, ID: "a_visit", Pauses: []bpmn.PauseBind{{Reason: "customer_slot"}}}}, "a_visit pauses a clock"},
		"end: new, from a branch that had the step before it":  {[]bpmn.Edit{{Op: bpmn.AddNode, ID: "e_new", Type: bpmn.EndEvent}, {Op: bpmn.AddFlow, From: "g_sign", To: "e_new", Condition: "case.plan == '300M'"}}, "g_build led past"},
		"end: new, behind a new node":                          {[]bpmn.Edit{{Op: bpmn.AddNode, ID: "a_new", Type: bpmn.UserTask, Lane: "lane-agent"}, {Op: bpmn.AddNode, ID: "e_new", Type: bpmn.EndEvent}, {Op: bpmn.AddFlow, From: "g_sign", To: "a_new", Condition: "case.plan == '300M'"}, {Op: bpmn.AddFlow, From: "a_new", To: "e_new"}}, "g_build led past"},
		"end: new, at the border of a step before it":          {[]bpmn.Edit{{Op: bpmn.AddNode, ID: "b_new", Type: bpmn.BoundaryEvent, AttachedTo: "a_plan", Event: &bpmn.Event{Kind: bpmn.TimerEvent, Duration: "PT1H"}}, {Op: bpmn.AddNode, ID: "e_new", Type: bpmn.EndEvent}, {Op: bpmn.AddFlow, From: "b_new", To: "e_new"}}, "g_build led past"},
		"end: in place of all, with a way past the step to it": {[]bpmn.Edit{{Op: bpmn.AddNode, ID: "e_new", Type: bpmn.EndEvent}, {Op: bpmn.Reconnect, ID: "f-g_score-e_done", To: "e_new"}, {Op: bpmn.Reconnect, ID: "f-a_repair-e_done", To: "e_new"}, {Op: bpmn.RemoveNode, ID: "e_done"}, {Op: bpmn.AddFlow, From: "g_sign", To: "g_score", Condition: "case.plan == '300M'"}}, "a_accept led past"},
		"end: in place of all":                                 {[]bpmn.Edit{{Op: bpmn.AddNode, ID: "e_new", Type: bpmn.EndEvent}, {Op: bpmn.Reconnect, ID: "f-g_score-e_done", To: "e_new"}, {Op: bpmn.Reconnect, ID: "f-a_repair-e_done", To: "e_new"}, {Op: bpmn.RemoveNode, ID: "e_done"}}, ""},
		"end: another where the step could not come any more":  {[]bpmn.Edit{{Op: bpmn.AddNode, ID: "e_new", Type: bpmn.EndEvent}, {Op: bpmn.Reconnect, ID: "f-a_expl-e_nores", To: "e_new"}, {Op: bpmn.RemoveNode, ID: "e_nores"}}, ""},
		"side by side": {[]bpmn.Edit{{Op: bpmn.Parallelise, Nodes: []string{"a_stock", "m_slot"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range p.Violated(fibre(t, tt.edits...)) {
				if f.Code != "PROTECTED_STEP" || f.Severity != model.SeverityError {
					t.Errorf("finding %v, want an error PROTECTED_STEP", f)
				}
				got = append(got, f.Elements[0]+" "+f.Params[0].Value.(fault.Label).EN)
				if text := fault.Text(fault.ZH, f.Fault()); words.MatchString(text) {
					t.Errorf("the Chinese text is %s, want no English words", text)
				}
			}
			if tt.want == "" && len(got) > 0 || tt.want != "" && !slices.Contains(got, tt.want) {
				t.Errorf("Violated() = %v, want %q", got, tt.want)
			}
		})
	}
}
