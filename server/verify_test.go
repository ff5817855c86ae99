package server_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
)

// findings verifies the database and returns the rule and subject of each
// violation, cases by their number.
func (o *office) findings(how ...execution.Check) []string {
	o.t.Helper()
	report, err := o.house.Cases.Verify(access.With(o.t.Context(), access.System("test")), func(int, int) {}, how...)
	if err != nil {
		o.t.Fatalf("Verify() = %v", err)
	}
	var out []string
	for _, v := range report.Violations {
		o.t.Logf("%s of %s: %s", v.Rule, v.Subject, v.Detail)
		out = append(out, v.Rule+" "+v.Subject)
	}
	slices.Sort(out)
	return out
}

// damaged is a case and what is done to its rows behind the product's back. In a
// statement CASE stands for the id of the case, FAR for an instant that never comes.
type damaged struct {
	number    string
	statement string
	want      []string // rules, all of this case
}

// TestVerifyFindsDamage damages one case for each rule, and finds that and nothing
// else.
func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.create("expert-case", processOf(t, "expert-case"))
		o.create("caller", expert(t, "caller", fmt.Sprintf(`<bpmn:callActivity id="a_expert" name="专家核实" calledElement="expert-case">%s</bpmn:callActivity>`, between), ""))
		o.correcting()
		far := "(select max(due_order) from timer_rows)"
		table := []damaged{
			{"F-HISTORY", `update case_events set state_digest = 'x' where case_id = CASE and seq = 0`, []string{"history"}},
			{"F-VARIABLES", `update service_cases set variables = '{}' where id = CASE`, []string{"history"}},
			{"F-REVISION", `update service_cases set revision = revision + 1 where id = CASE`, []string{"history"}},
			{
				"F-TOKEN", `update tokens set case_id = (select id from service_cases where number = 'F-ENDED') where case_id = CASE`,
				[]string{"tokens", "history", "tasks", "F-ENDED tokens", "F-ENDED tasks"},
			},
			{"F-TASK", `update tasks set state = 'cancelled' where case_id = CASE and state = 'created'`, []string{"tasks"}},
			{"F-TWICE", `update tasks set state = 'created' where case_id = CASE and state = 'completed' and node_id = 'a_reg'`, []string{"tasks"}},
			{"F-DUE", `update tasks set due_at = null where case_id = CASE and state = 'created'`, []string{"tasks"}},
			{"F-LENT", `update tasks set lease_by = 'nobody w1' where case_id = CASE and state = 'created'`, []string{"leases"}},
			{"F-LEASE", `update tasks set lease_until = FAR where case_id = CASE and state = 'created'`, []string{"leases"}},
			{"F-STOOD", `update clocks set paused_micros = 1 where case_id = CASE and indicator_code = 'ENT-FTTH-48H'`, []string{"clocks"}},
			{"F-PAUSED", `update clocks set state = 'paused' where case_id = CASE and indicator_code = 'ENT-FTTH-48H'`, []string{"clocks"}},
			{"F-ENDED-CLOCK", `update clocks set stopped_at = null where case_id = CASE and indicator_code = 'ENT-FTTH-48H'`, []string{"clocks"}},
			{"V-FIRED", `update timer_rows set fired_count = 2 where case_id = CASE and fired_count = 1`, []string{"timers"}},
			{"V-ENDED", `update timer_rows set state = 'waiting' where case_id = CASE`, []string{"timers"}},
			{"B-REFUSED", `update breaches set corrective_error = '' where case_id = CASE and indicator_code = 'ENT-FTTH-48H'`, []string{"breaches"}},
			{"B-BREACH", `delete from breaches where case_id = CASE and indicator_code = 'ENT-SAMEDAY-INSTALL'`, []string{"clocks"}},
			{"B-OPENED", `update breaches set corrective_case_id = null where case_id = CASE and indicator_code = 'ENT-FTTH-48H'`, []string{"breaches", "breaches"}},
			{"Q-FAILURE", `update failures set state = 'retried' where case_id = CASE and state = 'open'`, []string{"failures"}},
			{"Q-RETRIED", `update failures set state = 'open' where case_id = CASE and state = 'retried'`, []string{"failures"}},
			{"Q-ENDED", `update failures set state = 'open' where case_id = CASE and state = 'ended'`, []string{"failures"}},
			{"Q-AUDIT", `delete from audit_entries where operation = 'startCase' and subject = CASE`, []string{"audit"}},
			{"C-GONE", `update service_cases set state = 'completed' where caller_id = CASE`, []string{"calls"}},
			{"C-STRAY", `update service_cases set caller_token = 99 where caller_id = CASE`, []string{"calls"}},
		}
		o.starting()
		o.inAllStates(table)
		o.must("zz-agent", "startCase", `processKey: "enquiry", regionID: "CN-HA-ZZ", number: "Q-KEY", channel: "app", variables: {calc: {divisor: 1}}, idempotencyKey: "key-1"`)
		if got := o.findings(execution.AtRest(o.clock.Now())); len(got) > 0 {
			t.Fatalf("before any damage Verify() = %q, want nothing", got)
		}
		var want []string
		for _, d := range table {
			id := "'" + o.caseID(d.number) + "'"
			damage(t, url, strings.NewReplacer("CASE", id, "FAR", far).Replace(d.statement))
			for _, rule := range d.want {
				switch number, other, elsewhere := strings.Cut(rule, " "); {
				case elsewhere:
					want = append(want, other+" "+number)
				case rule == "audit":
					want = append(want, rule+" "+o.caseID(d.number))
				default:
					want = append(want, rule+" "+d.number)
				}
			}
		}
		// What the damage to a caller means for the case that it called.
		called := func(number string) string {
			return fmt.Sprint(o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { called(first: 5) { edges { node { number } } } } }`, number), "serviceCase", "called", "edges", 0, "node", "number"))
		}
		want = append(want, "calls "+called("C-STRAY"), "tokens "+called("C-GONE"))
		damage(t, url, `update idempotency_keys set input_hash = 'x' where key = 'key-1'`)
		damage(t, url, `insert into jobs (id, created_at, kind, args, state, run_at, attempt, token, cursor, last_error)
			select 'job_x', created_at, 'case.sing', 'null', 'ready', created_at, 0, 0, '', '' from service_cases where number = 'F-HISTORY'`)
		want = append(want, "keys key-1", "notes outbox", "notes outbox")
		want = append(want, o.damageStarts(url)...)
		slices.Sort(want)
		if got := o.findings(); !slices.Equal(got, want) {
			t.Errorf("Verify() finds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		only := []string{o.caseID("F-DUE"), o.caseID("F-LENT"), o.caseID("V-FIRED")}
		if got, want := o.findings(execution.OnlyCases(only)), []string{"leases F-LENT", "tasks F-DUE", "timers V-FIRED"}; !slices.Equal(got, want) {
			t.Errorf("Verify() of three cases finds %q, want %q", got, want)
		}
	})
}

// startDamage is what is done to start timers behind the product's back. In a statement
// TIMER stands for the id of the timer of the process, OTHER for the case that the first
// one has started.
var startDamage = []string{
	`update start_timers set fired_at = null where id = TIMER`,
	`update start_timers set case_id = null where id = TIMER`,
	`update start_timers set error = 'X' where id = TIMER`,
	`update start_timers set state = 'ended', fired_at = null where id = TIMER`,
	`update start_timers set case_id = 'case_x' where id = TIMER`,
	`update start_timers set process_id = 'prc_x' where id = TIMER`,
	`update start_timers set fired_at = created_at where id = TIMER`,
	`insert into start_timers (id, region_path, created_at, binding_id, process_id, version_id, node_id, occurrence, again, due_at, state, error, region_id)
		select 'sta_twice', region_path, created_at, binding_id, process_id, version_id, node_id, occurrence + 1, again, due_at, 'waiting', '', region_id from start_timers where id = TIMER`,
	`update start_timers set case_id = OTHER where id = TIMER`, // is of another process, and another timer's
}

// starting lets a process for each of the damages be started by its timer, but the one
// whose timer is to wait twice. Last comes the one whose case another one is to claim.
func (o *office) starting() {
	o.t.Helper()
	for i := range len(startDamage) + 1 {
		timer := `<bpmn:timeDuration>PT1S</bpmn:timeDuration>`
		if i == 7 {
			timer = `<bpmn:timeDuration>P100D</bpmn:timeDuration>`
		}
		o.create(fmt.Sprintf("start-%d", i), timed(fmt.Sprintf("start-%d", i), timer))
	}
	o.clock.Advance(time.Second)
	o.tick()
}

// damageStarts damages the start timers and returns what there is to be found.
func (o *office) damageStarts(url string) (want []string) {
	o.t.Helper()
	process := map[string]string{}
	for _, p := range o.table("processes") {
		process[p["id"]] = p["key"]
	}
	of, other := map[string]string{}, ""
	for _, row := range o.table("start_timers") {
		key := process[row["process_id"]]
		if of[key] = row["id"]; key == "start-9" {
			other = row["case_id"]
		}
	}
	for i, statement := range startDamage {
		id := of[fmt.Sprintf("start-%d", i)]
		damage(o.t, url, strings.NewReplacer("TIMER", "'"+id+"'", "OTHER", "'"+other+"'").Replace(statement))
		if i == 7 {
			id = "sta_twice"
		}
		want = append(want, "starts "+id)
	}
	return append(want, "starts "+of["start-9"])
}

// correcting lets orders open an enquiry when they breach.
func (o *office) correcting() {
	o.t.Helper()
	o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1"`)
	o.must("hq-standard", "editProcessDraft", `versionID: "ftth-install@2", revision: 1, edits: [{op: "setBreach", breach: {id: "apologise", indicator: "ENT-FTTH-48H", do: "open", process: "enquiry"}}]`)
	o.release("ftth-install@2", 2)
}

// inAllStates leads each case of the table to where its damage can be done. The
// clock moves on before each, so that no two commands share an instant.
func (o *office) inAllStates(table []damaged) {
	o.t.Helper()
	reason := func(number string) string { return fmt.Sprintf(`caseID: %q, reason: "测试"`, o.caseID(number)) }
	for _, d := range slices.SortedStableFunc(slices.Values(append(slices.Clone(table), damaged{number: "F-ENDED"})), func(a, b damaged) int { return cmp.Compare(a.number[:1], b.number[:1]) }) {
		o.clock.Advance(time.Second)
		switch n := d.number; {
		case n == "B-REFUSED": // nothing is bound that could be opened
			o.breached(n)
			o.must("demo-admin", "bindProcess", `versionID: "enquiry@1", regionID: "CN-HA-ZZ"`)
		case n[0] == 'B':
			o.breached(n)
		case n == "Q-FAILURE":
			o.divides()
			o.enquiry("enquiry", n, "calc: {divisor: 0}")
		case n[0] == 'C':
			o.enquiry("caller", n, "")
			o.work("zz-agent", n, "a_call", `, variables: {enquiry: {topic: "tariff", answered: false}}`)
			o.tick()
		case n[0] == 'F':
			o.order(n)
		case n[0] == 'Q':
			o.enquiry("enquiry", n, fmt.Sprintf(`calc: {divisor: %d}`, map[bool]int{true: 1}[n == "Q-AUDIT"]))
		case n[0] == 'V':
			o.atVisit(n)
		}
		switch d.number {
		case "F-ENDED", "F-ENDED-CLOCK", "V-ENDED", "Q-ENDED":
			o.must("demo-admin", "cancelCase", reason(d.number))
		case "Q-RETRIED":
			o.must("ha-supervisor", "retryFailure", fmt.Sprintf(`failureID: %q, reason: "测试", variables: {calc: {divisor: 1}}`, o.open(d.number)))
		}
	}
}

// breached lets an order breach its clocks and what follows happen.
func (o *office) breached(number string) {
	o.t.Helper()
	o.order(number)
	o.clock.Advance(72 * time.Hour)
	o.tick()
	o.clock.Advance(72 * time.Hour)
	o.tick()
	o.tick()
}

// TestVerifyAtRest finds what is due and not done: a timer, a clock, a retry, a note, a
// start and a batch.
func TestVerifyAtRest(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.create("expert-case", processOf(t, "expert-case"))
		o.create("caller", expert(t, "caller", fmt.Sprintf(`<bpmn:callActivity id="a_expert" name="专家核实" calledElement="expert-case">%s</bpmn:callActivity>`, between), ""))
		o.divides()
		o.order("SO-CLOCK")
		o.order("SO-TIMER")
		o.work("zz-dispatcher", "SO-TIMER", "a_disp", "")
		o.work("zz-store", "SO-TIMER", "a_stock", "")
		slot := o.clock.Now().Add(time.Hour)
		o.must("zz-agent", "sendMessage", fmt.Sprintf(`caseNumber: "SO-TIMER", name: "slot.chosen", payload: {slotStart: %q}`, slot.Format(time.RFC3339)))
		o.enquiry("enquiry", "Q-RETRY", "calc: {divisor: 0}")
		o.must("ha-supervisor", "retryFailure", fmt.Sprintf(`failureID: %q, reason: "测试", backOffSeconds: 60`, o.open("Q-RETRY")))
		o.tick()
		o.enquiry("caller", "Q-CALL", "")
		o.work("zz-agent", "Q-CALL", "a_call", `, variables: {enquiry: {topic: "tariff", answered: false}}`)
		o.create("soon", timed("soon", `<bpmn:timeDuration>PT1M</bpmn:timeDuration>`))
		want := []string{"due Q-RETRY", "due SO-TIMER", "due outbox", "due " + o.table("start_timers")[0]["id"]}
		want = append(want, "due "+o.batch("ha-supervisor", "startFailureBatch", `action: "retry", regionID: "CN-HA", code: "NOTHING", reason: "x"`))
		slices.Sort(want)
		if got := o.findings(execution.AtRest(o.clock.Now().Add(-time.Second))); len(got) > 0 {
			t.Errorf("a second ago Verify() = %q were due, want nothing", got)
		}
		if got := o.findings(execution.AtRest(slot)); !slices.Equal(got, want) {
			t.Errorf("an hour ahead Verify() = %q, want %q", got, want)
		}
		if got := o.findings(execution.AtRest(o.clock.Now().AddDate(0, 1, 0))); !slices.Contains(got, "due SO-CLOCK") {
			t.Errorf("a month ahead Verify() = %q, want the clocks of SO-CLOCK too", got)
		}
		o.clock.Set(slot)
		o.tick()
		if got := o.findings(execution.AtRest(slot)); len(got) > 0 {
			t.Errorf("after all was done Verify() = %q, want nothing", got)
		}
	})
}
