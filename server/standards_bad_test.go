package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// refused is one error of a mutation's payload.
type refused struct {
	Code, Message string
	Path          []string
	Line, Column  int
}

// faults sends a mutation and returns what its payload refuses.
func (o *office) faults(person, field, input string) []refused {
	o.t.Helper()
	body, err := json.Marshal(map[string]string{"query": fmt.Sprintf("mutation { %s(input: {%s}) { userErrors { code message path line column } } }", field, input)})
	if err != nil {
		o.t.Fatal(err)
	}
	r, _ := o.send(o.http.URL, person, "en", string(body))
	for _, e := range r.Errors {
		o.t.Fatalf("%s(%.200s) as %s fails: %v", field, input, person, e)
	}
	list, err := json.Marshal(dig(r.Data, field, "userErrors"))
	if err != nil {
		o.t.Fatal(err)
	}
	var out []refused
	if err := json.Unmarshal(list, &out); err != nil {
		o.t.Fatal(err)
	}
	return out
}

// TestBadStandards sends every kind of standard, edit, publication and calendar
// that must be refused: each with its code, the path to what is wrong and, in a
// document or an expression, the line; nothing of them is kept.
func TestBadStandards(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		exported := fmt.Sprint(o.get("hq-standard", `{ exportStandard(code: "ENT-HQ") }`, "exportStandard"))
		lineOf := func(text, part string) int { return strings.Count(text[:strings.Index(text, part)], "\n") + 1 }
		// swap is the rules of Henan, or the standard of headquarters under another code, with one thing spoilt.
		swap := func(text, old, with string) string {
			if !strings.Contains(text, old) {
				t.Fatalf("no %q in\n%s", old, text)
			}
			return strings.Replace(text, old, with, 1)
		}
		mine := swap(exported, "code: ENT-HQ\n", "code: ENT-MINE\n")
		if i := strings.Index(mine, "    digest:"); i >= 0 { // of another code
			mine = mine[:i] + mine[i+strings.Index(mine[i:], "\n")+1:]
		}
		calendar, err := os.ReadFile("../packs/calendar/cn-statutory.yaml")
		if err != nil {
			t.Fatal(err)
		}
		from := func(text, number, day string) string {
			return swap(text, "  - number: 1\n", "  - number: "+number+"\n    effective_from: \""+day+"T00:00:00Z\"\n")
		}
		second := henanRules[strings.Index(henanRules, "  - number: 1"):]
		twice := from(henanRules, "1", "2026-04-01") + from(second, "2", "2026-05-01")
		dear := "1.0 < 2.0"
		for i := range 6 {
			dear = fmt.Sprintf("[1,2,3,4,5,6,7,8,9,10].map(x%d, %s).size() == 10", i, dear)
		}
		for _, code := range []string{"createStandardDraft", "createStandardDraft"} { // ENT-HQ@2 is edited, @3 published
			o.must("hq-standard", code, `fromVersionID: "ENT-HQ@1"`)
		}
		looser := `code: "ENT-COMPLAINT", clause: "3.1", name: {zh: "投诉答复", en: "Complaints"}, kind: "enterprise_pledge", statistic: "max",
			comparator: "<=", value: 15, unit: "working_day", basis: "working_days", startEvent: %q, stopEvent: "complaint.answered",
			services: ["any"], areas: ["any"]`
		o.must("hq-standard", "setIndicator", `versionID: "ENT-HQ@3", revision: 1, `+fmt.Sprintf(looser, "complaint.received"))
		o.must("hq-standard", "submitStandard", `versionID: "ENT-HQ@3", revision: 2`)
		o.must("hq-approver", "approveStandard", `versionID: "ENT-HQ@3", revision: 3`)
		draft := `versionID: "ENT-HQ@2", revision: 1, `
		rule := draft + `code: "R", name: {zh: "规则", en: "Rule"}, clause: "1.1", on: "case", result: "block", expression: %q`

		tests := []struct {
			name, field, input, code, path string
			line, column                   int
		}{
			{"no document", "importStandard", `document: "{"`, "NORM_SYNTAX", "input.document", 1, 0},
			{"unknown field", "importStandard", "D" + swap(henanRules, "sample: true", "sample: true\ncolour: red"), "NORM_SYNTAX", "input.document", 7, 0},
			{"unknown event", "importStandard", "D" + swap(mine, "order.accepted", "order.dreamt"), "NORM_EVENT_UNKNOWN", "input.document.versions.0.indicators.0.start_event", lineOf(mine, "order.accepted"), 0},
			{"unmapped basis", "importStandard", "D" + swap(mine, "basis: working_days", "basis: moons"), "NORM_BASIS_UNMAPPED", "input.document.versions.0.indicators.0.basis", lineOf(mine, "basis: working_days"), 0},
			{"unmapped statistic", "importStandard", "D" + swap(mine, "statistic: max", "statistic: mode"), "NORM_STATISTIC_UNMAPPED", "input.document.versions.0.indicators.0.statistic", lineOf(mine, "statistic: max"), 0},
			{"clauses in a circle", "importStandard", "D" + swap(henanRules, `{number: "1", `, `{number: "1", parent: "1", `), "NORM_CLAUSE_CYCLE", "input.document.versions.0.clauses.0.parent", 10, 0},
			{"wrong digest", "importStandard", "D" + swap(henanRules, "  - number: 1\n", "  - number: 1\n    digest: \"sha256:00\"\n"), "NORM_DIGEST_WRONG", "input.document.versions.0.digest", 9, 0},
			{"empty interval", "importStandard", "D" + swap(henanRules, "  - number: 1\n", "  - number: 1\n    effective_from: \"2026-02-01T00:00:00Z\"\n    effective_to: \"2026-01-01T00:00:00Z\"\n"), "NORM_INTERVAL_EMPTY", "input.document.versions.0.effective_to", 10, 0},
			{"overlapping versions", "importStandard", "D" + twice, "NORM_INTERVAL_OVERLAP", "input.document.versions.1.effective_from", lineOf(twice, "2026-05-01"), 0},
			{"rule that does not compile", "importStandard", "D" + swap(henanRules, "variables['case']['plan'] != '1000M'", "stage == 3"), "EXPR_TYPE", "input.document.versions.0.rules.1.expression", 15, 7},
			{"rule that costs too much", "importStandard", "D" + swap(henanRules, "variables['case']['plan'] != '1000M'", dear), "EXPR_COST", "input.document.versions.0.rules.1.expression", 15, 0},
			{"unknown place", "importStandard", "D" + swap(henanRules, "jurisdiction: CN-HA", "jurisdiction: CN-XX"), "STANDARD_REGION_UNKNOWN", "input.document.jurisdiction", 0, 0},
			{"another authority", "importStandard", "D" + swap(exported, "authority: enterprise", "authority: law"), "NORM_DIGEST_WRONG", "input.document.versions.0.digest", 0, 0},

			{"stale edit", "setClause", `versionID: "ENT-HQ@2", revision: 7, number: "1.1", text: {zh: "a", en: "a"}`, "STALE_REVISION", "input.revision", 0, 0},
			{"edit of what is published", "setClause", `versionID: "ENT-HQ@1", revision: 1, number: "1.1", text: {zh: "a", en: "a"}`, "STANDARD_STATE", "input.versionID", 0, 0},
			{"clause above itself", "setClause", draft + `number: "1", parent: "1.1", text: {zh: "a", en: "a"}`, "NORM_CLAUSE_CYCLE", "input.versions.0.clauses.0.parent", 0, 0},
			{"clause in use", "removeClause", draft + `number: "1.1"`, "STANDARD_CLAUSE_IN_USE", "input.number", 0, 0},
			{"unknown event in an edit", "setIndicator", draft + fmt.Sprintf(looser, "order.dreamt"), "NORM_EVENT_UNKNOWN", "input.versions.0.indicators.11.start_event", 0, 0},
			{"rule that is no rule", "setRule", fmt.Sprintf(rule, "true &&\n  nothing"), "EXPR_UNDECLARED", "input.expression", 2, 3},
			{"rule with a wrong type", "setRule", fmt.Sprintf(rule, "channel"), "EXPR_TYPE", "input.expression", 1, 1},
			{"dear rule", "setRule", fmt.Sprintf(rule, dear), "EXPR_COST", "input.expression", 0, 0},
			{"rule of an unknown clause", "setRule", strings.Replace(fmt.Sprintf(rule, "true"), `"1.1"`, `"9"`, 1), "NORM_CLAUSE_UNKNOWN", "input.versions.0.rules.0.clause", 0, 0},
			{"unknown rule", "removeRule", draft + `code: "R"`, "STANDARD_RULE_NOT_FOUND", "input.code", 0, 0},

			{"overlapping publication", "publishStandard", `versionID: "ENT-HQ@3", revision: 4, effectiveFrom: "2024-01-01T00:00:00Z"`, "STANDARD_OVERLAP", "input.effectiveFrom", 0, 0},
			{"publication that never applies", "publishStandard", `versionID: "ENT-HQ@3", revision: 4, effectiveFrom: "2026-05-01T00:00:00Z", effectiveTo: "2026-05-01T00:00:00Z"`, "STANDARD_INTERVAL_EMPTY", "input.effectiveTo", 0, 0},
			{"looser than above", "publishStandard", `versionID: "ENT-HQ@3", revision: 4`, "STANDARD_NEVER_STRICTER", "indicators.ENT-COMPLAINT", 0, 0},

			{"impossible day", "importCalendar", "C" + swap(string(calendar), "2025-01-01", "2025-02-30"), "CALENDAR_SYNTAX", "input.document", lineOf(string(calendar), "2025-01-01"), 0},
			{"day twice", "importCalendar", "C" + swap(string(calendar), "2025-01-01]", "2025-01-01, 2025-01-01]"), "CALENDAR_DAY_REPEATED", "input.document.years.0.days_off.0.days.1", lineOf(string(calendar), "2025-01-01"), 0},
			{"unknown zone", "importCalendar", "C" + swap(string(calendar), "Asia/Shanghai", "Mars/Base"), "CALENDAR_ZONE_UNKNOWN", "input.document.timezone", 5, 0},
		}
		before := o.kept()
		for _, tt := range tests {
			input := tt.input
			switch input[0] {
			case 'D':
				input = fmt.Sprintf("document: %q", input[1:])
			case 'C':
				input = fmt.Sprintf("regionID: \"CN\", document: %q", input[1:])
			}
			person := "hq-standard"
			if tt.field == "publishStandard" {
				person = "hq-approver"
			}
			got := o.faults(person, tt.field, input)
			if len(got) == 0 || got[0].Code != tt.code || strings.Join(got[0].Path, ".") != tt.path || got[0].Message == "" ||
				(tt.line > 0 && got[0].Line != tt.line) || (tt.column > 0 && got[0].Column != tt.column) {
				t.Errorf("%s = %+v, want %s at %s, line %d, column %d", tt.name, got, tt.code, tt.path, tt.line, tt.column)
			}
		}
		if after := o.kept(); after != before {
			t.Errorf("after refusals there is %s, want %s", after, before)
		}
		looserThan := o.faults("hq-approver", "publishStandard", `versionID: "ENT-HQ@3", revision: 4`)
		if len(looserThan) != 1 || !strings.Contains(looserThan[0].Message, "CN-O35 clause 10") || !strings.Contains(looserThan[0].Message, "2025-01-01") {
			t.Errorf("the refusal of a looser standard says %v, want the clause above and the first date it is later", looserThan)
		}
	})
}

// kept is what refusals may not change: every version's state, revision and
// digest, and every calendar's.
func (o *office) kept() string {
	o.t.Helper()
	return fmt.Sprint(o.get("demo-admin", `{ standards(first: 50) { totalCount edges { node { code versions(first: 10) { edges { node { number state revision digest
		clauses(first: 1) { totalCount } indicators(first: 1) { totalCount } } } } } } } calendars(first: 50) { edges { node { code revision digest } } } }`))
}

// TestRulesAreEditedOneByOne adds a rule to a draft, changes it and takes it out,
// each based on the revision before.
func TestRulesAreEditedOneByOne(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.must("hq-standard", "createStandardDraft", `fromVersionID: "ENT-HQ@1"`)
		rule := `versionID: "ENT-HQ@2", revision: %d, code: "R-PLAN", clause: "1.1", on: "case", name: {zh: "登记套餐", en: "Plan"},
			result: %q, expression: "has(variables.case)", message: {zh: "须登记套餐", en: "Name the plan"}`
		rules := func() any {
			return o.get("hq-approver", `{ standards(where: {code: "ENT-HQ"}) { edges { node { versions(first: 2) { edges { node { number rules {
				code clause on result expression name { en } message { zh } } } } } } } } }`, "standards", "edges", 0, "node", "versions", "edges")
		}
		of := func(number float64) []any {
			list, _ := rules().([]any)
			for _, e := range list {
				if dig(e, "node", "number") == number {
					out, _ := dig(e, "node", "rules").([]any)
					return out
				}
			}
			t.Fatalf("there is no version %v in %v", number, list)
			return nil
		}
		o.must("hq-standard", "setRule", fmt.Sprintf(rule, 1, "flag"))
		o.must("hq-standard", "setRule", fmt.Sprintf(rule, 2, "block"))
		if got := of(2); len(got) != 1 || dig(got[0], "result") != "block" || dig(got[0], "clause") != "1.1" || dig(got[0], "name", "en") != "Plan" {
			t.Errorf("rules of the draft = %v, want R-PLAN that blocks", got)
		}
		if got := of(1); len(got) != 0 {
			t.Errorf("rules of the version in force = %v, want none", got)
		}
		o.must("hq-standard", "removeRule", `versionID: "ENT-HQ@2", revision: 3, code: "R-PLAN"`)
		if got := of(2); len(got) != 0 {
			t.Errorf("rules after removal = %v, want none", got)
		}
	})
}
