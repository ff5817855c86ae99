package engine_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/model/modeltest"
)

var update = flag.Bool("update", false, "write what happens into the scenario files")

var epoch = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)

// entry is an event of a case with its instant: what history keeps.
type entry struct {
	at    time.Time
	event []byte
}

// play is one scenario under way.
type play struct {
	t       testing.TB
	m       *model.Model
	s       engine.State
	now     time.Time
	history []entry
	sent    []engine.Effect // messages, signals and calls of the last step
	said    []string
}

func newPlay(t testing.TB, text string) *play {
	t.Helper()
	g, err := modeltest.Graph(text)
	if err != nil {
		t.Fatalf("read the model: %v", err)
	}
	m, findings := model.Compile(g, model.Options{})
	if m == nil {
		t.Fatalf("Compile: %v", findings)
	}
	return &play{t: t, m: m, now: epoch}
}

// apply sends one event through JSON to a copy of the state that went through
// JSON, too: as rows and history do.
func (p *play) apply(ev engine.Event) error {
	for {
		raw, err := json.Marshal(ev)
		if err != nil {
			p.t.Fatal(err)
		}
		s := throughJSON(p.t, p.s)
		out, err := engine.Step(p.m, &s, throughJSON(p.t, ev), p.now, nil)
		if err != nil {
			p.said = append(p.said, "refused "+fault.CodeOf(err))
			return err
		}
		if again := mustJSON(p.t, ev); string(again) != string(raw) {
			p.t.Errorf("Step changed its event from %s to %s", raw, again)
		}
		p.s = s
		p.history = append(p.history, entry{p.now, raw})
		p.tell(out)
		if !slices.ContainsFunc(out, func(e engine.Effect) bool { return e.Kind == engine.Continued }) {
			return nil
		}
		ev = engine.Event{Kind: engine.Continue}
	}
}

func throughJSON[T any](t testing.TB, v T) T {
	t.Helper()
	var out T
	if err := json.Unmarshal(mustJSON(t, v), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// tell writes effects in the words of the scenario language.
func (p *play) tell(out []engine.Effect) {
	var trail []string
	flush := func() {
		if len(trail) > 0 {
			p.said = append(p.said, "enter "+strings.Join(trail, " "))
			trail = nil
		}
	}
	for _, e := range out {
		if e.Variables != nil {
			p.sent = append(p.sent, e)
		}
		id := ""
		if e.Node >= 0 {
			id = p.m.Nodes[e.Node].ID
		}
		if e.Kind == engine.NodeEntered {
			trail = append(trail, id)
			continue
		}
		line := ""
		switch e.Kind {
		case engine.TaskCreated:
			line = "task " + id
		case engine.TaskDone:
			line = "done " + id
		case engine.TaskCancelled:
			line = "untask " + id
		case engine.TimerSet:
			line = "timer " + id + " unset"
			if e.Set {
				line = "timer " + id + " " + e.Due.Format(time.RFC3339)
			}
		case engine.TimerCancelled:
			line = "untimer " + id
		case engine.DomainEvent:
			line = "event " + e.Name
		case engine.PauseBegun:
			line = strings.TrimSpace("pause " + e.Name + " " + strings.Join(e.Indicators, " "))
		case engine.PauseEnded:
			line = "resume " + e.Name
		case engine.MessageWait:
			line = strings.TrimSpace("wait " + e.Name + " " + e.Key)
		case engine.MessageWaitEnded:
			line = strings.TrimSpace("unwait " + e.Name + " " + e.Key)
		case engine.MessageThrown:
			line = strings.TrimSpace("message " + e.Name + " " + e.Key)
		case engine.SignalThrown:
			line = "signal " + e.Name
		case engine.Escalation:
			line = "escalation " + e.Name
		case engine.CaseCalled:
			line = "call " + e.Name
		case engine.CallCancelled:
			line = "uncall " + id
		case engine.Failed:
			line = "failed " + id + " " + e.Code
		case engine.CaseEnded:
			line = strings.TrimSpace("ended " + e.Name + " " + e.Code)
		case engine.CaseCancelled:
			line = "cancelled"
		case engine.NodeLeft:
			if e.Code == "" {
				continue
			}
			line = "abort " + id
		case engine.Continued:
			line = "continued"
		}
		flush()
		p.said = append(p.said, line)
	}
	flush()
}

// at returns the sequence number of the first token at a node with a status, 0 without.
func (p *play) at(id string, statuses ...engine.Status) int {
	for _, t := range p.s.Tokens {
		if p.m.Nodes[t.Node].ID == id && slices.Contains(statuses, t.Status) {
			return t.Seq
		}
	}
	return 0
}

// advance moves the clock and fires the timers that are due, the earliest first.
func (p *play) advance(to time.Time) {
	for {
		var next *engine.Timer
		for i := range p.s.Tokens {
			for j := range p.s.Tokens[i].Timers {
				t := &p.s.Tokens[i].Timers[j]
				if t.Set && !t.Due.After(to) && (next == nil || t.Due.Before(next.Due) || t.Due.Equal(next.Due) && t.Seq < next.Seq) {
					next = t
				}
			}
		}
		if next == nil {
			p.now = to
			return
		}
		p.now = later(p.now, next.Due)
		p.said = append(p.said, "fire "+p.m.Nodes[next.Node].ID+" "+p.now.Format(time.RFC3339))
		if err := p.apply(engine.Event{Kind: engine.TimerFired, Timer: next.Seq}); err != nil {
			p.t.Fatalf("fire timer %d: %v", next.Seq, err)
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// do carries out one step line.
func (p *play) do(line string) {
	words, err := modeltest.Words(line)
	if err != nil {
		p.t.Fatal(err)
	}
	arg := func(i int) string {
		if i < len(words) && !strings.Contains(words[i], "=") {
			return words[i]
		}
		return ""
	}
	ev := engine.Event{Variables: p.variables(words)}
	switch words[0] {
	case "start":
		ev.Kind, ev.Node, ev.Name = engine.Start, arg(1), named(words, "message")
	case "begin":
		ev.Kind, ev.Token = engine.TaskBegun, p.at(arg(1), engine.AtTask)
	case "complete":
		ev.Kind, ev.Token = engine.TaskCompleted, p.at(arg(1), engine.AtTask, engine.Calling)
	case "message":
		ev.Kind, ev.Name, ev.Key = engine.MessageReceived, arg(1), named(words, "key")
	case "signal":
		ev.Kind, ev.Name = engine.SignalReceived, arg(1)
	case "error":
		ev.Kind, ev.Token, ev.Name = engine.ErrorThrown, p.at(arg(1), engine.AtTask, engine.Calling), arg(2)
	case "escalate":
		ev.Kind, ev.Token, ev.Name = engine.Escalated, p.at(arg(1), engine.AtTask, engine.Calling), arg(2)
	case "retry":
		ev.Kind, ev.Token = engine.Retry, p.at(arg(1), engine.AtFailure)
	case "cancel":
		ev.Kind = engine.Cancel
	case "set":
		ev.Kind = engine.VariablesSet
	case "skip":
		ev.Kind, ev.Token = engine.Skipped, p.at(arg(1), atRest...)
	case "move":
		ev.Kind, ev.Token, ev.Node = engine.TokenMoved, p.at(arg(1), atRest...), arg(2)
		for i := 3; arg(i) != ""; i++ {
			ev.Tokens = append(ev.Tokens, p.at(arg(i), atRest...))
		}
	case "wait":
		d, err := expr.ParsePeriod(arg(1))
		if err != nil {
			p.t.Fatal(err)
		}
		p.advance(d.After(p.now))
		return
	case "tokens":
		p.tokens()
		return
	case "sent":
		for _, e := range p.sent {
			p.said = append(p.said, fmt.Sprintf("%s with %s = %s", e.Name, arg(1), mustJSON(p.t, model.Get(e.Variables, arg(1)))))
		}
		return
	case "show":
		p.said = append(p.said, fmt.Sprintf("%s = %s", arg(1), mustJSON(p.t, model.Get(p.s.Variables, arg(1)))))
		return
	default:
		p.t.Fatalf("unknown step %q", line)
	}
	p.sent = nil
	_ = p.apply(ev)
}

// atRest are the statuses of tokens that people can act on.
var atRest = []engine.Status{
	engine.AtTask, engine.AtTimer, engine.AtMessage, engine.AtSignal, engine.AtTrue, engine.AtEvent, engine.InScope,
	engine.Instances, engine.AtJoin, engine.Calling, engine.Undoing, engine.AtFailure,
}

// tokens says where the tokens stand.
func (p *play) tokens() {
	line := "tokens"
	for _, t := range p.s.Tokens {
		line += fmt.Sprintf(" %s:%s", p.m.Nodes[t.Node].ID, t.Status)
	}
	p.said = append(p.said, line)
}

func named(words []string, key string) string {
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, key+"="); ok {
			return v
		}
	}
	return ""
}

// variables reads name:=JSON words. A message's are fields of its payload.
func (p *play) variables(words []string) map[string]any {
	in := map[string]any{}
	for _, w := range words {
		k, v, ok := strings.Cut(w, ":=")
		if !ok {
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(v), &value); err != nil {
			value = v
		}
		in[k] = value
	}
	if len(in) == 0 {
		return nil
	}
	if words[0] == "message" || words[0] == "signal" {
		return in
	}
	out, err := p.m.CheckVariables(in, nil)
	if err != nil {
		p.t.Fatalf("variables of %v: %v", words, err)
	}
	return out
}

// replay plays the history again from nothing.
func (p *play) replay() {
	var s engine.State
	for _, h := range p.history {
		var ev engine.Event
		if err := json.Unmarshal(h.event, &ev); err != nil {
			p.t.Fatal(err)
		}
		if _, err := engine.Step(p.m, &s, ev, h.at, nil); err != nil {
			p.t.Fatalf("replay %s: %v", h.event, err)
		}
	}
	if got, want := engine.Digest(p.m, &s), engine.Digest(p.m, &p.s); got != want {
		p.t.Errorf("replay: Digest = %s, want %s\n%s", got, want, cmp.Diff(p.s, s))
	}
}

// invariants holds what is true of every state at rest.
func invariants(t testing.TB, s *engine.State) {
	t.Helper()
	if s.Ended != (len(s.Tokens) == 0) || s.Ended && len(s.Scopes) > 0 {
		t.Errorf("ended %v with %d tokens and %d scopes", s.Ended, len(s.Tokens), len(s.Scopes))
	}
	for i, tok := range s.Tokens {
		if i > 0 && s.Tokens[i-1].Seq >= tok.Seq {
			t.Errorf("tokens out of order: %v", s.Tokens)
		}
		if tok.Status == engine.Active {
			t.Errorf("%v is active at rest", tok)
		}
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.scenario")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario files: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".scenario"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := runScenario(t, string(raw))
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(raw), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f, diff)
			}
		})
	}
}

// runScenario plays a file and returns it with what happened under each step.
func runScenario(t *testing.T, text string) string {
	head, steps, ok := strings.Cut(text, "\nsteps\n")
	if !ok {
		t.Fatal("the file has no line \"steps\"")
	}
	_, graph, _ := strings.Cut(head, "\nmodel\n")
	p := newPlay(t, graph)
	var out strings.Builder
	out.WriteString(head + "\nsteps\n")
	for _, line := range strings.Split(strings.TrimRight(steps, "\n"), "\n") {
		words, _ := modeltest.Words(line)
		if strings.HasPrefix(strings.TrimSpace(line), ">") {
			continue
		}
		out.WriteString(line + "\n")
		if len(words) == 0 {
			continue
		}
		p.said = nil
		p.do(line)
		if p.s.NextToken > 0 {
			invariants(t, &p.s)
		}
		for _, s := range p.said {
			out.WriteString("  > " + s + "\n")
		}
	}
	p.replay()
	return out.String()
}
