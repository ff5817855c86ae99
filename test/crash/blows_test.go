package crash_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// blows returns how often a test strikes: short in make test, longer in make crash.
func blows(t *testing.T, short int) int {
	t.Helper()
	v := os.Getenv(killsVariable)
	if v == "" {
		return short
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s, want a number of kills", killsVariable, v)
	}
	return n
}

// skip ends a test that this machine does not let run; in CI it has to run.
func skip(t *testing.T, why string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("must be tested in CI: "+why, args...)
	}
	t.Skipf("SKIPPED: "+why, args...)
}

// settled compares and verifies what a run has left.
func (r *run) settled() {
	r.t.Helper()
	for _, f := range r.compare() {
		r.t.Errorf("%s: %s: %s", f.kind, f.key, f.detail)
	}
	r.verify()
}

func whole(t *testing.T) string {
	t.Helper()
	binary, err := product()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestTwoNodes lets two servers work on one PostgreSQL and kills one of them
// again and again: the other goes on, does what the killed one has left due, and nothing is lost
// or done twice.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	url := storetest.NewPostgresURL(t)
	sample(t, url)
	r := newRun(t, whole(t), url, 20260304)
	r.accompany()
	r.crash(blows(t, 5))
	r.settled()
}

// TestDroppedConnections cuts every connection that the server has to PostgreSQL,
// again and again, as a restart of the database does.
func TestDroppedConnections(t *testing.T) {
	t.Parallel()
	url := storetest.NewPostgresURL(t)
	sample(t, url)
	r := newRun(t, whole(t), url, 20260305)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	cut, times := 0, blows(t, 8)
	r.strike(func(ctx context.Context) error {
		return r.spread(ctx, times, func(ctx context.Context) error {
			n := 0
			err := db.QueryRowContext(ctx, `select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`).Scan(&n)
			cut += n
			return err
		})
	})
	t.Logf("%d times all connections were cut, %d in all", times, cut)
	if cut < times {
		t.Errorf("%d connections were cut in %d blows, want at least one each", cut, times)
	}
	r.settled()
}

// TestFullDisk lets the disk under SQLite run full, again and again: nothing is acknowledged
// then, and work goes on as soon as there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := resize(dir, "size=256m"); err != nil {
		skip(t, "a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v %s", dir, err, out)
		}
	})
	url := storetest.SQLiteURL(t)
	sample(t, url)
	path := filepath.Join(dir, "spms.db")
	body, err := os.ReadFile(strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRun(t, whole(t), "sqlite:"+path, 20260306)
	full, times := 0, blows(t, 4)
	r.strike(func(ctx context.Context) error {
		return r.spread(ctx, times, func(ctx context.Context) error {
			if err := fill(dir); err != nil {
				return err
			}
			before := r.entrance.sentSoFar()
			select {
			case <-r.entrance.after(10):
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			full += r.entrance.sentSoFar() - before
			return os.Remove(filepath.Join(dir, "ballast"))
		})
	})
	t.Logf("%d times the disk was full, %d mutations were asked for meanwhile", times, full)
	r.settled()
}

func resize(dir, option string) error {
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", option, "spms-crash", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w %s", err, out)
	}
	return nil
}

// fill takes all the room that a disk has left.
func fill(dir string) error {
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			return err
		}
	}
	return nil
}
