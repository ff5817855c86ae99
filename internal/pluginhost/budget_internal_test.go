package pluginhost

import (
	"testing"
	"time"
)

// TestBudget lets turns go by in which a process answers and has the processor.
func TestBudget(t *testing.T) {
	type end struct {
		answers   int           // within the turn
		had       time.Duration // likewise
		throttled bool
	}
	const ms = time.Millisecond
	limits := Limits{Burst: time.Second, Earned: 250 * ms}
	times := func(n int, e end) (out []end) {
		for range n {
			out = append(out, e)
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		limits Limits
		free   bool
		turns  []end
	}{
		{"nobody calls", limits, false, times(20, end{0, 0, false})},
		{"it works on the side, but little", limits, false, times(200, end{0, trickle, false})},
		{"it computes and never answers", limits, false, append(times(2, end{0, 400 * ms, false}), times(50, end{0, 400 * ms, true})...)},
		{"it answers for what it uses", limits, false, times(100, end{2, 400 * ms, false})},
		{"it answers for less than it uses", limits, false, append(times(5, end{1, 400 * ms, false}), end{1, 400 * ms, true})},
		{"throttled it uses its slices", limits, false, append(append(times(2, end{0, 400 * ms, false}), end{0, 400 * ms, true}), times(50, end{0, slice, true})...)},
		{"throttled it answers", limits, false, append(append(times(2, end{0, 400 * ms, false}), end{0, 400 * ms, true}), end{1, slice, false}, end{0, 0, false})},
		{"throttled it rests", limits, false, append(append(times(2, end{0, 400 * ms, false}), end{0, 400 * ms, true}), append(times(9, end{0, 0, true}), end{0, 0, false})...)},
		{"a strategy's run", limits, true, times(50, end{0, 400 * ms, false})},
		{"no limit", Limits{}, false, times(50, end{0, 400 * ms, false})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := budget{left: tt.limits.Burst}
			answers, total := 0, time.Duration(0)
			for i, e := range tt.turns {
				answers, total = answers+e.answers, total+e.had
				if b.next(tt.limits, answers, total, tt.free); b.throttled != e.throttled {
					t.Fatalf("after turn %d throttled = %v with %v left, want %v", i, b.throttled, b.left, e.throttled)
				}
			}
		})
	}
}
