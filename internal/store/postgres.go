package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/fault"
)

func (s *Store) openPostgres(ctx context.Context, url string) error {
	s.dialect = dialect.Postgres
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fault.E(fault.Invalid, "DATABASE_URL_INVALID", fault.P("url", redact(url))).Because(err)
	}
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["application_name"] = "spms"
	// Two pools: a command may look things up beside its transaction, and if all
	// connections were held by commands that wait for one more, none would go on.
	settled := stdlib.OptionAfterConnect(settle)
	s.read, s.write = stdlib.OpenDB(*cfg, settled), stdlib.OpenDB(*cfg, settled)
	for _, pool := range []*sql.DB{s.read, s.write} {
		pool.SetMaxOpenConns(poolSize)
		pool.SetMaxIdleConns(poolSize)
	}
	if err := s.Ping(ctx); err != nil {
		return errors.Join(err, s.read.Close(), s.write.Close())
	}
	s.reads = s.read
	s.writer = newTxWriter(s.write, &s.statements, &s.commits)
	go s.listen(ctx, cfg)
	return nil
}

// costs are the settings of a connection that the url does not name. Worklists are read in the order
// of an index: with the cost of a disk that turns, PostgreSQL took the one of all roles for
// one role, and met 100,000 rows of the others. To compile a statement
// costs more than to run it.
var costs = []struct{ name, value string }{{"random_page_cost", "1.1"}, {"jit", "off"}}

// settle gives a connection its settings.
func settle(ctx context.Context, c *pgx.Conn) error {
	for _, x := range costs {
		if _, given := c.Config().RuntimeParams[x.name]; given {
			continue
		}
		if _, err := c.Exec(ctx, "set "+x.name+" = "+x.value); err != nil {
			return err
		}
	}
	return nil
}

// poolSize is how many connections a node keeps for reading, and as many for
// writing.
const poolSize = 16

// txWriter is the writer of PostgreSQL: one transaction for each command. The
// server shares its fsyncs between connections by itself.
type txWriter struct {
	db      *sql.DB
	commits *commits
	clients sync.Pool // of *boundClient: making one costs more than a statement
}

// boundClient is a client whose statements run in the session it is bound to.
type boundClient struct {
	client   *ent.Client
	pipeline *pipeline
}

func newTxWriter(db *sql.DB, n *atomic.Int64, c *commits) *txWriter {
	w := &txWriter{db: db, commits: c}
	w.clients.New = func() any {
		p := &pipeline{n: n}
		return &boundClient{client: newTxClient(p), pipeline: p}
	}
	return w
}

// maxAttempts bounds how often a command is run again after PostgreSQL has undone
// it for certain.
const maxAttempts = 5

func (w *txWriter) run(ctx context.Context, work func(ctx context.Context, tx *Tx) error, _ bool) error {
	for attempt := 1; ; attempt++ {
		again, err := w.once(ctx, work)
		if err == nil || attempt == maxAttempts || !again || ctx.Err() != nil {
			return err
		}
	}
}

// once runs a command on a connection of the pool. again tells of an error that the
// command may be run again after: it has been undone for certain.
func (w *txWriter) once(ctx context.Context, work func(ctx context.Context, tx *Tx) error) (again bool, err error) {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return false, unavailable(err)
	}
	defer conn.Close()
	bound, _ := w.clients.Get().(*boundClient)
	defer w.clients.Put(bound)
	tx := &Tx{Client: bound.client, driver: bound.pipeline}
	unfit := conn.Raw(func(driverConn any) error {
		bound.pipeline.begin(driverConn.(*stdlib.Conn).Conn())
		if err = guarded(ctx, tx, work); err == nil {
			var told error
			err = w.commits.do(func() error { told = bound.pipeline.commit(ctx); return told })
			if told == nil {
				err = interfered(err)
			}
		}
		if !bound.pipeline.rollback(ctx) {
			return driver.ErrBadConn // the pool makes another one
		}
		return nil
	})
	if err == nil {
		for _, h := range tx.hooks {
			h()
		}
		return false, nil
	}
	if unfit != nil && bound.pipeline.committing {
		return false, unavailable(err) // nobody knows whether it is done
	}
	return undone(err) || unfit != nil && lost(err), err
}

// interfered is the error of a commit that a test let fail.
func interfered(err error) error {
	if err == nil {
		return nil
	}
	return unavailable(err)
}

func (w *txWriter) close() {}

// undone reports whether PostgreSQL rolled the transaction back so that it may
// be tried again: serialization failure or deadlock.
func undone(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01")
}

// notifyChannel carries changes between the nodes on one database.
const notifyChannel = "spms_changes"

// notify tells the other nodes of changes. It runs outside any command's
// transaction, since NOTIFY inside one would serialise all commits.
func (s *Store) notify(ctx context.Context, changes []Change) {
	body, err := json.Marshal(envelope{Node: s.broker.node, Changes: changes})
	if err == nil && len(body) < 7900 {
		_, err = s.read.ExecContext(ctx, "select pg_notify($1, $2)", notifyChannel, string(body))
	} else if len(changes) > 1 {
		half := len(changes) / 2
		s.notify(ctx, changes[:half])
		s.notify(ctx, changes[half:])
		return
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("tell other nodes of changes", "err", err)
	}
}

type envelope struct {
	Node    string   `json:"n"`
	Changes []Change `json:"c"`
}

// listen hands the other nodes' changes to the local subscribers until ctx
// ends, connecting again after a second when the connection drops.
func (s *Store) listen(ctx context.Context, cfg *pgx.ConnConfig) {
	go s.forward(ctx)
	for ctx.Err() == nil {
		if err := s.listenOnce(ctx, cfg); err != nil && ctx.Err() == nil {
			s.log.Warn("listen for changes of other nodes", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func (s *Store) listenOnce(ctx context.Context, cfg *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "listen "+notifyChannel); err != nil {
		return err
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		var e envelope
		if json.Unmarshal([]byte(n.Payload), &e) == nil && e.Node != s.broker.node {
			for _, c := range e.Changes {
				s.broker.send(c)
			}
			s.journal.poke()
		}
	}
}

// forward coalesces local changes and sends them on every few milliseconds.
func (s *Store) forward(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.broker.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
		if changes := s.broker.takeOutbox(); len(changes) > 0 {
			s.notify(ctx, changes)
		}
	}
}
