package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
)

// Limits of a connection. A request's own deadline is GraphQL's affair; these
// only keep a slow or silent client from holding a connection for ever.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	readyTimeout      = 2 * time.Second
)

// Routes are the doors that the shell opens.
type Routes struct {
	GraphQL http.Handler // at /graphql
	Bundles http.Handler // at /bundles
	Home    http.Handler // at /, everything that no other door takes
	// Ready says why the server cannot work now, nil when it can. It is asked
	// by /readyz once the server is up.
	Ready func(ctx context.Context) error
}

// Shell is the HTTP server: listener, time limits, access log, metrics, health
// checks and graceful stop. Its life: NewShell, Listen, Open, then Run until
// its context ends. Between Listen and Open it answers /livez, and 503 to
// everything else.
type Shell struct {
	cfg      ServeConfig
	log      *slog.Logger
	clock    clock.Clock
	registry *prometheus.Registry
	seen     *observations
	guard    originGuard
	routes   atomic.Pointer[openRoutes]
	draining atomic.Bool
	listener net.Listener
	server   *http.Server
	cancel   context.CancelFunc // ends what outlives the graceful stop
	failed   chan error
}

// openRoutes are the routes with their multiplexer.
type openRoutes struct {
	Routes
	mux *http.ServeMux
}

// NewShell returns a shell that does not listen yet.
func NewShell(cfg ServeConfig, log *slog.Logger, c clock.Clock) *Shell {
	s := &Shell{cfg: cfg, log: log, clock: c, registry: prometheus.NewRegistry(), failed: make(chan error, 1)}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.seen = observe(s.registry)
	s.guard = newOriginGuard(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.server = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	return s
}

// Metrics returns the registry behind /metrics, for the counters of others.
func (s *Shell) Metrics() *prometheus.Registry { return s.registry }

// Listen takes the address and begins to answer health checks. An address that
// cannot be had is refused with ADDRESS_UNAVAILABLE; one that turns out not to
// be loopback although nobody has to sign in, with SETTING_NEEDS_AUTH.
func (s *Shell) Listen(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fault.E(fault.Unavailable, "ADDRESS_UNAVAILABLE", fault.P("setting", "addr"), fault.P("value", s.cfg.Addr)).Because(err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); s.cfg.Auth == AuthNone && (!ok || !a.IP.IsLoopback()) {
		_ = l.Close()
		return fault.E(fault.Invalid, "SETTING_NEEDS_AUTH", fault.P("setting", "addr"), fault.P("value", s.cfg.Addr)).At("addr")
	}
	s.listener = l
	go func() { s.failed <- s.server.Serve(l) }()
	return nil
}

// Addr returns the address listened on, with the port that was given for 0.
func (s *Shell) Addr() net.Addr { return s.listener.Addr() }

// URL returns the address for a browser on this machine, without a final slash.
func (s *Shell) URL() string {
	host, _, _ := net.SplitHostPort(s.cfg.Addr)
	_, port, _ := net.SplitHostPort(s.Addr().String())
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Open opens the doors: from now on requests reach r.
func (s *Shell) Open(r Routes) {
	o := &openRoutes{Routes: r, mux: http.NewServeMux()}
	o.mux.Handle("/graphql", r.GraphQL)
	if r.Bundles != nil {
		o.mux.Handle("PUT /bundles", r.Bundles)
	}
	o.mux.Handle("/", r.Home)
	o.mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}))
	s.routes.Store(o)
}

// PrintAddresses tells a person where the doors are.
func (s *Shell) PrintAddresses(w io.Writer) {
	u := s.URL()
	fmt.Fprintf(w, "OpenSPMS %s\n", Version())
	fmt.Fprintf(w, "  GraphiQL  %s/\n  GraphQL   %s/graphql\n  health    %s/livez  %s/readyz\n  metrics   %s/metrics\n", u, u, u, u, u)
}

// Run serves until ctx ends, then stops gracefully: it answers "not ready" for
// DrainWait so that a load balancer turns away, closes the listener, lets
// running requests finish for ShutdownTimeout, ends subscriptions, and returns
// nil; SHUTDOWN_TIMEOUT when requests had to be cut off.
func (s *Shell) Run(ctx context.Context) error {
	select {
	case err := <-s.failed:
		s.cancel()
		return fault.E(fault.Unavailable, "SERVER_FAILED").Because(err)
	case <-ctx.Done():
	}
	s.log.Info("stopping", "drain", s.cfg.DrainWait, "timeout", s.cfg.ShutdownTimeout)
	s.draining.Store(true)
	s.server.SetKeepAlivesEnabled(false)
	if s.cfg.DrainWait > 0 {
		drained := time.NewTimer(s.cfg.DrainWait)
		defer drained.Stop()
		select {
		case <-drained.C:
		case err := <-s.failed:
			s.cancel()
			return fault.E(fault.Unavailable, "SERVER_FAILED").Because(err)
		}
	}
	return s.shutdown()
}

// shutdown ends the listener and the connections. Streams (subscriptions) end
// when the context of their request does, so that is cancelled for them at
// once; WebSockets, which the standard library no longer counts, see it too.
func (s *Shell) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
	defer cancel()
	defer s.cancel()
	s.seen.endStreams()
	if err := errors.Join(s.server.Shutdown(ctx), s.seen.waitStreams(ctx)); err != nil {
		s.cancel()
		_ = s.server.Close()
		return fault.E(fault.Unavailable, "SHUTDOWN_TIMEOUT", fault.P("limit", s.cfg.ShutdownTimeout)).Because(err)
	}
	s.log.Info("stopped")
	return nil
}

// ServeHTTP implements http.Handler: health, then the doors behind guard, log
// and recovery.
func (s *Shell) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/livez":
		answer(w, http.StatusOK, "ok")
		return
	case "/readyz":
		s.ready(w, r)
		return
	}
	open := s.routes.Load()
	if open == nil {
		w.Header().Set("Retry-After", "1")
		refuseRequest(w, r, http.StatusServiceUnavailable, fault.E(fault.Unavailable, "SERVER_STARTING"))
		return
	}
	if e := s.guard.check(r); e != nil {
		s.log.Warn("request refused", "code", e.Code, "host", r.Host, "origin", r.Header.Get("Origin"))
		refuseRequest(w, r, http.StatusForbidden, e)
		return
	}
	if s.guard.allow(w, r) {
		return
	}
	s.observed(open.mux, w, r)
}

func (s *Shell) ready(w http.ResponseWriter, r *http.Request) {
	open := s.routes.Load()
	switch {
	case s.draining.Load():
		answer(w, http.StatusServiceUnavailable, "stopping")
	case open == nil:
		answer(w, http.StatusServiceUnavailable, "starting")
	default:
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := open.Ready(ctx); err != nil {
			s.log.Warn("not ready", "error", err)
			answer(w, http.StatusServiceUnavailable, fault.CodeOf(err))
			return
		}
		answer(w, http.StatusOK, "ok")
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

// refuseRequest answers in the form of GraphQL, which most callers expect, in
// the language the client asks for.
func refuseRequest(w http.ResponseWriter, r *http.Request, status int, e *fault.Error) {
	type extensions struct {
		Code string `json:"code"`
	}
	type problem struct {
		Message    string     `json:"message"`
		Extensions extensions `json:"extensions"`
	}
	body, err := json.Marshal(map[string][]problem{"errors": {{
		Message:    fault.Text(fault.MatchLang(r.Header.Get("Accept-Language")), e),
		Extensions: extensions{Code: e.Code},
	}}})
	if err != nil {
		body = []byte(`{"errors":[{"message":"","extensions":{"code":"INTERNAL"}}]}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// recovered turns a panic of a handler into an internal error; the connection
// is given up when an answer had begun.
func (s *Shell) recovered(w *recorder, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	id := strconv.FormatInt(s.clock.Now().UnixMicro(), 36)
	s.log.Error("panic in a request", "id", id, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	refuseRequest(w, r, http.StatusInternalServerError, fault.E(fault.Internal, "INTERNAL", fault.P("id", id)))
}
