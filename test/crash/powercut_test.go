package crash_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/openspms/spms/internal/store/storetest"
)

// disk is a file system of the test's own, on a file that is mounted as a disk, of which
// the power can be cut: what has not been synced is gone when it is back.
type disk struct {
	t          *testing.T
	image, dir string
}

// newDisk makes and mounts a disk; it skips the test where that is not allowed.
func newDisk(t *testing.T) *disk {
	t.Helper()
	parent := t.TempDir()
	d := &disk{t: t, image: filepath.Join(parent, "image"), dir: filepath.Join(parent, "disk")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(512<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		skip(t, "an ext4 file system cannot be made here: %v %s", err, out)
	}
	if err := d.mount(); err != nil {
		skip(t, "a file cannot be mounted as a disk here: %v", err)
	}
	t.Cleanup(func() {
		if err := d.unmount(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *disk) mount() error {
	if out, err := exec.Command("mount", "-t", "ext4", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount %s: %w %s", d.dir, err, out)
	}
	return nil
}

func (d *disk) unmount() error {
	if out, err := exec.Command("umount", d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("umount %s: %w %s", d.dir, err, out)
	}
	return nil
}

// The call that ends an ext4 file system at once (EXT4_IOC_SHUTDOWN of the Linux kernel):
// without flushing its journal nothing is written any more that was not before.
const (
	ioctlShutdown  = 0x8004587d
	withoutFlushes = 2
)

// cut cuts the power of the disk: whatever the system holds for it is not written.
func (d *disk) cut() error {
	var inside, outside syscall.Stat_t
	if err := errors.Join(syscall.Stat(d.dir, &inside), syscall.Stat(filepath.Dir(d.dir), &outside)); err != nil {
		return err
	}
	if inside.Dev == outside.Dev {
		return fmt.Errorf("%s is not mounted: the disk of this machine is not to be cut", d.dir)
	}
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	how := uint32(withoutFlushes)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		return fmt.Errorf("shut the file system down: %w", errno)
	}
	return nil
}

// back mounts the disk again, as a start of the machine does.
func (d *disk) back() error { return errors.Join(d.unmount(), d.mount()) }

// cutPower lets clients work on SQLite on a disk of which the power is cut again and again.
func cutPower(t *testing.T, binary string, seed uint64, cuts int, patience time.Duration, env ...string) (*run, error) {
	t.Helper()
	d := newDisk(t)
	url := storetest.SQLiteURL(t)
	sample(t, url)
	body, err := os.ReadFile(strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.dir, "spms.db")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRun(t, binary, "sqlite:"+path, seed)
	r.program.env = env
	for _, c := range append(slices.Clone(r.clients), r.workers...) {
		c.patience = patience
	}
	t.Cleanup(func() { // before the disk is unmounted
		if r.server != nil && r.server.cmd.ProcessState == nil {
			_ = r.kill()
		}
	})
	syscall.Sync()
	return r, r.struck(func(ctx context.Context) error {
		return r.spread(ctx, cuts, func(ctx context.Context) error {
			if err := d.cut(); err != nil {
				return err
			}
			if err := errors.Join(r.kill(), d.back()); err != nil {
				return err
			}
			if r.server, err = r.program.serve(r.ctx); err != nil {
				return err
			}
			return r.admit(ctx)
		})
	})
}

// TestPowerCut cuts the power of the disk under SQLite, again and again: what was
// acknowledged had been synced, so that it is there.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	r, err := cutPower(t, whole(t), 20260308, min(blows(t, 5), 100), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after a power cut in %v at most", longest(r.recovery))
	for _, f := range r.compare() {
		t.Errorf("%s: %s: %s", f.kind, f.key, f.detail)
	}
	r.verified() // the log has errors: a disk without power gives some
}

// TestPowerCutFindsLazySync builds the program with commits that do not wait for the disk
// and expects lost work, or a database that is no longer whole.
func TestPowerCutFindsLazySync(t *testing.T) {
	t.Parallel()
	r, err := cutPower(t, unfaithful(t), 1, 2, 10*time.Second, breakSync)
	if err != nil {
		t.Logf("after power cuts without sync the clients find no whole database: %v", err)
		return
	}
	kinds := map[string]int{}
	for _, f := range r.compare() {
		kinds[f.kind]++
	}
	t.Logf("found %v", kinds)
	if kinds["lost"] == 0 {
		t.Errorf("check() finds %v after power cuts of a program that does not sync, want lost work", kinds)
	}
}

func longest(list []time.Duration) time.Duration {
	out := time.Duration(0)
	for _, d := range list {
		out = max(out, d)
	}
	return out.Round(time.Millisecond)
}
