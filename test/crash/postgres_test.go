package crash_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cluster is a PostgreSQL server of the test's own, which waits for the disk as one in
// earnest does (fsync=on), so that it can be restarted under load.
type cluster struct {
	t    *testing.T
	bin  string
	rows string
	port int
	as   *syscall.Credential // PostgreSQL refuses to run as root
}

// newCluster starts a server in a temporary folder; it skips the test where there is
// no PostgreSQL, and in CI fails it.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		skip(t, "PostgreSQL is not installed: /usr/lib/postgresql/*/bin/initdb")
	}
	c := &cluster{t: t, bin: filepath.Dir(slices.Max(found))}
	dir, err := os.MkdirTemp("", "spms-crash-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c.rows = filepath.Join(dir, "rows")
	if os.Geteuid() == 0 {
		c.as = ownerOf(t, dir)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	c.run("initdb", "-D", c.rows, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
	c.run("pg_ctl", "-D", c.rows, "-l", filepath.Join(dir, "log"), "-w", "-t", "120",
		"-o", fmt.Sprintf("-p %d -k %s -c listen_addresses=127.0.0.1 -c max_connections=100", c.port, dir), "start")
	t.Cleanup(func() { c.run("pg_ctl", "-D", c.rows, "-m", "immediate", "-w", "stop") })
	return c
}

// ownerOf gives a folder to the user postgres.
func ownerOf(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		skip(t, "as root a PostgreSQL server needs the user postgres: %v", err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// run runs a program of PostgreSQL to its end.
func (c *cluster) run(name string, args ...string) {
	c.t.Helper()
	if err := c.try(context.WithoutCancel(c.t.Context()), name, args...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) try(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = filepath.Dir(c.rows), &syscall.SysProcAttr{Credential: c.as}
	out, err := os.CreateTemp("", "spms-crash-output-") // a pipe would be held by the server that pg_ctl leaves
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, said)
	}
	return nil
}

// url is the address of the server's database.
func (c *cluster) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", c.port)
}

// TestPostgresRestart restarts the database server under load as a crash of it does, again
// and again: it comes back from its log, and what was acknowledged is there once.
func TestPostgresRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	sample(t, c.url())
	r := newRun(t, whole(t), c.url(), 20260307)
	var took []time.Duration
	r.strike(func(ctx context.Context) error {
		return r.spread(ctx, min(blows(t, 3), 50), func(ctx context.Context) error {
			began := time.Now()
			err := c.try(ctx, "pg_ctl", "-D", c.rows, "-m", "immediate", "-w", "-t", "120", "restart")
			took = append(took, time.Since(began))
			return err
		})
	})
	slices.Sort(took)
	t.Logf("the database was restarted %d times, each in %v at most", len(took), took[len(took)-1].Round(time.Millisecond))
	r.settled()
}
