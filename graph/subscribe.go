package graph

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/batch"
	"github.com/openspms/spms/ent/clock"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/graph/problem"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema/ids"
)

// A subscription follows the journal of the store. For every entry it reads the
// changed rows again, under the rights that its subscriber has then, so that a row
// is told as it is and never shown to who may not see it. What is read for several
// entries at once is read in one statement, and a row in them is told once.

// mark is what every message of a subscription carries.
type mark struct {
	kind     string // see CaseChange.kind
	cursor   string
	at       *time.Time
	changeID *string
}

// The kinds of messages that tell no row.
const (
	cursorOnly = "cursor"
	changeLost = "lost"
)

// feed is one kind of subscription.
type feed[T any] struct {
	// wants says whether a change is asked for.
	wants func(store.Change) bool
	// key names what a change is told of: once for all entries read together.
	key func(store.Change) string
	// read reads the rows of changes and returns how to tell one of them; false
	// tells nothing.
	read func(context.Context, []store.Change) (func(store.Change, mark) (T, bool), error)
	// bare is the message that tells no row.
	bare func(mark) T
	// begin prepares the telling, again when the client reads its list again.
	begin func(context.Context) error
}

const (
	// renewEvery is how often a silent subscription looks whether it may go on.
	renewEvery = 30 * time.Second
	// readTogether bounds the rows of one statement.
	readTogether = 500
)

// follow begins a subscription after a cursor, or now.
func follow[T any](ctx context.Context, s *store.Store, after *string, d feed[T]) (<-chan T, error) {
	f, err := s.Follow(ctx, value(after))
	if err != nil {
		return nil, err
	}
	if err := d.start(ctx, value(after) == ""); err != nil {
		f.Close()
		return nil, err
	}
	out := make(chan T)
	go func() {
		defer close(out)
		defer f.Close()
		w := &wire[T]{feed: d, out: out, viewer: access.From(ctx)}
		if err := w.run(ctx, f); err != nil && ctx.Err() == nil {
			problem.End(ctx, err)
		}
	}()
	return out, nil
}

// start prepares the telling when the client is about to read its list.
func (d feed[T]) start(ctx context.Context, fresh bool) error {
	if d.begin == nil || !fresh {
		return nil
	}
	return d.begin(ctx)
}

// wire is a running subscription.
type wire[T any] struct {
	feed   feed[T]
	out    chan<- T
	viewer *access.Viewer
}

// run tells until ctx ends, or the subscriber's rights do.
func (w *wire[T]) run(ctx context.Context, f *store.Follower) error {
	w.send(ctx, w.feed.bare(mark{kind: cursorOnly, cursor: f.Cursor()}))
	for ctx.Err() == nil {
		told, err := next(ctx, f)
		if err != nil {
			return err
		}
		if err := access.Renew(ctx); err != nil {
			return err
		}
		if v := access.From(ctx); !v.SameRights(w.viewer) || told.Lost {
			w.viewer = v
			if err := w.feed.start(ctx, true); err != nil {
				return err
			}
			w.send(ctx, w.feed.bare(mark{kind: changeLost, cursor: told.Before(0)}))
		}
		if err := w.tell(ctx, told); err != nil {
			return err
		}
		if f.Quiet() {
			w.send(ctx, w.feed.bare(mark{kind: cursorOnly, cursor: f.Cursor()}))
		}
	}
	return nil
}

// next waits for something to tell; nothing at all after renewEvery.
func next(ctx context.Context, f *store.Follower) (*store.Told, error) {
	within, cancel := context.WithTimeout(ctx, renewEvery)
	defer cancel()
	told, err := f.Next(within)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return f.Nothing(), nil
	}
	return told, err
}

// item is one change to tell.
type item struct {
	entry  int
	change store.Change
}

// tell tells entries in their order. The cursor of a message never passes what is
// yet to be told.
func (w *wire[T]) tell(ctx context.Context, told *store.Told) error {
	items := w.items(told)
	for at, chunk := range chunked(items) {
		changes := make([]store.Change, len(chunk))
		for i, it := range chunk {
			changes[i] = it.change
		}
		say, err := w.feed.read(ctx, changes)
		if err != nil {
			return err
		}
		for i, it := range chunk {
			e := &told.Entries[it.entry]
			id := strings.TrimPrefix(e.ID, string(ids.AuditEntry)+"_")
			m := mark{kind: it.change.Kind, cursor: cursorAt(told, items, at+i), at: &e.At, changeID: &id}
			if v, ok := say(it.change, m); ok && !w.send(ctx, v) {
				return nil
			}
		}
	}
	return nil
}

// items are the changes that the subscriber asks for and may see.
func (w *wire[T]) items(told *store.Told) []item {
	var items []item
	done := map[string]bool{}
	for i, e := range told.Entries {
		for _, c := range e.Changes {
			if !w.feed.wants(c) || !w.viewer.May(access.ReadCases, c.RegionPath) || done[w.feed.key(c)] {
				continue
			}
			done[w.feed.key(c)] = true
			items = append(items, item{i, c})
		}
	}
	return items
}

// cursorAt is the cursor of the message of item n.
func cursorAt(told *store.Told, items []item, n int) string {
	switch {
	case n == len(items)-1:
		return told.After(len(told.Entries) - 1)
	case items[n+1].entry == items[n].entry:
		return told.Before(items[n].entry)
	default:
		return told.After(items[n].entry)
	}
}

// chunked yields a list in pieces that are read together, with where each begins.
func chunked[T any](list []T) func(yield func(int, []T) bool) {
	return func(yield func(int, []T) bool) {
		at := 0
		for piece := range slices.Chunk(list, readTogether) {
			if !yield(at, piece) {
				return
			}
			at += len(piece)
		}
	}
}

// send hands a message to the transport and reports whether anybody takes it.
func (w *wire[T]) send(ctx context.Context, v T) bool {
	select {
	case w.out <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// byID keeps rows by their ids.
func byID[T any](rows []T, err error, id func(T) string) (map[string]T, error) {
	out := make(map[string]T, len(rows))
	for _, r := range rows {
		out[id(r)] = r
	}
	return out, err
}

// idsOf are ids of changes, each once.
func idsOf(changes []store.Change, of func(store.Change) string) []string {
	out := make([]string, len(changes))
	for i, c := range changes {
		out[i] = of(c)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func rowID(c store.Change) string  { return c.ID }
func caseOf(c store.Change) string { return c.CaseID }

func (r *Resolver) caseChanges(ctx context.Context, caseID, regionID string, after *string) (<-chan *model.CaseChange, error) {
	path, err := pathOf(ctx, r.Store.Client(), regionID)
	if err != nil {
		return nil, err
	}
	return follow(ctx, r.Store, after, feed[*model.CaseChange]{
		wants: func(c store.Change) bool {
			return c.CaseID != "" && (caseID == "" || c.CaseID == caseID) && strings.HasPrefix(c.RegionPath, path)
		},
		key: func(c store.Change) string { return c.Kind + " " + c.CaseID },
		read: func(ctx context.Context, changes []store.Change) (func(store.Change, mark) (*model.CaseChange, bool), error) {
			found, err := r.Store.Client().ServiceCase.Query().Where(servicecase.IDIn(idsOf(changes, caseOf)...)).All(ctx)
			rows, err := byID(found, err, func(c *ent.ServiceCase) string { return c.ID })
			return func(c store.Change, m mark) (*model.CaseChange, bool) {
				row, seen := rows[c.CaseID]
				return &model.CaseChange{Kind: m.kind, ServiceCase: row, Cursor: m.cursor, At: m.at, ChangeID: m.changeID}, seen
			}, err
		},
		bare: func(m mark) *model.CaseChange {
			return &model.CaseChange{Kind: m.kind, Lost: m.kind == changeLost, Cursor: m.cursor}
		},
	})
}

func (r *Resolver) clockChanges(ctx context.Context, regionID string, after *string) (<-chan *model.ClockChange, error) {
	path, err := pathOf(ctx, r.Store.Client(), regionID)
	if err != nil {
		return nil, err
	}
	return follow(ctx, r.Store, after, feed[*model.ClockChange]{
		wants: func(c store.Change) bool { return c.Kind == "clock" && strings.HasPrefix(c.RegionPath, path) },
		key:   rowID,
		read: func(ctx context.Context, changes []store.Change) (func(store.Change, mark) (*model.ClockChange, bool), error) {
			found, err := r.Store.Client().Clock.Query().Where(clock.IDIn(idsOf(changes, rowID)...)).All(ctx)
			rows, err := byID(found, err, func(c *ent.Clock) string { return c.ID })
			return func(c store.Change, m mark) (*model.ClockChange, bool) {
				row, seen := rows[c.ID]
				return &model.ClockChange{Kind: m.kind, Clock: row, Cursor: m.cursor, At: m.at, ChangeID: m.changeID}, seen
			}, err
		},
		bare: func(m mark) *model.ClockChange {
			return &model.ClockChange{Kind: m.kind, Lost: m.kind == changeLost, Cursor: m.cursor}
		},
	})
}

func (r *Resolver) taskChanges(ctx context.Context, filter worklistFilter, after *string) (<-chan *model.TaskChange, error) {
	path, err := pathOf(ctx, r.Store.Client(), value(filter.regionID))
	if err != nil {
		return nil, err
	}
	if _, _, err := r.worklistQuery(ctx, filter); err != nil {
		return nil, err
	}
	list := &membership{}
	return follow(ctx, r.Store, after, feed[*model.TaskChange]{
		wants: func(c store.Change) bool { return ofTask(c) && strings.HasPrefix(c.RegionPath, path) },
		key:   rowID,
		begin: func(ctx context.Context) error { return list.load(ctx, r, filter) },
		read: func(ctx context.Context, changes []store.Change) (func(store.Change, mark) (*model.TaskChange, bool), error) {
			wanted := idsOf(changes, rowID)
			q, _, err := r.worklistQuery(ctx, filter)
			if err != nil {
				return nil, err
			}
			// First the list, then the rows: who is told that a task stands in the list is
			// told of its next change, whatever happens in between.
			listed, err := q.Where(task.IDIn(wanted...)).IDs(ctx)
			if err != nil {
				return nil, err
			}
			found, err := r.Store.Client().Task.Query().Where(task.IDIn(wanted...)).All(ctx)
			rows, err := byID(found, err, func(t *ent.Task) string { return t.ID })
			return func(c store.Change, m mark) (*model.TaskChange, bool) {
				in := slices.Contains(listed, c.ID)
				return &model.TaskChange{
					Kind: m.kind, TaskID: &c.ID, Listed: in, Task: rows[c.ID], Cursor: m.cursor, At: m.at, ChangeID: m.changeID,
				}, list.moved(c.ID, in)
			}, err
		},
		bare: func(m mark) *model.TaskChange {
			return &model.TaskChange{Kind: m.kind, Lost: m.kind == changeLost, Cursor: m.cursor}
		},
	})
}

// ofTask reports whether a change is one of a task's row.
func ofTask(c store.Change) bool { return strings.HasPrefix(c.ID, string(ids.Task)+"_") }

// membership is what the server knows of which tasks a client has in its list, so
// that it tells that one has left only to who may have it.
type membership struct {
	complete bool            // in holds all that the client can have
	in, out  map[string]bool // known to be in the client's list, or not
}

// maxMembers bounds what is kept of one list. Of a longer one it is told once of
// every changed task that does not stand in it.
const maxMembers = 5000

// load reads which tasks stand in the list.
func (l *membership) load(ctx context.Context, r *Resolver, filter worklistFilter) error {
	q, _, err := r.worklistQuery(ctx, filter)
	if err != nil {
		return err
	}
	found, err := q.Limit(maxMembers + 1).IDs(ctx)
	if err != nil {
		return err
	}
	*l = membership{complete: len(found) <= maxMembers}
	for _, id := range found[:min(len(found), maxMembers)] {
		l.note(id, true)
	}
	return nil
}

// moved notes that a task stands in the list, or not, and reports whether the client
// is to be told.
func (l *membership) moved(id string, in bool) bool {
	tell := in || l.in[id] || !l.complete && !l.out[id]
	l.note(id, in)
	return tell
}

func (l *membership) note(id string, in bool) {
	if len(l.in)+len(l.out) > 2*maxMembers {
		*l = membership{}
	}
	if l.in == nil {
		l.in, l.out = map[string]bool{}, map[string]bool{}
	}
	delete(l.in, id)
	delete(l.out, id)
	switch {
	case in:
		l.in[id] = true
	case !l.complete:
		l.out[id] = true
	}
}

func (r *Resolver) batchChanges(ctx context.Context, batchID, regionID string, after *string) (<-chan *model.BatchChange, error) {
	path, err := pathOf(ctx, r.Store.Client(), regionID)
	if err != nil {
		return nil, err
	}
	return follow(ctx, r.Store, after, feed[*model.BatchChange]{
		wants: func(c store.Change) bool {
			return (c.Kind == "batch" || c.Kind == "batched") && (batchID == "" || c.ID == batchID) && strings.HasPrefix(c.RegionPath, path)
		},
		key: rowID,
		read: func(ctx context.Context, changes []store.Change) (func(store.Change, mark) (*model.BatchChange, bool), error) {
			found, err := r.Store.Client().Batch.Query().Where(batch.IDIn(idsOf(changes, rowID)...)).All(ctx)
			rows, err := byID(found, err, func(b *ent.Batch) string { return b.ID })
			return func(c store.Change, m mark) (*model.BatchChange, bool) {
				row, seen := rows[c.ID]
				return &model.BatchChange{Kind: "batch", Batch: row, Cursor: m.cursor, At: m.at, ChangeID: m.changeID}, seen
			}, err
		},
		bare: func(m mark) *model.BatchChange {
			return &model.BatchChange{Kind: m.kind, Lost: m.kind == changeLost, Cursor: m.cursor}
		},
	})
}
