package graph

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/store"
)

// board counts one worklist again whenever it has changed, for all subscribers with
// the same filter and rights. It counts as long as there is one.
type board struct {
	key       string
	followers int // guarded by boards.mu
	stop      context.CancelFunc

	mu      sync.Mutex
	latest  *tally
	failed  error
	changed chan struct{} // closed when either changes
}

// boards are those that are being counted, by key.
type boards struct {
	mu   sync.Mutex
	open map[string]*board
}

const (
	// countPause is the least time between two counts of a board. A count that takes
	// long is not repeated before three times as long, so that boards never take up
	// more than a quarter of a connection each.
	countPause = 250 * time.Millisecond
	// countAnew is the longest that a board rests: the clock may have been set.
	countAnew = time.Minute
)

// keyOf is equal for two who see the same: the filter and the rights to read cases, and
// who asks where the filter says so.
func (c counted) keyOf(v *access.Viewer) (string, error) {
	key := map[string]any{
		"where": c.where, "role": c.role, "region": c.regionID, "assignee": c.assigneeID, "mine": c.mine, "topic": c.topic,
		"sign": c.toSign, "attributes": c.attributes, "soon": c.soonMinutes, "sees": v.Regions(access.ReadCases),
	}
	if value(c.mine) || value(c.toSign) {
		key["who"], key["grants"], key["absent"] = v.StaffID, v.Grants, v.Absent
	}
	text, err := json.Marshal(key)
	return string(text), err
}

// join returns the board of a filter for who asks in ctx.
func (r *Resolver) join(ctx context.Context, c counted) (*board, error) {
	v := access.From(ctx)
	key, err := c.keyOf(v)
	if err != nil {
		return nil, err
	}
	r.boards.mu.Lock()
	defer r.boards.mu.Unlock()
	b := r.boards.open[key]
	if b == nil {
		work, stop := context.WithCancel(access.With(context.WithoutCancel(ctx), v)) // his rights as they are now
		b = &board{key: key, stop: stop, changed: make(chan struct{})}
		if r.boards.open == nil {
			r.boards.open = map[string]*board{}
		}
		r.boards.open[key] = b
		go func() {
			if err := r.keepCounting(work, b, c); err != nil && work.Err() == nil {
				r.drop(b)
				b.show(nil, err)
			}
		}()
	}
	b.followers++
	return b, nil
}

// leave lets a board go; the last one out stops it.
func (r *Resolver) leave(b *board) {
	r.boards.mu.Lock()
	defer r.boards.mu.Unlock()
	if b.followers--; b.followers == 0 {
		b.stop()
		if r.boards.open[b.key] == b {
			delete(r.boards.open, b.key)
		}
	}
}

// drop lets nobody else join a board that has failed.
func (r *Resolver) drop(b *board) {
	r.boards.mu.Lock()
	defer r.boards.mu.Unlock()
	if r.boards.open[b.key] == b {
		delete(r.boards.open, b.key)
	}
}

// show shows a tally, or the error with which the board has ended.
func (b *board) show(t *tally, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest, b.failed = t, err
	close(b.changed)
	b.changed = make(chan struct{})
}

// look returns what the board shows and the channel that tells of a change.
func (b *board) look() (latest *tally, changed <-chan struct{}, failed error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.latest, b.changed, b.failed
}

// keepCounting counts at once, when a task of the list may have changed, and when time
// changes a count.
func (r *Resolver) keepCounting(ctx context.Context, b *board, c counted) error {
	path, err := pathOf(ctx, r.Store.Client(), value(c.regionID))
	if err != nil {
		return err
	}
	f, err := r.Store.Follow(ctx, "")
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		t, err := r.count(ctx, c)
		if err != nil {
			return err
		}
		b.show(t, nil)
		pause := time.NewTimer(max(countPause, 3*r.TimeSource.Now().Sub(t.at)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
		rest := countAnew
		if at, ok := t.next(c.soonMinutes); ok {
			rest = min(rest, max(0, at.Sub(r.TimeSource.Now())))
		}
		if err := restUntil(ctx, f, rest, path); err != nil {
			return err
		}
	}
}

// restUntil waits until a case of a region and below has changed, or for so long.
func restUntil(ctx context.Context, f *store.Follower, rest time.Duration, path string) error {
	within, cancel := context.WithTimeout(ctx, rest)
	defer cancel()
	for {
		told, err := f.Next(within)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil
		}
		if err != nil || told.Lost {
			return err
		}
		for _, e := range told.Entries {
			for _, c := range e.Changes {
				if strings.HasPrefix(c.RegionPath, path) {
					return nil
				}
			}
		}
	}
}

// worklistCounts tells the counts of a worklist at once and whenever they change.
func (r *Resolver) worklistCounts(ctx context.Context, c counted, after *string) (<-chan *model.WorklistCounts, error) {
	if err := c.check(ctx, r); err != nil {
		return nil, err
	}
	if err := r.Store.Recognise(ctx, value(after)); err != nil {
		return nil, err
	}
	b, err := r.join(ctx, c)
	if err != nil {
		return nil, err
	}
	out := make(chan *model.WorklistCounts)
	go func() {
		defer close(out)
		if err := r.watch(ctx, b, c, out); err != nil && ctx.Err() == nil {
			problem.End(ctx, err)
		}
	}()
	return out, nil
}

// watch tells what a board shows until ctx ends or the subscriber's rights do; with
// other rights it goes to another board. It leaves the board in the end.
func (r *Resolver) watch(ctx context.Context, b *board, c counted, out chan<- *model.WorklistCounts) error {
	defer func() { r.leave(b) }()
	renew := time.NewTicker(renewEvery)
	defer renew.Stop()
	var said *model.WorklistCounts
	for {
		t, changed, failed := b.look()
		if failed != nil {
			return failed
		}
		if err := access.Renew(ctx); err != nil {
			return err
		}
		if key, err := c.keyOf(access.From(ctx)); err != nil {
			return err
		} else if key != b.key {
			next, err := r.join(ctx, c)
			if err != nil {
				return err
			}
			r.leave(b)
			b = next
			continue
		}
		if t != nil {
			if now := t.of(ctx); !same(now, said) {
				select {
				case out <- now:
					said = now
				case <-ctx.Done():
					return nil
				}
			}
		}
		select {
		case <-changed:
		case <-renew.C:
		case <-ctx.Done():
			return nil
		}
	}
}
