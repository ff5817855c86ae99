package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/openspms/spms/ent/migrate"
	"github.com/openspms/spms/internal/fault"
)

// Copied is one table that was copied and compared.
type Copied struct {
	Table  string
	Rows   int
	Digest string // SHA-256 over the values of all rows in the order of their ids, the same on either database
}

// Copy puts everything that one database holds into another, empty one, of whichever
// kind: SQLite to PostgreSQL for who has outgrown it, or back. It reads one
// snapshot and writes one transaction, so that the target holds all or nothing;
// before it commits it reads the target again and compares counts and digests of
// every table. The tables of the target are made when they are missing.
// progress, if not nil, is told the rows done and those there are, every now and
// then. What is written to the source after the beginning is not copied: stop its
// servers first.
//
// Errors: COPY_SOURCE_OUTDATED (it has migrations to do), COPY_TARGET_NOT_EMPTY,
// COPY_DIFFERS, and those of Migrate. Cost: three passes over the rows.
func Copy(ctx context.Context, from, to *Store, now time.Time, progress func(table string, done, all int)) ([]Copied, error) {
	if pending, err := from.Pending(ctx); err != nil {
		return nil, err
	} else if len(pending) > 0 {
		return nil, fault.E(fault.Precondition, "COPY_SOURCE_OUTDATED", fault.P("version", pending[0]))
	}
	if _, err := to.Migrate(ctx, now); err != nil {
		return nil, err
	}
	source, err := from.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer source.end(ctx)
	target, err := to.loading(ctx)
	if err != nil {
		return nil, err
	}
	defer target.end(ctx)
	c := &copying{source: source, target: target, progress: progress}
	for _, t := range migrate.Tables {
		if err := c.empty(ctx, t); err != nil {
			return nil, err
		}
		n, err := source.count(ctx, t)
		if err != nil {
			return nil, err
		}
		c.all += n
	}
	var out []Copied
	for _, t := range migrate.Tables {
		done, err := c.table(ctx, t)
		if err != nil {
			return nil, Explain(fmt.Errorf("copy table %s: %w", t.Name, err))
		}
		out = append(out, done)
	}
	return out, Explain(target.commit(ctx))
}

// copying is the work on all tables.
type copying struct {
	source, target *session
	progress       func(table string, done, all int)
	done, all      int
}

// empty refuses a target that holds rows.
func (c *copying) empty(ctx context.Context, t *schema.Table) error {
	n, err := c.target.count(ctx, t)
	if err == nil && n > 0 {
		return fault.E(fault.Precondition, "COPY_TARGET_NOT_EMPTY", fault.P("table", t.Name), fault.P("rows", n))
	}
	return err
}

// table copies one table and compares what has come to be with what was read.
func (c *copying) table(ctx context.Context, t *schema.Table) (Copied, error) {
	read, err := c.source.rows(ctx, t)
	if err != nil {
		return Copied{}, err
	}
	defer read.Close()
	read.passed = func() {
		if c.done++; c.progress != nil && c.done%100 == 0 {
			c.progress(t.Name, c.done, c.all)
		}
	}
	if err := c.target.load(ctx, t, read); err != nil {
		return Copied{}, err
	}
	if err := read.Err(); err != nil {
		return Copied{}, err
	}
	written, err := c.target.rows(ctx, t)
	if err != nil {
		return Copied{}, err
	}
	defer written.Close()
	for written.Next() {
	}
	if err := written.Err(); err != nil {
		return Copied{}, err
	}
	if written.n != read.n || written.digest() != read.digest() {
		return Copied{}, fault.E(fault.Internal, "COPY_DIFFERS", fault.P("table", t.Name), fault.P("read", read.n), fault.P("written", written.n))
	}
	return Copied{Table: t.Name, Rows: read.n, Digest: read.digest()}, nil
}

// session is one transaction on a connection of its own.
type session struct {
	conn     *sql.Conn
	postgres bool
	release  func()
	over     bool
}

// snapshot begins to read a database as it is now.
func (s *Store) snapshot(ctx context.Context) (*session, error) {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	out := &session{conn: conn, postgres: s.dialect == dialect.Postgres, release: func() { conn.Close() }}
	begin := "begin"
	if out.postgres {
		begin = "begin read only isolation level repeatable read"
	}
	return out.begun(ctx, out.exec(ctx, begin))
}

// begun returns the session, or ends it when it could not begin.
func (s *session) begun(ctx context.Context, err error) (*session, error) {
	if err != nil {
		s.end(ctx)
		return nil, Explain(err)
	}
	return s, nil
}

// loading begins to fill a database. References between rows are checked at the
// end, for rows refer to such as come later.
func (s *Store) loading(ctx context.Context) (*session, error) {
	conn, release, err := s.migrationConn(ctx)
	if err != nil {
		return nil, err
	}
	out := &session{conn: conn, postgres: s.dialect == dialect.Postgres, release: release}
	if !out.postgres {
		if err = out.exec(ctx, "begin immediate"); err == nil {
			err = out.exec(ctx, "pragma defer_foreign_keys = on")
		}
		return out.begun(ctx, err)
	}
	if err = out.exec(ctx, "begin"); err == nil {
		err = out.constraints(ctx, "deferrable initially deferred")
	}
	return out.begun(ctx, err)
}

// constraints makes every foreign key of the schema checked at the end, or at once.
func (s *session) constraints(ctx context.Context, when string) error {
	rows, err := s.conn.QueryContext(ctx, `select format('alter table %s alter constraint %I', conrelid::regclass, conname)
		from pg_constraint where contype = 'f' and connamespace = current_schema()::regnamespace order by 1`)
	if err != nil {
		return fmt.Errorf("list the foreign keys: %w", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var alter string
		if err := rows.Scan(&alter); err != nil {
			return fmt.Errorf("list the foreign keys: %w", err)
		}
		all = append(all, alter+" "+when)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list the foreign keys: %w", err)
	}
	for _, alter := range all {
		if err := s.exec(ctx, alter); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) exec(ctx context.Context, statement string) error {
	if _, err := s.conn.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// commit checks the references and keeps what was loaded.
func (s *session) commit(ctx context.Context) error {
	if s.postgres {
		if err := s.exec(ctx, "set constraints all immediate"); err != nil {
			return err
		}
		if err := s.constraints(ctx, "not deferrable"); err != nil {
			return err
		}
	}
	if err := s.exec(ctx, "commit"); err != nil {
		return err
	}
	s.over = true
	return s.exec(ctx, "analyze")
}

// end gives the connection back; what was not committed is undone.
func (s *session) end(ctx context.Context) {
	if !s.over {
		_, _ = s.conn.ExecContext(context.WithoutCancel(ctx), "rollback") // it has failed or only read
	}
	s.release()
}

func (s *session) count(ctx context.Context, t *schema.Table) (int, error) {
	n := 0
	err := s.conn.QueryRowContext(ctx, fmt.Sprintf("select count(*) from %q", t.Name)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the rows of %s: %w", t.Name, err)
	}
	return n, nil
}

// load writes the rows that are read into a table.
func (s *session) load(ctx context.Context, t *schema.Table, read *tableRows) error {
	names, marks := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i], marks[i] = c.Name, "?"
	}
	if s.postgres {
		return s.conn.Raw(func(driver any) error {
			_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{t.Name}, names, read)
			return err
		})
	}
	insert := fmt.Sprintf("insert into %q (%q) values (%s)", t.Name, names, strings.Join(marks, ", "))
	insert = strings.NewReplacer(`["`, `"`, `"]`, `"`, `" "`, `", "`).Replace(insert)
	statement, err := s.conn.PrepareContext(ctx, insert)
	if err != nil {
		return err
	}
	defer statement.Close()
	for read.Next() {
		values, err := read.Values()
		if err != nil {
			return err
		}
		if _, err := statement.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return nil
}

// rows reads a table in the order of its ids.
func (s *session) rows(ctx context.Context, t *schema.Table) (*tableRows, error) {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = `"` + c.Name + `"`
	}
	order := `"id"`
	if s.postgres {
		order += ` collate "C"` // as SQLite compares
	}
	rows, err := s.conn.QueryContext(ctx, fmt.Sprintf("select %s from %q order by %s", strings.Join(names, ", "), t.Name, order))
	if err != nil {
		return nil, err
	}
	return newTableRows(rows, t), nil
}

// tableRows reads the rows of a table and adds them up. It is a source of pgx's CopyFrom.
type tableRows struct {
	rows   *sql.Rows
	cells  []cell
	into   []any
	n      int
	sum    hash.Hash
	err    error
	passed func()
}

func newTableRows(rows *sql.Rows, t *schema.Table) *tableRows {
	r := &tableRows{rows: rows, sum: sha256.New(), passed: func() {}}
	for _, c := range t.Columns {
		r.cells = append(r.cells, newCell(c.Type))
	}
	for _, c := range r.cells {
		r.into = append(r.into, c.into())
	}
	return r
}

// Next reads the next row; it returns false at the end or after an error.
func (r *tableRows) Next() bool {
	if r.err != nil || !r.rows.Next() {
		return false
	}
	if r.err = r.rows.Scan(r.into...); r.err != nil {
		return false
	}
	for i, c := range r.cells {
		if r.err = c.add(r.sum); r.err != nil {
			r.err = fmt.Errorf("column %d: %w", i+1, r.err)
			return false
		}
	}
	r.n++
	r.passed()
	return true
}

// Values returns the row that Next has read.
func (r *tableRows) Values() ([]any, error) {
	out := make([]any, len(r.cells))
	for i, c := range r.cells {
		out[i] = c.value()
	}
	return out, nil
}

// Err returns what has ended the reading, nil at the end of the table.
func (r *tableRows) Err() error {
	if r.err != nil {
		return r.err
	}
	return r.rows.Err()
}

// Close ends the reading.
func (r *tableRows) Close() { _ = r.rows.Close() }

func (r *tableRows) digest() string { return hex.EncodeToString(r.sum.Sum(nil)) }
