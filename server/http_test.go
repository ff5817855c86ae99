package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/server"
)

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// running is a shell on a free port.
type running struct {
	*server.Shell
	log    *buffer
	stop   context.CancelFunc
	result chan error
}

func listening(t *testing.T, cfg server.ServeConfig) *running {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Auth == "" {
		cfg.Auth = server.AuthNone
	}
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = 10 * time.Second
	}
	log := &buffer{}
	r := &running{Shell: server.NewShell(cfg, slog.New(slog.NewTextHandler(log, nil)), clock.System{}), log: log, result: make(chan error, 1)}
	if err := r.Listen(t.Context()); err != nil {
		t.Fatalf("Listen() = %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.result <- r.Run(ctx) }()
	t.Cleanup(stop)
	return r
}

func (r *running) get(t *testing.T, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	return r.send(t, http.MethodGet, path, header...)
}

func (r *running) send(t *testing.T, method, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: read: %v", method, path, err)
	}
	return res.StatusCode, string(body), res.Header
}

func say(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}

func routes() server.Routes {
	return server.Routes{GraphQL: say("graphql"), Home: say("home"), Ready: func(context.Context) error { return nil }}
}

func TestShellIsAliveBeforeItIsReady(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{})
	for _, step := range []struct {
		path   string
		status int
		body   string
	}{
		{"/livez", 200, "ok\n"},
		{"/readyz", 503, "starting\n"},
		{"/graphql", 503, "SERVER_STARTING"},
	} {
		if status, body, _ := r.get(t, step.path); status != step.status || !strings.Contains(body, step.body) {
			t.Errorf("GET %s before Open = %d %q, want %d %q", step.path, status, body, step.status, step.body)
		}
	}
	r.Open(routes())
	for path, want := range map[string]string{"/livez": "ok\n", "/readyz": "ok\n", "/graphql": "graphql", "/": "home", "/else": "home"} {
		if status, body, _ := r.get(t, path); status != 200 || body != want {
			t.Errorf("GET %s = %d %q, want 200 %q", path, status, body, want)
		}
	}
}

func TestShellIsNotReadyWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{})
	o := routes()
	o.Ready = func(context.Context) error {
		return fault.E(fault.Unavailable, "DATABASE_UNAVAILABLE").Because(errors.New("password=geheim refused"))
	}
	r.Open(o)
	status, body, _ := r.get(t, "/readyz")
	if status != 503 || body != "DATABASE_UNAVAILABLE\n" {
		t.Errorf("GET /readyz = %d %q, want 503 and the code alone", status, body)
	}
	if status, _, _ := r.get(t, "/livez"); status != 200 {
		t.Errorf("GET /livez = %d, want 200: a restart would not help", status)
	}
}

func TestShellShowsMetrics(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{})
	r.Open(routes())
	r.get(t, "/graphql")
	r.get(t, "/some/page")
	_, body, _ := r.get(t, "/metrics")
	for _, want := range []string{
		`spms_http_request_duration_seconds_count{door="/graphql",status="200"} 1`,
		`spms_http_request_duration_seconds_count{door="/",status="200"} 1`,
		"spms_http_streams_open 0", "go_goroutines ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("GET /metrics lacks %q", want)
		}
	}
}

func TestShellSurvivesAPanic(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{})
	o := routes()
	o.GraphQL = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	r.Open(o)
	status, body, _ := r.get(t, "/graphql")
	if status != 500 || !strings.Contains(body, `"code":"INTERNAL"`) || strings.Contains(body, "secret") {
		t.Errorf("GET /graphql = %d %q, want 500 INTERNAL without the panic's text", status, body)
	}
	if log := r.log.String(); !strings.Contains(log, "secret detail") || !strings.Contains(log, "status=500") {
		t.Errorf("log = %q, want the panic and the status", log)
	}
	if status, _, _ := r.get(t, "/"); status != 200 {
		t.Errorf("GET / after a panic = %d, want 200", status)
	}
	for lang, want := range map[string]string{"en": "Internal error ", "zh-CN": "系统内部错误"} {
		if _, body, _ := r.get(t, "/graphql", "Accept-Language", lang); !strings.Contains(body, want) {
			t.Errorf("GET /graphql in %s = %q, want %q in it", lang, body, want)
		}
	}
}

func TestShellKeepsOtherOriginsOut(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{Origins: []string{"http://ui.example:3000"}})
	r.Open(routes())
	own := r.URL()
	for _, tc := range []struct {
		name   string
		path   string
		header []string
		status int
		code   string
	}{
		{"no browser", "/graphql", nil, 200, ""},
		{"own page", "/graphql", []string{"Origin", own}, 200, ""},
		{"listed page", "/graphql", []string{"Origin", "http://ui.example:3000"}, 200, ""},
		{"foreign page", "/graphql", []string{"Origin", "http://evil.example"}, 403, "ORIGIN_FORBIDDEN"},
		{"page of another port", "/graphql", []string{"Origin", "http://127.0.0.1:1"}, 403, "ORIGIN_FORBIDDEN"},
		{"sandboxed page", "/graphql", []string{"Origin", "null"}, 403, "ORIGIN_FORBIDDEN"},
		{"foreign image", "/graphql?query={a}", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403, "ORIGIN_FORBIDDEN"},
		{"image of another port", "/graphql?query={a}", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403, "ORIGIN_FORBIDDEN"},
		{"foreign link to the API", "/graphql?query={a}", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403, "ORIGIN_FORBIDDEN"},
		{"foreign link to a page", "/cases", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200, ""},
		{"re-pointed name", "/graphql", []string{"Host", "evil.example"}, 403, "HOST_FORBIDDEN"},
		{"re-pointed name with its origin", "/graphql", []string{"Host", "evil.example:8080", "Origin", "http://evil.example:8080"}, 403, "HOST_FORBIDDEN"},
		{"localhost", "/graphql", []string{"Host", "localhost:8080"}, 200, ""},
		{"loopback of version 6", "/graphql", []string{"Host", "[::1]:8080"}, 200, ""},
	} {
		status, body, _ := r.get(t, tc.path, tc.header...)
		if status != tc.status || !strings.Contains(body, tc.code) {
			t.Errorf("%s: GET %s %v = %d %q, want %d %s", tc.name, tc.path, tc.header, status, body, tc.status, tc.code)
		}
	}
}

func TestShellAnswersPreflightOfListedOrigins(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{Auth: server.AuthToken, Origins: []string{"https://ui.example"}})
	r.Open(routes())
	status, _, h := r.send(t, http.MethodOptions, "/graphql", "Origin", "https://ui.example", "Access-Control-Request-Method", "POST")
	if status != 204 || h.Get("Access-Control-Allow-Origin") != "https://ui.example" || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("OPTIONS /graphql = %d %v, want 204 and leave for https://ui.example", status, h)
	}
	status, _, h = r.send(t, http.MethodOptions, "/graphql", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
	if status != 403 || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("OPTIONS /graphql of a foreign page = %d %v, want 403 without leave", status, h)
	}
	if status, _, _ := r.get(t, "/graphql", "Host", "spms.operator.example"); status != 200 {
		t.Errorf("GET /graphql under another name with tokens = %d, want 200", status)
	}
}

func TestShellRefusesAddresses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct{ name, addr, code string }{
		{"taken port", taken.Addr().String(), "ADDRESS_UNAVAILABLE"},
		{"every interface", ":0", "SETTING_NEEDS_AUTH"},
		{"unknown host", "nowhere.invalid:0", "ADDRESS_UNAVAILABLE"},
	} {
		s := server.NewShell(server.ServeConfig{Addr: tc.addr, Auth: server.AuthNone}, slog.New(slog.DiscardHandler), clock.System{})
		if err := s.Listen(t.Context()); fault.CodeOf(err) != tc.code || fault.From(err).Param("setting") != "addr" {
			t.Errorf("%s: Listen(%s) = %v, want %s naming addr", tc.name, tc.addr, err, tc.code)
		}
	}
	open := server.NewShell(server.ServeConfig{Addr: ":0", Auth: server.AuthToken, ShutdownTimeout: time.Second}, slog.New(slog.DiscardHandler), clock.System{})
	if err := open.Listen(t.Context()); err != nil {
		t.Fatalf("Listen(:0) with tokens = %v, want nil", err)
	}
	if !strings.HasPrefix(open.URL(), "http://localhost:") {
		t.Errorf("URL() = %s, want http://localhost:…", open.URL())
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open.Run(done); err != nil {
		t.Errorf("Run(ended) = %v, want nil", err)
	}
}

func TestShellFinishesRunningRequests(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{})
	entered, release := make(chan struct{}), make(chan struct{})
	o := routes()
	o.GraphQL = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		close(entered)
		<-release
		fmt.Fprint(w, "done ", req.Context().Err())
	})
	r.Open(o)
	answered := make(chan string, 1)
	go func() {
		res, err := http.Get(r.URL() + "/graphql")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answered <- string(body)
	}()
	<-entered
	r.stop()
	for { // the listener is closed while the request still runs
		c, err := net.Dial("tcp", r.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-r.result:
		t.Fatalf("Run() = %v while a request was running", err)
	default:
	}
	close(release)
	if body := <-answered; body != "done <nil>" {
		t.Errorf("running request = %q, want %q", body, "done <nil>")
	}
	if err := <-r.result; err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
}

func TestShellDrainsBeforeItCloses(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{DrainWait: 300 * time.Millisecond})
	r.Open(routes())
	r.stop()
	for {
		status, body, _ := r.get(t, "/readyz")
		if status == 503 && body == "stopping\n" {
			break
		}
	}
	if status, body, _ := r.get(t, "/graphql"); status != 200 || body != "graphql" {
		t.Errorf("GET /graphql while draining = %d %q, want 200", status, body)
	}
	if err := <-r.result; err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
}

func TestShellEndsStreams(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{})
	o := routes()
	o.GraphQL = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: hello\n")
		w.(http.Flusher).Flush()
		<-req.Context().Done()
		fmt.Fprint(w, "event: bye\n")
	})
	r.Open(o)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Scan()
	if _, body, _ := r.get(t, "/metrics"); !strings.Contains(body, "spms_http_streams_open 1") {
		t.Error("GET /metrics lacks spms_http_streams_open 1")
	}
	r.stop()
	lines.Scan()
	if lines.Text() != "event: bye" {
		t.Errorf("last line = %q, want %q", lines.Text(), "event: bye")
	}
	if err := <-r.result; err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
}

func TestShellEndsHijackedConnections(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{})
	o := routes()
	o.GraphQL = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		<-req.Context().Done()
		fmt.Fprint(c, "bye")
	})
	r.Open(o)
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Fatalf("upgrade = %q, %v, want 101", line, err)
	}
	r.stop()
	rest, err := io.ReadAll(in)
	if err != nil || !strings.HasSuffix(string(rest), "bye") {
		t.Errorf("rest of the socket = %q, %v, want bye", rest, err)
	}
	if err := <-r.result; err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
	if log := r.log.String(); !strings.Contains(log, "status=101") {
		t.Errorf("log = %q, want status=101", log)
	}
}

func TestShellCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{ShutdownTimeout: 50 * time.Millisecond})
	entered := make(chan struct{})
	o := routes()
	o.GraphQL = http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		close(entered)
		<-req.Context().Done()
	})
	r.Open(o)
	go func() {
		if res, err := http.Get(r.URL() + "/graphql"); err == nil {
			res.Body.Close()
		}
	}()
	<-entered
	r.stop()
	if err := <-r.result; fault.CodeOf(err) != "SHUTDOWN_TIMEOUT" {
		t.Errorf("Run() = %v, want SHUTDOWN_TIMEOUT", err)
	}
}

func TestShellPrintsAddresses(t *testing.T) {
	t.Parallel()
	r := listening(t, server.ServeConfig{Addr: "localhost:0"})
	var out bytes.Buffer
	r.PrintAddresses(&out)
	for _, path := range []string{"/\n", "/graphql\n", "/livez", "/readyz\n", "/metrics\n"} {
		if !strings.Contains(out.String(), r.URL()+path) {
			t.Errorf("PrintAddresses() = %q, lacks %s%s", out.String(), r.URL(), path)
		}
	}
}
