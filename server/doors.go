package server

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openspms/spms/graph"
	"github.com/openspms/spms/graph/graphiql"
	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/graph/transport"
	"github.com/openspms/spms/internal/store"
)

// AllCommands are the commands of the product.
func AllCommands() Commands {
	return Commands{
		Serve: serve, Migrate: migrate, Seed: seed, Demo: demo, Verify: verify, Copy: copyDatabase, Doctor: doctor,
		TokenCreate: tokenCreate, TokenList: tokenList, TokenRevoke: tokenRevoke,
		StandardVectors: standardVectors, ProcessCheck: processCheck, ProcessConvert: processConvert,
		Plugin: pluginTools(),
	}
}

// firstQuery greets who opens the query editor; it works on the sample data.
const firstQuery = `# 欢迎使用 OpenSPMS · Welcome to OpenSPMS. Press ▶ to run.
{
  viewer { name grants { roleLabel { text } regionPath } }
  processes(first: 5) { edges { node { key nameZh serviceType } } }
  worklist(first: 10) { edges { node { nameZh role dueAt case { number } } } }
}`

// serve runs the server with its house until ctx ends.
func serve(ctx context.Context, c Console, cfg ServeConfig) error {
	return Serve(ctx, c, cfg, systemClock, func(ctx context.Context, s *Shell) (Doors, error) {
		h, err := prepare(ctx, c, cfg.Database, cfg.Sample)
		if err != nil {
			return Doors{}, err
		}
		if err := h.OpenPlugins(cfg.Plugins); err != nil {
			return Doors{}, closing(h, err)
		}
		stop := h.Start(ctx, cfg.Notices)
		return Doors{
			Routes: h.routes(ctx, s, cfg.Auth),
			Close:  func() error { stop(); return h.Close() },
			Greet:  "\nA first query to paste:\n\n" + firstQuery,
		}, nil
	})
}

// Start runs what works without being asked, such as timers, plugins and batches, and
// returns the function that stops it and waits.
func (h *House) Start(ctx context.Context, notices NoticeConfig) (stop func()) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { h.RunTimers(work) })
	running.Go(func() { h.WatchCalendars(work) })
	running.Go(func() { h.RunPlugins(work) })
	running.Go(func() { h.RunOptimizations(work) })
	running.Go(func() { h.RunNotices(work, notices.Messenger()) })
	running.Go(func() { h.RunBatches(work) })
	running.Go(func() { h.RunBeats(work) })
	return func() { cancel(); running.Wait() }
}

// prepare opens the house, brings its tables up to date and, if asked, loads
// the sample data once.
func prepare(ctx context.Context, c Console, db Database, sample bool) (*House, error) {
	h, err := OpenHouse(ctx, db.URL, systemClock, c.Log)
	if err != nil {
		return nil, err
	}
	if err := h.Migrate(ctx); err != nil {
		return nil, closing(h, err)
	}
	if sample {
		if err := h.Seed(ctx); err != nil {
			return nil, closing(h, err)
		}
	}
	return h, nil
}

// closing closes the house and returns the error that made it necessary.
func closing(h *House, err error) error {
	if e := h.Close(); e != nil {
		h.Log.Error("close the database", "err", e)
	}
	return err
}

// routes are the doors of the house.
func (h *House) routes(ctx context.Context, s *Shell, auth Auth) Routes {
	told := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "spms_graphql_errors_total", Help: "Errors told to GraphQL clients, by code.",
	}, []string{"code"})
	s.Metrics().MustRegister(told)
	if h.figures != nil {
		s.Metrics().MustRegister(h.figures)
	}
	who := identity{house: h, auth: auth}
	page := graphiql.Handler(graphiql.Options{
		Endpoint: "/graphql", Title: "OpenSPMS", Query: firstQuery, Headers: `{"` + PersonHeader + `": "` + demoAdmin + `"}`,
	})
	return Routes{
		GraphQL: who.wrap(transport.New(graph.Executable(h.resolver()), transport.Options{
			Init: who.socket, Stop: ctx.Done(),
			Presenter:  problem.Presenter{Logger: h.Log, Explain: store.Explain, Count: func(code string) { told.WithLabelValues(code).Inc() }},
			Extensions: graph.Extensions(h.resolver()),
		})),
		Bundles: who.wrap(http.HandlerFunc(h.bundles)),
		Home:    page,
		Ready:   func(ctx context.Context) error { return h.Store.Ping(ctx) },
	}
}

// resolver is the root of the GraphQL schema over the rooms.
func (h *House) resolver() *graph.Resolver {
	return &graph.Resolver{
		Store: h.Store, TimeSource: h.Door.Clock, Workforce: h.Workforce, Norms: h.Standards,
		Definitions: h.Definitions, Cases: h.Cases, Innovation: h.Innovation, Optimization: h.Optimization,
	}
}

// Handler returns the GraphQL door without a shell, for tests and tools.
func (h *House) Handler(auth Auth) http.Handler {
	who := identity{house: h, auth: auth}
	doors := http.NewServeMux()
	doors.Handle("PUT /bundles", who.wrap(http.HandlerFunc(h.bundles)))
	doors.Handle("/", who.wrap(transport.New(graph.Executable(h.resolver()), transport.Options{Init: who.socket, Presenter: problem.Presenter{Logger: h.Log, Explain: store.Explain}, Extensions: graph.Extensions(h.resolver())})))
	return doors
}

func migrate(ctx context.Context, c Console, db Database) error { return prepared(ctx, c, db, false) }

func seed(ctx context.Context, c Console, db Database) error { return prepared(ctx, c, db, true) }

func prepared(ctx context.Context, c Console, db Database, sample bool) error {
	h, err := prepare(ctx, c, db, sample)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.Out, "ok")
	return h.Close()
}
