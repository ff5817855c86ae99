package pluginhost

import (
	"testing"
	"time"
)

// TestWeight lets turns go by and looks at the weight after each.
func TestWeight(t *testing.T) {
	type end struct {
		calls int
		had   time.Duration // within the turn
		least bool
	}
	for _, tt := range []struct {
		name  string
		turns []end
	}{
		{"nobody calls", []end{{0, 0, true}, {0, 0, true}}},
		{"it is busy though nobody calls", []end{{0, turn, true}, {0, turn, true}}},
		{"short calls", []end{{1, 10 * time.Millisecond, true}, {0, 0, true}, {1, 0, true}, {0, 10 * time.Millisecond, true}}},
		{"a call that waits for the processor", []end{{1, 0, true}, {1, 0, false}, {1, 30 * time.Millisecond, false}, {0, 0, true}}},
		{"a call that has it", []end{{1, turn, true}, {1, 2 * turn, true}, {1, 2 * turn, true}}},
		{"a call that has some", []end{{1, 0, true}, {1, 30 * time.Millisecond, true}, {1, 0, false}, {1, 30 * time.Millisecond, false}}},
		{"a call that takes too much of what it was given", []end{{1, 0, true}, {1, 0, false}, {1, turn / 2, true}, {1, 0, false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, total := weight{least: true}, time.Duration(0)
			for i, e := range tt.turns {
				total += e.had
				w.least = w.next(e.calls, total)
				if w.least != e.least {
					t.Fatalf("after turn %d, with %d calls and %v of the processor, least = %v, want %v", i, e.calls, e.had, w.least, e.least)
				}
			}
		})
	}
}
