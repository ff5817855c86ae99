package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/openspms/spms/graph"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/innovation"
	"github.com/openspms/spms/internal/optimization"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/workforce"
)

// House is the product without its doors: one open database and the rooms over
// it, wired by hand in the order of the floors.
type House struct {
	Store        *store.Store
	Door         *command.Door
	Workforce    *workforce.Room
	Standards    *standard.Room
	Definitions  *definition.Room
	Cases        *execution.Room
	Innovation   *innovation.Room
	Optimization *optimization.Room
	Log          *slog.Logger

	plugins *pluginhost.Host // nil: no plugin is started
	figures *pluginMetrics   // likewise
}

// OpenHouse opens the database of url and the rooms over it. Its tables must be
// there: see Migrate.
func OpenHouse(ctx context.Context, url string, c clock.Clock, log *slog.Logger) (*House, error) {
	s, err := store.Open(ctx, url, store.WithLogger(log))
	if err != nil {
		return nil, err
	}
	graph.Prefetch(s.Client())
	graph.CountIfAsked(s.Client())
	h := &House{Store: s, Door: &command.Door{Store: s, Clock: c, Log: log}, Log: log}
	h.Workforce = workforce.New(h.Door)
	h.Standards = standard.New(h.Door)
	h.Definitions = definition.New(h.Door, h.Standards)
	h.Cases = execution.New(h.Door, h.Definitions, h.Standards, h.Workforce)
	if h.Innovation, err = innovation.New(h.Door, h.Definitions, h.Cases, innovation.Options{}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	h.Optimization = optimization.New(h.Door, h.Definitions, h.Standards, h.Workforce, optimization.Options{})
	return h, nil
}

// Close ends the plugins and closes the database.
func (h *House) Close() error {
	h.Innovation.Close()
	if h.plugins != nil {
		_ = h.plugins.Close() // it never fails
	}
	return h.Store.Close()
}

// Migrate brings the tables up to date.
func (h *House) Migrate(ctx context.Context) error {
	applied, err := h.Store.Migrate(ctx, h.Door.Clock.Now())
	if err != nil {
		return err
	}
	if len(applied) > 0 {
		h.Log.Info("tables brought up to date", "migrations", applied)
	}
	return nil
}

// timerPause bounds how long the timers sleep: another node, or a moved clock,
// may make something due that this node has not seen.
const timerPause = time.Second

// RunTimers fires what is due until ctx ends. It wakes at the next due instant, when
// a case asks something of another, and at least every second.
func (h *House) RunTimers(ctx context.Context) {
	changes := h.Store.Subscribe(ctx)
	ctx = execution.SideBySide(ctx)
	for ctx.Err() == nil {
		failed := store.Explain(h.fire(ctx))
		if failed != nil && ctx.Err() == nil {
			h.Log.Log(ctx, levelOf(failed), "fire what is due", "code", fault.CodeOf(failed), "err", failed)
		}
		pause := timerPause
		if next, ok, err := h.Cases.NextDue(ctx); failed == nil && err == nil && ok { // what failed stays due
			pause = min(max(next.Sub(h.Door.Clock.Now()), 10*time.Millisecond), timerPause)
		}
		wake := time.NewTimer(pause)
		for asked := false; !asked; {
			select {
			case <-ctx.Done():
				asked = true
			case <-wake.C:
				asked = true
			case c, open := <-changes:
				if !open {
					changes = nil
				}
				asked = c.Kind == "job"
			}
		}
		wake.Stop()
	}
}

// levelOf is how an error is logged: a database that cannot serve now is a warning,
// for what was asked is asked again.
func levelOf(err error) slog.Level {
	if fault.KindOf(err) == fault.Unavailable {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// Tick lets time act, in a fixed order: what is due, then the batches that wait, to
// their ends.
func (h *House) Tick(ctx context.Context) error {
	fired := h.fire(ctx)
	n, carried := h.Cases.CarryBatches(ctx, 1)
	if n > 0 {
		fired = errors.Join(fired, h.fire(ctx)) // what the batches have made due
	}
	return errors.Join(fired, carried)
}

// fire does what is due: versions of standards give way to their successors, what
// applies at once moves running cases, due timers and clocks fire, and what has
// failed is tried again when its pause is over, and what cases ask of each other is
// carried out. Each is tried whatever becomes of the others.
func (h *House) fire(ctx context.Context) error {
	_, superseded := h.Standards.Supersede(ctx)
	moved, applied := h.Cases.ApplyImmediate(ctx)
	if moved > 0 {
		h.Log.Info("moved running cases to clauses that apply at once", "cases", moved)
	}
	_, fired := h.Cases.Tick(ctx)
	_, retried := h.Cases.RetryDue(ctx)
	_, delivered := h.Cases.Deliver(ctx)
	return errors.Join(superseded, applied, fired, retried, delivered)
}

// batchSide is how many cases of a batch a node works on side by side: enough to share
// commits, few enough to leave connections to people.
const batchSide = 6

// RunBatches carries out the batches that people ask for until ctx ends: at once when
// one is asked for, and looking every second for one that has lost its node.
func (h *House) RunBatches(ctx context.Context) {
	changes := h.Store.Subscribe(ctx)
	for ctx.Err() == nil {
		if _, err := h.Cases.CarryBatches(ctx, batchSide); err != nil && ctx.Err() == nil {
			err = store.Explain(err)
			h.Log.Log(ctx, levelOf(err), "carry out batches", "code", fault.CodeOf(err), "err", err)
		}
		changes = h.pauseUntil(ctx, changes, nil, "batch")
	}
}

// WatchCalendars recounts provisional due instants at once, for what changed
// while no server ran, and whenever a calendar changes, until ctx ends.
func (h *House) WatchCalendars(ctx context.Context) {
	changes := h.Store.Subscribe(ctx)
	h.recount(ctx)
	for c := range changes {
		if c.Kind == "calendar" || c.Kind == store.Lost {
			h.recount(ctx)
		}
	}
}

func (h *House) recount(ctx context.Context) {
	n, err := h.Cases.Recount(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		h.Log.Error("recount provisional due instants", "code", fault.CodeOf(err), "err", err)
	case n > 0:
		h.Log.Info("recounted provisional due instants", "clocks", n)
	}
}

// systemClock is the clock of everything but demos and tests.
var systemClock = clock.System{}
