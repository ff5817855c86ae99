package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// TestCompensation undoes what an order has done, in reverse order, by tasks of people;
// a case that is moved to another version meanwhile goes on undoing.
func TestCompensation(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		undone := func(id, on, by string) string {
			return fmt.Sprintf(`<bpmn:boundaryEvent id=%q attachedToRef=%q><bpmn:compensateEventDefinition/></bpmn:boundaryEvent>%s
				<bpmn:association id="as-%s" associationDirection="One" sourceRef=%q targetRef=%q/>`,
				id, on, element("userTask", by, `isForCompensation="true"`, ""), id, id, by)
		}
		document := flowing("move", `<spms:variable name="order.ok" type="bool" labelZh="可行" labelEn="Feasible"/>`, "",
			element("startEvent", "s", "", "")+element("userTask", "port", "", "")+element("userTask", "number", "", "")+element("userTask", "check", "", "")+
				element("exclusiveGateway", "g", `default="f4"`, "")+element("endEvent", "e", "", "")+element("endEvent", "back", "", `<bpmn:compensateEventDefinition/>`)+
				undone("u1", "port", "free-port")+undone("u2", "number", "free-number"),
			"s port", "port number", "number check", "check g", "g e", "g back has(order.ok) &amp;&amp; !order.ok")
		document = strings.Replace(document, `role="agent"/><spms:evidence kind="记录" media="text" required="false"/></bpmn:extensionElements></bpmn:userTask><bpmn:exclusiveGateway`,
			`role="agent"/><spms:field variable="order.ok"/></bpmn:extensionElements></bpmn:userTask><bpmn:exclusiveGateway`, 1)
		o.create("move", document)
		pass := func(number string, ok bool) {
			t.Helper()
			o.must("zz-agent", "startCase", fmt.Sprintf(`processKey: "move", regionID: "CN-HA-ZZ", number: %q`, number))
			o.work("zz-agent", number, "port", "")
			o.work("zz-agent", number, "number", "")
			o.work("zz-agent", number, "check", fmt.Sprintf(`, variables: {order: {ok: %v}}`, ok))
		}
		state := func(number string) string {
			return fmt.Sprint(o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { state outcome } }`, number), "serviceCase"))
		}
		pass("CASE-M-1", true)
		if got := state("CASE-M-1"); got != "map[outcome:e state:completed]" {
			t.Errorf("what succeeds = %s, want its end and nothing undone", got)
		}
		pass("CASE-M-2", false)
		pass("CASE-M-3", false)
		if got := o.at("CASE-M-2"); got != "back:undo free-number:task" {
			t.Fatalf("what fails is at %s, want the number freed first", got)
		}
		o.verified()
		o.work("zz-agent", "CASE-M-2", "free-number", "")
		if got := o.at("CASE-M-2"); got != "back:undo free-port:task" {
			t.Errorf("then it is at %s, want the port freed", got)
		}
		o.work("zz-agent", "CASE-M-2", "free-port", "")
		if got := state("CASE-M-2"); got != "map[outcome:back state:completed]" {
			t.Errorf("with all undone = %s, want the end that threw the compensation", got)
		}

		o.must("hq-standard", "createProcessDraft", `fromVersionID: "move@1"`)
		o.must("hq-standard", "editProcessDraft", `versionID: "move@2", revision: 1, edits: [{op: "rename", id: "free-port", name: "释放端口", nameEn: "Free the port"},
			{op: "insertNode", flow: "f1", id: "more", type: "userTask", name: "核对", nameEn: "Look again"}, {op: "setRole", id: "more", value: "agent"}, {op: "setStage", id: "more", value: "demand"},
			{op: "setEvidence", id: "more", evidence: [{kind: "记录"}]}]`)
		o.release("move@2", 2)
		r, _ := o.ask("ha-admin", `mutation { migrateCases(input: {fromVersionID: "move@1", toVersionID: "move@2", reason: "新版本"}) { migrated results { userErrors { code message } } userErrors { code path message } } }`)
		if got := dig(r.Data, "migrateCases"); dig(got, "migrated") != 1.0 {
			t.Fatalf("the case that undoes is moved = %v, want 1", got)
		}
		o.work("zz-agent", "CASE-M-3", "free-number", "")
		if got := o.task("CASE-M-3", "free-port", "nameZh"); dig(got, "nameZh") != "释放端口" {
			t.Errorf("after the move the port is freed by %v, want the new version's task", got)
		}
		o.must("demo-admin", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "测试"`, o.caseID("CASE-M-3")))
		svg := fmt.Sprint(o.get("hq-standard", `{ process(key: "move") { versions(first: 1) { edges { node { svg } } } } }`, "process", "versions", "edges", 0, "node", "svg"))
		for _, id := range []string{"free-port", "u1", "as-u1"} {
			if !strings.Contains(svg, fmt.Sprintf("data-element=%q", id)) {
				t.Errorf("the drawing does not show %s", id)
			}
		}
		o.verified()
	})
}
