package calendar_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openspms/spms/internal/calendar"
	"github.com/openspms/spms/internal/fault"
)

func hours(t testing.TB, name string) *calendar.Hours {
	t.Helper()
	doc, err := calendar.ParseDocument(load(t, name))
	if err != nil {
		t.Fatal(err)
	}
	h, err := calendar.NewHours(doc, china(t))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHours(t *testing.T) {
	t.Parallel()
	c := china(t)
	tests := []struct {
		name, hours, at string
		open            bool
		next, close     string // "" for never
		after4h         string // Add four hours
	}{
		{"around the clock", "24x7", "2026-03-03 10:00", true, "2026-03-03 10:00", "", "2026-03-03 14:00"},
		{"office over lunch", "office", "2026-03-03 10:00", true, "2026-03-03 10:00", "2026-03-03 12:00", "2026-03-03 15:00"},
		{"office after work", "office", "2026-03-03 18:00", false, "2026-03-04 09:00", "2026-03-03 18:00", "2026-03-04 14:00"},
		{"office on a festival", "office", "2026-02-17 10:00", false, "2026-02-24 09:00", "2026-02-17 10:00", "2026-02-24 14:00"},
		{"office on a make-up Saturday", "office", "2026-02-28 10:00", true, "2026-02-28 10:00", "2026-02-28 12:00", "2026-02-28 15:00"},
		{"field on a festival", "field", "2026-02-17 08:00", false, "2026-02-17 09:00", "2026-02-17 08:00", "2026-02-17 13:00"},
		{"night over midnight", "night", "2026-03-03 23:00", true, "2026-03-03 23:00", "2026-03-04 08:00", "2026-03-04 03:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, at := hours(t, tt.hours), clock(t, c, tt.at)
			if got := h.Open(at); got != tt.open {
				t.Errorf("Open(%s) = %v, want %v", tt.at, got, tt.open)
			}
			if got := h.NextOpen(at); !got.Equal(clock(t, c, tt.next)) {
				t.Errorf("NextOpen(%s) = %v, want %s", tt.at, got, tt.next)
			}
			got := h.NextClose(at)
			if tt.close == "" && !got.IsZero() || tt.close != "" && !got.Equal(clock(t, c, tt.close)) {
				t.Errorf("NextClose(%s) = %v, want %q", tt.at, got, tt.close)
			}
			if got := h.Add(at, 4*time.Hour); !got.Equal(clock(t, c, tt.after4h)) {
				t.Errorf("Add(%s, 4h) = %v, want %s", tt.at, got, tt.after4h)
			}
		})
	}
}

func TestHoursNeedTheStatutoryCalendar(t *testing.T) {
	t.Parallel()
	doc, err := calendar.ParseDocument(load(t, "office"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := calendar.NewHours(doc, nil); fault.CodeOf(err) != "CALENDAR_STATUTORY_MISSING" {
		t.Errorf("NewHours = %v, want CALENDAR_STATUTORY_MISSING", err)
	}
}

func TestHoursAddAndBetweenAgree(t *testing.T) {
	t.Parallel()
	all := []*calendar.Hours{hours(t, "24x7"), hours(t, "office"), hours(t, "night"), hours(t, "field")}
	rapid.Check(t, func(t *rapid.T) {
		h := rapid.SampledFrom(all).Draw(t, "hours")
		from := time.Unix(rapid.Int64Range(1_735_000_000, 1_798_000_000).Draw(t, "from"), 0)
		d := time.Duration(rapid.Int64Range(1, 200*3600).Draw(t, "seconds")) * time.Second
		to := h.Add(from, d)
		if got := h.Between(from, to); got != d {
			t.Fatalf("Between(%v, Add(%v)) = %v, want %v", from, from, got, d)
		}
		if next := h.NextOpen(from); !h.Open(next) || next.Before(from) || h.Between(from, next) != 0 {
			t.Fatalf("NextOpen(%v) = %v is not the next opening", from, next)
		}
	})
}
