package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
)

// TestEscalationRisesToTheCaller lets a called case escalate: while it works, which the
// caller hears without interrupting the call, and with its end, which leaves the call by
// the boundary event and not by the flow.
func TestEscalationRisesToTheCaller(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		const codes = `<bpmn:escalation id="late" name="late" escalationCode="LATE"/><bpmn:escalation id="stop" name="stop" escalationCode="STOP"/>`
		escalates := func(code string) string {
			return fmt.Sprintf(`<bpmn:escalationEventDefinition escalationRef=%q/>`, code)
		}
		o.create("inner", flowing("inner", "", codes, element("startEvent", "s", "", "")+element("intermediateThrowEvent", "up", "", escalates("late"))+
			element("userTask", "a", "", "")+element("endEvent", "e", "", escalates("stop")), "s up", "up a", "a e"))
		o.create("outer", flowing("outer", "", codes, element("startEvent", "s", "", "")+element("callActivity", "c", `calledElement="inner"`, "")+
			element("boundaryEvent", "b1", `attachedToRef="c" cancelActivity="false"`, escalates("late"))+element("boundaryEvent", "b2", `attachedToRef="c"`, escalates("stop"))+
			element("userTask", "watch", "", "")+element("userTask", "people", "", "")+element("endEvent", "e", "", "")+element("endEvent", "f", "", "")+element("endEvent", "h", "", ""),
			"s c", "c e", "b1 watch", "watch f", "b2 people", "people h"))
		o.must("zz-agent", "startCase", `processKey: "outer", regionID: "CN-HA-ZZ", number: "CASE-OUT-1"`)
		o.tick()
		o.tick()
		if got := o.at("CASE-OUT-1"); got != "c:call watch:task" {
			t.Errorf("after an escalation of the called case the caller is at %s, want the call running and watched", got)
		}
		o.work("zz-agent", fmt.Sprint(o.get("ha-admin", `{ serviceCase(number: "CASE-OUT-1") { called(first: 1) { edges { node { number } } } } }`,
			"serviceCase", "called", "edges", 0, "node", "number")), "a", "")
		o.tick()
		if got := o.at("CASE-OUT-1"); got != "people:task watch:task" {
			t.Errorf("after the called case has ended with an escalation the caller is at %s, want people at work", got)
		}
		o.verified()
	})
}

// TestEscalationKeepsItsPlace lets the note of an escalation fail: what the called case
// does later, its end, waits for it. One of a call that was made anew since is not heard.
func TestEscalationKeepsItsPlace(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		const codes = `<bpmn:escalation id="late" name="late" escalationCode="LATE"/>`
		const up = `<bpmn:escalationEventDefinition escalationRef="late"/>`
		o.create("inner", flowing("inner", "", codes, element("startEvent", "s", "", "")+element("userTask", "a", "", "")+
			element("intermediateThrowEvent", "up", "", up)+element("userTask", "b", "", "")+element("endEvent", "e", "", ""), "s a", "a up", "up b", "b e"))
		o.create("outer", flowing("outer", "", codes, element("startEvent", "s", "", "")+element("callActivity", "c", `calledElement="inner"`, "")+
			element("boundaryEvent", "b1", `attachedToRef="c" cancelActivity="false"`, up)+element("userTask", "watch", "", "")+element("userTask", "after", "", "")+
			element("endEvent", "e", "", "")+element("endEvent", "f", "", ""), "s c", "c after", "after e", "b1 watch", "watch f"))
		opened := func(number string) (called string) {
			t.Helper()
			o.must("zz-agent", "startCase", fmt.Sprintf(`processKey: "outer", regionID: "CN-HA-ZZ", number: %q`, number))
			o.tick()
			called = fmt.Sprint(dig(o.calledBy(number), 0, "node", "number"))
			o.work("zz-agent", called, "a", "")
			return called
		}
		is := func(number, want, when string) {
			t.Helper()
			if got := o.at(number); got != want {
				t.Errorf("%s the caller is at %s, want %s", when, got, want)
			}
		}

		called := opened("CASE-LATE")
		damage(t, url, fmt.Sprintf("update service_cases set variables = '[1]' where number = '%s'", "CASE-LATE"))
		if err := o.house.Tick(t.Context()); err == nil {
			t.Fatal("Tick() over a damaged caller = nil, want an error")
		}
		damage(t, url, fmt.Sprintf("update service_cases set variables = '{}' where number = '%s'", "CASE-LATE"))
		o.work("zz-agent", called, "b", "")
		o.tick()
		is("CASE-LATE", "c:call", "while the escalation waits to be tried again")
		o.clock.Advance(time.Second)
		o.tick()
		is("CASE-LATE", "after:task watch:task", "after the escalation and the answer")

		opened("CASE-ANEW")
		token := o.get("ha-admin", `{ serviceCase(number: "CASE-ANEW") { tokens(first: 1) { edges { node { seq } } } } }`, "serviceCase", "tokens", "edges", 0, "node", "seq")
		o.must("ha-supervisor", "moveToken", fmt.Sprintf(`caseID: %q, token: %v, toNodeID: "c", reason: "重新核实"`, o.caseID("CASE-ANEW"), token))
		o.tick()
		is("CASE-ANEW", "c:call", "after the escalation of a call that was made anew")
		o.verified()
	})
}

// TestAnswerThatIsNotTaken brings a caller a value that it does not admit: that is an
// error of the activity, which people see, and not a note that fails for ever.
func TestAnswerThatIsNotTaken(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		plan := func(more string) string {
			return fmt.Sprintf(`<spms:variable name="order.plan" type="string" labelZh="套餐" labelEn="Plan" input="true"%s/>`, more)
		}
		script := `<bpmn:scriptTask id="t" name="定" scriptFormat="CEL"><bpmn:extensionElements><spms:task nameEn="x" stage="demand"/><spms:result variable="order.plan"/></bpmn:extensionElements><bpmn:script>"2000M"</bpmn:script></bpmn:scriptTask>`
		o.create("offers", flowing("offers", plan(""), "", element("startEvent", "s", "", "")+script+element("endEvent", "e", "", ""), "s t", "t e"))
		o.create("orders", flowing("orders", plan(` enum="300M,500M"`), "", element("startEvent", "s", "", "")+element("callActivity", "c", `calledElement="offers"`, "")+
			element("userTask", "a", "", "")+element("endEvent", "e", "", ""), "s c", "c a", "a e"))
		o.must("zz-agent", "startCase", `processKey: "orders", regionID: "CN-HA-ZZ", number: "ORD-1"`)
		o.tick()
		if got := o.at("ORD-1") + " " + o.failures("ORD-1", "code"); got != "c:failed ERROR_UNCAUGHT" {
			t.Errorf("the caller is at %s, want its call failed", got)
		}
		if got := o.findings(execution.AtRest(o.clock.Now().AddDate(0, 0, 1))); len(got) > 0 {
			t.Errorf("Verify() finds %q, want nothing", got)
		}
	})
}
