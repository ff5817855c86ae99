package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openspms/spms/server"
)

// workerClients is how many workers ask side by side.
const workerClients = 32

// workerBatch is how many cases a front end starts with one request, and how many
// tasks a worker fetches and completes with one.
const workerBatch = 20

// BenchmarkWorkers measures cases of five service tasks that 32 workers outside do
// over HTTP, from the start of the first to the end of the last: each task fetched
// and completed by a request of its own, and in batches; and the same by a server
// written by hand, a transaction for each statement, one task per request.
func BenchmarkWorkers(b *testing.B) {
	for _, db := range databases {
		b.Run(db.name, func(b *testing.B) {
			h := benchHouse(b, db.url(b))
			web := httptest.NewServer(h.Handler(server.AuthNone))
			b.Cleanup(web.Close)
			p := newPoster(web.URL, workerClients)
			b.Run("one", func(b *testing.B) { work(b, &apiWorkers{poster: p, batch: 1}) })
			b.Run("batch", func(b *testing.B) { work(b, &apiWorkers{poster: p, batch: workerBatch}) })
			b.Run("naive", func(b *testing.B) {
				byHand := httptest.NewServer(newNaive(b, db.name, db.url(b)))
				b.Cleanup(byHand.Close)
				work(b, &naiveWorkers{newPoster(byHand.URL, workerClients)})
			})
		})
	}
}

// crew is how cases are started and their tasks done.
type crew interface {
	// begin starts some cases, of at most a number, and returns how many.
	begin(atMost int) (int, error)
	// turn fetches tasks, completes them and returns how many.
	turn(worker string) (int, error)
}

// work starts b.N cases and does their tasks with 32 workers; each starts some cases
// and does some tasks in turn until all is done.
func work(b *testing.B, w crew) {
	var started, done, requests atomic.Int64
	var running sync.WaitGroup
	b.ResetTimer()
	for i := range workerClients {
		running.Go(func() {
			name := fmt.Sprintf("w%d", i)
			for done.Load() < 5*int64(b.N) {
				if err := beginSome(b, w, &started); err != nil {
					b.Error(err)
					return
				}
				n, err := w.turn(name)
				if err != nil {
					b.Error(err)
					return
				}
				done.Add(int64(n))
				requests.Add(1)
				if n == 0 {
					time.Sleep(2 * time.Millisecond) // as workers do that find nothing
				}
			}
		})
	}
	running.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cases/s")
	b.ReportMetric(float64(done.Load())/b.Elapsed().Seconds(), "tasks/s")
	b.ReportMetric(float64(done.Load())/float64(requests.Load()), "tasks/turn")
}

// beginSome starts what is missing to b.N cases, as many as one request does.
func beginSome(b *testing.B, w crew, started *atomic.Int64) error {
	before := started.Add(workerBatch) - workerBatch
	if left := int64(b.N) - before; left > 0 {
		for done := 0; done < int(min(left, workerBatch)); {
			n, err := w.begin(int(min(left, workerBatch)) - done)
			if err != nil {
				return err
			}
			done += n
		}
	}
	return nil
}

// apiWorkers work over the GraphQL API.
type apiWorkers struct {
	*poster
	batch int
}

func (a *apiWorkers) begin(atMost int) (int, error) {
	n := min(atMost, a.batch)
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, ` c%d: startCase(input: {processKey: "bench-service", regionID: "CN-HA-ZZ"}) { userErrors { code } }`, i)
	}
	_, err := a.post("zz-agent", "mutation {"+body.String()+" }")
	return n, err
}

func (a *apiWorkers) turn(worker string) (int, error) {
	answer, err := a.post("integration", fmt.Sprintf(`mutation { fetchTasks(input: {topic: "bench.work", worker: %q, max: %d, leaseSeconds: 60}) { tasks { id } userErrors { code } } }`, worker, a.batch))
	if err != nil {
		return 0, err
	}
	var lent struct {
		Data struct {
			FetchTasks struct{ Tasks []struct{ ID string } }
		}
	}
	if err := json.Unmarshal(answer, &lent); err != nil {
		return 0, err
	}
	tasks := lent.Data.FetchTasks.Tasks
	var items []string
	for _, t := range tasks {
		items = append(items, fmt.Sprintf(`{taskID: %q, worker: %q}`, t.ID, worker))
	}
	switch {
	case len(items) == 0:
		return 0, nil
	case a.batch == 1:
		_, err = a.post("integration", fmt.Sprintf(`mutation { completeTask(input: %s) { task { state } userErrors { code } } }`, items[0]))
	default:
		_, err = a.post("integration", fmt.Sprintf(`mutation { completeTasks(input: {items: [%s]}) { completed userErrors { code } } }`, strings.Join(items, " ")))
	}
	return len(items), err
}

// naiveWorkers work over the server written by hand.
type naiveWorkers struct{ *poster }

func (n *naiveWorkers) begin(int) (int, error) {
	_, err := n.post("start", "")
	return 1, err
}

func (n *naiveWorkers) turn(string) (int, error) {
	task, err := n.post("fetch", "")
	if err != nil || len(task) == 0 {
		return 0, err
	}
	_, err = n.post("complete", string(task))
	return 1, err
}

// ServeHTTP is the workflow written by hand as a server: the person's header says what
// to do, the query names the task.
func (n *naive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ Query string }
	err := json.NewDecoder(r.Body).Decode(&in)
	answer := ""
	switch r.Header.Get(server.PersonHeader) {
	case "start":
		_, err = n.start(r.Context())
	case "fetch":
		answer, err = n.fetch(r.Context())
	case "complete":
		caseID, number, _ := strings.Cut(in.Query, "-task-")
		i := 0
		if _, err = fmt.Sscanf(number, "%d", &i); err == nil {
			err = n.complete(r.Context(), caseID, i)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte(answer))
}

// fetch lends a task that is created to who asks, "" when there is none.
func (n *naive) fetch(ctx context.Context) (id string, err error) {
	lock := ""
	if n.postgres {
		lock = " for update skip locked"
	}
	err = n.db.QueryRowContext(ctx, "update naive_task set state = 'claimed', who = 'worker' where id = (select id from naive_task where state = 'created' order by id limit 1"+lock+") returning id").Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}
