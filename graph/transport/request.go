package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/openspms/spms/graph/guard"
	"github.com/openspms/spms/internal/fault"
)

// wire is a GraphQL request as JSON.
type wire struct {
	Query         *string        `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
	Extensions    map[string]any `json:"extensions"`
}

// readPost reads the GraphQL request in the body of r: at most l.BodyBytes of
// UTF-8 JSON of the type application/json, a form that no web page can send to
// a foreign site without asking first.
func readPost(r *http.Request, l *guard.Limits) (*graphql.RawParams, *fault.Error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || media != mediaJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, fault.E(fault.Invalid, "CONTENT_TYPE_NOT_SUPPORTED", fault.P("got", clip(r.Header.Get("Content-Type"))))
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, fault.E(fault.Invalid, "CONTENT_TYPE_NOT_SUPPORTED", fault.P("got", clip(enc)))
	}
	tooLarge := fault.E(fault.Exhausted, "BODY_TOO_LARGE", fault.P("limit", l.BodyBytes))
	if r.ContentLength > l.BodyBytes {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, l.BodyBytes+1))
	switch {
	case int64(len(body)) > l.BodyBytes:
		return nil, tooLarge
	case err != nil:
		return nil, fault.E(fault.Invalid, "BODY_UNREADABLE").Because(err)
	}
	return decode(body, l)
}

// clip shortens a header's value for an error's text.
func clip(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strings.ToValidUTF8(s, "?")
}

// decode reads a GraphQL request from JSON.
func decode(body []byte, l *guard.Limits) (*graphql.RawParams, *fault.Error) {
	if err := inspect(body, l); err != nil {
		return nil, err
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		return nil, fault.E(fault.Invalid, "BATCH_NOT_SUPPORTED")
	}
	var q wire
	if err := decodeJSON(body, &q); err != nil {
		return nil, err
	}
	if q.Query == nil || *q.Query == "" {
		return nil, fault.E(fault.Invalid, "QUERY_MISSING")
	}
	return &graphql.RawParams{
		Query: *q.Query, OperationName: q.OperationName,
		Variables: q.Variables, Extensions: q.Extensions,
	}, nil
}

// readGet reads the GraphQL request in the query string of r.
func readGet(r *http.Request, l *guard.Limits) (*graphql.RawParams, *fault.Error) {
	if int64(len(r.URL.RawQuery)) > l.BodyBytes {
		return nil, fault.E(fault.Exhausted, "BODY_TOO_LARGE", fault.P("limit", l.BodyBytes))
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.E(fault.Invalid, "QUERY_STRING_INVALID")
	}
	params := &graphql.RawParams{Query: q.Get("query"), OperationName: q.Get("operationName")}
	if params.Query == "" {
		return nil, fault.E(fault.Invalid, "QUERY_MISSING")
	}
	for name, into := range map[string]*map[string]any{"variables": &params.Variables, "extensions": &params.Extensions} {
		raw := []byte(q.Get(name))
		if len(raw) == 0 {
			continue
		}
		if err := inspect(raw, l); err != nil {
			return nil, err.At(name)
		}
		if err := decodeJSON(raw, into); err != nil {
			return nil, err.At(name)
		}
	}
	return params, nil
}

// decodeJSON reads exactly one JSON value; numbers stay as written.
func decodeJSON(raw []byte, into any) *fault.Error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	err := dec.Decode(into)
	if err == nil {
		if _, rest := dec.Token(); rest != io.EOF {
			return fault.E(fault.Invalid, "JSON_INVALID", fault.P("offset", dec.InputOffset()))
		}
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fault.E(fault.Invalid, "JSON_TYPE_WRONG", fault.P("field", wrong.Field), fault.P("got", wrong.Value))
	}
	return fault.E(fault.Invalid, "JSON_INVALID", fault.P("offset", dec.InputOffset()))
}
