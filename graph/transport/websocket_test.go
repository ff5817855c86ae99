package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/openspms/spms/graph/transport"
)

// socket is a client of the protocol graphql-transport-ws.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, address string, protocols ...string) socket {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return socket{t, conn}
}

// greeted dials and passes the initialisation.
func greeted(t *testing.T, address string) socket {
	t.Helper()
	s := dial(t, address, "graphql-transport-ws")
	s.say(`{"type":"connection_init"}`)
	s.hear(`{"type":"connection_ack"}`)
	return s
}

func (s socket) say(text string) {
	s.t.Helper()
	if err := s.conn.Write(s.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatalf("say %.80s: %v", text, err)
	}
}

// hear expects a message that contains every part.
func (s socket) hear(parts ...string) {
	s.t.Helper()
	_, got, err := s.conn.Read(s.t.Context())
	if err != nil {
		s.t.Fatalf("hear %q: %v", parts, err)
	}
	for _, p := range parts {
		if !strings.Contains(string(got), p) {
			s.t.Errorf("heard %s, want %q in it", got, p)
		}
	}
}

// closed expects the server to close with a code.
func (s socket) closed(code websocket.StatusCode) {
	s.t.Helper()
	_, got, err := s.conn.Read(s.t.Context())
	if websocket.CloseStatus(err) != code {
		s.t.Errorf("read = %s, %v, want close %d", got, err, code)
	}
}

func subscribe(id, document string) string {
	raw, _ := json.Marshal(map[string]any{"type": "subscribe", "id": id, "payload": map[string]any{"query": document}})
	return string(raw)
}

func TestSocket(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, nil)
	s := greeted(t, u)
	s.say(subscribe("a", "subscription{count(to:2)}"))
	s.hear(`"next"`, `"id":"a"`, `{"data":{"count":1}}`)
	s.hear(`{"data":{"count":2}}`)
	s.hear(`"complete"`, `"id":"a"`)
	s.say(subscribe("a", "{__typename}")) // the id is free as soon as the end is told
	s.hear(`{"data":{"__typename":"Query"}}`)
	s.hear(`"complete"`)
	for range 50 {
		s.say(subscribe("a", "subscription{count(to:0)}"))
		s.hear(`"complete"`, `"id":"a"`)
	}
	s.say(subscribe("e9", "subscription{count(to:99)}"))
	for range 9 {
		s.hear(`"next"`, `"id":"e9"`)
	}
	s.hear(`"next"`, "PAGE_SIZE_INVALID")
	s.hear(`"complete"`, `"id":"e9"`)
	s.say(subscribe("b", "{nope}"))
	s.hear(`"error"`, `"id":"b"`, "GRAPHQL_VALIDATION_FAILED")
	s.say(subscribe("c", "{regions(first:999){totalCount pageInfo{hasNextPage}}}"))
	s.hear(`"error"`, "PAGE_SIZE_TOO_LARGE")
	s.say(subscribe("d", `{fail(how:"panic")}`))
	s.hear(`"next"`, "INTERNAL")
	s.hear(`"complete"`)
	s.say(`{"type":"subscribe","id":"e","payload":[]}`)
	s.hear(`"error"`, "BATCH_NOT_SUPPORTED")
	s.say(subscribe("w", "subscription{wait}"))
	s.say(`{"type":"complete","id":"w"}`)
	s.say(`{"type":"ping","payload":{"n":1}}`)
	s.hear(`"pong"`, `{"n":1}`)
	s.say(subscribe("w", "subscription{count(to:1)}")) // the id is free again
	s.hear(`{"data":{"count":1}}`)
	s.hear(`"complete"`, `"id":"w"`)
}

func TestSocketCloses(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, nil)
	big := `{"type":"ping","payload":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`
	for name, tc := range map[string]struct {
		say  []string
		code websocket.StatusCode
	}{
		"a subscribe before the greeting": {[]string{subscribe("a", "{__typename}")}, 4401},
		"a second greeting":               {[]string{`{"type":"connection_init"}`, `{"type":"connection_init"}`}, 4429},
		"an id in use":                    {[]string{`{"type":"connection_init"}`, subscribe("a", "subscription{wait}"), subscribe("a", "subscription{wait}")}, 4409},
		"an operation without id":         {[]string{`{"type":"connection_init"}`, subscribe("", "{__typename}")}, 4400},
		"an unknown message":              {[]string{`{"type":"connection_init"}`, `{"type":"start"}`}, 4400},
		"no JSON":                         {[]string{`{"type":`}, 4400},
		"a NUL":                           {[]string{`{"type":"connection_init","payload":{"a":"\u0000"}}`}, 4400},
		"a greeting that is a list":       {[]string{`{"type":"connection_init","payload":[]}`}, 4400},
		"a message too large":             {[]string{`{"type":"connection_init"}`, big}, websocket.StatusMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := dial(t, u, "graphql-transport-ws")
			for _, text := range tc.say {
				s.say(text)
			}
			if strings.Contains(tc.say[0], "connection_init") && len(tc.say) > 1 {
				s.hear(`{"type":"connection_ack"}`)
			}
			s.closed(tc.code)
		})
	}
	t.Run("another protocol", func(t *testing.T) {
		t.Parallel()
		dial(t, u, "graphql-ws").closed(4406)
		dial(t, u).closed(4406)
	})
}

func TestSocketWaitsForItsGreeting(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, func(o *transport.Options) { o.InitTimeout = 10 * time.Millisecond })
	dial(t, u, "graphql-transport-ws").closed(4408)
}

func TestSocketOperationsAreLimited(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, func(o *transport.Options) { o.SocketOperations = 2 })
	s := greeted(t, u)
	s.say(subscribe("a", "subscription{wait}"))
	s.say(subscribe("b", "subscription{wait}"))
	s.say(subscribe("c", "{__typename}"))
	s.hear(`"error"`, `"id":"c"`, "SOCKET_TOO_MANY_OPERATIONS")
	s.say(`{"type":"complete","id":"a"}`)
	s.say(subscribe("c", "{__typename}"))
	s.hear(`"next"`, `"id":"c"`)
}

func TestSocketInitAndStop(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	u, _, _ := open(t, func(o *transport.Options) {
		o.Stop, o.Ping = stop, 5*time.Millisecond
		o.Init = func(ctx context.Context, payload map[string]any) (context.Context, error) {
			if payload["token"] != "right" {
				return nil, errors.New("secret")
			}
			return ctx, nil
		}
	})
	s := dial(t, u, "graphql-transport-ws")
	s.say(`{"type":"connection_init","payload":{"token":"wrong"}}`)
	s.closed(4403)
	s = dial(t, u, "graphql-transport-ws")
	s.say(`{"type":"connection_init","payload":{"token":"right","acceptLanguage":"en"}}`)
	s.hear("connection_ack")
	s.say(subscribe("a", `{fail(how:"fault")}`))
	s.hear("must not be negative")
	s.hear("complete")
	close(stop)
	s.closed(websocket.StatusGoingAway)
}
