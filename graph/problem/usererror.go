package problem

import (
	"context"
	"errors"

	"github.com/openspms/spms/internal/fault"
)

// UserError is one refusal in a mutation's payload: the stable code, its text
// in the viewer's language and the path of the offending input field,
// outermost name first, list positions as decimals. Line and column are those of
// a document or expression, nil where there is none.
type UserError struct {
	Code         string
	Message      string
	Path         []string
	Line, Column *int
}

// UserErrors says err as a payload's userErrors in lang, one per finding. It
// returns nil for nil and for what is no user's to mend in the payload:
// forbidden, unauthenticated, unavailable, internal and foreign errors, which
// a resolver returns as top-level errors instead. See Payload.
func UserErrors(err error, lang fault.Lang) []UserError {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || !mendable(e.Kind) {
		return nil
	}
	if len(e.Items) == 0 {
		return []UserError{userError(e, lang)}
	}
	out := make([]UserError, 0, len(e.Items))
	for _, it := range e.Items {
		out = append(out, userError(it, lang))
	}
	return out
}

// Payload splits err for a mutation's resolver: either the userErrors of the
// payload in the language of ctx, or the error to return at top level, or
// neither when err is nil.
func Payload(ctx context.Context, err error) ([]UserError, error) {
	if list := UserErrors(err, LangOf(ctx)); list != nil {
		return list, nil
	}
	return nil, err
}

// mendable reports whether an error of kind k belongs into a payload.
func mendable(k fault.Kind) bool {
	switch k {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.Precondition, fault.Exhausted:
		return true
	default:
		return false
	}
}

func userError(e *fault.Error, lang fault.Lang) UserError {
	path := e.Path
	if path == nil {
		path = []string{}
	}
	out := UserError{Code: e.Code, Message: fault.Text(lang, e), Path: path, Line: number(e, DocumentLine), Column: number(e, "column")}
	if out.Line == nil {
		out.Line = number(e, "line")
	}
	return out
}

// DocumentLine is the parameter of an error about an expression inside a
// document: the line in the document, beside the line in the expression.
const DocumentLine = "document_line"

// number is a positive parameter of an error, nil for none.
func number(e *fault.Error, key string) *int {
	n, ok := e.Param(key).(int)
	if !ok || n < 1 {
		return nil
	}
	return &n
}
