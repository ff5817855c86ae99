// Package fault holds the one error type of the house.
//
// An Error says what kind of thing went wrong (a small closed set), carries a
// stable code that users and tests can rely on, the parameters its texts need
// and, for bad input, the path of the offending field. Texts in Chinese and
// English live in the catalogue of this package, keyed by code. The package
// knows nothing of HTTP, GraphQL or databases.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is the closed set of error kinds; new kinds are appended, never renamed.
type Kind string

// The kinds, each with the reaction a caller can take.
const (
	Invalid         Kind = "invalid"         // the input is wrong: mend it
	NotFound        Kind = "not_found"       // no such thing, or not visible to the viewer
	Conflict        Kind = "conflict"        // someone was faster: reload and try again
	Forbidden       Kind = "forbidden"       // the viewer may not do this
	Unauthenticated Kind = "unauthenticated" // who is asking is unknown
	Precondition    Kind = "precondition"    // the state does not allow it now
	Exhausted       Kind = "exhausted"       // a limit is reached
	Unavailable     Kind = "unavailable"     // not applied for certain or unknown: retry with the same key
	Internal        Kind = "internal"        // our fault; the text is never shown
)

// Param is one named value of an error's text.
type Param struct {
	Key   string
	Value any
}

// P makes a Param.
func P(key string, value any) Param { return Param{Key: key, Value: value} }

// Label is a value of a parameter that people of either language read in
// theirs; in Chinese where there is no English.
type Label struct{ ZH, EN string }

// In returns the label in lang.
func (l Label) In(lang Lang) string {
	if lang == EN && l.EN != "" || l.ZH == "" {
		return l.EN
	}
	return l.ZH
}

// String returns the label in Chinese.
func (l Label) String() string { return l.In(ZH) }

// Error is the error of every room. Code is a stable upper-case word such as
// STANDARD_REGION_LOOSER; Path names the offending input field, outermost
// first; Items holds further errors of the same refusal (a list of findings).
type Error struct {
	Kind   Kind
	Code   string
	Path   []string
	Params []Param
	Items  []*Error
	cause  error
}

// E makes an Error of a kind and code with parameters for its text.
func E(kind Kind, code string, params ...Param) *Error {
	return &Error{Kind: kind, Code: code, Params: params}
}

// At returns a copy of e that points at an input field, outermost name first.
func (e *Error) At(path ...string) *Error {
	c := *e
	c.Path = path
	return &c
}

// Because returns a copy of e that wraps cause; the cause is logged, never shown.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// With returns a copy of e that also carries items, the single findings of one refusal.
func (e *Error) With(items ...*Error) *Error {
	c := *e
	c.Items = append(append([]*Error(nil), e.Items...), items...)
	return &c
}

// Param returns the value of a named parameter, nil when it is not there.
func (e *Error) Param(key string) any {
	for _, p := range e.Params {
		if p.Key == key {
			return p.Value
		}
	}
	return nil
}

// Error implements error: for logs and tests, not for users.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code)
	if len(e.Path) > 0 {
		fmt.Fprintf(&b, " at %s", strings.Join(e.Path, "."))
	}
	for _, p := range e.Params {
		fmt.Fprintf(&b, " %s=%v", p.Key, p.Value)
	}
	if e.cause != nil {
		fmt.Fprintf(&b, ": %v", e.cause)
	}
	for _, it := range e.Items {
		fmt.Fprintf(&b, "; %v", it)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// From returns the *Error inside err, or an internal one that wraps err. Nil stays nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return E(Internal, "INTERNAL").Because(err)
}

// KindOf returns the kind of err; Internal for a foreign error, "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	return From(err).Kind
}

// CodeOf returns the code of err; INTERNAL for a foreign error, "" for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	return From(err).Code
}
