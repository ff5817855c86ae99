package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// onlookers look at a database from elsewhere than who writes: over other connections
// of HTTP, over a connection of SQL of their own and, on PostgreSQL, through another
// house as another node has it.
type onlookers struct {
	writes *poster
	reads  []*poster
	db     *sql.DB
	query  string // of the states of the tasks of a case, by its number

	checks, stale atomic.Int64
	seen          stopwatch // from the answer of a completion until the query over HTTP has answered
}

// lookOn opens a house and its onlookers.
func lookOn(tb testing.TB, url string, clients int) *onlookers {
	tb.Helper()
	h := benchHouse(tb, url)
	door := httptest.NewServer(h.Handler(server.AuthNone))
	tb.Cleanup(door.Close)
	o := &onlookers{
		writes: newPoster(door.URL, clients), reads: []*poster{newPoster(door.URL, clients)},
		query: `select t.node_id || ':' || t.state from tasks t join service_cases c on c.id = t.case_id where c.number = `,
	}
	var at func(int) string
	o.db, at = bare(tb, url)
	o.query += at(1)
	if !strings.HasPrefix(url, "sqlite:") {
		other := reopen(tb, url, clock.NewManual(benchDay))
		tb.Cleanup(func() { _ = other.Close() })
		node := httptest.NewServer(other.Handler(server.AuthNone))
		tb.Cleanup(node.Close)
		o.reads = append(o.reads, newPoster(node.URL, clients))
	}
	o.db.SetMaxOpenConns(clients)
	o.db.SetMaxIdleConns(clients)
	tb.Cleanup(func() { _ = o.db.Close() })
	return o
}

// work starts a case of five human tasks and completes them; after each completion
// everyone looks.
func (o *onlookers) work(ctx context.Context, number string) error {
	_, err := o.writes.post("zz-agent", startHuman(number))
	for i := 0; i < 5 && err == nil; i++ {
		task := fmt.Sprintf(`caseNumber: %q, nodeID: "a%d"`, number, i)
		if _, err = o.writes.post("zz-agent", fmt.Sprintf(`mutation { claimTask(input: {%s}) { userErrors { code } } }`, task)); err != nil {
			return err
		}
		if _, err = o.writes.post("zz-agent", fmt.Sprintf(`mutation { completeTask(input: {%s}) { userErrors { code } } }`, task)); err != nil {
			return err
		}
		err = o.look(ctx, number, i)
	}
	return err
}

// look counts who does not see yet that the i-th task is complete and the next is there.
func (o *onlookers) look(ctx context.Context, number string, i int) error {
	note := func(states string) {
		o.checks.Add(1)
		done, next := fmt.Sprintf("a%d:completed", i), fmt.Sprintf("a%d:created", i+1)
		if !strings.Contains(states, done) || (i < 4 && !strings.Contains(states, next)) {
			o.stale.Add(1)
		}
	}
	for _, p := range o.reads {
		var answer []byte
		err := o.seen.time(func() (err error) {
			answer, err = p.post("zz-agent", fmt.Sprintf(`{ serviceCase(number: %q) { tasks(first: 10) { edges { node { nodeID state } } } } }`, number))
			return err
		})
		var r reply
		if err == nil {
			err = json.Unmarshal(answer, &r)
		}
		if err != nil {
			return err
		}
		states := ""
		list, _ := dig(r.Data, "serviceCase", "tasks", "edges").([]any)
		for _, e := range list {
			states += fmt.Sprintf(" %v:%v", dig(e, "node", "nodeID"), dig(e, "node", "state"))
		}
		note(states)
	}
	rows, err := o.db.QueryContext(ctx, o.query, number)
	if err != nil {
		return err
	}
	defer rows.Close()
	states := ""
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return err
		}
		states += " " + s
	}
	note(states)
	return rows.Err()
}

// TestCommittedIsVisible lets 16 clients complete tasks: once it is answered, nobody who
// looks from elsewhere sees the state before.
func TestCommittedIsVisible(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		const clients = 16
		o := lookOn(t, url, clients)
		failed := make(chan error, clients)
		for i := range clients {
			go func() { failed <- o.work(t.Context(), fmt.Sprintf("V-%04d", i)) }()
		}
		for range clients {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
		want := int64(clients * 5 * (len(o.reads) + 1))
		if o.checks.Load() != want || o.stale.Load() > 0 {
			t.Errorf("of %d looks at completed tasks %d saw the state before, want 0 of %d", o.checks.Load(), o.stale.Load(), want)
		}
	})
}

// BenchmarkVisible measures how long after its answer a completion is seen from
// elsewhere over HTTP, and how often it is not.
func BenchmarkVisible(b *testing.B) {
	for _, db := range databases {
		b.Run(db.name, func(b *testing.B) {
			const clients = 16
			o := lookOn(b, db.url(b), clients)
			b.Run("clients=16", func(b *testing.B) {
				o.seen = stopwatch{}
				o.checks.Store(0)
				var n atomic.Int64
				eachClient(b, clients, func() error {
					return o.work(b.Context(), fmt.Sprintf("V-%d-%06d", b.N, n.Add(1)))
				})
				o.seen.report(b)
				b.ReportMetric(float64(o.stale.Load()), "stale")
				b.ReportMetric(float64(o.checks.Load()), "looks")
			})
		})
	}
}
