package store

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLook lets the log of a database be short, too long and short again: nothing runs ahead
// while it is too long.
func TestLook(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	var l lanes
	for _, tt := range []struct {
		size int64
		wait bool
	}{{-1, false}, {0, false}, {logAtMost, false}, {logAtMost + 1, true}, {1 << 20, false}} {
		if tt.size >= 0 {
			f, err := os.Create(path + "-wal") //nolint:gosec // in a folder of the test
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(tt.size); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
		}
		if l.look(path); l.wait.Load() != tt.wait {
			t.Errorf("with a log of %d bytes commands wait for the writer: %v, want %v", tt.size, !tt.wait, tt.wait)
		}
	}
}
