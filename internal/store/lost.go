package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/openspms/spms/internal/fault"
)

// Explain turns an error that says no more than that the database cannot serve now
// (a connection that was cut, a full disk, a server that stops) into the fault
// DATABASE_UNAVAILABLE, so that who asked knows that it may be tried again. Other
// errors, and nil, are returned as they are.
func Explain(err error) error {
	if err == nil || !lost(err) || fault.KindOf(err) == fault.Unavailable {
		return err
	}
	return unavailable(err)
}

// lostClasses are the SQLSTATE classes of PostgreSQL that concern the server or the
// connection, not the statement: connection exceptions, insufficient resources,
// operator intervention, system errors.
var lostClasses = []string{"08", "53", "57", "58"}

// statementCodes are of those classes and yet concern the statement: it was cancelled,
// or took too long.
var statementCodes = []string{"57014"}

// lostResults are the primary result codes of SQLite that pass: busy, locked, input or output
// error, full, cannot open.
var lostResults = []int{5, 6, 10, 13, 14}

func lost(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // who asked has gone
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return slices.Contains(lostClasses, pg.Code[:min(2, len(pg.Code))]) && !slices.Contains(statementCodes, pg.Code)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	if lite, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok {
		return slices.Contains(lostResults, lite.Code()&0xff)
	}
	return slices.ContainsFunc([]error{driver.ErrBadConn, sql.ErrConnDone, io.ErrUnexpectedEOF}, func(e error) bool { return errors.Is(err, e) }) ||
		pgconn.SafeToRetry(err) || strings.HasSuffix(err.Error(), closedPool)
}

// closedPool is what database/sql says, without a name for it, of a pool that was
// closed under who reads: the server stops.
const closedPool = "sql: database is closed"
