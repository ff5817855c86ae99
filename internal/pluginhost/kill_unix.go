//go:build unix

package pluginhost

import (
	"errors"
	"syscall"
)

// alive tells whether a process of this number runs.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// halt stops a process and all that it has started, until they may proceed.
func halt(pid int) {
	if pid > 0 {
		_ = syscall.Kill(-pid, syscall.SIGSTOP)
	}
}

// proceed lets a process that was stopped, and all that it has started, run again.
func proceed(pid int) {
	if pid > 0 {
		_ = syscall.Kill(-pid, syscall.SIGCONT)
	}
}

// killGroup kills a process and all that it has started.
func killGroup(pid int) {
	if pid > 0 {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
