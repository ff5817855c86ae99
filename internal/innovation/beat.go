package innovation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
)

// A node holds what it works on under short leases, which it renews while it lives: a
// call may take minutes, but what a dead node has begun is another's within ten seconds.
const (
	lease = 8 * time.Second // with the pause between two looks, less than ten until another node takes over
	renew = 6 * time.Second // a lease that ends sooner is renewed: one that is asked each second bears four misses
)

// trying is what this node tests, and how to end it: by version and attempt.
type trying struct {
	mu   sync.Mutex
	ends map[string]func()
	work map[string]attempt
}

type attempt struct {
	version string
	number  int
	until   time.Time
}

func (a attempt) key() string { return fmt.Sprintf("%s/%d", a.version, a.number) }

// begin notes a test; the function forgets it.
func (t *trying) begin(a attempt, end func()) (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.work == nil {
		t.work = map[string]attempt{}
	}
	t.ends[a.key()], t.work[a.key()] = end, a
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.ends, a.key())
		delete(t.work, a.key())
	}
}

// ending are the tests whose lease ends before an instant.
func (t *trying) ending(before time.Time) []attempt {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(t.work)), func(a attempt) bool { return !a.until.Before(before) })
}

// renewed notes a new lease, or ends a test that is another's.
func (t *trying) renewed(a attempt, until time.Time, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end, on := t.ends[a.key()]
	if on && !mine {
		end()
	} else if on {
		a.until = until
		t.work[a.key()] = a
	}
}

// Beat renews the leases of what this node works on, of those that end soon. The
// server asks for it each second; a node that does not any more loses its work to others.
func (r *Room) Beat(ctx context.Context) error {
	ctx = access.With(ctx, access.System("plugin"))
	now := r.door.Clock.Now()
	var failed error
	if ids := r.hands.ending(now.Add(renew)); len(ids) > 0 {
		if err := r.cases.KeepTasks(ctx, ids, r.worker, lease); err != nil {
			failed = fmt.Errorf("renew the leases of tasks: %w", err)
		} else {
			r.hands.lent(ids, now.Add(lease))
		}
	}
	for _, a := range r.tried.ending(now.Add(renew)) {
		cmd := command.Command{Operation: "renewPluginTest", Input: a.key()}
		mine, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (bool, error) {
			u.Recorded() // a lease is no decision
			n, err := u.PluginVersion.Update().Where(pluginversion.ID(a.version), pluginversion.TestAttempt(a.number), pluginversion.TestStateEQ(pluginversion.TestStateRunning)).
				SetTestLeaseUntil(u.Now.Add(lease)).Save(ctx)
			return n > 0, err
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("renew the lease of a test: %w", err))
			continue
		}
		r.tried.renewed(a, now.Add(lease), mine)
	}
	return failed
}
