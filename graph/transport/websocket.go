package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/fault"
)

// subprotocol is the only WebSocket protocol served; its text is
// https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md.
const subprotocol = "graphql-transport-ws"

// The close codes of the protocol.
const (
	closeBadMessage   websocket.StatusCode = 4400
	closeUnauthorized websocket.StatusCode = 4401
	closeForbidden    websocket.StatusCode = 4403
	closeProtocol     websocket.StatusCode = 4406
	closeInitTimeout  websocket.StatusCode = 4408
	closeDuplicate    websocket.StatusCode = 4409
	closeInitTwice    websocket.StatusCode = 4429
)

// webSocket serves operations over WebSockets. One socket goes through
//
//	opened ── connection_init ──▶ acknowledged ── subscribe/next/complete ──▶ closed
//
// and is closed with the protocol's codes when a client leaves that path.
type webSocket struct{ *door }

// Supports implements graphql.Transport.
func (webSocket) Supports(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Do implements graphql.Transport. The origin has been checked by
// whoever wraps the handler.
func (t webSocket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if !t.enter() {
		e := fault.E(fault.Unavailable, "STREAMS_EXHAUSTED", fault.P("limit", t.Streams))
		writeErrors(w, http.StatusServiceUnavailable, mediaJSON, t.Presenter.Present(r.Context(), e))
		return
	}
	defer t.leave()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, InsecureSkipVerify: true,
	})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow() //nolint:errcheck // closed already in the ordinary case
	if conn.Subprotocol() != subprotocol {
		_ = conn.Close(closeProtocol, "Subprotocol not acceptable")
		return
	}
	conn.SetReadLimit(t.Limits.BodyBytes)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &socket{door: t.door, conn: conn, exec: exec, header: r.Header, active: map[string]*operation{}}
	defer s.running.Wait()
	defer cancel()
	s.serve(ctx)
}

// socket is one open WebSocket.
type socket struct {
	*door
	conn   *websocket.Conn
	exec   graphql.GraphExecutor
	header http.Header

	running sync.WaitGroup
	mu      sync.Mutex
	active  map[string]*operation // by id
}

// operation is one running operation; its address tells it from a later one
// under the same id.
type operation struct{ cancel context.CancelFunc }

// message is one frame of the protocol.
type message struct {
	Type    string          `json:"type"`
	ID      string          `json:"id,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// serve runs the socket to its end.
func (s *socket) serve(ctx context.Context) {
	ctx, ok := s.initialise(ctx)
	if !ok {
		return
	}
	go s.watch(ctx)
	for {
		m, ok := s.read(ctx)
		if !ok {
			return
		}
		switch m.Type {
		case "subscribe":
			if !s.subscribe(ctx, m) {
				return
			}
		case "complete":
			s.finish(m.ID, nil)
		case "ping":
			s.write(ctx, message{Type: "pong", Payload: m.Payload})
		case "pong":
		case "connection_init":
			s.close(closeInitTwice, "Too many initialisation requests")
			return
		default:
			s.close(closeBadMessage, "Invalid message type")
			return
		}
	}
}

// initialise waits for connection_init and acknowledges it.
func (s *socket) initialise(ctx context.Context) (context.Context, bool) {
	late := time.AfterFunc(s.InitTimeout, func() { s.close(closeInitTimeout, "Connection initialisation timeout") })
	m, ok := s.read(ctx)
	if !late.Stop() || !ok {
		return ctx, false
	}
	if m.Type != "connection_init" {
		s.close(closeUnauthorized, "Unauthorized")
		return ctx, false
	}
	var payload map[string]any
	if len(m.Payload) > 0 {
		if err := decodeJSON(m.Payload, &payload); err != nil {
			s.close(closeBadMessage, "Invalid payload")
			return ctx, false
		}
	}
	if lang, ok := payload["acceptLanguage"].(string); ok {
		ctx = problem.WithLang(ctx, fault.MatchLang(lang))
	}
	if s.Init != nil {
		own, err := s.Init(ctx, payload)
		if err != nil {
			s.close(closeForbidden, fault.CodeOf(err))
			return ctx, false
		}
		ctx = own
	}
	return ctx, s.write(ctx, message{Type: "connection_ack"})
}

// watch pings the client until it is gone or the server stops.
func (s *socket) watch(ctx context.Context) {
	tick := time.NewTicker(s.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Stop:
			s.close(websocket.StatusGoingAway, "Server is stopping")
			return
		case <-tick.C:
			within, cancel := context.WithTimeout(ctx, s.Ping)
			err := s.conn.Ping(within)
			cancel()
			if err != nil {
				_ = s.conn.CloseNow()
				return
			}
		}
	}
}

// read returns the next message; not ok means that the socket is closed.
func (s *socket) read(ctx context.Context) (message, bool) {
	kind, raw, err := s.conn.Read(ctx)
	if err != nil {
		return message{}, false // gone, or too large: then the library has closed with 1009
	}
	var m message
	if kind != websocket.MessageText || inspect(raw, s.Limits) != nil || json.Unmarshal(raw, &m) != nil {
		s.close(closeBadMessage, "Invalid message")
		return message{}, false
	}
	return m, true
}

// write sends a message and reports whether the client took it in time.
func (s *socket) write(ctx context.Context, m message) bool {
	ctx, cancel := context.WithTimeout(ctx, streamWriteTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, mustJSON(m)) == nil
}

// close ends the socket; only its first call counts.
func (s *socket) close(code websocket.StatusCode, reason string) { _ = s.conn.Close(code, reason) }

// subscribe starts an operation; false means that the socket was closed.
func (s *socket) subscribe(ctx context.Context, m message) bool {
	whole := ctx
	ctx, cancel := context.WithCancel(problem.WithEnding(graphql.StartOperationTrace(ctx)))
	op := &operation{cancel}
	switch started, taken := s.start(m.ID, op); {
	case m.ID == "":
		cancel()
		s.close(closeBadMessage, "Invalid message")
		return false
	case taken:
		cancel()
		s.close(closeDuplicate, "Subscriber for "+clip(m.ID)+" already exists")
		return false
	case !started:
		defer cancel()
		e := fault.E(fault.Exhausted, "SOCKET_TOO_MANY_OPERATIONS", fault.P("limit", s.SocketOperations))
		s.write(ctx, failure(m.ID, s.Presenter.Present(ctx, e)))
		return true
	}
	s.running.Go(func() {
		defer cancel()
		last := s.run(ctx, m)
		if s.finish(m.ID, op) { // first, so that a client told of the end may use the id again
			s.write(whole, last)
		}
	})
	return true
}

// start notes an operation as running, unless its id is taken or empty or the
// socket is full.
func (s *socket) start(id string, op *operation) (started, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken = s.active[id]; taken || id == "" || len(s.active) >= s.SocketOperations {
		return false, taken
	}
	s.active[id] = op
	return true, false
}

// finish ends the operation of an id if it still runs, and only if it is op
// when op is given; it reports whether it did.
func (s *socket) finish(id string, op *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	running, ok := s.active[id]
	if !ok || op != nil && op != running {
		return false
	}
	running.cancel()
	delete(s.active, id)
	return true
}

// run executes one operation, sends its responses, and returns what to tell the
// client at the end; there is nobody to tell when he has completed it or is gone.
func (s *socket) run(ctx context.Context, m message) message {
	params, e := decode(m.Payload, s.Limits)
	if e != nil {
		return failure(m.ID, s.Presenter.Present(ctx, e))
	}
	params.Headers = s.header
	op, errs := s.exec.CreateOperationContext(ctx, params)
	ctx = graphql.WithOperationContext(ctx, op)
	if len(errs) > 0 {
		resp := s.exec.DispatchError(ctx, errs[:min(len(errs), maxErrors)])
		return failure(m.ID, resp.Errors...)
	}
	respond, operation := s.exec.DispatchOperation(ctx, op)
	for resp := range s.pump(ctx, operation, respond) {
		if !s.write(ctx, message{Type: "next", ID: m.ID, Payload: resp}) {
			break
		}
	}
	return message{Type: "complete", ID: m.ID}
}

// failure ends an operation that did not come to run.
func failure(id string, errs ...*gqlerror.Error) message {
	return message{Type: "error", ID: id, Payload: mustJSON(errs)}
}
