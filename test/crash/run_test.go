package crash_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/test/scene"
)

// run is one database, the program on it, and the clients.
type run struct {
	t        *testing.T
	ctx      context.Context
	program  *program
	entrance *entrance
	clients  []*client
	workers  []*client
	rng      *rand.Rand
	server   *process
	recovery []time.Duration // from start to ready, after a kill
	unready  int             // kills before the server was ready
	steady   *process        // a second server on the database that nobody kills, if any
	aside    *entrance       // where it is found
}

// places are whom the clients act as, by turns.
var places = []struct{ name, region string }{{"zz", "CN-HA-ZZ"}, {"ny", "CN-HA-NY"}, {"yb", "CN-CQ-YB"}}

const clientCount = 6

// sample loads the sample data into the database of url, by the real program.
func sample(t *testing.T, url string) {
	t.Helper()
	binary := whole(t)
	storetest.Fill(t, url, "sample", func(url string) error {
		_, err := (&program{binary: binary, database: url, log: os.Stderr}).run(context.WithoutCancel(t.Context()), "seed")
		return err
	})
}

// newRun opens a journal for each client that is going to work on a database with the
// sample data.
func newRun(t *testing.T, binary, url string, seed uint64) *run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	t.Cleanup(cancel)
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if said, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("what the program said last: %v\n%s", err, said[max(0, len(said)-4096):])
		}
	})
	r := &run{t: t, ctx: ctx, program: &program{binary: binary, database: url, log: log}, entrance: newEntrance(), rng: rand.New(rand.NewPCG(seed, 0))}
	for i := range clientCount + workerCount {
		name := "crash-" + strconv.Itoa(i+1)
		j, err := newJournal(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.file.Close() })
		at := places[i%len(places)]
		c := &client{
			name: name, place: at.name, region: at.region, entrance: r.entrance, journal: j, retried: map[string]time.Time{}, patience: patience, rng: rand.New(rand.NewPCG(seed, uint64(i+1))),
		}
		if i < clientCount {
			r.clients = append(r.clients, c)
		} else {
			r.workers = append(r.workers, c)
		}
	}
	return r
}

// crash lets the clients work while the server is killed and started again,
// then lets them play their last cases to the end. The server runs on.
func (r *run) crash(kills int) {
	r.t.Helper()
	r.strike(func(ctx context.Context) error { return r.killAll(ctx, kills) })
	r.report(kills)
}

// strike lets the clients work while something happens to the server, then lets
// them play their last cases to the end.
func (r *run) strike(blows func(ctx context.Context) error) {
	r.t.Helper()
	if err := r.struck(blows); err != nil {
		r.t.Fatal(err)
	}
}

// struck is strike for a program that may not survive.
func (r *run) struck(blows func(ctx context.Context) error) error {
	r.t.Helper()
	r.start()
	working, cancel := context.WithCancel(r.ctx)
	defer cancel()
	work, ctx := errgroup.WithContext(working)
	for _, c := range r.clients {
		work.Go(func() error { return c.work(ctx) })
	}
	serving, home := context.WithCancel(r.ctx)
	defer home()
	var workers errgroup.Group
	for _, w := range r.workers {
		workers.Go(func() error { return w.serve(serving) })
	}
	err := blows(ctx)
	r.entrance.closeSoon()
	if r.aside != nil {
		r.aside.closeSoon()
	}
	if err != nil {
		cancel()
		home()
		return errors.Join(err, work.Wait(), workers.Wait())
	}
	err = work.Wait()
	home()
	return errors.Join(err, workers.Wait())
}

// spread does something times over, each after some mutations and a little more.
func (r *run) spread(ctx context.Context, times int, blow func(ctx context.Context) error) error {
	for range times {
		select {
		case <-r.entrance.after(20 + r.rng.IntN(80)):
		case <-ctx.Done():
			return ctx.Err()
		}
		r.pause(ctx, 10*time.Millisecond)
		if err := blow(ctx); err != nil {
			return err
		}
	}
	return nil
}

// accompany starts a second server on the database, for every other client.
func (r *run) accompany() {
	r.t.Helper()
	var err error
	if r.steady, err = r.program.serve(r.ctx); err != nil {
		r.t.Fatal(err)
	}
	url, _, err := r.steady.ready(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	r.aside = newEntrance()
	r.aside.replace(url)
	for i, c := range r.clients {
		if i%2 == 1 {
			c.entrance = r.aside
		}
	}
}

// killAll kills the server at random moments: after some mutations and a
// little, or, one time in five, while it is still starting.
func (r *run) killAll(ctx context.Context, kills int) error {
	for range kills {
		if r.server == nil {
			var err error
			if r.server, err = r.program.serve(r.ctx); err != nil {
				return err
			}
			if r.rng.IntN(5) == 0 {
				r.unready++
				r.pause(ctx, 300*time.Millisecond)
				if err := r.kill(); err != nil {
					return err
				}
				continue
			}
			if err := r.admit(ctx); err != nil {
				return err
			}
		}
		select {
		case <-r.entrance.after(1 + r.rng.IntN(80)):
		case <-ctx.Done():
			return ctx.Err()
		}
		r.pause(ctx, 10*time.Millisecond)
		if err := r.kill(); err != nil {
			return err
		}
	}
	var err error
	if r.server, err = r.program.serve(r.ctx); err != nil {
		return err
	}
	return r.admit(ctx)
}

// pause lets a random time below limit pass: the kill shall hit the server
// anywhere, not only where a message has just come or gone.
func (r *run) pause(ctx context.Context, limit time.Duration) {
	select {
	case <-time.After(time.Duration(r.rng.Int64N(int64(limit)))):
	case <-ctx.Done():
	}
}

func (r *run) kill() error {
	err := r.server.kill()
	r.server = nil
	r.entrance.replace("")
	return err
}

// admit waits until the server is ready after a kill and shows the clients in.
func (r *run) admit(ctx context.Context) error {
	url, took, err := r.server.ready(ctx)
	if err != nil {
		return fmt.Errorf("start after a kill: %w", err)
	}
	r.recovery = append(r.recovery, took)
	r.entrance.replace(url)
	return nil
}

func (r *run) report(kills int) {
	sent, again, retried := 0, 0, 0
	for _, c := range r.clients {
		sent += len(c.acked)
		again += c.again
		retried += len(c.retried)
	}
	slices.Sort(r.recovery)
	n := len(r.recovery)
	r.t.Logf("%d kills, %d of them during a start; %d mutations acknowledged, %d of them cut off by a kill and retried, %d acknowledged ones sent again; ready after a kill in min %v, median %v, max %v",
		kills, r.unready, sent, retried, again, r.recovery[0].Round(time.Millisecond), r.recovery[n/2].Round(time.Millisecond), r.recovery[n-1].Round(time.Millisecond))
}

// start starts the server for the first time, shows the clients in, and lets
// the whole country run the processes of the scripts, which the sample data does not.
func (r *run) start() {
	r.t.Helper()
	var err error
	if r.server, err = r.program.serve(r.ctx); err != nil {
		r.t.Fatal(err)
	}
	url, _, err := r.server.ready(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	r.must(url, "hq-approver", "bindProcess", values{"versionID": "enquiry@1", "regionID": "CN"})
	for _, p := range [][2]string{
		{serveProcess, scene.Serve(serveProcess, serveTopic)}, {askProcess, scene.Ask(askProcess, serveProcess)}, {brokenProcess, scene.Broken(brokenProcess)},
	} {
		version := p[0] + "@1"
		r.must(url, "hq-standard", "createProcess", values{"regionID": "CN", "bpmn": p[1]})
		r.must(url, "hq-standard", "submitProcess", values{"versionID": version, "revision": 1})
		r.must(url, "hq-approver", "publishProcess", values{"versionID": version, "revision": 2})
		r.must(url, "hq-approver", "bindProcess", values{"versionID": version, "regionID": "CN"})
	}
	r.entrance.replace(url)
}

// must asks what prepares the run. A program that acknowledges too early may not know yet
// what it has just been told, so that it is asked for a while.
func (r *run) must(url, person, operation string, input values) {
	r.t.Helper()
	body, err := json.Marshal(input)
	if err != nil {
		r.t.Fatal(err)
	}
	for began := time.Now(); ; {
		answer, err := post(r.ctx, url, send{person: person, operation: operation, input: body})
		if err == nil && !strings.Contains(answer, `"code"`) {
			return
		}
		if time.Since(began) > 5*time.Second {
			r.t.Fatalf("%s: %s, %v", operation, answer, err)
		}
	}
}
