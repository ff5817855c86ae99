package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
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
		"journal_size_limit(67108864)", "cache_size(-32768)", "temp_store(MEMORY)",
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
	s.read.SetMaxOpenConns(4)
	s.read.SetMaxIdleConns(4)
	s.reads = onPool(s.read)
	s.writer = newGroupWriter(conn, &s.statements, &s.commits)
	return nil
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
// connection and takes up to maxBatch waiting commands into one transaction, a
// savepoint each, so that they share one fsync. A failing command rolls back to
// its savepoint and harms no other; a failed COMMIT fails the whole batch.
type groupWriter struct {
	conn    *sql.Conn
	commits *commits
	kept    *prepared
	driver  dialect.Driver
	client  *ent.Client // over driver: every command writes through it
	queue   chan *pending
	done    chan struct{}
	mu      sync.RWMutex // guards closed against sends
	closed  bool
}

type pending struct {
	ctx   context.Context
	work  func(ctx context.Context, tx *Tx) error
	reply chan error
	tx    *Tx
	err   error
}

func newGroupWriter(conn *sql.Conn, n *atomic.Int64, c *commits) *groupWriter {
	kept := onConn(conn)
	d := onQuerier(counted{kept, n}, dialect.SQLite)
	w := &groupWriter{conn: conn, commits: c, kept: kept, driver: d, client: newTxClient(d), queue: make(chan *pending, 4*maxBatch), done: make(chan struct{})}
	go w.loop()
	return w
}

func (w *groupWriter) run(ctx context.Context, work func(ctx context.Context, tx *Tx) error) error {
	p := &pending{ctx: ctx, work: work, reply: make(chan error, 1)}
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
	w.kept.close()
	w.conn.Close()
}

func (w *groupWriter) loop() {
	defer close(w.done)
	for p := range w.queue {
		w.commit(w.collect(p))
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
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		w.fail(batch, err)
		return
	}
	for _, p := range batch {
		p.err = w.apply(ctx, p)
	}
	if err := w.commits.do(func() error { return w.exec(ctx, "COMMIT") }); err != nil {
		_ = w.exec(ctx, "ROLLBACK")
		w.fail(batch, err)
		return
	}
	for _, p := range batch {
		if p.err == nil {
			for _, h := range p.tx.hooks {
				h()
			}
		}
		p.reply <- p.err
	}
}

// apply runs one command inside its savepoint.
func (w *groupWriter) apply(ctx context.Context, p *pending) error {
	if err := p.ctx.Err(); err != nil {
		return fault.E(fault.Unavailable, "REQUEST_CANCELLED").Because(err)
	}
	if err := w.exec(ctx, "SAVEPOINT command"); err != nil {
		return unavailable(err)
	}
	p.tx = &Tx{Client: w.client, driver: w.driver}
	err := guarded(context.WithoutCancel(p.ctx), p.tx, p.work)
	if err != nil {
		if back := w.exec(ctx, "ROLLBACK TO command"); back != nil {
			return unavailable(back)
		}
	}
	if end := w.exec(ctx, "RELEASE command"); end != nil {
		return unavailable(end)
	}
	return err
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
