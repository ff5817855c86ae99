package queue_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/openspms/spms/plugins/builtin/queue"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s = %.5f, want %.5f ± %g", what, got, want, tolerance)
	}
}

// TestErlang compares with published figures.
func TestErlang(t *testing.T) {
	t.Parallel()
	// Tables of Erlang B: 10 lines at 4.461 erlang lose 1 %, 20 at 15.249 erlang 5 %.
	near(t, "ErlangB(10, 4.461)", queue.ErlangB(10, 4.461), 0.01, 5e-5)
	near(t, "ErlangB(20, 15.249)", queue.ErlangB(20, 15.249), 0.05, 5e-5)
	near(t, "ErlangB(0, 3)", queue.ErlangB(0, 3), 1, 0)
	// One server: ρ; two at load 1: 1/3; ten at load 8: 0.4092.
	near(t, "ErlangC(1, 0.7)", queue.ErlangC(1, 0.7), 0.7, 1e-12)
	near(t, "ErlangC(2, 1)", queue.ErlangC(2, 1), 1.0/3, 1e-12)
	near(t, "ErlangC(10, 8)", queue.ErlangC(10, 8), 0.4092, 5e-5)
	near(t, "ErlangC(3, 3)", queue.ErlangC(3, 3), 1, 0)
	// Garnett, Mandelbaum, Reiman: Designing a call center with impatient customers
	// (2002), table 1: 50 agents, 48 calls a minute of 1 minute, patience 2 minutes.
	c := queue.Queue{Servers: 50, Rate: 48, Service: 1}
	near(t, "wait of Erlang C in seconds", c.Wait()*60, 20.8, 0.1)
	near(t, "90 % percentile of Erlang C", c.Served(58.1/60), 0.90, 0.001)
	a := c
	a.Patience = 2
	near(t, "abandonment of Erlang A", a.Left(), 0.031, 0.0005)
	near(t, "wait of Erlang A in seconds", a.Wait()*60, 3.7, 0.05)
}

// TestErlangAMeetsC lets patience grow: nobody leaves in the end.
func TestErlangAMeetsC(t *testing.T) {
	t.Parallel()
	for _, q := range []queue.Queue{{Servers: 3, Rate: 2, Service: 1}, {Servers: 12, Rate: 10, Service: 1}, {Servers: 1, Rate: 0.5, Service: 1.5}} {
		patient := q
		patient.Patience = 1e6
		for _, within := range []float64{0, 0.2, 1, 5} {
			near(t, "Served with endless patience", patient.Served(within), q.Served(within), 1e-3)
		}
	}
	over := queue.Queue{Servers: 10, Rate: 20, Service: 1, Patience: 0.5}
	near(t, "abandonment at twice the load", over.Left(), 0.5, 0.01) // the fluid limit: 1 − c/load
	if got := (queue.Queue{Servers: 300, Rate: 500, Service: 1, Patience: 30}).Left(); math.IsNaN(got) || math.Abs(got-0.4) > 0.01 {
		t.Errorf("abandonment of a large pool = %v, want about 0.4", got)
	}
}

// jobs makes random ones; patience 0 lets all wait.
func jobs(r *rand.Rand, n int, rate, service, patience float64) []queue.Job {
	out := make([]queue.Job, n)
	at := 0.0
	for i := range out {
		at += r.ExpFloat64() / rate
		out[i] = queue.Job{At: at, Service: r.ExpFloat64() * service, Due: math.Inf(1)}
		if patience > 0 {
			out[i].Patience = r.ExpFloat64() * patience
		}
	}
	return out
}

// TestPlayMeetsErlang plays long queues against the formulas.
func TestPlayMeetsErlang(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, q := range []queue.Queue{{Servers: 1, Rate: 0.8, Service: 1}, {Servers: 10, Rate: 8, Service: 1}, {Servers: 50, Rate: 48, Service: 1, Patience: 2}, {Servers: 5, Rate: 8, Service: 1, Patience: 1}} {
		list := jobs(r, 400_000, q.Rate, q.Service, q.Patience)
		served, left := 0, 0
		const within = 0.5
		for i, b := range queue.Play(list, q.Servers, nil) {
			switch {
			case b == queue.Left:
				left++
			case b-list[i].At <= within:
				served++
			}
		}
		near(t, "share served in time", float64(served)/400_000, q.Served(within), 0.012)
		near(t, "share that left", float64(left)/400_000, q.Left(), 0.012)
	}
}

// TestMoreServersNeverWorsen: with the same jobs nobody waits longer for more servers,
// and no formula says otherwise.
func TestMoreServersNeverWorsen(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		list := jobs(r, 200, 0.2+r.Float64()*5, 0.2+r.Float64()*3, 0)
		servers := 1 + r.IntN(6)
		few, more := queue.Play(list, servers, nil), queue.Play(list, servers+1, nil)
		for i := range list {
			if more[i] > few[i]+1e-9 || few[i] < list[i].At {
				t.Fatalf("job %d begins at %v with %d servers and at %v with one more", i, few[i], servers, more[i])
			}
		}
		q := queue.Queue{Servers: servers, Rate: r.Float64() * 8, Service: r.Float64() * 2, Patience: []float64{0, 1 + r.Float64()*5}[r.IntN(2)]}
		m := q
		m.Servers++
		if within := r.Float64(); m.Served(within) < q.Served(within)-1e-9 || m.Wait() > q.Wait()+1e-9 {
			t.Fatalf("%+v serves %v in time, with one more %v", q, q.Served(within), m.Served(within))
		}
	}
}

// TestOrders plays four jobs by hand: one server, all but the first wait at 1.
func TestOrders(t *testing.T) {
	t.Parallel()
	list := []queue.Job{{At: 0, Service: 4, Due: 4}, {At: 1, Service: 3, Due: 20, Class: 1}, {At: 1, Service: 2, Due: 8, Class: 2}, {At: 2, Service: 1, Due: 7, Class: 2}}
	late := func(begun []float64) (n int) {
		for i, b := range begun {
			if b+list[i].Service > list[i].Due {
				n++
			}
		}
		return n
	}
	fifo := queue.Play(list, 1, nil)
	if want := []float64{0, 4, 7, 9}; !slices.Equal(fifo, want) || late(fifo) != 2 {
		t.Errorf("first come, first served begins at %v with %d late, want %v with 2", fifo, late(fifo), want)
	}
	edd := queue.Play(list, 1, queue.EarliestDue)
	if want := []float64{0, 7, 5, 4}; !slices.Equal(edd, want) || late(edd) != 0 {
		t.Errorf("earliest due first begins at %v with %d late, want %v with none", edd, late(edd), want)
	}
	class := queue.Play(list, 1, func(a, b *queue.Job) int { return cmp.Compare(b.Class, a.Class) })
	if want := []float64{0, 7, 4, 6}; !slices.Equal(class, want) {
		t.Errorf("by class begins at %v, want %v", class, want)
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	mean, low, high := queue.Interval([]float64{1, 2, 3, 4, 5})
	near(t, "mean", mean, 3, 1e-12)
	near(t, "half width", high-mean, 1.963, 0.001) // 2.776 × 1.5811 / √5
	near(t, "symmetry", mean-low, high-mean, 1e-12)
	if _, low, high := queue.Interval([]float64{7}); low != 7 || high != 7 {
		t.Errorf("Interval(one) = %v to %v, want 7", low, high)
	}
}
