package store

import (
	"context"

	"github.com/openspms/spms/internal/fault"
)

// Follower is told what commands change in cases, from a cursor or from now on, in
// the order in which they were committed, each at least once. It is used by one
// goroutine and must be closed.
type Follower struct {
	journal *journal
	behind  bool // it reads by itself until it has come up with the journal
	told    seen // what its cursor says
	floor   seen // what it had been told when it joined: not told again
	anchor  string
	next    int   // number of the batch to come
	epoch   int   // of the journal when it joined
	said    int64 // max of the cursor that was asked for last
	closed  bool
}

// Told is what a follower is told at once: some entries, or that some are Lost
// because it is too far behind, or neither when only its cursor has moved on.
type Told struct {
	Entries []Entry
	Lost    bool

	follower *Follower
	before   seen
	anchor   string // with before
	to       seen
}

// Follow begins to tell what changes: after a cursor, or from now on when it is "".
// Errors: CURSOR_MALFORMED, CURSOR_FOREIGN (it is of another database, or of one
// that was put back), CURSOR_TOO_OLD, DATABASE_UNAVAILABLE.
func (s *Store) Follow(ctx context.Context, after string) (*Follower, error) {
	f := &Follower{journal: s.journal}
	if after != "" {
		var err error
		if f.told, f.anchor, err = decodeCursor(after); err != nil {
			return nil, err
		}
		if err := s.recognise(ctx, f.told, f.anchor); err != nil {
			return nil, err
		}
	}
	if err := s.journal.enter(ctx); err != nil {
		return nil, err
	}
	next, epoch := s.journal.place()
	if after != "" {
		f.behind, f.epoch, f.said = true, epoch, f.told.max
		return f, nil
	}
	var err error
	if f.anchor, err = s.newest(ctx); err == nil {
		f.told, err = s.seen(ctx)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	f.floor, f.next, f.epoch, f.said = f.told, next, epoch, f.told.max
	return f, nil
}

// recognise refuses a cursor that this database has not given, or too long ago.
func (s *Store) recognise(ctx context.Context, told seen, anchor string) error {
	now, err := s.seen(ctx)
	if err != nil {
		return err
	}
	known := true
	if anchor != nowhere {
		var number int64
		if number, known, err = s.number(ctx, anchor); err != nil {
			return err
		}
		known = known && told.has(number)
	}
	switch {
	case !known || told.max > now.max:
		return fault.E(fault.Invalid, "CURSOR_FOREIGN").At("after")
	case now.max-told.max > s.journal.reach:
		return fault.E(fault.Precondition, "CURSOR_TOO_OLD", fault.P("commands", s.journal.reach)).At("after")
	}
	return nil
}

// Close ends the follower; a second time does nothing.
func (f *Follower) Close() {
	if !f.closed {
		f.closed = true
		f.journal.leave()
	}
}

// Quiet reports whether the follower's cursor has not been asked for so long that
// it should be told, lest it become too old.
func (f *Follower) Quiet() bool { return f.told.max-f.said > f.journal.reach/100 }

// Cursor is where to go on after all that Next has returned.
func (f *Follower) Cursor() string { return f.cursor(f.told, f.anchor) }

func (f *Follower) cursor(at seen, anchor string) string {
	f.said = at.max
	return encodeCursor(at, anchor)
}

// Before is the cursor before entry i: it will be told again.
func (t *Told) Before(i int) string {
	if i == 0 {
		return t.follower.cursor(t.before, t.anchor)
	}
	return t.After(i - 1)
}

// After is the cursor after entry i: it will not be told again.
func (t *Told) After(i int) string {
	to := t.to
	if i < len(t.Entries)-1 {
		to = t.to.through(t.Entries[i].number, t.before)
	}
	return t.follower.cursor(to, t.Entries[i].ID)
}

// Next waits until there is something to tell. It ends with ctx's error, with
// SERVER_STOPPING, or with DATABASE_UNAVAILABLE, after which the follower may be
// asked again.
func (f *Follower) Next(ctx context.Context) (*Told, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if f.behind {
			if t, err := f.catchUp(ctx); t != nil || err != nil {
				return t, err
			}
			continue
		}
		t, moved, err := f.atHand()
		if t != nil || err != nil {
			return t, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// catchUp reads what the follower lacks. It looks where the journal is before it
// looks what is committed, so that nothing falls between the two.
func (f *Follower) catchUp(ctx context.Context) (*Told, error) {
	j := f.journal
	next, epoch := j.place()
	now, err := j.store.seen(ctx)
	if err != nil {
		return nil, err
	}
	if now.max < f.told.max || now.max-f.told.max > j.reach {
		return f.lost(now, next, epoch), nil
	}
	page, err := j.store.page(ctx, f.told, now)
	if err != nil {
		return nil, err
	}
	if len(page.entries) < pageEntries {
		f.behind, f.floor, f.next, f.epoch = false, now, next, epoch
	}
	return f.tell(page), nil
}

// lost lets the follower go on from now.
func (f *Follower) lost(now seen, next, epoch int) *Told {
	f.behind, f.told, f.floor, f.next, f.epoch = false, now, now, next, epoch
	return &Told{Lost: true, follower: f, before: now, anchor: f.anchor, to: now}
}

// atHand takes the next batch at hand, or returns the channel to wait on.
func (f *Follower) atHand() (*Told, <-chan struct{}, error) {
	j := f.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	switch last := j.first + len(j.batches); {
	case j.closed: // moved is, too
		return nil, nil, fault.E(fault.Unavailable, "SERVER_STOPPING")
	case f.epoch != j.epoch:
		f.anchor = j.anchor
		return f.lost(j.at, last, j.epoch), nil, nil
	case f.next < j.first:
		f.behind = true
		return nil, closed, nil
	case f.next < last:
		b := j.batches[f.next-j.first]
		f.next++
		return f.tell(f.fresh(b)), closed, nil
	}
	if j.at.later(f.told) {
		f.told = j.at
	}
	if f.Quiet() {
		return f.Nothing(), nil, nil
	}
	return nil, j.moved, nil
}

// closed is a channel that nobody waits on for long.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// fresh leaves out what the follower had been told when it joined.
func (f *Follower) fresh(b batch) batch {
	out := batch{to: b.to}
	for _, e := range b.entries {
		if !f.floor.has(e.number) {
			out.entries = append(out.entries, e)
		}
	}
	return out
}

// tell notes that the follower is told a batch; nil when there is nothing in it.
func (f *Follower) tell(b batch) *Told {
	if len(b.entries) == 0 {
		return nil
	}
	t := &Told{Entries: b.entries, follower: f, before: f.told, anchor: f.anchor, to: b.to}
	f.told, f.anchor = b.to, b.entries[len(b.entries)-1].ID
	return t
}

// Nothing is what a follower is told when it was not told anything for a while.
func (f *Follower) Nothing() *Told {
	return &Told{follower: f, before: f.told, anchor: f.anchor, to: f.told}
}

// Now returns the cursor after which what is not committed yet will be told.
func (s *Store) Now(ctx context.Context) (string, error) {
	anchor, err := s.newest(ctx)
	if err != nil {
		return "", err
	}
	now, err := s.seen(ctx)
	return encodeCursor(now, anchor), err
}

// Recognise refuses a cursor as Follow does; "" is none.
func (s *Store) Recognise(ctx context.Context, cursor string) error {
	if cursor == "" {
		return nil
	}
	told, anchor, err := decodeCursor(cursor)
	if err != nil {
		return err
	}
	return s.recognise(ctx, told, anchor)
}
