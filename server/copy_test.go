package server_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
)

// opened opens a database for one test.
func opened(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("Open(%v) = %v", url, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// copied copies a database and returns what was copied by table.
func copied(t *testing.T, from, to string) map[string]store.Copied {
	t.Helper()
	tables, err := store.Copy(t.Context(), opened(t, from), opened(t, to), time.Now(), nil)
	if err != nil {
		t.Fatalf("Copy() = %v", err)
	}
	out := map[string]store.Copied{}
	for _, c := range tables {
		out[c.Table] = c
	}
	return out
}

// TestCopy moves a database with work in it to SQLite, and to PostgreSQL where
// there is one, and from there on: the digests stay the same, every case can be
// replayed, and work goes on in the copy.
func TestCopy(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.order("SO-1")
		o.divides()
		o.enquiry("enquiry", "Q-0001", `calc: {divisor: 0}`)
		o.must("ha-supervisor", "urgeTask", `caseNumber: "SO-1", nodeID: "a_disp", reason: "急 \u2028 \"引号\" \\ 🚀"`)
		targets := []string{storetest.SQLiteURL(t)}
		if storetest.HasPostgres() {
			targets = append(targets, storetest.PostgresURL(t))
		}
		for _, target := range targets {
			first := copied(t, url, target)
			if first["service_cases"].Rows != 2 || first["failures"].Rows != 1 || first["case_events"].Rows == 0 {
				t.Errorf("copied %+v, want two cases with their events and a failure", first)
			}
			again := copied(t, target, storetest.SQLiteURL(t))
			if diff := cmp.Diff(first, again); diff != "" {
				t.Errorf("a copy of the copy differs:\n%s", diff)
			}
			_, err := store.Copy(t.Context(), opened(t, url), opened(t, target), time.Now(), nil)
			if fault.CodeOf(err) != "COPY_TARGET_NOT_EMPTY" {
				t.Errorf("Copy() into a filled database = %v, want COPY_TARGET_NOT_EMPTY", err)
			}
			c := openOfficeCopy(t, target, o)
			c.verified()
			c.work("zz-dispatcher", "SO-1", "a_disp", "")
			c.verified()
		}
	})
}

// openOfficeCopy opens an office on a copy of another's database.
func openOfficeCopy(t *testing.T, url string, of *office) *office {
	t.Helper()
	o := openOffice(t, url, of.clock.Now())
	o.clock.Advance(time.Minute)
	return o
}

// TestCopyKeepsAllOrNothing: what comes out otherwise than it was read is found,
// and a copy that fails or is stopped leaves nothing behind.
func TestCopyKeepsAllOrNothing(t *testing.T) {
	t.Parallel()
	source := storetest.SQLiteURL(t)
	openOffice(t, source, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	target := storetest.SQLiteURL(t)
	db, err := sql.Open("sqlite", strings.TrimPrefix(target, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `create trigger forge after insert on regions when new.code = 'CN-HA' begin update regions set name_en = 'Hunan' where id = new.id; end`); err != nil {
		t.Fatal(err)
	}
	_, err = store.Copy(t.Context(), opened(t, source), opened(t, target), time.Now(), nil)
	if fault.CodeOf(err) != "COPY_DIFFERS" {
		t.Errorf("Copy() with a changed row = %v, want COPY_DIFFERS", err)
	}
	if _, err := db.ExecContext(t.Context(), `drop trigger forge`); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	if _, err := store.Copy(stopped, opened(t, source), opened(t, target), time.Now(), func(string, int, int) { stop() }); err == nil {
		t.Error("Copy() that was stopped = nil, want an error")
	}
	if n := count(t, db, "regions"); n != 0 {
		t.Errorf("a copy that failed leaves %d regions, want none", n)
	}
	copied(t, source, target)
	if _, err := db.ExecContext(t.Context(), `delete from schema_revisions`); err != nil {
		t.Fatal(err)
	}
	_, err = store.Copy(t.Context(), opened(t, target), opened(t, storetest.SQLiteURL(t)), time.Now(), nil)
	if fault.CodeOf(err) != "COPY_SOURCE_OUTDATED" {
		t.Errorf("Copy() from a database without its migrations = %v, want COPY_SOURCE_OUTDATED", err)
	}
}

func count(t *testing.T, db *sql.DB, table string) int {
	t.Helper()
	n := 0
	if err := db.QueryRowContext(t.Context(), "select count(*) from "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
