//go:build !unix

package pluginhost

import "os"

// alive tells whether a process of this number runs, as far as this system tells.
func alive(pid int) bool {
	_, err := os.FindProcess(pid)
	return err == nil
}

// killGroup kills a process.
func killGroup(pid int) {
	if p, err := os.FindProcess(pid); err == nil && pid > 0 {
		_ = p.Kill()
	}
}
