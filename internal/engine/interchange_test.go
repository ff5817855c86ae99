package engine_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/model"
)

const interchange = "../bpmn/testdata/interchange/"

// TestInterchangePlays compiles every process of the models for interchange, plays
// those that compile to their end, and compares with the table that says which do.
func TestInterchangePlays(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(interchange + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(readme)) {
		if cells := strings.Split(line, "|"); len(cells) == 6 {
			said[strings.TrimSpace(cells[1])+" "+strings.TrimSpace(cells[2])] = strings.TrimSpace(cells[3]) + " / " + strings.TrimSpace(cells[4])
		}
	}
	files, err := filepath.Glob(interchange + "*.bpmn")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v, want ten", len(files), err)
	}
	seen := 0
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := bpmn.Parse(strings.NewReader(string(src)), bpmn.Limits{})
		if err != nil {
			t.Fatalf("Parse(%s) = %v", f, err)
		}
		all, err := d.Graphs()
		if err != nil {
			t.Fatalf("Graphs(%s) = %v", f, err)
		}
		for _, g := range all {
			seen++
			of := strings.TrimSuffix(filepath.Base(f), ".bpmn") + " " + g.ID
			got := played(t, g)
			if got += " / " + played(t, filledIn(g)); got != said[of] {
				t.Errorf("%s: %s; the table says %q", of, got, said[of])
			}
		}
	}
	if seen == 0 || len(said) < seen {
		t.Errorf("the table has %d processes of %d", len(said), seen)
	}
}

// played says what becomes of a process: the end it comes to, or the codes for which it
// is refused.
func played(t *testing.T, g *bpmn.Graph) string {
	m, findings := model.Compile(g, model.Options{})
	if m == nil || len(model.Errors(findings)) > 0 {
		var codes []string
		for _, f := range model.Errors(findings) {
			codes = append(codes, "`"+f.Code+"`")
		}
		slices.Sort(codes)
		return "refused: " + strings.Join(slices.Compact(codes), ", ")
	}
	p := &play{t: t, m: m, now: epoch}
	start := engine.Event{Kind: engine.Start}
	if len(m.Starts) > 1 || m.Nodes[m.Starts[0]].Kind != bpmn.NoneEvent {
		start.Node = m.Nodes[m.Starts[0]].ID
	}
	if err := p.apply(start); err != nil {
		return "does not start: " + err.Error()
	}
	for range 200 {
		if p.s.Ended {
			p.replay()
			return "ends at " + p.s.Outcome
		}
		if !p.answer() {
			p.said = nil
			p.tokens()
			return "waits: " + strings.Join(p.said, " ")
		}
		invariants(t, &p.s)
	}
	return "does not end"
}

// answer does the next plausible thing: what people, programs and other cases do before
// what time does. It reports whether there was anything.
func (p *play) answer() bool {
	for _, tok := range slices.Clone(p.s.Tokens) {
		switch tok.Status {
		case engine.AtTask, engine.Calling:
			return p.apply(engine.Event{Kind: engine.TaskCompleted, Token: tok.Seq}) == nil
		case engine.AtMessage:
			return p.apply(engine.Event{Kind: engine.MessageReceived, Name: tok.WaitName, Key: tok.WaitKey}) == nil
		case engine.AtSignal:
			return p.apply(engine.Event{Kind: engine.SignalReceived, Name: tok.WaitName}) == nil
		}
	}
	for _, tok := range p.s.Tokens { // the first branch of an event-based gateway
		if host := slices.IndexFunc(p.s.Tokens, func(h engine.Token) bool { return h.Seq == tok.Host && h.Status == engine.AtEvent }); host >= 0 && tok.WaitName != "" {
			return p.apply(engine.Event{Kind: engine.MessageReceived, Name: tok.WaitName, Key: tok.WaitKey}) == nil ||
				p.apply(engine.Event{Kind: engine.SignalReceived, Name: tok.WaitName}) == nil
		}
	}
	var due []time.Time
	for _, tok := range p.s.Tokens {
		for _, timer := range tok.Timers {
			if timer.Set {
				due = append(due, timer.Due)
			}
		}
	}
	if len(due) == 0 {
		return false
	}
	p.advance(later(p.now, slices.MinFunc(due, func(a, b time.Time) int { return cmp.Compare(a.UnixNano(), b.UnixNano()) })))
	return true
}

// filledIn puts into a process what its drawing does not say in the words of the engine:
// conditions (they hold, without a default that of the last way out), times (an hour), names of messages and called
// processes, how often a loop runs. What makes up the drawing stays.
func filledIn(g *bpmn.Graph) *bpmn.Graph {
	for _, f := range g.Flows {
		from := g.Nodes[slices.IndexFunc(g.Nodes, func(n *bpmn.Node) bool { return n.ID == f.From })]
		splits := len(from.Outgoing) > 1 && (from.Type == bpmn.ExclusiveGateway || from.Type == bpmn.InclusiveGateway)
		if from.Default != f.ID && (splits || f.Condition != "") {
			f.Condition = "true"
		}
		if last := from.Outgoing[len(from.Outgoing)-1]; splits && from.Type == bpmn.ExclusiveGateway && from.Default == "" && f.ID != last {
			f.Condition = "false"
		}
	}
	for _, n := range g.Nodes {
		if n.Type == bpmn.ScriptTask {
			n.Script, n.ScriptResult = "true", ""
		}
		if n.Type == bpmn.CallActivity {
			n.CalledElement = "called"
		}
		if l := n.Loop; l != nil && l.MultiInstance {
			l.Cardinality, l.Collection, l.Element, l.Completion = "2", "", "", ""
		} else if l != nil {
			l.Condition, l.Maximum = "", 2
		}
		e := n.Event
		if e == nil {
			continue
		}
		e.Correlation = ""
		switch e.Kind {
		case bpmn.TimerEvent:
			e.Date, e.Duration, e.Cycle = "", "PT1H", ""
		case bpmn.ConditionalEvent:
			e.Condition = "true"
		case bpmn.MessageEvent, bpmn.SignalEvent:
			if e.Name == "" {
				e.Name = n.ID
			}
		}
	}
	return g
}
