package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/ent/notice"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/packs/process"
	rows "github.com/openspms/spms/schema"
)

// city is a place where people work: the prefix of their codes and the region.
type city struct{ people, region string }

var cities = []city{{"zz", "CN-HA-ZZ"}, {"ny", "CN-HA-NY"}, {"yb", "CN-CQ-YB"}}

// orderIn starts a fibre order in a city and works it until the contract is signed.
func (o *office) orderIn(c city, number string) {
	o.t.Helper()
	agent := c.people + "-agent"
	o.must(agent, "startCase", fmt.Sprintf(`processKey: "ftth-install", regionID: %q, number: %q, channel: "hotline",
		variables: {case: {plan: "1000M", planMbps: 1000}}`, c.region, number))
	o.work(agent, number, "a_reg", `, variables: {identity: {verified: true}},
		evidence: [{kind: "证件核验记录", content: "ok"}, {kind: "受理单", content: "SL"}]`)
	o.must("integration", "completeTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_res", variables: {resource: {status: "ready"}},
		evidence: [{kind: "资源核查结果", content: "ok"}]`, number))
	o.work(agent, number, "a_plan", `, variables: {offer: {tariffNoticeGiven: true}}`)
	o.must("integration", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "contract.confirmed", payload: {signed: true}`, number))
}

// install works an order in which the slot has come to its end.
func (o *office) install(c city, number string) {
	o.t.Helper()
	o.work(c.people+"-tech", number, "a_visit", `, variables: {visit: {result: "installed"}},
		evidence: [{kind: "上门签到定位", content: "x"}, {kind: "光功率读数", content: "-21"}, {kind: "安装照片", content: "x"}]`)
	o.speed(number, 960)
	o.work(c.people+"-tech", number, "a_accept", `, evidence: [{kind: "验收单", content: "x"}, {kind: "服务评价码", content: "x"}]`)
}

// openWorld is a house in which every entity has rows of several provinces:
// finished orders, orders at work and late, drafts of headquarters and of both
// provinces, tokens, a refusal, and people of every role.
func openWorld(t *testing.T, url string) *office {
	t.Helper()
	o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	for _, c := range cities {
		for _, n := range []string{"-DONE", "-OPEN", "-NEW"} {
			o.orderIn(c, c.people+n)
		}
		for _, n := range []string{"-DONE", "-OPEN"} {
			o.work(c.people+"-dispatcher", c.people+n, "a_disp", "")
			o.work(c.people+"-store", c.people+n, "a_stock", "")
		}
	}
	slot := o.clock.Now().Add(72 * time.Hour)
	for _, c := range cities {
		for _, n := range []string{"-DONE", "-OPEN"} {
			o.must(c.people+"-agent", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "slot.chosen", payload: {slotStart: %q}`, c.people+n, slot.Format(time.RFC3339)))
		}
	}
	o.clock.Set(slot)
	o.tick()
	for _, c := range cities {
		o.install(c, c.people+"-DONE")
		o.must(c.people+"-tech", "claimTask", fmt.Sprintf(`caseNumber: "%s-OPEN", nodeID: "a_visit"`, c.people))
		o.do(c.people+"-store", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "x"`, o.caseID(c.people+"-NEW")))
	}
	o.clock.Advance(24 * time.Hour)
	o.tick()
	for _, c := range cities {
		number := c.people + "-DONE"
		o.must("integration", "completeTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_survey"`, number))
		o.must(c.people+"-agent", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "survey.response", payload: {score: 9}`, number))
		o.must(c.people+"-agent", "startCase", fmt.Sprintf(`processKey: "ftth-install", regionID: %q, number: %q, channel: "app",
			variables: {case: {plan: "300M", planMbps: 300}}`, c.region, c.people+"-FRESH"))
		o.failure(c)
		o.must(c.people+"-tech", "addSigners", fmt.Sprintf(`caseNumber: "%s-OPEN", nodeID: "a_visit", staffIDs: ["%s-dispatcher"], place: "beside"`, c.people, c.people))
		o.must("demo-admin", "recordAbsence", fmt.Sprintf(`staffID: %q, deputyID: %q, startsAt: "2030-01-01T00:00:00Z", endsAt: "2030-02-01T00:00:00Z"`, c.people+"-store", c.people+"-line"))
		o.must("demo-admin", "createToken", fmt.Sprintf(`staffID: %q, label: "t"`, o.staffID(c.people+"-agent")))
	}
	for _, d := range []struct{ by, region string }{{"hq-standard", "CN"}, {"ha-admin", "CN-HA"}, {"cq-admin", "CN-CQ"}} {
		o.must(d.by, "importStandard", "document: "+literal(standardOf(d.region, "ENT-"+d.region)))
		o.must(d.by, "createProcess", fmt.Sprintf("regionID: %q, bpmn: %s", d.region, literal(processOf(t, "draft-"+d.region))))
		o.must("demo-admin", "importCalendar", fmt.Sprintf("regionID: %q, document: %s", d.region, literal(calendarOf("cal-"+d.region))))
	}
	o.must("hq-standard", "createStandardDraft", `fromVersionID: "ENT-HQ@1"`)
	o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1"`)
	for range 2 { // batches that are carried out in vain, and some that wait
		o.tick()
		for _, c := range cities {
			o.must("demo-admin", "startFailureBatch", fmt.Sprintf(`action: "move", toNodeID: "nowhere", regionID: %q, reason: "x"`, c.region))
		}
	}
	o.plugins()
	o.everyRole()
	return o
}

// everyRole adds a person for each role that the sample people lack, in turn in
// the regions of the tree, and two whose work lies apart from their home.
func (o *office) everyRole() {
	o.t.Helper()
	regions := []string{"CN-HA-ZZ", "CN-CQ", "CN-HA", "CN-CQ-YB", "CN-HA-NY"}
	held := map[access.Role]bool{}
	for _, p := range o.ledger().people() {
		for _, g := range p.grants {
			held[g.Role] = true
		}
	}
	n := 0
	for _, d := range access.Definitions {
		if !held[d.Role] {
			o.person("role-"+strings.ReplaceAll(string(d.Role), "_", "-"), regions[n%len(regions)], string(d.Role), regions[n%len(regions)])
			n++
		}
	}
	o.person("lent", "CN-CQ-YB", "technician", "CN-HA-ZZ")
	o.person("lead-lent", "CN-HA-NY", "team_lead", "CN-CQ-YB")
	o.person("both", "CN-HA-NY", "quality", "CN-CQ-YB")
	o.must("demo-admin", "assignRole", fmt.Sprintf(`staffID: %q, role: "agent", regionID: "CN-HA-NY"`, o.staffID("both")))
	o.person("nobody", "CN-HA-ZZ", "", "")
}

// person adds someone at home in one region with a role in another.
func (o *office) person(code, home, role, region string) {
	o.t.Helper()
	o.must("demo-admin", "createStaff", fmt.Sprintf(`code: %q, name: "测试", regionID: %q`, code, home))
	if role != "" {
		o.must("demo-admin", "assignRole", fmt.Sprintf(`staffID: %q, role: %q, regionID: %q`, o.staffID(code), role, region))
	}
}

func (o *office) staffID(code string) string {
	return fmt.Sprint(o.get("demo-admin", fmt.Sprintf(`{ staff(where: {code: %q}) { edges { node { id } } } }`, code), "staff", "edges", 0, "node", "id"))
}

// failure writes a technical failure and notices of a case as the server would.
func (o *office) failure(c city) {
	o.t.Helper()
	for _, row := range o.table("service_cases") {
		if row["number"] != c.people+"-NEW" {
			continue
		}
		ctx := access.With(o.t.Context(), access.System("test"))
		err := o.house.Store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			for _, state := range []notice.State{notice.StateQueued, notice.StateFailed} {
				err := tx.Notice.Create().SetCaseID(row["id"]).SetTaskID("task_x").SetChannel("sms").SetRecipient("contact.phone").SetText("x").SetState(state).
					SetNextAt(rows.Far).SetRegionID(row["region_id"]).SetRegionPath(row["region_path"]).SetCreatedAt(o.clock.Now()).Exec(ctx)
				if err != nil {
					return err
				}
			}
			return tx.Failure.Create().SetCaseID(row["id"]).SetTokenSeq(1).SetNodeID("a_disp").SetCode("EXPRESSION_FAILED").SetRetryAt(rows.Far).
				SetRegionID(row["region_id"]).SetRegionPath(row["region_path"]).SetCreatedAt(o.clock.Now()).Exec(ctx)
		})
		if err != nil {
			o.t.Fatalf("write a failure: %v", err)
		}
	}
}

// plugins writes a catalog as the server would, in three regions: of each an approved
// version that is assigned and has run for a case there, and a draft of another plugin.
func (o *office) plugins() {
	o.t.Helper()
	ctx := access.With(o.t.Context(), access.System("test"))
	now := o.clock.Now()
	cases := o.table("service_cases")
	for _, r := range o.table("regions") {
		if !slices.Contains([]string{"CN", "CN-HA", "CN-CQ"}, r["code"]) {
			continue
		}
		err := o.house.Store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			for _, state := range []pluginversion.State{pluginversion.StateVerified, pluginversion.StateApproved} { // the last is put to work
				name := map[pluginversion.State]string{pluginversion.StateApproved: "plugin-", pluginversion.StateVerified: "draft-"}[state] + strings.ToLower(r["code"])
				p, err := tx.Plugin.Create().SetName(name).SetNameZh("插件").SetRegionID(r["id"]).SetRegionPath(r["region_path"]).SetCreatedAt(now).Save(ctx)
				if err != nil {
					return err
				}
				v, err := tx.PluginVersion.Create().SetPluginID(p.ID).SetVersion("1.0.0").SetDigest("sha256:" + name).SetState(state).SetKinds([]string{"module"}).
					SetTopics([]string{"t"}).SetAttributes([]string{}).SetManifest("{}").SetKeyID("0").SetSize(1).SetUploadedBy("x").
					SetRegionID(r["id"]).SetRegionPath(r["region_path"]).SetCreatedAt(now).Save(ctx)
				if err != nil {
					return err
				}
				if state != pluginversion.StateApproved {
					continue
				}
				a, err := tx.PluginAssignment.Create().SetPluginID(p.ID).SetVersionID(v.ID).SetTopic("t").SetMode("full").SetGeneration(1).SetAssignedBy("x").
					SetRegionID(r["id"]).SetRegionPath(r["region_path"]).SetCreatedAt(now).SetChangedAt(now).Save(ctx)
				if err != nil {
					return err
				}
				for _, p := range o.table("process_versions") {
					if p["state"] != "published" {
						continue
					}
					run, err := tx.OptimizationRun.Create().SetPluginVersionID(v.ID).SetBaseID(p["id"]).SetBaseDigest("x").SetSeed("1").SetAsOf(now).SetState("done").SetLeaseUntil(now).SetAskedBy("x").
						SetRegionID(r["id"]).SetRegionPath(r["region_path"]).SetCreatedAt(now).Save(ctx)
					if err != nil {
						return err
					}
					err = tx.Proposal.Create().SetRunID(run.ID).SetNumber(1).SetTitleZh("x").SetEdits("[]").SetRegionID(r["id"]).SetRegionPath(r["region_path"]).SetCreatedAt(now).Exec(ctx)
					if err != nil {
						return err
					}
					break
				}
				for _, c := range cases {
					if !strings.HasPrefix(c["region_path"], r["region_path"]) || !strings.HasSuffix(c["number"], "-OPEN") {
						continue
					}
					err := tx.PluginRun.Create().SetAssignmentID(a.ID).SetVersionID(v.ID).SetCaseID(c["id"]).SetTaskID("task_x").SetMode("full").SetAttempt(1).SetGeneration(1).
						SetInputDigest("x").SetConfigDigest("x").SetRegionID(c["region_id"]).SetRegionPath(c["region_path"]).SetCreatedAt(now).Exec(ctx)
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			o.t.Fatalf("write a catalog: %v", err)
		}
	}
}

// literal is a string of GraphQL.
func literal(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func standardOf(region, code string) string {
	return fmt.Sprintf(`format: openspms-standard/1
code: %s
name: {zh: "草稿标准", en: "A draft"}
authority: enterprise
jurisdiction: %s
calendar: cn-statutory
versions:
  - number: 1
    effective_from: "2027-01-01T00:00:00+08:00"
    source: "草稿"
    clauses:
      - number: "1"
        title: {zh: "时限", en: "Limits"}
        text: {zh: "自受理至开通48小时内完成。", en: "Done within 48 hours."}
        roles: []
    indicators: []
`, code, region)
}

func calendarOf(code string) string {
	return fmt.Sprintf(`format: openspms-calendar/1
code: %q
kind: hours
name: {zh: "日历", en: "Calendar"}
timezone: Asia/Shanghai
weekly:
  mon: ["09:00-12:00"]
statutory: closed
`, code)
}

// processOf is the shipped enquiry under another key.
func processOf(t *testing.T, key string) string {
	t.Helper()
	files, err := process.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Key == "enquiry" {
			return strings.ReplaceAll(f.Text, `spms:process key="enquiry"`, fmt.Sprintf(`spms:process key=%q`, strings.ToLower(key)))
		}
	}
	t.Fatal("no shipped process is called enquiry")
	return ""
}
