package process_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/packs/process"
)

// nodes are the elements each shipped process must have; simulation figures
// and published standards refer to them.
var nodes = map[string]string{
	"ftth-install": `s g_ch a_reg_auto a_reg a_res g_res a_expl e_nores a_plan a_plan_auto g_ch2 m_sign g_sign e_withdraw
		g_build t_permit a_build a_disp a_stock m_slot a_visit g_visit a_reappt m_slot2 a_line a_act g_act a_accept
		t_24 g_mon a_care a_survey m_resp m_resp_timeout g_score a_repair e_done`,
	"mobile-complaint": `s a_log g_fcr g_cat a_diag g_diag a_advise a_param t_obs g_spare t_spare a_site a_cover a_bill a_serv
		a_reply g_sat a_l2 a_reply2 g_sat2 t_app a_case g_med a_settle a_root a_survey e_fcr e_done e_quit e_legal`,
	"leased-line": `s a_need a_desk a_sol g_disc a_appr m_dec g_win e_lost a_contract a_plan p_split g_a t_pa a_a a_z a_core
		g_cpe a_proc t_cpe a_cpe p_join a_test t_ber g_test a_fix m_acc g_acc a_bill a_hand t_30 a_rep a_nps e_done`,
	"enquiry": `s_call a_call g_call a_expert a_callback e_call`,
}

// graphs returns the graph of every shipped process.
func graphs(t *testing.T) map[string]*bpmn.Graph {
	t.Helper()
	files, err := process.Files()
	if err != nil {
		t.Fatalf("Files = %v, want no error", err)
	}
	out := map[string]*bpmn.Graph{}
	for _, f := range files {
		d, err := bpmn.Parse(strings.NewReader(f.Text), bpmn.Limits{})
		if err != nil {
			t.Fatalf("Parse(%s) = %v, want no error", f.Key, err)
		}
		g, err := d.Graph("")
		if err != nil {
			t.Fatalf("Graph(%s) = %v, want no error", f.Key, err)
		}
		if g.Extension.Key != f.Key || g.Name != f.Name || !g.Executable || g.Extension.NameEn == "" {
			t.Errorf("process %s = key %q, name %q, executable %v", f.Key, g.Extension.Key, g.Name, g.Executable)
		}
		out[f.Key] = g
	}
	return out
}

func TestNodes(t *testing.T) {
	t.Parallel()
	all := graphs(t)
	if len(all) != len(nodes) {
		t.Errorf("Files = %d processes, want %d", len(all), len(nodes))
	}
	for key, want := range nodes {
		g := all[key]
		if g == nil {
			t.Errorf("process %s is not shipped", key)
			continue
		}
		have := map[string]bool{}
		for _, n := range g.Nodes {
			have[n.ID] = true
		}
		ids := strings.Fields(want)
		for _, id := range ids {
			if !have[id] {
				t.Errorf("process %s lacks node %s", key, id)
			}
		}
		if len(ids) != len(g.Nodes) {
			t.Errorf("process %s has %d nodes, want %d", key, len(g.Nodes), len(ids))
		}
	}
}

// TestNodesAreComplete holds every node to what people and checks need of it.
func TestNodesAreComplete(t *testing.T) {
	t.Parallel()
	for key, g := range graphs(t) {
		declared := map[string]bool{}
		for _, v := range g.Extension.Variables {
			declared[v.Name] = v.LabelZh != "" && v.LabelEn != ""
		}
		for _, n := range g.Nodes {
			x := n.Extension
			at := fmt.Sprintf("%s/%s", key, n.ID)
			if n.Name == "" || x.NameEn == "" || x.Stage == "" || n.Lane == "" {
				t.Errorf("%s: name %q, nameEn %q, stage %q, lane %q, want all", at, n.Name, x.NameEn, x.Stage, n.Lane)
			}
			if n.Type == bpmn.UserTask && (x.Role == "" || len(x.Evidence) == 0 || len(x.Fields) == 0) {
				t.Errorf("%s: role %q, %d evidence items, %d fields, want all", at, x.Role, len(x.Evidence), len(x.Fields))
			}
			if n.Type == bpmn.ServiceTask && x.Topic == "" {
				t.Errorf("%s: no topic", at)
			}
			for _, f := range x.Fields {
				if !declared[f.Variable] {
					t.Errorf("%s: field %s is not declared with labels", at, f.Variable)
				}
			}
			if x.Simulation != "" && !json.Valid([]byte(x.Simulation)) {
				t.Errorf("%s: simulation is no JSON: %s", at, x.Simulation)
			}
		}
		if !json.Valid([]byte(g.Extension.Simulation)) {
			t.Errorf("%s: simulation is no JSON", key)
		}
	}
}

func TestExpressionsCompile(t *testing.T) {
	t.Parallel()
	for key, g := range graphs(t) {
		var vars []expr.Variable
		for _, v := range g.Extension.Variables {
			vars = append(vars, expr.Variable{Name: v.Name, Type: expr.Type(v.Type), Enum: v.Enum})
		}
		env, err := expr.NewEnv(vars)
		if err != nil {
			t.Fatalf("%s: NewEnv = %v, want no error", key, err)
		}
		compile := func(at, src string, want expr.Type) {
			if _, err := env.Compile(src, want); err != nil {
				t.Errorf("%s/%s: Compile(%s) = %v, want no error", key, at, src, err)
			}
		}
		for _, v := range g.Extension.Variables {
			if v.Default != "" {
				compile(v.Name, v.Default, expr.Type(v.Type))
			}
		}
		for _, r := range g.Extension.Rules {
			compile(r.ID, r.CEL, expr.Bool)
		}
		for _, f := range g.Flows {
			if f.Condition != "" {
				compile(f.ID, f.Condition, expr.Bool)
			}
		}
		for _, n := range g.Nodes {
			if n.Event != nil && strings.HasPrefix(n.Event.Date, "=") {
				compile(n.ID, n.Event.Date[1:], expr.Timestamp)
			}
		}
	}
}

// TestChoices: every outgoing flow of an exclusive gateway that splits has a
// name in both languages, and all but the default a condition.
func TestChoices(t *testing.T) {
	t.Parallel()
	for key, g := range graphs(t) {
		flows := map[string]*bpmn.Flow{}
		for _, f := range g.Flows {
			flows[f.ID] = f
		}
		for _, n := range g.Nodes {
			if n.Type != bpmn.ExclusiveGateway || len(n.Outgoing) < 2 {
				continue
			}
			for _, id := range n.Outgoing {
				f := flows[id]
				if (f.Condition == "") != (n.Default == id) || f.Name == "" || f.Extension.NameEn == "" {
					t.Errorf("%s/%s: condition %q, name %q / %q, default of the gateway %q", key, id, f.Condition, f.Name, f.Extension.NameEn, n.Default)
				}
			}
		}
	}
}
