package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// TestStandardsAreMeasured works orders to their end and asks what the standards
// say of them: which clauses something makes real, what a tighter version would
// change, and what an indicator measured, each through GraphQL.
func TestStandardsAreMeasured(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		at := time.Date(2026, 2, 3, 10, 0, 0, 0, shanghai)
		o := openOffice(t, url, at)
		for i, hours := range []int{20, 40, 60} { // within 36 h, within 48 h, too late
			number := fmt.Sprintf("SO-%d", i)
			o.order(number)
			o.activated(number, o.clock.Now().Add(time.Duration(hours)*time.Hour))
		}
		o.clock.Set(time.Date(2026, 4, 7, 10, 0, 0, 0, shanghai)) // the quarter of the orders is over
		o.tick()
		o.order("SO-RUNS")

		v, _ := o.get("ha-admin", `{ indicatorValues(indicatorID: "ENT-FTTH-48H", regionID: "CN-HA", from: "2026-01-01T00:00:00+08:00", to: "2026-04-01T00:00:00+08:00") {
			value n metCount low high known met } }`, "indicatorValues").(map[string]any)
		low, _ := v["low"].(float64)
		high, _ := v["high"].(float64)
		if v["n"] != 3.0 || v["metCount"] != 2.0 || v["known"] != true || v["met"] != false || low >= 2.0/3 || high <= 2.0/3 {
			t.Errorf("of three orders two in time, the value is %v, want 2 of 3 inside its interval, not met", v)
		}
		if other := o.get("cq-admin", `{ indicatorValues(indicatorID: "ENT-FTTH-48H", regionID: "CN-CQ", from: "2026-01-01T00:00:00+08:00", to: "2026-04-01T00:00:00+08:00") { n known } }`,
			"indicatorValues", "n"); other != 0.0 {
			t.Errorf("Chongqing measured %v orders of Henan, want none", other)
		}

		o.tightened("immediate")
		impact, _ := o.get("hq-approver", `{ standardImpact(versionID: "ENT-HQ@2") { runningCases bindings deadlines processes { processKey number }
			cases { number } indicators { code action policy runningCases finished breached wouldBreach name { zh } } } }`, "standardImpact").(map[string]any)
		want := map[string]any{"code": "ENT-FTTH-48H", "action": "changed", "policy": "immediate", "runningCases": 1.0, "finished": 3.0, "breached": 1.0, "wouldBreach": 2.0}
		for field, w := range want {
			if got := dig(impact, "indicators", 0, field); got != w {
				t.Errorf("impact of the tighter version: %s = %v, want %v", field, got, w)
			}
		}
		if impact["runningCases"] != 1.0 || impact["bindings"] != 3.0 || dig(impact, "cases", 0) != nil || dig(impact, "processes", 0, "processKey") != "ftth-install" {
			t.Errorf("impact of the tighter version = %v, want the running order and the three bindings of the fibre process", impact)
		}

		if named := o.get("demo-admin", `{ standardImpact(versionID: "ENT-HQ@2") { cases { number } } }`, "standardImpact", "cases", 0, "number"); named != "SO-RUNS" {
			t.Errorf("the running order is named %v to who may see it, want SO-RUNS", named)
		}

		cover, _ := o.get("ha-admin", `{ coverage(regionID: "CN-HA") { rows { standardCode clause mandatory covered standardName { zh } indicators { code measured starts { processKey nodeID } } }
			unbound { standardCode clause } unmeasured { code } } }`, "coverage").(map[string]any)
		rows, _ := cover["rows"].([]any)
		bound := false
		for _, row := range rows {
			if dig(row, "standardCode") == "ENT-HQ" && dig(row, "clause") == "1.3" {
				bound = dig(row, "covered") == true && dig(row, "indicators", 0, "starts", 0, "processKey") == "ftth-install"
			}
		}
		if unbound, _ := cover["unbound"].([]any); !bound || len(rows) < 20 || len(unbound) == 0 {
			t.Errorf("coverage has %d rows, clause 1.3 of ENT-HQ real: %v; want it real by the fibre process, among at least 20, some unbound", len(rows), bound)
		}

		for query, code := range map[string]string{
			`{ coverage(regionID: "CN-XX") { regionID } }`:                                                                                     "REGION_NOT_FOUND",
			`{ standardImpact(versionID: "ENT-HQ@9") { versionID } }`:                                                                          "STANDARD_VERSION_NOT_FOUND",
			`{ standardImpact(versionID: "ENT-HQ@1") { bindings } x: __typename }`:                                                             "",
			`{ indicatorValues(indicatorID: "NO", regionID: "CN", from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z") { n } }`:           "INDICATOR_ID_UNKNOWN",
			`{ indicatorValues(indicatorID: "ENT-FTTH-48H", regionID: "CN", from: "2026-02-01T00:00:00Z", to: "2026-01-01T00:00:00Z") { n } }`: "PERIOD_EMPTY",
		} {
			r, _ := o.ask("ha-admin", query)
			got := ""
			if len(r.Errors) > 0 {
				got = fmt.Sprint(r.Errors[0].Extensions["code"])
			}
			if got != code {
				t.Errorf("%s = %q, want %q", query, got, code)
			}
		}
	})
}

// activated leads an order whose contract is signed to its activation at an instant.
func (o *office) activated(number string, at time.Time) {
	o.t.Helper()
	o.work("zz-dispatcher", number, "a_disp", "")
	o.work("zz-store", number, "a_stock", "")
	o.must("zz-agent", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "slot.chosen", payload: {slotStart: %q}`, number, o.clock.Now().Format(time.RFC3339)))
	o.tick()
	o.clock.Set(at)
	o.tick()
	o.work("zz-tech", number, "a_visit", `, variables: {visit: {result: "installed"}}, evidence: [{kind: "上门签到定位", content: "x"}, {kind: "光功率读数", content: "-21"}, {kind: "安装照片", content: "x"}]`)
	o.speed(number, 960)
	o.work("zz-tech", number, "a_accept", `, evidence: [{kind: "验收单", content: "x"}, {kind: "服务评价码", content: "x"}]`)
}
