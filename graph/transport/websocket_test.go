package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/openspms/spms/graph/transport"
	"github.com/openspms/spms/internal/fault"
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
	s.say(subscribe("a", "{__typename}"))
	s.hear(`{"data":{"__typename":"Query"}}`)
	s.hear(`"complete"`)
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

func TestSocketKeepsOriginsOut(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, nil)
	for origin, want := range map[string]int{"https://evil.example": 403, "null": 403, u: 101} {
		conn, resp, err := websocket.Dial(t.Context(), u, &websocket.DialOptions{
			Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {origin}},
		})
		if resp == nil || resp.StatusCode != want {
			t.Errorf("dial from %s: %v, want status %d", origin, err, want)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	u, _, _ := open(t, func(o *transport.Options) {
		o.Access = transport.Access{Loopback: true, Hosts: []string{"spms.test:99"}, Origins: []string{"https://ui.example"}}
	})
	_, port, _ := strings.Cut(strings.TrimPrefix(u, "http://"), ":")
	for _, tc := range []struct {
		name   string
		header []string
		code   string
	}{
		{"this machine by number", nil, ""},
		{"this machine by name", []string{"Host", "localhost:" + port}, ""},
		{"this machine in IPv6", []string{"Host", "[::1]:" + port}, ""},
		{"a host of the list", []string{"Host", "SPMS.test:99"}, ""},
		{"a rebound name", []string{"Host", "evil.example:" + port}, "HOST_NOT_ALLOWED"},
		{"another port", []string{"Host", "localhost:1"}, "HOST_NOT_ALLOWED"},
		{"no port", []string{"Host", "localhost"}, "HOST_NOT_ALLOWED"},
		{"a name that begins alike", []string{"Host", "localhost:" + port + ".evil.example"}, "HOST_NOT_ALLOWED"},
		{"a page of this server", []string{"Origin", u}, ""},
		{"a page of the list", []string{"Origin", "https://ui.example"}, ""},
		{"a page of another site", []string{"Origin", "https://evil.example"}, "ORIGIN_NOT_ALLOWED"},
		{"a sandboxed page", []string{"Origin", "null"}, "ORIGIN_NOT_ALLOWED"},
		{"a page on another port", []string{"Origin", "http://127.0.0.1:1"}, "ORIGIN_NOT_ALLOWED"},
		{"a picture on another site", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, "ORIGIN_NOT_ALLOWED"},
		{"a link from another site", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, u, "{__typename}", tc.header...)
			if tc.code == "" && a.Status != 200 || tc.code != "" && (a.Status != 403 || len(a.codes()) != 1 || a.codes()[0] != tc.code) {
				t.Errorf("answer = %d %s, want %q", a.Status, a.Raw, tc.code)
			}
		})
	}
	a := send(t, http.MethodOptions, u, "", "Origin", "https://ui.example", "Access-Control-Request-Method", "POST")
	if a.Status != 204 || a.Header.Get("Access-Control-Allow-Origin") != "https://ui.example" {
		t.Errorf("preflight = %d %v, want 204 and the origin", a.Status, a.Header)
	}
	if fault.Text(fault.ZH, fault.E(fault.Forbidden, "HOST_NOT_ALLOWED", fault.P("host", "x"))) == "HOST_NOT_ALLOWED" {
		t.Error("HOST_NOT_ALLOWED has no text")
	}
}
