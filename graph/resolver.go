// Package graph is the GraphQL door: it reads ent under the viewer's limits,
// writes through one call of a room, and holds no rules. Its main type is
// Resolver. It must not begin a transaction or change a row itself.
package graph

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/graph/exec"
	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/innovation"
	"github.com/openspms/spms/internal/optimization"
	"github.com/openspms/spms/internal/standard"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/workforce"
)

// Resolver is the root of all resolvers: the rooms they call.
type Resolver struct {
	Store        *store.Store
	TimeSource   clock.Clock
	Workforce    *workforce.Room
	Norms        *standard.Room
	Definitions  *definition.Room
	Cases        *execution.Room
	Innovation   *innovation.Room
	Optimization *optimization.Room

	boards boards
}

// Executable returns the schema over r, ready for a transport.
func Executable(r *Resolver) graphql.ExecutableSchema {
	return exec.NewExecutableSchema(exec.Config{Resolvers: r})
}

// apply validates a mutation's input, calls the room, and splits its error into
// what the payload says and what is an error of the request.
func apply[I, O any](ctx context.Context, in I, call func(context.Context, I) (O, error)) (O, []*model.UserError, error) {
	var out O
	err := problem.Validate(ctx, in)
	if err == nil {
		out, err = change(ctx, in, call)
	}
	refused, err := problem.Payload(ctx, err)
	return out, userErrors(refused), err
}

// userErrors is the payload's list; it is never null.
func userErrors(list []problem.UserError) []*model.UserError {
	out := make([]*model.UserError, 0, len(list))
	for _, e := range list {
		out = append(out, &model.UserError{Code: e.Code, Message: e.Message, Path: e.Path, Line: e.Line, Column: e.Column})
	}
	return out
}

// answered tells which fields an answer shows of the object that is being resolved, or of
// those under it at a path: what nobody asked for need not be read.
func answered(ctx context.Context, path ...string) func(field string) bool {
	fc := graphql.GetFieldContext(ctx)
	if fc == nil || fc.Field.Field == nil {
		return func(string) bool { return true }
	}
	op := graphql.GetOperationContext(ctx)
	fields := graphql.CollectFields(op, fc.Field.Selections, nil)
	for _, step := range path {
		var below []graphql.CollectedField
		for _, f := range fields {
			if f.Name == step {
				below = append(below, graphql.CollectFields(op, f.Selections, nil)...)
			}
		}
		fields = below
	}
	return func(field string) bool {
		return slices.ContainsFunc(fields, func(f graphql.CollectedField) bool { return f.Name == field })
	}
}

// shown reads the row of an id for a payload; "" and a row that is not visible
// are null.
func shown[T any](ctx context.Context, id string, get func(context.Context, string) (*T, error)) (*T, error) {
	if id == "" {
		return nil, nil
	}
	row, err := get(ctx, id)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return row, err
}
