package packs_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/packs"
)

// shipped returns the packs and the Chinese calendar.
func shipped(t testing.TB) (*packs.Norm, *calendar.Calendar) {
	t.Helper()
	n, err := packs.Norms()
	if err != nil {
		t.Fatal(err)
	}
	c, err := packs.Calendars()
	if err != nil {
		t.Fatal(err)
	}
	return n, c.Statutory["cn-statutory"]
}

// bind resolves and counts the clocks of a case start.
func bind(t testing.TB, q norm.Query) []string {
	t.Helper()
	n, cal := shipped(t)
	applicable, err := n.Set.Resolve(q, nil)
	if err != nil {
		t.Fatal(err)
	}
	var clocks []norm.Clock
	for _, a := range applicable {
		at, provisional, err := a.Indicator.Count(cal, q.At, nil)
		if err != nil {
			t.Fatal(err)
		}
		clocks = append(clocks, norm.Clock{Applicable: a, Due: at, Provisional: provisional})
	}
	var out []string
	bound := norm.Bind(clocks)
	for _, b := range bound {
		by := "binds"
		if b.ShadowedBy >= 0 {
			by = "shadowed by " + bound[b.ShadowedBy].Indicator.Code
		}
		out = append(out, fmt.Sprintf("%s %s %s %s", b.Indicator.Code, b.Nature, b.Due.In(cal.Location()).Format("2006-01-02 15:04"), by))
	}
	return out
}

func TestClocksOfACase(t *testing.T) {
	t.Parallel()
	henan, chongqing := []string{"CN-HA-ZZ", "CN-HA", "CN"}, []string{"CN-CQ-YB", "CN-CQ", "CN"}
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04 -0700", s+" +0800")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	attribute := func(name, value string) func(string) (string, bool) {
		return func(n string) (string, bool) { return value, n == name }
	}
	tests := []struct {
		name  string
		query norm.Query
		want  []string
	}{
		{"complaint in Henan", norm.Query{Regions: henan, Service: "mobile", Area: "urban", StartEvent: "complaint.received", At: at("2026-02-12 10:00")}, []string{
			"CN-O35-COMPLAINT-ANSWER limit 2026-02-28 00:00 shadowed by CN41-ART38-COMPLAINT",
			"CN41-ART38-COMPLAINT limit 2026-02-27 00:00 binds",
		}},
		{"complaint in Chongqing", norm.Query{Regions: chongqing, Service: "mobile", Area: "urban", StartEvent: "complaint.received", At: at("2026-02-12 10:00")}, []string{
			"CN-O35-COMPLAINT-ANSWER limit 2026-02-28 00:00 binds",
			"CN50-ART20-COMPLAINT limit 2026-03-12 00:00 shadowed by CN-O35-COMPLAINT-ANSWER",
		}},
		{"mobile fault in the country", norm.Query{Regions: chongqing, Service: "mobile", Area: "rural", StartEvent: "fault.reported", At: at("2026-03-03 08:15")}, []string{
			"CN-TR32-FAULT-RURAL-MAX limit 2026-03-06 08:15 shadowed by CN-3G-2.5-FAULT-MAX",
			"CN-3G-2.5-FAULT-MAX limit 2026-03-05 08:15 binds",
		}},
		{"fibre order in a town: limit and pledge bind side by side", norm.Query{Regions: henan, Service: "home broadband", Area: "urban", StartEvent: "order.accepted", At: at("2026-02-10 11:00")}, []string{
			"ENT-ACTIVATE-URBAN-16WD limit 2026-03-11 00:00 binds",
			"ENT-FTTH-48H pledge 2026-02-12 11:00 binds",
		}},
		{"same-day pledge", norm.Query{Regions: henan, Service: "home broadband", Area: "urban", StartEvent: "order.ready_for_dispatch", At: at("2026-03-03 15:59")}, []string{
			"ENT-SAMEDAY-INSTALL pledge 2026-03-04 00:00 binds",
		}},
		{"leased line on the net", norm.Query{Regions: henan, Service: "leased line", Area: "urban", StartEvent: "order.accepted", At: at("2026-03-03 10:00"), Attribute: attribute("build", "onnet")}, []string{
			"ENT-LL-ONNET pledge 2026-03-18 00:00 binds",
			"ENT-LL-NONRES-4W pledge 2026-03-31 10:00 shadowed by ENT-LL-ONNET",
		}},
		{"suspension is a floor", norm.Query{Regions: henan, Service: "mobile", Area: "urban", StartEvent: "bill.due", At: at("2026-03-03 10:00")}, []string{
			"CN-TR34-SUSPEND-MIN floor 2026-04-03 00:00 binds",
		}},
		{"another country sees none of it", norm.Query{Regions: []string{"AU-NSW", "AU"}, Service: "mobile", Area: "urban", StartEvent: "complaint.received", At: at("2026-03-03 10:00"), Attribute: attribute("urgency", "normal")}, []string{
			"AU-CCH-PROPOSE limit 2026-03-18 00:00 binds",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, bind(t, tt.query)); d != "" {
				t.Errorf("clocks (-want +got):\n%s", d)
			}
		})
	}
}

func TestResolveRefusesUnknownWords(t *testing.T) {
	t.Parallel()
	n, _ := shipped(t)
	if _, err := n.Set.Resolve(norm.Query{Service: "telepathy", Area: "any"}, nil); fault.CodeOf(err) != "NORM_SERVICE_UNKNOWN" {
		t.Errorf("Resolve = %v, want NORM_SERVICE_UNKNOWN", err)
	}
	if _, err := n.Set.Resolve(norm.Query{Service: "any", Area: "moon"}, nil); fault.CodeOf(err) != "NORM_AREA_UNKNOWN" {
		t.Errorf("Resolve = %v, want NORM_AREA_UNKNOWN", err)
	}
}

func TestResolveLooksAtTheDate(t *testing.T) {
	t.Parallel()
	n, _ := shipped(t)
	for at, want := range map[string]int{"2018-07-25T15:59:59Z": 0, "2018-07-25T16:00:00Z": 1} {
		instant, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := n.Set.Resolve(norm.Query{Regions: []string{"CN-CQ"}, Service: "mobile", Area: "urban", StartEvent: "complaint.received", At: instant}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != want {
			t.Errorf("Resolve at %s gives %d indicators, want %d", at, len(got), want)
		}
	}
}

// candidate makes an enterprise limit on answering complaints.
func candidate(basis norm.Basis, value float64, unit norm.Unit) *norm.Indicator {
	return &norm.Indicator{
		Code: "CANDIDATE", Statistic: norm.Max, Comparator: norm.AtMost, Value: value, Unit: unit, Basis: basis,
		StartEvent: "complaint.received", StopEvent: "complaint.answered", Services: []string{"telecom"}, Areas: []string{"any"},
	}
}

func TestCompareStrictness(t *testing.T) {
	t.Parallel()
	n, cal := shipped(t)
	find := func(code string) *norm.Indicator {
		a, ok := n.Set.Find(code, time.Time{})
		if !ok {
			t.Fatalf("no indicator %s", code)
		}
		return a.Indicator
	}
	ten := candidate(norm.CalendarDays, 10, norm.Day)
	ten.Code = "TEN-DAYS"
	urban := candidate(norm.Elapsed, 60, norm.Hour)
	urban.StartEvent, urban.StopEvent, urban.Areas = "fault.reported", "fault.cleared", []string{"urban"}
	everywhere := *urban
	everywhere.Areas = []string{"any"}
	pledge := *urban
	pledge.Target = 0.9
	tests := []struct {
		name          string
		candidate     *norm.Indicator
		above         []*norm.Indicator
		verdict       norm.Verdict
		first, looser string // days of the first stricter and first looser start
	}{
		{"15 working days against 15 days", candidate(norm.WorkingDays, 15, norm.WorkingDay), []*norm.Indicator{find("CN-O35-COMPLAINT-ANSWER")}, norm.Never, "", "2025-01-01"},
		{"7 working days against 10 days", candidate(norm.WorkingDays, 7, norm.WorkingDay), []*norm.Indicator{ten}, norm.Sometimes, "2025-01-01", "2025-01-03"},
		{"5 days against 15 days", candidate(norm.CalendarDays, 5, norm.Day), []*norm.Indicator{find("CN-O35-COMPLAINT-ANSWER")}, norm.Always, "2025-01-01", ""},
		{"equal is never stricter", candidate(norm.CalendarDays, 15, norm.Day), []*norm.Indicator{find("CN-O35-COMPLAINT-ANSWER")}, norm.Never, "", ""},
		{"what is measured counts, not the name", candidate(norm.CalendarDays, 90, norm.Day), []*norm.Indicator{find("CN-TR32-FAULT-URBAN-MAX")}, norm.Always, "", ""},
		{"60 hours against 48", urban, []*norm.Indicator{find("CN-TR32-FAULT-URBAN-MAX"), find("CN-TR32-FAULT-RURAL-MAX")}, norm.Never, "", "2025-01-01"},
		{"60 hours against 48 in town and 72 in the country", &everywhere, []*norm.Indicator{find("CN-TR32-FAULT-URBAN-MAX"), find("CN-TR32-FAULT-RURAL-MAX")}, norm.Sometimes, "2025-01-01", "2025-01-01"},
		{"a pledge may not promise less than the limit", &pledge, []*norm.Indicator{find("CN-TR32-FAULT-URBAN-MAX")}, norm.Never, "", "2025-01-01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := norm.CompareStrictness(tt.candidate, tt.above, n.Vocabulary, cal)
			if err != nil {
				t.Fatal(err)
			}
			day := func(at time.Time) string {
				if at.IsZero() {
					return ""
				}
				return at.In(cal.Location()).Format(time.DateOnly)
			}
			if got.Verdict != tt.verdict || day(got.FirstStricter) != tt.first || day(got.FirstLooser) != tt.looser {
				t.Errorf("CompareStrictness = %s first stricter %s looser %s, want %s %s %s",
					got.Verdict, day(got.FirstStricter), day(got.FirstLooser), tt.verdict, tt.first, tt.looser)
			}
		})
	}
}

func TestStrictnessEnumeratesTheCalendar(t *testing.T) {
	t.Parallel()
	n, cal := shipped(t)
	ten := candidate(norm.CalendarDays, 10, norm.Day)
	ten.Code = "TEN-DAYS"
	seven := candidate(norm.WorkingDays, 7, norm.WorkingDay)
	got, err := norm.CompareStrictness(seven, []*norm.Indicator{ten}, n.Vocabulary, cal)
	if err != nil {
		t.Fatal(err)
	}
	spans := got.Scopes[0].Spans
	if spans[0].From != "2025-01-01" {
		t.Errorf("spans begin %s, want 2025-01-01", spans[0].From)
	}
	for i, s := range spans {
		for d := s.From; d <= s.To; d = next(t, d) {
			start, err := time.ParseInLocation(time.DateOnly, d, cal.Location())
			if err != nil {
				t.Fatal(err)
			}
			a, _, _ := seven.Count(cal, start, nil)
			b, _, _ := ten.Count(cal, start, nil)
			want := map[int]norm.Relation{-1: norm.Stricter, 0: norm.Equal, 1: norm.Looser}[a.Compare(b)]
			if s.Relation != want {
				t.Fatalf("%s is %s, want %s", d, s.Relation, want)
			}
		}
		if i > 0 && s.From != next(t, spans[i-1].To) {
			t.Errorf("a gap between %s and %s", spans[i-1].To, s.From)
		}
	}
	if last := spans[len(spans)-1].To; last < "2026-12-15" || last > "2026-12-24" {
		t.Errorf("spans end %s, want the last start whose dues are announced", last)
	}
}

func next(t *testing.T, day string) string {
	t.Helper()
	d, err := calendar.ParseDate(day)
	if err != nil {
		t.Fatal(err)
	}
	return (d + 1).String()
}

func TestEnterpriseSampleIsNeverLooser(t *testing.T) {
	t.Parallel()
	n, cal := shipped(t)
	var above []*norm.Indicator
	var own []norm.Indicator
	for _, s := range n.Standards {
		for i := range s.Versions[0].Indicators {
			ind := &s.Versions[0].Indicators[i]
			switch {
			case s.Code == "ENT-HQ":
				own = append(own, *ind)
			case s.Jurisdiction == "CN" && ind.Enabled && s.Authority != norm.Enterprise:
				above = append(above, ind)
			}
		}
	}
	for i := range own {
		got, err := norm.CompareStrictness(&own[i], above, n.Vocabulary, cal)
		if err != nil {
			t.Fatal(err)
		}
		if got.Verdict == norm.Never {
			t.Errorf("%s is never stricter than %v", own[i].Code, got.Scopes)
		}
	}
}

func TestSetFindsDisabledIndicators(t *testing.T) {
	t.Parallel()
	n, _ := shipped(t)
	a, ok := n.Set.Find("EX-CT-SAMEDAY-INSTALL", time.Time{})
	if !ok || a.Indicator.Enabled || a.Indicator.Basis != norm.SameDay || a.Indicator.CutoffHour != 16 {
		t.Errorf("Find(EX-CT-SAMEDAY-INSTALL) = %+v, %v, want a disabled same-day indicator with cut-off 16", a.Indicator, ok)
	}
}

// BenchmarkBindCaseStart is the start of a case with more than 500 indicators in
// force: in twenty provinces, so that a case has 26 clocks, and all for the case.
func BenchmarkBindCaseStart(b *testing.B) {
	b.Run("in 20 provinces", func(b *testing.B) { bindCaseStart(b, func(i int) string { return fmt.Sprintf("CN-%02d", i) }) })
	b.Run("all for the case", func(b *testing.B) { bindCaseStart(b, func(int) string { return "CN" }) })
}

func bindCaseStart(b *testing.B, jurisdiction func(i int) string) {
	n, cal := shipped(b)
	base, _ := n.Set.Find("CN-O35-COMPLAINT-ANSWER", time.Time{})
	standards := slices.Clone(n.Standards)
	for i := range 20 { // 20 regions of 25 indicators: more than 500 in force with the packs
		s := &norm.Standard{Code: fmt.Sprintf("S%d", i), Authority: norm.Enterprise, Jurisdiction: jurisdiction(i), Versions: []norm.Version{{Number: 1}}}
		for j := range 25 {
			ind := *base.Indicator
			ind.Code = fmt.Sprintf("I%d-%d", i, j)
			ind.Value = float64(j + 1)
			s.Versions[0].Indicators = append(s.Versions[0].Indicators, ind)
		}
		standards = append(standards, s)
	}
	set, err := norm.NewSet(*n.Vocabulary, standards...)
	if err != nil {
		b.Fatal(err)
	}
	q := norm.Query{Regions: []string{"CN-07-ZZ", "CN-07", "CN"}, Service: "mobile", Area: "urban", StartEvent: "complaint.received", At: time.Date(2026, 3, 3, 10, 0, 0, 0, cal.Location())}
	var applicable []norm.Applicable
	var clocks []norm.Clock
	b.ReportAllocs()
	for b.Loop() {
		if applicable, err = set.Resolve(q, applicable[:0]); err != nil {
			b.Fatal(err)
		}
		clocks = clocks[:0]
		for _, a := range applicable {
			at, provisional, err := a.Indicator.Count(cal, q.At, nil)
			if err != nil {
				b.Fatal(err)
			}
			clocks = append(clocks, norm.Clock{Applicable: a, Due: at, Provisional: provisional})
		}
		norm.Bind(clocks)
	}
	b.ReportMetric(float64(len(clocks)), "clocks")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/start")
}

func BenchmarkCompareStrictness(b *testing.B) {
	n, cal := shipped(b)
	ten, seven := candidate(norm.CalendarDays, 10, norm.Day), candidate(norm.WorkingDays, 7, norm.WorkingDay)
	ten.Code = "TEN-DAYS"
	for b.Loop() {
		if _, err := norm.CompareStrictness(seven, []*norm.Indicator{ten}, n.Vocabulary, cal); err != nil {
			b.Fatal(err)
		}
	}
}
