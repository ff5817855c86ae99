package simulation_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/simulation"
)

// TestDrawKeepsItsMean draws 200,000 times from every family and compares the
// mean with the one its parameters say, within five standard errors.
func TestDrawKeepsItsMean(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, figures string
		mean, sd      float64 // minutes
	}{
		{"fixed", `{"duration": {"dist": "fixed", "value": 8, "unit": "min"}}`, 8, 0.01},
		{"exponential", `{"duration": {"dist": "exp", "mean": 30, "unit": "min"}}`, 30, 30},
		{"lognormal", `{"duration": {"dist": "lognormal", "mean": 90, "sd": 30, "unit": "min"}}`, 90, 30},
		{"uniform hours", `{"duration": {"dist": "uniform", "min": 12, "max": 48, "unit": "h"}}`, 1800, 624},
		{"triangular", `{"duration": {"dist": "triangular", "min": 1, "mode": 3, "max": 8, "unit": "min"}}`, 4, 1.5},
		{"choice", `{"duration": {"dist": "choice", "options": [{"p": 0.7, "d": {"dist": "fixed", "value": 1, "unit": "min"}},
			{"p": 0.3, "d": {"dist": "fixed", "value": 11, "unit": "min"}}]}}`, 4, 5},
		{"by attribute", `{"duration": {"dist": "fixed", "value": 1}, "duration_by": {"attr": "area", "cases": {"rural": {"dist": "fixed", "value": 5, "unit": "min"}}}}`, 5, 0.01},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := simulation.ParseNode(tt.figures)
			if err != nil {
				t.Fatalf("ParseNode() = %v", err)
			}
			const draws = 200_000
			src := rand.New(rand.NewPCG(1, 2))
			var sum float64
			for range draws {
				s, ok := n.Draw(src, func(string) string { return "rural" })
				if !ok || s.Exact < 0 {
					t.Fatalf("Draw() = %v, %v, want a duration not below zero", s, ok)
				}
				sum += s.Exact.Minutes()
			}
			if got, slack := sum/draws, 5*tt.sd/math.Sqrt(draws)+1e-3; math.Abs(got-tt.mean) > slack {
				t.Errorf("the mean of %d draws is %.3f min, want %.3f ± %.3f", draws, got, tt.mean, slack)
			}
		})
	}
}

func TestWorkingDaysAreWhole(t *testing.T) {
	t.Parallel()
	d := simulation.Distribution{Dist: "triangular", Min: 1, Mode: 3, Max: 5, Unit: "wd"}
	src := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		if s := d.Draw(src); s.WorkingDays < 1 || s.WorkingDays > 5 || s.Exact != 0 {
			t.Fatalf("Draw() = %+v, want 1 to 5 working days", s)
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, figures string
		want          float64
		ok            bool
	}{
		{"plain", `{"prob": 0.25}`, 0.25, true},
		{"by attribute", `{"prob_by": {"attr": "area", "cases": {"urban": 0.98}}}`, 0.98, true},
		{"attribute without a share", `{"prob_by": {"attr": "area", "cases": {"rural": 0.9}}}`, 0, false},
		{"a test of an attribute", `{"when": {"attr": "channel", "in": ["app"]}}`, 0, false},
		{"none", ``, 0, false},
	}
	for _, tt := range tests {
		f, err := simulation.ParseFlow(tt.figures)
		if err != nil {
			t.Fatalf("%s: ParseFlow() = %v", tt.name, err)
		}
		if got, ok := f.Share(func(string) string { return "urban" }); got != tt.want || ok != tt.ok {
			t.Errorf("%s: Share() = %v, %v, want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
	if _, err := simulation.ParseFlow(`{"prob": "often"}`); fault.CodeOf(err) != "SIMULATION_UNREADABLE" {
		t.Errorf("ParseFlow of words = %v, want SIMULATION_UNREADABLE", err)
	}
}
