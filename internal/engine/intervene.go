package engine

import (
	"slices"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// variablesSet writes variables in the scope of a token, or of the case.
func (r *run) variablesSet() error {
	scope := 0
	if r.ev.Token != 0 {
		t, err := r.token()
		if err != nil {
			return err
		}
		scope = t.Scope
	}
	r.merge(scope, r.ev.Variables)
	return nil
}

// tokenMoved takes a token from where it rests to another node of its scope, which
// it enters anew; other tokens of the scope may end with it. What had completed there
// is done again and counts no more.
func (r *run) tokenMoved() error {
	t, err := r.resting()
	if err != nil {
		return err
	}
	scope := t.Scope
	target, ok := r.m.Node(r.ev.Node)
	if !ok || r.m.Nodes[target].Parent != r.parent(scope) || !enterable(&r.m.Nodes[target]) || t.Body {
		return fault.E(fault.Precondition, "ENGINE_MOVE_TARGET", fault.P("node", r.ev.Node))
	}
	for _, seq := range r.ev.Tokens {
		i := r.s.find(seq)
		if i < 0 || r.s.Tokens[i].Scope != scope || r.s.Tokens[i].Status == Listening || seq == r.ev.Token {
			return fault.E(fault.Precondition, "ENGINE_TOKEN_UNKNOWN", fault.P("token", seq))
		}
	}
	r.merge(scope, r.ev.Variables)
	for _, seq := range r.ev.Tokens {
		r.unhost(seq)
		r.depart(r.tok(seq), false)
		r.remove(seq)
	}
	seq := r.ev.Token
	r.takeBack = true
	r.unhost(seq)
	r.takeBack = false
	t = r.tok(seq)
	r.depart(t, false)
	t.Begun, t.Done, t.Total = false, 0, 0
	r.redo(scope, target)
	r.moveTo(r.tok(seq), target, "")
	return nil
}

// skipped lets a token go on as if what it waits for or fails at were done.
func (r *run) skipped() error {
	t, err := r.resting()
	if err != nil {
		return err
	}
	n := &r.m.Nodes[t.Node]
	passes := n.Activity() || n.Type == bpmn.IntermediateCatchEvent || n.Type == bpmn.IntermediateThrowEvent || t.Status == Undoing
	if !passes || t.Status == AtJoin {
		return fault.E(fault.Precondition, "ENGINE_SKIP", fault.P("node", n.ID))
	}
	seq := t.Seq
	r.merge(t.Scope, r.ev.Variables)
	r.unhost(seq)
	if n.Activity() {
		r.complete(seq)
		return nil
	}
	if n.Type == bpmn.EndEvent {
		r.undone(seq)
		return nil
	}
	r.leave(seq)
	return nil
}

// resting returns the token the event names if it is one that people can act on.
func (r *run) resting() (*Token, error) {
	return r.waiting(AtTask, AtTimer, AtMessage, AtSignal, AtTrue, AtEvent, InScope, Instances, AtJoin, Calling, Undoing, AtFailure)
}

// outside is the parent of no node: what undoes an activity is not on the flow.
const outside = model.None - 1

// parent is the node whose inside a scope is, None for the process.
func (r *run) parent(scope int) int {
	if scope == 0 {
		return model.None
	}
	sc := r.s.scope(scope)
	if sc.Undo {
		return outside
	}
	i, _ := r.m.Node(sc.Node)
	return i
}

// enterable reports whether a token can be put on a node from outside.
func enterable(n *model.Node) bool {
	switch n.Type {
	case bpmn.StartEvent, bpmn.BoundaryEvent:
		return false
	case bpmn.ParallelGateway, bpmn.InclusiveGateway:
		return len(n.In) < 2 // a join waits for tokens by their flows
	}
	return !n.EventSub
}

// Migrate moves the tokens of a case from one version of a process to another, in
// the positions that mapping says; m is the model of the new version. What rests
// goes on resting: tasks keep their people, waiting timers and timers of mapped
// boundary events their instants; boundary events that the mapping does not name
// end, and those of the new version begin now. What has completed can still be undone
// where the new version can undo it. Errors, with the state to be
// dropped: MIGRATION_TOKEN_UNMAPPED, MIGRATION_BRANCH_UNKNOWN (a join without the
// flow a token came by). The mapping should have passed model.CheckMapping.
func Migrate(from, m *model.Model, s *State, mapping model.Mapping, ev Event, now time.Time, out []Effect) ([]Effect, error) {
	if s.Ended {
		return out, fault.E(fault.Precondition, "ENGINE_CASE_ENDED", fault.P("outcome", s.Outcome))
	}
	if s.Variables == nil {
		s.Variables = map[string]any{}
	}
	r := &run{m: m, s: s, ev: &ev, now: now.UTC().Truncate(time.Microsecond), out: out, moved: true}
	v := &migration{run: r, from: from, by: mapping}
	if err := v.scopes(); err != nil {
		return r.out, err
	}
	hosts, err := v.tokens()
	if err != nil {
		return r.out, err
	}
	if err := m.Begin(r.activation(0)); err != nil { // defaults of variables that are new
		return r.out, err
	}
	for _, seq := range hosts {
		if err := v.rehost(seq); err != nil {
			r.failed(seq, err)
		}
	}
	if err := v.relisten(); err != nil {
		return r.out, err
	}
	r.drain()
	return r.out, nil
}

// migration is one run of Migrate.
type migration struct {
	*run
	from *model.Model
	by   model.Mapping
	kept map[listening]bool // listeners that go on
}

// target returns where tokens of a node go: as mapped, else the node of the same id
// and type, at which a token can stand that failed.
func (v *migration) target(node int) (int, error) {
	n := &v.from.Nodes[node]
	id, mapped := v.by[n.ID]
	if !mapped {
		id = n.ID
	}
	at, ok := v.m.Node(id)
	if !ok || !mapped && v.m.Nodes[at].Type != n.Type {
		return 0, fault.E(fault.Precondition, "MIGRATION_TOKEN_UNMAPPED", fault.P("node", n.ID))
	}
	return at, nil
}

// scopes gives the scopes the ids of the new version.
func (v *migration) scopes() error {
	for i := range v.s.Scopes {
		sc := &v.s.Scopes[i]
		old, ok := v.from.Node(sc.Node)
		if !ok {
			return fault.E(fault.Precondition, "MIGRATION_TOKEN_UNMAPPED", fault.P("node", sc.Node))
		}
		sc.Done, sc.Left = v.completions(sc.Done), v.completions(sc.Left)
		if v.from.Nodes[old].EventSub { // is not rested at itself: by id
			if at, ok := v.m.Node(sc.Node); !ok || !v.m.Nodes[at].EventSub {
				return fault.E(fault.Precondition, "MIGRATION_TOKEN_UNMAPPED", fault.P("node", sc.Node))
			}
			continue
		}
		at, err := v.target(old)
		if err != nil {
			return err
		}
		sc.Node = v.m.Nodes[at].ID
	}
	v.s.Done = v.completions(v.s.Done)
	return nil
}

// completions takes along the records of what has completed: those of activities
// that the new version has, by the mapping, else by their twins, and can undo.
func (v *migration) completions(of []Completion) []Completion {
	if len(of) == 0 {
		return of
	}
	twins, _ := bpmn.Twins(v.from.Graph(), v.m.Graph())
	var out []Completion
	for _, c := range of {
		id, ok := v.by[c.Node]
		if !ok {
			id = twins[c.Node]
		}
		at, ok := v.m.Node(id)
		if !ok || !v.m.Nodes[at].Undoable {
			continue
		}
		c.Node, c.Inside = id, v.completions(c.Inside)
		out = append(out, c)
	}
	return out
}

// tokens moves the tokens; listeners that the mapping does not name end. It returns
// the tokens that may have boundary events.
func (v *migration) tokens() (hosts []int, err error) {
	v.kept = map[listening]bool{}
	var gone []int
	for i := range v.s.Tokens {
		t := &v.s.Tokens[i]
		old := &v.from.Nodes[t.Node]
		if t.Status == Listening {
			at, ok := v.m.Node(v.by[old.ID])
			if !ok && old.Type != bpmn.BoundaryEvent && old.Type != bpmn.StartEvent { // behind an event-based gateway
				at, err = v.target(t.Node)
				ok = err == nil
			}
			if !ok {
				gone = append(gone, t.Seq)
				continue
			}
			v.place(t, at)
			v.kept[listening{t.Host, t.Scope, at}] = true
			continue
		}
		at, err := v.target(t.Node)
		if err != nil {
			return nil, err
		}
		if t.Flow != "" {
			if t.Flow, err = v.branch(t.Flow, at); err != nil {
				return nil, err
			}
		}
		v.place(t, at)
		hosts = append(hosts, t.Seq)
	}
	for _, seq := range gone {
		t := v.tok(seq)
		for _, timer := range t.Timers {
			v.emit(Effect{Kind: TimerCancelled, Token: seq, Node: model.None, Timer: timer.Seq})
		}
		if t.WaitName != "" {
			v.emit(Effect{Kind: MessageWaitEnded, Token: seq, Node: model.None, Name: t.WaitName, Key: t.WaitKey})
		}
		v.remove(seq)
	}
	return hosts, nil
}

// listening is a listener: on behalf of whom, and at which node.
type listening struct{ host, scope, node int }

// branch finds the flow into a join that stands for one of the old version: the
// same id, else the one from the node that its source is mapped to.
func (v *migration) branch(flow string, join int) (string, error) {
	for _, f := range v.m.Nodes[join].In {
		if v.m.Flows[f].ID == flow {
			return flow, nil
		}
	}
	_, twins := bpmn.Twins(v.from.Graph(), v.m.Graph())
	for _, f := range v.m.Nodes[join].In {
		if v.m.Flows[f].ID == twins[flow] {
			return twins[flow], nil
		}
	}
	return "", fault.E(fault.Precondition, "MIGRATION_BRANCH_UNKNOWN", fault.P("flow", flow), fault.P("node", v.m.Nodes[join].ID))
}

// place puts a token on its node of the new version, with its timers: those of
// nodes that the mapping does not name end.
func (v *migration) place(t *Token, at int) {
	old := t.Node
	t.Node = at
	v.emit(Effect{Kind: TokenMigrated, Token: t.Seq, Node: at, Name: v.from.Nodes[old].ID})
	timers := t.Timers
	t.Timers = nil
	for _, timer := range timers {
		node, ok := v.m.Node(v.by[v.from.Nodes[timer.Node].ID])
		if timer.Node == old {
			node, ok = at, v.m.Nodes[at].Timer != nil
		} else if !ok && v.from.Nodes[timer.Node].Type == bpmn.IntermediateCatchEvent { // of an event-based gateway
			to, err := v.target(timer.Node)
			node, ok = to, err == nil
		}
		v.emit(Effect{Kind: TimerCancelled, Token: t.Seq, Node: model.None, Timer: timer.Seq})
		left := 0
		for _, a := range t.Repeats {
			if a.Timer == timer.Seq {
				left = a.Left
			}
		}
		t.Repeats = slices.DeleteFunc(t.Repeats, func(a Again) bool { return a.Timer == timer.Seq })
		if ok && v.m.Nodes[node].Timer != nil {
			v.addTimer(t, node, timer.Due, timer.Set, left)
		}
	}
	if t.WaitName != "" && t.WaitName != v.m.Nodes[at].Message {
		v.emit(Effect{Kind: MessageWaitEnded, Token: t.Seq, Node: at, Name: t.WaitName, Key: t.WaitKey})
		t.WaitName = v.m.Nodes[at].Message
		v.emit(Effect{Kind: MessageWait, Token: t.Seq, Node: at, Name: t.WaitName, Key: t.WaitKey})
	}
}

// rehost begins the boundary events that a token's node has in the new version and
// that do not go on from the old one.
func (v *migration) rehost(seq int) error {
	t := v.tok(seq)
	if t.Body || t.Status == AtFailure || t.Status == AtJoin {
		return nil
	}
	scope := t.Scope
	for _, b := range v.m.Nodes[t.Node].Boundary {
		t = v.tok(seq)
		var err error
		switch v.m.Nodes[b].Kind {
		case bpmn.TimerEvent:
			if !slices.ContainsFunc(t.Timers, func(x Timer) bool { return x.Node == b }) && !v.was(b) {
				err = v.arm(seq, b)
			}
		case bpmn.MessageEvent, bpmn.SignalEvent, bpmn.ConditionalEvent:
			if !v.kept[listening{seq, scope, b}] {
				err = v.listener(b, scope, seq)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// was reports whether a node of the new version stands for one of the old: its
// timer has fired already when it does not wait.
func (v *migration) was(node int) bool {
	for _, to := range v.by {
		if to == v.m.Nodes[node].ID {
			return true
		}
	}
	return false
}

// relisten begins the event subprocesses that are new, in the process and in the
// scopes of subprocesses.
func (v *migration) relisten() error {
	begin := func(scope int, subs []int) error {
		for _, sub := range subs {
			start := v.m.Nodes[sub].Starts[0]
			if v.kept[listening{0, scope, start}] || v.was(start) {
				continue
			}
			if err := v.listen(scope, []int{sub}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := begin(0, v.m.EventSubs); err != nil {
		return err
	}
	for _, sc := range slices.Clone(v.s.Scopes) {
		at, ok := v.m.Node(sc.Node)
		if !ok || sc.Undo || sc.Host != 0 && v.tok(sc.Host).Status == Instances {
			continue
		}
		if err := begin(sc.Seq, v.m.Nodes[at].EventSubs); err != nil {
			return err
		}
	}
	return nil
}
