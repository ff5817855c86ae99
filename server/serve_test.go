package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/server"
)

func TestServeLivesAndCloses(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var out buffer
	opened, closed := make(chan *server.Shell, 1), false
	cfg := server.ServeConfig{Addr: "localhost:0", Auth: server.AuthNone, ShutdownTimeout: 5 * time.Second}
	result := make(chan error, 1)
	go func() {
		result <- server.Serve(ctx, server.Console{Out: &out, Log: slog.New(slog.DiscardHandler)}, cfg, clock.System{},
			func(_ context.Context, s *server.Shell) (server.Doors, error) {
				if res, err := http.Get(s.URL() + "/livez"); err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("GET /livez while the house is built = %v, %v, want 200", res, err)
				} else {
					res.Body.Close()
				}
				opened <- s
				return server.Doors{Routes: routes(), Greet: "try { viewer { name } }", Close: func() error {
					closed = true
					return errors.New("disk full")
				}}, nil
			})
	}()
	s := <-opened
	for !strings.Contains(out.String(), "try {") {
		if _, err := http.Get(s.URL() + "/livez"); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.Get(s.URL() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "home" {
		t.Errorf("GET / = %q, want home", body)
	}
	stop()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "disk full") || !closed {
		t.Errorf("Serve() = %v, closed %v, want the house closed and its error", err, closed)
	}
}

func TestServeStopsWhenTheHouseCannotBeBuilt(t *testing.T) {
	t.Parallel()
	var url string
	err := server.Serve(t.Context(), server.Console{Out: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler)},
		server.ServeConfig{Addr: "127.0.0.1:0", Auth: server.AuthNone, ShutdownTimeout: time.Second}, clock.System{},
		func(_ context.Context, s *server.Shell) (server.Doors, error) {
			url = s.URL()
			return server.Doors{}, fault.E(fault.Unavailable, "SERVER_FAILED")
		})
	if fault.CodeOf(err) != "SERVER_FAILED" {
		t.Errorf("Serve() = %v, want SERVER_FAILED", err)
	}
	if res, err := http.Get(url + "/livez"); err == nil {
		res.Body.Close()
		t.Error("GET /livez after Serve is answered, want the listener closed")
	}
}
