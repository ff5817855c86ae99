// Package storetest opens scratch databases for tests, one of each kind that
// exists: embedded SQLite always, PostgreSQL where SPMS_TEST_DATABASE_URL names
// a server. Its main function is Each; for databases that begin with the same rows
// there are EachNewURL and Fill, which fill one of them and copy it. It must not be
// imported by the product.
package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the PostgreSQL driver

	"github.com/openspms/spms/internal/store"
)

// URLVariable names the PostgreSQL server for tests.
const URLVariable = "SPMS_TEST_DATABASE_URL"

// Each runs test on a fresh, migrated database of each kind, as subtests named
// sqlite and postgres. Without a PostgreSQL server that subtest is skipped
// loudly; in CI that is a failure.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url string) {
		test(t, open(t, url))
	})
}

// EachURL is Each for tests that open the database themselves.
func EachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLiteURL(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, PostgresURL(t))
	})
}

// EachNewURL is EachURL with addresses of databases that Fill has to make.
func EachNewURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLiteURL(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, NewPostgresURL(t))
	})
}

// SQLite opens a fresh, migrated SQLite database.
func SQLite(t testing.TB) *store.Store { return open(t, SQLiteURL(t)) }

// SQLiteURL returns the address of a fresh, migrated SQLite database.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	template, err := sqliteTemplate()
	if err != nil {
		t.Fatalf("make the template database: %v", err)
	}
	path := filepath.Join(t.TempDir(), "spms.db")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		t.Fatalf("copy the template database: %v", err)
	}
	url := "sqlite:" + path
	fresh.Store(url, true)
	return url
}

// HasPostgres reports whether tests on PostgreSQL can, or must, run.
func HasPostgres() bool { return os.Getenv(URLVariable) != "" || os.Getenv("CI") == "true" }

// PostgresURL returns the address of a fresh, migrated PostgreSQL database,
// dropped after the test; it skips the test where there is no server.
func PostgresURL(t testing.TB) string {
	t.Helper()
	url := NewPostgresURL(t)
	fresh.Delete(url)
	server := os.Getenv(URLVariable)
	template, err := postgresTemplate(server)
	if err != nil {
		t.Fatalf("make the template database: %v", err)
	}
	if err := admin(server, fmt.Sprintf("create database %s template %s", databaseOf(url), template)); err != nil {
		t.Fatalf("create a scratch database: %v", err)
	}
	return url
}

// NewPostgresURL returns the address of a PostgreSQL database that Fill has to make; it
// is dropped, and the test skipped, as by PostgresURL.
func NewPostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(URLVariable)
	if server == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set: tests on PostgreSQL must run in CI", URLVariable)
		}
		t.Skipf("SKIPPED ON POSTGRESQL: set %s to a server to run it", URLVariable)
	}
	name := "spms_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	t.Cleanup(func() {
		if err := admin(server, fmt.Sprintf("drop database if exists %s with (force)", name)); err != nil {
			t.Logf("drop the scratch database: %v", err)
		}
	})
	url := withDatabase(server, name)
	fresh.Store(url, true)
	return url
}

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("Open(%v) = %v", url, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "spms-template-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	if err := migrated(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func migrated(url string) error {
	ctx, s, err := openBare(url)
	if err != nil {
		return err
	}
	if _, err := s.Migrate(ctx, epoch); err != nil {
		s.Close()
		return err
	}
	return s.Close()
}

var (
	templateMu   sync.Mutex
	templateName string
)

// postgresTemplate creates the migrated template database once for each test
// binary; the name carries the process so that parallel binaries do not meet.
func postgresTemplate(server string) (string, error) {
	templateMu.Lock()
	defer templateMu.Unlock()
	if templateName != "" {
		return templateName, nil
	}
	name := fmt.Sprintf("spms_template_%d_%d", os.Getpid(), time.Now().UnixNano())
	if err := admin(server, "create database "+name); err != nil {
		return "", err
	}
	if err := migrated(withDatabase(server, name)); err != nil {
		return "", err
	}
	templateName = name
	return name, nil
}

// DropTemplate drops the template databases of this test binary: call it from
// TestMain after the tests have run.
func DropTemplate() {
	templates.Range(func(_, of any) bool {
		if t, _ := of.(*template); t.name != "" {
			_ = admin(os.Getenv(URLVariable), "drop database if exists "+t.name+" with (force)")
		}
		return true
	})
	templateMu.Lock()
	defer templateMu.Unlock()
	if templateName != "" {
		_ = admin(os.Getenv(URLVariable), "drop database if exists "+templateName+" with (force)")
		templateName = ""
	}
}

func admin(server, statement string) error {
	db, err := sql.Open("pgx", server)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(context.Background(), statement)
	return err
}

func databaseOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}

func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	u.Path = "/" + name
	return u.String()
}
