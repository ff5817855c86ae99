package store

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"

	entsql "entgo.io/ent/dialect/sql"
)

// maxPrepared bounds how many statement texts stay prepared. The house has some
// hundreds; lists of ids of many lengths could make many more.
const maxPrepared = 1024

// prepared runs SQL on SQLite and keeps every text prepared: parsing was a sixth
// of a command's time. It serves one connection (the writer's) or a pool.
type prepared struct {
	prepare func(ctx context.Context, query string) (*sql.Stmt, error)
	direct  entsql.ExecQuerier // beyond maxPrepared texts
	mu      sync.RWMutex
	kept    map[string]*sql.Stmt
}

// onConn keeps statements on one connection, onPool on each of a pool.
func onConn(c *sql.Conn) *prepared {
	return &prepared{prepare: c.PrepareContext, direct: c, kept: map[string]*sql.Stmt{}}
}

func onPool(db *sql.DB) *prepared {
	return &prepared{prepare: db.PrepareContext, direct: db, kept: map[string]*sql.Stmt{}}
}

// statement returns the prepared form of a text, nil when too many are kept.
func (p *prepared) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	p.mu.RLock()
	s, full := p.kept[query], len(p.kept) >= maxPrepared
	p.mu.RUnlock()
	if s != nil || full {
		return s, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.kept[query]; s != nil {
		return s, nil
	}
	s, err := p.prepare(ctx, query) //nolint:sqlclosecheck // kept; see close
	if err == nil {
		p.kept[query] = s
	}
	return s, err
}

// ExecContext runs a statement without rows.
func (p *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.statement(ctx, query) //nolint:sqlclosecheck // kept; see close
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return p.direct.ExecContext(ctx, query, args...)
	}
	return s.ExecContext(ctx, args...)
}

// QueryContext runs a query.
func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := p.statement(ctx, query) //nolint:sqlclosecheck // kept; see close
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return p.direct.QueryContext(ctx, query, args...)
	}
	return s.QueryContext(ctx, args...)
}

// close closes what is kept.
func (p *prepared) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.kept {
		_ = s.Close() // the connection under it is being closed
	}
	clear(p.kept)
}

// counted counts the statements that pass through it.
type counted struct {
	entsql.ExecQuerier
	n *atomic.Int64
}

func (c counted) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	c.n.Add(1)
	return c.ExecQuerier.ExecContext(ctx, query, args...)
}

func (c counted) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.n.Add(1)
	return c.ExecQuerier.QueryContext(ctx, query, args...)
}

// writes counts the statements that pass through it and write, and all that fail, and tells
// which tables they write.
type writes struct {
	entsql.ExecQuerier
	n, failed *atomic.Int64
	tell      func(table ...string)
}

func (w writes) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	w.n.Add(1)
	w.tell(tableOf(query))
	r, err := w.ExecQuerier.ExecContext(ctx, query, args...)
	if err != nil {
		w.failed.Add(1)
	}
	return r, err
}

// QueryContext counts what answers rows and is no mere query, such as an insertion.
func (w writes) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := w.ExecQuerier.QueryContext(ctx, query, args...)
	if !reads(query) {
		w.n.Add(1)
		w.tell(tableOf(query))
	}
	if err != nil {
		w.failed.Add(1)
	}
	return rows, err
}

// Statements returns how many statements of commands and queries have been sent
// to the database since it was opened, without those that begin and end
// transactions.
func (s *Store) Statements() int64 { return s.statements.Load() }
