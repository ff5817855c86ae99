package bpmn

// Namespace is the XML namespace of the extension elements of this product.
const Namespace = "https://openspms.org/schema/bpmn/1.0"

// NodeType is the BPMN 2.0 element name of a flow node.
type NodeType string

// The flow node types of BPMN 2.0.2.
const (
	StartEvent             NodeType = "startEvent"
	EndEvent               NodeType = "endEvent"
	IntermediateCatchEvent NodeType = "intermediateCatchEvent"
	IntermediateThrowEvent NodeType = "intermediateThrowEvent"
	BoundaryEvent          NodeType = "boundaryEvent"
	Task                   NodeType = "task"
	UserTask               NodeType = "userTask"
	ManualTask             NodeType = "manualTask"
	ServiceTask            NodeType = "serviceTask"
	SendTask               NodeType = "sendTask"
	ReceiveTask            NodeType = "receiveTask"
	ScriptTask             NodeType = "scriptTask"
	BusinessRuleTask       NodeType = "businessRuleTask"
	SubProcess             NodeType = "subProcess"
	Transaction            NodeType = "transaction"
	AdHocSubProcess        NodeType = "adHocSubProcess"
	CallActivity           NodeType = "callActivity"
	ExclusiveGateway       NodeType = "exclusiveGateway"
	ParallelGateway        NodeType = "parallelGateway"
	InclusiveGateway       NodeType = "inclusiveGateway"
	EventBasedGateway      NodeType = "eventBasedGateway"
	ComplexGateway         NodeType = "complexGateway"
)

// EventKind is the kind of event definition of an event (or receive/send task).
type EventKind string

// The event kinds; NoneEvent is an event without a definition.
const (
	NoneEvent        EventKind = "none"
	TimerEvent       EventKind = "timer"
	MessageEvent     EventKind = "message"
	ErrorEvent       EventKind = "error"
	EscalationEvent  EventKind = "escalation"
	SignalEvent      EventKind = "signal"
	LinkEvent        EventKind = "link"
	TerminateEvent   EventKind = "terminate"
	ConditionalEvent EventKind = "conditional"
	CompensateEvent  EventKind = "compensate"
	CancelEvent      EventKind = "cancel"
	MultipleEvent    EventKind = "multiple"
)

// Graph is one process of a document as the checks and the compiler see it: a
// read-only view with resolved references. Nodes and flows are in document
// order, nodes of subprocesses included, each with its Parent.
type Graph struct {
	ID         string
	Name       string
	Executable bool
	Extension  ProcessExtension
	Nodes      []*Node
	Flows      []*Flow
	Lanes      []*Lane
}

// Node is a flow node.
type Node struct {
	ID     string
	Name   string
	Type   NodeType
	Parent string // id of the enclosing subprocess; "" at process level
	Lane   string // id of the innermost lane; "" without

	Event *Event // events, receiveTask and sendTask with a message; nil otherwise

	AttachedTo       string // boundary events: the activity
	Interrupting     bool   // boundary events (cancelActivity) and event-subprocess starts (isInterrupting)
	TriggeredByEvent bool   // event subprocess
	ForCompensation  bool   // activities: off the normal flow, run to undo another (isForCompensation)
	Handler          string // compensation boundary events: the activity that an association leads to
	Association      string // id of that association
	Default          string // id of the default flow
	CalledElement    string // callActivity
	Loop             *Loop
	Script           string // scriptTask: CEL
	ScriptResult     string // variable that takes the result of a script or rule or the payload of an awaited message (spms:result)

	Incoming []string // ids of sequence flows
	Outgoing []string

	Extension NodeExtension
}

// Event is the (single) event definition of a node. Reference names are
// resolved: Name is the message, signal, error, escalation or link name, Code
// the error or escalation code.
type Event struct {
	Kind EventKind
	Name string
	Code string

	// Timer: exactly one is set. Each is ISO 8601 (PT24H, P3D, R3/PT1H,
	// 2026-03-04T00:00:00+08:00) or a CEL expression when it starts with "=".
	// Date may yield null: the timer is then unset until a reschedule.
	Date, Duration, Cycle string

	NoWait      bool   // compensation thrown: goes on without waiting for it; Name is the id of the activity
	Condition   string // conditional events: CEL
	Correlation string // CEL yielding the correlation key; "" correlates by case
}

// Loop is a standard loop or multi-instance marker.
type Loop struct {
	MultiInstance bool
	Sequential    bool
	Cardinality   string // CEL int
	Collection    string // CEL list (spms:collection)
	Element       string // variable that takes the element
	Completion    string // CEL bool
	Condition     string // standard loop: CEL bool
	TestBefore    bool
	Maximum       int // 0 = no limit
}

// Flow is a sequence flow. Condition is CEL, "" when unconditional.
type Flow struct {
	ID, Name  string
	From, To  string
	Condition string
	Extension FlowExtension
}

// Lane is a lane, with the role it stands for (spms:lane role="…").
type Lane struct {
	ID, Name, Role string
	NameEn         string // spms:lane nameEn="…"
	Parent         string // enclosing lane
	Pool           string // participant id
	Nodes          []string
}

// ProcessExtension is what spms: elements say of a process.
type ProcessExtension struct {
	Key         string         `json:"key"`                   // stable process key such as ftth-install
	NameEn      string         `json:"nameEn,omitempty"`      //
	ServiceType string         `json:"serviceType,omitempty"` // such as "home broadband"
	Variables   []Variable     `json:"variables,omitempty"`   //
	Rules       []GuardRule    `json:"rules,omitempty"`       // CEL rules that block or flag at a node
	Breaches    []BreachAction `json:"breaches,omitempty"`    // what follows when a clock is breached
	Parameters  []Parameter    `json:"parameters,omitempty"`  // what a template asks for
	Calendars   string         `json:"calendar,omitempty"`    // calendar code for wd durations
	Simulation  string         `json:"simulation,omitempty"`  // JSON: pools, arrivals, calendars, run (kept as data)
}

// Variable declares one case variable by dotted name such as test.downMbps.
type Variable struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // bool, int, double, string, timestamp, duration, list(T), map
	LabelZh  string   `json:"labelZh,omitempty"`
	LabelEn  string   `json:"labelEn,omitempty"`
	Enum     []string `json:"enum,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Indexed  bool     `json:"indexed,omitempty"`  // can be filtered and sorted on
	Input    bool     `json:"input,omitempty"`    // given when the case starts
	Required bool     `json:"required,omitempty"` // input that must be given
	Default  string   `json:"default,omitempty"`  // CEL literal
}

// GuardRule is a CEL rule of the process: it must hold when its node is to be
// completed (or claimed), else the command is refused or flagged.
type GuardRule struct {
	ID     string `json:"id"`
	Node   string `json:"node"`
	On     string `json:"on"`     // claim, complete, enter
	Result string `json:"result"` // block, flag
	CEL    string `json:"cel"`
	TextZh string `json:"textZh,omitempty"`
	TextEn string `json:"textEn,omitempty"`
	Clause string `json:"clause,omitempty"` // standard code + clause number it implements
}

// BreachAction is what happens, once, when a clock of a case is breached.
type BreachAction struct {
	ID        string `json:"id"`
	Indicator string `json:"indicator,omitempty"` // code; "" stands for any that binds the case
	Do        string `json:"do"`                  // escalate, open
	Role      string `json:"role,omitempty"`      // escalate: who is to look after the open tasks
	Process   string `json:"process,omitempty"`   // open: key of the process of the corrective case
}

// NodeExtension is what spms: elements say of a flow node.
type NodeExtension struct {
	NameEn         string       `json:"nameEn,omitempty"`
	Stage          string       `json:"stage,omitempty"` // demand, design, delivery, followup, satisfaction
	Role           string       `json:"role,omitempty"`  // responsible role; wins over the lane's
	Qualifications []string     `json:"qualifications,omitempty"`
	Evidence       []Evidence   `json:"evidence,omitempty"`
	Fields         []Field      `json:"fields,omitempty"` // the form of a human or service task
	Topic          string       `json:"topic,omitempty"`  // service task: what the worker subscribes to
	Events         []EventBind  `json:"events,omitempty"`
	Pauses         []PauseBind  `json:"pauses,omitempty"`
	Reschedule     []Reschedule `json:"reschedule,omitempty"`
	Priority       int          `json:"priority,omitempty"`
	Visit          bool         `json:"visit,omitempty"`      // counts as a visit to the customer
	Survey         bool         `json:"survey,omitempty"`     // its message or completion carries a survey answer
	Decision       string       `json:"decision,omitempty"`   // business-rule task: a decision table as JSON, see model.Decision
	Simulation     string       `json:"simulation,omitempty"` // JSON: duration, duration_by, fixed_cost …
}

// FlowExtension is what spms: elements say of a sequence flow.
type FlowExtension struct {
	NameEn     string `json:"nameEn,omitempty"`
	Simulation string `json:"simulation,omitempty"` // JSON: prob, prob_by, when
}

// Evidence is one item that must be attached before a task can complete.
type Evidence struct {
	Kind     string `json:"kind"` // such as 光功率读数; the name a refusal shows
	Required bool   `json:"required"`
	Media    string `json:"media,omitempty"` // text, number, photo, location, document; "" = text
}

// Field is one field of a task form, bound to a declared variable.
type Field struct {
	Variable string `json:"variable"`
	LabelZh  string `json:"labelZh,omitempty"`
	LabelEn  string `json:"labelEn,omitempty"`
	Required bool   `json:"required,omitempty"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// EventBind binds a domain event (the vocabulary of the indicators, such as
// order.accepted) to a moment of a node. On is enter, begin (a person starts
// work on the task) or complete.
type EventBind struct {
	Name string `json:"name"`
	On   string `json:"on"`
}

// PauseBind pauses the case's running clocks while a token stays on the node.
// Reason is a pause reason code such as customer_slot. Indicators limits it to
// those codes; empty means all that admit the reason.
type PauseBind struct {
	Reason     string   `json:"reason"`
	Indicators []string `json:"indicators,omitempty"`
}

// Reschedule lets a message, delivered while the timer node waits, write its
// payload to Variable and set the timer again from its expression.
type Reschedule struct {
	Message  string `json:"message"`
	Variable string `json:"variable"`
}
