package server_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// tightened is the second version of the sample headquarters standard: 36 hours
// from acceptance to activation instead of 48, under a clause that applies to
// running cases at once or not, in force an hour from now.
func (o *office) tightened(policy string) (from time.Time) {
	o.t.Helper()
	o.must("hq-standard", "createStandardDraft", `fromVersionID: "ENT-HQ@1"`)
	o.must("hq-standard", "setClause", fmt.Sprintf(`versionID: "ENT-HQ@2", revision: 1, number: "1.3", policy: %q,
		text: {zh: "家庭宽带自受理至开通三十六小时内完成。", en: "Home broadband works within 36 hours of acceptance."}`, policy))
	o.must("hq-standard", "setIndicator", `versionID: "ENT-HQ@2", revision: 2, code: "ENT-FTTH-48H", clause: "1.3",
		name: {zh: "签约到竣工36小时", en: "From contract to activation in 36 hours"}, kind: "enterprise_pledge", statistic: "rate", comparator: "<=",
		value: 36, unit: "h", basis: "elapsed", target: 0.9, startEvent: "order.accepted", stopEvent: "service.activated",
		services: ["home_broadband"], areas: ["any"], pauseReasons: ["customer_slot", "customer_absent"],
		definition: {zh: "三十六小时内完成的比例不低于90%。", en: "At least 90 % within 36 hours."}`)
	o.must("hq-standard", "submitStandard", `versionID: "ENT-HQ@2", revision: 3`)
	if codes := o.do("hq-standard", "approveStandard", `versionID: "ENT-HQ@2", revision: 4`); len(codes) != 1 || codes[0] != "STANDARD_SAME_PERSON" {
		o.t.Errorf("approval by the author = %v, want STANDARD_SAME_PERSON", codes)
	}
	o.must("hq-approver", "approveStandard", `versionID: "ENT-HQ@2", revision: 4`)
	from = o.clock.Now().Add(time.Hour)
	o.must("hq-approver", "publishStandard", fmt.Sprintf(`versionID: "ENT-HQ@2", revision: 5, effectiveFrom: %q`, from.Format(time.RFC3339)))
	return from
}

// TestRunningCasesFollowTheirPolicy publishes a tighter version while an order
// runs. Its clock stays where it is when the clause is pinned, and is counted
// again by the new figure, audited, when the clause applies at once, not before
// the version is in force; the earlier version is superseded at that instant.
func TestRunningCasesFollowTheirPolicy(t *testing.T) {
	t.Parallel()
	for policy, hours := range map[string]int{"pinned": 48, "immediate": 36} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			storetest.EachNewURL(t, func(t *testing.T, url string) {
				at := time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)
				o := openOffice(t, url, at)
				o.order("SO-1")
				from := o.tightened(policy)
				due := func() time.Time { return instantOf(t, o.clocks("SO-1")["ENT-FTTH-48H"]["dueAt"]) }
				applies := func(when time.Time) any {
					return o.get("auditor", fmt.Sprintf(`{ standard(code: "ENT-HQ", at: %q) { number } }`, when.Format(time.RFC3339)), "standard", "number")
				}
				state := func() any {
					return o.get("auditor", fmt.Sprintf(`{ standard(code: "ENT-HQ", at: %q) { state } }`, at.Format(time.RFC3339)), "standard", "state")
				}
				o.tick()
				if got := due(); !got.Equal(at.Add(48*time.Hour)) || state() != "published" {
					t.Errorf("an hour before, the clock is due %v and the old version %v, want %v and published", got, state(), at.Add(48*time.Hour))
				}
				o.clock.Set(from)
				o.tick()
				o.tick()
				if got, want := due(), at.Add(time.Duration(hours)*time.Hour); !got.Equal(want) || state() != "superseded" {
					t.Errorf("once in force, the clock is due %v and the old version %v, want %v and superseded", got, state(), want)
				}
				if before, after := applies(from.Add(-time.Microsecond)), applies(from); before != 1.0 || after != 2.0 {
					t.Errorf("versions %v and %v applied before and from the instant, want 1 and 2", before, after)
				}
				audits := o.get("auditor", fmt.Sprintf(`{ auditEntries(where: {operation: "applyStandard", subject: %q}) { totalCount } }`, o.caseID("SO-1")), "auditEntries", "totalCount")
				if want := map[string]float64{"pinned": 0, "immediate": 1}[policy]; audits != want {
					t.Errorf("the order has %v audit entries of a moved clock, want %v", audits, want)
				}
				o.verified()
			})
		})
	}
}

// TestEditorsMayNotApprove lets a second person change a draft; neither he nor
// its author may then approve it, and the same holds for processes.
func TestEditorsMayNotApprove(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.must("hq-standard", "createStandardDraft", `fromVersionID: "ENT-HQ@1"`)
		o.must("hq-approver", "setClause", `versionID: "ENT-HQ@2", revision: 1, number: "1.3", text: {zh: "改写", en: "Rewritten"}`)
		o.must("hq-standard", "submitStandard", `versionID: "ENT-HQ@2", revision: 2`)
		for _, person := range []string{"hq-standard", "hq-approver"} {
			if codes := o.do(person, "approveStandard", `versionID: "ENT-HQ@2", revision: 3`); len(codes) != 1 || codes[0] != "STANDARD_SAME_PERSON" {
				t.Errorf("approval by %s = %v, want STANDARD_SAME_PERSON", person, codes)
			}
		}
		o.must("demo-admin", "approveStandard", `versionID: "ENT-HQ@2", revision: 3`)

		o.must("hq-standard", "createProcessDraft", `fromVersionID: "enquiry@1"`)
		document := fmt.Sprint(o.get("hq-standard", `{ process(key: "enquiry") { versions(first: 5) { edges { node { number document } } } } }`, "process", "versions", "edges", 0, "node", "document"))
		o.must("hq-approver", "updateProcessDraft", fmt.Sprintf(`versionID: "enquiry@2", revision: 1, bpmn: %q`, document))
		o.must("hq-standard", "submitProcess", `versionID: "enquiry@2", revision: 2`)
		for _, person := range []string{"hq-standard", "hq-approver"} {
			if codes := o.do(person, "publishProcess", `versionID: "enquiry@2", revision: 3`); len(codes) != 1 || codes[0] != "PROCESS_SAME_PERSON" {
				t.Errorf("publication by %s = %v, want PROCESS_SAME_PERSON", person, codes)
			}
		}
		o.must("demo-admin", "publishProcess", `versionID: "enquiry@2", revision: 3`)
	})
}

// henanRules is a province standard with rules on processes and cases.
const henanRules = `format: openspms-standard/1
code: ENT-HA-RULES
name: {zh: 河南服务规则(示例), en: Henan service rules}
authority: enterprise
jurisdiction: CN-HA
sample: true
versions:
  - number: 1
    clauses:
      - {number: "1", text: {zh: 厅店渠道须登记套餐。, en: Orders from shops name their plan.}}
      - {number: "2", text: {zh: 千兆套餐重点关注。, en: Gigabit plans are watched.}}
      - {number: "3", text: {zh: 每个人工环节须留痕。, en: Every human task leaves evidence.}}
    rules:
      - {code: R-SHOP, name: {zh: 厅店登记, en: Shops}, clause: "1", on: case, result: block, expression: "channel != 'grid' || variables['case']['plan'] == '1000M'", message: {zh: 网格渠道只受理千兆, en: The grid channel takes gigabit only}}
      - {code: R-GIGA, name: {zh: 千兆关注, en: Gigabit}, clause: "2", on: case, result: flag, expression: "variables['case']['plan'] != '1000M'", message: {zh: 千兆用户, en: A gigabit customer}}
      - {code: R-PROOF, name: {zh: 留痕, en: Evidence}, clause: "3", on: definition, result: block, expression: "process.nodes.all(n, !n.human || size(n.evidence) > 0)", message: {zh: 人工环节须留痕, en: Human tasks leave evidence}}
      - {code: R-ASK, name: {zh: 咨询流程, en: Enquiries}, clause: "3", on: definition, result: block, expression: "process.key != 'enquiry'", message: {zh: 河南不用总部咨询流程, en: Henan has its own enquiries}}
`

// TestRulesOfStandards publishes a province standard with rules in CEL. One on
// definitions refuses a publication and names the clause; of those on cases one
// refuses the start, and one marks the case.
func TestRulesOfStandards(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.must("ha-admin", "importStandard", fmt.Sprintf("document: %q", henanRules))
		o.must("ha-admin", "submitStandard", `versionID: "ENT-HA-RULES@1", revision: 1`)
		o.must("demo-admin", "approveStandard", `versionID: "ENT-HA-RULES@1", revision: 2`)
		o.must("demo-admin", "publishStandard", `versionID: "ENT-HA-RULES@1", revision: 3`)

		start := `processKey: "ftth-install", regionID: %q, number: %q, channel: %q, variables: {case: {plan: %q, planMbps: 300}}`
		if codes := o.do("zz-agent", "startCase", fmt.Sprintf(start, "CN-HA-ZZ", "SO-1", "grid", "300M")); len(codes) != 1 || codes[0] != "RULE_BLOCKED" {
			t.Errorf("a start against a blocking rule = %v, want RULE_BLOCKED", codes)
		}
		o.must("yb-agent", "startCase", fmt.Sprintf(start, "CN-CQ-YB", "SO-2", "grid", "300M")) // Henan's rules end at its border
		o.must("zz-agent", "startCase", fmt.Sprintf(start, "CN-HA-ZZ", "SO-3", "hotline", "300M"))
		o.must("zz-agent", "startCase", fmt.Sprintf(start, "CN-HA-ZZ", "SO-4", "hotline", "1000M"))
		for number, want := range map[string]int{"SO-3": 0, "SO-4": 1} {
			flags, _ := o.get("ha-supervisor", fmt.Sprintf(`{ serviceCase(number: %q) { flags { rule clauseRef textZh nodeID at } } }`, number), "serviceCase", "flags").([]any)
			if len(flags) != want || (want == 1 && (dig(flags[0], "rule") != "R-GIGA" || dig(flags[0], "clauseRef") != "ENT-HA-RULES 2")) {
				t.Errorf("%s has flags %v, want %d of R-GIGA by ENT-HA-RULES 2", number, flags, want)
			}
		}
		findings, _ := o.get("ha-admin", `{ process(key: "ftth-install") { versions(first: 1) { edges { node { findings(regionID: "CN-HA") { code severity clause message } } } } } }`,
			"process", "versions", "edges", 0, "node", "findings").([]any)
		if len(findings) != 0 {
			t.Errorf("the fibre process breaks a rule that it keeps: %v", findings)
		}
		bind := `versionID: "enquiry@1", regionID: %q`
		if codes := o.do("demo-admin", "bindProcess", fmt.Sprintf(bind, "CN-HA-ZZ")); !slices.Contains(codes, "STANDARD_RULE_BROKEN") {
			t.Errorf("binding a process against a rule = %v, want STANDARD_RULE_BROKEN", codes)
		}
		o.must("demo-admin", "bindProcess", fmt.Sprintf(bind, "CN-CQ"))
		o.verified()
	})
}

// TestExportIsStable exports a standard, imports the file elsewhere and exports
// it again: the same bytes.
func TestExportIsStable(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		at := time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)
		exported := func(o *office, document string) string {
			o.must("ha-admin", "importStandard", fmt.Sprintf("document: %q", document))
			return fmt.Sprint(o.get("ha-admin", `{ exportStandard(code: "ENT-HA-RULES") }`, "exportStandard"))
		}
		o := openOffice(t, url, at)
		first := exported(o, henanRules)
		if again := exported(openOffice(t, storetest.SQLiteURL(t), at), first); again != first || !strings.Contains(first, "R-SHOP") {
			t.Errorf("exported, imported and exported again the file is\n%s\nwant\n%s", again, first)
		}
		o.must("ha-admin", "submitStandard", `versionID: "ENT-HA-RULES@1", revision: 1`)
		o.must("demo-admin", "approveStandard", `versionID: "ENT-HA-RULES@1", revision: 2`)
		o.must("demo-admin", "publishStandard", `versionID: "ENT-HA-RULES@1", revision: 3, effectiveFrom: "2026-04-01T00:00:00+08:00"`)
		o.must("ha-admin", "createStandardDraft", `fromVersionID: "ENT-HA-RULES@1"`)
		o.must("ha-admin", "setClause", `versionID: "ENT-HA-RULES@2", revision: 1, number: "4", title: {zh: "1.10", en: "- # : \"quoted\""}, text: {zh: "多行\n文字", en: "two\n lines "}`)
		both := fmt.Sprint(o.get("ha-admin", `{ exportStandard(code: "ENT-HA-RULES") }`, "exportStandard"))
		if again := exported(openOffice(t, storetest.SQLiteURL(t), at), both); again != both || strings.Count(both, "digest: ") != 2 {
			t.Errorf("a published version and a draft exported, imported and exported again are\n%s\nwant\n%s", again, both)
		}
		o.must("ha-admin", "submitStandard", `versionID: "ENT-HA-RULES@2", revision: 2`)
		o.must("demo-admin", "approveStandard", `versionID: "ENT-HA-RULES@2", revision: 3`)
		o.must("demo-admin", "publishStandard", `versionID: "ENT-HA-RULES@2", revision: 4, effectiveFrom: "2026-05-01T00:00:00+08:00"`)
		succeeded := fmt.Sprint(o.get("ha-admin", `{ exportStandard(code: "ENT-HA-RULES") }`, "exportStandard"))
		if again := exported(openOffice(t, storetest.SQLiteURL(t), at), succeeded); again != succeeded || !strings.Contains(succeeded, "ended: \"2026-04-30T16:00:00Z\"") {
			t.Errorf("two published versions exported, imported and exported again are\n%s\nwant the end of the first in\n%s", again, succeeded)
		}
		digest := fmt.Sprint(o.get("ha-admin", `{ standard(code: "ENT-HA-RULES", at: "2026-04-02T00:00:00Z") { digest } }`, "standard", "digest"))
		if !strings.Contains(succeeded, digest) {
			t.Errorf("the export has not the digest %s that the first version was published with:\n%s", digest, succeeded)
		}
		o.tightened("immediate")
		diff, _ := o.get("auditor", `{ standardDiff(fromVersionID: "ENT-HQ@1", toVersionID: "ENT-HQ@2") { markdown changes { part key action field before after number } } }`, "standardDiff").(map[string]any)
		if text := fmt.Sprint(diff["markdown"]); !strings.Contains(text, "ENT-FTTH-48H") || !strings.Contains(text, "36") || !slices.ContainsFunc(diff["changes"].([]any), func(c any) bool {
			return dig(c, "part") == "indicator" && dig(c, "number") == true && strings.Contains(fmt.Sprint(dig(c, "before")), "48") && strings.Contains(fmt.Sprint(dig(c, "after")), "36")
		}) {
			t.Errorf("the difference of two versions is %v, want 48 hours that became 36, in words and as Markdown", diff)
		}
		r, _ := o.ask("auditor", `{ exportStandard(code: "NO-SUCH") }`)
		if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "STANDARD_NOT_FOUND" {
			t.Errorf("export of an unknown standard = %v, want STANDARD_NOT_FOUND", r.Errors)
		}
	})
}

// TestProvisionalUntilTheYearIsAnnounced counts a deadline into a year that is
// not announced: it says so, and is counted again, audited, when the calendar of
// the year is loaded.
func TestProvisionalUntilTheYearIsAnnounced(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 12, 21, 15, 0, 0, 0, shanghai))
		o.order("SO-1")
		activation := func() (time.Time, any, any) {
			c, _ := o.get("ha-supervisor", `{ clocks(where: {indicatorCode: "ENT-ACTIVATE-URBAN-16WD"}) { edges { node { dueAt provisional lastDay } } } }`,
				"clocks", "edges", 0, "node").(map[string]any)
			return instantOf(t, c["dueAt"]), c["provisional"], c["lastDay"]
		}
		if due, provisional, last := activation(); provisional != true || last != "2027-01-12" {
			t.Errorf("by weekends alone the order is due %v, last day %v, provisional %v, want 2027-01-12, provisional", due, last, provisional)
		}
		file, err := os.ReadFile("../packs/calendar/cn-statutory.yaml")
		if err != nil {
			t.Fatal(err)
		}
		announced := string(file) + `  - year: 2027
    source: "A made-up announcement"
    days_off:
      - {name: {zh: "元旦", en: "New Year's Day"}, days: [2027-01-01, 2027-01-02, 2027-01-03]}
    make_up_workdays: []
`
		o.must("demo-admin", "importCalendar", fmt.Sprintf("regionID: \"CN\", document: %q", announced))
		if n, err := o.house.Cases.Recount(t.Context()); err != nil || n != 1 {
			t.Errorf("Recount() = %d, %v, want one case", n, err)
		}
		if due, provisional, last := activation(); provisional != false || last != "2027-01-13" || !due.Equal(time.Date(2027, 1, 14, 0, 0, 0, 0, shanghai)) {
			t.Errorf("with the year announced the order is due %v, last day %v, provisional %v, want 2027-01-13 to its end", due, last, provisional)
		}
		audits := o.get("auditor", fmt.Sprintf(`{ auditEntries(where: {operation: "recount", subject: %q}) { totalCount } }`, o.caseID("SO-1")), "auditEntries", "totalCount")
		if audits != 1.0 {
			t.Errorf("the recount has %v audit entries, want 1", audits)
		}
		if told := o.movedClocks("zz-agent", "SO-1")["ENT-ACTIVATE-URBAN-16WD"]; told["reason"] != "calendar" || !instantOf(t, told["to"]).Equal(time.Date(2027, 1, 14, 0, 0, 0, 0, shanghai)) {
			t.Errorf("the agent is told of the recount %v, want it by calendar to the end of 2027-01-13", told)
		}
		o.verified()
	})
}
