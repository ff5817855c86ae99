package calendar_test

import (
	"os"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/fault"
)

// load reads a shipped calendar file.
func load(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../packs/calendar/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// china returns the shipped statutory calendar.
func china(t testing.TB) *calendar.Calendar {
	t.Helper()
	c, err := calendar.Parse(load(t, "cn-statutory"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// week returns a calendar of a zone with weekends only and the given years.
func week(t testing.TB, zone string, years ...int) *calendar.Calendar {
	t.Helper()
	doc := calendar.Document{
		Format: calendar.Format, Code: "week", Kind: calendar.Statutory, Timezone: zone,
		WeeklyWorkingDays: []calendar.Day{"mon", "tue", "wed", "thu", "fri"},
	}
	for _, y := range years {
		doc.Years = append(doc.Years, calendar.Year{Year: y, Source: "test"})
	}
	c, err := calendar.New(doc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lim makes a limit.
func lim(b calendar.Basis, value float64, u calendar.Unit, cutoffHour int) calendar.Limit {
	return calendar.Limit{Basis: b, Value: value, Unit: u, CutoffHour: cutoffHour}
}

func clock(t testing.TB, c *calendar.Calendar, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, c.Location())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDue(t *testing.T) {
	t.Parallel()
	c := china(t)
	elapsed := func(h float64) calendar.Limit { return lim(calendar.Elapsed, h, calendar.Hour, 0) }
	days := func(n float64) calendar.Limit { return lim(calendar.CalendarDays, n, calendar.CalDay, 0) }
	working := func(n float64) calendar.Limit {
		return lim(calendar.WorkingDays, n, calendar.WorkingDay, 0)
	}
	months := func(n float64) calendar.Limit {
		return lim(calendar.CalendarMonths, n, calendar.Month, 0)
	}
	sameDay := lim(calendar.SameDay, 0, calendar.CalDay, 16)
	hour := lim(calendar.NextHour, 60, calendar.Minute, 0)
	tests := []struct {
		name        string
		limit       calendar.Limit
		start       string
		pauses      [][2]string
		due         string // "" while open
		lastDay     string
		provisional bool
	}{
		{"hours run through days off", elapsed(48), "2026-02-16 23:30", nil, "2026-02-18 23:30", "2026-02-18", false},
		{"hours that end at midnight are in time on the day before", elapsed(24), "2026-03-03 00:00", nil, "2026-03-04 00:00", "2026-03-03", false},
		{"hours stand while paused", elapsed(48), "2026-03-03 08:00", [][2]string{{"2026-03-03 20:00", "2026-03-04 14:00"}}, "2026-03-06 02:00", "2026-03-06", false},
		{"overlapping pauses count once", elapsed(2), "2026-03-03 08:00", [][2]string{{"2026-03-03 09:00", "2026-03-03 11:00"}, {"2026-03-03 08:30", "2026-03-03 10:00"}}, "2026-03-03 12:30", "2026-03-03", false},
		{"a pause before the start counts nothing", elapsed(2), "2026-03-03 08:00", [][2]string{{"2026-03-02 09:00", "2026-03-03 08:00"}}, "2026-03-03 10:00", "2026-03-03", false},
		{"a pause from the due instant on counts nothing", elapsed(2), "2026-03-03 08:00", [][2]string{{"2026-03-03 10:00", ""}}, "2026-03-03 10:00", "2026-03-03", false},
		{"an open pause keeps the end unknown", elapsed(2), "2026-03-03 08:00", [][2]string{{"2026-03-03 09:00", ""}}, "", "", false},
		{"calendar days roll over the festival", days(1), "2026-02-14 10:00", nil, "2026-02-25 00:00", "2026-02-24", false},
		{"calendar days may end on a make-up Saturday", days(4), "2026-02-24 10:00", nil, "2026-03-01 00:00", "2026-02-28", false},
		{"no calendar day is the day itself", days(0), "2026-03-03 10:00", nil, "2026-03-04 00:00", "2026-03-03", false},
		{"no calendar day on a day off is the next working day", days(0), "2026-03-07 10:00", nil, "2026-03-10 00:00", "2026-03-09", false},
		{"four weeks", lim(calendar.CalendarDays, 4, calendar.Week, 0), "2026-03-03 10:00", nil, "2026-04-01 00:00", "2026-03-31", false},
		{"working days skip the festival", working(1), "2026-02-14 10:00", nil, "2026-02-25 00:00", "2026-02-24", false},
		{"working days from a day off", working(1), "2026-02-20 10:00", nil, "2026-02-25 00:00", "2026-02-24", false},
		{"a make-up Sunday counts", working(1), "2026-01-03 10:00", nil, "2026-01-05 00:00", "2026-01-04", false},
		{"the starting day never counts", working(1), "2026-03-03 00:00", nil, "2026-03-05 00:00", "2026-03-04", false},
		{"working days into a year not announced", working(5), "2026-12-29 10:00", nil, "2027-01-06 00:00", "2027-01-05", true},
		{"calendar days into a year not announced", days(15), "2026-12-28 10:00", nil, "2027-01-13 00:00", "2027-01-12", true},
		{"hours are never provisional", elapsed(240), "2026-12-28 10:00", nil, "2027-01-07 10:00", "2027-01-07", false},
		{"far in the future", working(1000), "2031-01-01 10:00", nil, "2034-11-02 00:00", "2034-11-01", true},
		{"months end on the same-numbered day", months(1), "2026-03-10 10:00", nil, "2026-04-11 00:00", "2026-04-10", false},
		{"months clip to the last day and roll", months(1), "2026-01-31 10:00", nil, "2026-03-01 00:00", "2026-02-28", false},
		{"month on a day off rolls", months(1), "2026-09-02 10:00", nil, "2026-10-09 00:00", "2026-10-08", false},
		{"months from 29 February", months(12), "2024-02-29 10:00", nil, "2025-03-01 00:00", "2025-02-28", false},
		{"same day before the cut-off", sameDay, "2026-03-03 15:59", nil, "2026-03-04 00:00", "2026-03-03", false},
		{"same day at the cut-off", sameDay, "2026-03-03 16:00", nil, "2026-03-05 00:00", "2026-03-04", false},
		{"same day holds on days off", sameDay, "2026-02-17 10:00", nil, "2026-02-18 00:00", "2026-02-17", false},
		{"same day waits for the chosen slot", sameDay, "2026-03-03 10:00", [][2]string{{"2026-03-03 11:00", "2026-03-06 09:00"}}, "2026-03-07 00:00", "2026-03-06", false},
		{"next whole hour", hour, "2026-03-03 10:20", nil, "2026-03-03 11:00", "2026-03-03", false},
		{"on the hour the next one", hour, "2026-03-03 10:00", nil, "2026-03-03 11:00", "2026-03-03", false},
		{"a pause over the hour moves it on", hour, "2026-03-03 10:20", [][2]string{{"2026-03-03 10:30", "2026-03-03 12:10"}}, "2026-03-03 13:00", "2026-03-03", false},
		{"a pause within a day moves no day count", working(5), "2026-03-03 10:00", [][2]string{{"2026-03-04 09:00", "2026-03-04 17:00"}}, "2026-03-11 00:00", "2026-03-10", false},
		{"a pause over two day-ends moves two days", working(5), "2026-03-03 10:00", [][2]string{{"2026-03-04 09:00", "2026-03-06 17:00"}}, "2026-03-13 00:00", "2026-03-12", false},
		{"a pause over a weekend moves one working day", working(5), "2026-03-03 10:00", [][2]string{{"2026-03-06 09:00", "2026-03-09 09:00"}}, "2026-03-12 00:00", "2026-03-11", false},
		{"pauses of calendar days add up", days(3), "2026-03-02 10:00", [][2]string{{"2026-03-03 09:00", "2026-03-04 09:00"}, {"2026-03-05 09:00", "2026-03-06 09:00"}}, "2026-03-10 00:00", "2026-03-09", false},
		{"an open pause keeps a day count unknown", working(5), "2026-03-03 10:00", [][2]string{{"2026-03-04 09:00", ""}}, "", "", false},
		{"a pause moves the start of months", months(1), "2026-03-10 10:00", [][2]string{{"2026-03-11 09:00", "2026-03-13 09:00"}}, "2026-04-14 00:00", "2026-04-13", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var pauses []calendar.Pause
			for _, p := range tt.pauses {
				pause := calendar.Pause{From: clock(t, c, p[0])}
				if p[1] != "" {
					pause.To = clock(t, c, p[1])
				}
				pauses = append(pauses, pause)
			}
			got, err := c.Due(tt.limit, clock(t, c, tt.start), pauses)
			if err != nil {
				t.Fatal(err)
			}
			if tt.due == "" {
				if !got.Open || !got.At.IsZero() {
					t.Errorf("Due = %v, want open", got)
				}
				return
			}
			want := clock(t, c, tt.due)
			if !got.At.Equal(want) || got.LastDay.String() != tt.lastDay || got.Provisional != tt.provisional {
				t.Errorf("Due(%v, %s) = %v last day %v provisional %v, want %v %v %v",
					tt.limit, tt.start, got.At, got.LastDay, got.Provisional, want, tt.lastDay, tt.provisional)
			}
		})
	}
}

func TestDueInZonesThatChangeTheirClocks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, zone, start string
		limit             calendar.Limit
		want              string // RFC 3339
	}{
		{"hours are exact over the spring change", "Europe/London", "2026-03-28 12:00", lim(calendar.Elapsed, 24, calendar.Hour, 0), "2026-03-29T13:00:00+01:00"},
		{"days are civil over the spring change", "Europe/London", "2026-03-27 12:00", lim(calendar.CalendarDays, 3, calendar.CalDay, 0), "2026-03-31T00:00:00+01:00"},
		{"days are civil over the autumn change", "America/New_York", "2026-10-30 12:00", lim(calendar.WorkingDays, 1, calendar.WorkingDay, 0), "2026-11-03T00:00:00-05:00"},
		{"midnight that does not exist", "America/Santiago", "2026-09-04 12:00", lim(calendar.SameDay, 1, calendar.CalDay, 0), "2026-09-06T01:00:00-03:00"},
		{"midnight that comes twice ends the day once", "America/Havana", "2025-11-01 12:00", lim(calendar.SameDay, 0, calendar.CalDay, 0), "2025-11-02T00:00:00-04:00"},
		{"clocks that go back into the day before", "America/Santiago", "2026-04-04 12:00", lim(calendar.SameDay, 0, calendar.CalDay, 0), "2026-04-05T00:00:00-04:00"},
		{"whole hours of a half-hour zone", "Asia/Kolkata", "2026-03-03 10:20", lim(calendar.NextHour, 1, calendar.Hour, 0), "2026-03-03T11:00:00+05:30"},
		{"half-hour change of the clocks", "Australia/Lord_Howe", "2026-10-04 01:40", lim(calendar.NextHour, 1, calendar.Hour, 0), "2026-10-04T03:00:00+11:00"},
		{"a day that was left out", "Pacific/Apia", "2011-12-29 12:00", lim(calendar.SameDay, 0, calendar.CalDay, 0), "2011-12-31T00:00:00+14:00"},
	}
	for _, tt := range tests {
		for _, indexed := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				c := week(t, tt.zone)
				if indexed {
					c = week(t, tt.zone, 2011, 2025, 2026)
				}
				got, err := c.Due(tt.limit, clock(t, c, tt.start), nil)
				if err != nil {
					t.Fatal(err)
				}
				if s := got.At.Format(time.RFC3339); s != tt.want {
					t.Errorf("Due(%v, %s) indexed %v = %s, want %s", tt.limit, tt.start, indexed, s, tt.want)
				}
			})
		}
	}
}

func TestDueRefusesLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		limit calendar.Limit
		code  string
	}{
		{lim("fortnights", 1, calendar.CalDay, 0), "LIMIT_BASIS_UNKNOWN"},
		{lim(calendar.WorkingDays, 1, calendar.CalDay, 0), "LIMIT_UNIT_WRONG"},
		{lim(calendar.Elapsed, 1, calendar.Month, 0), "LIMIT_UNIT_WRONG"},
		{lim(calendar.WorkingDays, 1.5, calendar.WorkingDay, 0), "LIMIT_VALUE_WRONG"},
		{lim(calendar.CalendarDays, -1, calendar.CalDay, 0), "LIMIT_VALUE_WRONG"},
		{lim(calendar.Elapsed, 1e12, calendar.Hour, 0), "LIMIT_VALUE_WRONG"},
		{lim(calendar.NextHour, 30, calendar.Minute, 0), "LIMIT_VALUE_WRONG"},
		{lim(calendar.SameDay, 0, calendar.CalDay, 25), "LIMIT_CUTOFF_WRONG"},
	}
	c := china(t)
	for _, tt := range tests {
		if _, err := c.Due(tt.limit, clock(t, c, "2026-03-03 10:00"), nil); fault.CodeOf(err) != tt.code {
			t.Errorf("Due(%v) = %v, want %s", tt.limit, err, tt.code)
		}
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	c := china(t)
	at := func(s string) time.Time { return clock(t, c, s) }
	elapsed := lim(calendar.Elapsed, 48, calendar.Hour, 0)
	working := lim(calendar.WorkingDays, 5, calendar.WorkingDay, 0)
	open := []calendar.Pause{{From: at("2026-03-03 20:00")}}
	tests := []struct {
		name     string
		limit    calendar.Limit
		now      string
		pauses   []calendar.Pause
		left     time.Duration
		days     int
		paused   bool
		breached bool
	}{
		{"running", elapsed, "2026-03-04 08:00", nil, 24 * time.Hour, 0, false, false},
		{"paused, what is left stands", elapsed, "2026-03-06 08:00", open, 36 * time.Hour, 0, true, false},
		{"late", elapsed, "2026-03-05 09:00", nil, -time.Hour, 0, false, true},
		{"at the due instant it is late", elapsed, "2026-03-05 08:00", nil, 0, 0, false, true},
		{"days left", working, "2026-03-06 08:00", nil, 4*24*time.Hour + 16*time.Hour, 3, false, false},
		{"days left while paused", working, "2026-03-05 08:00", open, 6*24*time.Hour + 16*time.Hour, 5, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.Remaining(tt.limit, at("2026-03-03 08:00"), at(tt.now), tt.pauses)
			if err != nil {
				t.Fatal(err)
			}
			if got.Time != tt.left || got.Days != tt.days || got.Paused != tt.paused || got.Breached != tt.breached {
				t.Errorf("Remaining = %+v, want %v %d days paused %v breached %v", got, tt.left, tt.days, tt.paused, tt.breached)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	head := "format: openspms-calendar/1\ncode: x\nkind: statutory\nname: {zh: x}\ntimezone: Asia/Shanghai\nweekly_working_days: [mon, tue]\n"
	year := "years:\n  - year: 2026\n    source: s\n"
	tests := []struct{ name, file, code, item string }{
		{"unknown field", head + "colour: red\n", "CALENDAR_SYNTAX", ""},
		{"alias", "format: &a x\ncode: *a\n", "CALENDAR_SYNTAX", ""},
		{"empty", "", "CALENDAR_SYNTAX", ""},
		{"not UTF-8", "\xff\xfe", "CALENDAR_SYNTAX", ""},
		{"wrong day", head + year + "    make_up_workdays: [2026-02-30]\n", "CALENDAR_SYNTAX", ""},
		{"no format", "code: x\nkind: statutory\nname: {zh: x}\ntimezone: Asia/Shanghai\nweekly_working_days: [mon]\n", "CALENDAR_INVALID", "CALENDAR_FORMAT_UNKNOWN"},
		{"unknown zone", "format: openspms-calendar/1\ncode: x\nkind: statutory\nname: {zh: x}\ntimezone: Mars/Base\nweekly_working_days: [mon]\n", "CALENDAR_INVALID", "CALENDAR_ZONE_UNKNOWN"},
		{"no working day", "format: openspms-calendar/1\ncode: x\nkind: statutory\nname: {zh: x}\ntimezone: Asia/Shanghai\n", "CALENDAR_INVALID", "CALENDAR_NO_WORKING_DAY"},
		{"off and make-up at once", head + year + "    days_off: [{name: {zh: a}, days: [2026-01-03]}]\n    make_up_workdays: [2026-01-03]\n", "CALENDAR_INVALID", "CALENDAR_DAY_REPEATED"},
		{"day of another year", head + year + "    days_off: [{name: {zh: a}, days: [2027-01-01]}]\n", "CALENDAR_INVALID", "CALENDAR_DAY_OUTSIDE_YEAR"},
		{"make-up on a working day", head + year + "    make_up_workdays: [2026-01-05]\n", "CALENDAR_INVALID", "CALENDAR_MAKEUP_ON_WORKDAY"},
		{"year twice", head + year + "  - year: 2026\n    source: s\n", "CALENDAR_INVALID", "CALENDAR_YEAR_WRONG"},
		{"hours that overlap", "format: openspms-calendar/1\ncode: x\nkind: hours\nname: {zh: x}\ntimezone: Asia/Shanghai\nweekly: {mon: [\"09:00-12:00\", \"11:00-13:00\"]}\nstatutory: open\n", "CALENDAR_INVALID", "CALENDAR_WINDOW_WRONG"},
		{"never open", "format: openspms-calendar/1\ncode: x\nkind: hours\nname: {zh: x}\ntimezone: Asia/Shanghai\nstatutory: open\n", "CALENDAR_INVALID", "CALENDAR_NEVER_OPEN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := calendar.ParseDocument([]byte(tt.file))
			e := fault.From(err)
			if e == nil || e.Code != tt.code {
				t.Fatalf("ParseDocument = %v, want %s", err, tt.code)
			}
			if tt.code == "CALENDAR_SYNTAX" && e.Param("line") == nil {
				t.Errorf("ParseDocument = %v, want a line", err)
			}
			if tt.item != "" && (len(e.Items) == 0 || e.Items[0].Code != tt.item || len(e.Items[0].Path) == 0) {
				t.Errorf("items of %v, want %s with a path", err, tt.item)
			}
		})
	}
}

func TestDocumentRoundTrip(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cn-statutory", "office", "night", "uk-week"} {
		doc, err := calendar.ParseDocument(load(t, name))
		if err != nil {
			t.Fatal(err)
		}
		text, err := doc.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := calendar.ParseDocument(text)
		if err != nil {
			t.Fatalf("read %s back: %v\n%s", name, err, text)
		}
		if d := cmp.Diff(doc, again); d != "" {
			t.Errorf("%s changes on the way (-want +got):\n%s", name, d)
		}
		if doc.Digest() != again.Digest() {
			t.Errorf("digest of %s changes on the way", name)
		}
	}
}
