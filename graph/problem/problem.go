// Package problem turns errors into what a GraphQL client is told.
//
// Its main type is Presenter, the error presenter and recover function of the
// door: a fault.Error keeps its code and is said in the viewer's language,
// everything else is masked as INTERNAL under a number that the log explains.
// Validate and UserErrors serve the resolvers: wrong input fields and refusals
// that belong into a mutation's payload. The package must not know any room,
// ent, or HTTP.
package problem

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/openspms/spms/internal/fault"
)

// Presenter presents errors and recovers panics of GraphQL operations. The
// zero value logs to slog's default logger and counts nothing.
type Presenter struct {
	// Logger takes what is masked, with its number.
	Logger *slog.Logger
	// Count is told the code of every error that goes out and "PANIC" for
	// every recovered panic; nil counts nothing.
	Count func(code string)
	// Explain makes a fault of an error of the outside world whose meaning is
	// known; nil explains nothing.
	Explain func(err error) error
}

// maxMessage is the longest message, in runes, that quotes a client's own
// document back; longer ones are cut so that an answer stays small.
const maxMessage = 300

// Present implements gqlgen's ErrorPresenterFunc. The answer carries
// extensions {code, kind, params, path}: the stable code, the fault's kind,
// the numbers of the text and the path of the offending input field.
func (p Presenter) Present(ctx context.Context, err error) *gqlerror.Error {
	out := &gqlerror.Error{Path: graphql.GetPath(ctx)}
	if fc := graphql.GetFieldContext(ctx); fc != nil {
		out.Path = fc.Path()
	}
	outer, _ := errors.AsType[*gqlerror.Error](err)
	if outer != nil {
		out.Locations = outer.Locations
	}
	if code := protocolCode(outer); code != "" {
		out.Path = outer.Path
		out.Message = cut(outer.Message)
		out.Extensions = map[string]any{"code": code, "kind": string(fault.Invalid)}
		p.count(code)
		return out
	}
	e := p.translate(ctx, err, outer, len(out.Path))
	out.Message = fault.Text(LangOf(ctx), e)
	out.Extensions = extensions(e)
	p.count(e.Code)
	return out
}

// translate finds the fault in err, or makes one: for a deadline, for an
// argument that gqlgen could not read, and INTERNAL for the rest.
// fieldDepth is the length of the path of the field that err happened in.
func (p Presenter) translate(ctx context.Context, err error, outer *gqlerror.Error, fieldDepth int) *fault.Error {
	if p.Explain != nil {
		err = p.Explain(err)
	}
	e, found := errors.AsType[*fault.Error](err)
	switch {
	case found && e.Kind == fault.Unavailable:
		p.logger().WarnContext(ctx, "graphql: unavailable", "code", e.Code, "error", err)
		return e
	case found && e.Kind != fault.Internal:
		return e
	case found:
		return p.mask(ctx, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.E(fault.Unavailable, "OPERATION_TIMEOUT")
	case errors.Is(err, context.Canceled):
		return fault.E(fault.Unavailable, "OPERATION_CANCELLED")
	case outer != nil && len(outer.Path) > fieldDepth && fieldDepth > 0:
		// gqlgen reports an argument it could not read below its field's path.
		path := names(outer.Path[fieldDepth:])
		return fault.E(fault.Invalid, "INPUT_UNREADABLE",
			fault.P("field", join(path)), fault.P("reason", cut(outer.Message))).At(path...)
	default:
		return p.mask(ctx, err)
	}
}

// mask logs err under a new number and returns what may be told of it.
func (p Presenter) mask(ctx context.Context, err error) *fault.Error {
	id := rand.Text()[:12]
	attrs := []any{"id", id, "error", err.Error()}
	if path := graphql.GetPath(ctx); len(path) > 0 {
		attrs = append(attrs, "path", path.String())
	}
	if panicked, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, "stack", string(panicked.stack))
	}
	p.logger().ErrorContext(ctx, "graphql: masked an internal error", attrs...)
	return fault.E(fault.Internal, "INTERNAL", fault.P("id", id))
}

// Recover implements gqlgen's RecoverFunc: the panic is counted and becomes an
// internal error, which Present masks and logs with its stack.
func (p Presenter) Recover(_ context.Context, v any) error {
	p.count("PANIC")
	return fault.E(fault.Internal, "INTERNAL").Because(&panicError{value: v, stack: debug.Stack()})
}

// panicError is a recovered panic with the stack it came from.
type panicError struct {
	value any
	stack []byte
}

// Error implements error.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func (p Presenter) logger() *slog.Logger {
	if p.Logger != nil {
		return p.Logger
	}
	return slog.Default()
}

func (p Presenter) count(code string) {
	if p.Count != nil {
		p.Count(code)
	}
}

// extensions returns what a client reads by machine.
func extensions(e *fault.Error) map[string]any {
	ext := map[string]any{"code": e.Code, "kind": string(e.Kind)}
	if len(e.Params) > 0 {
		params := make(map[string]any, len(e.Params))
		for _, p := range e.Params {
			params[p.Key] = p.Value
		}
		ext["params"] = params
	}
	if len(e.Path) > 0 {
		ext["path"] = e.Path
	}
	return ext
}

// protocolCode returns the code of an error that the parser or validator of
// GraphQL made, "" for any other.
func protocolCode(e *gqlerror.Error) string {
	if e == nil {
		return ""
	}
	if _, isFault := errors.AsType[*fault.Error](e); isFault {
		return ""
	}
	code, _ := e.Extensions["code"].(string)
	if code == errcode.ValidationFailed || code == errcode.ParseFailed {
		return code
	}
	return ""
}

// names writes a GraphQL path as strings, indices as decimals.
func names(path ast.Path) []string {
	out := make([]string, 0, len(path))
	for _, p := range path {
		out = append(out, fmt.Sprint(p))
	}
	return out
}

// cut shortens a message to maxMessage runes.
func cut(s string) string {
	if r := []rune(s); len(r) > maxMessage {
		return string(r[:maxMessage]) + "…"
	}
	return s
}
