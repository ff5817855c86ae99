package soak_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/caseevent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	sysclock "github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/server"
	"github.com/openspms/spms/test/scene"
)

// world is the product, who uses it, and what they know of it.
type world struct {
	t       *testing.T
	plan    plan
	url     string
	house   *running
	picture *picture
	viewers map[string]*access.Viewer
	rand    *rand.Rand // what people do
	faults  *rand.Rand // what fails, apart: the same seed does the same
	luck    *rand.Rand // of the commits of one request
	until   time.Time
	began   time.Time
	cases   int // started
	keys    int
	people  []string
	calm    bool // no commit fails: before the run, and where several run side by side
	killed  bool // the product has died and is to be started
	outcome outcome
}

// running is the product between a start and a stop.
type running struct {
	*server.House
	door http.Handler
	stop context.CancelFunc // of what listens to it
}

// outcome is what came of a run.
type outcome struct {
	digest  string
	steps   int
	years   float64
	failed  map[string]int // faults by kind
	kinds   map[string]int // steps by the kind of event
	asked   int
	done    map[string]int // by verb
	refused map[string]int // by code
}

func (o outcome) faults() int {
	n := 0
	for _, k := range o.failed {
		n += k
	}
	return n
}

func (o outcome) String() string {
	return fmt.Sprintf("%d steps of cases, %d requests, %.0f years, %d faults, digest %.12s\nsteps %v\nfaults %v\ndone %v\nrefused %v",
		o.steps, o.asked, o.years, o.faults(), o.digest, o.kinds, o.failed, o.done, o.refused)
}

// template is a database with what every run begins with, made by the first.
var template struct {
	mu     sync.Mutex
	body   []byte
	keys   int
	people []string
}

// open opens a new database with the sample data and the processes of the soak.
func open(t *testing.T, dir string, p plan, people rand.Source) *world {
	t.Helper()
	path := filepath.Join(dir, "soak.db")
	w := &world{
		t: t, plan: p, url: "sqlite:" + path,
		rand: rand.New(rand.NewPCG(0, 1)), faults: rand.New(rand.NewPCG(0, 2)), // of the preparation
		began: time.Now(), until: time.Now().AddDate(p.years, 0, 0),
		people: slices.Clone(firstPeople), picture: newPicture(), viewers: map[string]*access.Viewer{}, calm: true,
		outcome: outcome{done: map[string]int{}, refused: map[string]int{}, failed: map[string]int{}},
	}
	template.mu.Lock()
	defer template.mu.Unlock()
	if template.body == nil {
		w.start()
		w.prepare()
		w.house.close(t)
		var err error
		if template.body, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		template.keys, template.people = w.keys, w.people
	}
	if err := os.WriteFile(path, template.body, 0o600); err != nil {
		t.Fatal(err)
	}
	w.keys, w.people, w.calm = template.keys, slices.Clone(template.people), false
	w.outcome.done, w.outcome.asked, w.outcome.failed = map[string]int{}, 0, map[string]int{}
	w.rand, w.faults, w.viewers = rand.New(people), rand.New(rand.NewPCG(uint64(p.seed), 2)), map[string]*access.Viewer{}
	w.picture = newPicture()
	w.start()
	return w
}

// prepare loads the sample data and the processes of the soak.
func (w *world) prepare() {
	w.t.Helper()
	if err := w.house.Migrate(w.t.Context()); err != nil {
		w.t.Fatalf("Migrate() = %v", err)
	}
	if err := w.house.Seed(w.t.Context()); err != nil {
		w.t.Fatalf("Seed() = %v", err)
	}
	w.hire()
	w.divide()
	w.create(watchProcess, scene.Watch(watchProcess))
	w.correct()
	w.create(serveProcess, scene.Serve(serveProcess, serveTopic))
	w.create(askProcess, scene.Ask(askProcess, serveProcess))
}

func (w *world) start() {
	w.t.Helper()
	h, err := server.OpenHouse(w.t.Context(), w.url, sysclock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatalf("OpenHouse() = %v", err)
	}
	h.Store.Interfere(w.commit)
	ctx, stop := context.WithCancel(w.t.Context())
	w.picture.listen(ctx, h.Store)
	w.house = &running{h, h.Handler(server.AuthNone), stop}
}

// restart stops the product and starts it again; what it has not told is missed.
func (w *world) restart() {
	w.t.Helper()
	w.house.close(w.t)
	w.killed = false
	w.start()
}

func (r *running) close(t *testing.T) {
	t.Helper()
	r.stop()
	if err := r.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
}

// fault counts what fails.
func (w *world) fault(kind string) { w.outcome.failed[kind]++ }

// Rhythm of a run.
const (
	rush        = 30    // how many act at most before time goes on
	checkEvery  = 5000  // steps between checks of the invariants of what has changed
	reportEvery = 50000 // steps between lines in the log
)

// run lets people and time act until the steps are made, then brings all to rest.
func (w *world) run() outcome {
	w.t.Helper()
	checked, reported := 0, 0
	for w.outcome.steps < w.plan.steps {
		for range 1 + w.rand.IntN(rush) {
			w.act()
			w.look()
		}
		w.attend()
		// So much time goes by in a round that the years and the steps end together.
		w.count()
		left, missing := time.Until(w.until), max(w.plan.steps-w.outcome.steps, 1)
		pause := time.Duration(float64(left) / float64(missing) * stepsPerRound)
		w.pass(min(time.Duration(w.rand.Int64N(int64(2*max(pause, time.Second)))), left))
		if w.outcome.steps-checked >= checkEvery {
			checked = w.outcome.steps
			w.verify(execution.OnlyCases(slices.Collect(maps.Keys(w.picture.touched))))
			w.picture.touched = map[string]bool{}
		}
		if w.outcome.steps-reported >= reportEvery {
			reported = w.outcome.steps
			w.t.Logf("%d steps, %d faults, %.1f years", w.outcome.steps, w.outcome.faults(), time.Since(w.began).Hours()/24/365.25)
		}
	}
	w.pass(max(time.Until(w.until), 0))
	w.rest()
	w.sort()
	w.outcome.years = time.Since(w.began).Hours() / 24 / 365.25
	w.outcome.digest = w.digest()
	return w.outcome
}

// stepsPerRound is about how many steps people and timers make in a round.
const stepsPerRound = 16

// rest lets be done what a commit that failed has put off, and checks everything.
func (w *world) rest() {
	w.t.Helper()
	w.calm = true
	for range 3 {
		time.Sleep(time.Hour)
		w.settle()
	}
	w.verify(execution.AtRest(time.Now()))
}

// count counts the events that cases have taken: none is ever deleted, so that SQLite's own
// number of the last is their number.
func (w *world) count() {
	w.t.Helper()
	err := w.house.Store.SQL().QueryRowContext(w.t.Context(), "select coalesce(max(rowid), 0) from case_events").Scan(&w.outcome.steps)
	if err != nil {
		w.t.Fatal(err)
	}
}

// sort counts the events by kind.
func (w *world) sort() {
	w.t.Helper()
	var rows []struct {
		Kind  string
		Count int
	}
	if err := w.house.Store.Client().CaseEvent.Query().GroupBy(caseevent.FieldKind).Aggregate(ent.Count()).Scan(w.inside(), &rows); err != nil {
		w.t.Fatal(err)
	}
	w.outcome.steps, w.outcome.kinds = 0, map[string]int{}
	for _, r := range rows {
		w.outcome.kinds[r.Kind] = r.Count
		w.outcome.steps += r.Count
	}
}

// inside is a context that may see everything.
func (w *world) inside() context.Context {
	return access.Elevated(access.With(w.t.Context(), access.System("soak")))
}

// pass lets time go by. Mostly the product is there and acts wherever something is due;
// sometimes it is not, and finds all of it when it is back.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := time.Now().Add(d)
	if w.rand.IntN(4) > 0 {
		time.Sleep(time.Until(end))
		w.settle()
		return
	}
	for {
		next, ok, err := w.house.Cases.NextDue(w.t.Context())
		if err != nil {
			w.t.Fatalf("NextDue() = %v", err)
		}
		if !ok || next.After(end) {
			break
		}
		time.Sleep(time.Until(next))
		w.settle()
	}
	time.Sleep(time.Until(end))
	w.settle()
}

// settle lets the product do what time brings until nothing is due any more, whatever
// fails meanwhile.
func (w *world) settle() {
	w.t.Helper()
	defer w.look()
	var err error
	for range 20 {
		if err = w.tick(); err != nil && !only(err, "DATABASE_UNAVAILABLE") {
			w.t.Fatalf("Tick() = %v", err)
		}
		if w.killed {
			w.restart()
		}
		if err != nil {
			continue
		}
		next, ok, due := w.house.Cases.NextDue(w.t.Context())
		if due != nil || !ok || next.After(time.Now()) {
			return
		}
		err = fmt.Errorf("something is due at %v after everything has fired", next)
	}
	w.t.Fatalf("at %v: %v", time.Now(), err)
}

// only reports whether an error consists of errors of one code.
func only(err error, code string) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(many.Unwrap(), func(e error) bool { return !only(e, code) })
	}
	if e, ok := err.(*fault.Error); ok { //nolint:errorlint // the same
		return e.Code == code
	}
	inner := errors.Unwrap(err)
	return inner != nil && only(inner, code)
}

// tick lets the product do what time brings; sometimes it is interrupted first.
func (w *world) tick() error {
	w.luck = rand.New(rand.NewPCG(w.faults.Uint64(), 0))
	if w.faults.IntN(20) > 0 {
		return w.house.Tick(w.t.Context())
	}
	w.fault("tick interrupted")
	var err error
	w.interrupt(func(ctx context.Context) { _ = w.house.Tick(ctx) }, func() { err = w.house.Tick(w.t.Context()) })
	return err
}

// verify checks the invariants of the database.
func (w *world) verify(how execution.Check) {
	w.t.Helper()
	report, err := w.house.Cases.Verify(w.inside(), func(int, int) {}, how)
	if err != nil {
		w.t.Fatalf("Verify() = %v", err)
	}
	for _, v := range report.Violations {
		w.t.Errorf("%s of %s: %s", v.Rule, v.Subject, v.Detail)
	}
	if w.t.Failed() {
		w.t.Fatalf("after %d requests and %d faults", w.outcome.asked, w.outcome.faults())
	}
}

// digest tells apart two ends of a run by what their cases hold; ids and the numbers that
// the product has given differ from run to run and do not count.
func (w *world) digest() string {
	client, ctx := w.house.Store.Client(), w.inside()
	lines := map[string]string{} // by name
	for last := ""; ; {
		rows, err := client.ServiceCase.Query().Where(servicecase.IDGT(last)).Order(ent.Asc(servicecase.FieldID)).Limit(200).
			WithClocks(func(q *ent.ClockQuery) { q.Order(ent.Asc(clock.FieldStartedAt, clock.FieldIndicatorCode)) }).
			WithTasks(func(q *ent.TaskQuery) { q.Order(ent.Asc(task.FieldCreatedAt, task.FieldNodeID, task.FieldTokenSeq)) }).All(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range rows {
			last = c.ID
			sum := sha256.New()
			write := json.NewEncoder(sum)
			_ = write.Encode([]any{c.State, c.Stage, c.Outcome, c.Revision, c.Variables, c.CreatedAt, c.EndedAt})
			for _, k := range c.Edges.Clocks {
				_ = write.Encode([]any{k.IndicatorCode, k.State, k.DueAt, k.StoppedAt, k.BreachedAt, k.PausedMicros})
			}
			for _, k := range c.Edges.Tasks {
				_ = write.Encode([]any{k.NodeID, k.State, k.Priority, k.CompletedAt})
			}
			if w.picture.known[c.ID] == nil {
				w.meet([]string{c.ID})
			}
			lines[w.picture.known[c.ID].name] = hex.EncodeToString(sum.Sum(nil))
		}
		if len(rows) < 200 {
			break
		}
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintln(sum, name, lines[name])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// interrupt does something under a context that is cancelled from within, after some of
// what is done under it, as when a client goes away or a node is told to stop. How much of
// it is done may depend on chance, and so may how many commits are left for what follows:
// nothing else fails in either, so that both end alike whatever was done first.
func (w *world) interrupt(do func(ctx context.Context), again func()) {
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	calm := w.calm
	w.calm = true
	do(&brittle{Context: ctx, stop: stop, left: w.faults.IntN(60)})
	again()
	w.calm = calm
}

type brittle struct {
	context.Context
	stop context.CancelFunc
	left int
}

// Err counts how often it is asked and cancels in the end.
func (b *brittle) Err() error {
	if b.left--; b.left < 0 {
		b.stop()
	}
	return b.Context.Err()
}

// pick chooses one of a list.
func pick[T any](w *world, list ...T) T { return list[w.rand.IntN(len(list))] }
