package transport

import (
	"context"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/fault"
)

// streamWriteTimeout is how long a client may take to receive one event.
const streamWriteTimeout = 10 * time.Second

// stream answers with an event stream, the distinct-connections mode of
// GraphQL over Server-Sent Events: "next" with each response, "complete" at the
// end, a comment as a sign of life in between. ctx ends with the client.
func (t overHTTP) stream(ctx, operation context.Context, w http.ResponseWriter, respond graphql.ResponseHandler) {
	if !t.enter() {
		t.refuse(ctx, w, accepted{media: mediaJSON}, fault.E(fault.Unavailable, "STREAMS_EXHAUSTED", fault.P("limit", t.Streams)))
		return
	}
	defer t.leave()
	h := w.Header()
	h.Set("Content-Type", mediaStream+"; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := eventWriter{w, http.NewResponseController(w)}
	_ = out.control.SetReadDeadline(time.Time{}) // the stream outlives the server's request time-outs
	if !out.send(":\n\n") {
		return
	}
	next := t.pump(ctx, operation, respond)
	alive := time.NewTicker(t.Ping)
	defer alive.Stop()
	for {
		select {
		case resp, more := <-next:
			if !more {
				out.send("event: complete\ndata:\n\n")
				return
			}
			if !out.send("event: next\ndata: " + string(resp) + "\n\n") {
				return
			}
		case <-alive.C:
			if !out.send(":\n\n") {
				return
			}
		case <-ctx.Done():
			return
		case <-t.Stop:
			out.send("event: complete\ndata:\n\n")
			return
		}
	}
}

// pump runs an operation's responses to their end in a goroutine of its own
// and yields them encoded, since gqlgen writes the next into the same memory.
// It ends with ctx, the client's; the operation's own context may end earlier,
// with its last response. A panic becomes a last response, and so does the error
// that the operation has ended with.
func (d *door) pump(ctx, operation context.Context, respond graphql.ResponseHandler) <-chan []byte {
	next := make(chan []byte)
	send := func(resp *graphql.Response) bool {
		select {
		case next <- encode(resp):
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(next)
		defer func() {
			if v := recover(); v != nil {
				err := d.Presenter.Present(ctx, d.Presenter.Recover(ctx, v))
				send(&graphql.Response{Errors: []*gqlerror.Error{err}})
			}
		}()
		for {
			resp := respond(operation)
			if err := problem.Ended(ctx); resp == nil && err != nil {
				send(&graphql.Response{Errors: []*gqlerror.Error{d.Presenter.Present(ctx, err)}})
			}
			if resp == nil || !send(resp) {
				return
			}
		}
	}()
	return next
}

// eventWriter writes events at once, each within its time-out.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// send writes one event and reports whether the client still takes them.
func (o eventWriter) send(event string) bool {
	_ = o.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	if _, err := o.w.Write([]byte(event)); err != nil {
		return false
	}
	return o.control.Flush() == nil
}
