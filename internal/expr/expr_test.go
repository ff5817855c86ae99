package expr_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
)

var noon = time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)

func env(t testing.TB) *expr.Env {
	t.Helper()
	e, err := expr.NewEnv([]expr.Variable{
		{Name: "test.downMbps", Type: expr.Double},
		{Name: "case.planMbps", Type: expr.Int},
		{Name: "case.channel", Type: expr.String},
		{Name: "survey.score", Type: expr.Int},
		{Name: "slot.start", Type: expr.Timestamp},
		{Name: "slot.stay", Type: expr.Duration},
		{Name: "a.b.c", Type: expr.Bool},
		{Name: "amount", Type: expr.Double},
		{Name: "lines", Type: expr.ListOf(expr.Int)},
		{Name: "times", Type: expr.ListOf(expr.Timestamp)},
		{Name: "extra", Type: expr.Map},
	})
	if err != nil {
		t.Fatalf("NewEnv: %v", err)
	}
	return e
}

func TestEval(t *testing.T) {
	t.Parallel()
	// the values as they come back from rows: JSON numbers are float64
	var vars map[string]any
	raw := `{"test":{"downMbps":850},"case":{"planMbps":1000,"channel":"app"},"slot":{"start":"2026-03-05T09:00:00+08:00","stay":"PT2H"},
	  "a":{"b":{"c":true}},"amount":3,"lines":[1,2,3],"times":["2026-03-05T01:00:00Z"],"extra":{"x":1.5}}`
	if err := json.Unmarshal([]byte(raw), &vars); err != nil {
		t.Fatal(err)
	}
	act := expr.Activation{
		Variables: vars, Now: noon, Region: expr.Region{Code: "CN-HA-ZZ", Area: "urban"},
		Evidence: []expr.Evidence{{Kind: "光功率读数", At: noon}}, Staff: expr.Staff{ID: "st_1", Code: "W1"},
		Local: []map[string]any{{"amount": 4.0}}, Instances: expr.Instances{Total: 3, Done: 2},
	}
	for src, want := range map[string]any{
		`test.downMbps >= 0.9 * double(case.planMbps)`: false,
		`test.downMbps`:                          850.0,
		`case.planMbps + 1`:                      int64(1001),
		`case.channel == 'app'`:                  true,
		`has(survey.score)`:                      false,
		`has(test.downMbps)`:                     true,
		`has(survey.score) && survey.score >= 9`: false,
		`has(slot.start) ? slot.start : now`:     "2026-03-05T01:00:00Z",
		`slot.start + slot.stay`:                 "2026-03-05T03:00:00Z",
		`slot.start - now`:                       "PT21H",
		`a.b.c`:                                  true,
		`amount`:                                 4.0,
		`lines.map(x, x * 2)`:                    []any{int64(2), int64(4), int64(6)},
		`lines[0] == 1`:                          true,
		`times[0] > now`:                         true,
		`extra.x`:                                1.5,
		`region.code.startsWith('CN-HA') && region.area == 'urban'`: true,
		`evidence.exists(e, e.kind == '光功率读数' && e.at <= now)`:      true,
		`staff.code`:                           "W1",
		`instances.done * 2 > instances.total`: true,
		`null`:                                 nil,
		`{'k': [1.5]}`:                         map[string]any{"k": []any{1.5}},
	} {
		p, err := env(t).Compile(src, expr.Any)
		if err != nil {
			t.Errorf("Compile(%s): %v", src, err)
			continue
		}
		got, err := p.Eval(act)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Eval(%s): %v %s", src, err, diff)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		src  string
		want expr.Type
		code string
		line int
		col  int
	}{
		{"1 +", expr.Any, "EXPR_SYNTAX", 1, 4},
		{"test.foo > 1.0", expr.Bool, "EXPR_UNDECLARED", 1, 5},
		{"true &&\n  nothing", expr.Bool, "EXPR_UNDECLARED", 2, 3},
		{"case.channel > 3", expr.Bool, "EXPR_TYPE", 1, 14},
		{"case.planMbps", expr.Bool, "EXPR_TYPE", 1, 1},
		{"'2026'", expr.Timestamp, "EXPR_TYPE", 1, 1},
		{"test", expr.Double, "EXPR_TYPE", 1, 1},
		{dear(5), expr.Bool, "EXPR_COST", 0, 0},
		{strings.Repeat("(", 100) + "1" + strings.Repeat(")", 100), expr.Any, "EXPR_SYNTAX", 1, 1},
	} {
		_, err := env(t).Compile(tc.src, tc.want)
		f := fault.From(err)
		if err == nil || f.Code != tc.code || f.Kind != fault.Invalid {
			t.Errorf("Compile(%q) = %v, want %s", tc.src, err, tc.code)
			continue
		}
		if tc.col > 1 && (f.Param("line") != tc.line || f.Param("column") != tc.col) {
			t.Errorf("Compile(%q) at %v:%v, want %d:%d", tc.src, f.Param("line"), f.Param("column"), tc.line, tc.col)
		}
	}
}

// dear is an expression that counts through 10 to the power of depth values.
func dear(depth int) string {
	if depth == 0 {
		return "1.0 < 2.0"
	}
	return "[1,2,3,4,5,6,7,8,9,10].map(x" + strconv.Itoa(depth) + ", " + dear(depth-1) + ").size() == 10"
}

func TestHolds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		src  string
		vars map[string]any
		want bool
		code string
	}{
		{"amount > 2.0", map[string]any{"amount": 3.0}, true, ""},
		{"amount > 2.0", map[string]any{"amount": 1.0}, false, ""},
		{"amount > 2.0", nil, false, ""},
		{"test.downMbps > 2.0", map[string]any{"test": map[string]any{}}, false, ""},
		{"1 / (lines.size() - 1) > 0", map[string]any{"lines": []any{1.0}}, false, "EXPR_RUNTIME"},
	} {
		p, err := env(t).Compile(tc.src, expr.Bool)
		if err != nil {
			t.Fatalf("Compile(%s): %v", tc.src, err)
		}
		got, err := p.Holds(expr.Activation{Variables: tc.vars})
		if got != tc.want || fault.CodeOf(err) != tc.code {
			t.Errorf("Holds(%s, %v) = %v, %v, want %v %s", tc.src, tc.vars, got, err, tc.want, tc.code)
		}
	}
}

func TestRuntimeErrors(t *testing.T) {
	t.Parallel()
	for src, code := range map[string]string{
		"survey.score > 3":                      "EXPR_RUNTIME",
		"1 / (lines.size() - lines.size()) > 0": "EXPR_RUNTIME",
		"lines.all(a, lines.all(b, lines.all(c, lines.all(d, lines.all(e, a+b+c+d+e >= 0)))))": "EXPR_COST",
	} {
		p, err := env(t).Compile(src, expr.Bool)
		if err != nil {
			t.Fatalf("Compile(%s): %v", src, err)
		}
		many := make([]any, 30)
		for i := range many {
			many[i] = int64(i)
		}
		_, err = p.Bool(expr.Activation{Variables: map[string]any{"lines": many}})
		if fault.CodeOf(err) != code || fault.KindOf(err) != fault.Precondition {
			t.Errorf("Bool(%s) = %v, want %s", src, err, code)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	at := map[string]any{"slot": map[string]any{"start": "2026-03-05T01:00:00Z"}}
	for _, tc := range []struct {
		src  string
		vars map[string]any
		want string
	}{
		{"slot.start", at, "2026-03-05T01:00:00Z"},
		{"slot.start", nil, ""},
		{"slot.start", map[string]any{"slot": map[string]any{"start": nil}}, ""},
		{"slot.start + duration('1h')", at, "2026-03-05T02:00:00Z"},
		{"slot.start + duration('1h')", map[string]any{}, ""},
		{"null", at, ""},
		{"has(slot.start) ? slot.start : now", nil, "2026-03-04T04:00:00Z"},
	} {
		p, err := env(t).Compile(tc.src, expr.Timestamp)
		if err != nil {
			t.Fatalf("Compile(%s): %v", tc.src, err)
		}
		got, set, err := p.Time(expr.Activation{Variables: tc.vars, Now: noon})
		text := ""
		if set {
			text = got.Format(time.RFC3339)
		}
		if err != nil || text != tc.want {
			t.Errorf("Time(%s, %v) = %q, %v, want %q", tc.src, tc.vars, text, err, tc.want)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	p, err := env(t).Compile("lines.exists(test, test > 1) && has(survey.score) && a.b.c && now > slot.start", expr.Bool)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a.b.c", "lines", "slot.start", "survey.score"}, p.Reads()); diff != "" {
		t.Errorf("Reads: %s", diff)
	}
}

func TestNewEnvRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		vars []expr.Variable
		code string
	}{
		"a reserved name":     {[]expr.Variable{{Name: "now", Type: expr.Int}}, "VARIABLE_NAME"},
		"a word of CEL":       {[]expr.Variable{{Name: "for.x", Type: expr.Int}}, "VARIABLE_NAME"},
		"an empty part":       {[]expr.Variable{{Name: "a..b", Type: expr.Int}}, "VARIABLE_NAME"},
		"a digit first":       {[]expr.Variable{{Name: "1a", Type: expr.Int}}, "VARIABLE_NAME"},
		"an unknown type":     {[]expr.Variable{{Name: "a", Type: "money"}}, "VARIABLE_TYPE_UNKNOWN"},
		"lists of lists":      {[]expr.Variable{{Name: "a", Type: "list(list(int))"}}, "VARIABLE_TYPE_UNKNOWN"},
		"the same name":       {[]expr.Variable{{Name: "a.b", Type: expr.Int}, {Name: "a.b", Type: expr.Int}}, "VARIABLE_TWICE"},
		"a field of a value":  {[]expr.Variable{{Name: "a", Type: expr.Int}, {Name: "a.b", Type: expr.Int}}, "VARIABLE_TWICE"},
		"a value of a prefix": {[]expr.Variable{{Name: "a.b", Type: expr.Int}, {Name: "a", Type: expr.Int}}, "VARIABLE_TWICE"},
	} {
		if _, err := expr.NewEnv(tc.vars); fault.CodeOf(err) != tc.code {
			t.Errorf("%s: NewEnv = %v, want %s", name, err, tc.code)
		}
	}
}

func TestCheckValue(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		typ  expr.Type
		enum []string
		in   any
		want any
		code string
	}{
		{"a whole number as double", expr.Double, nil, json.Number("850"), 850.0, ""},
		{"a JSON number as int", expr.Int, nil, 12.0, int64(12), ""},
		{"a fraction as int", expr.Int, nil, 12.5, nil, "VARIABLE_TYPE"},
		{"an int too large for JSON", expr.Int, nil, int64(1 << 53), nil, "VARIABLE_TYPE"},
		{"text as number", expr.Double, nil, "850", nil, "VARIABLE_TYPE"},
		{"an instant in UTC", expr.Timestamp, nil, "2026-03-05T09:00:00+08:00", "2026-03-05T01:00:00Z", ""},
		{"a day is no instant", expr.Timestamp, nil, "2026-03-05", nil, "VARIABLE_TYPE"},
		{"a duration", expr.Duration, nil, 90 * time.Minute, "PT1H30M", ""},
		{"a broken duration", expr.Duration, nil, "1h", nil, "VARIABLE_TYPE"},
		{"an allowed word", expr.String, []string{"app", "store"}, "app", "app", ""},
		{"a word not allowed", expr.String, []string{"app", "store"}, "fax", nil, "VARIABLE_ENUM"},
		{"text that is not UTF-8", expr.String, nil, "\xff", nil, "VARIABLE_TYPE"},
		{"too long a text", expr.String, nil, strings.Repeat("x", expr.MaxValueBytes+1), nil, "VARIABLE_TOO_LARGE"},
		{"too long a text for a number", expr.Int, nil, strings.Repeat("x", expr.MaxValueBytes+1), nil, "VARIABLE_TYPE"},
		{"too long a list", expr.ListOf(expr.Bool), nil, make([]any, 10_001), nil, "VARIABLE_TOO_LARGE"},
		{"too long a text in a list", expr.ListOf(expr.String), nil, []any{strings.Repeat("x", expr.MaxValueBytes+1)}, nil, "VARIABLE_TOO_LARGE"},
		{"too long a map", expr.Map, nil, map[string]any{"k": strings.Repeat("x", expr.MaxValueBytes)}, nil, "VARIABLE_TOO_LARGE"},
		{"a list", expr.ListOf(expr.Int), nil, []any{1.0, 2.0}, []any{int64(1), int64(2)}, ""},
		{"a list with a stranger", expr.ListOf(expr.Int), nil, []any{1.0, "x"}, nil, "VARIABLE_TYPE"},
		{"a list of words", expr.ListOf(expr.String), []string{"a"}, []any{"a", "b"}, nil, "VARIABLE_ENUM"},
		{"a map", expr.Map, nil, map[string]any{"k": 1}, map[string]any{"k": 1.0}, ""},
		{"null unsets", expr.Bool, nil, nil, nil, ""},
	} {
		got, err := expr.CheckValue(tc.typ, tc.enum, tc.in)
		if diff := cmp.Diff(tc.want, got); diff != "" || fault.CodeOf(err) != tc.code {
			t.Errorf("%s: CheckValue = %v, %v, want %v %s", tc.name, got, err, tc.want, tc.code)
		}
		if err != nil {
			continue
		}
		var again any
		raw, _ := json.Marshal(got)
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		if kept, err := expr.CheckValue(tc.typ, tc.enum, again); err != nil || !cmp.Equal(kept, got) {
			t.Errorf("%s: after JSON CheckValue = %v, %v, want %v", tc.name, kept, err, got)
		}
	}
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"PT24H": "2026-02-01T10:00:00Z", "P3D": "2026-02-03T10:00:00Z", "P1M": "2026-02-28T10:00:00Z", "P2W": "2026-02-14T10:00:00Z",
		"P1Y1M": "2027-02-28T10:00:00Z", "P1DT2H30M": "2026-02-01T12:30:00Z", "PT0.5S": "2026-01-31T10:00:00Z", "PT0S": "2026-01-31T10:00:00Z",
	} {
		p, err := expr.ParsePeriod(text)
		if err != nil {
			t.Errorf("ParsePeriod(%s): %v", text, err)
			continue
		}
		if got := p.After(from).Format(time.RFC3339); got != want {
			t.Errorf("ParsePeriod(%s).After = %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "P", "PT", "24H", "P1H", "PT1D", "-P1D", "P1.5D", "P1D2Y", "PT1M1H", "P1D1D", "P99999999999D", "PT9999999999999999H"} {
		if p, err := expr.ParsePeriod(text); fault.CodeOf(err) != "EXPR_DURATION" {
			t.Errorf("ParsePeriod(%q) = %v, %v, want EXPR_DURATION", text, p, err)
		}
	}
}

// TestPeriodWhereTheMonthHasNoMidnight counts a month to one whose first day begins
// at one o'clock.
func TestPeriodWhereTheMonthHasNoMidnight(t *testing.T) {
	t.Parallel()
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(1928, 8, 10, 10, 0, 0, 0, santiago)
	if got, want := (expr.Period{Months: 1}).After(from), time.Date(1928, 9, 10, 10, 0, 0, 0, santiago); !got.Equal(want) {
		t.Errorf("a month after %v = %v, want %v", from, got, want)
	}
}

func TestCycle(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]expr.Cycle{
		"R3/PT1H":                     {Count: 3, Every: expr.Period{Time: time.Hour}},
		"R/P1D":                       {Count: -1, Every: expr.Period{Days: 1}},
		"R2/2026-03-04T04:00:00Z/P1D": {Count: 2, Start: noon, Every: expr.Period{Days: 1}},
	} {
		got, err := expr.ParseCycle(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ParseCycle(%s): %v %s", text, err, diff)
		}
	}
	for _, text := range []string{"", "R3", "R0/PT1H", "3/PT1H", "R3/PT0S", "R/PT0.999S", "R3/1h", "R3/x/PT1H", "R-1/PT1H"} {
		if _, err := expr.ParseCycle(text); fault.CodeOf(err) != "EXPR_DURATION" {
			t.Errorf("ParseCycle(%q) = %v, want EXPR_DURATION", text, err)
		}
	}
}

func FuzzParsePeriod(f *testing.F) {
	for _, s := range []string{"PT24H", "P1Y2M3DT4H5M6.7S", "P2W", "P"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := expr.ParsePeriod(s)
		if err == nil && p.After(noon).Before(noon) {
			t.Errorf("ParsePeriod(%q).After goes back", s)
		}
	})
}

func BenchmarkBool(b *testing.B) {
	p, err := env(b).Compile("test.downMbps >= 800.0 && case.channel == 'app'", expr.Bool)
	if err != nil {
		b.Fatal(err)
	}
	act := expr.Activation{Variables: map[string]any{"test": map[string]any{"downMbps": 850.0}, "case": map[string]any{"channel": "app"}}}
	for b.Loop() {
		if ok, err := p.Bool(act); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "expressions/s")
}
