package pluginhost_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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

// TestPluginsAreThrottled lets a plugin compute without an answer: it soon has a twentieth of
// the processor, is told of, and runs on as before when it has answered.
func TestPluginsAreThrottled(t *testing.T) {
	seen := newWatcher()
	h, moody := host(t, func(o *pluginhost.Options) {
		o.Limits.Burst, o.Limits.Grace, o.Observer = 300*time.Millisecond, 20*time.Second, seen
	}), plugin(t, "moody")
	if _, err := execute(h, moody); err != nil {
		t.Fatal(err)
	}
	throttled := func() bool { return h.Status()[0].Throttled }
	if throttled() {
		t.Error("a plugin that has answered is throttled")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calling sync.WaitGroup
	calling.Go(func() {
		_, err := h.Execute(ctx, moody, pluginhost.Settings{}, &pluginv1.ExecuteRequest{
			Case: "c", TaskId: "t", Node: "n", Region: "/CN/", IdempotencyKey: "k", Attempt: 1, InputsJson: `{"mood": "busy"}`, NowUs: 1,
		})
		if fault.CodeOf(err) != "PLUGIN_TIMEOUT" {
			t.Errorf("Execute(busy) = %v, want PLUGIN_TIMEOUT when it is given up", err)
		}
	})
	for range 6 { // a machine that has nothing to spare lets it use little
		if waitFor(t, throttled); throttled() {
			break
		}
	}
	if !throttled() {
		t.Fatal("a plugin that computes and computes is not throttled")
	}
	pid := h.Status()[0].PID
	if waitFor(t, func() bool { return stopped(pid) }); !stopped(pid) {
		t.Error("a plugin that is throttled is not stopped")
	}
	if n := seen.times(&seen.throttled); n != 1 {
		t.Errorf("the observer was told %d times that it is throttled, want once", n)
	}
	cancel()
	calling.Wait()
	waitFor(t, func() bool { // it takes a few of its slices to see that nobody waits
		_, err := execute(h, moody)
		return err == nil && !throttled()
	})
	if throttled() || h.Status()[0].PID != pid {
		t.Errorf("a plugin that answers is %+v, want it no longer throttled and process %d", h.Status()[0], pid)
	}
}

// stopped tells whether a process is stopped at this moment.
func stopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") T ")
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
