package model

import (
	"slices"
	"strings"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
)

// Why a step is protected.
const (
	ProtectEvidence = "evidence" // it leaves evidence that the process requires
	ProtectRule     = "rule"     // a rule that blocks stands on it
	ProtectClock    = "clock"    // it starts or stops the clock of a mandatory indicator
	ProtectPause    = "pause"    // it pauses such a clock for a reason that the indicator admits
)

// How a protected step is touched, and why it is protected, for people.
var (
	wasRemoved  = fault.Label{ZH: "被移除", EN: "removed"}
	wasGiven    = fault.Label{ZH: "改由他人办理", EN: "given to others"}
	wasStripped = fault.Label{ZH: "被削减", EN: "stripped"}
	wasPassed   = fault.Label{ZH: "被绕过", EN: "led past"}
	movesClock  = fault.Label{ZH: "新增启停时钟", EN: "moves a clock"}
	pausesClock = fault.Label{ZH: "新增暂停时钟", EN: "pauses a clock"}

	reasonLabels = map[string]fault.Label{
		ProtectEvidence: {ZH: "留存必需的证据", EN: "leaves required evidence"},
		ProtectRule:     {ZH: "设有拦截规则", EN: "a blocking rule stands on it"},
		ProtectClock:    {ZH: "启停强制指标的时钟", EN: "starts or stops the clock of a mandatory indicator"},
		ProtectPause:    {ZH: "暂停强制指标的时钟", EN: "pauses the clock of a mandatory indicator"},
	}
)

// said lists reasons for people.
func said(reasons []string) fault.Label {
	var zh, en []string
	for _, r := range reasons {
		zh, en = append(zh, reasonLabels[r].ZH), append(en, reasonLabels[r].EN)
	}
	return fault.Label{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")}
}

// Protected are the steps of a process that no change of a strategy may take out, lead
// past, give to others or strip of what makes them protected.
type Protected struct {
	base   *Model
	why    map[string][]string // by node
	starts map[string]string   // domain events that start a mandatory clock, with the clause
	stops  map[string]string
	pauses map[string]string // reasons that such a clock admits
}

// Protect finds the protected steps of a process for a place and instant. Errors are
// those of norm.Set.Resolve.
func Protect(m *Model, set *norm.Set, w Where) (*Protected, error) {
	if w.Area == "" {
		w.Area = "any"
	}
	query := norm.Query{Regions: w.Regions, Service: m.Service, Area: w.Area, At: w.At, Figures: true}
	applicable, err := set.Resolve(query, nil)
	if err != nil {
		return nil, err
	}
	special, err := below(set, query)
	if err != nil {
		return nil, err
	}
	p := &Protected{base: m, why: map[string][]string{}, starts: map[string]string{}, stops: map[string]string{}, pauses: map[string]string{}}
	for _, a := range slices.Concat(applicable, special) {
		if !a.Indicator.PutsClock() || a.Clause != nil && !a.Clause.Mandatory() {
			continue
		}
		clause := a.Standard.Code + " " + a.Indicator.Clause
		p.starts[a.Indicator.StartEvent], p.stops[a.Indicator.StopEvent] = clause, clause
		for _, reason := range a.Indicator.PauseReasons {
			p.pauses[reason] = clause
		}
	}
	for i := range m.Nodes {
		p.look(&m.Nodes[i])
	}
	return p, nil
}

// look writes down why a node is protected.
func (p *Protected) look(n *Node) {
	add := func(reason string, is bool) {
		if is {
			p.why[n.ID] = append(p.why[n.ID], reason)
		}
	}
	add(ProtectEvidence, slices.ContainsFunc(n.Evidence, func(e bpmn.Evidence) bool { return e.Required }))
	add(ProtectRule, len(p.base.blocks(n.ID)) > 0)
	add(ProtectClock, len(p.clocks(n)) > 0)
	add(ProtectPause, len(p.held(n)) > 0)
}

// Why tells for what reasons a step is protected; empty when it is not.
func (p *Protected) Why(node string) []string { return slices.Clone(p.why[node]) }

// blocks are the rules that block at a node, as text.
func (m *Model) blocks(node string) []string {
	var out []string
	for _, r := range m.graph.Extension.Rules {
		if r.Node == node && r.Result == "block" {
			out = append(out, r.On+" "+r.CEL)
		}
	}
	return out
}

// clocks are the bindings of a node that move mandatory clocks.
func (p *Protected) clocks(n *Node) []string {
	var out []string
	for _, e := range n.Events {
		if p.starts[e.Name] != "" || p.stops[e.Name] != "" {
			out = append(out, e.Name+" "+e.On)
		}
	}
	return out
}

// held are the pauses of a node that mandatory clocks admit.
func (p *Protected) held(n *Node) []string {
	var out []string
	for _, x := range n.Pauses {
		if p.pauses[x.Reason] != "" {
			out = append(out, x.Reason)
		}
	}
	return out
}

// Violated compares a changed process with the base and names, as findings
// PROTECTED_STEP, each protected step that is gone, led past, given to others or
// stripped, and each binding or pause of a mandatory clock that is new. Cost: protected
// steps times nodes and flows.
func (p *Protected) Violated(changed *Model) []Finding {
	var out []Finding
	name := func(node string, how fault.Label, reasons []string) {
		out = append(out, Finding{Code: "PROTECTED_STEP", Severity: SeverityError, Elements: []string{node}, Params: []fault.Param{
			fault.P("how", how), fault.P("reasons", said(reasons)),
		}})
	}
	for i := range p.base.Nodes {
		n := &p.base.Nodes[i]
		why := p.why[n.ID]
		if len(why) == 0 {
			continue
		}
		at, ok := changed.Node(n.ID)
		if !ok {
			name(n.ID, wasRemoved, why)
			continue
		}
		x := &changed.Nodes[at]
		if x.Role != n.Role || x.Topic != n.Topic || x.Type != n.Type || !slices.Equal(x.Qualifications, n.Qualifications) {
			name(n.ID, wasGiven, why)
		}
		if p.stripped(n, x, changed) {
			name(n.ID, wasStripped, why)
		}
		if p.passed(n, changed) {
			name(n.ID, wasPassed, why)
		}
	}
	for i := range changed.Nodes {
		x := &changed.Nodes[i]
		was := &Node{}
		if at, ok := p.base.Node(x.ID); ok {
			was = &p.base.Nodes[at]
		}
		if !within(p.clocks(x), p.clocks(was)) {
			name(x.ID, movesClock, []string{ProtectClock})
		}
		if !within(p.held(x), p.held(was)) {
			name(x.ID, pausesClock, []string{ProtectPause})
		}
	}
	return out
}

// within reports whether all of a are among b.
func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}

// stripped reports whether a step has lost required evidence, a rule that blocks, or
// what it does to clocks.
func (p *Protected) stripped(n, x *Node, changed *Model) bool {
	required := func(n *Node) (out []string) {
		for _, e := range n.Evidence {
			if e.Required {
				out = append(out, e.Kind)
			}
		}
		return out
	}
	return !within(required(n), required(x)) || !within(p.base.blocks(n.ID), changed.blocks(n.ID)) ||
		!within(p.clocks(n), p.clocks(x)) || !within(p.held(n), p.held(x))
}

// passed reports whether a case can end, or where the step starts a clock a work step
// can begin, without the step or one that stands in for it, where it could not before.
func (p *Protected) passed(n *Node, changed *Model) bool {
	group := p.group(n)
	before, after := p.base.avoiding(group), changed.avoiding(group)
	starts := slices.ContainsFunc(n.Events, func(e bpmn.EventBind) bool { return p.starts[e.Name] != "" })
	for i := range p.base.Nodes {
		t := &p.base.Nodes[i]
		if !(t.Type == bpmn.EndEvent && t.Parent == None || starts && t.Activity()) || group[t.ID] {
			continue
		}
		at, ok := changed.Node(t.ID)
		if ok && !before[i] && after[at] {
			return true
		}
	}
	return p.endsAnew(changed, after, before, group)
}

// endsAnew reports whether a new end of the case can be reached without any step of a
// group: not where it follows what could be reached so before, and from where the base
// leads to none of these steps any more.
func (p *Protected) endsAnew(changed *Model, after, before []bool, group map[string]bool) bool {
	missed := func(x int) bool { // a case at this node of the base had the group before or behind it
		if !before[x] {
			return true
		}
		follow := p.base.follow(x)
		return slices.ContainsFunc(p.base.Nodes, func(n Node) bool { return group[n.ID] && follow[n.Index] })
	}
	for i := range changed.Nodes {
		n := &changed.Nodes[i]
		if _, old := p.base.Node(n.ID); old || !after[i] || !changed.endsCase(n) {
			continue
		}
		seen := map[int]bool{}
		queue := []int{i}
		for len(queue) > 0 {
			at := queue[0]
			queue = queue[1:]
			if seen[at] || !after[at] {
				continue
			}
			seen[at] = true
			if x, old := p.base.Node(changed.Nodes[at].ID); old {
				if missed(x) {
					return true
				}
				continue
			}
			from := changed.comesFrom(at)
			if len(from) == 0 {
				return true // a start of its own
			}
			queue = append(queue, from...)
		}
	}
	return false
}

// endsCase reports whether a node is an end of the process, or of an event subprocess
// that takes its place.
func (m *Model) endsCase(n *Node) bool {
	if n.Type != bpmn.EndEvent {
		return false
	}
	for at := n.Parent; at != None; at = m.Nodes[at].Parent {
		sub := &m.Nodes[at]
		if !sub.EventSub || !m.Nodes[sub.Starts[0]].Interrupting {
			return false
		}
	}
	return true
}

// comesFrom lists the nodes that a token at a node was at before.
func (m *Model) comesFrom(i int) []int {
	n := &m.Nodes[i]
	if n.AttachedTo != None {
		return []int{n.AttachedTo}
	}
	var out []int
	for _, f := range n.In {
		out = append(out, m.Flows[f].From)
	}
	for j := range m.Nodes {
		if m.Nodes[j].LinkTo == i {
			out = append(out, j)
		}
	}
	return out
}

// group is a step with the protected ones on other branches, of which a case meets one
// or the other.
func (p *Protected) group(n *Node) map[string]bool {
	out := map[string]bool{n.ID: true}
	follow := p.base.follow(n.Index)
	for i := range p.base.Nodes {
		if x := &p.base.Nodes[i]; len(p.why[x.ID]) > 0 && !follow[i] && !p.base.follow(i)[n.Index] {
			out[x.ID] = true
		}
	}
	return out
}

// avoiding marks the nodes that a token can come to although none has been at any node
// of a group. A parallel join wants all that leads to it.
func (m *Model) avoiding(group map[string]bool) []bool {
	out := make([]bool, len(m.Nodes))
	for again := true; again; {
		again = false
		for i := range m.Nodes {
			if !out[i] && !group[m.Nodes[i].ID] && m.entered(i, out) {
				out[i], again = true, true
			}
		}
	}
	return out
}

// entered reports whether a token can come to a node from those that are reached.
func (m *Model) entered(i int, reached []bool) bool {
	n := &m.Nodes[i]
	if n.AttachedTo != None {
		return reached[n.AttachedTo]
	}
	if len(n.In) == 0 {
		linked := false
		for j := range m.Nodes {
			if m.Nodes[j].LinkTo == i {
				linked = true
				if reached[j] {
					return true
				}
			}
		}
		return !linked && (n.Parent == None || reached[n.Parent])
	}
	all := n.Type == bpmn.ParallelGateway
	for _, f := range n.In {
		if m.left(m.Flows[f].From, reached) != all {
			return !all
		}
	}
	return all
}

// left reports whether a token can leave a node that is reached: a subprocess when one
// of its last nodes is.
func (m *Model) left(i int, reached []bool) bool {
	if !m.Nodes[i].Container() {
		return reached[i]
	}
	for j := range m.Nodes {
		if m.Nodes[j].Parent == i && len(m.Nodes[j].Out) == 0 && reached[j] {
			return true
		}
	}
	return false
}
