package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/innovation"
	"github.com/openspms/spms/internal/optimization"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/privacy"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/plugins/builtin"
)

// PluginConfig says how a server runs plugins.
type PluginConfig struct {
	Dir    string   // folder for what is unpacked
	Trust  []string // files with the minisign keys whose plugins are taken
	Secret []byte   // key that encrypts secrets of configurations; nil: there may be none
	Limits pluginhost.Limits
	Quota  innovation.Quota // of bundles; the default when zero

	Dev      []string // codes of the regions that are open to development
	DevTrust []string // files with the keys of developers, for those regions alone
}

// OpenPlugins lets the house start plugins. Errors: PLUGIN_KEY_MALFORMED,
// SECRET_KEY_LENGTH, those of the file system.
func (h *House) OpenPlugins(c PluginConfig) error {
	figures := newPluginMetrics()
	o := innovation.Options{Dir: c.Dir, Shipped: builtin.All(), Quota: c.Quota, Dev: c.Dev, Ran: figures.ran}
	var err error
	if o.Trusted, err = trusted(c.Trust); err != nil {
		return err
	}
	if o.DevTrusted, err = trusted(c.DevTrust); err != nil {
		return err
	}
	if c.Secret != nil {
		box, err := privacy.NewBox(c.Secret)
		if err != nil {
			return err
		}
		o.Secrets = box
	}
	host, err := pluginhost.Open(pluginhost.Options{Log: h.Log, Clock: h.Door.Clock, Limits: c.Limits, Observer: figures})
	if err != nil {
		return err
	}
	figures.host, h.figures = host, figures
	o.Host, h.plugins = host, host
	if h.Innovation, err = innovation.New(h.Door, h.Definitions, h.Cases, o); err != nil {
		return err
	}
	h.Optimization = optimization.New(h.Door, h.Definitions, h.Standards, h.Workforce, optimization.Options{Host: host, Artifact: h.Innovation.Artifact, Usable: h.Innovation.Usable})
	return nil
}

const (
	sweepPause    = time.Hour       // between two removals of what plugins no longer need
	forsakenPause = 5 * time.Second // between two looks at tasks whose module is gone
)

// RunPlugins lets modules do the tasks that wait for them until ctx ends: at once
// when a task changes or is assigned, or a module is done, and at least every second.
// Tests of versions that wait are begun, and now and then what nobody needs is removed.
func (h *House) RunPlugins(ctx context.Context) {
	changes := h.Store.Subscribe(ctx)
	shipped := false
	var swept, looked time.Time
	defer h.Innovation.Wait()
	failed := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			err = store.Explain(err)
			h.Log.Log(ctx, levelOf(err), what, "code", fault.CodeOf(err), "err", err)
		}
	}
	for ctx.Err() == nil {
		if !shipped {
			var err error
			shipped, err = h.Innovation.Ship(ctx)
			failed("enter the plugins of the product into the catalog", err)
		}
		called, err := h.Innovation.Launch(ctx)
		failed("let plugins work", err)
		_, waiting := h.Innovation.TryWaiting(ctx)
		failed("test plugins", waiting)
		if now := h.Door.Clock.Now(); now.Sub(looked) >= forsakenPause {
			looked = now
			n, err := h.Innovation.Forsaken(ctx)
			failed("leave the tasks of modules that are gone to people", err)
			if n > 0 {
				h.Log.Info("left the tasks of modules that are gone to people", "tasks", n)
			}
		}
		if now := h.Door.Clock.Now(); now.Sub(swept) >= sweepPause {
			swept = now
			n, err := h.Innovation.Sweep(ctx)
			failed("remove bundles that nobody needs", err)
			if n > 0 {
				h.Log.Info("removed bundles that nobody needs", "bundles", n)
			}
		}
		if called == 0 || err != nil {
			changes = h.pauseUntil(ctx, changes, h.Innovation.Freed(), "task", "plugin")
		}
	}
}

// Beat renews the leases of everything that this node works on: calls of modules,
// tests of plugins, runs of strategies and notices on their way.
func (h *House) Beat(ctx context.Context) error {
	return errors.Join(h.Innovation.Beat(ctx), h.Optimization.Beat(ctx), h.Cases.BeatNotices(ctx))
}

// beatPause is how often a node says that it lives.
const beatPause = time.Second

// RunBeats renews leases until ctx ends. It waits for no work, so that what takes long
// does not look as if its node had died.
func (h *House) RunBeats(ctx context.Context) {
	beat := time.NewTicker(beatPause)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		if err := h.Beat(ctx); err != nil && ctx.Err() == nil {
			err = store.Explain(err)
			h.Log.Log(ctx, levelOf(err), "renew the leases of this node", "code", fault.CodeOf(err), "err", err)
		}
	}
}

// RunOptimizations carries out the runs of strategies that are asked for until ctx ends.
func (h *House) RunOptimizations(ctx context.Context) {
	changes := h.Store.Subscribe(ctx)
	for ctx.Err() == nil {
		if _, err := h.Optimization.Tick(ctx); err != nil && ctx.Err() == nil {
			err = store.Explain(err)
			h.Log.Log(ctx, levelOf(err), "let strategies propose", "code", fault.CodeOf(err), "err", err)
		}
		changes = h.pauseUntil(ctx, changes, nil, "optimization")
	}
}

// pauseUntil waits for a change of one of the kinds, or for another sign, at most
// timerPause. It returns the channel to wait on next time.
func (h *House) pauseUntil(ctx context.Context, changes <-chan store.Change, sign <-chan struct{}, kinds ...string) <-chan store.Change {
	wake := time.NewTimer(timerPause)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return changes
		case <-wake.C:
			return changes
		case <-sign:
			return changes
		case c, open := <-changes:
			if !open {
				return nil
			}
			for _, k := range kinds {
				if c.Kind == k {
					return changes
				}
			}
		}
	}
}

// bundles takes plugin bundles: PUT /bundles with the bytes of one stores it under
// its digest, which the answer tells. To enter it into the catalog is a mutation.
func (h *House) bundles(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bundle.MaxPacked))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = fault.E(fault.Invalid, "BUNDLE_TOO_LARGE", fault.P("max", tooLarge.Limit))
	}
	digest := ""
	if err == nil {
		digest, err = h.Innovation.Keep(r.Context(), content)
	}
	if err != nil {
		e := fault.From(store.Explain(err))
		refuseRequest(w, r, bundleStatus(e.Kind), e)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]string{"digest": digest}) // the client is gone when it fails
}

// bundleStatus is the HTTP status of a refused bundle.
func bundleStatus(k fault.Kind) int {
	switch k {
	case fault.Invalid, fault.Precondition:
		return http.StatusUnprocessableEntity
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.Exhausted:
		return http.StatusInsufficientStorage
	}
	return http.StatusServiceUnavailable
}
