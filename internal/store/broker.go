package store

import (
	"context"
	"sync"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"
)

// Change names a row that was committed, for subscribers: ids only, since each
// subscriber reads the row again under its own rights.
type Change struct {
	Kind       string `json:"k"` // case, task, clock and others; lease: a task was lent
	ID         string `json:"i"`
	CaseID     string `json:"s,omitempty"`
	RegionPath string `json:"r"`
}

// broker hands changes to the rooms of this process as soon as they are on disk. A
// room that does not keep up loses changes rather than holding up the writer; it is
// told by a Change of kind "lost" and reads anew. Who must miss nothing follows the
// journal.
type broker struct {
	node   string
	mu     sync.Mutex
	subs   map[chan Change]struct{}
	outbox []Change
	wake   chan struct{}
}

// Lost is the Kind of the change that tells a subscriber it has missed some.
const Lost = "lost"

// subscriberBuffer is how many changes wait for one subscriber.
const subscriberBuffer = 256

func newBroker() *broker {
	return &broker{node: uuid.NewString(), subs: map[chan Change]struct{}{}, wake: make(chan struct{}, 1)}
}

func (b *broker) send(c Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.subs {
		select {
		case ch <- c:
			continue
		default:
		}
		for range subscriberBuffer / 2 {
			select {
			case <-ch:
			default:
			}
		}
		ch <- Change{Kind: Lost}
	}
}

func (b *broker) queue(c Change) {
	b.mu.Lock()
	b.outbox = append(b.outbox, c)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *broker) takeOutbox() []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.outbox
	b.outbox = nil
	return out
}

// Publish tells all subscribers, on every node, of a committed change.
func (s *Store) Publish(c Change) {
	s.broker.send(c)
	s.journal.poke()
	if s.dialect == dialect.Postgres {
		s.broker.queue(c)
	}
}

// Subscribe returns the changes from now on until ctx ends; then the channel is closed.
func (s *Store) Subscribe(ctx context.Context) <-chan Change {
	ch := make(chan Change, subscriberBuffer)
	s.broker.mu.Lock()
	s.broker.subs[ch] = struct{}{}
	s.broker.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.broker.mu.Lock()
		defer s.broker.mu.Unlock()
		delete(s.broker.subs, ch)
		close(ch)
	})
	return ch
}
