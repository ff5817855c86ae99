package norm_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
)

func vocabulary(t testing.TB) *norm.Vocabulary {
	t.Helper()
	text, err := os.ReadFile("../../packs/norm/vocabulary.yaml")
	if err != nil {
		t.Fatal(err)
	}
	v, err := norm.ParseVocabulary(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// small is a sound standard of two clauses and one indicator.
const small = `format: openspms-standard/1
code: T-1
name: {zh: 测试规范, en: Test standard}
authority: enterprise
jurisdiction: CN
versions:
  - number: 1
    effective_from: "2026-01-01T00:00:00+08:00"
    clauses:
      - {number: "1", title: {zh: 总则}, text: {zh: 总则。}}
      - {number: "1.10", parent: "1", text: {zh: 投诉五日内答复。, en: Answer in five days.}, roles: [agent]}
    indicators:
      - code: T-ANSWER
        name: {zh: 投诉答复}
        clause: "1.10"
        kind: complaint_deadline
        statistic: max
        comparator: "<="
        value: 5
        unit: working_day
        basis: working_days
        start_event: complaint.received
        stop_event: complaint.answered
        services: [mobile]
        areas: [any]
        enabled: true
        verification: own
    rules:
      - {code: T-R1, name: {zh: 关单}, clause: "1", on: case, expression: "answered", result: block}
`

func parse(t testing.TB, file string) *norm.Standard {
	t.Helper()
	s, err := norm.ParseStandard([]byte(file), vocabulary(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseStandardRefuses(t *testing.T) {
	t.Parallel()
	swap := func(old, fresh string) string {
		if !strings.Contains(small, old) {
			t.Fatalf("no %q in the sample", old)
		}
		return strings.Replace(small, old, fresh, 1)
	}
	second := strings.Replace(small[strings.Index(small, "  - number: 1\n"):], "number: 1", "number: 2", 1)
	tests := []struct {
		name, file, code string
		line             int
		path             string
	}{
		{"unknown field", swap("        enabled: true", "        enabled: true\n        colour: red"), "NORM_SYNTAX", 27, ""},
		{"repeated field", swap("code: T-1\n", "code: T-1\ncode: T-2\n"), "NORM_SYNTAX", 3, ""},
		{"wrong type", swap("number: 1\n", "number: one\n"), "NORM_SYNTAX", 7, ""},
		{"number that would lose its text", swap(`clause: "1.10"`, "clause: 1.10"), "NORM_SYNTAX", 15, ""},
		{"alias", swap("code: T-1", "code: &a T-1"), "NORM_SYNTAX", 2, ""},
		{"broken", "{", "NORM_SYNTAX", 1, ""},
		{"deep", strings.Repeat("[", 100_000), "NORM_SYNTAX", 1, ""},
		{"wrong instant", swap("2026-01-01T00:00:00+08:00", "2026-01-01"), "NORM_SYNTAX", 8, ""},
		{"unknown format", swap("openspms-standard/1", "other/1"), "NORM_FORMAT_UNKNOWN", 1, "format"},
		{"unmapped basis", swap("basis: working_days", "basis: fortnights"), "NORM_BASIS_UNMAPPED", 21, "versions.0.indicators.0.basis"},
		{"unmapped statistic", swap("statistic: max", "statistic: mode"), "NORM_STATISTIC_UNMAPPED", 17, "versions.0.indicators.0.statistic"},
		{"unknown authority", swap("authority: enterprise", "authority: king"), "NORM_WORD_UNKNOWN", 4, "authority"},
		{"unknown event", swap("complaint.received", "complaint.imagined"), "NORM_EVENT_UNKNOWN", 22, "versions.0.indicators.0.start_event"},
		{"no event on a clock", swap("        start_event: complaint.received\n", ""), "NORM_FIELD_MISSING", 13, "versions.0.indicators.0.start_event"},
		{"unknown service", swap("[mobile]", "[telepathy]"), "NORM_SERVICE_UNKNOWN", 24, "versions.0.indicators.0.services.0"},
		{"unknown area", swap("areas: [any]", "areas: [moon]"), "NORM_AREA_UNKNOWN", 25, "versions.0.indicators.0.areas.0"},
		{"unit that does not fit", swap("unit: working_day", "unit: h"), "NORM_UNIT_WRONG", 20, "versions.0.indicators.0.unit"},
		{"half a working day", swap("value: 5", "value: 5.5"), "NORM_VALUE_WRONG", 19, "versions.0.indicators.0.value"},
		{"cut-off without same day", swap("basis: working_days", "basis: working_days\n        cutoff_hour: 16"), "NORM_CUTOFF_WRONG", 22, "versions.0.indicators.0.cutoff_hour"},
		{"target above one", swap("basis: working_days", "basis: working_days\n        target: 1.5"), "NORM_TARGET_WRONG", 22, "versions.0.indicators.0.target"},
		{"clause twice", swap(`{number: "1.10"`, `{number: "1"`), "NORM_CLAUSE_REPEATED", 11, "versions.0.clauses.1.number"},
		{"clause cycle", swap(`{number: "1", `, `{number: "1", parent: "1.10", `), "NORM_CLAUSE_CYCLE", 10, "versions.0.clauses.0.parent"},
		{"unknown parent", swap(`parent: "1"`, `parent: "7"`), "NORM_CLAUSE_UNKNOWN", 11, "versions.0.clauses.1.parent"},
		{"clause of an indicator", swap(`clause: "1.10"`, `clause: "9"`), "NORM_CLAUSE_UNKNOWN", 15, "versions.0.indicators.0.clause"},
		{"empty interval", swap("    clauses:", "    effective_to: \"2025-01-01T00:00:00Z\"\n    clauses:"), "NORM_INTERVAL_EMPTY", 9, "versions.0.effective_to"},
		{"overlapping intervals", small + second, "NORM_INTERVAL_OVERLAP", 0, "versions.1.effective_from"},
		{"version twice", small + strings.Replace(second, "number: 2", "number: 1", 1), "NORM_VERSION_REPEATED", 0, "versions.1.number"},
		{"wrong digest", swap("    clauses:", "    digest: \"sha256:00\"\n    clauses:"), "NORM_DIGEST_WRONG", 9, "versions.0.digest"},
		{"rule of an unknown clause", swap(`clause: "1", on`, `clause: "8", on`), "NORM_CLAUSE_UNKNOWN", 29, "versions.0.rules.0.clause"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := norm.ParseStandard([]byte(tt.file), vocabulary(t))
			e := fault.From(err)
			if e == nil || s != nil || e.Kind != fault.Invalid {
				t.Fatalf("ParseStandard = %v, %v, want a fault and nothing else", s, err)
			}
			if tt.path != "" {
				i := slices.IndexFunc(e.Items, func(it *fault.Error) bool {
					return it.Code == tt.code && strings.Join(it.Path, ".") == tt.path
				})
				if i < 0 {
					t.Fatalf("ParseStandard = %v, want %s at %s", err, tt.code, tt.path)
				}
				e = e.Items[i]
			}
			if e.Code != tt.code || (tt.line > 0 && e.Param("line") != tt.line) {
				t.Errorf("ParseStandard = %v, want %s in line %d", e, tt.code, tt.line)
			}
		})
	}
}

func TestParseStandardReadsTheWordsOfTheData(t *testing.T) {
	t.Parallel()
	file := strings.NewReplacer("basis: working_days", "basis: elapsed_hours", "unit: working_day", "unit: h", "[mobile]", `["home broadband"]`).Replace(small)
	ind := parse(t, file).Versions[0].Indicators[0]
	if ind.Basis != norm.Elapsed || ind.Services[0] != "home_broadband" {
		t.Errorf("basis %s, service %s, want elapsed, home_broadband", ind.Basis, ind.Services[0])
	}
}

func TestExportIsStable(t *testing.T) {
	t.Parallel()
	s := parse(t, small)
	first, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	second, err := parse(t, string(first)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(first), string(second)); d != "" {
		t.Errorf("export changes (-first +second):\n%s", d)
	}
	if !strings.Contains(string(first), s.Digest(&s.Versions[0])) {
		t.Errorf("export lacks its digest:\n%s", first)
	}
	tampered := strings.Replace(string(first), "value: 5", "value: 6", 1)
	if _, err := norm.ParseStandard([]byte(tampered), vocabulary(t)); fault.CodeOf(err) != "NORM_INVALID" {
		t.Errorf("a tampered export reads as %v, want NORM_INVALID", err)
	}
}

func TestAnyTextSurvivesExport(t *testing.T) {
	t.Parallel()
	v := vocabulary(t)
	rapid.Check(t, func(t *rapid.T) {
		s, err := norm.ParseStandard([]byte(small), v)
		if err != nil {
			t.Fatal(err)
		}
		text := func(label string) string {
			return rapid.StringOfN(rapid.RuneFrom([]rune("aZ09 .:-#'\"\\{}[]&*!|>%@`,?~=中文、。\n\t")), 1, 30, -1).Draw(t, label)
		}
		s.Versions[0].Clauses[1].Text = norm.Text{ZH: "x" + text("zh"), EN: text("en")}
		s.Versions[0].Indicators[0].Source = text("source")
		s.Versions[0].Indicators[0].Value = float64(rapid.IntRange(0, 1000).Draw(t, "value"))
		asJSON, err := s.EncodeJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := norm.ParseStandard(asJSON, v)
		if err != nil {
			t.Fatalf("read back: %v\n%s", err, asJSON)
		}
		if again.Digest(&again.Versions[0]) != s.Digest(&s.Versions[0]) {
			t.Fatalf("digest changes on the way:\n%s", asJSON)
		}
		asYAML, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err = norm.ParseStandard(asYAML, v); err != nil {
			t.Fatalf("read back: %v\n%s", err, asYAML)
		}
	})
}

func TestDiff(t *testing.T) {
	t.Parallel()
	before := parse(t, small)
	after := parse(t, strings.NewReplacer("value: 5", "value: 3", "投诉五日内答复。", "投诉三日内答复。",
		"      - {number: \"1\", title: {zh: 总则}, text: {zh: 总则。}}\n", "      - {number: \"1\", title: {zh: 总则}, text: {zh: 总则。}}\n      - {number: \"2\", text: {zh: 附则}}\n",
		"T-R1", "T-R2").Replace(small))
	changes := norm.Diff(&before.Versions[0], &after.Versions[0])
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%s %s %s %s %s>%s", c.Part, c.Key, c.Action, c.Field, c.Before, c.After))
	}
	want := []string{
		"clause 2 added  >",
		"clause 1.10 changed text.zh 投诉五日内答复。>投诉三日内答复。",
		"indicator T-ANSWER changed value <= 5 working_day><= 3 working_day",
		"rule T-R2 added  >",
		"rule T-R1 removed  >",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Diff (-want +got):\n%s", d)
	}
	text := norm.DiffMarkdown(changes, "zh")
	for _, s := range []string{"投诉~~五~~**三**日内答复。", "&lt;= 5 working\\_day → **&lt;= 3 working\\_day**", "### 规则 T-R1 关单 (删除)"} {
		if !strings.Contains(text, s) {
			t.Errorf("Markdown lacks %q:\n%s", s, text)
		}
	}
	if got := norm.Diff(&before.Versions[0], &before.Versions[0]); len(got) != 0 {
		t.Errorf("Diff of equal versions = %v, want none", got)
	}
}

func TestBind(t *testing.T) {
	t.Parallel()
	at := func(h int) time.Time { return time.Date(2026, 3, 3, h, 0, 0, 0, time.UTC) }
	clock := func(code string, nature norm.Nature, authority norm.Authority, stop string, due time.Time) norm.Clock {
		return norm.Clock{Due: due, Applicable: norm.Applicable{
			Standard: &norm.Standard{Authority: authority}, Nature: nature,
			Indicator: &norm.Indicator{Code: code, StartEvent: "fault.reported", StopEvent: stop},
		}}
	}
	clocks := []norm.Clock{
		clock("LATE", norm.NatureLimit, norm.Law, "fault.cleared", at(12)),
		clock("EARLY", norm.NatureLimit, norm.Enterprise, "fault.cleared", at(10)),
		clock("EQUAL", norm.NatureLimit, norm.LocalRegulation, "fault.cleared", at(10)),
		clock("UNKNOWN", norm.NatureLimit, norm.Law, "fault.cleared", time.Time{}),
		clock("PLEDGE", norm.NaturePledge, norm.Enterprise, "fault.cleared", at(8)),
		clock("OTHER", norm.NatureLimit, norm.Law, "technician.on_site", at(9)),
		clock("FLOOR-1", norm.NatureFloor, norm.Law, "service.suspended", at(9)),
		clock("FLOOR-2", norm.NatureFloor, norm.Law, "service.suspended", at(11)),
	}
	want := []int{2, 2, -1, 2, -1, -1, 7, -1}
	for i, b := range norm.Bind(clocks) {
		if b.ShadowedBy != want[i] {
			t.Errorf("%s shadowed by %d, want %d", b.Indicator.Code, b.ShadowedBy, want[i])
		}
	}
}

func TestWilson(t *testing.T) {
	t.Parallel()
	tests := []struct {
		k, n      int64
		low, high float64
	}{{0, 0, 0, 1}, {0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {90, 100, 0.8256, 0.9448}, {5, 10, 0.2366, 0.7634}}
	for _, tt := range tests {
		low, high := norm.Wilson(tt.k, tt.n, 1.959963984540054)
		if math.Abs(low-tt.low) > 5e-5 || math.Abs(high-tt.high) > 5e-5 {
			t.Errorf("Wilson(%d, %d) = %.4f %.4f, want %.4f %.4f", tt.k, tt.n, low, high, tt.low, tt.high)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	clock := norm.Indicator{Statistic: norm.Max, Comparator: norm.AtMost, Value: 24, Unit: norm.Hour, Basis: norm.Elapsed, StartEvent: "a", StopEvent: "b"}
	pledge, mean := clock, clock
	pledge.Target, mean.Statistic = 0.9, norm.Mean
	rate := norm.Indicator{Statistic: norm.Rate, Comparator: norm.AtLeast, Value: 0.95, Unit: norm.Ratio, Basis: norm.NetworkMeasurement}
	tally := norm.Tally{N: 100, Met: 90, Sum: 100 * 23 * 3600, Max: 90_000, Min: 60}
	tests := []struct {
		name  string
		ind   norm.Indicator
		tally norm.Tally
		value float64
		known bool
		met   bool
	}{
		{"one late case breaks a limit", clock, tally, 0.9, true, false},
		{"a pledge is met at its target", pledge, tally, 0.9, true, true},
		{"a mean compares hours with seconds", mean, tally, 23 * 3600, true, true},
		{"a rate below its value", rate, tally, 0.9, true, false},
		{"nothing to judge", pledge, norm.Tally{}, 0, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.ind.Judge(tt.tally)
			if got.Value != tt.value || got.Known != tt.known || got.Met != tt.met {
				t.Errorf("Judge = %+v, want value %v known %v met %v", got, tt.value, tt.known, tt.met)
			}
		})
	}
}

func TestTalliesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.IntRange(0, 1000)).Draw(t, "values")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		var all, a, b norm.Tally
		for i, v := range values {
			all.Add(float64(v), v < 500)
			if i < cut {
				a.Add(float64(v), v < 500)
			} else {
				b.Add(float64(v), v < 500)
			}
		}
		a.Merge(b)
		if a != all {
			t.Fatalf("merged %+v, want %+v", a, all)
		}
	})
}

func TestEveryWordHasBothLabels(t *testing.T) {
	t.Parallel()
	for list, labels := range norm.Labels {
		for _, l := range labels {
			if l.Word == "" || l.Text.ZH == "" || l.Text.EN == "" {
				t.Errorf("%s %q has labels %v", list, l.Word, l.Text)
			}
		}
	}
}

func TestVocabularyRefuses(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"cycle":          "format: openspms-vocabulary/1\nevents: []\nservices: [{code: a, name: {zh: a}, parent: b}, {code: b, name: {zh: b}, parent: a}]\nareas: []\npause_reasons: []\n",
		"unknown parent": "format: openspms-vocabulary/1\nevents: []\nservices: [{code: a, name: {zh: a}, parent: b}]\nareas: []\npause_reasons: []\n",
		"twice":          "format: openspms-vocabulary/1\nevents: [{code: a, name: {zh: a}}, {code: a, name: {zh: a}}]\nservices: []\nareas: []\npause_reasons: []\n",
	} {
		if _, err := norm.ParseVocabulary([]byte(file)); fault.CodeOf(err) != "NORM_INVALID" {
			t.Errorf("%s: ParseVocabulary = %v, want NORM_INVALID", name, err)
		}
	}
}

func FuzzParseStandard(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("{}"))
	v := vocabulary(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := norm.ParseStandard(file, v)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("ParseStandard = %v, want a fault of kind invalid", err)
			}
			return
		}
		text, err := s.EncodeJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := norm.ParseStandard(text, v)
		if err != nil {
			t.Fatalf("read back: %v\n%s", err, text)
		}
		if d := cmp.Diff(s.Digest(&s.Versions[0]), again.Digest(&again.Versions[0])); d != "" {
			t.Fatalf("digest changes on the way:\n%s", text)
		}
	})
}
