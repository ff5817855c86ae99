package queue

import (
	"cmp"
	"math"
	"slices"
)

// Job is one task that comes to a pool.
type Job struct {
	At       float64 // when it comes; a list of jobs is in this order
	Service  float64 // how long it takes
	Patience float64 // how long it waits at most; 0: for ever
	Due      float64 // when it is to be done; +Inf: never
	Class    int     // which node it is of
}

// Order tells which of two waiting jobs goes first; those that are equal go in order of
// arrival. nil is first come, first served.
type Order func(a, b *Job) int

// EarliestDue is the order of due instants (Jackson's rule).
func EarliestDue(a, b *Job) int { return cmp.Compare(a.Due, b.Due) }

// Left marks in the result of Play a job that left without service.
const Left = -1

// Play lets servers do jobs, each to its end and without idling while one waits, and
// returns when each was begun, or Left. Cost: jobs × log(jobs).
func Play(jobs []Job, servers int, order Order) []float64 {
	begun := make([]float64, len(jobs))
	if servers <= 0 {
		for i := range begun {
			begun[i] = Left
		}
		return begun
	}
	free := NewHeap(func(a, b float64) bool { return a < b })
	for range servers {
		free.Push(math.Inf(-1))
	}
	waiting := NewHeap(func(a, b int) bool {
		if order != nil {
			if c := order(&jobs[a], &jobs[b]); c != 0 {
				return c < 0
			}
		}
		return a < b
	})
	for next := 0; next < len(jobs) || waiting.Len() > 0; {
		now := free.Least()
		if waiting.Len() == 0 {
			now = max(now, jobs[next].At)
		}
		for next < len(jobs) && jobs[next].At <= now {
			waiting.Push(next)
			next++
		}
		i := waiting.Pop()
		j := &jobs[i]
		if j.Patience > 0 && now-j.At > j.Patience {
			begun[i] = Left
			continue
		}
		begun[i] = now
		free.Pop()
		free.Push(now + j.Service)
	}
	return begun
}

// Heap is a binary heap, whose least item comes out first.
type Heap[T any] struct {
	items []T
	less  func(a, b T) bool
}

// NewHeap returns an empty heap over an order.
func NewHeap[T any](less func(a, b T) bool) *Heap[T] { return &Heap[T]{less: less} }

// Len is the number of items.
func (h *Heap[T]) Len() int { return len(h.items) }

// Least is the item that comes out next; there must be one.
func (h *Heap[T]) Least() T { return h.items[0] }

// Push puts an item in.
func (h *Heap[T]) Push(x T) {
	h.items = append(h.items, x)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.items[i], h.items[up]) {
			return
		}
		h.items[i], h.items[up] = h.items[up], h.items[i]
		i = up
	}
}

// Pop takes the least item out; there must be one.
func (h *Heap[T]) Pop() T {
	var none T
	top, last := h.items[0], len(h.items)-1
	h.items[0] = h.items[last]
	h.items[last] = none
	h.items = h.items[:last]
	for i := 0; ; {
		least := i
		for _, down := range []int{2*i + 1, 2*i + 2} {
			if down < last && h.less(h.items[down], h.items[least]) {
				least = down
			}
		}
		if least == i {
			return top
		}
		h.items[i], h.items[least] = h.items[least], h.items[i]
		i = least
	}
}

// Interval is the mean of differences with the ends of its 95 % interval by Student's t;
// the ends are the mean when there are fewer than two.
func Interval(differences []float64) (mean, low, high float64) {
	n := float64(len(differences))
	if n == 0 {
		return 0, 0, 0
	}
	for _, d := range differences {
		mean += d / n
	}
	if n < 2 {
		return mean, mean, mean
	}
	variance := 0.0
	for _, d := range differences {
		variance += (d - mean) * (d - mean) / (n - 1)
	}
	half := student(len(differences)-1) * math.Sqrt(variance/n)
	return mean, mean - half, mean + half
}

// student is the 97.5 % quantile of Student's t, by the expansion of Hill's first terms
// beyond the table.
func student(freedom int) float64 {
	table := []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086}
	if freedom <= len(table) {
		return table[max(freedom, 1)-1]
	}
	const z = 1.959964
	f := float64(freedom)
	return z + (z*z*z+z)/(4*f) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*f*f)
}

// Percentiles returns the 2.5 % and 97.5 % percentiles of draws, which it sorts.
func Percentiles(draws []float64) (low, high float64) {
	if len(draws) == 0 {
		return 0, 0
	}
	slices.Sort(draws)
	at := func(p float64) float64 { return draws[int(math.Round(p*float64(len(draws)-1)))] }
	return at(0.025), at(0.975)
}
