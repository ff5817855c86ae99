package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// NoticeConfig says where the notices of cases go: to a gateway's URL, or into a folder
// that a gateway reads.
type NoticeConfig struct {
	Dir   string // folder, used without a URL
	URL   string // of a gateway that takes a letter as JSON by POST
	Token string // that it is shown as a bearer token; "" for none
}

// Messenger is the way that the configuration names.
func (c NoticeConfig) Messenger() execution.Messenger {
	if c.URL == "" {
		return folder(c.Dir)
	}
	return &gateway{url: c.URL, token: c.Token, client: &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// RunNotices sends the notices of cases until ctx ends: at once when one is written,
// and at least every second.
func (h *House) RunNotices(ctx context.Context, m execution.Messenger) {
	changes := h.Store.Subscribe(ctx)
	for ctx.Err() == nil {
		if _, err := h.Cases.SendNotices(ctx, m); err != nil && ctx.Err() == nil {
			err = store.Explain(err)
			h.Log.Log(ctx, levelOf(err), "send notices", "code", fault.CodeOf(err), "err", err)
		}
		changes = h.pauseUntil(ctx, changes, nil, "notice")
	}
}

// folder takes letters as files, one for each, named after it and whole from the
// moment that they are there: the same letter again changes nothing.
type folder string

// Send implements execution.Messenger.
func (f folder) Send(_ context.Context, l execution.Letter) (string, error) {
	name := filepath.Join(string(f), l.ID+".json")
	if err := f.write(name, l); err != nil {
		return "", fault.E(fault.Unavailable, "NOTICE_GATEWAY", fault.P("cause", "the folder of notices cannot be written")).Because(err)
	}
	return filepath.Base(name), nil
}

func (f folder) write(name string, l execution.Letter) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	fresh, err := os.CreateTemp(string(f), ".letter-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(fresh.Name()) }()
	_, err = fresh.Write(append(text, '\n'))
	if err = errors.Join(err, fresh.Sync(), fresh.Close()); err != nil {
		return err
	}
	if err := os.Link(fresh.Name(), name); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // it is there already
}

// gateway takes letters by HTTP.
type gateway struct {
	url, token string
	client     *http.Client
}

// Send implements execution.Messenger: any status of 200 to 299 is a receipt; 408, 429
// and 500 and above are tried again; any other is a refusal.
func (g *gateway) Send(ctx context.Context, l execution.Letter) (string, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("write a letter: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(text))
	if err != nil {
		return "", fmt.Errorf("address a letter: %w", err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Idempotency-Key", l.ID)
	if g.token != "" {
		r.Header.Set("Authorization", "Bearer "+g.token)
	}
	resp, err := g.client.Do(r)
	if err != nil {
		return "", fault.E(fault.Unavailable, "NOTICE_GATEWAY", fault.P("cause", "no answer")).Because(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // the status counts
	switch s := resp.StatusCode; {
	case s >= 200 && s < 300:
		return strings.TrimSpace(string(answer)), nil
	case s == http.StatusRequestTimeout || s == http.StatusTooManyRequests || s >= 500:
		return "", fault.E(fault.Unavailable, "NOTICE_GATEWAY", fault.P("cause", resp.Status))
	default:
		return "", fault.E(fault.Precondition, "NOTICE_REFUSED", fault.P("status", s))
	}
}
