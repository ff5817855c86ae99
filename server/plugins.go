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
}

// OpenPlugins lets the house start plugins. Errors: PLUGIN_KEY_MALFORMED,
// SECRET_KEY_LENGTH, those of the file system.
func (h *House) OpenPlugins(c PluginConfig) error {
	o := innovation.Options{Dir: c.Dir, Shipped: builtin.All()}
	var err error
	if o.Trusted, err = trusted(c.Trust); err != nil {
		return err
	}
	if c.Secret != nil {
		box, err := privacy.NewBox(c.Secret)
		if err != nil {
			return err
		}
		o.Secrets = box
	}
	host, err := pluginhost.Open(pluginhost.Options{Log: h.Log, Clock: h.Door.Clock, Limits: c.Limits})
	if err != nil {
		return err
	}
	o.Host, h.plugins = host, host
	if h.Innovation, err = innovation.New(h.Door, h.Definitions, h.Cases, o); err != nil {
		return err
	}
	h.Optimization = optimization.New(h.Door, h.Definitions, h.Standards, h.Workforce, optimization.Options{Host: host, Artifact: h.Innovation.Artifact})
	return nil
}

// RunPlugins lets modules do the tasks that wait for them until ctx ends: at once
// when a task changes or is assigned, and at least every second.
func (h *House) RunPlugins(ctx context.Context) {
	changes := h.Store.Subscribe(ctx)
	shipped := false
	for ctx.Err() == nil {
		if !shipped {
			var err error
			if shipped, err = h.Innovation.Ship(ctx); err != nil && ctx.Err() == nil {
				h.Log.Warn("enter the plugins of the product into the catalog", "code", fault.CodeOf(err), "err", err)
			}
		}
		called, err := h.Innovation.Tick(ctx)
		if err != nil && ctx.Err() == nil {
			err = store.Explain(err)
			h.Log.Log(ctx, levelOf(err), "let plugins work", "code", fault.CodeOf(err), "err", err)
		}
		if called == 0 || err != nil {
			changes = h.pauseUntil(ctx, changes, "task", "plugin")
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
		changes = h.pauseUntil(ctx, changes, "optimization")
	}
}

// pauseUntil waits for a change of one of the kinds, at most timerPause. It returns
// the channel to wait on next time.
func (h *House) pauseUntil(ctx context.Context, changes <-chan store.Change, kinds ...string) <-chan store.Change {
	wake := time.NewTimer(timerPause)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return changes
		case <-wake.C:
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
	}
	return http.StatusServiceUnavailable
}
