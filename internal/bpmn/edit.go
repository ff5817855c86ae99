package bpmn

import (
	"strconv"
	"strings"

	"github.com/openspms/spms/internal/fault"
)

// Op names a kind of Edit.
type Op string

// The edits. Which fields of Edit each one reads stands behind it; its
// pre-condition is that all it names exist, besides what is said.
const (
	AddNode     Op = "addNode"     // ID (free), Type, Name, NameEn, Parent, Lane, AttachedTo, Event
	RemoveNode  Op = "removeNode"  // ID; with its flows and boundary events. Reconnect joins its one incoming to its one outgoing flow
	InsertNode  Op = "insertNode"  // Flow, and what AddNode reads: puts a new node into a flow
	AddFlow     Op = "addFlow"     // ID ("" = made), From, To, Name, NameEn, Condition; both in one scope, no flow joins them yet
	RemoveFlow  Op = "removeFlow"  // ID
	Reconnect   Op = "reconnect"   // ID of a flow, From, To ("" = as it is)
	Rename      Op = "rename"      // ID of a node, flow or lane, or "" for the process; Name, NameEn
	SetLane     Op = "setLane"     // ID of a node, Lane
	Parallelise Op = "parallelise" // Nodes: two or more that follow one another; they run side by side afterwards
	Sequence    Op = "sequence"    // Nodes: two or more, each the only one between the same two parallel gateways

	SetRole           Op = "setRole"           // ID of a node or lane, Value
	SetStage          Op = "setStage"          // ID, Value
	SetTopic          Op = "setTopic"          // ID, Value
	SetPriority       Op = "setPriority"       // ID, Value (whole number)
	SetCondition      Op = "setCondition"      // ID of a flow, Value (CEL, "" = none)
	SetDefault        Op = "setDefault"        // ID of a node, Flow ("" = none) that leaves it
	SetEvent          Op = "setEvent"          // ID of an event, receive or send task; Event: timer, message, signal, error …
	SetScript         Op = "setScript"         // ID of a script task, Value (CEL)
	SetResult         Op = "setResult"         // ID, Value (variable)
	SetEvidence       Op = "setEvidence"       // ID, Evidence
	SetForm           Op = "setForm"           // ID, Fields
	SetQualifications Op = "setQualifications" // ID, Qualifications
	SetClocks         Op = "setClocks"         // ID, Events: where the clocks of indicators start and stop
	SetPauses         Op = "setPauses"         // ID, Pauses
	SetReschedule     Op = "setReschedule"     // ID, Reschedule
	SetVariable       Op = "setVariable"       // Variable: declared anew or in place of the one of that name
	RemoveVariable    Op = "removeVariable"    // Value (name)
	SetRule           Op = "setRule"           // Rule: new or in place of the one of that id
	RemoveRule        Op = "removeRule"        // Value (id)
	SetBreach         Op = "setBreach"         // Breach: new or in place of the one of that id
	RemoveBreach      Op = "removeBreach"      // Value (id)
	SetSimulation     Op = "setSimulation"     // ID of a node or flow, "" for the process; Value (JSON): durations, pools, shifts
	SetDecision       Op = "setDecision"       // ID of a business-rule task, Value: a decision table as JSON, "" = none
	SetExtension      Op = "setExtension"      // ID ("" = process), Value: an XML element of another namespace; replaces those of its name, Remove takes them away

	SetCapacity Op = "setCapacity" // ID of a pool of resources, From (its present size), Value (another one): of the region, not of the document; Apply refuses it

	Restore Op = "restore" // made by Apply: takes back what it did, when nothing else was changed since
)

// Edit is one typed change of a process. It is plain data: edits can be kept,
// sent and applied again.
type Edit struct {
	Op         Op       `json:"op"`
	ID         string   `json:"id,omitempty"`
	Type       NodeType `json:"type,omitempty"`
	Name       string   `json:"name,omitempty"`
	NameEn     string   `json:"nameEn,omitempty"`
	Parent     string   `json:"parent,omitempty"` // subprocess, "" for the process
	Lane       string   `json:"lane,omitempty"`
	AttachedTo string   `json:"attachedTo,omitempty"`
	From       string   `json:"from,omitempty"`
	To         string   `json:"to,omitempty"`
	Flow       string   `json:"flow,omitempty"`
	Condition  string   `json:"condition,omitempty"`
	Value      string   `json:"value,omitempty"`
	Nodes      []string `json:"nodes,omitempty"`
	Reconnect  bool     `json:"reconnect,omitempty"`
	Remove     bool     `json:"remove,omitempty"`

	Event          *Event        `json:"event,omitempty"`
	Interrupting   *bool         `json:"interrupting,omitempty"` // boundary and start events; nil = true
	Evidence       []Evidence    `json:"evidence,omitempty"`
	Fields         []Field       `json:"fields,omitempty"`
	Qualifications []string      `json:"qualifications,omitempty"`
	Events         []EventBind   `json:"events,omitempty"`
	Pauses         []PauseBind   `json:"pauses,omitempty"`
	Reschedule     []Reschedule  `json:"reschedule,omitempty"`
	Variable       *Variable     `json:"variable,omitempty"`
	Rule           *GuardRule    `json:"rule,omitempty"`
	Breach         *BreachAction `json:"breach,omitempty"`

	Digest string  `json:"digest,omitempty"` // Restore: of the document it applies to
	Pieces []Piece `json:"pieces,omitempty"` // Restore
}

// Apply changes a process of the document by edits, all or none, and returns
// the edit that takes them back; applying that returns the one that does them
// again. process is the id of the process, "" for the one of Graph(""). When
// nodes or flows come or go, a document that has a diagram gets a new one of
// Layout; other edits leave the diagram alone.
//
// Errors carry the path edits[i].field. Their kinds: fault.Invalid
// EDIT_MALFORMED (a field is missing or wrong), fault.NotFound
// EDIT_TARGET_UNKNOWN, fault.Precondition with a code for the pre-condition that
// does not hold (EDIT_ID_TAKEN, EDIT_OTHER_SCOPE, EDIT_NOT_CONSECUTIVE …),
// fault.Conflict EDIT_STALE (Restore after other changes), and those of Graphs,
// when the result would not be readable. The cost is that of writing and reading
// the document a few times.
func (d *Document) Apply(process string, edits ...Edit) (inverse Edit, err error) {
	work, err := d.clone()
	if err != nil {
		return Edit{}, err
	}
	p, g, err := work.edited(process)
	if err != nil {
		return Edit{}, err
	}
	e := &editor{doc: work, process: p}
	for i := range edits {
		if err := e.apply(&edits[i]); err != nil {
			return Edit{}, fault.From(err).At(append([]string{"edits[" + strconv.Itoa(i) + "]"}, fault.From(err).Path...)...)
		}
		work.changed()
	}
	if len(edits) == 1 && edits[0].Op == Restore {
		e.drawn = false // it brings its diagram along
	}
	after, err := work.Graph(g.ID)
	if err != nil {
		return Edit{}, err
	}
	if _, has := d.Diagram(g); has && e.drawn {
		work.SetDiagram(after, work.layout(after))
	}
	if work, err = work.clone(); err != nil {
		return Edit{}, err
	}
	inverse = Edit{Op: Restore, Pieces: difference(work, d), Digest: work.Digest()}
	d.before, d.root, d.after = work.before, work.root, work.after
	d.changed()
	return inverse, nil
}

// clone returns a document that shares nothing with d.
func (d *Document) clone() (*Document, error) {
	src := d.Bytes()
	return Parse(strings.NewReader(string(src)), Limits{Bytes: len(src) + 1, Depth: 1 << 20, Elements: 1 << 30})
}

// edited finds the process that edits are about.
func (d *Document) edited(process string) (*element, *Graph, error) {
	g, err := d.Graph(process)
	if err != nil {
		return nil, nil, err
	}
	return d.byID(g.ID), g, nil
}

// editor applies edits to a document of its own.
type editor struct {
	doc     *Document
	process *element
	drawn   bool // nodes or flows came or went
}

// malformed refuses a field of an edit.
func malformed(field, value string) error {
	return fault.E(fault.Invalid, "EDIT_MALFORMED", fault.P("field", field), fault.P("value", value)).At(field)
}

// unknown refuses an id that names nothing suitable.
func unknown(field, id string) error {
	return fault.E(fault.NotFound, "EDIT_TARGET_UNKNOWN", fault.P("id", id)).At(field)
}

// refused names the pre-condition that does not hold.
func refused(field, code, id string) error {
	return fault.E(fault.Precondition, code, fault.P("id", id)).At(field)
}

// apply carries one edit out.
func (e *editor) apply(x *Edit) error {
	do, ok := map[Op]func(*Edit) error{
		AddNode: e.addNode, RemoveNode: e.removeNode, InsertNode: e.insertNode, AddFlow: e.addFlow, RemoveFlow: e.removeFlow,
		Reconnect: e.reconnect, Rename: e.rename, SetLane: e.setLane, Parallelise: e.parallelise, Sequence: e.sequence,
		SetRole: e.setRole, SetStage: e.setStage, SetTopic: e.setTopic, SetPriority: e.setPriority, SetCondition: e.setCondition,
		SetDefault: e.setDefault, SetEvent: e.setEvent, SetScript: e.setScript, SetResult: e.setResult,
		SetEvidence: e.setLists, SetForm: e.setLists, SetQualifications: e.setLists, SetClocks: e.setLists, SetPauses: e.setLists, SetReschedule: e.setLists,
		SetVariable: e.setVariable, RemoveVariable: e.removeVariable, SetRule: e.setRule, RemoveRule: e.removeRule, SetBreach: e.setBreach, RemoveBreach: e.removeBreach,
		SetSimulation: e.setSimulation, SetDecision: e.setDecision, SetExtension: e.setExtension, Restore: e.restore,
	}[x.Op]
	if !ok {
		return malformed("op", string(x.Op))
	}
	return do(x)
}
