package store

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Together runs reads that do not depend on each other; what they return is joined. On PostgreSQL
// the statements that they ask at the same time share a round trip and run in the
// order of the reads, so that a lock taken by the first holds for the others. The
// reads take turns: no two run at once.
func (t *Tx) Together(ctx context.Context, reads ...func(ctx context.Context) error) error {
	if p, ok := t.driver.(*pipeline); ok {
		return p.together(ctx, reads)
	}
	for _, read := range reads {
		if err := read(ctx); err != nil {
			return err
		}
	}
	return nil
}

type togetherKey struct{}

// asked is a query that waits for the others.
type asked struct {
	queued
	rows *keptRows
	err  error
}

// together lets each read go on until it asks something, sends all questions, and
// so on until no read asks any more.
func (p *pipeline) together(ctx context.Context, reads []func(ctx context.Context) error) error {
	type turn struct {
		next func() (*asked, bool)
		stop func()
	}
	errs := make([]error, len(reads))
	turns := make([]turn, len(reads))
	for i, read := range reads {
		turns[i].next, turns[i].stop = iter.Pull(func(ask func(*asked) bool) {
			errs[i] = read(context.WithValue(ctx, togetherKey{}, ask))
		})
		defer turns[i].stop()
	}
	for len(turns) > 0 {
		var all []*asked
		turns = slices.DeleteFunc(turns, func(t turn) bool {
			a, more := t.next()
			if more {
				all = append(all, a)
			}
			return !more
		})
		if len(all) > 0 {
			p.answer(ctx, all)
		}
	}
	return errors.Join(errs...)
}

// answer sends questions in one round trip and keeps their rows.
func (p *pipeline) answer(ctx context.Context, all []*asked) {
	last := make([]queued, len(all))
	for i, a := range all {
		last[i] = a.queued
	}
	answers, err := p.send(ctx, last...)
	for _, a := range all {
		if err != nil {
			a.err = err
			continue
		}
		var rows pgx.Rows
		if rows, a.err = answers.Query(); a.err == nil {
			a.rows, a.err = keep(rows, p.conn.TypeMap())
		}
	}
	if err == nil {
		if err := answers.Close(); err != nil && all[len(all)-1].err == nil {
			all[len(all)-1].err = err
		}
	}
}

// keptRows are rows that have been read to the end.
type keptRows struct {
	types  *pgtype.Map
	fields []pgconn.FieldDescription
	rows   [][][]byte
	at     int // the row after the present one
	noColumnTypes
}

func keep(rows pgx.Rows, types *pgtype.Map) (*keptRows, error) {
	defer rows.Close()
	out := &keptRows{types: types, fields: slices.Clone(rows.FieldDescriptions())}
	for rows.Next() {
		raw := rows.RawValues()
		row := make([][]byte, len(raw))
		for i, v := range raw {
			row[i] = slices.Clone(v)
		}
		out.rows = append(out.rows, row)
	}
	return out, rows.Err()
}

func (r *keptRows) Next() bool {
	if r.at >= len(r.rows) {
		return false
	}
	r.at++
	return true
}

func (r *keptRows) Scan(dest ...any) error {
	if r.at == 0 || len(dest) != len(r.fields) {
		return errors.New("scan without a row, or into another number of columns")
	}
	for i, d := range plain(dest) {
		if err := r.types.Scan(r.fields[i].DataTypeOID, r.fields[i].Format, r.rows[r.at-1][i], d); err != nil {
			return pgx.ScanArgError{ColumnIndex: i, FieldName: r.fields[i].Name, Err: err}
		}
	}
	return nil
}

func (r *keptRows) Columns() ([]string, error) { return columnsOf(r.fields), nil }
func (r *keptRows) Err() error                 { return nil }
func (r *keptRows) Close() error               { return nil }
