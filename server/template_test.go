package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// TestTemplate makes a process out of a shipped one: it asks for its parameters,
// refuses wrong values by path, and the process of the values given is a draft of
// its own that passes its checks, is published, bound and run.
func TestTemplate(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		asked := fmt.Sprint(o.get("ha-admin", `{ process(key: "ftth-install") { versions { edges { node { parameters { name type label { zh en } default minimum maximum } } } } } }`,
			"process", "versions", "edges", 0, "node", "parameters"))
		for _, want := range []string{"monitorFor", "PT24H", "开通后监测时长", "Monitoring after activation", "P7D", "acceptedShare"} {
			if !strings.Contains(asked, want) {
				t.Errorf("the template asks for %v, want %s among it", asked, want)
			}
		}
		const named = `templateVersionID: "ftth-install@1", nameZh: "政企宽带新装", nameEn: "Business broadband", regionID: "CN-HA"`
		for _, tt := range []struct{ name, input, code, path string }{
			{"no such parameter", named + `, key: "biz", parameters: [{name: "monitorFor", value: "PT48H"}, {name: "colour", value: "red"}]`, "PARAMETER_UNKNOWN", "parameters[1] name"},
			{"given twice", named + `, key: "biz", parameters: [{name: "monitorFor", value: "PT48H"}, {name: "monitorFor", value: "PT24H"}]`, "PARAMETER_TWICE", "parameters[1] name"},
			{"no duration", named + `, key: "biz", parameters: [{name: "monitorFor", value: "two days"}]`, "PARAMETER_VALUE", "parameters[0] value"},
			{"too long", named + `, key: "biz", parameters: [{name: "monitorFor", value: "P8D"}]`, "PARAMETER_VALUE", "parameters[0] value"},
			{"too small", named + `, key: "biz", parameters: [{name: "acceptedShare", value: "0.4"}]`, "PARAMETER_VALUE", "parameters[0] value"},
			{"no number", named + `, key: "biz", parameters: [{name: "acceptedShare", value: "NaN"}]`, "PARAMETER_VALUE", "parameters[0] value"},
			{"key taken", named + `, key: "enquiry"`, "PROCESS_KEY_TAKEN", "key"},
			{"key malformed", named + `, key: "Biz@1"`, "PROCESS_KEY_MALFORMED", ""},
			{"no such template", strings.Replace(named, "@1", "@7", 1) + `, key: "biz"`, "PROCESS_VERSION_NOT_FOUND", "templateVersionID"},
		} {
			r, _ := o.ask("ha-admin", fmt.Sprintf(`mutation { createProcessFromTemplate(input: {%s}) { userErrors { code path } } }`, tt.input))
			got := dig(r.Data, "createProcessFromTemplate", "userErrors")
			if said := fmt.Sprint(got); !strings.Contains(said, tt.code) || !strings.Contains(said, tt.path) {
				t.Errorf("%s = %v %v, want %s at %s", tt.name, got, r.Errors, tt.code, tt.path)
			}
		}

		o.must("ha-admin", "createProcessFromTemplate", named+`, key: "biz-broadband", parameters: [{name: "monitorFor", value: "P2D"}, {name: "acceptedShare", value: "0.95"}]`)
		made, _ := o.get("ha-admin", `{ process(key: "biz-broadband") { nameZh nameEn region { code } versions { edges { node { document state findings { code severity } parameters { name } } } } } }`, "process").(map[string]any)
		version := dig(made, "versions", "edges", 0, "node")
		document := fmt.Sprint(dig(version, "document"))
		for _, want := range []string{"P2D", "运行监测48小时", "48 h monitoring", "0.95 * case.planMbps", `name="政企宽带新装"`} {
			if !strings.Contains(document, want) {
				t.Errorf("the process made lacks %q", want)
			}
		}
		if made["nameEn"] != "Business broadband" || dig(made, "region", "code") != "CN-HA" || strings.Contains(fmt.Sprint(dig(version, "findings")), "error") ||
			fmt.Sprint(dig(version, "parameters")) != "[]" {
			t.Errorf("the process made = %v %v %v, want a named draft of Henan without errors or parameters", made["nameEn"], dig(made, "region"), version)
		}
		o.must("ha-admin", "submitProcess", `versionID: "biz-broadband@1", revision: 1`)
		o.must("demo-admin", "publishProcess", `versionID: "biz-broadband@1", revision: 2`)
		o.must("demo-admin", "bindProcess", `versionID: "biz-broadband@1", regionID: "CN-HA-ZZ"`)
		o.must("zz-agent", "startCase", `processKey: "biz-broadband", regionID: "CN-HA-ZZ", number: "BIZ-1", channel: "app", variables: {case: {plan: "300M", planMbps: 300}}`)
	})
}

// TestMapping asks where the orders of one version go on in the next.
func TestMapping(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1"`)
		o.must("hq-standard", "editProcessDraft", `versionID: "ftth-install@2", revision: 1, edits: [
			{op: "rename", id: "a_disp", name: "派单并备料", nameEn: "Dispatch and stock"}, {op: "removeNode", id: "a_stock", reconnect: true}]`)
		mapping := func(pairs string) map[string]any {
			t.Helper()
			m, _ := o.get("hq-standard", fmt.Sprintf(`{ processMapping(from: "ftth-install@1", to: "ftth-install@2"%s) { ok findings { code elements message } nodes { from fromName to toName proposed required } } }`, pairs),
				"processMapping").(map[string]any)
			return m
		}
		open := mapping("")
		if open["ok"] != false || dig(open, "findings", 0, "code") != "MAPPING_NODE_MISSING" || dig(open, "findings", 0, "elements", 0) != "a_stock" {
			t.Errorf("without a_stock the mapping = %v %v, want MAPPING_NODE_MISSING at a_stock", open["ok"], open["findings"])
		}
		set := mapping(`, pairs: [{from: "a_stock", to: "a_disp"}]`)
		if set["ok"] != true || !strings.Contains(fmt.Sprint(set["nodes"]), "toName:派单并备料") {
			t.Errorf("with a_stock to a_disp the mapping = %v %v, want ok", set["ok"], set["findings"])
		}
		for _, tt := range []struct{ args, code, path string }{
			{`from: "ftth-install@1", to: "ftth-install@2", pairs: [{from: "a_visit", to: "a_visit"}, {from: "a_visit", to: ""}]`, "MAPPING_TWICE", "pairs[1] from"},
			{`from: "ftth-install@1", to: "enquiry@1"`, "MAPPING_OTHER_PROCESS", "to"},
			{`from: "ftth-install@8", to: "ftth-install@1"`, "PROCESS_VERSION_NOT_FOUND", "from"},
		} {
			r, _ := o.ask("hq-standard", fmt.Sprintf(`{ processMapping(%s) { ok } }`, tt.args))
			if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != tt.code || !strings.Contains(fmt.Sprint(r.Errors[0].Extensions["path"]), tt.path) {
				t.Errorf("processMapping(%s) = %+v, want %s at %s", tt.args, r.Errors, tt.code, tt.path)
			}
		}
	})
}
