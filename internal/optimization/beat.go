package optimization

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/optimizationrun"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
)

// A run may take minutes; the node that carries it out holds it under a short lease,
// which it renews while it lives, so that another one soon takes over from a dead one.
const (
	lease = 8 * time.Second // with the pause between two looks, less than ten until another node takes over
	renew = 6 * time.Second // a lease that ends sooner is renewed
)

// errPassed tells that a run is not this node's any more.
var errPassed = errors.New("the run is another node's")

// holding is what a node carries out, by id of the run.
type holding struct {
	mu   sync.Mutex
	runs map[string]*held
}

type held struct {
	run   *ent.OptimizationRun
	until time.Time
	end   context.CancelCauseFunc
}

// begin notes a run that was claimed; its context ends with errPassed when another
// node has it. The function forgets it.
func (h *holding) begin(ctx context.Context, run *ent.OptimizationRun) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil {
		h.runs = map[string]*held{}
	}
	x := &held{run, run.LeaseUntil, end}
	h.runs[run.ID] = x
	return ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.runs[run.ID] == x {
			delete(h.runs, run.ID)
		}
		end(nil)
	}
}

// ending are the runs whose lease ends before an instant.
func (h *holding) ending(before time.Time) (out []*held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.runs {
		if x.until.Before(before) {
			out = append(out, x)
		}
	}
	return out
}

// renewed notes a new lease.
func (h *holding) renewed(x *held, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.until = until
}

// Beat renews the leases of the runs that this node carries out, of those that end
// soon, and gives up those that another node has taken over. The server asks for it
// each second.
func (r *Room) Beat(ctx context.Context) error {
	ctx = access.With(ctx, access.System("optimization"))
	var failed error
	for _, x := range r.held.ending(r.door.Clock.Now().Add(renew)) {
		until := r.door.Clock.Now().Add(lease)
		cmd := command.Command{Operation: "renewOptimization", Input: x.run.ID}
		mine, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (bool, error) {
			u.Recorded() // a lease is no decision
			n, err := u.OptimizationRun.Update().Where(optimizationrun.ID(x.run.ID), optimizationrun.Attempt(x.run.Attempt), optimizationrun.StateEQ(optimizationrun.StateRunning)).
				SetLeaseUntil(until).Save(access.Elevated(ctx))
			return n > 0, err
		})
		switch {
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("renew the lease of run %s: %w", x.run.ID, err))
		case mine:
			r.held.renewed(x, until)
		default:
			x.end(errPassed)
		}
	}
	return failed
}
