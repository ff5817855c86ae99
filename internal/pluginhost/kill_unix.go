//go:build unix

package pluginhost

import (
	"errors"
	"syscall"
)

// alive tells whether a process of this number runs.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// killGroup kills a process and all that it has started.
func killGroup(pid int) {
	if pid > 0 {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
