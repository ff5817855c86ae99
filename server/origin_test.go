package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// TestOriginsReachTheHouse asks the real door behind the shell as pages of
// several origins, over HTTP and over a WebSocket.
func TestOriginsReachTheHouse(t *testing.T) {
	t.Parallel()
	o := openOffice(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	r := listening(t, server.ServeConfig{Origins: []string{"https://ui.example"}})
	r.Open(server.Routes{GraphQL: o.house.Handler(server.AuthNone), Home: http.NotFoundHandler(), Ready: o.house.Store.Ping})
	for origin, want := range map[string]bool{"": true, r.URL(): true, "https://ui.example": true, "https://evil.example": false, "null": false} {
		var page []string
		if origin != "" {
			page = []string{"Origin", origin}
		}
		status, body, h := r.get(t, "/graphql?query={viewer{code}}", append(page, server.PersonHeader, "zz-agent")...)
		if told := status == 200 && strings.Contains(body, "zz-agent"); told != want || !want && (status != 403 || !strings.Contains(body, "ORIGIN_FORBIDDEN")) {
			t.Errorf("GET /graphql of %q = %d %s, want an answer: %v", origin, status, body, want)
		}
		if listed := origin == "https://ui.example"; listed != (h.Get("Access-Control-Allow-Origin") == origin && origin != "") {
			t.Errorf("GET /graphql of %q gives leave to %q", origin, h.Get("Access-Control-Allow-Origin"))
		}
		status = r.upgrade(t, origin)
		if opened := status == http.StatusSwitchingProtocols; opened != want || !want && status != 403 {
			t.Errorf("a WebSocket of %q = %d, want it open: %v", origin, status, want)
		}
	}
	_, _, h := r.send(t, http.MethodOptions, "/graphql", "Origin", "https://ui.example", "Access-Control-Request-Method", "POST")
	if got := h.Get("Access-Control-Allow-Headers"); !strings.Contains(got, server.PersonHeader) {
		t.Errorf("the headers that pages may send are %q, want %s among them", got, server.PersonHeader)
	}
}

// upgrade asks for a WebSocket as a page of an origin and returns the status.
func (r *running) upgrade(t *testing.T, origin string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "graphql-transport-ws",
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("upgrade: %v", err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
