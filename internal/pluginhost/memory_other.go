//go:build !linux

package pluginhost

// resident is the memory of a process, in bytes; 0 when it cannot be told, as here.
func resident(int) int64 { return 0 }
