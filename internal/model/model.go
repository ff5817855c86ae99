// Package model holds compiled processes: what a parsed process means, ready to
// run and to be asked, with the checks that decide whether it may be published.
//
// The main type is Model, made by Compile from a bpmn.Graph. It is immutable and
// safe for concurrent use; nodes and flows are addressed by index, so that the
// engine, the designer and the simulation share one form. The package is pure:
// time is an argument. It must not know cases, rows or viewers.
package model

import (
	"slices"
	"time"

	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
)

// Severity says what a finding means for publication.
type Severity string

// The severities: an error refuses publication, a warning wants a second look,
// a note explains.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityNote    Severity = "note"
)

// Finding is one result of a check: a stable code with the parameters of its
// text, the ids of the elements concerned (an example path for soundness) and
// the clause behind it, if any.
type Finding struct {
	Code     string
	Severity Severity
	Elements []string
	Clause   string
	Params   []fault.Param
}

// Fault returns the finding as an error of kind precondition.
func (f Finding) Fault() *fault.Error {
	params := append([]fault.Param{fault.P("elements", f.Elements), fault.P("clause", f.Clause)}, f.Params...)
	return fault.E(fault.Precondition, f.Code, params...)
}

// Errors returns the findings that refuse publication, in order.
func Errors(findings []Finding) []Finding {
	var out []Finding
	for _, f := range findings {
		if f.Severity == SeverityError {
			out = append(out, f)
		}
	}
	return out
}

// Options are choices of Compile; the zero value is the product's.
type Options struct {
	Zone *time.Location // in which timers count days and months; nil is UTC+8
}

// china is the zone of the product's home; it has had no summer time since 1991.
var china = time.FixedZone("UTC+8", 8*60*60)

// None is the index of "no node", "no flow" and "no parent".
const None = -1

// Model is one executable process, compiled.
type Model struct {
	Key, Name, NameEn string
	Service           string         // service type, such as "home broadband"
	Calendar          string         // calendar code for working-day durations
	Zone              *time.Location // in which timers count days and months
	Conditional       bool           // there are conditional events
	Nodes             []Node         // document order
	Flows             []Flow         // document order
	Starts            []int          // start events at process level
	EventSubs         []int          // event subprocesses at process level
	Variables         []Variable
	Breaches          []bpmn.BreachAction // what follows when a clock is breached

	env       *expr.Env
	nodes     map[string]int
	variables map[string]int    // dotted name → index in Variables
	spaces    map[string]bool   // every proper prefix of a dotted name
	rules     map[string][]Rule // node id + "/" + on
	defaults  []defaultOf       // variables that begin with a value

	compensators []int       // events that throw a compensation: what is undone is over when they are left
	graph        *bpmn.Graph // as compiled; never changed
}

// Variable is a declared case variable.
type Variable struct {
	Name     string
	Type     expr.Type
	LabelZh  string
	LabelEn  string
	Enum     []string
	Unit     string
	Indexed  bool
	Input    bool
	Required bool
}

// Node is a flow node with every reference resolved to indices.
type Node struct {
	Index        int
	ID           string
	Name, NameEn string
	Type         bpmn.NodeType
	Kind         bpmn.EventKind // of events; none otherwise
	Parent       int            // enclosing subprocess, None at process level

	Stage, Role, Topic string
	Human, Service     bool // a person works on it; a worker does
	Qualifications     []string
	Evidence           []bpmn.Evidence
	Fields             []Field
	Events             []bpmn.EventBind
	Pauses             []bpmn.PauseBind
	Reschedule         []Reschedule
	Priority           int
	Visit, Survey      bool

	In, Out      []int // flows
	Default      int   // flow taken when no condition holds, None without
	AttachedTo   int   // boundary events: the activity; None otherwise
	Boundary     []int // activities: their boundary events
	Interrupting bool
	EventSub     bool  // subprocess triggered by an event
	UndoSub      int   // subprocesses: the event subprocess inside that undoes them, None without
	Starts       []int // subprocesses: start events inside
	EventSubs    []int // subprocesses: event subprocesses inside
	LinkTo       int   // link throw events: the catching event, None otherwise

	ForCompensation bool // off the normal flow: runs to undo an activity
	UndoneBy        int  // activities: their compensation boundary event, None without
	Handler         int  // compensation boundary events: the activity that undoes, None otherwise
	Undoes          int  // compensation thrown: the activity to undo, None for all of the scope
	NoWait          bool // compensation thrown: goes on without waiting for it
	Undoable        bool // activities: something is done when their completion is undone

	Timer       *Timer
	Message     string // message, signal, escalation or link name
	Code        string // error or escalation code; "" catches every one
	Correlation *expr.Program
	Script      *expr.Program
	Decision    *Decision     // business-rule tasks
	Condition   *expr.Program // conditional events
	Result      string        // variable that takes a script's result or a message's payload
	Loop        *Loop
	Called      string // call activity: key of the called process

	// Reach says for an inclusive join, for each flow of In, which nodes of its
	// scope can still bring a token to it without passing the join: bit n is set
	// for the node of index n.
	Reach [][]uint64
}

// Activity reports whether boundary events, loops and instances apply to n.
func (n *Node) Activity() bool {
	switch n.Type {
	case bpmn.StartEvent, bpmn.EndEvent, bpmn.IntermediateCatchEvent, bpmn.IntermediateThrowEvent, bpmn.BoundaryEvent,
		bpmn.ExclusiveGateway, bpmn.ParallelGateway, bpmn.InclusiveGateway, bpmn.EventBasedGateway, bpmn.ComplexGateway:
		return false
	}
	return true
}

// Container reports whether n holds nodes of its own.
func (n *Node) Container() bool { return contains(n.Type) }

func contains(t bpmn.NodeType) bool {
	return t == bpmn.SubProcess || t == bpmn.Transaction || t == bpmn.AdHocSubProcess
}

// Stages are the five stages of the service life cycle, in their order.
var Stages = []string{"demand", "design", "delivery", "followup", "satisfaction"}

// StageOrder returns the place of a stage in Stages, None for another word.
func StageOrder(stage string) int { return slices.Index(Stages, stage) }

// BackReason returns why a case goes from a later stage back to a node: the name
// of the flow that leads there, "" where none or several could be meant.
func (m *Model) BackReason(node int) string {
	reason := ""
	for _, f := range m.Nodes[node].In {
		flow := &m.Flows[f]
		if flow.Name == "" || StageOrder(m.Nodes[flow.From].Stage) <= StageOrder(m.Nodes[node].Stage) {
			continue
		}
		if reason != "" && reason != flow.Name {
			return ""
		}
		reason = flow.Name
	}
	return reason
}

// Field is one field of a task's form with its variable's declaration.
type Field struct {
	Variable         string
	Type             expr.Type
	LabelZh, LabelEn string
	Enum             []string
	Unit             string
	Required         bool
	ReadOnly         bool
}

// Flow is a sequence flow by index.
type Flow struct {
	Index     int
	ID, Name  string
	NameEn    string
	From, To  int
	Condition *expr.Program // nil when unconditional
}

// Timer is a timer definition: exactly one of the programs and fixed values is
// set. A date program may yield null: the timer is then unset.
type Timer struct {
	Date, Duration, Cycle *expr.Program
	Fixed                 string // ISO 8601, when not an expression
	Kind                  TimerKind
}

// TimerKind says how a timer's definition is read.
type TimerKind string

// The kinds of timer definitions.
const (
	TimerDate     TimerKind = "date"
	TimerDuration TimerKind = "duration"
	TimerCycle    TimerKind = "cycle"
)

// Reschedule lets a message set a waiting timer again; see bpmn.Reschedule.
type Reschedule struct{ Message, Variable string }

// Loop is a compiled loop marker; see bpmn.Loop.
type Loop struct {
	MultiInstance, Sequential bool
	Cardinality, Collection   *expr.Program
	Element                   string
	Completion, Condition     *expr.Program
	TestBefore                bool
	Maximum                   int
}

// Rule is a compiled guard rule of a node.
type Rule struct {
	ID             string
	Result         string // block or flag
	TextZh, TextEn string
	Clause         string
	Program        *expr.Program
}

// defaultOf is a variable that begins with a value.
type defaultOf struct {
	variable int
	program  *expr.Program
}

// Node returns the index of the node of an id and whether there is one.
func (m *Model) Node(id string) (int, bool) {
	i, ok := m.nodes[id]
	return i, ok
}

// Env returns the expression environment of the process's variables.
func (m *Model) Env() *expr.Env { return m.env }

// Graph returns the graph the model was compiled from; it must not be changed.
func (m *Model) Graph() *bpmn.Graph { return m.graph }

// Rules returns the guard rules of a node for a moment: claim, complete, enter.
func (m *Model) Rules(node int, on string) []Rule { return m.rules[m.Nodes[node].ID+"/"+on] }
