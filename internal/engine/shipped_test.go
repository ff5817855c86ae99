package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/model"
)

// shipped compiles a process file of the product; no finding but notes.
func shipped(t testing.TB, file string) *model.Model {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := bpmn.Parse(strings.NewReader(string(raw)), bpmn.Limits{})
	if err != nil {
		t.Fatalf("Parse(%s): %v", file, err)
	}
	g, err := d.Graph("")
	if err != nil {
		t.Fatalf("Graph(%s): %v", file, err)
	}
	m, findings := model.Compile(g, model.Options{})
	for _, f := range findings {
		if f.Severity != model.SeverityNote {
			t.Errorf("%s: %s %s %v %v", file, f.Severity, f.Code, f.Elements, f.Params)
		}
	}
	if m == nil {
		t.FailNow()
	}
	return m
}

func TestShippedProcessesCompile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../packs/process/*.bpmn")
	if err != nil || len(files) == 0 {
		t.Fatalf("no process files: %v", err)
	}
	for _, f := range files {
		shipped(t, f)
	}
}

// TestFibreOrder drives the fibre process through a whole case: an order in a
// shop, a second slot after the customer was absent, a bad line, a survey answer.
func TestFibreOrder(t *testing.T) {
	t.Parallel()
	p := &play{t: t, m: shipped(t, "../../packs/process/ftth-install.bpmn"), now: epoch}
	var trail []string
	for _, line := range []string{
		`start case.channel:="store" case.plan:="1000M" case.planMbps:=1000`,
		`complete a_reg identity.verified:=true`,
		`complete a_res resource.status:="ready"`,
		`complete a_plan offer.tariffNoticeGiven:=true`,
		`message contract.confirmed signed:=true`,
		`complete a_disp`,
		`complete a_stock stock.ontSerial:="HW-1"`,
		`message slot.chosen slotStart:="2026-03-05T09:00:00+08:00"`,
		`wait P2D`,
		`complete a_visit visit.result:="customer_absent"`,
		`complete a_reappt appointment.slotStart:=null`,
		`message slot.chosen slotStart:="2026-03-07T09:00:00+08:00"`,
		`wait P2D`,
		`complete a_visit visit.result:="line_fault"`,
		`complete a_line`,
		`complete a_visit visit.result:="installed" visit.opticalPowerDbm:=-21.5`,
		`complete a_act test.downMbps:=950`,
		`complete a_accept`,
		`message monitor.report alarms:=0`,
		`wait PT24H`,
		`complete a_survey`,
		`message survey.response score:=9`,
	} {
		p.said = nil
		p.do(line)
		invariants(t, &p.s)
		for _, s := range p.said {
			if path, ok := strings.CutPrefix(s, "enter "); ok {
				trail = append(trail, strings.Fields(path)...)
			}
			if strings.HasPrefix(s, "refused") || strings.HasPrefix(s, "failed") {
				t.Fatalf("%s: %s", line, s)
			}
		}
	}
	want := strings.Fields(`s g_ch a_reg a_res g_res g_ch2 a_plan m_sign g_sign g_build a_disp a_stock m_slot a_visit g_visit a_reappt m_slot2
		a_visit g_visit a_line a_visit g_visit a_act g_act a_accept t_24 g_mon a_survey m_resp g_score e_done`)
	if diff := cmp.Diff(want, trail); diff != "" || !p.s.Ended || p.s.Outcome != "e_done" {
		t.Errorf("ended %v at %q, trail (-want +got):\n%s", p.s.Ended, p.s.Outcome, diff)
	}
	p.replay()
}

// TestFibreOrderWithoutAnswer lets the survey time out and unhappy monitoring lead to care.
func TestFibreOrderWithoutAnswer(t *testing.T) {
	t.Parallel()
	p := &play{t: t, m: shipped(t, "../../packs/process/ftth-install.bpmn"), now: epoch}
	for _, line := range []string{
		`start case.channel:="app" case.plan:="300M" case.planMbps:=300`,
		`complete a_reg_auto identity.verified:=true`, `complete a_res resource.status:="ready"`,
		`complete a_plan_auto offer.tariffNoticeGiven:=true`, `message contract.confirmed signed:=true`,
		`complete a_disp appointment.slotStart:="2026-03-04T01:00:00Z"`, `complete a_stock`, `wait PT2H`,
		`complete a_visit visit.result:="installed"`, `complete a_act test.downMbps:=320`, `complete a_accept`,
		`message monitor.report alarms:=2`, `wait PT24H`, `complete a_care`, `complete a_survey`, `wait PT72H`,
	} {
		p.do(line)
	}
	if !p.s.Ended || p.s.Outcome != "e_done" {
		p.tokens()
		t.Errorf("ended %v at %q: %v", p.s.Ended, p.s.Outcome, p.said)
	}
	p.replay()
}
