package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// TestDesigner draws, changes, compares and takes back a process draft through
// GraphQL, as a designer's page does.
func TestDesigner(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		const draft = `versionID: "ftth-install@2"`
		o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1"`)
		document := func() string {
			return fmt.Sprint(o.get("hq-standard", `{ process(key: "ftth-install") { versions(first: 5, orderBy: [{field: NUMBER, direction: DESC}]) { edges { node { document } } } } }`,
				"process", "versions", "edges", 0, "node", "document"))
		}
		before := document()

		o.must("hq-standard", "editProcessDraft", draft+`, revision: 1, edits: [
			{op: "insertNode", flow: "f-a_stock-m_slot", id: "a_precheck", type: "userTask", name: "远程预检", nameEn: "Remote pre-check", lane: "lane-technician"},
			{op: "setStage", id: "a_precheck", value: "delivery"},
			{op: "setEvidence", id: "a_precheck", evidence: [{kind: "预检结果", required: true}]},
			{op: "setSimulation", id: "a_precheck", value: "{\"duration\": {\"dist\": \"fixed\", \"value\": 5, \"unit\": \"min\"}}"}]`)
		diff, _ := o.get("hq-approver", `{ processDiff(from: "ftth-install@1", to: "ftth-install@2") { changes { kind element id name } markdown } }`, "processDiff").(map[string]any)
		if !strings.Contains(fmt.Sprint(diff["changes"]), "a_precheck") || !strings.Contains(fmt.Sprint(diff["markdown"]), "远程预检") {
			t.Errorf("the difference = %v, want the new task with its name", diff)
		}
		drawn := fmt.Sprint(o.get("hq-approver", `{ process(key: "ftth-install") { versions(first: 1, orderBy: [{field: NUMBER, direction: DESC}]) { edges { node {
			svg(figures: [{elementID: "a_visit", count: 38, minutes: 92.5, breachRate: 0.2}]) } } } } }`, "process", "versions", "edges", 0, "node", "svg"))
		for _, want := range []string{"<svg", `data-element="a_precheck"`, "38", "92.5"} {
			if !strings.Contains(drawn, want) {
				t.Errorf("the drawing lacks %q", want)
			}
		}
		for _, tt := range []struct{ name, figures, code, path string }{
			{"no such element", `{elementID: "a_visit", count: 1}, {elementID: "nowhere", count: 1}`, "FIGURE_ELEMENT_UNKNOWN", "figures[1] elementID"},
			{"negative count", `{elementID: "a_visit", count: -1}`, "FIGURE_OUT_OF_RANGE", "figures[0] count"},
			{"negative minutes", `{elementID: "a_visit", count: 1, minutes: -0.5}`, "FIGURE_OUT_OF_RANGE", "figures[0] minutes"},
			{"more breaches than cases", `{elementID: "a_visit", count: 1, breachRate: 1.5}`, "FIGURE_OUT_OF_RANGE", "figures[0] breachRate"},
		} {
			r, _ := o.ask("hq-approver", fmt.Sprintf(`{ process(key: "ftth-install") { versions(first: 1) { edges { node { svg(figures: [%s]) } } } } }`, tt.figures))
			if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != tt.code || !strings.Contains(fmt.Sprint(r.Errors[0].Extensions["path"]), tt.path) {
				t.Errorf("%s = %+v, want %s at %s", tt.name, r.Errors, tt.code, tt.path)
			}
		}

		after := document()
		for _, tt := range []struct{ name, input, code, path string }{
			{"stale revision", draft + `, revision: 1, edits: [{op: "removeFlow", id: "f-s-g_ch"}]`, "STALE_REVISION", "revision"},
			{"second edit wrong", draft + `, revision: 2, edits: [{op: "rename", id: "a_visit", name: "x"}, {op: "rename", id: "nowhere", name: "x"}]`, "EDIT_TARGET_UNKNOWN", "edits[1]"},
			{"no such op", draft + `, revision: 2, edits: [{op: "explode"}]`, "EDIT_MALFORMED", "edits[0]"},
			{"no edits", draft + `, revision: 2, edits: []`, "FIELD_TOO_FEW", "edits"},
		} {
			r, _ := o.ask("hq-standard", fmt.Sprintf(`mutation { editProcessDraft(input: {%s}) { userErrors { code path } } }`, tt.input))
			got := dig(r.Data, "editProcessDraft", "userErrors", 0)
			if dig(got, "code") != tt.code || !strings.Contains(fmt.Sprint(dig(got, "path")), tt.path) {
				t.Errorf("%s = %v, want %s at %s", tt.name, got, tt.code, tt.path)
			}
		}
		if document() != after {
			t.Errorf("refused edits have changed the draft")
		}

		if codes := o.do("hq-standard", "redoProcessEdit", draft+`, revision: 2`); len(codes) != 1 || codes[0] != "EDIT_NOTHING_TO_REDO" {
			t.Errorf("redo with nothing undone = %v, want EDIT_NOTHING_TO_REDO", codes)
		}
		o.must("hq-approver", "undoProcessEdit", draft+`, revision: 2`) // another person, another request
		if document() != before {
			t.Errorf("undone, the draft differs from what it was")
		}
		if codes := o.do("hq-standard", "undoProcessEdit", draft+`, revision: 3`); len(codes) != 1 || codes[0] != "EDIT_NOTHING_TO_UNDO" {
			t.Errorf("a second undo = %v, want EDIT_NOTHING_TO_UNDO", codes)
		}
		o.must("hq-standard", "redoProcessEdit", draft+`, revision: 3`)
		if document() != after {
			t.Errorf("done again, the draft differs from what it was")
		}
		o.must("hq-standard", "undoProcessEdit", draft+`, revision: 4`)
		o.must("hq-standard", "editProcessDraft", draft+`, revision: 5, edits: [{op: "rename", id: "a_visit", name: "上门安装与调测", nameEn: "Visit"}]`)
		if codes := o.do("hq-standard", "redoProcessEdit", draft+`, revision: 6`); len(codes) != 1 || codes[0] != "EDIT_NOTHING_TO_REDO" {
			t.Errorf("redo after another edit = %v, want EDIT_NOTHING_TO_REDO", codes)
		}
		o.must("hq-standard", "submitProcess", draft+`, revision: 6`)
		if codes := o.do("hq-standard", "undoProcessEdit", draft+`, revision: 7`); len(codes) != 1 || codes[0] != "PROCESS_VERSION_STATE" {
			t.Errorf("undo of a version under review = %v, want PROCESS_VERSION_STATE", codes)
		}
		o.must("demo-admin", "publishProcess", draft+`, revision: 7`)
	})
}

// TestVariant lets a province run a variant: it is made from the headquarters'
// version, changed, published and bound there; when the headquarters publish
// another version, what both changed independently comes together in a new draft,
// and what they changed differently is refused by element and property.
func TestVariant(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		publish := func(author, version string, revision int) {
			t.Helper()
			o.must(author, "submitProcess", fmt.Sprintf("versionID: %q, revision: %d", version, revision))
			o.must("demo-admin", "publishProcess", fmt.Sprintf("versionID: %q, revision: %d", version, revision+1))
		}
		edit := func(author, version, edits string) {
			t.Helper()
			o.must(author, "editProcessDraft", fmt.Sprintf("versionID: %q, revision: 1, edits: [%s]", version, edits))
		}
		for input, want := range map[string]string{
			`fromVersionID: "ftth-install@1", regionID: "CN"`:    "ACTION_FORBIDDEN",
			`fromVersionID: "ftth-install@1", regionID: "CN-CQ"`: "REGION_NOT_FOUND",
			`fromVersionID: "ftth-install@9", regionID: "CN-HA"`: "PROCESS_VERSION_NOT_FOUND",
		} {
			if codes := o.do("ha-admin", "createProcessVariant", input); len(codes) != 1 || codes[0] != want {
				t.Errorf("createProcessVariant(%s) = %v, want %s", input, codes, want)
			}
		}
		o.must("ha-admin", "createProcessVariant", `fromVersionID: "ftth-install@1", regionID: "CN-HA", changelog: "河南:上门前远程预检"`)
		edit("ha-admin", "ftth-install@2", `{op: "insertNode", flow: "f-a_stock-m_slot", id: "a_precheck", type: "userTask", name: "远程预检", nameEn: "Pre-check", lane: "lane-technician"},
			{op: "setStage", id: "a_precheck", value: "delivery"}, {op: "setEvidence", id: "a_precheck", evidence: [{kind: "预检结果"}]}`)
		publish("ha-admin", "ftth-install@2", 2)
		if codes := o.do("demo-admin", "bindProcess", `versionID: "ftth-install@2", regionID: "CN-CQ-YB"`); len(codes) != 1 || codes[0] != "PROCESS_FOREIGN_REGION" {
			t.Errorf("binding Henan's variant in Chongqing = %v, want PROCESS_FOREIGN_REGION", codes)
		}
		o.must("demo-admin", "bindProcess", `versionID: "ftth-install@2", regionID: "CN-HA-ZZ"`)
		start := `processKey: "ftth-install", regionID: %q, number: %q, channel: "app", variables: {case: {plan: "300M", planMbps: 300}}`
		o.must("zz-agent", "startCase", fmt.Sprintf(start, "CN-HA-ZZ", "SO-HA"))
		o.must("yb-agent", "startCase", fmt.Sprintf(start, "CN-CQ-YB", "SO-CQ"))
		for number, want := range map[string]float64{"SO-HA": 2, "SO-CQ": 1} {
			if got := o.get("demo-admin", fmt.Sprintf(`{ serviceCase(number: %q) { version { number parent { number } } } }`, number), "serviceCase", "version", "number"); got != want {
				t.Errorf("%s runs version %v, want %v", number, got, want)
			}
		}

		o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1"`)
		edit("hq-standard", "ftth-install@3", `{op: "rename", id: "a_visit", name: "上门安装", nameEn: "Visit"}`)
		publish("hq-standard", "ftth-install@3", 2)
		o.must("ha-admin", "rebaseProcessVariant", `versionID: "ftth-install@2", ontoVersionID: "ftth-install@3"`)
		changes := fmt.Sprint(o.get("ha-admin", `{ processDiff(from: "ftth-install@3", to: "ftth-install@4") { changes { kind element id } } }`, "processDiff", "changes"))
		if !strings.Contains(changes, "a_precheck") || strings.Contains(changes, "id:a_visit ") {
			t.Errorf("against its new parent the variant differs by %v, want its own task alone", changes)
		}
		publish("ha-admin", "ftth-install@4", 1)

		o.must("ha-admin", "createProcessDraft", `fromVersionID: "ftth-install@4"`)
		edit("ha-admin", "ftth-install@5", `{op: "rename", id: "a_line", name: "线路抢修"}`)
		o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@3"`)
		edit("hq-standard", "ftth-install@6", `{op: "rename", id: "a_line", name: "线路修复"}`)
		publish("hq-standard", "ftth-install@6", 2)
		r, _ := o.ask("ha-admin", `mutation { rebaseProcessVariant(input: {versionID: "ftth-install@5", ontoVersionID: "ftth-install@6"}) { processVersion { id } userErrors { code path message } } }`)
		refused := fmt.Sprint(dig(r.Data, "rebaseProcessVariant", "userErrors"))
		for _, want := range []string{"MERGE_CONFLICT", "a_line", "线路抢修", "线路修复"} {
			if !strings.Contains(refused, want) {
				t.Errorf("the conflict says %v, want it to name %s", refused, want)
			}
		}
		if codes := o.do("ha-admin", "rebaseProcessVariant", `versionID: "ftth-install@3", ontoVersionID: "ftth-install@6"`); len(codes) == 0 {
			t.Error("a version that is no variant was rebased")
		}
	})
}
