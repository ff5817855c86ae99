package server_test

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// BenchmarkSteps measures durable commands of the fibre order, each one a step
// of the engine with its rows, history and audit entry on disk: starts by 1 and
// by 64 clients at once on each database. One client pays a commit for every
// command; 64 share commits on SQLite.
func BenchmarkSteps(b *testing.B) {
	urls := map[string]func(testing.TB) string{"sqlite": storetest.SQLiteURL, "postgres": storetest.PostgresURL}
	for _, name := range []string{"sqlite", "postgres"} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", name, clients), func(b *testing.B) { benchmarkSteps(b, urls[name](b), clients) })
		}
	}
}

func benchmarkSteps(b *testing.B, url string, clients int) {
	h, err := server.OpenHouse(b.Context(), url, clock.NewManual(time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	if err := h.Seed(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx := access.With(b.Context(), access.System("bench"))
	var next atomic.Int64
	b.ResetTimer()
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for next.Add(1) <= int64(b.N) {
				_, err := h.Cases.StartCase(ctx, execution.StartCase{
					ProcessKey: "ftth-install", RegionID: "CN-HA-ZZ",
					Variables: map[string]any{"case": map[string]any{"channel": "app", "plan": "300M", "planMbps": 300}},
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}
