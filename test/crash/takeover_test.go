package crash_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
)

// takeover is how long the work of a node that died may lie before another one does it.
const takeover = 10 * time.Second

// leaseOfTheDead is how long a worker of the node that dies was lent a task.
const leaseOfTheDead = 3 * time.Second

// TestTakeover kills one of two nodes on one PostgreSQL with a timer set, a task lent and a
// note just written: the other fires, lends again and carries out in time.
func TestTakeover(t *testing.T) {
	t.Parallel()
	url := storetest.NewPostgresURL(t)
	sample(t, url)
	r := newRun(t, whole(t), url, 20260309)
	r.start()
	r.accompany()
	s, err := store.Open(r.ctx, r.program.database)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, client := access.With(r.ctx, access.System("crash")), r.clients[0]
	play := func(key string, script []step) string {
		t.Helper()
		number, err := client.play(r.ctx, key, script)
		if err != nil {
			t.Fatal(err)
		}
		return number
	}
	calls := func(number string) bool {
		n, err := s.Client().ServiceCase.Query().Where(servicecase.HasCallerWith(servicecase.Number(number))).Count(ctx)
		return err == nil && n > 0
	}

	lent := play("takeover-lent", asking[:1])
	for r.lend(client, "gone", leaseOfTheDead) == 0 {
	}
	leased := time.Now()
	due := time.Now().Add(2 * time.Second)
	slot := fibre[len(fibre)-1]
	slot.input = values{"name": slotMessage, "payload": values{"slotStart": due.Format(time.RFC3339Nano)}}
	timed := play("takeover-timed", append(fibre[:len(fibre)-1:len(fibre)-1], slot))
	noted := play("takeover-noted", asking[:1])
	if err := r.kill(); err != nil {
		t.Fatal(err)
	}
	died := time.Now()

	client.entrance = r.aside
	waiting := map[string]struct {
		since time.Time
		done  func() bool
	}{
		"its note was carried out": {died, func() bool { return calls(noted) }},
		"its timer fired": {later(died, due), func() bool {
			n, err := s.Client().Task.Query().Where(task.NodeID(visitNode), task.HasCaseWith(servicecase.Number(timed))).Count(ctx)
			return err == nil && n > 0
		}},
		"its task was lent again": {later(died, leased.Add(leaseOfTheDead)), func() bool {
			r.lend(client, "alive", time.Minute)
			n, err := s.Client().Task.Query().Where(task.LeaseByContains("alive"), task.HasCaseWith(servicecase.HasCallerWith(servicecase.Number(lent)))).Count(ctx)
			return err == nil && n > 0
		}},
	}
	for len(waiting) > 0 {
		for what, w := range waiting {
			switch took := time.Since(w.since); {
			case w.done():
				t.Logf("%s %v after the node was killed or it was due", what, took.Round(10*time.Millisecond))
				delete(waiting, what)
			case took > takeover:
				t.Errorf("it takes more than %v until %s", takeover, what)
				delete(waiting, what)
			}
		}
	}
	if err := r.steady.stop(); err != nil {
		t.Error(err)
	}
	r.verified()
}

// lend fetches the tasks of called cases for a worker and returns how many there were.
func (r *run) lend(c *client, worker string, lease time.Duration) int {
	r.t.Helper()
	body := fmt.Sprintf(`{"topic": %q, "worker": %q, "max": 10, "leaseSeconds": %d}`, serveTopic, worker, int(lease.Seconds()))
	answer, err := c.insist(r.ctx, send{"integration", "fetchTasks", "", []byte(body)})
	if err != nil || strings.Contains(answer, `"code"`) {
		r.t.Fatalf("fetchTasks: %s, %v", answer, err)
	}
	var lent struct{ Tasks []any }
	if err := json.Unmarshal([]byte(answer), &lent); err != nil {
		r.t.Fatal(err)
	}
	return len(lent.Tasks)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
