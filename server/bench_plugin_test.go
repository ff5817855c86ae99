package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/innovation"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/plugins/builtin"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
	"github.com/openspms/spms/server"
)

func moduleNode(id string) string {
	return `<bpmn:serviceTask id="` + id + `" name="通知"><bpmn:extensionElements><spms:task nameEn="Tell" stage="demand" topic="answer.expert" role="integration"/></bpmn:extensionElements>` +
		`<bpmn:incoming>f%d</bpmn:incoming><bpmn:outgoing>f%d</bpmn:outgoing></bpmn:serviceTask>`
}

// benchPlugins is a house that starts plugins, with the bench processes, one of five
// tasks for modules among them, and the test's module assigned to those.
func benchPlugins(b *testing.B, url string) *server.House {
	b.Helper()
	h := benchHouse(b, url)
	dir, err := os.MkdirTemp("", "bp")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // plugins run as other users
		b.Fatal(err)
	}
	public, private, err := bundle.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	trust := filepath.Join(dir, "trust.pub")
	if err := os.WriteFile(trust, []byte(public.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(dir, "answering")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-ldflags", "-s -w -X main.version=1.0.0", "-o", program, "./testdata/answering").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	if err := h.OpenPlugins(server.PluginConfig{Dir: filepath.Join(dir, "p"), Trust: []string{trust}, Limits: pluginhost.DefaultLimits()}); err != nil {
		b.Fatal(err)
	}
	author, publisher, admin := as(b, h, "hq-standard"), as(b, h, "hq-approver"), as(b, h, "ha-admin")
	made, err := h.Definitions.CreateProcess(author, definition.CreateProcess{RegionID: "CN", BPMN: chain("bench-module", 5, moduleNode)})
	if err == nil {
		_, err = h.Definitions.Submit(author, definition.Submit{VersionID: made.VersionID, Revision: 1})
	}
	if err == nil {
		_, err = h.Definitions.Publish(publisher, definition.Publish{VersionID: made.VersionID, Revision: 2})
	}
	if err == nil {
		_, err = h.Definitions.Bind(publisher, definition.Bind{VersionID: made.VersionID, RegionID: "CN-HA-ZZ"})
	}
	if err != nil {
		b.Fatal(err)
	}
	data, err := bundle.Pack(dir, manifest("1.0.0"))
	if err == nil {
		data, err = bundle.Sign(data, private)
	}
	if err != nil {
		b.Fatal(err)
	}
	digest, err := h.Innovation.Keep(admin, data)
	if err == nil {
		_, err = h.Innovation.Upload(admin, innovation.UploadPlugin{Digest: digest, RegionID: "CN-HA"})
	}
	if err == nil {
		_, err = h.Innovation.Test(admin, innovation.TestPlugin{VersionID: "answering@1.0.0"})
	}
	for range 600 {
		v, e := h.Store.Client().PluginVersion.Query().Where(innovation.VersionRef("answering@1.0.0")).Only(admin)
		if err != nil || e != nil || v.TestState == "done" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err == nil {
		_, err = h.Innovation.Approve(as(b, h, "demo-admin"), innovation.JudgePlugin{VersionID: "answering@1.0.0"})
	}
	topic, role, places := "answer.expert", "l2", 16
	if err == nil {
		_, err = h.Innovation.Assign(admin, innovation.AssignPlugin{
			VersionID: "answering@1.0.0", RegionID: "CN-HA", Topic: &topic, Mode: "full", FallbackRole: &role, Concurrency: &places,
			Outputs: []*innovation.Mapping{{Name: "nothing", Variable: "n.count"}},
		})
	}
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// BenchmarkModules measures tasks that a module does inside cases, five to a case, each
// written down before and after its call.
func BenchmarkModules(b *testing.B) {
	for _, db := range databases {
		b.Run(db.name, func(b *testing.B) {
			h := benchPlugins(b, db.url(b))
			ctx := access.With(b.Context(), access.System("bench"))
			for range b.N {
				if _, err := h.Cases.StartCase(ctx, execution.StartCase{ProcessKey: "bench-module", RegionID: "CN-HA-ZZ"}); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			work, end := context.WithCancel(b.Context())
			var running sync.WaitGroup
			running.Go(func() { h.RunPlugins(work) })
			look := time.NewTicker(20 * time.Millisecond)
			defer look.Stop()
			for active(b, h) > 0 {
				<-look.C
			}
			b.StopTimer()
			end()
			running.Wait()
			b.ReportMetric(5*float64(b.N)/b.Elapsed().Seconds(), "modules/s")
		})
	}
}

// active is how many cases go on.
func active(b *testing.B, h *server.House) int {
	b.Helper()
	n, err := h.Store.Client().ServiceCase.Query().Where(servicecase.StateEQ(servicecase.StateActive)).Count(access.With(b.Context(), access.System("bench")))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkHostileModule is the completion of a human task alone and beside a plugin
// that keeps the processors busy, fills its memory and floods its log, in turns: from
// its first moment on, and without a limit to its time of the processor, once it has filled its memory.
func BenchmarkHostileModule(b *testing.B) {
	h := benchHouse(b, databases[0].url(b))
	dir, err := os.MkdirTemp("", "bh")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // plugins run as other users
		b.Fatal(err)
	}
	wild := pluginhost.Artifact{Digest: "sha256:wild", Name: "answering", Version: "1.0.0", Path: filepath.Join(dir, "answering")}
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-ldflags", "-s -w -X main.version=1.0.0", "-o", wild.Path, "./testdata/answering").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	content, err := os.ReadFile(wild.Path)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256(content)
	wild.SHA256 = hex.EncodeToString(sum[:])
	for _, how := range []struct {
		name      string
		noGroups  bool
		unlimited bool
		round     int // cases, of five tasks each
	}{{"cgroup", false, false, 600}, {"nice", true, false, 600}, {"cgroup-unlimited", false, true, 40}, {"nice-unlimited", true, true, 40}} {
		b.Run(how.name, func(b *testing.B) {
			limits := pluginhost.DefaultLimits()
			limits.Call, limits.CrashesPerHour = time.Hour, 1<<20
			if how.unlimited {
				limits.Burst = 0
			}
			host, err := pluginhost.Open(pluginhost.Options{Log: slog.New(slog.DiscardHandler), Clock: clock.System{}, Limits: limits, NoGroups: how.noGroups})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = host.Close() }()
			ctx := as(b, h, "zz-agent")
			complete := func(n int) (took []time.Duration) {
				for range n {
					took = append(took, completions(b, ctx, h)...)
				}
				return took
			}
			complete(5)
			var alone, beside []time.Duration
			b.ResetTimer()
			for n := 0; n < b.N || n < 2*how.round; n += how.round {
				alone = append(alone, complete(how.round)...)
				end := havoc(b, host, wild, how.unlimited)
				if s := host.Status()[0]; !how.noGroups && !slices.Contains(s.Isolation, "cgroup") {
					end()
					b.Skipf("SKIPPED, NOT MEASURED HERE: %v", s.Missing)
				}
				beside = append(beside, complete(how.round)...)
				if s := host.Status()[0]; s.InFlight != 1 || s.Throttled == how.unlimited {
					b.Errorf("at the end of the round the plugin is %+v, want it at it, and throttled: %v", s, !how.unlimited)
				}
				end()
			}
			b.ReportMetric(float64(p99(alone).Microseconds()), "p99-µs")
			b.ReportMetric(float64(p99(beside).Microseconds()), "p99-beside-µs")
			b.ReportMetric(float64(p99(beside))/float64(p99(alone)), "ratio")
			b.ReportMetric(float64(beside[len(beside)/2])/float64(alone[len(alone)/2]), "p50-ratio")
		})
	}
}

// completions works the five tasks of a case and tells how long each completion took.
func completions(b *testing.B, ctx context.Context, h *server.House) (took []time.Duration) {
	b.Helper()
	made, err := h.Cases.StartCase(ctx, execution.StartCase{ProcessKey: "bench-human", RegionID: "CN-HA-ZZ"})
	if err != nil {
		b.Fatal(err)
	}
	row, err := h.Store.Client().ServiceCase.Get(ctx, made.CaseID)
	if err != nil {
		b.Fatal(err)
	}
	tasks, err := row.QueryTasks().All(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for id := tasks[0].ID; ; {
		if _, err := h.Cases.ClaimTask(ctx, execution.TaskRef{TaskID: &id}); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		done, err := h.Cases.CompleteTask(ctx, execution.CompleteTask{TaskID: &id})
		if err != nil {
			b.Fatal(err)
		}
		if took = append(took, time.Since(began)); len(done.Next) == 0 {
			return took
		}
		id = done.Next[0]
	}
}

// havoc lets the plugin do its worst until end is called. It returns when the call has
// begun, or when the plugin has filled its memory.
func havoc(b *testing.B, host *pluginhost.Host, a pluginhost.Artifact, filled bool) (end func()) {
	b.Helper()
	var running sync.WaitGroup
	running.Go(func() {
		_, _ = host.Execute(context.Background(), a, pluginhost.Settings{}, &pluginv1.ExecuteRequest{ // it is ended
			Case: "c", TaskId: "t", Node: "n", Region: "/CN/", IdempotencyKey: "k", Attempt: 1, NowUs: 1, InputsJson: `{"question":"havoc"}`,
		})
	})
	for {
		for _, s := range host.Status() {
			if s.InFlight > 0 && (!filled || s.MemoryBytes > 200<<20) {
				return func() { host.Stop(a.Digest); running.Wait() }
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func p99(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)*99/100]
}

// BenchmarkIdlePlugin is the memory of a process of each plugin of the product after
// its start.
func BenchmarkIdlePlugin(b *testing.B) {
	host, err := pluginhost.Open(pluginhost.Options{Limits: pluginhost.DefaultLimits()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	for _, p := range builtin.All() {
		b.Run(p.Name, func(b *testing.B) {
			most := int64(0)
			for range b.N {
				s, err := host.Probe(b.Context(), pluginhost.Artifact{Digest: p.Name, Name: p.Name, Version: p.Version, Inside: builtin.Variable + "=" + p.Name})
				if err != nil {
					b.Fatal(err)
				}
				most = max(most, s.MemoryBytes)
			}
			b.ReportMetric(float64(most)/(1<<20), "MiB")
		})
	}
}
