package pluginhost_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/sandbox"
	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// The test program is its own plugin: under a name that begins with plugin- it behaves
// as the rest of the name says.

func TestMain(m *testing.M) {
	sandbox.Main()
	if os.Getenv("PLUGINHOST_SERVER") != "" {
		serveAndHang()
	}
	if how, ok := strings.CutPrefix(filepath.Base(os.Args[0]), "plugin-"); ok {
		behave(how)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// behave is one plugin.
func behave(how string) {
	p := sdk.Plugin{Name: "sample", Version: "1.0.0", Module: misbehaviour(how)}
	if shipped, ok := streaming(how); ok {
		p = shipped
		p.Name, p.Version = "sample", "1.0.0" // what plugin says of every one
	}
	switch how {
	case "crash-at-start":
		os.Exit(3)
	case "raw":
		serveRaw()
	case "wrong-handshake":
		fmt.Println("1|99|tcp|nowhere|netrpc")
		select {}
	case "mute":
		select {}
	case "lie":
		p.Version = "9.9.9"
	case "endless":
		p.Module, p.Strategy = nil, endless{}
	case "snoop":
		p.Metrics = []sdk.Metric{{Name: "open_doors", Unit: "1", Description: "what could be reached"}}
	}
	sdk.Serve(p)
}

type misbehaviour string

// Execute does what the name of the executable says.
func (m misbehaviour) Execute(ctx context.Context, call *sdk.Call) (sdk.Outcome, error) {
	switch m {
	case "crash":
		os.Exit(7)
	case "panic":
		panic("on purpose")
	case "hang":
		select {}
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {}
	case "memory":
		var hog [][]byte
		for {
			b := make([]byte, 64<<20)
			for i := range b {
				b[i] = byte(i)
			}
			if hog = append(hog, b); len(hog) > 1<<20 {
				return sdk.Complete(nil), nil
			}
		}
	case "flood":
		for range 50_000 {
			fmt.Fprintln(os.Stderr, "line after line after line")
		}
	case "moody":
		if strings.Contains(string(call.Inputs), "bad") {
			panic("in a bad mood")
		}
		if strings.Contains(string(call.Inputs), "slow") {
			<-ctx.Done()
		}
		for strings.Contains(string(call.Inputs), "busy") && ctx.Err() == nil {
		}
		if strings.Contains(string(call.Inputs), "lost") {
			select {}
		}
	case "shared": // memory that is no data of the process
		for range 64 {
			b, err := syscall.Mmap(-1, 0, 64<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_SHARED)
			if err != nil {
				return sdk.Fail("REFUSED", err.Error()), nil
			}
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
		}
	case "havoc":
		havoc()
	case "reply":
		return sdk.Complete(map[string]any{"big": strings.Repeat("x", 500<<20)}), nil
	case "fork":
		return sdk.Complete(map[string]any{"started": bomb()}), nil
	case "snoop":
		return sdk.Complete(map[string]any{"reached": reached()}), nil
	}
	return sdk.Complete(map[string]any{"region": call.Region}), nil
}

// endless is a strategy that reports progress for ever.
type endless struct{}

// Propose never ends by itself.
func (endless) Propose(_ context.Context, run *sdk.Run) error {
	for {
		if err := run.Progress(1, "still at it"); err != nil {
			select {} // nor when it is told to
		}
	}
}

// bomb starts programs, as many as it can.
func bomb() int {
	n := 0
	for range 50 {
		if exec.Command("/bin/sleep", "60").Start() == nil {
			n++
		}
	}
	return n
}

// reached are the things that no plugin may reach and this one could.
func reached() []string {
	out := []string{}
	for _, file := range []string{"/etc/passwd", "/etc/hostname", "/root", "/proc/1/environ", "/tmp"} {
		if f, err := os.Open(file); err == nil {
			if _, err := f.Readdirnames(1); err == nil || !errors.Is(err, os.ErrPermission) {
				out = append(out, file)
			}
			_ = f.Close()
		}
	}
	if os.WriteFile("/tmp/plugin-was-here", nil, 0o600) == nil {
		out = append(out, "write /tmp")
	}
	if c, err := net.DialTimeout("tcp", loopback, time.Second); err == nil {
		_ = c.Close()
		out = append(out, "loopback")
	}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "SPMS_SECRET") {
			out = append(out, v)
		}
	}
	return out
}

// loopback is where the test listens and plugins try to call.
const loopback = "127.0.0.1:47631"

// plugin is the test program under a name.
func plugin(t testing.TB, how string) pluginhost.Artifact {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "plugin-"+how)
	if err := os.WriteFile(path, content, 0o755); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return pluginhost.Artifact{Digest: "sha256:" + how, Name: "sample", Version: "1.0.0", Path: path, SHA256: hex.EncodeToString(sum[:])}
}

// host is a host in a folder of its own that must leave nothing behind.
func host(t testing.TB, change func(*pluginhost.Options)) *pluginhost.Host {
	t.Helper()
	dir, err := os.MkdirTemp("", "host") // short: sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // other users pass through it to their own folders
		t.Fatal(err)
	}
	o := pluginhost.Options{Dir: dir, Limits: pluginhost.DefaultLimits()}
	o.Limits.Call, o.Limits.Grace, o.Limits.Start = 30*time.Second, 300*time.Millisecond, 30*time.Second
	if change != nil {
		change(&o)
	}
	before, files := runtime.NumGoroutine(), openFiles()
	h, err := pluginhost.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("after Close the folder holds %v, %v, want nothing", left, err)
		}
		for range 500 {
			if runtime.NumGoroutine() <= before && openFiles() <= files {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := openFiles(); n > files {
			t.Errorf("after Close %d files are open, want at most %d", n, files)
		}
		stacks := make([]byte, 1<<16)
		t.Errorf("after Close %d goroutines run, want at most %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	})
	return h
}

// openFiles is how many files this process has open, where the system tells.
func openFiles() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

func execute(h *pluginhost.Host, a pluginhost.Artifact) (*pluginv1.ExecuteResponse, error) {
	return h.Execute(context.Background(), a, pluginhost.Settings{}, &pluginv1.ExecuteRequest{
		Case: "c", TaskId: "t", Node: "n", Region: "/CN/", IdempotencyKey: "k", Attempt: 1, InputsJson: "{}", NowUs: 1,
	})
}

// living are the processes that run an executable.
func living(path string) []string {
	var out []string
	procs, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, p := range procs {
		if target, err := os.Readlink(p); err == nil && strings.HasPrefix(target, path) {
			out = append(out, p)
		}
	}
	return out
}

// TestGoodPlugin calls a plugin that behaves, twice: one process serves both calls.
func TestGoodPlugin(t *testing.T) {
	h, a := host(t, nil), plugin(t, "good")
	pid := 0
	for range 2 {
		r, err := execute(h, a)
		if err != nil || r.GetComplete().GetOutputsJson() != `{"region":"/CN/"}` {
			t.Fatalf("Execute() = %v, %v, want the region", r, err)
		}
		s := h.Status()[0]
		if s.State != pluginhost.Ready || pid != 0 && pid != s.PID {
			t.Errorf("Status() = %+v, want it ready in process %d", s, pid)
		}
		pid = s.PID
	}
	report, err := h.Check(t.Context(), a, plugintest.Sample{})
	if err != nil || report.Err() != nil {
		t.Errorf("Check() = %v, %v, want no finding", report.Err(), err)
	}
	h.Stop(a.Digest)
	if left := living(a.Path); len(left) > 0 {
		t.Errorf("after Stop the processes %v run", left)
	}
}

// TestHostilePlugins calls plugins that harm: each call comes back in time with an
// error that says what happened, no process is left, and the state is told.
func TestHostilePlugins(t *testing.T) {
	tests := []struct {
		how, code string
		state     pluginhost.State
	}{
		{"crash-at-start", "PLUGIN_CRASHED", pluginhost.BackOff},
		{"wrong-handshake", "PLUGIN_CRASHED", pluginhost.BackOff},
		{"mute", "PLUGIN_CRASHED", pluginhost.BackOff},
		{"lie", "PLUGIN_IDENTITY", pluginhost.BackOff},
		{"crash", "PLUGIN_CRASHED", pluginhost.BackOff},
		{"panic", "PLUGIN_FAILED", pluginhost.Ready},
		{"hang", "PLUGIN_TIMEOUT", pluginhost.BackOff},
		{"stop", "PLUGIN_TIMEOUT", pluginhost.BackOff},
		{"memory", "PLUGIN_CRASHED", pluginhost.BackOff},
		{"flood", "", pluginhost.Ready},
		{"reply", "", pluginhost.Ready},
	}
	for _, tt := range tests {
		t.Run(tt.how, func(t *testing.T) {
			h, a := host(t, func(o *pluginhost.Options) {
				switch tt.how {
				case "hang", "stop":
					o.Limits.Call = 5 * time.Second
				case "mute":
					o.Limits.Start = 5 * time.Second
				}
			}), plugin(t, tt.how)
			began := time.Now()
			_, err := execute(h, a)
			if took := time.Since(began); took > 40*time.Second {
				t.Errorf("the call took %v", took)
			}
			switch code := fault.CodeOf(err); {
			case tt.how == "reply":
				if err == nil {
					t.Error("500 MB came through, want a refusal")
				}
			case code != tt.code && !(err == nil && tt.code == ""):
				t.Errorf("Execute() = %v, want %s", err, tt.code)
			}
			waitFor(t, func() bool { return tt.how == "reply" || h.Status()[0].State == tt.state })
			s := h.Status()[0]
			if tt.how != "reply" && s.State != tt.state {
				t.Errorf("the state is %s (%s), want %s", s.State, s.LastExit, tt.state)
			}
			if tt.state == pluginhost.BackOff && s.LastExit == "" {
				t.Error("nothing says how it ended")
			}
			if len(s.LastLog) > 52 {
				t.Errorf("%d lines of log are kept", len(s.LastLog))
			}
			if s.State != pluginhost.Ready {
				waitFor(t, func() bool { return len(living(a.Path)) == 0 }) // what was killed takes a moment to go
			}
			if s.State != pluginhost.Ready && len(living(a.Path)) > 0 {
				t.Errorf("the processes %v run on", living(a.Path))
			}
			t.Logf("%v: %s", err, s.LastExit)
		})
	}
}

// TestCallsInDoubt calls a process in which a call has just passed its deadline: what
// comes behind waits until it is known whether that call comes back. When it does not, the
// process is killed, with nobody else in it.
func TestCallsInDoubt(t *testing.T) {
	for inputs, want := range map[string]string{`{"mood":"slow"}`: "", `{"mood":"lost"}`: "PLUGIN_UNAVAILABLE"} {
		t.Run(inputs, func(t *testing.T) {
			now := clock.NewManual(time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)) // what is killed rests
			h, a := host(t, func(o *pluginhost.Options) { o.Clock, o.Limits.Grace = now, 3*time.Second }), plugin(t, "moody")
			ask := func(limit time.Duration, inputs string) error {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				_, err := h.Execute(ctx, a, pluginhost.Settings{}, &pluginv1.ExecuteRequest{
					Case: "c", TaskId: "t", Node: "n", Region: "/CN/", IdempotencyKey: "k", Attempt: 1, InputsJson: inputs, NowUs: 1,
				})
				return err
			}
			if err := ask(time.Minute, "{}"); err != nil {
				t.Fatalf("Execute() = %v", err)
			}
			pid := h.Status()[0].PID
			if err := ask(time.Second, inputs); fault.CodeOf(err) != "PLUGIN_TIMEOUT" {
				t.Fatalf("Execute() of %s = %v, want PLUGIN_TIMEOUT", inputs, err)
			}
			if want != "" {
				if err := ask(10*time.Millisecond, "{}"); fault.CodeOf(err) != "PLUGIN_UNAVAILABLE" {
					t.Errorf("Execute() with little time = %v, want PLUGIN_UNAVAILABLE", err)
				}
			}
			err := ask(time.Minute, "{}")
			if err == nil && want != "" || err != nil && fault.CodeOf(err) != want {
				t.Errorf("Execute() behind it = %v, want %s", err, want)
			}
			if s := h.Status()[0]; want == "" && s.PID != pid || want != "" && s.State != pluginhost.BackOff {
				t.Errorf("Status() = %+v, want process %d to go on: %t", s, pid, want == "")
			}
		})
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestQuarantine lets a plugin crash three times: after each it rests, after the third
// it is left alone until somebody releases it.
func TestQuarantine(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC))
	h, a := host(t, func(o *pluginhost.Options) { o.Clock = now }), plugin(t, "crash")
	for i, rest := range []time.Duration{time.Second, 2 * time.Second} {
		if _, err := execute(h, a); fault.CodeOf(err) != "PLUGIN_CRASHED" {
			t.Fatalf("call %d = %v, want PLUGIN_CRASHED", i, err)
		}
		if _, err := execute(h, a); fault.CodeOf(err) != "PLUGIN_UNAVAILABLE" {
			t.Fatalf("the call right after crash %d = %v, want PLUGIN_UNAVAILABLE", i, err)
		}
		now.Advance(rest)
	}
	if _, err := execute(h, a); fault.CodeOf(err) != "PLUGIN_CRASHED" {
		t.Fatalf("the third = %v, want PLUGIN_CRASHED", err)
	}
	now.Advance(2 * time.Hour)
	if _, err := execute(h, a); fault.CodeOf(err) != "PLUGIN_QUARANTINED" || h.Status()[0].State != pluginhost.Quarantined {
		t.Fatalf("after the third = %v in state %s, want it quarantined", err, h.Status()[0].State)
	}
	h.Release(a.Digest)
	if _, err := execute(h, a); fault.CodeOf(err) != "PLUGIN_CRASHED" {
		t.Errorf("released = %v, want PLUGIN_CRASHED", err)
	}
}

// TestEndlessStream lets a strategy talk for ever: the run ends at its deadline and the
// process with it.
func TestEndlessStream(t *testing.T) {
	h, a := host(t, func(o *pluginhost.Options) { o.Limits.Talk = 5 * time.Second }), plugin(t, "endless")
	heard := 0
	err := h.Propose(t.Context(), a, pluginhost.Settings{}, func(_ context.Context, s pluginhost.Proposing) error {
		if err := s.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Header{Header: &pluginv1.Header{RunId: "r", BaseDigest: "x", Region: "/CN/", NowUs: 1}}}); err != nil {
			return err
		}
		if err := s.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Snapshot{Snapshot: &pluginv1.Snapshot{BpmnXml: []byte("<x/>")}}}); err != nil {
			return err
		}
		for {
			if _, err := s.Recv(); err != nil {
				return err
			}
			heard++
		}
	})
	if fault.CodeOf(err) != "PLUGIN_TIMEOUT" || heard == 0 {
		t.Errorf("Propose() = %v after %d messages, want PLUGIN_TIMEOUT after some", err, heard)
	}
	waitFor(t, func() bool { return len(living(a.Path)) == 0 })
	if left := living(a.Path); len(left) > 0 {
		t.Errorf("the processes %v run on", left)
	}
}

// TestChangedBinary changes one byte of an executable: it is not started.
func TestChangedBinary(t *testing.T) {
	h, a := host(t, nil), plugin(t, "good")
	f, err := os.OpenFile(a.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if _, err := execute(h, a); fault.CodeOf(err) != "PLUGIN_CHANGED" {
		t.Errorf("Execute() = %v, want PLUGIN_CHANGED", err)
	}
}

// TestIsolation lets a plugin try what it must not do, as far as this machine can
// keep it from it.
func TestIsolation(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("plugins are kept apart on Linux only")
	}
	t.Setenv("SPMS_SECRET_TOKEN", "must not be seen")
	listener, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	h := host(t, nil)
	snoop, fork := plugin(t, "snoop"), plugin(t, "fork")
	r, err := execute(h, snoop)
	if err != nil {
		t.Fatalf("Execute() = %v", err)
	}
	isolation := h.Status()[0].Isolation
	t.Logf("isolation: %v", isolation)
	for _, layer := range []string{sandbox.Environment, sandbox.Limits, sandbox.NoNewRights} {
		if !slices.Contains(isolation, layer) {
			t.Errorf("%s was not achieved: %v", layer, isolation)
		}
	}
	if got := r.GetComplete().GetOutputsJson(); !slices.Contains(isolation, sandbox.Landlock) {
		t.Logf("this kernel has no Landlock: what everybody may read plugins may read: %s", got)
	} else if got != `{"reached":[]}` {
		t.Errorf("the plugin could reach %s, want nothing", got)
	}
	if got := r.GetComplete().GetOutputsJson(); strings.Contains(got, "SECRET") || strings.Contains(got, "loopback") && slices.Contains(isolation, sandbox.Seccomp) {
		t.Errorf("the plugin could reach %s", got)
	}
	r, err = execute(h, fork)
	if err != nil {
		t.Fatalf("Execute() = %v", err)
	}
	if got := r.GetComplete().GetOutputsJson(); slices.Contains(isolation, sandbox.Seccomp) && got != `{"started":0}` {
		t.Errorf("the plugin started programs: %s, want none", got)
	}
	h.Stop(fork.Digest)
	if left := living("/bin/sleep"); len(left) > 0 {
		t.Errorf("programs that the plugin started run on: %v", left)
	}
}
