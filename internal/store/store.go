// Package store opens the database and hides which one it is. Its main type is
// Store: a reading client that shows each viewer only its own rows, and Write,
// the one durable transaction of the house (on SQLite many commands share a
// commit). It knows regions and row rules, and nothing of standards or cases.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqlgraph"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/fault"
)

// Store is one open database.
type Store struct {
	dialect string
	read    *sql.DB
	reads   entsql.ExecQuerier // read, or its prepared statements
	write   *sql.DB
	client  *ent.Client
	writer  writer
	commits commits
	broker  *broker
	journal *journal
	stop    context.CancelFunc
	log     *slog.Logger

	statements atomic.Int64
}

// writer runs one command durably: when run returns nil, the rows are on disk.
type writer interface {
	run(ctx context.Context, work func(ctx context.Context, tx *Tx) error, ahead bool) error
	close()
}

// commits makes the commits of a writer, with what a test wants to happen to them.
type commits struct {
	around atomic.Pointer[func(commit func() error) error]
}

func (c *commits) do(commit func() error) error {
	if f := c.around.Load(); f != nil {
		return (*f)(commit)
	}
	return commit()
}

// Interfere lets f make every commit from now on. It is there for tests of what a
// commit leaves behind that fails, or succeeds and is reported as failed.
func (s *Store) Interfere(f func(commit func() error) error) { s.commits.around.Store(&f) }

// Tx is the write side inside one command. Its client reads what the command
// has written so far; hooks run when the commit has succeeded, and never else.
type Tx struct {
	*ent.Client
	driver dialect.Driver // on PostgreSQL a *pipeline
	hooks  []func()
	locked []string
	relied []string
}

// Relies says that the command holds only while nobody changes these tables, which it has
// read without a lock: on SQLite a command that ran ahead is run again when somebody has.
func (t *Tx) Relies(tables ...string) { t.relied = append(t.relied, tables...) }

// Locked says that the command works under the lock of a row, which it has read for
// update: nobody else changes what belongs to the row until the command is done. On
// SQLite that is all there is to the lock.
func (t *Tx) Locked(id string) { t.locked = append(t.locked, id) }

// AfterCommit keeps f until the commit has succeeded.
func (t *Tx) AfterCommit(f func()) { t.hooks = append(t.hooks, f) }

// Dialect returns the dialect name of ent: sqlite3 or postgres.
func (t *Tx) Dialect() string { return t.driver.Dialect() }

// Scan asks what ent cannot say: a query of one row and column, into dest.
func (t *Tx) Scan(ctx context.Context, query string, dest any) error {
	rows := &entsql.Rows{}
	if err := t.driver.Query(ctx, query, []any{}, rows); err != nil {
		return err
	}
	defer rows.Close()
	return entsql.ScanOne(rows, dest)
}

// Option changes how a Store is opened.
type Option func(*Store)

// WithLogger sets the logger; the default writes nowhere.
func WithLogger(l *slog.Logger) Option { return func(s *Store) { s.log = l } }

// Open opens the database of url: sqlite:PATH or a file name for the embedded
// SQLite, postgres://… for PostgreSQL. It neither creates nor migrates tables.
// A wrong url is refused with DATABASE_URL_INVALID, an unreachable database
// with DATABASE_UNAVAILABLE.
func Open(ctx context.Context, url string, opts ...Option) (*Store, error) {
	s := &Store{broker: newBroker(), log: slog.New(slog.DiscardHandler)}
	s.journal = newJournal(s)
	for _, o := range opts {
		o(s)
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		err = s.openPostgres(ctx, url)
	case url == "" || strings.Contains(url, "://"):
		err = fault.E(fault.Invalid, "DATABASE_URL_INVALID", fault.P("url", redact(url)))
	default:
		err = s.openSQLite(ctx, strings.TrimPrefix(url, "sqlite:"))
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	s.client = ent.NewClient(ent.Driver(onQuerier(counted{s.reads, &s.statements}, s.dialect)))
	scopeReads(s.client)
	denyWrites(s.client)
	return s, nil
}

// redact leaves the password out of a database address.
func redact(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	if _, host, ok := strings.Cut(rest, "@"); ok {
		rest = "…@" + host
	}
	return scheme + "://" + rest
}

// Client returns the reading client: every query is limited to what the viewer
// of its context may see, and a query without a viewer is refused.
func (s *Store) Client() *ent.Client { return s.client }

// Dialect returns the dialect name of ent: sqlite3 or postgres.
func (s *Store) Dialect() string { return s.dialect }

// SQL returns the reading pool, for what ent cannot say in one statement.
func (s *Store) SQL() *sql.DB { return s.read }

// Write runs work in one durable transaction. It returns work's error with
// nothing written, nil when all of it is on disk, or UNAVAILABLE when the
// commit's fate is unknown. work may run on another goroutine and must not
// start transactions of its own; it may be run again after all it did was undone, so
// what it leaves beside the rows must be set anew each time, not added to. A panic in it becomes an internal error.
func (s *Store) Write(ctx context.Context, work func(ctx context.Context, tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fault.E(fault.Unavailable, "REQUEST_CANCELLED").Because(err)
	}
	return Explain(s.writer.run(ctx, work, false))
}

// WriteAhead is Write for work that mostly reads and decides: what it changes it has said
// to be Locked, and it writes under Later. On SQLite such work runs beside others while the writer
// is busy, and is run again if what it has locked was changed meanwhile.
func (s *Store) WriteAhead(ctx context.Context, work func(ctx context.Context, tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fault.E(fault.Unavailable, "REQUEST_CANCELLED").Because(err)
	}
	return Explain(s.writer.run(ctx, work, true))
}

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.read.PingContext(ctx); err != nil {
		return fault.E(fault.Unavailable, "DATABASE_UNAVAILABLE").Because(err)
	}
	return nil
}

// Close waits for the running commands and closes the database.
func (s *Store) Close() error {
	s.journal.close()
	s.writer.close()
	s.stop()
	if kept, ok := s.reads.(*prepared); ok {
		kept.close()
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

// newTxClient returns a client whose statements all run on d, inside the
// transaction that the caller began there.
func newTxClient(d dialect.Driver) *ent.Client {
	c := ent.NewClient(ent.Driver(d))
	scopeReads(c)
	lockReads(c)
	guardWrites(c)
	return c
}

// txDriver runs ent's statements on one connection; ent's own transactions
// inside it are no-ops, since the command is the transaction.
type txDriver struct {
	entsql.Conn
	name string
}

func onQuerier(q entsql.ExecQuerier, name string) dialect.Driver {
	return txDriver{Conn: entsql.Conn{ExecQuerier: q}, name: name}
}

func (d txDriver) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d), nil }
func (d txDriver) Dialect() string                        { return d.name }
func (d txDriver) Close() error                           { return nil }

// guarded runs work and turns a panic into an internal error.
func guarded(ctx context.Context, tx *Tx, work func(ctx context.Context, tx *Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.E(fault.Internal, "INTERNAL").Because(fmt.Errorf("panic in a command: %v", p))
		}
	}()
	return work(ctx, tx)
}

// IsConstraint reports whether err is the violation of a unique or foreign key.
func IsConstraint(err error) bool {
	return ent.IsConstraintError(err) || sqlgraph.IsConstraintError(err)
}
