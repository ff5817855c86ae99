package server_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// BenchmarkNodes measures human tasks worked by 16 clients over HTTP against one
// process of the server on PostgreSQL, and against two that share the database, in
// turns on the same machine.
func BenchmarkNodes(b *testing.B) {
	url := storetest.PostgresURL(b)
	h := benchHouse(b, url)
	if err := h.Close(); err != nil {
		b.Fatal(err)
	}
	bin := buildProgram(b)
	const clients, turn = 16, 32
	doors := []*poster{newPoster(serve(b, bin, url).url, clients), newPoster(serve(b, bin, url).url, clients)}
	b.Run("clients=16", func(b *testing.B) {
		var next atomic.Int64
		took := [2]time.Duration{}
		for done := 0; done < b.N; done += turn {
			cases := min(turn, b.N-done)
			for nodes := 1; nodes <= 2; nodes++ {
				took[nodes-1] += side(b, clients, cases, func() error {
					n := next.Add(1)
					return doors[int(n)%nodes].workChain(fmt.Sprintf("N-%d-%06d", b.N, n), new(stopwatch))
				})
			}
		}
		one, two := 5*float64(b.N)/took[0].Seconds(), 5*float64(b.N)/took[1].Seconds()
		b.ReportMetric(one, "one-node-steps/s")
		b.ReportMetric(two, "two-nodes-steps/s")
		b.ReportMetric(two/one, "x")
	})
}
