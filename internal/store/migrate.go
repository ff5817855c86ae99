package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"

	"github.com/openspms/spms/internal/fault"
)

// migrations holds the versioned SQL files of each database, forward only; a
// released file never changes.
//
//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// Migration is one versioned change of the tables.
type Migration struct {
	Version string
	Digest  string // SHA-256 of the file
	sql     string
}

// Migrations lists the migrations of a dialect (sqlite3 or postgres), oldest first.
func Migrations(name string) ([]Migration, error) {
	dir := "migrations/sqlite"
	if name == dialect.Postgres {
		dir = "migrations/postgres"
	}
	files, err := fs.Glob(migrations, dir+"/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(files)
	var out []Migration
	for _, f := range files {
		body, err := migrations.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		sum := sha256.Sum256(body)
		out = append(out, Migration{
			Version: strings.TrimSuffix(path.Base(f), ".sql"), Digest: hex.EncodeToString(sum[:]), sql: string(body),
		})
	}
	return out, nil
}

const revisionTable = `create table if not exists schema_revisions (
	version text primary key, digest text not null, applied_at bigint not null)`

// Migrate brings the tables up to date and returns the versions it applied, in
// order. Each file is one transaction. A file that was applied with another
// digest is refused with MIGRATION_CHANGED, tables of a newer program with
// DATABASE_NEWER.
func (s *Store) Migrate(ctx context.Context, now time.Time) ([]string, error) {
	want, err := Migrations(s.dialect)
	if err != nil {
		return nil, err
	}
	conn, release, err := s.migrationConn(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if _, err := conn.ExecContext(ctx, revisionTable); err != nil {
		return nil, fmt.Errorf("create the table of revisions: %w", err)
	}
	have, err := revisions(ctx, conn)
	if err != nil {
		return nil, err
	}
	pending, err := compare(want, have)
	if err != nil {
		return nil, err
	}
	var applied []string
	for _, m := range pending {
		if err := s.apply(ctx, conn, m, now); err != nil {
			return applied, fmt.Errorf("apply migration %s: %w", m.Version, err)
		}
		applied = append(applied, m.Version)
	}
	if err := s.rebase(ctx, conn); err != nil {
		return applied, fmt.Errorf("forget the transactions of another server: %w", err)
	}
	return applied, nil
}

// Pending returns the versions that Migrate would apply.
func (s *Store) Pending(ctx context.Context) ([]string, error) {
	want, err := Migrations(s.dialect)
	if err != nil {
		return nil, err
	}
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	defer conn.Close()
	have, err := revisions(ctx, conn)
	if err != nil {
		have = nil // no table of revisions yet
	}
	pending, err := compare(want, have)
	var out []string
	for _, m := range pending {
		out = append(out, m.Version)
	}
	return out, err
}

func compare(want []Migration, have map[string]string) ([]Migration, error) {
	var pending []Migration
	for _, m := range want {
		digest, ok := have[m.Version]
		switch {
		case !ok:
			pending = append(pending, m)
		case digest != m.Digest:
			return nil, fault.E(fault.Precondition, "MIGRATION_CHANGED", fault.P("version", m.Version))
		}
		delete(have, m.Version)
	}
	for v := range have {
		return nil, fault.E(fault.Precondition, "DATABASE_NEWER", fault.P("version", v))
	}
	return pending, nil
}

func revisions(ctx context.Context, conn *sql.Conn) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx, "select version, digest from schema_revisions")
	if err != nil {
		return nil, fmt.Errorf("read revisions: %w", err)
	}
	defer rows.Close()
	have := map[string]string{}
	for rows.Next() {
		var v, d string
		if err := rows.Scan(&v, &d); err != nil {
			return nil, fmt.Errorf("read revisions: %w", err)
		}
		have[v] = d
	}
	return have, rows.Err()
}

// migrationConn returns the connection that migrates, alone: SQLite's one
// writer, or a connection that holds PostgreSQL's advisory lock.
func (s *Store) migrationConn(ctx context.Context) (*sql.Conn, func(), error) {
	if w, ok := s.writer.(*groupWriter); ok {
		return w.conn, func() {}, nil
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, nil, unavailable(err)
	}
	if _, err := conn.ExecContext(ctx, "select pg_advisory_lock(78376)"); err != nil {
		conn.Close()
		return nil, nil, unavailable(err)
	}
	return conn, func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "select pg_advisory_unlock(78376)")
		conn.Close()
	}, nil
}

func (s *Store) apply(ctx context.Context, conn *sql.Conn, m Migration, now time.Time) error {
	stmts, err := migrate.Stmts(m.sql)
	if err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback()
	for _, st := range stmts {
		if _, err := tx.ExecContext(ctx, st.Text); err != nil {
			return fmt.Errorf("statement %q: %w", st.Text, err)
		}
	}
	insert := "insert into schema_revisions (version, digest, applied_at) values ($1, $2, $3)"
	if _, err := tx.ExecContext(ctx, insert, m.Version, m.Digest, now.UnixMicro()); err != nil {
		return err
	}
	return tx.Commit()
}
