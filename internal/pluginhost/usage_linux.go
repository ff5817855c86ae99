package pluginhost

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// resident is the memory of a process, in bytes; 0 when it cannot be told.
func resident(pid int) int64 {
	var size, pages int64
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// tick is the unit in which the kernel tells times of the processor, on every machine.
const tick = 10 * time.Millisecond

// spent is how long a process has had the processor, to 10 ms; 0 when it cannot be told.
// Source: proc_pid_stat(5), utime and stime.
func spent(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name before may have spaces
	if len(fields) < 13 {
		return 0
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * tick
}
