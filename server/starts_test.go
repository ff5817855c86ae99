package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// flowing is a process document: variables, root elements, then the elements of the
// process; what lies between two names of flows becomes their sequence flow.
func flowing(key, variables, roots, elements string, flows ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:spms="https://openspms.org/schema/bpmn/1.0"
		xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="d" targetNamespace="test">%s<bpmn:process id=%q name=%q isExecutable="true">
		<bpmn:extensionElements><spms:process key=%q nameEn=%q serviceType="telecom" calendar="cn-statutory"/>%s</bpmn:extensionElements>%s`,
		roots, key, key, key, key, variables, elements)
	for i, f := range flows {
		ends := strings.Fields(f)
		condition := ""
		if len(ends) > 2 {
			condition = `<bpmn:conditionExpression xsi:type="bpmn:tFormalExpression" language="CEL">` + strings.Join(ends[2:], " ") + `</bpmn:conditionExpression>`
		}
		fmt.Fprintf(&b, `<bpmn:sequenceFlow id="f%d" sourceRef=%q targetRef=%q>%s</bpmn:sequenceFlow>`, i, ends[0], ends[1], condition)
	}
	return b.String() + `</bpmn:process></bpmn:definitions>`
}

// element is an element of a process with the names and stage that the checks ask for;
// on the way in it tells the clocks what the agent was asked, at the end that it answered.
func element(kind, id, attributes, inside string) string {
	event := map[string]string{"startEvent": "agent.requested", "endEvent": "agent.answered"}[kind]
	if event != "" {
		event = fmt.Sprintf(`<spms:event name=%q on="enter"/>`, event)
	}
	task := `<spms:task nameEn="x" stage="demand"/>`
	if kind == "userTask" {
		task = `<spms:task nameEn="x" stage="demand" role="agent"/><spms:evidence kind="记录" media="text" required="false"/>`
	}
	return fmt.Sprintf(`<bpmn:%s id=%q name="办理" %s><bpmn:extensionElements>%s%s</bpmn:extensionElements>%s</bpmn:%s>`, kind, id, attributes, task, event, inside, kind)
}

const (
	orderVariables = `<spms:variable name="order.id" type="string" labelZh="订单" labelEn="Order" input="true" required="true"/>
		<spms:variable name="order.plan" type="string" labelZh="套餐" labelEn="Plan" input="true"/>
		<spms:variable name="order.note" type="string" labelZh="备注" labelEn="Note"/>`
	orderMessage = `<bpmn:message id="m" name="order.placed"><bpmn:extensionElements><spms:correlation>order.id</spms:correlation></bpmn:extensionElements></bpmn:message>`
	ofMessage    = `<bpmn:messageEventDefinition messageRef="m"/>`
)

// intake is a process that begins with a message and later waits for another of the
// same name and key.
func intake(key string) string {
	start := strings.Replace(element("startEvent", "s", "", ofMessage), "</bpmn:extensionElements>", `<spms:result variable="order"/></bpmn:extensionElements>`, 1)
	return flowing(key, orderVariables, orderMessage, start+element("userTask", "a", "", "")+
		strings.Replace(element("intermediateCatchEvent", "again", "", ofMessage), "</bpmn:extensionElements>", `<spms:result variable="order"/></bpmn:extensionElements>`, 1)+element("endEvent", "e", "", ""), "s a", "a again", "again e")
}

// casesOf lists the numbers of the cases of a process in a region, oldest first.
func (o *office) casesOf(key, region string) []string {
	o.t.Helper()
	list, _ := o.get("demo-admin", `{ serviceCases(first: 100, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { number process { key } region { code } } } } }`, "serviceCases", "edges").([]any)
	var out []string
	for _, e := range list {
		if dig(e, "node", "process", "key") == key && dig(e, "node", "region", "code") == region {
			out = append(out, fmt.Sprint(dig(e, "node", "number")))
		}
	}
	return out
}

// has fails unless so many cases of a process have been started in a region.
func (o *office) has(key, region string, want int, why string) []string {
	o.t.Helper()
	got := o.casesOf(key, region)
	if len(got) != want {
		o.t.Errorf("%s: %d cases of %s in %s, want %d", why, len(got), key, region, want)
	}
	return got
}

// trail returns what the audit trail says of an operation.
func (o *office) trail(operation string) string {
	o.t.Helper()
	return fmt.Sprint(o.get("demo-admin", fmt.Sprintf(`{ auditEntries(where: {operation: %q}, first: 100) { edges { node { detail } } } }`, operation), "auditEntries"))
}

// TestMessagesStartCases starts cases by messages from outside and from other cases: one
// for a key while it runs, of the nearest process, with checked input.
func TestMessagesStartCases(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.create("intake", intake("intake"))
		send := func(region, key, payload string) string {
			in := fmt.Sprintf(`name: "order.placed", payload: {%s}`, payload)
			if region != "" {
				in += fmt.Sprintf(`, regionID: %q`, region)
			}
			if key != "" {
				in += fmt.Sprintf(`, correlationKey: %q`, key)
			}
			return in
		}
		for name, c := range map[string]struct{ person, input, code string }{
			"no region":            {"integration", send("", "O-1", `id: "O-1"`), "MESSAGE_NOT_EXPECTED"},
			"neither":              {"integration", send("", "", `id: "O-1"`), "MESSAGE_UNADDRESSED"},
			"unknown region":       {"integration", send("XX", "O-1", `id: "O-1"`), "REGION_NOT_FOUND"},
			"not bound there":      {"integration", send("CN-HA", "O-1", `id: "O-1"`), "MESSAGE_STARTS_NOTHING"},
			"a name nobody knows":  {"integration", strings.Replace(send("CN-HA-ZZ", "O-1", `id: "O-1"`), "order.placed", "x", 1), "MESSAGE_STARTS_NOTHING"},
			"no right to start":    {"zz-tech", send("CN-HA-ZZ", "O-1", `id: "O-1"`), "ACTION_FORBIDDEN"},
			"a wrong type":         {"integration", send("CN-HA-ZZ", "O-1", `id: 7`), "VARIABLE_TYPE"},
			"nothing":              {"integration", send("CN-HA-ZZ", "O-1", ``), "VARIABLE_REQUIRED"},
			"what is not declared": {"integration", send("CN-HA-ZZ", "O-1", `id: "O-1", x: 1`), "VARIABLE_UNDECLARED"},
			"what is no input":     {"integration", send("CN-HA-ZZ", "O-1", `id: "O-1", note: "x"`), "VARIABLE_NOT_ALLOWED"},
		} {
			if got := strings.Join(o.do(c.person, "sendMessage", c.input), " "); got != c.code {
				t.Errorf("%s: sendMessage(%s) = %q, want %q", name, c.input, got, c.code)
			}
		}
		o.has("intake", "CN-HA-ZZ", 0, "after refusals")
		start := func(key string) map[string]any {
			t.Helper()
			r, _ := o.ask("integration", fmt.Sprintf(`mutation { sendMessage(input: {%s}) { started delivered serviceCase { number variables } userErrors { code } } }`, send("CN-HA-ZZ", key, fmt.Sprintf(`id: %q, plan: "300M"`, key))))
			out, _ := dig(r.Data, "sendMessage").(map[string]any)
			return out
		}
		if got := start("O-1"); got["started"] != true || got["delivered"] != 0.0 || fmt.Sprint(dig(got, "serviceCase", "variables", "order")) != "map[id:O-1 plan:300M]" {
			t.Errorf("a message that starts a case = %v, want the case with its order", got)
		}
		o.wants("integration", "sendMessage", send("CN-HA-ZZ", "O-1", `id: "O-1"`), "MESSAGE_CASE_RUNS")
		first := o.has("intake", "CN-HA-ZZ", 1, "the same key twice")[0]
		o.work("zz-agent", first, "a", "")
		if got := start("O-1"); got["started"] != false || got["delivered"] != 1.0 || dig(got, "serviceCase", "number") != first {
			t.Errorf("a message for a case that waits = %v, want it delivered there", got)
		}
		if got := start("O-1"); got["started"] != true {
			t.Errorf("the key of a case that has ended = %v, want another case", got)
		}

		// A second process of the message: not in the same region, but further up.
		o.must("hq-standard", "createProcess", fmt.Sprintf(`regionID: "CN", bpmn: %s`, literal(intake("intake-two"))))
		o.must("hq-standard", "submitProcess", `versionID: "intake-two@1", revision: 1`)
		o.must("demo-admin", "publishProcess", `versionID: "intake-two@1", revision: 2`)
		o.wants("demo-admin", "bindProcess", `versionID: "intake-two@1", regionID: "CN-HA-ZZ"`, "BINDING_MESSAGE_TAKEN")
		o.must("demo-admin", "bindProcess", `versionID: "intake-two@1", regionID: "CN-HA"`)
		o.must("integration", "sendMessage", send("CN-HA-ZZ", "O-3", `id: "O-3"`))
		o.has("intake", "CN-HA-ZZ", 3, "the nearest takes the message")
		o.must("integration", "sendMessage", send("CN-HA", "", `id: "O-4"`))
		o.must("integration", "sendMessage", send("CN-HA", "", `id: "O-4"`))
		o.has("intake-two", "CN-HA", 2, "messages without a key")

		// A case throws the message.
		o.create("says", flowing("says", strings.Replace(orderVariables, `name="order.plan" type="string"`, `name="order.plan" type="int"`, 1), orderMessage,
			element("startEvent", "s", "", "")+element("intermediateThrowEvent", "m1", "", ofMessage)+element("endEvent", "e", "", ""), "s m1", "m1 e"))
		say := func(id, more string) {
			t.Helper()
			o.must("zz-agent", "startCase", fmt.Sprintf(`processKey: "says", regionID: "CN-HA-ZZ", variables: {order: {id: %q%s}}`, id, more))
			o.tick()
			o.tick()
		}
		say("O-5", "")
		say("O-5", "")
		o.has("intake", "CN-HA-ZZ", 4, "a thrown message, twice with the same key")
		say("O-6", ", plan: 300")
		o.has("intake", "CN-HA-ZZ", 4, "a thrown message with a plan of the wrong type")
		if got := o.trail("deliver"); !strings.Contains(got, "undelivered:order.placed") || !strings.Contains(got, "refused:VARIABLE_TYPE") {
			t.Errorf("the audit trail says %s, want what was not delivered and what was refused", got)
		}
		o.verified()

		// A case that waits is sent what it does not take: noted, and not tried again.
		o.must("integration", "sendMessage", send("CN-HA-ZZ", "O-7", `id: "O-7"`))
		waits := o.casesOf("intake", "CN-HA-ZZ")
		o.work("zz-agent", waits[len(waits)-1], "a", "")
		before := strings.Count(o.trail("deliver"), "refused:VARIABLE_TYPE")
		say("O-7", ", plan: 300")
		if got := o.trail("deliver"); strings.Count(got, "refused:VARIABLE_TYPE") != before+1 || strings.Count(got, "undelivered:order.placed") != 2 {
			t.Errorf("the audit trail says %s, want that the case that waits has refused the message", got)
		}
		if got := o.at(waits[len(waits)-1]); got != "again:message" {
			t.Errorf("after a message that it does not take the case is at %s, want it waiting", got)
		}
		if got := o.findings(execution.AtRest(o.clock.Now().AddDate(0, 0, 1))); slices.Contains(got, "due outbox") {
			t.Errorf("Verify() finds %q, want no note that waits", got)
		}
	})
}

// TestKeysOfStarts asks a process that begins with two messages for cases whose name and
// key read alike in one line, and tells the number of a case that runs only to who may
// see it.
func TestKeysOfStarts(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		const roots = `<bpmn:message id="m1" name="order"/><bpmn:message id="m2" name="order placed"/>`
		start := func(id, ref string) string {
			return element("startEvent", id, "", fmt.Sprintf(`<bpmn:messageEventDefinition messageRef=%q/>`, ref))
		}
		o.create("two", flowing("two", "", roots, start("s1", "m1")+start("s2", "m2")+element("userTask", "a", "", "")+element("endEvent", "e", "", ""), "s1 a", "s2 a", "a e"))
		o.must("demo-admin", "bindProcess", `versionID: "two@1", regionID: "CN-HA-NY"`)
		o.must("zz-agent", "sendMessage", `name: "order", correlationKey: "placed 7", regionID: "CN-HA-ZZ"`)
		o.must("zz-agent", "sendMessage", `name: "order placed", correlationKey: "7", regionID: "CN-HA-ZZ"`)
		o.has("two", "CN-HA-ZZ", 2, "two messages with a key each")
		number := o.casesOf("two", "CN-HA-ZZ")[0]
		for person, c := range map[string]struct {
			region string
			told   bool
		}{"zz-agent": {"CN-HA-ZZ", true}, "integration": {"CN-HA-NY", true}, "ny-agent": {"CN-HA-NY", false}} {
			r, _ := o.ask(person, fmt.Sprintf(`mutation { sendMessage(input: {name: "order", correlationKey: "placed 7", regionID: %q}) { userErrors { code message } } }`, c.region))
			refused, _ := dig(r.Data, "sendMessage", "userErrors", 0).(map[string]any)
			if refused["code"] != "MESSAGE_CASE_RUNS" || strings.Contains(fmt.Sprint(refused["message"]), number) != c.told {
				t.Errorf("%s is told %v, want MESSAGE_CASE_RUNS, with the number %s: %v", person, refused, number, c.told)
			}
		}
	})
}

// TestBindingGivesWay binds versions in any order of their instants: one at a time is in
// force, and one that was to take effect later gives way to one that was bound after it.
func TestBindingGivesWay(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		begin := time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)
		o := openOffice(t, url, begin)
		o.create("plain", flowing("plain", "", "", element("startEvent", "s", "", "")+element("userTask", "a", "", "")+element("endEvent", "e", "", ""), "s a", "a e"))
		for i := 2; i <= 3; i++ {
			id := fmt.Sprintf("plain@%d", i)
			o.must("hq-standard", "createProcessDraft", `fromVersionID: "plain@1"`)
			o.must("hq-standard", "editProcessDraft", fmt.Sprintf(`versionID: %q, revision: 1, edits: [{op: "setVariable", variable: {name: "n.of", type: "int", input: true}}]`, id))
			o.must("hq-standard", "submitProcess", fmt.Sprintf(`versionID: %q, revision: 2`, id))
			o.must("demo-admin", "publishProcess", fmt.Sprintf(`versionID: %q, revision: 3`, id))
		}
		bind := func(version, after int) {
			t.Helper()
			from := ""
			if after > 0 {
				from = fmt.Sprintf(`, effectiveFrom: %q`, begin.Add(time.Duration(after)*time.Hour).Format(time.RFC3339))
			}
			o.must("demo-admin", "bindProcess", fmt.Sprintf(`versionID: "plain@%d", regionID: "CN-HA-ZZ"%s`, version, from))
		}
		at := func(hour int, want float64) {
			t.Helper()
			o.clock.Set(begin.Add(time.Duration(hour) * time.Hour))
			number := fmt.Sprintf("PLAIN-%d", hour)
			o.must("zz-agent", "startCase", fmt.Sprintf(`processKey: "plain", regionID: "CN-HA-ZZ", number: %q`, number))
			if got := o.get("zz-agent", fmt.Sprintf(`{ serviceCase(number: %q) { version { number } } }`, number), "serviceCase", "version", "number"); got != want {
				t.Errorf("after %d hours a case starts with version %v, want %v", hour, got, want)
			}
		}
		at(0, 1)
		o.clock.Set(begin.Add(time.Hour))
		bind(2, 10) // later
		bind(3, 0)  // and now
		at(1, 3)
		at(11, 3)
		bind(2, 20)
		bind(1, 15)
		at(14, 3)
		at(16, 1)
		at(21, 1)
		bind(2, 30)
		bind(3, 40)
		at(29, 1)
		at(31, 2)
		at(41, 3)
	})
}

// TestSignalsStartCases starts by a thrown signal a case of each process that begins with
// it: in the sender's region, and below where a binding of its own is.
func TestSignalsStartCases(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		const signal, def = `<bpmn:signal id="g" name="outage"/>`, `<bpmn:signalEventDefinition signalRef="g"/>`
		hears := func(key string) string {
			return flowing(key, orderVariables, signal, element("startEvent", "s", "", def)+element("userTask", "a", "", "")+element("endEvent", "e", "", ""), "s a", "a e")
		}
		o.create("outage", hears("outage"))
		o.create("inform", hears("inform"))
		o.must("demo-admin", "bindProcess", `versionID: "inform@1", regionID: "CN-HA"`)
		o.create("alarm", flowing("alarm", orderVariables, signal, element("startEvent", "s", "", "")+element("intermediateThrowEvent", "g1", "", def)+element("endEvent", "e", "", ""), "s g1", "g1 e"))
		o.must("demo-admin", "bindProcess", `versionID: "alarm@1", regionID: "CN-HA"`)
		o.must("integration", "startCase", `processKey: "alarm", regionID: "CN-HA", variables: {order: {id: "N-1"}}`)
		for range 3 {
			o.tick()
		}
		o.has("outage", "CN-HA-ZZ", 1, "bound below")
		o.has("inform", "CN-HA-ZZ", 1, "bound below as well")
		o.has("inform", "CN-HA", 1, "bound in the region")
		o.has("outage", "CN-HA", 0, "not bound in the region")
		o.must("integration", "startCase", `processKey: "alarm", regionID: "CN-HA-ZZ", variables: {order: {id: "N-2"}}`)
		for range 3 {
			o.tick()
		}
		o.has("outage", "CN-HA-ZZ", 2, "a signal in Zhengzhou")
		o.has("inform", "CN-HA", 1, "a signal in Zhengzhou is not heard above")
		o.verified()
	})
}

// TestStartsInACircleEnd lets processes start one another in a circle, by messages, by a
// signal, and by a message of a case that they call: after some cases it ends, the audit
// trail says why, and it has stopped nobody's clocks.
func TestStartsInACircleEnd(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		const roots = `<bpmn:message id="m1" name="ping"/><bpmn:message id="m2" name="pong"/><bpmn:message id="m3" name="again"/><bpmn:signal id="g" name="flood"/>`
		event := func(ref string) string {
			kind := map[bool]string{true: "signal", false: "message"}[ref == "g"]
			return fmt.Sprintf(`<bpmn:%[1]sEventDefinition %[1]sRef=%[2]q/>`, kind, ref)
		}
		circle := func(key, hears, then string) {
			t.Helper()
			o.create(key, flowing(key, "", roots, element("startEvent", "s", "", hears)+then+element("userTask", "a", "", "")+element("endEvent", "e", "", ""), "s t", "t a", "a e"))
		}
		throws := func(ref string) string { return element("intermediateThrowEvent", "t", "", event(ref)) }
		circle("ping", event("m1"), throws("m2"))
		circle("pong", event("m2"), throws("m1"))
		circle("flood", event("g"), throws("g"))
		circle("alarm", "", throws("g"))
		circle("called", "", throws("m3"))
		circle("calls", event("m3"), element("callActivity", "t", `calledElement="called"`, ""))
		within := func() { // a circle without an end would leave the test without one
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := o.house.Tick(ctx); err != nil {
				t.Fatalf("Tick() = %v", err)
			}
		}
		o.order("SO-1")
		for i, c := range []struct {
			field, input string
			want         map[string]int
		}{
			{"sendMessage", `name: "ping", regionID: "CN-HA-ZZ"`, map[string]int{"ping": 5, "pong": 4}},
			{"startCase", `processKey: "alarm", regionID: "CN-HA-ZZ"`, map[string]int{"flood": 8}},
			{"sendMessage", `name: "again", regionID: "CN-HA-ZZ"`, map[string]int{"calls": 9, "called": 9}},
		} {
			o.must("integration", c.field, c.input)
			within()
			for key, want := range c.want {
				o.has(key, "CN-HA-ZZ", want, c.input)
			}
			if got := o.trail("deliver"); strings.Count(got, "refused:START_TOO_DEEP") != i+1 {
				t.Errorf("the audit trail says %s, want START_TOO_DEEP %d times", got, i+1)
			}
		}
		o.clock.Advance(72 * time.Hour)
		within()
		if got := o.get("ha-admin", `{ serviceCase(number: "SO-1") { breaches(first: 5) { totalCount } } }`, "serviceCase", "breaches", "totalCount"); got == 0.0 {
			t.Error("beside the circles no clock was breached")
		}
		if got := o.findings(execution.AtRest(o.clock.Now())); len(got) > 0 {
			t.Errorf("Verify() finds %q, want nothing", got)
		}
	})
}

// timed is a process that begins by time.
func timed(key, timer string) string {
	return flowing(key, "", "", element("startEvent", "s", "", "<bpmn:timerEventDefinition>"+timer+"</bpmn:timerEventDefinition>")+
		element("userTask", "a", "", "")+element("endEvent", "e", "", ""), "s a", "a e")
}

// TestTimeStartsCases starts cases by timer start events: once for each instant, once
// after a time without a server, and by the version that is bound at the instant.
func TestTimeStartsCases(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		begin := time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)
		o := openOffice(t, url, begin)
		o.create("daily", timed("daily", `<bpmn:timeCycle>R/P1D</bpmn:timeCycle>`))
		o.create("four", timed("four", `<bpmn:timeCycle>R4/2026-03-02T08:00:00+08:00/P1D</bpmn:timeCycle>`))
		o.create("once", timed("once", `<bpmn:timeDuration>PT30H</bpmn:timeDuration>`))
		o.create("past", timed("past", `<bpmn:timeDate>2026-03-03T09:00:00+08:00</bpmn:timeDate>`))
		r, _ := o.ask("hq-standard", fmt.Sprintf(`{ checkProcess(regionID: "CN", bpmn: %s) { findings { code } } }`,
			literal(strings.Replace(timed("asks", `<bpmn:timeDuration>PT1H</bpmn:timeDuration>`), "</bpmn:extensionElements>", orderVariables+"</bpmn:extensionElements>", 1))))
		if got := fmt.Sprint(r.Data); !strings.Contains(got, "START_INPUT_REQUIRED") {
			t.Errorf("a timer start of a process that asks for an order = %s, want START_INPUT_REQUIRED", got)
		}
		to := func(d time.Duration) {
			t.Helper()
			o.clock.Set(begin.Add(d))
			o.tick()
			o.tick()
		}
		count := func(want, why string) {
			t.Helper()
			got := ""
			for _, key := range []string{"daily", "four", "once", "past"} {
				got += fmt.Sprint(len(o.casesOf(key, "CN-HA-ZZ")), " ")
			}
			if strings.TrimSpace(got) != want {
				t.Errorf("%s: cases of daily, four, once, past = %s, want %s", why, got, want)
			}
		}
		to(23 * time.Hour)
		count("0 1 0 0", "the third of four at 8 o'clock: two had passed")
		to(24 * time.Hour)
		count("1 1 0 0", "a day")
		to(30 * time.Hour)
		count("1 1 1 0", "30 hours")
		to(124 * time.Hour)
		count("2 2 1 0", "three days without a server are one start each")
		if next, ok, err := o.house.Cases.NextDue(t.Context()); err != nil || !ok || next.After(begin.Add(6*24*time.Hour)) {
			t.Errorf("NextDue() = %v, %v, %v, want the sixth day at the latest", next, ok, err)
		}
		to(144 * time.Hour)
		count("3 2 1 0", "the sixth day keeps the hour; four have been")
		if got := o.trail("startByTimer"); !strings.Contains(got, "missed:3") {
			t.Errorf("the audit trail says %s, want 3 starts missed", got)
		}

		// Another version takes over at an instant: the present one goes on until then.
		o.must("hq-standard", "createProcessDraft", `fromVersionID: "daily@1"`)
		o.must("hq-standard", "editProcessDraft", `versionID: "daily@2", revision: 1, edits: [{op: "setEvent", id: "s", event: {kind: "timer", cycle: "R/PT12H"}}]`)
		o.must("hq-standard", "submitProcess", `versionID: "daily@2", revision: 2`)
		o.must("demo-admin", "publishProcess", `versionID: "daily@2", revision: 3`)
		o.must("demo-admin", "bindProcess", fmt.Sprintf(`versionID: "daily@2", regionID: "CN-HA-ZZ", effectiveFrom: %q`, begin.Add(180*time.Hour).Format(time.RFC3339)))
		to(168 * time.Hour)
		count("4 2 1 0", "the seventh day, still the first version")
		to(192 * time.Hour)
		count("5 2 1 0", "the second version, 12 hours after it took effect")
		to(203 * time.Hour)
		count("5 2 1 0", "not the eighth day of the first")
		o.has("daily", "CN-HA-ZZ", 5, "before a crash")

		// A crash after the case and before the commit leaves neither; then it starts once.
		damage(t, url, `insert into start_timers (id, region_path, created_at, binding_id, process_id, version_id, node_id, occurrence, again, due_at, state, error, region_id)
			select 'sta_crash', region_path, created_at, binding_id, process_id, version_id, node_id, occurrence + 1, again, due_at, 'ended', '', region_id from start_timers where state = 'waiting'`)
		o.clock.Set(begin.Add(204 * time.Hour))
		if err := o.house.Tick(t.Context()); err == nil {
			t.Fatal("Tick() = nil, want the row in the way")
		}
		count("5 2 1 0", "what was not committed")
		damage(t, url, `delete from start_timers where id = 'sta_crash'`)
		o.atOnce(url)
		count("6 2 1 0", "two nodes at once")
		o.tick()
		count("6 2 1 0", "and not again")
		o.verified()
	})
}

// atOnce lets two nodes look for what is due at the same time; on SQLite, which has
// one, twice the same.
func (o *office) atOnce(url string) {
	o.t.Helper()
	other := o.house
	if !strings.HasPrefix(url, "sqlite:") {
		h, err := server.OpenHouse(o.t.Context(), url, o.clock, o.house.Log)
		if err != nil {
			o.t.Fatal(err)
		}
		defer func() { _ = h.Close() }()
		other = h
	}
	var both sync.WaitGroup
	for _, h := range []*server.House{o.house, other, other, o.house} {
		both.Go(func() {
			if _, err := h.Cases.Tick(access.With(o.t.Context(), access.System("test"))); err != nil {
				o.t.Errorf("Tick() = %v", err)
			}
		})
	}
	both.Wait()
}
