package pluginhost_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// leastOf tells whether every thread of a process has the least priority.
func leastOf(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("ReadDir() = %v, %v, want the threads of process %d", threads, err, pid)
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		if attr, err := unix.SchedGetAttr(tid, 0); err == nil && attr.Policy != unix.SCHED_IDLE {
			return false
		}
	}
	return true
}

// TestPluginsGiveWay looks at the weight of a plugin: the least while nothing waits for
// it, its ordinary one while a call goes on in which it does not have the processor.
func TestPluginsGiveWay(t *testing.T) {
	for _, tt := range []struct {
		name    string
		grouped bool
	}{{"in a group", true}, {"alone", false}} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.grouped {
				needGroups(t)
			}
			if os.Geteuid() != 0 {
				if os.Getenv("CI") == "true" {
					t.Fatal("priorities must be tested in CI, as root")
				}
				t.Skip("SKIPPED, NOT TESTED HERE: only root may give and take priorities")
			}
			h, moody := host(t, func(o *pluginhost.Options) { o.NoGroups = !tt.grouped }), plugin(t, "moody")
			if _, err := execute(h, moody); err != nil {
				t.Fatal(err)
			}
			pid := h.Status()[0].PID
			is := func(least bool) {
				t.Helper()
				waitFor(t, func() bool { return leastOf(t, pid) == least })
				if leastOf(t, pid) != least {
					t.Errorf("the plugin has the least weight: %v, want %v", !least, least)
				}
			}
			is(true)
			ctx, cancel := context.WithCancel(t.Context())
			var calling sync.WaitGroup
			calling.Go(func() {
				_, err := h.Execute(ctx, moody, pluginhost.Settings{}, &pluginv1.ExecuteRequest{
					Case: "c", TaskId: "t", Node: "n", Region: "/CN/", IdempotencyKey: "k", Attempt: 1, InputsJson: `{"mood": "slow"}`, NowUs: 1,
				})
				if fault.CodeOf(err) != "PLUGIN_TIMEOUT" {
					t.Errorf("Execute(slow) = %v, want PLUGIN_TIMEOUT when it is given up", err)
				}
			})
			is(false)
			cancel()
			calling.Wait()
			is(true)
		})
	}
}
