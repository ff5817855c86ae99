package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/model/modeltest"
)

// randomGraph draws the text of a process: a few nodes of any kind in and out of
// a subprocess, flows between neighbours at random. Many are unsound; that is
// the point.
func randomGraph(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("var n int default=\"0\"\nvar slot timestamp\nvar items list(int)\nvar item int\nstart s\n")
	scopes := []string{""}
	if rapid.Bool().Draw(t, "sub") {
		scopes = append(scopes, "p")
		b.WriteString("sub p" + rapid.SampledFrom([]string{"", " times=2", " times=2 sequential", " atmost=2"}).Draw(t, "loop") + "\nstart ps in=p\n")
	}
	if rapid.Bool().Draw(t, "eventsub") {
		scopes = append(scopes, "h")
		in := rapid.SampledFrom(scopes[:len(scopes)-1]).Draw(t, "around")
		b.WriteString(strings.TrimSuffix("eventsub h in="+in, " in=") + "\nstart hs in=h " + rapid.SampledFrom([]string{
			"message=m", "signal=g", "duration=PT1H", "cycle=R3/PT1H noninterrupting", "message=m noninterrupting", "error=X", "escalation=X", "condition=\"n == 4\"", "compensate",
		}).Draw(t, "trigger") + "\n")
	}
	for _, scope := range scopes {
		part(t, &b, scope)
	}
	if len(scopes) > 1 && scopes[1] == "p" && rapid.IntRange(0, 3).Draw(t, "undoes sub") == 0 {
		b.WriteString("boundary pu on=p compensate handler=ph\nuser ph undoes\n")
	}
	return b.String()
}

// part draws the nodes and flows of one scope.
func part(t *rapid.T, b *strings.Builder, scope string) {
	in, prefix := "", scope
	if scope != "" {
		in = " in=" + scope
	}
	words := []string{
		"xor %s", "and %s", "or %s", "user %s", "service %s", "script %s script=\"n + 1\" result=n", "catch %s duration=PT1H",
		"catch %s date=\"=slot\" reschedule=m:slot", "catch %s message=m", "catch %s signal=g", "throw %s signal=g", "throw %s escalation=X",
		"user %s times=2", "user %s each=items element=item sequential", "receive %s message=m", "user %s atmost=2", "call %s process=q",
		"catch %s condition=\"n > 1\"", "user %s times=3 until=\"instances.done > 1\"",
		"script %s script=\"n / (n - 2)\" result=n", "send %s message=out", "throw %s compensate", "throw %s compensate nowait",
	}
	count := rapid.IntRange(1, 7).Draw(t, "nodes")
	ids := []string{prefix + "s"}
	for i := range count {
		id := fmt.Sprintf("%sn%d", prefix, i)
		word := rapid.SampledFrom(words).Draw(t, "kind")
		fmt.Fprintf(b, word+in+"\n", id)
		ids = append(ids, id)
		if strings.HasPrefix(word, "user") || strings.HasPrefix(word, "service") || strings.HasPrefix(word, "call") {
			if rapid.Bool().Draw(t, "boundary") {
				kind := rapid.SampledFrom([]string{"duration=PT1H", "cycle=R2/PT1H noninterrupting", "message=m", "message=m noninterrupting", "error=X", "escalation=X", "signal=g", "condition=\"n == 2\" noninterrupting", "condition=\"n == 3\""}).Draw(t, "event")
				fmt.Fprintf(b, "boundary %sb on=%s %s%s\n", id, id, kind, in)
				ids = append(ids, id+"b")
			}
			if rapid.Bool().Draw(t, "undo") {
				fmt.Fprintf(b, "boundary %su on=%s compensate handler=%sh%s\n", id, id, id, in)
				fmt.Fprintf(b, rapid.SampledFrom([]string{"user %s", "service %s", "user %s times=2", "call %s process=q"}).Draw(t, "handler")+" undoes%s\n", id+"h", in)
			}
		}
	}
	if scope == "" && strings.Contains(b.String(), "\nsub p") {
		ids = append(ids, "p")
	}
	end := prefix + "e"
	fmt.Fprintf(b, "end %s%s %s\n", end, in, rapid.SampledFrom([]string{"", "", "", "terminate", "error=X", "signal=g", "escalation=X", "compensate"}).Draw(t, "end"))
	spine := slices.DeleteFunc(slices.Clone(ids), func(s string) bool { return strings.HasSuffix(s, "b") })
	for _, id := range ids {
		next := end // the next of the spine, so that every node is reached
		if i := slices.Index(spine, id); i >= 0 && i+1 < len(spine) {
			next = spine[i+1]
		}
		decides := strings.Contains(b.String(), "xor "+id+in+"\n") || strings.Contains(b.String(), "or "+id+in+"\n")
		splits := decides || strings.Contains(b.String(), "and "+id+in+"\n")
		if !splits && rapid.IntRange(0, 4).Draw(t, "split") > 0 || len(spine) < 2 {
			fmt.Fprintf(b, "flow %s -> %s\n", id, next)
			continue
		}
		other := rapid.SampledFrom(append(spine[1:], end)).Draw(t, "to")
		when, otherwise := "", ""
		if decides {
			when, otherwise = rapid.SampledFrom([]string{" when n > 1", " when n % 2 == 0", " when n > 100"}).Draw(t, "when"), " default"
		}
		fmt.Fprintf(b, "flow %s -> %s%s\nflow %s -> %s%s\n", id, next, when, id, other, otherwise)
	}
}

// compiled draws a model that compiles, or nil.
func compiled(t *rapid.T) *model.Model {
	g, err := modeltest.Graph(randomGraph(t))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := model.Compile(g, model.Options{})
	return m
}

// randomEvent draws an event that may or may not fit the state.
func randomEvent(t *rapid.T, s *engine.State) engine.Event {
	ev := engine.Event{Kind: rapid.SampledFrom([]engine.EventKind{
		engine.TaskCompleted, engine.TaskCompleted, engine.TaskCompleted, engine.TimerFired, engine.TimerFired, engine.MessageReceived,
		engine.SignalReceived, engine.ErrorThrown, engine.Escalated, engine.Retry, engine.TaskBegun, engine.Continue, engine.Cancel, engine.Start,
	}).Draw(t, "event")}
	if ev.Kind == engine.Cancel && rapid.IntRange(0, 9).Draw(t, "really") > 0 {
		ev.Kind = engine.TaskCompleted
	}
	if len(s.Tokens) > 0 {
		tok := rapid.SampledFrom(s.Tokens).Draw(t, "token")
		ev.Token = tok.Seq
		for _, timer := range tok.Timers {
			ev.Timer = timer.Seq
		}
	}
	switch ev.Kind {
	case engine.MessageReceived:
		ev.Name, ev.Token = "m", 0
	case engine.SignalReceived:
		ev.Name = "g"
	case engine.ErrorThrown, engine.Escalated:
		ev.Name = rapid.SampledFrom([]string{"X", "Y"}).Draw(t, "code")
	case engine.TaskCompleted, engine.Retry:
		if rapid.Bool().Draw(t, "vars") {
			ev.Variables = map[string]any{"n": int64(rapid.IntRange(0, 4).Draw(t, "n"))}
		}
	}
	return ev
}

// TestStepKeepsInvariants plays random events on random processes: no panic, a
// refusal or a state that holds, what an effect opens an effect closes, and
// history played again gives the same state.
func TestStepKeepsInvariants(t *testing.T) {
	t.Parallel()
	played, ended := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := compiled(rt)
		if m == nil {
			return
		}
		played++
		var s, again engine.State
		now := epoch
		book := ledger{m: m, tasks: map[int]bool{}, timers: map[int]bool{}, done: map[int]int{}, undone: map[int]int{}}
		ev := engine.Event{Kind: engine.Start, Variables: map[string]any{"items": []any{int64(1), int64(2)}}}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			work := throughJSON(t, s)
			out, err := engine.Step(m, &work, ev, now, nil)
			if err == nil {
				s = work
				check(rt, &s, out)
				book.take(rt, ev, out)
				book.agrees(rt, &s)
				if _, err := engine.Step(m, &again, throughJSON(t, ev), now, nil); err != nil {
					rt.Fatalf("again: %v", err)
				}
				if a, b := engine.Digest(m, &s), engine.Digest(m, &again); a != b {
					rt.Fatalf("Digest = %s through JSON, %s without", a, b)
				}
			}
			now = now.Add(time.Minute)
			ev = randomEvent(rt, &s)
			if s.Ended {
				ended++
			}
			if s.Ended || len(s.Tokens) > 50 { // a split in a circle tells nothing more
				break
			}
		}
	})
	t.Logf("%d processes compiled, %d cases ended", played, ended)
	if played < 10 || ended == 0 {
		t.Errorf("only %d processes compiled and %d cases ended", played, ended)
	}
}

// check holds what is true of a state after each step.
func check(t *rapid.T, s *engine.State, out []engine.Effect) {
	continued := slices.ContainsFunc(out, func(e engine.Effect) bool { return e.Kind == engine.Continued })
	if s.Ended != (len(s.Tokens) == 0) || s.Ended && len(s.Scopes) > 0 {
		t.Fatalf("ended %v with %d tokens and %d scopes", s.Ended, len(s.Tokens), len(s.Scopes))
	}
	scopes := map[int]bool{0: true}
	for _, sc := range s.Scopes {
		scopes[sc.Seq] = true
	}
	tokens := map[int]bool{0: true}
	for i, tok := range s.Tokens {
		tokens[tok.Seq] = true
		if i > 0 && s.Tokens[i-1].Seq >= tok.Seq || tok.Status == engine.Active && !continued || !scopes[tok.Scope] {
			t.Fatalf("token %v of %d, continued %v", tok, len(s.Tokens), continued)
		}
	}
	for _, tok := range s.Tokens {
		if !tokens[tok.Host] {
			t.Fatalf("%v has a host that is gone", tok)
		}
	}
	for _, sc := range s.Scopes {
		if !scopes[sc.Parent] || !tokens[sc.Host] {
			t.Fatalf("scope %+v hangs in the air", sc)
		}
	}
	checkUndo(t, s, continued)
}

// checkUndo holds what is true of compensations: who waits for one has one, one that
// is not over runs, and what has not completed cannot be undone.
func checkUndo(t *rapid.T, s *engine.State, continued bool) {
	waits := map[int]bool{}
	for _, sc := range s.Scopes {
		if !sc.Undo {
			continue
		}
		waits[sc.Host] = true
		runs := slices.ContainsFunc(s.Tokens, func(o engine.Token) bool { return o.Scope == sc.Seq }) ||
			slices.ContainsFunc(s.Scopes, func(o engine.Scope) bool { return o.Parent == sc.Seq })
		if !runs && !continued {
			t.Fatalf("nothing is undone in scope %+v", sc)
		}
	}
	looping := map[int]bool{0: true}
	for _, tok := range s.Tokens {
		looping[tok.Seq] = tok.Status == engine.Instances
		if (tok.Status == engine.Undoing) != waits[tok.Seq] {
			t.Fatalf("%v waits for a compensation: %v", tok, waits[tok.Seq])
		}
	}
	for _, of := range append(slices.Clone(s.Scopes), engine.Scope{Done: s.Done}) {
		for i, c := range of.Done {
			if !looping[c.Of] || i > 0 && c.Seq <= of.Done[i-1].Seq || s.Ended {
				t.Fatalf("records %+v in scope %d, ended %v", of.Done, of.Seq, s.Ended)
			}
		}
	}
}

// ledger keeps what effects have opened, as rows do.
type ledger struct {
	m             *model.Model
	tasks, timers map[int]bool
	done, undone  map[int]int // by node: tasks done, and how often they were undone
}

func (l *ledger) take(t *rapid.T, ev engine.Event, out []engine.Effect) {
	if ev.Kind == engine.TimerFired {
		delete(l.timers, ev.Timer)
	}
	for _, e := range out {
		switch e.Kind {
		case engine.NodeEntered:
			l.enters(t, e.Node)
		case engine.TaskCreated:
			if l.tasks[e.Token] {
				t.Fatalf("task of token %d created twice", e.Token)
			}
			l.tasks[e.Token] = true
		case engine.TaskDone, engine.TaskCancelled:
			if !l.tasks[e.Token] {
				t.Fatalf("%s of token %d without a task", e.Kind, e.Token)
			}
			if e.Kind == engine.TaskDone {
				l.done[e.Node]++
			}
			delete(l.tasks, e.Token)
		case engine.TimerSet:
			l.timers[e.Timer] = true
		case engine.TimerCancelled:
			if !l.timers[e.Timer] {
				t.Fatalf("timer %d cancelled that was not set", e.Timer)
			}
			delete(l.timers, e.Timer)
		}
	}
}

// enters counts what undoes a task: not more often than that was done.
func (l *ledger) enters(t *rapid.T, node int) {
	for i := range l.m.Nodes {
		n := &l.m.Nodes[i]
		if n.UndoneBy == model.None || l.m.Nodes[n.UndoneBy].Handler != node || !n.Human && !n.Service {
			continue
		}
		if l.undone[i]++; l.undone[i] > l.done[i] {
			t.Fatalf("%s was done %d times and undone %d times", n.ID, l.done[i], l.undone[i])
		}
	}
}

// agrees compares the ledger with the state.
func (l *ledger) agrees(t *rapid.T, s *engine.State) {
	tasks, timers := 0, 0
	for _, tok := range s.Tokens {
		if tok.Status == engine.AtTask {
			tasks++
			if !l.tasks[tok.Seq] {
				t.Fatalf("%v waits for a task that is not open", tok)
			}
		}
		for _, timer := range tok.Timers {
			timers++
			if !l.timers[timer.Seq] {
				t.Fatalf("%v has timer %d that is not open", tok, timer.Seq)
			}
		}
	}
	if tasks != len(l.tasks) || timers != len(l.timers) {
		raw, _ := json.Marshal(s)
		t.Fatalf("%d tasks and %d timers in the state, %d and %d open: %s", tasks, timers, len(l.tasks), len(l.timers), raw)
	}
}
