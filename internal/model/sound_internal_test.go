package model

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openspms/spms/internal/model/modeltest"
)

// drawGraph draws a graph of at most 12 nodes with exclusive and parallel
// gateways: a spine from start to end, and flows across, back and to further ends.
func drawGraph(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("var b bool input\nstart s\n")
	count := rapid.IntRange(1, 9).Draw(t, "nodes")
	kinds := make([]string, count)
	for i := range kinds {
		kinds[i] = rapid.SampledFrom([]string{"xor", "and", "xor", "and", "user"}).Draw(t, "kind")
		fmt.Fprintf(&b, "%s n%d\n", kinds[i], i)
	}
	b.WriteString("end e0\nflow s -> n0\n")
	ends := 1
	for i, kind := range kinds {
		var to []string
		if i+1 < count {
			to = append(to, fmt.Sprintf("n%d", i+1))
		} else {
			to = append(to, "e0")
		}
		if kind != "user" {
			for range rapid.IntRange(0, 2).Draw(t, "more") {
				k := rapid.IntRange(0, count).Draw(t, "to")
				switch {
				case k < count:
					to = append(to, fmt.Sprintf("n%d", k))
				case ends < 2:
					fmt.Fprintf(&b, "end e%d\n", ends)
					to = append(to, fmt.Sprintf("e%d", ends))
					ends++
				}
			}
		}
		for _, x := range to {
			condition := ""
			if kind == "xor" && len(to) > 1 {
				condition = " when b"
			}
			fmt.Fprintf(&b, "flow n%d -> %s%s\n", i, x, condition)
		}
	}
	return b.String()
}

// TestFastAgreesWithExploration compares the polynomial check with exhaustive
// exploration.
func TestFastAgreesWithExploration(t *testing.T) {
	t.Parallel()
	compared, sound := 0, 0
	batch := 100 // graphs for each check of rapid: 10,000 in all
	if testing.Short() {
		batch = 10
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range batch {
			text := drawGraph(rt)
			g, err := modeltest.Graph(text)
			if err != nil {
				rt.Fatal(err)
			}
			m, findings := Compile(g, Options{})
			if m == nil {
				rt.Fatalf("%v\n%s", findings, text)
			}
			n, ok := newNet(m, None)
			if !ok || !n.free {
				rt.Fatalf("no free net of\n%s", text)
			}
			fast := n.fast()
			v, done := n.explore(n.beginning(), 1_000_000, nil)
			if !done {
				continue
			}
			compared++
			if v == nil {
				sound++
			}
			if fast != (v == nil) {
				rt.Fatalf("fast says sound %v (at %s), exploration %v\n%s", fast, m.Nodes[n.suspect].ID, v, text)
			}
		}
	})
	t.Logf("%d graphs compared, %d sound", compared, sound)
	if sound == 0 || sound == compared {
		t.Errorf("%d of %d graphs are sound: the comparison says nothing", sound, compared)
	}
}
