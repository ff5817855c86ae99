package model

import (
	"slices"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
)

// Where says for which place and instant a process is checked.
type Where struct {
	Regions   []string               // region codes from the own one up to the root
	Area      string                 // area code; "" stands for any
	At        time.Time              // standards in force at this instant count
	KnownRole func(role string) bool // nil: every role is known
}

// Comply checks a process against the standards in force: traceable (every
// task of people leaves evidence or a form), operable (its role is known, its
// stage is stated, and who goes back a stage says why), assessable (an indicator
// in force begins and stops with events that nodes are bound to), every clock that
// begins can stop, and no limit is shorter than the fixed waits on every path.
// Errors are those of norm.Set.Resolve. Cost: indicators in force times nodes and
// flows.
func Comply(m *Model, set *norm.Set, w Where) ([]Finding, error) {
	if w.Area == "" {
		w.Area = "any"
	}
	c := &complyCheck{m: m, after: make([][]int, len(m.Nodes)), bound: map[string][]moment{}}
	for i := range m.Nodes {
		c.after[i] = m.after(i)
		for _, b := range m.Nodes[i].Events {
			c.bound[b.Name] = append(c.bound[b.Name], moment{i, order[b.On]})
		}
	}
	c.people(w.KnownRole)
	c.stages()
	query := norm.Query{Regions: w.Regions, Service: m.Service, Area: w.Area, At: w.At, Figures: true}
	applicable, err := set.Resolve(query, nil)
	if err != nil {
		return nil, err
	}
	special, err := below(set, query)
	if err != nil {
		return nil, err
	}
	c.consequences(slices.Concat(applicable, special), w.KnownRole)
	c.assess(slices.Concat(applicable, special))
	for _, a := range applicable {
		if a.Indicator.PutsClock() {
			c.clock(a)
		}
	}
	return c.findings, nil
}

// order is the order of the moments of one visit of a node.
var order = map[string]int{"enter": 0, "begin": 1, "complete": 2}

// moment is where a domain event is bound: a node and the moment of its visit.
type moment struct{ node, on int }

// complyCheck carries what Comply has found so far.
type complyCheck struct {
	m        *Model
	after    [][]int // nodes that may follow each node, in and out of subprocesses
	bound    map[string][]moment
	findings []Finding
}

func (c *complyCheck) fail(code string, elements []string, clause string, params ...fault.Param) {
	c.findings = append(c.findings, Finding{Code: code, Severity: SeverityError, Elements: elements, Clause: clause, Params: params})
}

// after returns the nodes whose visit may follow that of n: unlike next it goes
// into subprocesses and out of them again.
func (m *Model) after(n int) []int {
	node := &m.Nodes[n]
	if node.Container() {
		out := append(slices.Clone(node.Boundary), node.Starts...)
		if node.UndoneBy != None {
			out = append(out, node.UndoneBy)
		}
		for _, sub := range node.EventSubs {
			out = append(out, m.Nodes[sub].Starts...)
		}
		return out
	}
	out := m.next(n, nil)
	if node.ForCompensation {
		return append(out, m.compensators...)
	}
	if node.Type != bpmn.EndEvent {
		return out
	}
	for p := node.Parent; p != None; p = m.Nodes[p].Parent {
		if m.Nodes[p].ForCompensation {
			out = append(out, m.compensators...)
		}
		for _, f := range m.Nodes[p].Out {
			out = append(out, m.Flows[f].To)
		}
		if !m.Nodes[p].EventSub {
			break
		}
	}
	return out
}

// people checks the tasks of people.
func (c *complyCheck) people(known func(string) bool) {
	for i := range c.m.Nodes {
		n := &c.m.Nodes[i]
		if !n.Human {
			continue
		}
		if len(n.Evidence) == 0 && len(n.Fields) == 0 {
			c.fail("TASK_WITHOUT_TRACE", []string{n.ID}, "")
		}
		switch {
		case n.Role == "":
			c.fail("TASK_WITHOUT_ROLE", []string{n.ID}, "")
		case known != nil && !known(n.Role):
			c.fail("TASK_ROLE_UNKNOWN", []string{n.ID}, "", fault.P("role", n.Role))
		}
	}
}

// stages checks the life cycle: every activity states its stage, and a flow that
// leads back to an earlier one is named, for its name is the reason that the case
// keeps. Gateways and events without a stage pass on that of what leads to them.
func (c *complyCheck) stages() {
	for i := range c.m.Nodes {
		if n := &c.m.Nodes[i]; n.Stage == "" && n.Activity() && !n.Container() {
			c.findings = append(c.findings, Finding{Code: "TASK_WITHOUT_STAGE", Severity: SeverityWarning, Elements: []string{n.ID}})
		}
	}
	latest := c.latestStages()
	for i := range c.m.Flows {
		f := &c.m.Flows[i]
		to := StageOrder(c.m.Nodes[f.To].Stage)
		if f.Name == "" && to != None && to < latest[f.From] {
			c.fail("STAGE_BACK_WITHOUT_REASON", []string{f.ID}, "", fault.P("from", Stages[latest[f.From]]), fault.P("to", Stages[to]))
		}
	}
}

// latestStages returns by node the latest stage, as a place in Stages, that a case
// can be in when it leaves the node; None where no stage is stated before.
func (c *complyCheck) latestStages() []int {
	latest := make([]int, len(c.m.Nodes))
	var stack []int
	for i := range latest {
		if latest[i] = StageOrder(c.m.Nodes[i].Stage); latest[i] != None {
			stack = append(stack, i)
		}
	}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, next := range c.after[i] {
			if c.m.Nodes[next].Stage == "" && latest[next] < latest[i] {
				latest[next] = latest[i]
				stack = append(stack, next)
			}
		}
	}
	return latest
}

// consequences checks that what is to follow a breach can happen.
func (c *complyCheck) consequences(applicable []norm.Applicable, known func(string) bool) {
	for _, b := range c.m.Breaches {
		if b.Role != "" && known != nil && !known(b.Role) {
			c.fail("BREACH_ROLE_UNKNOWN", []string{c.m.graph.ID}, "", fault.P("action", b.ID), fault.P("role", b.Role))
		}
		binds := slices.ContainsFunc(applicable, func(a norm.Applicable) bool { return a.Indicator.Code == b.Indicator })
		if b.Indicator != "" && !binds {
			c.findings = append(c.findings, Finding{Code: "BREACH_INDICATOR_UNKNOWN", Severity: SeverityWarning, Elements: []string{c.m.graph.ID}, Params: []fault.Param{
				fault.P("action", b.ID), fault.P("indicator", b.Indicator),
			}})
		}
	}
}

// below resolves what applies to the special services of a general one: a process
// for every service is assessable by what binds one of them.
func below(set *norm.Set, q norm.Query) ([]norm.Applicable, error) {
	var out []norm.Applicable
	v := set.Vocabulary()
	general, _ := v.Service(q.Service)
	for _, term := range v.Services {
		if term.Code == general || !slices.Contains(v.ServicePath(term.Code), general) {
			continue
		}
		var err error
		q.Service = term.Code
		if out, err = set.Resolve(q, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// assess wants one indicator in force whose events the process gives.
func (c *complyCheck) assess(applicable []norm.Applicable) {
	var words []string
	for _, a := range applicable {
		start, stop := a.Indicator.StartEvent, a.Indicator.StopEvent
		if start != "" && stop != "" && len(c.bound[start]) > 0 && len(c.bound[stop]) > 0 {
			return
		}
		if start != "" && stop != "" {
			words = append(words, a.Indicator.Code)
		}
	}
	slices.Sort(words)
	c.fail("PROCESS_NOT_ASSESSABLE", []string{c.m.graph.ID}, "", fault.P("service", c.m.Service), fault.P("indicators", slices.Compact(words)))
}

// clock checks one clock: it can stop wherever it begins, and in time.
func (c *complyCheck) clock(a norm.Applicable) {
	ind := a.Indicator
	clause := a.Standard.Code + " " + ind.Clause
	var stranded []string
	floor, reached := time.Duration(0), false
	for _, s := range c.bound[ind.StartEvent] {
		wait, ok := c.path(s, c.bound[ind.StopEvent], ind.PauseReasons)
		if !ok {
			stranded = append(stranded, c.m.Nodes[s.node].ID)
			continue
		}
		if !reached || wait > floor {
			floor, reached = wait, true
		}
	}
	if len(stranded) > 0 {
		severity := SeverityError
		if ind.When != nil || a.Clause != nil && !a.Clause.Mandatory() {
			severity = SeverityWarning // it may concern no case of this process, or be waived
		}
		c.findings = append(c.findings, Finding{Code: "CLOCK_NEVER_STOPS", Severity: severity, Elements: stranded, Clause: clause, Params: []fault.Param{
			fault.P("indicator", ind.Code), fault.P("event", ind.StopEvent),
		}})
	}
	limit, ok := longest(ind)
	if ok && reached && floor > limit && ind.Statistic != norm.Min {
		var from []string
		for _, s := range c.bound[ind.StartEvent] {
			from = append(from, c.m.Nodes[s.node].ID)
		}
		c.fail("PATH_LONGER_THAN_LIMIT", from, clause, fault.P("indicator", ind.Code), fault.P("hours", floor.Hours()), fault.P("limit", limit.Hours()))
	}
}

// path returns the shortest fixed wait from a moment to one of others, and
// whether one of them can follow. Waits at nodes that pause for one of the
// reasons do not count. Cost: nodes squared.
func (c *complyCheck) path(from moment, to []moment, reasons []string) (time.Duration, bool) {
	const far = time.Duration(1<<63 - 1)
	best := far
	for _, t := range to {
		if t.node == from.node && t.on > from.on {
			best = c.wait(t.node, reasons)
		}
	}
	dist := make([]time.Duration, len(c.m.Nodes))
	for i := range dist {
		dist[i] = far
	}
	start := time.Duration(0) // the wait at the first node counts unless it is over
	if from.on < order["complete"] {
		start = c.wait(from.node, reasons)
	}
	for _, next := range c.after[from.node] {
		dist[next] = start
		if c.m.Nodes[next].AttachedTo == from.node {
			dist[next] = 0
		}
	}
	for done := make([]bool, len(dist)); ; {
		at := None
		for i := range dist {
			if !done[i] && dist[i] < far && (at == None || dist[i] < dist[at]) {
				at = i
			}
		}
		if at == None {
			break
		}
		done[at] = true
		for _, t := range to {
			if t.node != at {
				continue
			}
			total := dist[at]
			if t.on == order["complete"] {
				total += c.wait(at, reasons)
			}
			best = min(best, total)
		}
		c.relaxFrom(at, dist, reasons)
	}
	return best, best < far
}

// relaxFrom carries the distance of a node on to those after it. A boundary timer
// is left after its own time, whatever the activity takes.
func (c *complyCheck) relaxFrom(at int, dist []time.Duration, reasons []string) {
	stay := dist[at] + c.wait(at, reasons)
	for _, next := range c.after[at] {
		d := stay
		if c.m.Nodes[next].AttachedTo == at {
			d = dist[at]
		}
		if d < dist[next] {
			dist[next] = d
		}
	}
}

// wait returns the fixed time that a visit of a node takes at least.
func (c *complyCheck) wait(i int, reasons []string) time.Duration {
	n := &c.m.Nodes[i]
	for _, p := range n.Pauses {
		if slices.Contains(reasons, p.Reason) {
			return 0
		}
	}
	timed := n.Type == bpmn.IntermediateCatchEvent || n.Type == bpmn.BoundaryEvent
	if !timed || n.Timer == nil || n.Timer.Kind != TimerDuration || n.Timer.Fixed == "" {
		return 0
	}
	p, err := expr.ParsePeriod(n.Timer.Fixed)
	if err != nil {
		return 0
	}
	return p.Floor()
}

// longest returns the longest exact time that a limit can ever allow, and whether
// it is one: whole days begin the day after and end at midnight, and the last one
// rolls over days off, so that an error is never a false alarm.
func longest(ind *norm.Indicator) (time.Duration, bool) {
	const day = 24 * time.Hour
	scale := map[norm.Unit]time.Duration{
		norm.Second: time.Second, norm.Minute: time.Minute, norm.Hour: time.Hour, norm.Day: day,
		norm.Week: 7 * day, norm.WorkingDay: day, norm.Month: 31 * day,
	}[ind.Unit]
	if scale == 0 {
		return 0, false
	}
	exact := time.Duration(ind.Value * float64(scale))
	switch ind.Basis {
	case norm.Elapsed:
		return exact, true
	case norm.CalendarDays, norm.CalendarMonths:
		return exact + 12*day, true
	case norm.WorkingDays:
		return 2*exact + 20*day, true
	case norm.SameDay, norm.NextHour:
		return 2 * day, true
	}
	return 0, false
}
