// Package queue computes how long people wait for a pool of servers: by formula, where
// arrivals are random and rates stand still (Erlang B, C and A), and by playing a list of
// jobs through the pool. Its main functions are Served and Play. Time is in any one unit;
// the package knows neither plugins nor processes, and has no chance of its own.
package queue

import "math"

// ErlangB is the share of arrivals that find all servers busy in a loss system: servers
// ≥ 0, load = arrival rate × mean service ≥ 0, both without unit. Source: A. K. Erlang
// (1917), by the recursion of Jagerman. Cost: linear in servers.
func ErlangB(servers int, load float64) float64 {
	if load <= 0 {
		if servers == 0 {
			return 1
		}
		return 0
	}
	inverse := 1.0
	for n := 1; n <= servers; n++ {
		inverse = 1 + inverse*float64(n)/load
	}
	return 1 / inverse
}

// ErlangC is the share of arrivals that wait in M/M/c; 1 when the load is not below the
// servers. Source: A. K. Erlang (1917). Cost: linear in servers.
func ErlangC(servers int, load float64) float64 {
	if load <= 0 {
		return 0
	}
	if load >= float64(servers) {
		return 1
	}
	b := ErlangB(servers, load)
	return b / (1 - load/float64(servers)*(1-b))
}

// Queue is a pool as the formulas see it.
type Queue struct {
	Servers  int
	Rate     float64 // arrivals per unit of time
	Service  float64 // mean time of service
	Patience float64 // mean time that one waits before leaving; 0: nobody leaves
}

// load is the number of servers that are busy on average when nobody leaves.
func (q Queue) load() float64 { return q.Rate * q.Service }

// Served is the share of arrivals that begin service within a time of waiting, from 0 to
// 1: Erlang C, or Erlang A (M/M/c+M) when there is patience.
func (q Queue) Served(within float64) float64 {
	if q.Rate <= 0 {
		return 1
	}
	if q.Servers <= 0 {
		return 0
	}
	if q.Patience > 0 {
		// Within t are served those whose offered wait V ≤ t and who outlast it; of those
		// who wait longer in all, V > t, none is.
		_, left := q.abandoning(0)
		beyond, leftBeyond := q.abandoning(within)
		return clamp(1 - beyond - (left - leftBeyond))
	}
	if q.load() >= float64(q.Servers) {
		return 0
	}
	spare := float64(q.Servers)/q.Service - q.Rate
	return clamp(1 - ErlangC(q.Servers, q.load())*math.Exp(-spare*within))
}

// Left is the share of arrivals that leave without service.
func (q Queue) Left() float64 {
	if q.Patience <= 0 || q.Rate <= 0 {
		return 0
	}
	_, left := q.abandoning(0)
	return clamp(left)
}

// Wait is the mean wait of all arrivals; infinite when the load is too high and nobody leaves.
func (q Queue) Wait() float64 {
	switch {
	case q.Rate <= 0:
		return 0
	case q.Patience > 0:
		return q.Left() * q.Patience // by Little's law: the queue loses its length times 1/patience
	case q.load() >= float64(q.Servers):
		return math.Inf(1)
	}
	return ErlangC(q.Servers, q.load()) / (float64(q.Servers)/q.Service - q.Rate)
}

// abandoning returns for Erlang A the share of arrivals whose offered wait is longer
// than t, and the share of those who leave among them. Source: A. Mandelbaum,
// S. Zeltyn: The Palm/Erlang-A queue (2007): P(V>t) = λJ(t)/(ε+λJ(0)) with
// J(t) = ∫ₜ exp(λ/θ·(1−e^(−θx)) − nμx) dx, ε = 1/B(n−1). Numbers are kept in range by
// dividing both by the largest value of the integrand.
func (q Queue) abandoning(t float64) (beyond, left float64) {
	n, mu, theta := float64(q.Servers), 1/q.Service, 1/q.Patience
	exponent := func(x float64) float64 { return q.Rate/theta*(1-math.Exp(-theta*x)) - n*mu*x }
	peak, top := 0.0, 0.0
	if q.Rate > n*mu {
		peak = math.Log(q.Rate/(n*mu)) / theta
		top = exponent(peak)
	}
	end := max(peak, t)
	for step := q.Service; exponent(end)-top > -40; step *= 2 {
		end += step
	}
	integrate := func(from float64, weight func(x float64) float64) float64 {
		const steps = 1000 // Simpson
		if from >= end {
			return 0
		}
		h, sum := (end-from)/steps, 0.0
		for i := range steps + 1 {
			x := from + float64(i)*h
			w := 2.0
			switch {
			case i == 0 || i == steps:
				w = 1
			case i%2 == 1:
				w = 4
			}
			sum += w * weight(x) * math.Exp(exponent(x)-top)
		}
		return sum * h / 3
	}
	one := func(float64) float64 { return 1 }
	scale := math.Exp(-top)/ErlangB(q.Servers-1, q.load()) + q.Rate*integrate(0, one)
	beyond = q.Rate * integrate(t, one) / scale
	left = q.Rate * integrate(t, func(x float64) float64 { return 1 - math.Exp(-theta*x) }) / scale
	return beyond, left
}

func clamp(x float64) float64 { return min(max(x, 0), 1) }
