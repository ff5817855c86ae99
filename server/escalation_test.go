package server_test

import (
	"fmt"
	"testing"
	"time"

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
