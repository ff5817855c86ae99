package innovation

import (
	"fmt"
	"math"
	"testing"

	"github.com/openspms/spms/ent"
)

// TestShareSticks lets the share of a pilot grow: a case that is in stays in, a
// thousand cases are divided as the share says, and two assignments choose differently.
func TestShareSticks(t *testing.T) {
	t.Parallel()
	r := &Room{}
	const cases = 1000
	chosen := func(assignment string, permille int) map[string]bool {
		out := map[string]bool{}
		for i := range cases {
			id := fmt.Sprintf("case_%04d", i)
			if r.chosen(t.Context(), &ent.Task{CaseID: id}, &ent.PluginAssignment{ID: assignment, SharePermille: permille}) {
				out[id] = true
			}
		}
		return out
	}
	for _, assignment := range []string{"pas_1", "pas_2", "pas_3"} {
		before := map[string]bool{}
		for _, permille := range []int{0, 10, 100, 250, 500, 900, 1000} {
			now := chosen(assignment, permille)
			for id := range before {
				if !now[id] {
					t.Errorf("%s: case %s has left the pilot when its share grew to %d", assignment, id, permille)
				}
			}
			p := float64(permille) / 1000
			if off := math.Abs(float64(len(now)) - cases*p); off > 4*math.Sqrt(cases*p*(1-p)) { // 4σ: one in 16,000
				t.Errorf("%s: a share of %d chose %d of %d cases, too far from its part", assignment, permille, len(now), cases)
			}
			before = now
		}
	}
	one, two, both := chosen("pas_1", 500), chosen("pas_2", 500), 0
	for id := range one {
		if two[id] {
			both++
		}
	}
	if both < 150 || both > 350 {
		t.Errorf("%d cases are in both pilots of half the cases, want about a quarter", both)
	}
}
