package sandbox

// GroupLimits bound the processes of one control group.
type GroupLimits struct {
	MemoryBytes int64 // of all memory that is charged to it, files in memory included
	Processes   int   // and threads
}

// groupPrefix begins the names of the folders of control groups; the number of the
// server's process follows.
const groupPrefix = "spms-plugins-"
