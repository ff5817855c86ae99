package engine

import (
	"slices"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// MaxNodes bounds the nodes one step enters; beyond it the step ends with a
// Continued effect. MaxTokens bounds the tokens of a case: a process that splits in a
// circle fails there.
const (
	MaxNodes  = 1000
	MaxTokens = 10_000
)

// Step applies ev, which happened at now, to s and appends to out what has to
// happen outside. Errors are refusals: the event does not fit the state
// (fault.Precondition ENGINE_CASE_ENDED, ENGINE_NOT_STARTED, ENGINE_STARTED,
// ENGINE_TOKEN_UNKNOWN, ENGINE_NOT_WAITING, ENGINE_TIMER_UNKNOWN,
// ENGINE_MOVE_TARGET, ENGINE_SKIP, MESSAGE_NOT_EXPECTED, START_UNKNOWN; fault.Invalid for variables); the caller
// drops the state then. What goes wrong inside the process is no error: its token
// gets a Failed effect and waits for Retry. Cost: linear in the nodes entered and
// the tokens of the case.
func Step(m *model.Model, s *State, ev Event, now time.Time, out []Effect) ([]Effect, error) {
	if s.Ended {
		return out, fault.E(fault.Precondition, "ENGINE_CASE_ENDED", fault.P("outcome", s.Outcome))
	}
	if (s.NextToken == 0) != (ev.Kind == Start) {
		code := "ENGINE_NOT_STARTED"
		if ev.Kind == Start {
			code = "ENGINE_STARTED"
		}
		return out, fault.E(fault.Precondition, code)
	}
	if s.Variables == nil {
		s.Variables = map[string]any{}
	}
	r := &run{m: m, s: s, ev: &ev, now: now.UTC().Truncate(time.Microsecond), out: out, woken: true}
	if err := r.apply(); err != nil {
		return r.out, err
	}
	r.drain()
	return r.out, nil
}

// run is one step under way. Token positions change while it goes on, so tokens
// are named by sequence number.
type run struct {
	m        *model.Model
	s        *State
	ev       *Event
	now      time.Time
	out      []Effect
	entered  int
	moved    bool // tokens were added, moved or removed since joins were looked at
	woken    bool // a token may be active
	takeBack bool // people take back that something is undone
}

// apply does what the event itself says; drain moves the tokens it set free.
func (r *run) apply() error {
	switch r.ev.Kind {
	case Start:
		return r.start()
	case TaskBegun:
		t, err := r.waiting(AtTask)
		if err != nil {
			return err
		}
		if !t.Begun {
			t.Begun = true
			r.domain(t.Seq, t.Node, "begin")
		}
		return nil
	case TaskCompleted:
		return r.taskCompleted()
	case TimerFired:
		return r.timerFired()
	case MessageReceived:
		return r.messageReceived()
	case SignalReceived:
		return r.signal(r.ev.Name)
	case ErrorThrown:
		return r.errorThrown()
	case Escalated:
		t, err := r.token()
		if err != nil {
			return err
		}
		r.merge(t.Scope, r.ev.Variables)
		r.escalate(t.Seq, t.Node, r.ev.Name)
		return nil
	case Cancel:
		r.cancelAll()
		r.s.Ended, r.s.Outcome, r.s.Done = true, "cancelled", nil
		r.emit(Effect{Kind: CaseCancelled, Node: model.None, Name: r.ev.Reason})
		return nil
	case Retry:
		t, err := r.waiting(AtFailure)
		if err != nil {
			return err
		}
		r.merge(t.Scope, r.ev.Variables)
		t = &r.s.Tokens[r.s.find(r.ev.Token)]
		t.Status, r.woken = Active, true
		return nil
	case Continue:
		r.woken, r.moved = true, true
		return nil
	case VariablesSet:
		return r.variablesSet()
	case TokenMoved:
		return r.tokenMoved()
	case Skipped:
		return r.skipped()
	}
	return fault.E(fault.Invalid, "ENGINE_EVENT_UNKNOWN", fault.P("kind", string(r.ev.Kind)))
}

// token returns the token the event names.
func (r *run) token() (*Token, error) {
	i := r.s.find(r.ev.Token)
	if i < 0 {
		return nil, fault.E(fault.Precondition, "ENGINE_TOKEN_UNKNOWN", fault.P("token", r.ev.Token))
	}
	return &r.s.Tokens[i], nil
}

// waiting returns the token the event names if it waits in one of the statuses.
func (r *run) waiting(statuses ...Status) (*Token, error) {
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(statuses, t.Status) {
		return nil, fault.E(fault.Precondition, "ENGINE_NOT_WAITING", fault.P("token", t.Seq), fault.P("node", r.m.Nodes[t.Node].ID),
			fault.P("status", string(t.Status)))
	}
	return t, nil
}

func (r *run) emit(e Effect) { r.out = append(r.out, e) }

// domain emits the domain events bound to a moment of a node.
func (r *run) domain(token, node int, on string) {
	for i := range r.m.Nodes[node].Events {
		if b := &r.m.Nodes[node].Events[i]; b.On == on {
			r.emit(Effect{Kind: DomainEvent, Token: token, Node: node, Name: b.Name})
		}
	}
}

// start begins the case at the start event named by node id or message name, by
// default at the start without an event, or at the only one.
func (r *run) start() error {
	at := model.None
	for _, i := range r.m.Starts {
		n := &r.m.Nodes[i]
		switch {
		case r.ev.Node != "" && n.ID == r.ev.Node,
			r.ev.Node == "" && r.ev.Name != "" && n.Message == r.ev.Name,
			r.ev.Node == "" && r.ev.Name == "" && (n.Kind == bpmn.NoneEvent || len(r.m.Starts) == 1):
			at = i
		}
	}
	if at == model.None {
		return fault.E(fault.Precondition, "START_UNKNOWN", fault.P("node", r.ev.Node), fault.P("message", r.ev.Name))
	}
	r.merge(0, r.ev.Variables)
	if err := r.m.CheckRequired(r.s.Variables); err != nil {
		return err
	}
	if err := r.m.Begin(r.activation(0)); err != nil {
		return err
	}
	if err := r.listen(0, r.m.EventSubs); err != nil {
		return err
	}
	r.spawn(at, 0)
	return nil
}

// spawn adds an active token at a node.
func (r *run) spawn(node, scope int) int {
	r.s.NextToken++
	r.s.Tokens = append(r.s.Tokens, Token{Seq: r.s.NextToken, Node: node, Scope: scope, Status: Active})
	r.woken, r.moved = true, true
	return r.s.NextToken
}

// drain moves active tokens, lowest sequence number first, until all wait. When
// none moves any more the joins that wait for others and the conditional events
// are looked at.
func (r *run) drain() {
	for !r.s.Ended {
		i := -1
		if r.woken {
			i = slices.IndexFunc(r.s.Tokens, func(t Token) bool { return t.Status == Active })
		}
		if i >= 0 {
			if r.entered >= MaxNodes {
				r.emit(Effect{Kind: Continued, Node: model.None})
				return
			}
			r.entered++
			r.enter(r.s.Tokens[i].Seq)
			continue
		}
		r.woken = false
		if r.moved && r.joins() {
			continue
		}
		if !r.m.Conditional || !r.conditions() {
			return
		}
	}
}

// activation is what expressions see in a scope.
func (r *run) activation(scope int) expr.Activation {
	a := expr.Activation{
		Variables: r.s.Variables, Now: r.now, Region: expr.Region{Code: r.ev.Region, Area: r.ev.Area},
		Staff: expr.Staff{ID: r.ev.Staff, Code: r.ev.StaffCode},
	}
	for _, e := range r.ev.Evidence {
		a.Evidence = append(a.Evidence, expr.Evidence(e))
	}
	for sc := r.s.scope(scope); sc != nil; sc = r.s.scope(sc.Parent) {
		if len(sc.Local) > 0 {
			a.Local = append(a.Local, sc.Local)
		}
	}
	return a
}

// merge writes nested variables: those of an instance's own into its scope, all
// others into the case. Values are copied, so that the event stays unchanged.
func (r *run) merge(scope int, vars map[string]any) {
	for name, v := range vars {
		into := r.s.Variables
		for sc := r.s.scope(scope); sc != nil; sc = r.s.scope(sc.Parent) {
			if _, own := sc.Local[name]; own {
				into = sc.Local
				break
			}
		}
		mergeValue(into, name, v)
	}
}

// mergeValue puts v under name, field by field where both are objects.
func mergeValue(into map[string]any, name string, v any) {
	from, isMap := v.(map[string]any)
	if !isMap {
		into[name] = copied(v)
		return
	}
	inner, ok := into[name].(map[string]any)
	if !ok {
		inner = make(map[string]any, len(from))
		into[name] = inner
	}
	for k, x := range from {
		mergeValue(inner, k, x)
	}
}

func copied(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copied(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = copied(x)
		}
		return out
	}
	return v
}
