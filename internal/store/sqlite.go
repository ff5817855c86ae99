package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"entgo.io/ent/dialect"
	_ "modernc.org/sqlite" // the embedded database driver

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/fault"
)

// maxBatch is how many commands share one commit at most. Beyond it the commit
// is no longer the cost, and waiting commands only wait longer.
const maxBatch = 64

// minSQLite is the first release without the WAL-reset bug.
const minSQLite = "3.51.3"

func sqliteDSN(path string, reader bool) string {
	q := url.Values{}
	q.Set("_txlock", "immediate")
	q.Set("_inttotime", "1")
	q.Set("_time_integer_format", "unix_micro")
	for _, p := range []string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"journal_size_limit(67108864)", "wal_autocheckpoint(4000)", "cache_size(-32768)", "temp_store(MEMORY)",
	} {
		q.Add("_pragma", p)
	}
	if reader {
		q.Add("_pragma", "query_only(1)")
	}
	return "file:" + path + "?" + q.Encode()
}

func (s *Store) openSQLite(ctx context.Context, path string) error {
	s.dialect = dialect.SQLite
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.E(fault.Invalid, "DATA_DIR_UNUSABLE", fault.P("dir", filepath.Dir(path))).Because(err)
	}
	var err error
	if s.write, err = sql.Open("sqlite", sqliteDSN(path, false)); err != nil {
		return fault.E(fault.Invalid, "DATABASE_URL_INVALID", fault.P("url", path)).Because(err)
	}
	s.write.SetMaxOpenConns(1)
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return fault.E(fault.Unavailable, "DATABASE_UNAVAILABLE").Because(err)
	}
	var version string
	if err := conn.QueryRowContext(ctx, "select sqlite_version()").Scan(&version); err != nil {
		return fault.E(fault.Unavailable, "DATABASE_UNAVAILABLE").Because(err)
	}
	if older(version, minSQLite) {
		return fault.E(fault.Precondition, "SQLITE_TOO_OLD", fault.P("have", version), fault.P("want", minSQLite))
	}
	if s.read, err = sql.Open("sqlite", sqliteDSN(path, true)); err != nil {
		return fault.E(fault.Invalid, "DATABASE_URL_INVALID", fault.P("url", path)).Because(err)
	}
	s.read.SetMaxOpenConns(4 + laneCount())
	s.read.SetMaxIdleConns(4 + laneCount())
	s.reads = onPool(s.read)
	w := newGroupWriter(conn, path, &s.statements, &s.commits)
	s.writer = w
	return w.lanes.open(ctx, s.read, &s.statements)
}

// older compares dotted versions number by number.
func older(a, b string) bool {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

// groupWriter is the writer of SQLite: one goroutine owns the one writing
// connection and takes up to maxBatch waiting commands into one transaction, so
// that they share one fsync. A failed COMMIT fails the whole batch. A command that
// fails harms no other: when it has written, the batch is undone and run again with
// a savepoint for each command. Savepoints are not free (SQLite keeps what every page
// was before each of them, a twelfth of a command) and are seldom needed.
type groupWriter struct {
	conn    *sql.Conn
	path    string
	commits *commits
	kept    *prepared
	sent    writes // over kept: what commands ask
	driver  dialect.Driver
	client  *ent.Client // over driver: every command writes through it
	queue   chan *pending
	done    chan struct{}
	mu      sync.RWMutex // guards closed against sends
	closed  bool

	written atomic.Int64 // statements that write, of all commands
	refused atomic.Int64 // statements that failed
	careful int          // batches to come that use savepoints
	lanes   lanes
	busy    atomic.Bool
}

type pending struct {
	ctx   context.Context
	work  func(ctx context.Context, tx *Tx) error
	reply chan error
	tx    *Tx
	err   error
	prior *prior // of a command that has run ahead
}

func newGroupWriter(conn *sql.Conn, path string, n *atomic.Int64, c *commits) *groupWriter {
	kept := onConn(conn)
	w := &groupWriter{conn: conn, path: path, commits: c, kept: kept, queue: make(chan *pending, 4*maxBatch), done: make(chan struct{})}
	w.sent = writes{counted{kept, n}, &w.written, &w.refused, w.lanes.note}
	w.driver = onQuerier(w.sent, dialect.SQLite)
	w.client = newTxClient(w.driver)
	go w.loop()
	return w
}

func (w *groupWriter) run(ctx context.Context, work func(ctx context.Context, tx *Tx) error, ahead bool) error {
	p := &pending{ctx: ctx, work: work, reply: make(chan error, 1)}
	if ahead && w.busy.Load() && !w.lanes.wait.Load() {
		if done, err := w.lanes.run(p); done {
			return err
		}
	}
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return fault.E(fault.Unavailable, "SERVER_STOPPING")
	}
	w.queue <- p
	w.mu.RUnlock()
	return <-p.reply
}

func (w *groupWriter) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.done
	w.lanes.close()
	w.kept.close()
	w.conn.Close()
}

func (w *groupWriter) loop() {
	defer close(w.done)
	batches := 0
	for p := range w.queue {
		if batches++; batches%logLooks == 0 {
			w.lanes.look(w.path)
		}
		w.busy.Store(true)
		w.commit(w.collect(p))
		w.busy.Store(len(w.queue) > 0)
	}
}

// collect returns p and the commands that wait behind it already.
func (w *groupWriter) collect(p *pending) []*pending {
	batch := []*pending{p}
	for len(batch) < maxBatch {
		select {
		case q, ok := <-w.queue:
			if !ok {
				return batch
			}
			batch = append(batch, q)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch. The transaction lives under its own context: one
// cancelled request must not interrupt the connection under 63 others.
func (w *groupWriter) commit(batch []*pending) {
	ctx := context.Background()
	if err := w.all(ctx, batch); err != nil {
		_ = w.exec(ctx, "ROLLBACK") // if there is anything
		w.fail(batch, err)
		return
	}
	if err := w.commits.do(func() error { return w.exec(ctx, "COMMIT") }); err != nil {
		_ = w.exec(ctx, "ROLLBACK")
		w.fail(batch, err)
		return
	}
	w.lanes.seq.Add(1)
	for _, p := range batch {
		if p.err == nil {
			for _, h := range p.tx.hooks {
				h()
			}
		}
		p.reply <- p.err
	}
}

// carefully is how many batches use savepoints after one that had to be run again: who
// fails after writing may do so again soon.
const carefully = 64

// all begins a transaction and runs all commands of a batch in it.
func (w *groupWriter) all(ctx context.Context, batch []*pending) error {
	if w.careful == 0 {
		clean, err := w.together(ctx, batch)
		if clean || err != nil {
			return err
		}
		w.careful = carefully
	}
	w.careful--
	if err := w.begin(ctx, batch); err != nil {
		return err
	}
	for _, p := range batch {
		if err := w.apart(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// together runs all commands of a batch without savepoints. It is not clean, and undone,
// when one of several has written and failed, or has gone on after a statement that failed: SQLite
// may have undone the transaction then.
func (w *groupWriter) together(ctx context.Context, batch []*pending) (clean bool, err error) {
	if err := w.begin(ctx, batch); err != nil {
		return false, err
	}
	for _, p := range batch {
		before, refused := w.written.Load(), w.refused.Load()
		if p.err = w.apply(p); w.refused.Load() == refused && (p.err == nil || w.written.Load() == before && w.inside(ctx)) {
			continue
		}
		_ = w.exec(ctx, "ROLLBACK") // SQLite may have done so by itself
		if len(batch) > 1 || p.err == nil || errors.Is(p.err, errUnfit) {
			return false, nil
		}
		return true, w.exec(ctx, "BEGIN IMMEDIATE") // for the commit of nothing
	}
	return true, nil
}

// inside reports whether the transaction goes on: SQLite ends it by itself when the disk
// fails, and what follows would be written statement by statement.
func (w *groupWriter) inside(ctx context.Context) bool {
	return w.exec(ctx, "BEGIN") != nil // refused inside a transaction, and harmless
}

// apart runs one command inside its savepoint. The error is that of the whole transaction,
// which is lost when it cannot go back to a savepoint.
func (w *groupWriter) apart(ctx context.Context, p *pending) error {
	if err := w.exec(ctx, "SAVEPOINT command"); err != nil {
		return err
	}
	p.err = w.apply(p)
	if errors.Is(p.err, errUnfit) { // what it has prepared is refused: it is run as any other
		if err := w.exec(ctx, "ROLLBACK TO command"); err != nil {
			return err
		}
		p.err = w.apply(p)
	}
	if p.err != nil {
		if err := w.exec(ctx, "ROLLBACK TO command"); err != nil {
			return err
		}
	}
	return w.exec(ctx, "RELEASE command")
}

// apply runs one command.
func (w *groupWriter) apply(p *pending) error {
	if err := p.ctx.Err(); err != nil {
		return fault.E(fault.Unavailable, "REQUEST_CANCELLED").Because(err)
	}
	prior := p.prior
	if p.prior = nil; prior != nil && w.lanes.valid(p, prior) {
		if !w.carryOut(p, prior) {
			return errUnfit
		}
		w.lanes.note(p.tx.locked...)
		return nil
	}
	p.tx = &Tx{Client: w.client, driver: w.driver}
	err := guarded(context.WithoutCancel(p.ctx), p.tx, p.work)
	if err == nil {
		w.lanes.note(p.tx.locked...)
	}
	return err
}

// carryOut writes what a command has prepared. It is false when a statement is refused.
func (w *groupWriter) carryOut(p *pending, prior *prior) bool {
	ctx := context.WithoutCancel(p.ctx)
	for _, q := range prior.queue {
		if _, err := w.sent.ExecContext(ctx, q.query, q.args...); err != nil {
			return false
		}
	}
	return true
}

// begin begins a transaction. What has run ahead is void when another process has written.
func (w *groupWriter) begin(ctx context.Context, batch []*pending) error {
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if !slices.ContainsFunc(batch, func(p *pending) bool { return p.prior != nil }) {
		return nil
	}
	version, err := w.version(ctx)
	if err != nil {
		_ = w.exec(ctx, "ROLLBACK")
		return err
	}
	w.lanes.foreign(version)
	return nil
}

// version is a number that changes when another connection has written.
func (w *groupWriter) version(ctx context.Context) (n int64, err error) {
	rows, err := w.kept.QueryContext(ctx, "PRAGMA data_version")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&n)
	}
	return n, errors.Join(err, rows.Err())
}

func (w *groupWriter) exec(ctx context.Context, q string) error {
	_, err := w.kept.ExecContext(ctx, q)
	return err
}

func (w *groupWriter) fail(batch []*pending, err error) {
	for _, p := range batch {
		p.reply <- unavailable(err)
	}
}

func unavailable(err error) error {
	return fault.E(fault.Unavailable, "DATABASE_UNAVAILABLE").Because(err)
}
