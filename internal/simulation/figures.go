// Package simulation reads the figures that processes carry for virtual runs,
// durations, branch shares and prices, and draws from them. Its main types are
// Node, Flow and Distribution. Random numbers come from the caller's Source, so
// that equal seeds give equal runs; it knows no rows and no wall clock.
package simulation

import (
	"encoding/json"
	"math"
	"time"

	"github.com/openspms/spms/internal/fault"
)

// Source is where random numbers come from; *rand.Rand of math/rand/v2 is one.
type Source interface {
	Float64() float64     // uniform in [0, 1)
	NormFloat64() float64 // standard normal
	ExpFloat64() float64  // exponential of rate 1
}

// Node is the simulation element of a flow node.
type Node struct {
	Duration   *Distribution `json:"duration"`
	DurationBy *struct {
		Attr  string                  `json:"attr"`
		Cases map[string]Distribution `json:"cases"`
	} `json:"duration_by"`
	FixedCost float64 `json:"fixed_cost"` // in yuan
}

// Flow is the simulation element of a sequence flow.
type Flow struct {
	Prob   *float64 `json:"prob"`
	ProbBy *struct {
		Attr  string             `json:"attr"`
		Cases map[string]float64 `json:"cases"`
	} `json:"prob_by"`
}

// Distribution is a family (fixed, exp, lognormal, triangular, uniform or
// choice) with its parameters in Unit: s, min, h, day, or wd for working days.
type Distribution struct {
	Dist    string   `json:"dist"`
	Value   float64  `json:"value"`
	Mean    float64  `json:"mean"`
	SD      float64  `json:"sd"`
	Min     float64  `json:"min"`
	Mode    float64  `json:"mode"`
	Max     float64  `json:"max"`
	Unit    string   `json:"unit"`
	Options []Option `json:"options"`
}

// Option is one branch of a choice, taken with probability P.
type Option struct {
	P float64      `json:"p"`
	D Distribution `json:"d"`
}

// Span is a drawn duration: exact time, or whole working days.
type Span struct {
	Exact       time.Duration
	WorkingDays int
}

// ParseNode reads the JSON of a node's simulation element; "" is none.
// Errors: SIMULATION_UNREADABLE.
func ParseNode(text string) (Node, error) {
	var n Node
	return n, parse(text, &n)
}

// ParseFlow reads the JSON of a flow's simulation element; "" is none.
// Errors: SIMULATION_UNREADABLE.
func ParseFlow(text string) (Flow, error) {
	var f Flow
	return f, parse(text, &f)
}

func parse(text string, to any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), to); err != nil {
		return fault.E(fault.Invalid, "SIMULATION_UNREADABLE", fault.P("detail", err.Error())).Because(err)
	}
	return nil
}

// Draw returns how long the node takes in a case with attributes attr; false
// when it has no figures.
func (n Node) Draw(src Source, attr func(name string) string) (Span, bool) {
	d := n.Duration
	if n.DurationBy != nil {
		if by, ok := n.DurationBy.Cases[attr(n.DurationBy.Attr)]; ok {
			d = &by
		}
	}
	if d == nil {
		return Span{}, false
	}
	return d.Draw(src), true
}

// Share returns the share of cases that take the flow, 0 to 1; false when the
// flow has none, as behind a test of a case attribute.
func (f Flow) Share(attr func(name string) string) (float64, bool) {
	if f.ProbBy != nil {
		p, ok := f.ProbBy.Cases[attr(f.ProbBy.Attr)]
		return p, ok
	}
	if f.Prob == nil {
		return 0, false
	}
	return *f.Prob, true
}

// Draw draws a duration, never below zero. Working days are rounded up.
func (d Distribution) Draw(src Source) Span {
	if d.Dist == "choice" {
		return d.option(src.Float64()).Draw(src)
	}
	amount := max(d.amount(src), 0)
	if d.Unit == "wd" {
		return Span{WorkingDays: int(math.Ceil(amount))}
	}
	return Span{Exact: time.Duration(amount * float64(units[d.Unit])).Round(time.Second)}
}

var units = map[string]time.Duration{"s": time.Second, "": time.Minute, "min": time.Minute, "h": time.Hour, "day": 24 * time.Hour}

// option returns the option at u of the summed probabilities, the last one when
// they add up to less.
func (d Distribution) option(u float64) Distribution {
	var last Distribution
	for _, o := range d.Options {
		if last = o.D; u < o.P {
			break
		}
		u -= o.P
	}
	return last
}

func (d Distribution) amount(src Source) float64 {
	switch d.Dist {
	case "exp":
		return d.Mean * src.ExpFloat64()
	case "lognormal":
		// Mean and deviation are those of the duration, not of its logarithm.
		variance := math.Log1p(d.SD * d.SD / (d.Mean * d.Mean))
		return math.Exp(math.Log(d.Mean) - variance/2 + math.Sqrt(variance)*src.NormFloat64())
	case "uniform":
		return d.Min + (d.Max-d.Min)*src.Float64()
	case "triangular":
		u, rise := src.Float64(), (d.Mode-d.Min)/(d.Max-d.Min)
		if u < rise {
			return d.Min + math.Sqrt(u*(d.Max-d.Min)*(d.Mode-d.Min))
		}
		return d.Max - math.Sqrt((1-u)*(d.Max-d.Min)*(d.Max-d.Mode))
	}
	return d.Value
}
