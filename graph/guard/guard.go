// Package guard refuses GraphQL documents that would cost too much, before
// anything expensive looks at them.
//
// Its main type is Guard, a gqlgen extension that looks at each operation
// twice: before validation at the bare document (tokens, depth, aliases, root
// fields, expanded fields, fields to be merged), after it at the typed one
// (pages and objects, estimated from first and last). Both looks are linear in
// the document: a fragment is measured once however often it is spread, and a
// fragment that spreads itself is refused. The package must not know any room,
// ent or HTTP; limits of the request body are kept here and enforced by the
// transport.
package guard

import (
	"context"
	"errors"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/introspection"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/openspms/spms/internal/fault"
)

// Limits are the figures a request must keep to.
type Limits struct {
	BodyBytes  int64         // request body and WebSocket message, bytes
	JSONValues int           // values in a request's JSON: names, strings, numbers, lists, objects
	Tokens     int           // lexical tokens of a document, comments included
	NameBytes  int           // length of a name, bytes
	Nesting    int           // nested braces, brackets and parentheses of a document or of JSON
	Depth      int           // nested selections, a root field being 1
	Aliases    int           // aliased fields, fragments expanded
	RootFields int           // fields of one operation's root, fragments expanded
	Directives int           // directives applied, fragments expanded
	Fields     int           // fields of the whole document, fragments expanded
	Merges     int           // pairs of fields that share one place in the answer
	Objects    int           // objects of the answer, estimated
	PageSize   int           // objects of a page when neither first nor last is given
	PageMax    int           // largest first or last
	ListSize   int           // objects of a list that has no pages
	MetaFactor float64       // introspection allowed, as a multiple of the standard query's objects
	Time       time.Duration // from the operation's start to the end of a query or mutation

	// Trusted names documents that Tokens does not bind, such as those a
	// client shipped with the product registered; nil trusts none.
	Trusted func(document string) bool
}

// DefaultLimits returns the limits of the product.
func DefaultLimits() Limits {
	return Limits{
		BodyBytes:  1 << 20,
		JSONValues: 20_000,
		Tokens:     1_000,
		NameBytes:  128,
		Nesting:    64,
		Depth:      15,
		Aliases:    30,
		RootFields: 20,
		Directives: 50,
		Fields:     5_000,
		Merges:     5_000,
		Objects:    50_000,
		PageSize:   50,
		PageMax:    200,
		ListSize:   10,
		MetaFactor: 2,
		Time:       10 * time.Second,
	}
}

// Documents up to rememberBytes that passed are remembered, remembered of
// them, so that a document in daily use is looked at once.
const (
	remembered    = 128
	rememberBytes = 8 << 10
)

// Guard is the gqlgen extension; make it with New. It is safe for concurrent use.
type Guard struct {
	limits Limits
	passed graphql.Cache[struct{}]
	sizes  sizes
	meta   float64 // objects that introspection may return
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
	graphql.OperationContextMutator
	graphql.OperationInterceptor
} = (*Guard)(nil)

// New returns a Guard that enforces l.
func New(l Limits) *Guard {
	return &Guard{limits: l, passed: lru.New[struct{}](remembered)}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Guard) ExtensionName() string { return "Guard" }

// Validate implements graphql.HandlerExtension: it learns from the schema how
// much an introspection may return.
func (g *Guard) Validate(es graphql.ExecutableSchema) error {
	schema := es.Schema()
	if schema == nil || schema.Query == nil {
		return errors.New("guard: the schema has no query type")
	}
	g.sizes = schemaSizes(schema)
	doc, err := parser.ParseQuery(&ast.Source{Input: introspection.Query})
	if err != nil {
		return err
	}
	if errs := validator.ValidateWithRules(schema, doc, nil); len(errs) > 0 {
		return errs
	}
	c := counter{limits: g.limits, sizes: g.sizes}
	w, err := c.set(doc.Operations[0].SelectionSet)
	g.meta = w.meta * g.limits.MetaFactor
	return err
}

// MutateOperationParameters implements graphql.OperationParameterMutator: the
// look at the bare document, before gqlgen parses and validates it.
func (g *Guard) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if _, ok := g.passed.Get(ctx, params.Query); ok {
		return nil
	}
	if err := g.Check(params.Query); err != nil {
		return refusal(err)
	}
	if len(params.Query) <= rememberBytes {
		g.passed.Add(ctx, params.Query, struct{}{})
	}
	return nil
}

// MutateOperationContext implements graphql.OperationContextMutator: the look
// at the typed document with its variables.
func (g *Guard) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	op.DisableIntrospection = g.limits.MetaFactor == 0
	c := counter{limits: g.limits, sizes: g.sizes, variables: op.Variables}
	w, err := c.set(op.Operation.SelectionSet)
	if err != nil {
		return refusal(err)
	}
	if objects := w.total(g.limits.ListSize); objects > float64(g.limits.Objects) {
		return refusal(tooMany("QUERY_TOO_COMPLEX", objects, float64(g.limits.Objects)))
	}
	if w.meta > g.meta {
		return refusal(tooMany("INTROSPECTION_TOO_COMPLEX", w.meta, g.meta))
	}
	return nil
}

// InterceptOperation implements graphql.OperationInterceptor: queries and
// mutations get a deadline, subscriptions live as long as their connection.
func (g *Guard) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if g.limits.Time <= 0 || graphql.GetOperationContext(ctx).Operation.Operation == ast.Subscription {
		return next(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, g.limits.Time)
	respond := next(ctx)
	return func(ctx context.Context) *graphql.Response {
		defer cancel()
		return respond(ctx)
	}
}

// tooMany refuses with the figures: what was counted and what is allowed.
// Counts are saturated, so that a number stays a number in JSON.
func tooMany[N int | float64](code string, got, limit N) *fault.Error {
	return fault.E(fault.Exhausted, code, fault.P("got", int64(min(float64(got), ceiling))), fault.P("limit", int64(limit)))
}

// refusal carries a fault through gqlgen to the error presenter.
func refusal(err error) *gqlerror.Error {
	out := &gqlerror.Error{Err: err, Message: fault.CodeOf(err)}
	if at, ok := errors.AsType[*located](err); ok && at.position != nil {
		out.Locations = []gqlerror.Location{{Line: at.position.Line, Column: at.position.Column}}
	}
	return out
}

// located is a fault at a place of the document.
type located struct {
	fault    *fault.Error
	position *ast.Position
}

// Error implements error.
func (l *located) Error() string { return l.fault.Error() }

// Unwrap returns the fault.
func (l *located) Unwrap() error { return l.fault }
