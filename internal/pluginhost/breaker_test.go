package pluginhost_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// watcher counts what a host tells of its plugins.
type watcher struct {
	mu                        sync.Mutex
	codes                     map[string]int
	started, crashed, refused int
	quarantined, dropped      int
	throttled                 int
}

func newWatcher() *watcher { return &watcher{codes: map[string]int{}} }

// Called implements pluginhost.Observer.
func (w *watcher) Called(_ pluginhost.Artifact, code string, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codes[code]++
}

// Started implements pluginhost.Observer.
func (w *watcher) Started(pluginhost.Artifact, time.Duration) { w.count(&w.started, 1) }

// Crashed implements pluginhost.Observer.
func (w *watcher) Crashed(_ pluginhost.Artifact, quarantined bool) {
	w.count(&w.crashed, 1)
	if quarantined {
		w.count(&w.quarantined, 1)
	}
}

// Refusing implements pluginhost.Observer.
func (w *watcher) Refusing(pluginhost.Artifact) { w.count(&w.refused, 1) }

// Dropped implements pluginhost.Observer.
func (w *watcher) Dropped(_ pluginhost.Artifact, lines int) { w.count(&w.dropped, lines) }

// Throttled implements pluginhost.Observer.
func (w *watcher) Throttled(pluginhost.Artifact) { w.count(&w.throttled, 1) }

func (w *watcher) times(what *int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *what
}

func (w *watcher) count(what *int, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*what += n
}

// TestBreaker lets calls fail one after the other without a crash: after the third the
// plugin is left in peace for a pause, then tried with one call, and left for twice as
// long when that fails too; an answer ends it.
func TestBreaker(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC))
	seen := newWatcher()
	h, a := host(t, func(o *pluginhost.Options) {
		o.Clock, o.Observer = now, seen
		o.Limits.FailuresInRow, o.Limits.Pause, o.Limits.PauseAtMost = 3, 30*time.Second, 50*time.Second
	}), plugin(t, "moody")
	ask := func(ctx context.Context, inputs string) string {
		_, err := h.Execute(ctx, a, pluginhost.Settings{}, &pluginv1.ExecuteRequest{
			Case: "c", TaskId: "t", Node: "n", Region: "/CN/", IdempotencyKey: "k", Attempt: 1, InputsJson: inputs, NowUs: 1,
		})
		return fault.CodeOf(err)
	}
	const bad, good, slow = `{"how":"bad"}`, `{"how":"good"}`, `{"how":"slow"}`
	steps := []struct {
		advance time.Duration
		inputs  string
		code    string
		state   pluginhost.State
	}{
		{0, bad, "PLUGIN_FAILED", pluginhost.Ready},
		{0, good, "", pluginhost.Ready}, // an answer in between: the count begins anew
		{0, bad, "PLUGIN_FAILED", pluginhost.Ready},
		{0, bad, "PLUGIN_FAILED", pluginhost.Ready},
		{0, bad, "PLUGIN_FAILED", pluginhost.Resting},
		{29 * time.Second, good, "PLUGIN_RESTING", pluginhost.Resting},
		{time.Second, bad, "PLUGIN_FAILED", pluginhost.Resting},
		{49 * time.Second, good, "PLUGIN_RESTING", pluginhost.Resting}, // twice as long, but at most 50 s
		{time.Second, good, "", pluginhost.Ready},
		{0, bad, "PLUGIN_FAILED", pluginhost.Ready},
	}
	for i, s := range steps {
		now.Advance(s.advance)
		if code := ask(t.Context(), s.inputs); code != s.code || h.Status()[0].State != s.state {
			t.Fatalf("step %d: Execute(%s) = %q in state %s, want %q in %s", i, s.inputs, code, h.Status()[0].State, s.code, s.state)
		}
	}

	ask(t.Context(), bad)
	ask(t.Context(), bad) // open again
	now.Advance(time.Minute)
	ctx, give := context.WithCancel(t.Context())
	var trial sync.WaitGroup
	trial.Go(func() {
		if code := ask(ctx, slow); code != "PLUGIN_TIMEOUT" {
			t.Errorf("the call that was broken off = %q, want PLUGIN_TIMEOUT", code)
		}
	})
	waitFor(t, func() bool { return h.Status()[0].InFlight == 1 })
	if code := ask(t.Context(), good); code != "PLUGIN_RESTING" {
		t.Errorf("beside the call that tries = %q, want PLUGIN_RESTING", code)
	}
	give()
	trial.Wait()
	if code := ask(t.Context(), good); code != "" {
		t.Errorf("after a trial that its caller broke off = %q, want another trial, and its answer", code)
	}
	h.Release(a.Digest)
	if seen.refused != 3 || seen.started != 1 || seen.crashed != 0 || seen.codes["PLUGIN_FAILED"] != 8 || seen.codes["PLUGIN_RESTING"] != 3 || seen.codes[""] != 3 {
		t.Errorf("told: %+v, want 3 openings, one start and every call", seen)
	}
}
