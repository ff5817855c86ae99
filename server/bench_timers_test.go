package server_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/store"
)

// timerWindow is the time in which the timers of BenchmarkTimerLateness become due.
const timerWindow = 10 * time.Second

// BenchmarkTimerLateness lets b.N of SPMS_BENCH_TIMERS timers become due within ten
// seconds of the real clock and measures from the due instant until the case has
// gone on and that is committed.
func BenchmarkTimerLateness(b *testing.B) {
	for _, db := range databases {
		b.Run(db.name, func(b *testing.B) {
			url := db.url(b)
			pending := sizes(b, "SPMS_BENCH_TIMERS", 1000)[0]
			ids := pendingTimers(b, url, pending)
			b.Run("window=10s", func(b *testing.B) {
				if b.N > len(ids) {
					b.Fatalf("%d timers are to fire, SPMS_BENCH_TIMERS makes %d", b.N, len(ids))
				}
				due := map[string]time.Time{}
				begin := time.Now().Add(time.Second)
				for i, id := range ids[:b.N] {
					due[id] = begin.Add(timerWindow * time.Duration(i) / time.Duration(b.N)).Truncate(time.Microsecond)
				}
				ids = ids[b.N:]
				setDue(b, url, due)
				late := lateness(b, url, due)
				slices.Sort(late)
				b.ReportMetric(ms(late[len(late)/2]), "p50-ms")
				b.ReportMetric(ms(late[len(late)*99/100]), "p99-ms")
				b.ReportMetric(ms(late[len(late)-1]), "max-ms")
				b.ReportMetric(float64(b.N)/timerWindow.Seconds(), "due/s")
				b.ReportMetric(float64(pending), "pending")
			})
		})
	}
}

// pendingTimers fills a database with cases that wait for ten years and returns their ids.
func pendingTimers(b *testing.B, url string, n int) []string {
	b.Helper()
	h := reopen(b, url, clock.System{})
	furnish(b, h)
	ctx := access.With(b.Context(), access.System("bench"))
	far := clock.System{}.Now().AddDate(10, 0, 0)
	if err := waitUntil(ctx, h, far); err != nil {
		b.Fatal(err)
	}
	ids, err := h.Store.Client().ServiceCase.Query().IDs(ctx)
	if err != nil {
		b.Fatal(err)
	}
	cities := country(b, h)
	if err := h.Close(); err != nil {
		b.Fatal(err)
	}
	crowd{url: url, cases: ids, copies: n, places: cities, every: time.Second}.fill(b)
	h = reopen(b, url, clock.System{})
	defer func() { _ = h.Close() }()
	if ids, err = h.Store.Client().ServiceCase.Query().Where(servicecase.IDNotIn(ids...)).IDs(ctx); err != nil {
		b.Fatal(err)
	}
	return ids
}

// setDue lets the timers of some cases become due at other instants.
func setDue(b *testing.B, url string, due map[string]time.Time) {
	b.Helper()
	db, at := bare(b, url)
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	for id, instant := range due {
		if _, err := tx.ExecContext(b.Context(), "update timer_rows set due_at = "+at(1)+", due_order = "+at(2)+" where case_id = "+at(3), instant, instant, id); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

// lateness runs the timers of a house until all that are due have fired and returns how
// late each was.
func lateness(b *testing.B, url string, due map[string]time.Time) []time.Duration {
	b.Helper()
	h := reopen(b, url, clock.System{})
	defer func() { _ = h.Close() }()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	committed := h.Store.Subscribe(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	b.ResetTimer()
	running.Go(func() { h.RunTimers(ctx) })
	var late []time.Duration
	seen := map[string]bool{}
	for len(late) < len(due) {
		c, open := <-committed
		now := time.Now()
		if !open || c.Kind == store.Lost {
			b.Fatalf("%d of %d timers were seen to fire", len(late), len(due))
		}
		if at, ok := due[c.CaseID]; ok && c.Kind == "case" && !seen[c.CaseID] {
			seen[c.CaseID] = true
			late = append(late, now.Sub(at))
		}
	}
	b.StopTimer()
	return late
}
