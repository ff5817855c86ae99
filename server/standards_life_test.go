package server_test

import (
	"fmt"
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
			storetest.EachURL(t, func(t *testing.T, url string) {
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
	storetest.EachURL(t, func(t *testing.T, url string) {
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
