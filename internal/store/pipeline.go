package store

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A command on PostgreSQL is made of round trips more than of anything else. Those
// whose answer nobody waits for are saved: BEGIN travels with the first statement,
// what is written under Later with the next one that is asked, at the latest with
// COMMIT, and reads under Tx.Together with each other.

// Later returns a context whose writes may be sent when the next statement is, or
// with the commit. Their errors end the command all the same; how many rows they
// changed is not told. Reads see them. On SQLite they are sent at once.
func Later(ctx context.Context) context.Context { return context.WithValue(ctx, laterKey{}, said{}) }

// LaterAs is Later for writes whose error is to be told in other words, such as
// the violation of a key. explain gets the error of the write.
func LaterAs(ctx context.Context, explain func(error) error) context.Context {
	return context.WithValue(ctx, laterKey{}, said{explain})
}

type laterKey struct{}

// said is how the error of a later write is told.
type said struct{ explain func(error) error }

func (s said) err(err error) error {
	if err == nil || s.explain == nil {
		return err
	}
	return s.explain(err)
}

// pipeline is the connection of PostgreSQL that a command has. It is ent's driver:
// its statements run one after the other on the caller's goroutine.
type pipeline struct {
	conn       *pgx.Conn
	queue      []queued
	sent       bool // the transaction has begun at the server
	committing bool // COMMIT has been sent: without an answer its fate is unknown
	n          *atomic.Int64
}

// queued is a statement that has not been sent yet.
type queued struct {
	query string
	args  []any
	said  said
}

func (p *pipeline) Dialect() string                        { return dialect.Postgres }
func (p *pipeline) Close() error                           { return nil }
func (p *pipeline) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(p), nil }

// begin opens a transaction with the next statement that is sent.
func (p *pipeline) begin(conn *pgx.Conn) {
	*p = pipeline{conn: conn, n: p.n, queue: append(p.queue[:0], queued{query: "begin"})}
}

// Exec implements ent's driver.
func (p *pipeline) Exec(ctx context.Context, query string, args, v any) error {
	tag, err := p.exec(ctx, query, args)
	if r, ok := v.(*stdsql.Result); ok {
		*r = driver.RowsAffected(tag.RowsAffected())
	}
	return err
}

// ExecContext runs a statement given as text.
func (p *pipeline) ExecContext(ctx context.Context, query string, args ...any) (stdsql.Result, error) {
	tag, err := p.exec(ctx, query, args)
	return driver.RowsAffected(tag.RowsAffected()), err
}

func (p *pipeline) exec(ctx context.Context, query string, args any) (pgconn.CommandTag, error) {
	list, err := arguments(args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	p.n.Add(1)
	if later, ok := ctx.Value(laterKey{}).(said); ok {
		p.queue = append(p.queue, queued{query, list, later})
		return pgconn.CommandTag{}, nil
	}
	if len(p.queue) == 0 {
		return p.conn.Exec(ctx, query, list...)
	}
	answers, err := p.send(ctx, queued{query: query, args: list})
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := answers.Exec()
	return tag, errors.Join(err, ended(answers, err))
}

// Query implements ent's driver. An insertion under Later that would tell its ids
// tells none: the house gives its rows their ids.
func (p *pipeline) Query(ctx context.Context, query string, args, v any) error {
	out, ok := v.(*entsql.Rows)
	if !ok {
		return fmt.Errorf("rows of type %T", v)
	}
	list, err := arguments(args)
	if err != nil {
		return err
	}
	p.n.Add(1)
	if later, ok := ctx.Value(laterKey{}).(said); ok && strings.HasPrefix(query, "INSERT ") {
		p.queue = append(p.queue, queued{query, list, later})
		out.ColumnScanner = &keptRows{}
		return nil
	}
	if ask, ok := ctx.Value(togetherKey{}).(func(*asked) bool); ok {
		a := &asked{queued: queued{query: query, args: list}}
		if !ask(a) {
			return context.Canceled // the others have failed
		}
		out.ColumnScanner = a.rows
		return a.err
	}
	if len(p.queue) == 0 {
		rows, err := p.conn.Query(ctx, query, list...)
		return live(out, rows, err, nil)
	}
	answers, err := p.send(ctx, queued{query: query, args: list})
	if err != nil {
		return err
	}
	rows, err := answers.Query()
	return live(out, rows, err, answers)
}

func arguments(args any) ([]any, error) {
	list, ok := args.([]any)
	if !ok {
		return nil, fmt.Errorf("arguments of type %T", args)
	}
	return list, nil
}

// send sends what is queued and the statements last, and reads the answers to what
// was queued; those to last are the caller's to read, and to close.
func (p *pipeline) send(ctx context.Context, last ...queued) (pgx.BatchResults, error) {
	var batch pgx.Batch
	for _, q := range p.queue {
		batch.Queue(q.query, q.args...)
	}
	for _, q := range last {
		batch.Queue(q.query, q.args...)
	}
	p.sent = true
	answers := p.conn.SendBatch(ctx, &batch)
	for _, q := range p.queue {
		if _, err := answers.Exec(); err != nil {
			return nil, errors.Join(q.said.err(err), ended(answers, err))
		}
	}
	clear(p.queue)
	p.queue = p.queue[:0]
	return answers, nil
}

// ended closes the answers of a batch; the error that is known already is not told
// again.
func ended(answers pgx.BatchResults, known error) error {
	if err := answers.Close(); known == nil {
		return err
	}
	return nil
}

// commit sends what is queued with COMMIT. A command that has asked nothing has
// nothing to commit.
func (p *pipeline) commit(ctx context.Context) error {
	if !p.sent && len(p.queue) == 1 {
		return nil
	}
	p.committing = true
	answers, err := p.send(ctx, queued{query: "commit"})
	if err != nil {
		return err
	}
	tag, err := answers.Exec()
	if err == nil && tag.String() != "COMMIT" {
		err = fmt.Errorf("the transaction ended with %s", tag)
	}
	return errors.Join(err, ended(answers, err))
}

// rollback ends the transaction, if the server knows of one. It reports whether the
// connection is fit for another.
func (p *pipeline) rollback(ctx context.Context) bool {
	clear(p.queue)
	p.queue = p.queue[:0]
	if p.conn.IsClosed() {
		return false
	}
	if p.conn.PgConn().TxStatus() != 'I' {
		if _, err := p.conn.Exec(context.WithoutCancel(ctx), "rollback"); err != nil {
			return false
		}
	}
	return p.conn.PgConn().TxStatus() == 'I'
}

// live gives ent the rows of an answer. The first is read at once, since only then
// it is known whether the statement was refused.
func live(out *entsql.Rows, rows pgx.Rows, err error, answers pgx.BatchResults) error {
	if err != nil {
		if answers != nil {
			_ = ended(answers, err)
		}
		return err
	}
	r := &liveRows{rows: rows, answers: answers}
	r.first = rows.Next()
	if err := rows.Err(); err != nil {
		_ = r.Close()
		return err
	}
	out.ColumnScanner, r.peeked = r, true
	return nil
}

// liveRows are rows as they come in.
type liveRows struct {
	rows          pgx.Rows
	answers       pgx.BatchResults // nil outside a batch
	first, peeked bool
	noColumnTypes
}

func (r *liveRows) Next() bool {
	if r.peeked {
		r.peeked = false
		return r.first
	}
	return r.rows.Next()
}

func (r *liveRows) Columns() ([]string, error) { return columnsOf(r.rows.FieldDescriptions()), nil }
func (r *liveRows) Scan(dest ...any) error     { return r.rows.Scan(plain(dest)...) }
func (r *liveRows) Err() error                 { return r.rows.Err() }

func (r *liveRows) Close() error {
	r.rows.Close()
	if r.answers == nil {
		return nil
	}
	return r.answers.Close()
}

// plain are destinations in the types that pgx knows.
func plain(dest []any) []any {
	for i, d := range dest {
		if v, ok := d.(*driver.Value); ok {
			dest[i] = (*any)(v)
		}
	}
	return dest
}

func columnsOf(fields []pgconn.FieldDescription) []string {
	out := make([]string, len(fields))
	for i := range fields {
		out[i] = fields[i].Name
	}
	return out
}

// noColumnTypes is what rows need not tell ent.
type noColumnTypes struct{}

func (noColumnTypes) NextResultSet() bool { return false }

func (noColumnTypes) ColumnTypes() ([]*stdsql.ColumnType, error) {
	return nil, errors.New("the types of columns are not told")
}
