package store

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/fault"
)

// SQLite has one writer, and most of what a command does is no writing: it reads, decides
// and words its statements. While the writer is busy, commands that are written for it run
// ahead: on a snapshot, beside each other, their writes kept. The writer then only carries
// the writes out, if what the command worked under the lock of is as it was; else it runs the
// command as any other.
//
// That is what PostgreSQL does with row locks: what a command reads without a lock may be
// changed by others before it commits.

// lane is a connection on which commands run ahead, one at a time.
type lane struct {
	conn   *stdsql.Conn
	kept   *prepared
	driver *ahead
	client *ent.Client
}

// lanes are the connections on which commands run ahead, with what has changed since.
type lanes struct {
	free    chan *lane
	count   int
	closed  chan struct{}
	closing sync.Once
	wait    atomic.Bool
	seq     atomic.Uint64     // batches that are committed
	changed map[string]uint64 // what was locked, or a table → the batch that changed it last; the writer's own
	floor   uint64            // what changed before this batch may have been forgotten
	version int64             // of the database, as SQLite counts what other processes commit
}

// The log of SQLite begins anew only when nobody reads in it. Snapshots that follow each other
// without a gap could keep it from that, so commands stop running ahead while it is too long.
const (
	logAtMost = 96 << 20 // bytes
	logLooks  = 64       // batches between two looks at it
)

// look looks how long the log is.
func (l *lanes) look(path string) {
	info, err := os.Stat(path + "-wal")
	l.wait.Store(err == nil && info.Size() > logAtMost)
}

// remembered is how many changes are remembered at most.
const remembered = 10_000

// prior is a command that has run ahead.
type prior struct {
	seq   uint64 // batches that its snapshot holds at least
	queue []queued
}

// laneCount is how many commands run ahead at a time. Each has a cache of its own.
func laneCount() int { return min(max(2, runtime.GOMAXPROCS(0)), 8) }

// open opens the lanes on a pool of reading connections.
func (l *lanes) open(ctx context.Context, read *stdsql.DB, n *atomic.Int64) error {
	l.changed, l.closed = map[string]uint64{}, make(chan struct{})
	count := laneCount()
	l.free = make(chan *lane, count)
	for range count {
		conn, err := read.Conn(ctx)
		if err != nil {
			return fault.E(fault.Unavailable, "DATABASE_UNAVAILABLE").Because(err)
		}
		kept := onConn(conn)
		d := &ahead{Conn: entsql.Conn{ExecQuerier: counted{kept, n}}}
		one := &lane{conn: conn, kept: kept, driver: d, client: newTxClient(d)}
		l.free <- one
		l.count++
	}
	return nil
}

// close waits for the commands that run ahead and closes the connections.
func (l *lanes) close() {
	l.closing.Do(func() {
		close(l.closed)
		for range l.count {
			one := <-l.free
			one.kept.close()
			_ = one.conn.Close()
		}
	})
}

// run runs a command ahead. done tells that there is no more to do than to return err; else
// the command goes to the writer, with what it has prepared in p.
func (l *lanes) run(p *pending) (done bool, err error) {
	var one *lane
	select {
	case one = <-l.free:
	case <-l.closed:
		return false, nil
	case <-p.ctx.Done():
		return true, fault.E(fault.Unavailable, "REQUEST_CANCELLED").Because(p.ctx.Err())
	}
	defer func() { l.free <- one }()
	seq := l.seq.Load() // before the snapshot
	ctx := context.WithoutCancel(p.ctx)
	if _, err := one.kept.ExecContext(ctx, "BEGIN"); err != nil {
		_, _ = one.kept.ExecContext(ctx, "ROLLBACK") // one that could not be ended before
		return false, nil
	}
	d := one.driver
	d.queue, d.written, d.unfit = nil, nil, false
	tx := &Tx{Client: one.client, driver: d}
	err = guarded(ctx, tx, p.work)
	if _, end := one.kept.ExecContext(ctx, "ROLLBACK"); end != nil || d.unfit {
		return false, nil
	}
	if err != nil {
		kind := fault.KindOf(err)
		return kind != fault.Internal && kind != fault.Unavailable, err
	}
	p.tx, p.prior = tx, &prior{seq: seq, queue: d.queue}
	return false, nil
}

// valid tells whether what the command worked under the lock of is as it was.
func (l *lanes) valid(p *pending, prior *prior) bool {
	if prior.seq < l.floor {
		return false
	}
	as := func(what string) bool { return l.changed[what] <= prior.seq }
	return !slices.ContainsFunc(p.tx.locked, func(id string) bool { return !as(id) }) &&
		!slices.ContainsFunc(p.tx.relied, func(table string) bool { return !as(table) })
}

// note notes what is changed in the batch that goes on: what a command has locked, tables.
func (l *lanes) note(what ...string) {
	next := l.seq.Load() + 1
	for _, w := range what {
		if w == "" { // nobody can tell which
			l.floor = next
		}
		l.changed[w] = next
	}
	if len(l.changed) > remembered {
		clear(l.changed)
		l.floor = next
	}
}

// foreign forgets all snapshots when another process has written.
func (l *lanes) foreign(version int64) {
	if version != l.version {
		l.version, l.floor = version, l.seq.Load()+1
	}
}

// ahead is ent's driver of a command that runs ahead: it reads from a snapshot and keeps
// what is to be written. A command that asks for the outcome of a write, reads where it
// has written, or locks what it reads and does not say it in Tx.Locked, is unfit and is run by the writer.
type ahead struct {
	entsql.Conn
	queue   []queued
	written []string // tables
	unfit   bool
}

// errUnfit ends a command that cannot run ahead.
var errUnfit = errors.New("the command needs the writer")

func (a *ahead) Dialect() string                        { return dialect.SQLite }
func (a *ahead) Close() error                           { return nil }
func (a *ahead) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(a), nil }

// Exec implements ent's driver.
func (a *ahead) Exec(ctx context.Context, query string, args, v any) error {
	if r, ok := v.(*stdsql.Result); ok {
		*r = driver.RowsAffected(0)
	}
	return a.keep(ctx, query, args)
}

// ExecContext refuses a statement that is given as text.
func (a *ahead) ExecContext(context.Context, string, ...any) (stdsql.Result, error) {
	a.unfit = true
	return nil, errUnfit
}

// QueryContext refuses a query that is given as text.
func (a *ahead) QueryContext(context.Context, string, ...any) (*stdsql.Rows, error) {
	a.unfit = true
	return nil, errUnfit
}

// Query implements ent's driver.
func (a *ahead) Query(ctx context.Context, query string, args, v any) error {
	if reads(query) {
		_, locks := ctx.Value(lockKey{}).(lock)
		if locks || slices.ContainsFunc(a.written, func(table string) bool { return strings.Contains(query, table) }) {
			a.unfit = true
			return errUnfit
		}
		return a.Conn.Query(ctx, query, args, v)
	}
	if out, ok := v.(*entsql.Rows); ok {
		out.ColumnScanner = &keptRows{}
	}
	return a.keep(ctx, query, args)
}

// keep keeps a write whose outcome nobody asks for.
func (a *ahead) keep(ctx context.Context, query string, args any) error {
	later, ok := ctx.Value(laterKey{}).(said)
	list, err := arguments(args)
	if table := tableOf(query); !ok || err != nil || table == "" || !changes(query) {
		a.unfit = true
		return errUnfit
	}
	a.queue = append(a.queue, queued{query, list, later})
	a.written = append(a.written, tableOf(query))
	return nil
}

// tableOf is the table that a statement of ent writes: the first name in it.
func tableOf(query string) string {
	_, after, _ := strings.Cut(query, "`")
	table, _, _ := strings.Cut(after, "`")
	return table
}

// changes tells whether a statement is one that ent changes rows with.
func changes(query string) bool {
	return slices.ContainsFunc([]string{"INSERT ", "UPDATE ", "DELETE "}, func(s string) bool { return strings.HasPrefix(query, s) })
}

// reads tells whether a statement only reads.
func reads(query string) bool {
	return strings.EqualFold(query[:min(len(query), len("select"))], "select")
}
