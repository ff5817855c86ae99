// Package transport is the HTTP door of GraphQL: one handler for any schema
// that gqlgen can execute.
//
// New puts it together: the query guard, the error
// presenter, WebSocket by the protocol graphql-transport-ws, and HTTP by the
// GraphQL-over-HTTP specification with JSON answers and event streams. A
// request travels
//
//	language → WebSocket or HTTP → guard → gqlgen → presenter
//
// The package must not know the product's schema, its rooms or ent; who is
// asking is put into the request's context by whoever wraps the handler, and
// web pages of foreign origins are kept out there too.
package transport

import (
	"context"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/openspms/spms/graph/guard"
	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/fault"
)

// Options say how a door behaves; the zero value of a field means its default.
type Options struct {
	// Limits bound a request; the default is guard.DefaultLimits.
	Limits *guard.Limits
	// Init is told the payload of a WebSocket's connection_init and returns
	// the context of its operations, or an error to close the socket with.
	Init func(ctx context.Context, payload map[string]any) (context.Context, error)
	// InitTimeout is how long a WebSocket may wait with connection_init: 3 s.
	InitTimeout time.Duration
	// Ping is the interval of pings on WebSockets and event streams: 10 s.
	Ping time.Duration
	// SocketOperations is how many operations one WebSocket may run at a time: 32.
	SocketOperations int
	// Streams is how many WebSockets and event streams may be open: 1,000.
	Streams int
	// Stop, when closed, ends all WebSockets and event streams.
	Stop <-chan struct{}
	// Presenter presents errors and recovers panics.
	Presenter problem.Presenter
	// Extensions are further gqlgen extensions, run after the guard.
	Extensions []graphql.HandlerExtension
}

// New returns the door of es. It panics when es has no query type, which only
// a programmer can cause.
func New(es graphql.ExecutableSchema, o Options) http.Handler {
	d := &door{Options: o.withDefaults()}
	d.streams = make(chan struct{}, d.Streams)
	srv := handler.New(es)
	srv.AddTransport(webSocket{d})
	srv.AddTransport(overHTTP{d})
	srv.SetErrorPresenter(d.Presenter.Present)
	srv.SetRecoverFunc(d.Presenter.Recover)
	srv.SetQueryCache(documents{lru.New[*ast.QueryDocument](128)})
	srv.SetDisableSuggestion(true)
	srv.SetValidationRulesFn(validationRules)
	srv.Use(guard.New(*d.Limits))
	for _, e := range d.Extensions {
		srv.Use(e)
	}
	return speak(srv)
}

func (o Options) withDefaults() Options {
	if o.Limits == nil {
		l := guard.DefaultLimits()
		o.Limits = &l
	}
	if o.InitTimeout == 0 {
		o.InitTimeout = 3 * time.Second
	}
	if o.Ping == 0 {
		o.Ping = 10 * time.Second
	}
	if o.SocketOperations == 0 {
		o.SocketOperations = 32
	}
	if o.Streams == 0 {
		o.Streams = 1_000
	}
	return o
}

// door is what the transports share.
type door struct {
	Options
	streams chan struct{} // one slot per open stream
}

// enter takes a stream's slot and reports whether there was one; leave gives
// it back.
func (d *door) enter() bool {
	select {
	case d.streams <- struct{}{}:
		return true
	default:
		return false
	}
}

func (d *door) leave() { <-d.streams }

// speak sets the language of a request from its Accept-Language header.
func speak(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := fault.MatchLang(r.Header.Get("Accept-Language"))
		next.ServeHTTP(w, r.WithContext(problem.WithLang(r.Context(), lang)))
	})
}

// validationRules returns the rules of the specification without "did you
// mean": measuring a name against every other costs more than the rest of the
// validation, and clients that want it have the schema.
func validationRules() *rules.Rules {
	r := rules.NewDefaultRules()
	r.RemoveRule("KnownArgumentNames")
	r.RemoveRule("KnownTypeNames")
	r.RemoveRule("ValuesOfCorrectType")
	r.AddRule("KnownArgumentNames", rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc)
	r.AddRule("KnownTypeNames", rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc)
	r.AddRule("ValuesOfCorrectType", rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc)
	return r
}

// documents caches parsed documents, small ones only: their number times their
// size bounds the memory that strangers can make the door keep.
type documents struct {
	graphql.Cache[*ast.QueryDocument]
}

// cachedBytes is the longest document that is kept.
const cachedBytes = 8 << 10

// Add implements graphql.Cache.
func (c documents) Add(ctx context.Context, document string, doc *ast.QueryDocument) {
	if len(document) <= cachedBytes {
		c.Cache.Add(ctx, document, doc)
	}
}
