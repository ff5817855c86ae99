package store

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/fault"
)

// TestThroughIsWhatWasTold reads in pages what one moment adds to an earlier one, and
// compares what the cursor after each page says with what has been told by then:
// never more, and all of it at the end.
func TestThroughIsWhatWasTold(t *testing.T) {
	t.Parallel()
	for seed := range int64(500) {
		chance := rand.New(rand.NewSource(seed))
		const all = 60
		before := seen{max: 1 + chance.Int63n(all)}
		now := seen{max: before.max + chance.Int63n(all)}
		for n := range now.max {
			open := n < before.max && chance.Intn(3) == 0
			if open {
				before.inFlight = append(before.inFlight, n)
			}
			if (open || n >= before.max) && chance.Intn(3) == 0 {
				now.inFlight = append(now.inFlight, n)
			}
		}
		var fresh []int64
		told := map[int64]bool{}
		for n := range now.max {
			told[n] = before.has(n)
			if now.has(n) && !before.has(n) {
				fresh = append(fresh, n)
			}
		}
		for _, n := range fresh {
			told[n] = true
			at := now.through(n, before)
			for x := range now.max {
				if at.has(x) && !told[x] {
					t.Fatalf("seed %d: %v.through(%d, %v) = %v has %d, which was not told", seed, now, n, before, at, x)
				}
				if told[x] && !at.has(x) && (x <= n || n+1 < before.max) {
					t.Fatalf("seed %d: %v.through(%d, %v) = %v lacks %d, which was told", seed, now, n, before, at, x)
				}
			}
			if at.max < before.max {
				t.Fatalf("seed %d: %v goes back before %v", seed, at, before)
			}
		}
	}
}

func TestManyInFlightGoBack(t *testing.T) {
	t.Parallel()
	s := seen{max: 1000}
	for n := range int64(maxInFlight + 1) {
		s.inFlight = append(s.inFlight, 10*n+7)
	}
	got, _, err := decodeCursor(encodeCursor(s, "aud_1"))
	if err != nil || got.max != 7 || len(got.inFlight) > 0 {
		t.Errorf("a cursor with %d in flight reads back as %v, %v, want 7", len(s.inFlight), got, err)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add(encodeCursor(seen{max: 12, inFlight: []int64{3, 7}}, "aud_1"))
	f.Add(encodeCursor(seen{}, nowhere))
	f.Fuzz(func(t *testing.T, text string) {
		told, anchor, err := decodeCursor(text)
		if err != nil {
			if fault.CodeOf(err) != "CURSOR_MALFORMED" {
				t.Errorf("decodeCursor(%q) = %v, want CURSOR_MALFORMED", text, err)
			}
			return
		}
		if !slices.IsSorted(told.inFlight) {
			t.Errorf("decodeCursor(%q) = %v is not in order", text, told)
		}
		again, same, err := decodeCursor(encodeCursor(told, anchor))
		if err != nil || same != anchor || len(told.inFlight) <= maxInFlight && !cmp.Equal(again, told, cmp.AllowUnexported(seen{})) {
			t.Errorf("decodeCursor(%q) = %v, %v, want %v again", text, again, err, told)
		}
	})
}

func TestPack(t *testing.T) {
	t.Parallel()
	changes := []Change{
		{Kind: "case", ID: "case_1", CaseID: "case_1", RegionPath: "CN/A/"},
		{Kind: "task", ID: "task_1", CaseID: "case_1", RegionPath: "CN/A/"},
		{Kind: "lease", ID: "task_2", CaseID: "case_2", RegionPath: "CN/B/"},
	}
	staff := Change{Kind: "staff", ID: "stf_1", RegionPath: "CN/"}
	if got := unpack(Pack(append(changes, staff))); !cmp.Equal(got, changes) {
		t.Errorf("unpack(Pack()) = %v, want %v and no staff", got, changes)
	}
	if got := Pack([]Change{staff}); got != "" {
		t.Errorf("Pack(%v) = %q, want nothing", staff, got)
	}
}
