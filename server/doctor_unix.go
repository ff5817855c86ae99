//go:build linux || darwin

package server

import "syscall"

// freeBytes is the room that a folder has for whoever asks; false when the system
// does not tell.
func freeBytes(dir string) (uint64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true //nolint:gosec // a size
}
