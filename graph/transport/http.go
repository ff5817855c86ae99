package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/fault"
)

// overHTTP serves GraphQL by the GraphQL-over-HTTP specification: POST with a
// JSON body for every operation, GET for queries alone. What it answers:
//
//	request is not GraphQL over HTTP     4xx, errors
//	document refused, parsed or not      400, errors; 200 for application/json
//	operation ran                        200, data and perhaps errors
//	client takes text/event-stream       200, an event per response
//
// A subscription is served as an event stream only. It is the last transport
// of the door and takes whatever the others left.
type overHTTP struct{ *door }

// maxErrors is the most errors one refused document is answered with.
const maxErrors = 20

// Supports implements graphql.Transport.
func (overHTTP) Supports(*http.Request) bool { return true }

// Do implements graphql.Transport.
func (t overHTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	accept := negotiate(r.Header.Get("Accept"))
	params, e := t.read(r, accept)
	if e != nil {
		t.refuse(ctx, w, accept, e)
		return
	}
	params.Headers = r.Header
	ctx = problem.WithEnding(ctx)
	op, errs := exec.CreateOperationContext(ctx, params)
	ctx = graphql.WithOperationContext(ctx, op)
	if len(errs) > 0 {
		resp := exec.DispatchError(ctx, errs[:min(len(errs), maxErrors)])
		if accept.media == mediaStream {
			t.stream(ctx, ctx, w, graphql.OneShot(resp))
			return
		}
		status := http.StatusBadRequest
		if accept.media == mediaJSON {
			status = http.StatusOK
		}
		writeErrors(w, status, accept.media, resp.Errors...)
		return
	}
	if e := permitted(r, op, accept); e != nil {
		t.refuse(ctx, w, accept, e)
		return
	}
	respond, operation := exec.DispatchOperation(ctx, op)
	if op.Operation.Operation == ast.Subscription || accept.media == mediaStream {
		t.stream(ctx, operation, w, respond)
		return
	}
	t.answer(ctx, w, accept, respond(operation))
}

// read takes the GraphQL request out of r.
func (t overHTTP) read(r *http.Request, accept accepted) (*graphql.RawParams, *fault.Error) {
	if accept.media == "" {
		return nil, fault.E(fault.Invalid, "NOT_ACCEPTABLE", fault.P("accept", clip(r.Header.Get("Accept"))))
	}
	switch r.Method {
	case http.MethodPost:
		return readPost(r, t.Limits)
	case http.MethodGet:
		return readGet(r, t.Limits)
	default:
		return nil, fault.E(fault.Invalid, "METHOD_NOT_ALLOWED", fault.P("method", clip(r.Method)), fault.P("allowed", "GET, POST"))
	}
}

// permitted refuses operations that the request's method or media type cannot carry.
func permitted(r *http.Request, op *graphql.OperationContext, accept accepted) *fault.Error {
	kind := op.Operation.Operation
	switch {
	case r.Method == http.MethodGet && kind == ast.Mutation:
		return fault.E(fault.Invalid, "METHOD_NOT_ALLOWED", fault.P("method", "GET"), fault.P("allowed", "POST"))
	case kind == ast.Subscription && !accept.stream:
		return fault.E(fault.Invalid, "SUBSCRIPTION_NEEDS_STREAM")
	default:
		return nil
	}
}

// answer writes the single response of a query or mutation.
func (t overHTTP) answer(ctx context.Context, w http.ResponseWriter, accept accepted, resp *graphql.Response) {
	if resp == nil { // the context ended before the operation ran
		t.refuse(ctx, w, accept, fault.E(fault.Unavailable, "OPERATION_CANCELLED"))
		return
	}
	write(w, http.StatusOK, accept.media, encode(resp))
}

// refuse answers a request that did not come to be an operation.
func (t overHTTP) refuse(ctx context.Context, w http.ResponseWriter, accept accepted, e *fault.Error) {
	media := accept.media
	if media != mediaResponse {
		media = mediaJSON
	}
	if allowed, ok := e.Param("allowed").(string); ok {
		w.Header().Set("Allow", allowed)
	}
	writeErrors(w, status(e), media, t.Presenter.Present(ctx, e))
}

// status is the HTTP status of a refused request.
func status(e *fault.Error) int {
	switch e.Code {
	case "BODY_TOO_LARGE":
		return http.StatusRequestEntityTooLarge
	case "CONTENT_TYPE_NOT_SUPPORTED":
		return http.StatusUnsupportedMediaType
	case "METHOD_NOT_ALLOWED":
		return http.StatusMethodNotAllowed
	case "NOT_ACCEPTABLE", "SUBSCRIPTION_NEEDS_STREAM":
		return http.StatusNotAcceptable
	}
	switch e.Kind {
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

// writeErrors answers with errors and without a data entry.
func writeErrors(w http.ResponseWriter, status int, media string, errs ...*gqlerror.Error) {
	write(w, status, media, encode(&graphql.Response{Errors: errs}))
}

func write(w http.ResponseWriter, status int, media string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", media+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left needs no answer
}

// encode writes a response as JSON. Its data are JSON already and are not read
// again; a response without data, which never ran, has no data entry.
func encode(resp *graphql.Response) []byte {
	var b bytes.Buffer
	b.Grow(len(resp.Data) + 64)
	b.WriteByte('{')
	member := func(name string, raw []byte) {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":`)
		b.Write(raw)
	}
	if len(resp.Errors) > 0 {
		member("errors", mustJSON(resp.Errors))
	}
	if len(resp.Data) > 0 {
		member("data", resp.Data)
	}
	if len(resp.Extensions) > 0 {
		member("extensions", mustJSON(resp.Extensions))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// mustJSON marshals values of our own making; the door's panic handler answers
// for one that cannot be marshalled.
func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
