package packs_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/packs"
)

func TestShippedVectorsPass(t *testing.T) {
	t.Parallel()
	file, err := packs.FS.ReadFile("norm/vectors/cn.json")
	if err != nil {
		t.Fatal(err)
	}
	results, err := packs.Vectors(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) < 14 {
		t.Errorf("%d vectors, want at least 14", len(results))
	}
	for _, r := range results {
		if !r.OK {
			t.Errorf("%s", r)
		}
	}
}

func TestVectorsReportFailures(t *testing.T) {
	t.Parallel()
	file := `{"timezone":"Asia/Shanghai","calendar":"other.json","vectors":[
	 {"id":"wrong","norms":["CN-NP-EFFECT"],"start":"2026-03-03T10:20:00","due":"2026-03-03T12:00:00"},
	 {"id":"unknown","norms":["NO-SUCH"],"start":"2026-03-03T10:20:00","due":"2026-03-03T12:00:00"},
	 {"id":"area","norms":["CN-TR32-FAULT-URBAN-MAX"],"area":"rural","start":"2026-03-03T10:20:00","due":"2026-03-05T10:20:00"}]}`
	results, err := packs.Vectors([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, r.String())
	}
	want := []string{
		"FAIL wrong 2026-03-03T12:00:00 2026-03-03T11:00:00",
		"FAIL unknown 2026-03-03T12:00:00 indicator NO-SUCH is unknown",
		`FAIL area 2026-03-05T10:20:00 no indicator binds area "rural"`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Vectors (-want +got):\n%s", d)
	}
}

func TestPacksAreWhole(t *testing.T) {
	t.Parallel()
	n, err := packs.Norms()
	if err != nil {
		t.Fatal(err)
	}
	total, secondary, own := 0, 0, 0
	for _, s := range n.Standards {
		for _, v := range s.Versions {
			for _, i := range v.Indicators {
				switch i.Verification {
				case norm.Own:
					own++
					continue
				case norm.Secondary:
					secondary++
					if i.Enabled || s.Banner == (norm.Text{}) {
						t.Errorf("%s is secondary: enabled %v, banner %v", i.Code, i.Enabled, s.Banner)
					}
				default:
					if !i.Enabled {
						t.Errorf("%s is verified %s but disabled", i.Code, i.Verification)
					}
				}
				if i.Source == "" || i.Address == "" || i.Definition.ZH == "" || i.Definition.EN == "" {
					t.Errorf("%s lacks source, address or definition", i.Code)
				}
				total++
			}
		}
	}
	if total != 109 || secondary != 8 || own != 11 {
		t.Errorf("indicators = %d with %d secondary and %d own, want 109, 8, 11", total, secondary, own)
	}
}

func TestPackFilesRoundTrip(t *testing.T) {
	t.Parallel()
	n, err := packs.Norms()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range n.Standards {
		first, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := norm.ParseStandard(first, n.Vocabulary)
		if err != nil {
			t.Fatalf("read %s back: %v", s.Code, err)
		}
		second, err := again.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(first), string(second)); d != "" {
			t.Errorf("%s changes on the second export (-first +second):\n%s", s.Code, d)
		}
		asJSON, err := s.EncodeJSON()
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(asJSON) {
			t.Errorf("%s as JSON is not valid", s.Code)
		}
		third, err := norm.ParseStandard(asJSON, n.Vocabulary)
		if err != nil {
			t.Fatalf("read %s back from JSON: %v", s.Code, err)
		}
		if got, want := third.Digest(&third.Versions[0]), s.Digest(&s.Versions[0]); got != want {
			t.Errorf("digest of %s through JSON = %s, want %s", s.Code, got, want)
		}
	}
}

func TestCalendarsLoad(t *testing.T) {
	t.Parallel()
	c, err := packs.Calendars()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int{2025, 2026}, c.Statutory["cn-statutory"].AnnouncedYears()); d != "" {
		t.Errorf("announced years (-want +got):\n%s", d)
	}
	for _, code := range []string{"24x7", "field", "hall", "night", "ops", "office"} {
		if c.Hours[code] == nil {
			t.Errorf("hours %s are missing", code)
		}
	}
}
