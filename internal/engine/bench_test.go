package engine_test

import (
	"testing"

	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/model/modeltest"
)

func compileText(t testing.TB, text string) *model.Model {
	t.Helper()
	g, err := modeltest.Graph(text)
	if err != nil {
		t.Fatal(err)
	}
	m, findings := model.Compile(g, model.Options{})
	if m == nil {
		t.Fatal(findings)
	}
	return m
}

// BenchmarkStraightThrough runs a five-node process in one step.
func BenchmarkStraightThrough(b *testing.B) {
	m := compileText(b, "var n int\nstart s\ntask a\nxor g\nend e\nend f\nflow s -> a -> g\nflow g -> e when n > 1\nflow g -> f default")
	vars := map[string]any{"n": int64(2)}
	var out []engine.Effect
	for b.Loop() {
		var s engine.State
		var err error
		if out, err = engine.Step(m, &s, engine.Event{Kind: engine.Start, Variables: vars}, epoch, out[:0]); err != nil || !s.Ended {
			b.Fatal(err, s)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "steps/s")
	b.ReportMetric(4*float64(b.N)/b.Elapsed().Seconds(), "nodes/s")
}

// BenchmarkHumanTasks runs a process of five people's tasks, six steps a case.
func BenchmarkHumanTasks(b *testing.B) {
	m := compileText(b, "var n int\nstart s\nuser a\nuser b\nuser c\nuser d\nuser f\nend e\nflow s -> a -> b -> c -> d -> f -> e")
	var out []engine.Effect
	tokens := make([]engine.Token, 0, 4)
	for b.Loop() {
		s := engine.State{Tokens: tokens[:0]}
		ev := engine.Event{Kind: engine.Start}
		for !s.Ended {
			var err error
			if out, err = engine.Step(m, &s, ev, epoch, out[:0]); err != nil {
				b.Fatal(err)
			}
			ev = engine.Event{Kind: engine.TaskCompleted, Token: 1}
		}
	}
	b.ReportMetric(6*float64(b.N)/b.Elapsed().Seconds(), "steps/s")
}

// BenchmarkDigest computes the digest of a state in the middle of a case.
func BenchmarkDigest(b *testing.B) {
	m := compileText(b, "var n int\nstart s\nand g\nuser a\nuser b\nend e\nflow s -> g -> a -> e\nflow g -> b -> e")
	var s engine.State
	if _, err := engine.Step(m, &s, engine.Event{Kind: engine.Start, Variables: map[string]any{"n": int64(2)}}, epoch, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		engine.Digest(m, &s)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "digests/s")
}
