//go:build !unix

package pluginhost

import "os"

// alive tells whether a process of this number runs, as far as this system tells.
func alive(pid int) bool {
	_, err := os.FindProcess(pid)
	return err == nil
}

// halt would stop a process; here none is, since none can be told how long it has had the processor.
func halt(int) {}

// proceed is the reverse of halt.
func proceed(int) {}

// killGroup kills a process.
func killGroup(pid int) {
	if p, err := os.FindProcess(pid); err == nil && pid > 0 {
		_ = p.Kill()
	}
}
