package server

import (
	"context"
	"errors"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
)

// Doors is what Serve opens: the routes, and how to close what stands behind
// them when the last request has been answered.
type Doors struct {
	Routes Routes
	Close  func() error
	// Greet is printed below the addresses once the doors are open, such as a
	// first query to try; "" for none.
	Greet string
}

// Serve is a server's whole life: it checks that it can say every error, listens (so that health checks are
// answered), builds the house, opens the doors, prints the addresses, runs until
// ctx ends and closes the house after the last request. An error of build stops
// the server and is returned as it is; what build has opened by then is build's
// to close.
func Serve(ctx context.Context, c Console, cfg ServeConfig, clk clock.Clock, build func(ctx context.Context, s *Shell) (Doors, error)) error {
	if err := fault.CheckTexts(); err != nil {
		return fault.E(fault.Internal, "TEXTS_UNREADABLE").Because(err)
	}
	cfg.TuneMemory()
	s := NewShell(cfg, c.Log, clk)
	if err := s.Listen(ctx); err != nil {
		return err
	}
	started := clk.Now()
	h, err := build(ctx, s)
	if err != nil {
		_ = s.shutdown()
		return err
	}
	s.Open(h.Routes)
	s.PrintAddresses(c.Out)
	if h.Greet != "" {
		if _, err := c.Out.Write([]byte(h.Greet + "\n")); err != nil {
			c.Log.Warn("cannot print the greeting", "error", err)
		}
	}
	c.Log.Info("ready", "url", s.URL(), "version", Version(), "took", clk.Now().Sub(started))
	return errors.Join(s.Run(ctx), h.Close())
}
