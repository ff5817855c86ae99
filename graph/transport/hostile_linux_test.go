package transport_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hostileMode tells the test binary, run again as a child, what to do under
// the memory limit.
const hostileMode = "SPMS_HOSTILE_MODE"

// memoryLimit is what the child may allocate, in bytes.
const memoryLimit = 256 << 20

// TestHostileUnderMemoryLimit sends every hostile request in a child process
// that the kernel gives 256 MB. A second child, which allocates more, must
// die: else the limit would prove nothing.
func TestHostileUnderMemoryLimit(t *testing.T) {
	switch os.Getenv(hostileMode) {
	case "requests":
		limitMemory(t)
		door := hostileDoor()
		for _, h := range hostiles() {
			if got := h.post(t, door); got != h.code {
				t.Errorf("%s: code = %q, want %q", h.name, got, h.code)
			}
		}
		return
	case "greedy":
		limitMemory(t)
		grow(2 * memoryLimit)
		return
	}
	t.Parallel()
	child := func(mode string) (string, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileUnderMemoryLimit$", "-test.v")
		cmd.Env = append(os.Environ(), hostileMode+"="+mode)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := child("requests"); err != nil {
		t.Errorf("hostile requests under %d bytes: %v\n%.4000s", memoryLimit, err, out)
	}
	if out, err := child("greedy"); err == nil || !strings.Contains(out, "out of memory") {
		t.Errorf("a child that allocates twice the limit: %v, want it to run out of memory\n%.400s", err, out)
	}
}

func limitMemory(t *testing.T) {
	t.Helper()
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: memoryLimit, Max: memoryLimit}); err != nil {
		t.Fatalf("limit memory: %v", err)
	}
}

// grow allocates n bytes and touches them.
func grow(n int) {
	var kept [][]byte
	for ; n > 0; n -= 1 << 20 {
		kept = append(kept, make([]byte, 1<<20))
	}
	for _, b := range kept {
		b[0] = 1
	}
}

// BenchmarkHostile records what each hostile request costs the server: CPU
// time (all threads, garbage collection included) and memory allocated, beside
// an ordinary query in the same run.
func BenchmarkHostile(b *testing.B) {
	ordinary := hostile{name: "ordinary", body: `{"query":"{regions(first:20){edges{node{id name}}}}"}`}
	for _, h := range append([]hostile{ordinary}, hostiles()...) {
		b.Run(strings.ReplaceAll(h.name, " ", "_"), func(b *testing.B) {
			door := hostileDoor()
			b.ReportAllocs()
			start, body := cpu(b), h.body
			for i := 0; b.Loop(); i++ { // a comment keeps each document out of the caches
				h.body = strings.Replace(body, `"query":"`, fmt.Sprintf(`"query":"#%d\n`, i), 1)
				h.post(b, door)
			}
			b.ReportMetric(float64((cpu(b)-start).Microseconds())/1000/float64(b.N), "cpu-ms/request")
			b.ReportMetric(float64(len(h.body))/1000, "kB-sent")
		})
	}
}

// cpu returns the CPU time this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
