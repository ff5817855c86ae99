package pluginhost_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/plugins/builtin/staffing"
	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// drainer reads the log and does nothing with it: what streaming alone costs.
type drainer struct{}

// Propose counts the events.
func (drainer) Propose(_ context.Context, run *sdk.Run) error {
	for _, err := range run.Events() {
		if err != nil {
			return err
		}
	}
	return nil
}

const streamed = 1_000_000

// longLog is a log of a million events in messages of 2,000: three of each task, some
// twenty of which are open at a time, in four pools.
func longLog() []*pluginv1.ToStrategy {
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // seeded
	const start = 1_767_574_800_000_000
	type task struct {
		name, pool string
		next       int
	}
	var open []task
	var out []*pluginv1.ToStrategy
	batch := &pluginv1.EventBatch{}
	n, at := 0, int64(start)
	for sent := range streamed {
		at += int64(r.IntN(20_000_000))
		if len(open) < 20 {
			n++
			open = append(open, task{fmt.Sprintf("%016x", n*2654435761), fmt.Sprintf("pool-%d", n%4), 0})
		}
		k := r.IntN(len(open))
		t := &open[k]
		batch.Events = append(batch.Events, &pluginv1.Event{
			Case: t.name, Node: "visit", Activity: "上门安装调测", Pool: t.pool, TimeUs: at,
			Lifecycle: []pluginv1.Lifecycle{pluginv1.Lifecycle_LIFECYCLE_SCHEDULE, pluginv1.Lifecycle_LIFECYCLE_START, pluginv1.Lifecycle_LIFECYCLE_COMPLETE}[t.next],
		})
		if t.next++; t.next == 3 {
			open[k] = open[len(open)-1]
			open = open[:len(open)-1]
		}
		if len(batch.Events) == 2000 || sent == streamed-1 {
			out = append(out, &pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Events{Events: batch}})
			batch = &pluginv1.EventBatch{}
		}
	}
	return out
}

// peak is the largest resident set of a process in MiB; 0 where the system does not tell.
func peak(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

// BenchmarkStream sends a million events to a strategy that ships, in the sandbox, and
// beside it to one that only reads: events a second, and the plugin's largest memory.
func BenchmarkStream(b *testing.B) {
	log := longLog()
	pools := `[{"id":"pool-0","capacity":8},{"id":"pool-1","capacity":8},{"id":"pool-2","capacity":8},{"id":"pool-3","capacity":8}]`
	for _, name := range []string{"staffing", "drain"} {
		b.Run(name, func(b *testing.B) {
			h, a := host(b, func(o *pluginhost.Options) { o.Limits.Talk = 30 * time.Minute }), plugin(b, name)
			for b.Loop() {
				err := h.Propose(context.Background(), a, pluginhost.Settings{}, func(_ context.Context, s pluginhost.Proposing) error {
					go tell(s, pools, log)
					for {
						m, err := s.Recv()
						switch {
						case errors.Is(err, io.EOF):
							return nil
						case err != nil:
							return err
						case m.GetEvaluate() != nil:
							if err := s.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Answer{Answer: &pluginv1.EvaluateAnswer{Question: m.GetEvaluate().GetQuestion(), Accepted: true}}}); err != nil {
								return err
							}
						}
					}
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*streamed/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(peak(pidOf(b, a)), "plugin-MiB")
		})
	}
}

// tell sends one run; that it cannot shows in what is received.
func tell(s pluginhost.Proposing, pools string, log []*pluginv1.ToStrategy) {
	first := []*pluginv1.ToStrategy{
		{Message: &pluginv1.ToStrategy_Header{Header: &pluginv1.Header{RunId: "r", Seed: 1, BaseDigest: "sha256:0", NowUs: 1_800_000_000_000_000, Limits: &pluginv1.Limits{Proposals: 20, Questions: 200, Edits: 50}}}},
		{Message: &pluginv1.ToStrategy_Snapshot{Snapshot: &pluginv1.Snapshot{BpmnXml: []byte("<definitions/>"), PoolsJson: pools}}},
	}
	for _, part := range [][]*pluginv1.ToStrategy{first, log, {{Message: &pluginv1.ToStrategy_EndOfLog{EndOfLog: &pluginv1.EndOfLog{Events: streamed}}}}} {
		for _, m := range part {
			if s.Send(m) != nil {
				return
			}
		}
	}
}

// pidOf finds the process of an artifact by the program that it runs.
func pidOf(b *testing.B, a pluginhost.Artifact) int {
	b.Helper()
	pid := 0
	for _, path := range living(a.Path) {
		if _, err := fmt.Sscanf(path, "/proc/%d/exe", &pid); err == nil {
			return pid
		}
	}
	return 0
}

// streaming is the plugin of the benchmark that a name stands for.
func streaming(name string) (sdk.Plugin, bool) {
	switch name {
	case "staffing":
		return staffing.Plugin, true
	case "drain":
		return sdk.Plugin{Name: "drain", Version: "1.0.0", Strategy: drainer{}}, true
	}
	return sdk.Plugin{}, false
}
