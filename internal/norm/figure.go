package norm

import "math"

// Tally is what is kept of many finished clocks or outcomes to judge a figure
// later: counts and sums, never averages, so that tallies add up over regions
// and periods. Durations are in seconds.
type Tally struct {
	N   int64   // finished cases of the population
	Met int64   // of those, kept the limit (or had the wanted outcome)
	Sum float64 // of the durations or values
	Max float64
	Min float64
}

// Add counts one finished case.
func (t *Tally) Add(value float64, met bool) {
	if t.N == 0 {
		t.Max, t.Min = value, value
	}
	t.N++
	if met {
		t.Met++
	}
	t.Sum += value
	t.Max, t.Min = max(t.Max, value), min(t.Min, value)
}

// Merge adds the cases of o.
func (t *Tally) Merge(o Tally) {
	if o.N == 0 {
		return
	}
	if t.N == 0 {
		*t = o
		return
	}
	t.N, t.Met, t.Sum = t.N+o.N, t.Met+o.Met, t.Sum+o.Sum
	t.Max, t.Min = max(t.Max, o.Max), min(t.Min, o.Min)
}

// Figure is an indicator's value over a population.
type Figure struct {
	Value float64 // share for limits, pledges, rates and percentiles; mean, maximum or minimum in seconds or the measured unit
	N     int64
	Low   float64 // of shares: 95 % Wilson interval; else equal to Value
	High  float64
	Known bool // false without cases: nothing to judge
	Met   bool // the figure keeps the requirement
}

// Wilson returns the Wilson score interval of k successes in n trials at z
// standard deviations (1.96 for 95 %); 0 and 1 without trials. Source: E. B.
// Wilson, JASA 22 (1927).
func Wilson(k, n int64, z float64) (low, high float64) {
	if n <= 0 {
		return 0, 1
	}
	p, m := float64(k)/float64(n), float64(n)
	centre := p + z*z/(2*m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	low, high = (centre-half)/(1+z*z/m), (centre+half)/(1+z*z/m)
	if k == 0 {
		low = 0
	}
	if k == n {
		high = 1
	}
	return max(0, low), min(1, high)
}

// z95 is the normal quantile of a two-sided 95 % interval.
const z95 = 1.959963984540054

// Judge evaluates the indicator over a tally.
//
// A limit or floor is met when every case met it, a pledge when the share
// reaches its target; rate and percentile compare the share with the value.
// Mean, max and min of a figure compare Sum/N, Max or Min with the value, for
// units of time in seconds of elapsed time; means in working days or months
// need durations already counted in that unit, and are compared as they are.
func (i *Indicator) Judge(t Tally) Figure {
	f := Figure{N: t.N, Known: t.N > 0}
	if !f.Known {
		f.High = 1
		return f
	}
	share := float64(t.Met) / float64(t.N)
	bar := i.Value
	switch {
	case i.PutsClock(), i.Statistic == Rate, i.Statistic == Percentile:
		f.Value = share
		f.Low, f.High = Wilson(t.Met, t.N, z95)
		switch i.Nature() {
		case NatureLimit, NatureFloor:
			f.Met = t.Met == t.N
		case NaturePledge:
			f.Met = share >= i.Target
		default:
			f.Met = i.Comparator.holds(share, bar)
		}
		return f
	case i.Statistic == Mean:
		f.Value = t.Sum / float64(t.N)
	case i.Statistic == Min:
		f.Value = t.Min
	default:
		f.Value = t.Max
	}
	f.Low, f.High = f.Value, f.Value
	f.Met = i.Comparator.holds(f.Value, bar*i.Unit.seconds())
	return f
}

// seconds returns the length of a unit of elapsed time, 1 for every other unit.
func (u Unit) seconds() float64 {
	switch u {
	case Minute:
		return 60
	case Hour:
		return 3600
	case Day:
		return 86_400
	case Week:
		return 7 * 86_400
	}
	return 1
}

// holds reports whether value stands to bar as the comparator says.
func (c Comparator) holds(value, bar float64) bool {
	switch c {
	case AtMost:
		return value <= bar
	case Below:
		return value < bar
	case AtLeast:
		return value >= bar
	case Above:
		return value > bar
	case Exactly:
		return value == bar
	}
	return false
}
