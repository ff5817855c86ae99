package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
)

// demoStart is when the story begins: a Monday in an announced year.
var demoStart = time.Date(2026, 3, 2, 0, 0, 0, 0, time.FixedZone("CST", 8*3600))

// demo plays the fibre order story on a scratch database under a virtual clock:
// the standards and the process are published, orders come in as the process's
// figures say, a scripted crew works them through the same rooms the API uses,
// and the clocks are shown at the end. The same seed tells the same story.
func demo(ctx context.Context, c Console, cfg DemoConfig) (err error) {
	url := cfg.Database.URL
	if url == "" {
		dir, err := os.MkdirTemp("", "spms-demo-")
		if err != nil {
			return fault.E(fault.Unavailable, "DATA_DIR_UNUSABLE", fault.P("dir", os.TempDir())).Because(err)
		}
		defer os.RemoveAll(dir)
		url = filepath.Join(dir, "demo.db")
	}
	now := clock.NewManual(demoStart)
	h, err := OpenHouse(ctx, url, now, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = closing(h, err) }()
	if err := h.scratch(ctx); err != nil {
		return err
	}
	say := demoVoice{c.Out, c.Lang, cfg.Progress}
	if err := h.Seed(ctx); err != nil {
		return err
	}
	ctx = access.With(ctx, access.System("demo"))
	if err := say.published(ctx, h); err != nil {
		return err
	}
	play, err := newPlay(ctx, h, now, cfg, say)
	if err != nil {
		return err
	}
	if err := play.run(ctx); err != nil {
		return err
	}
	return say.ended(ctx, h)
}

// scratch brings the tables up to date and refuses a database that holds people:
// the demo must not play among real cases.
func (h *House) scratch(ctx context.Context) error {
	if err := h.Migrate(ctx); err != nil {
		return err
	}
	n, err := h.Store.Client().Staff.Query().Count(access.With(ctx, access.System("demo")))
	if err != nil {
		return fmt.Errorf("look at the scratch database: %w", err)
	}
	if n > 0 {
		return fault.E(fault.Precondition, "DEMO_DATABASE_NOT_EMPTY")
	}
	return nil
}

// demoVoice tells the story in the reader's language.
type demoVoice struct {
	out      io.Writer
	lang     fault.Lang
	progress bool
}

// of returns the text of the reader's language; English may be missing.
func (v demoVoice) of(zh, en string) string {
	if v.lang == fault.ZH || en == "" {
		return zh
	}
	return en
}

// line prints the sentence of the reader's language.
func (v demoVoice) line(zh, en string, args ...any) { fmt.Fprintf(v.out, v.of(zh, en)+"\n", args...) }

// day tells how far the story is at the end of a virtual day.
func (v demoVoice) day(p *play, day time.Time) {
	if !v.progress {
		return
	}
	v.line("  %s  受理 %4d/%d · 办结 %4d · 待办 %3d", "  %s  started %4d/%d · ended %4d · open tasks %3d",
		day.In(demoStart.Location()).Format(time.DateOnly), p.started, p.cfg.Cases, p.ended, p.open())
}
