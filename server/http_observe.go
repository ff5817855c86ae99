package server

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// observations are the metrics of the shell and the streams it must end.
type observations struct {
	requests *prometheus.HistogramVec
	running  prometheus.Gauge
	open     prometheus.Gauge

	mu      sync.Mutex
	ended   bool
	streams map[*http.Request]context.CancelFunc
	left    sync.WaitGroup // streams that have not returned; no new one once ended
}

func observe(reg *prometheus.Registry) *observations {
	o := &observations{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "spms_http_request_duration_seconds",
			Help:    "Time from the first byte of a request to the last of its answer; streams are left out.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"door", "status"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "spms_http_requests_running", Help: "Requests that are being answered, without streams."}),
		open:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "spms_http_streams_open", Help: "Open WebSockets and event streams."}),
		streams: map[*http.Request]context.CancelFunc{},
	}
	reg.MustRegister(o.requests, o.running, o.open)
	return o
}

// stream registers a long-lived request and returns it with a context that
// ends with the server, and what to call at its end.
func (o *observations) stream(r *http.Request) (*http.Request, func()) {
	ctx, cancel := context.WithCancel(r.Context())
	r = r.WithContext(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		cancel()
		return r, cancel
	}
	o.streams[r] = cancel
	o.left.Add(1)
	o.open.Inc()
	return r, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.streams, r)
		cancel()
		o.open.Dec()
		o.left.Done()
	}
}

// endStreams ends all streams, also those that come later.
func (o *observations) endStreams() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	for _, cancel := range o.streams {
		cancel()
	}
}

// waitStreams waits until all streams have returned, at most until ctx ends.
func (o *observations) waitStreams(ctx context.Context) error {
	done := make(chan struct{})
	go func() { o.left.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// isStream reports whether the client asks for an answer without an end.
func isStream(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") ||
		strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// observed runs next with recovery, metrics and access log. The log names no
// query and no person: paths, sizes and times only.
func (s *Shell) observed(next http.Handler, w http.ResponseWriter, r *http.Request) {
	start := s.clock.Now()
	rec := &recorder{ResponseWriter: w}
	streaming := isStream(r)
	if streaming {
		var end func()
		r, end = s.seen.stream(r)
		defer end()
		rc := http.NewResponseController(w)
		_ = rc.SetReadDeadline(time.Time{}) // a stream may last longer than the limits of a request
		_ = rc.SetWriteDeadline(time.Time{})
	} else {
		s.seen.running.Inc()
		defer s.seen.running.Dec()
	}
	defer func() {
		took := s.clock.Now().Sub(start)
		if !streaming {
			s.seen.requests.WithLabelValues(door(r.URL.Path), strconv.Itoa(rec.sent())).Observe(took.Seconds())
		}
		level := slog.LevelInfo
		if door(r.URL.Path) == "/metrics" {
			level = slog.LevelDebug
		}
		s.log.LogAttrs(r.Context(), level, "request",
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", rec.sent()),
			slog.Int64("bytes", rec.bytes), slog.Duration("took", took), slog.String("from", remoteHost(r)))
	}()
	defer s.recovered(rec, r)
	next.ServeHTTP(rec, r)
}

// door is the label of a path: a small closed set, whatever a client asks for.
func door(path string) string {
	switch path {
	case "/graphql", "/metrics":
		return path
	}
	return "/"
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// recorder remembers the status and size of an answer. It can be flushed and
// hijacked as streams need it; Unwrap serves the rest of http.ResponseController.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher.
func (w *recorder) Flush() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
	}
	return c, rw, err
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// sent returns the status that the client has seen.
func (w *recorder) sent() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
