//go:build !linux

package pluginhost

import "time"

// resident is the memory of a process, in bytes; 0 when it cannot be told, as here.
func resident(int) int64 { return 0 }

// spent is how long a process has had the processor; 0 when it cannot be told, as here.
func spent(int) time.Duration { return 0 }
