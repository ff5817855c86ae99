package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/server"
)

// filled is a house with so many cases.
type filled struct {
	size  int
	house *server.House
	clock *clock.Manual
	took  []time.Duration // what each case or timer took, in rounds
}

// BenchmarkFilled measures what the number of cases in the database does to one more
// case, to a timer and to worklists. SPMS_BENCH_CASES=10000,100000,1000000 sets the
// numbers; half of the cases are open, with eleven tasks to ten cases. Each size has a
// database of its own, and the sizes take turns, so that a noisy machine disturbs
// all of them alike.
func BenchmarkFilled(b *testing.B) {
	for _, db := range databases {
		b.Run(db.name, func(b *testing.B) {
			var all []*filled
			for _, size := range sizes(b, "SPMS_BENCH_CASES", 500) {
				f := &filled{size: size}
				since := time.Now()
				f.house, f.clock = crowded(b, db.url(b), size)
				b.Logf("%s: %d cases filled in %v", db.name, size, time.Since(since).Round(time.Second))
				all = append(all, f)
			}
			b.Run("case", func(b *testing.B) { caseIn(b, all) })
			b.Run("timer", func(b *testing.B) { timerIn(b, all) })
			for _, f := range all {
				b.Run(fmt.Sprintf("worklist/cases=%d", f.size), func(b *testing.B) { worklistsOf(b, f.house) })
			}
		})
	}
}

// inTurns lets the sizes take turns, some units each time, until each has done b.N;
// it reports the middle time of a unit at each size and its ratio to the smallest.
func inTurns(b *testing.B, all []*filled, work func(f *filled, units int)) {
	b.Helper()
	const turn = 25
	for _, f := range all {
		f.took = nil
		work(f, 1) // what the first one finds out is kept
	}
	b.ResetTimer()
	for done := 0; done < b.N; done += turn {
		units := min(turn, b.N-done)
		for _, f := range all {
			since := time.Now()
			work(f, units)
			f.took = append(f.took, time.Since(since)/time.Duration(units))
		}
	}
	b.StopTimer()
	for i, f := range all {
		slices.Sort(f.took)
		middle := f.took[len(f.took)/2]
		b.ReportMetric(ms(middle), fmt.Sprintf("ms@%d", f.size))
		if i > 0 {
			b.ReportMetric(float64(middle)/float64(all[0].took[len(all[0].took)/2]), fmt.Sprintf("x@%d", f.size))
		}
	}
}

// caseIn starts a case of five human tasks and works them.
func caseIn(b *testing.B, all []*filled) {
	inTurns(b, all, func(f *filled, units int) {
		ctx := as(b, f.house, "zz-agent")
		for range units {
			if err := workChain(ctx, f.house, new(stopwatch)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// waitUntil starts a case that waits until an instant.
func waitUntil(ctx context.Context, h *server.House, at time.Time) error {
	_, err := h.Cases.StartCase(ctx, execution.StartCase{
		ProcessKey: "bench-timer", RegionID: "CN-HA-ZZ", Variables: map[string]any{"n": map[string]any{"at": at.Format(time.RFC3339Nano)}},
	})
	return err
}

// timerIn starts cases that wait, which is not measured, a second apart, and lets
// some seconds go by at each turn.
func timerIn(b *testing.B, all []*filled) {
	ctx := access.With(b.Context(), access.System("bench"))
	for _, f := range all {
		for i := range b.N + 1 {
			if err := waitUntil(ctx, f.house, f.clock.Now().Add(time.Duration(i+1)*time.Second)); err != nil {
				b.Fatal(err)
			}
		}
	}
	inTurns(b, all, func(f *filled, units int) {
		f.clock.Advance(time.Duration(units) * time.Second)
		if err := f.house.Tick(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
	for _, f := range all {
		waits, err := f.house.Store.Client().ServiceCase.Query().
			Where(servicecase.StateEQ(servicecase.StateActive), servicecase.HasProcessWith(process.Key("bench-timer"))).Count(ctx)
		if err != nil || waits > 0 {
			b.Fatalf("%d timers were left, %v", waits, err)
		}
	}
}

// worklists are what people ask: an agent of a city, a supervisor of a province, an
// auditor of the whole country.
var worklists = []struct{ name, person, arguments, more string }{
	{"city-mine", "zz-agent", `mine: true`, ``},
	{"city-mine-total", "zz-agent", `mine: true`, `totalCount`},
	{"city-role", "zz-agent", `role: "agent", regionID: "CN-HA-ZZ"`, ``},
	{"city-channel", "zz-agent", `mine: true, attributes: [{name: "case.channel", in: ["app"]}]`, ``},
	{"city-fee", "zz-agent", `mine: true, attributes: [{name: "case.fee", min: 10, max: 20}]`, ``},
	{"city-none", "zz-agent", `mine: true, attributes: [{name: "case.channel", in: ["nobody"]}]`, ``},
	{"province", "ha-supervisor", ``, ``},
	{"province-total", "ha-supervisor", ``, `totalCount`},
	{"province-page2", "ha-supervisor", `after: %q`, ``},
	{"province-role", "ha-supervisor", `role: "technician", regionID: "CN-HA"`, ``},
	{"province-channel", "ha-supervisor", `attributes: [{name: "case.channel", in: ["app"]}]`, ``},
	{"province-fee", "ha-supervisor", `attributes: [{name: "case.fee", min: 10, max: 20}]`, ``},
	{"province-unclaimed", "ha-supervisor", `where: {state: created}`, ``},
	{"province-priority", "ha-supervisor", `orderBy: [{field: PRIORITY, direction: DESC}]`, ``},
	{"country", "auditor", ``, ``},
	{"country-role", "auditor", `role: "technician"`, ``},
}

// worklistsOf asks for the first fifty tasks over HTTP, one client at a time.
func worklistsOf(b *testing.B, h *server.House) {
	web := httptest.NewServer(h.Handler(server.AuthNone))
	b.Cleanup(web.Close)
	p := newPoster(web.URL, 1)
	ask := func(w struct{ name, person, arguments, more string }) string {
		arguments := w.arguments
		if w.name == "province-page2" {
			first, err := p.post(w.person, `{ worklist(first: 50) { pageInfo { endCursor } edges { cursor } } }`)
			if err != nil {
				b.Fatal(err)
			}
			var r reply
			if err := json.Unmarshal(first, &r); err != nil {
				b.Fatal(err)
			}
			arguments = fmt.Sprintf(arguments, dig(r.Data, "worklist", "pageInfo", "endCursor"))
		}
		if arguments != "" {
			arguments += ", "
		}
		return fmt.Sprintf(`{ worklist(%sfirst: 50) { %s pageInfo { hasNextPage endCursor } edges { node { id nameZh state role dueAt priority case { number title } } } } }`, arguments, w.more)
	}
	for _, w := range worklists {
		b.Run(w.name, func(b *testing.B) {
			query, times := ask(w), new(stopwatch)
			if _, err := p.post(w.person, query); err != nil { // so that viewer and statement are known
				b.Fatal(err)
			}
			eachClient(b, 1, func() error {
				return times.time(func() error { _, err := p.post(w.person, query); return err })
			})
			times.report(b)
		})
	}
}
