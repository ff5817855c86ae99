package soak_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	sysclock "github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/server"
)

// world is the product, who uses it, and what they know of it.
type world struct {
	t       *testing.T
	plan    plan
	url     string
	house   *running
	rand    *rand.Rand // what people do
	faults  *rand.Rand // what fails, apart: the same seed does the same
	until   time.Time
	began   time.Time
	cases   int // started
	keys    int
	people  []string
	outcome outcome
}

// running is the product between a start and a stop.
type running struct {
	*server.House
	door http.Handler
}

// outcome is what came of a run.
type outcome struct {
	digest  string
	steps   int
	years   float64
	faults  int
	asked   int
	done    map[string]int // by verb
	refused map[string]int // by code
}

func (o outcome) String() string {
	return fmt.Sprintf("%d steps of cases, %d requests, %.0f years, %d faults, digest %.12s\ndone %v\nrefused %v",
		o.steps, o.asked, o.years, o.faults, o.digest, o.done, o.refused)
}

func open(t *testing.T, dir string, p plan) *world {
	t.Helper()
	w := &world{
		t: t, plan: p, url: "sqlite:" + filepath.Join(dir, "soak.db"),
		rand: rand.New(rand.NewPCG(uint64(p.seed), 1)), faults: rand.New(rand.NewPCG(uint64(p.seed), 2)),
		began: time.Now(), until: time.Now().AddDate(p.years, 0, 0),
		people: slices.Clone(firstPeople), outcome: outcome{done: map[string]int{}, refused: map[string]int{}},
	}
	w.start()
	return w
}

// prepare loads the sample data and a process that can fail.
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
}

func (w *world) start() {
	w.t.Helper()
	h, err := server.OpenHouse(w.t.Context(), w.url, sysclock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatalf("OpenHouse() = %v", err)
	}
	w.house = &running{h, h.Handler(server.AuthNone)}
}

func (r *running) close(t *testing.T) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
}

// run lets people and time act until the steps are made, then brings all to rest.
func (w *world) run() outcome {
	w.t.Helper()
	pause := w.until.Sub(w.began) / time.Duration(w.plan.steps)
	for i := 0; w.outcome.steps < w.plan.steps; i++ {
		w.act()
		switch left := time.Until(w.until); {
		case w.rand.IntN(4) > 0 || left <= 0: // somebody else acts at once
			w.pass(time.Duration(w.rand.IntN(3600)) * time.Second)
		default:
			w.pass(min(time.Duration(w.rand.Int64N(int64(4*pause))), left))
		}
		if i%50 == 49 {
			w.count()
			w.attend()
		}
		if i%400 == 399 {
			w.verify()
		}
	}
	w.pass(max(time.Until(w.until), 0))
	w.verify()
	w.outcome.years = time.Since(w.began).Hours() / 24 / 365.25
	w.outcome.digest = w.digest()
	return w.outcome
}

// count counts the events that cases have taken.
func (w *world) count() {
	n, err := w.house.Store.Client().CaseEvent.Query().Count(w.inside())
	if err != nil {
		w.t.Fatal(err)
	}
	w.outcome.steps = n
}

// inside is a context that may see everything.
func (w *world) inside() context.Context {
	return access.Elevated(access.With(w.t.Context(), access.System("soak")))
}

// pass lets time go by, stopping wherever something is due.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := time.Now().Add(d)
	for {
		next, ok, err := w.house.Cases.NextDue(w.t.Context())
		if err != nil {
			w.t.Fatalf("NextDue() = %v", err)
		}
		if !ok || next.After(end) {
			break
		}
		time.Sleep(time.Until(next))
		w.tick()
		if after, ok, _ := w.house.Cases.NextDue(w.t.Context()); ok && !after.After(time.Now()) {
			w.t.Fatalf("what was due at %v is due at %v after everything has fired", next, after)
		}
	}
	time.Sleep(time.Until(end))
	w.tick()
}

// tick lets the product do what time brings; a tick that is interrupted is followed
// by one that is not.
func (w *world) tick() {
	w.t.Helper()
	if w.faults.IntN(8) == 0 {
		w.outcome.faults++
		ctx, stop := w.interrupted()
		_ = w.house.Tick(ctx)
		stop()
	}
	if err := w.house.Tick(w.t.Context()); err != nil {
		w.t.Fatalf("Tick() = %v", err)
	}
}

// verify checks every invariant of the database.
func (w *world) verify() {
	w.t.Helper()
	report, err := w.house.Cases.Verify(w.inside(), func(int, int) {})
	if err != nil {
		w.t.Fatalf("Verify() = %v", err)
	}
	for _, v := range report.Violations {
		w.t.Errorf("%s of %s: %s", v.Rule, v.Subject, v.Detail)
	}
	if w.t.Failed() {
		w.t.Fatalf("after %d requests and %d faults", w.outcome.asked, w.outcome.faults)
	}
}

// digest tells apart two ends of a run by what their cases hold; ids differ from run
// to run and do not count.
func (w *world) digest() string {
	client, ctx := w.house.Store.Client(), w.inside()
	sum := sha256.New()
	write := json.NewEncoder(sum)
	for _, c := range client.ServiceCase.Query().Order(ent.Asc(servicecase.FieldNumber)).AllX(ctx) {
		_ = write.Encode([]any{c.Number, c.State, c.Stage, c.Outcome, c.Revision, c.Variables, c.CreatedAt})
		for _, k := range client.Clock.Query().Where(clock.CaseID(c.ID)).Order(ent.Asc(clock.FieldStartedAt, clock.FieldIndicatorCode)).AllX(ctx) {
			_ = write.Encode([]any{k.IndicatorCode, k.State, k.DueAt, k.StoppedAt, k.BreachedAt, k.PausedMicros})
		}
		for _, k := range client.Task.Query().Where(task.CaseID(c.ID)).Order(ent.Asc(task.FieldCreatedAt, task.FieldNodeID)).AllX(ctx) {
			_ = write.Encode([]any{k.NodeID, k.State, k.Priority, k.CompletedAt})
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// interrupted is a context that is cancelled from within, after some of what is done
// under it, as when a client goes away or a node is told to stop.
func (w *world) interrupted() (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(w.t.Context())
	return &brittle{Context: ctx, stop: stop, left: w.faults.IntN(60)}, stop
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

// answer is what a mutation answered.
type answer struct {
	body  string
	codes []string
}

// ask sends a mutation as a person, under a key. Sometimes the client goes away before the answer, the
// answer is lost, or the product is stopped and started; the client then asks
// again with the same key until it knows.
func (w *world) ask(person, operation string, input map[string]any) answer {
	w.t.Helper()
	w.keys++
	w.outcome.asked++
	input["idempotencyKey"] = fmt.Sprintf("k%d", w.keys)
	first := ""
	switch w.faults.IntN(20) {
	case 0: // the client goes away
		w.outcome.faults++
		ctx, stop := w.interrupted()
		w.send(ctx, person, operation, input)
		stop()
	case 1: // the answer is lost
		w.outcome.faults++
		first = w.send(w.t.Context(), person, operation, input).body
	}
	if w.faults.IntN(200) == 0 { // the product is stopped and started
		w.outcome.faults++
		w.house.close(w.t)
		w.start()
	}
	a := w.send(w.t.Context(), person, operation, input)
	if first != "" && first != a.body {
		w.t.Fatalf("%s by %s %v was answered\n%s and, asked again,\n%s", operation, person, input, first, a.body)
	}
	for _, c := range a.codes {
		w.outcome.refused[c]++
	}
	if slices.Contains(a.codes, "INTERNAL") {
		w.t.Errorf("%s by %s %v = %s", operation, person, input, a.body)
	}
	return a
}

func (w *world) send(ctx context.Context, person, operation string, input map[string]any) answer {
	w.t.Helper()
	kind := strings.ToUpper(operation[:1]) + operation[1:] + "Input"
	body, err := json.Marshal(map[string]any{
		"query":     fmt.Sprintf("mutation($in: %s!) { %s(input: $in) { userErrors { code path } } }", kind, operation),
		"variables": map[string]any{"in": input},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost:8080/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(server.PersonHeader, person)
	rec := httptest.NewRecorder()
	w.house.door.ServeHTTP(rec, r)
	text, _ := io.ReadAll(rec.Body)
	var reply struct {
		Data map[string]struct {
			UserErrors []struct{ Code string }
		}
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal(text, &reply); err != nil && ctx.Err() == nil {
		w.t.Fatalf("%s = %d %s", operation, rec.Code, text)
	}
	a := answer{body: string(text)}
	for _, e := range reply.Data[operation].UserErrors {
		a.codes = append(a.codes, e.Code)
	}
	for _, e := range reply.Errors {
		a.codes = append(a.codes, e.Extensions.Code)
	}
	return a
}

// pick chooses one of a list.
func pick[T any](w *world, list ...T) T { return list[w.rand.IntN(len(list))] }

// must asks what nothing may refuse.
func (w *world) must(person, operation string, input map[string]any) {
	w.t.Helper()
	if a := w.ask(person, operation, input); len(a.codes) > 0 {
		w.t.Fatalf("%s by %s %v = %s", operation, person, input, a.body)
	}
}
