package staffing

import (
	"context"
	"math"

	"github.com/openspms/spms/plugins/builtin/pool"
	"github.com/openspms/spms/plugins/builtin/queue"
)

// chance is the generator of a run.
type chance interface {
	Float64() float64
	ExpFloat64() float64
	IntN(n int) int
}

// demand is what a pool must be ready for.
type demand struct {
	week     *pool.Week
	rate     [pool.HoursOfWeek]float64 // arrivals in an hour of the week
	service  float64                   // mean, minutes
	patience float64                   // mean, minutes; 0: nobody leaves
	draw     func(chance) float64      // of a service, minutes
	weekly   float64                   // arrivals
}

// demandOf turns counts into rates: those of each hour of the week divided by how often it
// came in the log. Of hours that a short log has not seen, those at the same time of day
// are taken.
func demandOf(l *load, arrivals, service float64) *demand {
	d := &demand{week: l.week, service: l.minutes / float64(max(l.n, 1)) * service}
	var seen [pool.HoursOfWeek]int
	for us := l.first; us <= l.last || us == l.first; us += 60 * pool.Minute {
		_, minute := l.week.Local(us)
		seen[int(minute)/60]++
	}
	for h := range d.rate {
		count, hours := l.arrivals[h], seen[h]
		if hours == 0 {
			for other := h % 24; other < pool.HoursOfWeek; other += 24 {
				count, hours = count+l.arrivals[other], hours+seen[other]
			}
		}
		d.rate[h] = float64(count) / float64(max(hours, 1)) * arrivals
		d.weekly += d.rate[h]
	}
	if l.left >= 20 && float64(l.left) >= 0.01*float64(l.left+l.begun) {
		d.patience = (l.waited + l.outwaited) / float64(l.left) // exposure for each who left
	}
	d.draw = l.drawer(d.service)
	return d
}

// drawer draws services from the counted ones, so that their mean is the given one.
func (l *load) drawer(mean float64) func(chance) float64 {
	var cumulated [bins]int
	total, sum := 0, 0.0
	for i, n := range l.services {
		total += n
		cumulated[i] = total
		sum += float64(n) * binMean(i)
	}
	if total == 0 || sum == 0 {
		return func(chance) float64 { return mean }
	}
	scale := mean / (sum / float64(total))
	return func(r chance) float64 {
		k := r.IntN(total)
		for i, n := range cumulated {
			if k < n {
				return scale * math.Exp2((float64(i)+r.Float64())/4) / 60
			}
		}
		return mean
	}
}

// binMean is the mean, in minutes, of what is drawn from a bin.
func binMean(i int) float64 {
	low, high := math.Exp2(float64(i)/4), math.Exp2(float64(i+1)/4)
	return (high - low) / (math.Ln2 / 4) / 60
}

// formula is the share served within some minutes by the stationary formulas period by
// period (SIPP), with arrivals taken one mean service earlier: congestion lags behind
// demand. Source: L. Green, P. Kolesar, J. Soares: Improving the SIPP approach for
// staffing service systems that have cyclic demands (2001), "Lag Avg". Those who come
// when the pool is closed come at the next opening.
func (d *demand) formula(servers int, within float64) float64 {
	open := d.week.Open()
	if open == 0 || servers <= 0 {
		return 0
	}
	coming := make([]float64, open)
	for m := range pool.MinutesOfWeek {
		coming[d.week.Before(m)%open] += d.rate[m/60] / 60
	}
	lag := int(min(d.service, 240, float64(open)/4))
	sum := func(from, to int) (total float64) {
		for m := from; m < to; m++ {
			total += coming[((m%open)+open)%open]
		}
		return total
	}
	served, all := 0.0, 0.0
	for from := 0; from < open; from += 60 {
		to := min(from+60, open)
		q := queue.Queue{Servers: servers, Rate: sum(from-lag, to-lag) / float64(to-from), Service: d.service, Patience: d.patience}
		weight := sum(from, to)
		served += weight * q.Served(within)
		all += weight
	}
	if all == 0 {
		return 1
	}
	return served / all
}

// trial plays the same weeks with any number of servers, so that numbers can be compared
// pair by pair.
type trial struct {
	week    *pool.Week
	within  float64
	horizon float64 // open minutes that count; one week before warms up
	weeks   [][]queue.Job
	known   map[int][]result
}

// result is what one playing of the weeks gave.
type result struct{ level, wait, occupancy float64 }

// prepare draws the weeks of a trial.
func (d *demand) prepare(ctx context.Context, r chance, weeks, replications int, within float64) (*trial, error) {
	const (
		most    = 40_000  // jobs in one playing
		inAll   = 600_000 // and in all
		warming = 1
	)
	weeks = max(1, min(weeks, int(most/max(d.weekly, 1))))
	replications = max(5, min(replications, int(inAll/max(d.weekly*float64(weeks+warming), 1))))
	t := &trial{week: d.week, within: within, horizon: float64(weeks * d.week.Open()), known: map[int][]result{}}
	for range replications {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var jobs []queue.Job
		for w := range weeks + warming {
			for h := range pool.HoursOfWeek {
				if d.rate[h] <= 0 {
					continue
				}
				for at := r.ExpFloat64() / d.rate[h]; at < 1; at += r.ExpFloat64() / d.rate[h] {
					m := h*60 + int(at*60)
					job := queue.Job{At: float64(w*d.week.Open()+d.week.Before(m)) + (at*60-math.Floor(at*60))*float64(d.week.Before(m+1)-d.week.Before(m)), Service: d.draw(r), Due: math.Inf(1)}
					if d.patience > 0 {
						job.Patience = r.ExpFloat64() * d.patience
					}
					jobs = append(jobs, job)
				}
			}
		}
		t.weeks = append(t.weeks, jobs)
	}
	return t, nil
}

// with plays all weeks with some servers.
func (t *trial) with(servers int) []result {
	if got, ok := t.known[servers]; ok {
		return got
	}
	var out []result
	warm := float64(t.week.Open())
	for _, jobs := range t.weeks {
		var x result
		counted, served := 0, 0
		for i, begun := range queue.Play(jobs, servers, nil) {
			j := &jobs[i]
			if begun != queue.Left { // what lies in the time that counts is work done in it
				x.occupancy += max(0, min(begun+j.Service, warm+t.horizon)-max(begun, warm))
			}
			if j.At < warm {
				continue
			}
			counted++
			wait := j.Patience
			if begun != queue.Left {
				wait = begun - j.At
				if wait <= t.within {
					served++
				}
			}
			x.wait += wait
		}
		x.level, x.wait = float64(served)/float64(max(counted, 1)), x.wait/float64(max(counted, 1))
		if counted == 0 {
			x.level = 1
		}
		x.occupancy /= float64(servers) * t.horizon
		out = append(out, x)
	}
	t.known[servers] = out
	return out
}

// level is the mean share served in time.
func (t *trial) level(servers int) float64 { return mean(t.with(servers), levelOf) }

func levelOf(r result) float64     { return r.level }
func waitOf(r result) float64      { return r.wait }
func occupancyOf(r result) float64 { return r.occupancy }

func mean(list []result, of func(result) float64) (m float64) {
	for _, r := range list {
		m += of(r) / float64(len(list))
	}
	return m
}

// gain is the mean of a figure before and after with the interval of the difference, from
// the same weeks played twice.
func gain(before, after []result, of func(result) float64) (b, a, low, high float64) {
	differences := make([]float64, len(before))
	for i := range before {
		differences[i] = of(after[i]) - of(before[i])
	}
	_, low, high = queue.Interval(differences)
	return mean(before, of), mean(after, of), low, high
}
