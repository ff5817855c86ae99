package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
)

// result is an error as the SQLite driver gives it.
type result int

func (r result) Error() string { return fmt.Sprint("result ", int(r)) }
func (r result) Code() int     { return int(r) }

// closed is the error of a query on a pool that was closed.
func closed(t *testing.T) error {
	t.Helper()
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return db.PingContext(t.Context())
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing", nil, ""},
		{"a refusal", fault.E(fault.Invalid, "TASK_STATE"), "TASK_STATE"},
		{"unavailable already", fault.E(fault.Unavailable, "SERVER_STOPPING").Because(driver.ErrBadConn), "SERVER_STOPPING"},
		{"a fault of our own", errors.New("x"), "INTERNAL"},
		{"a connection that was cut", &pgconn.PgError{Code: "57P01"}, "DATABASE_UNAVAILABLE"},
		{"a full disk of PostgreSQL", fmt.Errorf("write: %w", &pgconn.PgError{Code: "53100"}), "DATABASE_UNAVAILABLE"},
		{"a statement that was cancelled", &pgconn.PgError{Code: "57014"}, "INTERNAL"},
		{"a unique key", &pgconn.PgError{Code: "23505"}, "INTERNAL"},
		{"a full disk of SQLite", fmt.Errorf("write: %w", result(13)), "DATABASE_UNAVAILABLE"},
		{"an error of its disk", result(10 | 3<<8), "DATABASE_UNAVAILABLE"},
		{"a damaged file", result(11), "INTERNAL"},
		{"a dead connection", driver.ErrBadConn, "DATABASE_UNAVAILABLE"},
		{"a pool that was closed", fmt.Errorf("read: %w", closed(t)), "DATABASE_UNAVAILABLE"},
		{"masked before", fault.E(fault.Internal, "INTERNAL").Because(&pgconn.PgError{Code: "08006"}), "DATABASE_UNAVAILABLE"},
		{"somebody who has gone", fmt.Errorf("%w: %w", context.Canceled, driver.ErrBadConn), "INTERNAL"},
	} {
		if got := fault.CodeOf(store.Explain(tc.err)); got != tc.want {
			t.Errorf("%s: Explain(%v) has code %q, want %q", tc.name, tc.err, got, tc.want)
		}
	}
}
