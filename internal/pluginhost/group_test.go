package pluginhost_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/sandbox"
)

// needGroups skips where the machine lets nobody make control groups; CI has to be one
// that does.
func needGroups(t testing.TB) {
	t.Helper()
	g, err := sandbox.OpenGroups()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("control groups must be tested in CI: %v", err)
		}
		t.Skipf("SKIPPED, NOT TESTED HERE: this machine has no control groups for us: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// groupOf is where a process is in the hierarchy of a controller, "" when it is gone.
func groupOf(pid int, controller string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && (parts[0] == "0" && strings.Contains(parts[2], "spms-plugins") || slices.Contains(strings.Split(parts[1], ","), controller)) {
			return parts[2]
		}
	}
	return ""
}

// TestControlGroup lets a plugin take memory that no limit of its data stops: its
// control group does, and says so; the group is gone afterwards.
func TestControlGroup(t *testing.T) {
	needGroups(t)
	h, good, hog := host(t, func(o *pluginhost.Options) { o.Limits.MemoryBytes, o.Limits.Call = 256<<20, 5*time.Minute }), plugin(t, "good"), plugin(t, "shared")
	if _, err := execute(h, good); err != nil {
		t.Fatal(err)
	}
	s := h.Status()[0]
	if !slices.Contains(s.Isolation, sandbox.OwnGroup) || !slices.Contains(s.Isolation, sandbox.LowPriority) {
		t.Errorf("isolation is %v without %v, want cgroup and nice", s.Isolation, s.Missing)
	}
	mine := "spms-plugins-" + strconv.Itoa(os.Getpid()) + "/run-"
	for _, controller := range []string{"memory", "pids"} {
		if got := groupOf(s.PID, controller); !strings.Contains(got, mine) {
			t.Errorf("the %s of the plugin is counted in %q, want a group in %s", controller, got, mine)
		}
	}
	if priority, err := syscall.Getpriority(syscall.PRIO_PROCESS, s.PID); err != nil || priority != 20-10 { // the system call answers 20-nice
		t.Errorf("Getpriority() = %d, %v, want that of nice 10", priority, err)
	}
	_, err := execute(h, hog)
	if fault.CodeOf(err) != "PLUGIN_CRASHED" {
		t.Fatalf("Execute(4 GiB of shared memory) = %v, want PLUGIN_CRASHED", err)
	}
	told := slices.ContainsFunc(h.Status(), func(s pluginhost.Status) bool { return strings.Contains(s.LastExit, "more memory than it may have") })
	if !told {
		t.Errorf("Status() = %+v, want it told that memory was the cause", h.Status())
	}
	if _, err := execute(h, good); err != nil {
		t.Errorf("the plugin beside it = %v, want an answer", err)
	}
}

// serveAndHang is a server with one plugin that waits to be killed.
func serveAndHang() {
	h, err := pluginhost.Open(pluginhost.Options{})
	if err == nil {
		a := pluginhost.Artifact{Digest: "d", Name: "sample", Version: "1.0.0", Path: os.Getenv("PLUGINHOST_SERVER"), SHA256: os.Getenv("PLUGINHOST_HASH")}
		_, err = execute(h, a)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(h.Status()[0].PID)
	select {}
}

// TestKilledServer kills a server: its plugin goes with it, and what it had made, folders
// and control groups, is removed by the next one.
func TestKilledServer(t *testing.T) {
	a := plugin(t, "good")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "PLUGINHOST_SERVER="+a.Path, "PLUGINHOST_HASH="+a.SHA256)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server said %q, %v", line, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the server said %q, want the number of its plugin", line)
	}
	group := groupOf(pid, "pids")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("spms-plugins-%d-*", cmd.Process.Pid)))
	if err != nil || len(left) != 1 {
		t.Fatalf("the server has the folders %v, %v, want one", left, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	waitFor(t, func() bool { return len(living(a.Path)) == 0 })
	if alive := living(a.Path); len(alive) > 0 {
		t.Errorf("after the server was killed its plugins %v run on", alive)
	}
	h, err := pluginhost.Open(pluginhost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left[0]); err == nil {
		t.Errorf("the folder %s of the killed server is still there", left[0])
	}
	if !strings.Contains(group, "spms-plugins-") {
		t.Logf("NOT TESTED HERE: this machine has no control groups for us")
		return
	}
	gone := func() bool {
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"} {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(group))); err == nil {
				return false
			}
		}
		return true
	}
	for range 100 { // a group may be held for a moment after its last process
		if gone() {
			return
		}
		time.Sleep(20 * time.Millisecond)
		if again, err := pluginhost.Open(pluginhost.Options{}); err == nil {
			_ = again.Close()
		}
	}
	t.Errorf("the control group %s of the killed server is still there", group)
}
