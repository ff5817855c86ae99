// Package engine plays the token game of BPMN: Step applies one event to the
// state of one case and says what has to happen outside.
//
// The main type is State, owned by the caller, plain data that survives JSON.
// Step is pure and deterministic: the same model, history and instants give the
// same state and effects. The package must not know rows, viewers, tasks of
// people, clocks of standards or where time comes from.
//
// A token's status follows this table:
//
//	active    → task, timer, message, signal, event, scope, instances, join, call, undo, failed, gone
//	task      → active (TaskCompleted, a caught error), gone (cancelled)
//	timer     → active (TimerFired)
//	message   → active (MessageReceived)
//	signal    → active (SignalReceived)
//	condition → active (the condition holds)
//	event     → active (the first of its listeners)
//	scope     → active (the scope is empty)
//	instances → active (all instances done, or the completion condition holds)
//	join      → gone (merged into one token that goes on)
//	undo      → active (what it compensates is undone)
//	listening → gone (its event happened, or its host left)
//	failed    → active (Retry)
package engine

import (
	"time"

	"github.com/openspms/spms/internal/model"
)

// Status says what a token waits for.
type Status string

// The statuses; active is seen between steps only before a Continue.
const (
	Active    Status = "active"
	AtTask    Status = "task"      // a person or worker completes it
	AtTimer   Status = "timer"     // an intermediate timer
	AtMessage Status = "message"   // an intermediate message or a receive task
	AtSignal  Status = "signal"    // an intermediate signal
	AtTrue    Status = "condition" // an intermediate conditional event
	AtEvent   Status = "event"     // an event-based gateway; its listeners wait
	InScope   Status = "scope"     // a subprocess runs
	Instances Status = "instances" // a multi-instance activity runs
	AtJoin    Status = "join"      // a parallel or inclusive join misses others
	Calling   Status = "call"      // a called case runs
	Undoing   Status = "undo"      // a compensation that was thrown runs
	Listening Status = "listening" // an event that belongs to Host or to the scope
	AtFailure Status = "failed"    // cannot go on until Retry
)

// State is where a case stands. The zero value is a case not started.
type State struct {
	Tokens    []Token        `json:"tokens"` // in order of Seq
	Scopes    []Scope        `json:"scopes,omitempty"`
	NextToken int            `json:"nextToken"` // last sequence numbers given out
	NextScope int            `json:"nextScope"`
	NextTimer int            `json:"nextTimer"`
	NextDone  int            `json:"nextDone,omitempty"`
	Done      []Completion   `json:"done,omitempty"` // at process level, in order of Seq
	Ended     bool           `json:"ended,omitempty"`
	Outcome   string         `json:"outcome,omitempty"` // id of the last end event reached
	Variables map[string]any `json:"variables,omitempty"`
}

// Token is one thread of a case. Node is an index of the model; whoever stores
// a token stores the node's id.
type Token struct {
	Seq      int     `json:"seq"` // from 1, never used twice
	Node     int     `json:"node"`
	Scope    int     `json:"scope,omitempty"` // 0 is the process
	Status   Status  `json:"status"`
	Flow     string  `json:"flow,omitempty"` // at a join: id of the flow it came by
	Host     int     `json:"host,omitempty"` // listeners: the token whose activity or gateway it belongs to; 0: the scope's
	Body     bool    `json:"body,omitempty"` // runs one instance of a looping activity
	Phase    Phase   `json:"phase,omitempty"`
	Begun    bool    `json:"begun,omitempty"` // a person works on the task
	Done     int     `json:"done,omitempty"`  // looping activities: instances or rounds completed
	Total    int     `json:"total,omitempty"` // multi-instance activities: instances wanted
	Held     bool    `json:"held,omitempty"`  // conditional events: the condition held when last looked at
	WaitName string  `json:"waitName,omitempty"`
	WaitKey  string  `json:"waitKey,omitempty"`
	Repeats  []Again `json:"repeats,omitempty"` // cycle timers that fire again
	Timers   []Timer `json:"timers,omitempty"`  // waiting timers, in order of Seq
}

// Phase says how far a token has got at its node; it keeps a Retry from doing
// things twice.
type Phase string

// The phases of a token at its node.
const (
	Arriving Phase = ""
	Entered  Phase = "entered"
	Done     Phase = "done" // only the choice of flows is left
)

// Timer is a waiting timer of a token. Without Set it is due at no time.
type Timer struct {
	Seq  int       `json:"seq"`
	Node int       `json:"node"` // the timer event
	Due  time.Time `json:"due"`
	Set  bool      `json:"set,omitempty"`
}

// Again says how often a cycle timer still fires after the waiting one, -1
// without end.
type Again struct {
	Timer int `json:"timer"`
	Left  int `json:"left"`
}

// Scope is a running subprocess, or one instance or round of a looping activity.
type Scope struct {
	Seq    int            `json:"seq"`
	Parent int            `json:"parent,omitempty"`
	Node   string         `json:"node"`             // id of the activity
	Host   int            `json:"host"`             // token that waits for the scope; 0 of an event subprocess and where nobody waits
	Index  int            `json:"index,omitempty"`  // of an instance, from 0
	Local  map[string]any `json:"local,omitempty"`  // variables of the instance
	Done   []Completion   `json:"done,omitempty"`   // in order of Seq
	Undo   bool           `json:"undo,omitempty"`   // undoes Left, or stands for a subprocess that has completed and is undone
	Left   []Completion   `json:"left,omitempty"`   // still to be undone, the last first
	Record int            `json:"record,omitempty"` // Seq of the completion that is undone in it
}

// Completion is an activity, or an instance of one, that has completed and that a
// compensation can undo: once, since what undoes it takes the record away. Records
// live as long as the scope they were made in, and then in that of the subprocess.
type Completion struct {
	Seq    int            `json:"seq"`
	Node   string         `json:"node"`            // id of the activity
	Of     int            `json:"of,omitempty"`    // token of the looping activity whose instance it is, while that runs: not to be undone yet
	Local  map[string]any `json:"local,omitempty"` // the instance's variables as they were
	Inside []Completion   `json:"inside,omitempty"`
}

// EventKind is the kind of an event.
type EventKind string

// The kinds of events.
const (
	Start           EventKind = "start"            // Node names a start event, Name a message; both may be empty
	TaskBegun       EventKind = "task_begun"       // Token
	TaskCompleted   EventKind = "task_completed"   // Token, Variables
	TimerFired      EventKind = "timer_fired"      // Timer
	MessageReceived EventKind = "message_received" // Name, Key, Variables; Token 0 is whichever waits
	SignalReceived  EventKind = "signal_received"  // Name, Variables
	ErrorThrown     EventKind = "error_thrown"     // Token, Name the error code, Variables
	Escalated       EventKind = "escalated"        // Token, Name the escalation code
	Cancel          EventKind = "cancel"           // the whole case; Reason
	Retry           EventKind = "retry"            // Token that failed; Variables are merged before
	Continue        EventKind = "continue"         // after a Continued effect
	VariablesSet    EventKind = "variables_set"    // Token whose scope they go to, 0 the case; Variables
	TokenMoved      EventKind = "token_moved"      // Token, Node of its scope, Tokens that end with it; Reason
	Skipped         EventKind = "skipped"          // Token that goes on as if its node were done; Variables, Reason
	Migrated        EventKind = "migrated"         // Name the id of the version moved to, Mapping; applied by Migrate
)

// Event is one input of Step. It survives JSON unchanged: the events of a case,
// with their instants, are its history.
type Event struct {
	Kind      EventKind      `json:"kind"`
	Token     int            `json:"token,omitempty"`
	Timer     int            `json:"timer,omitempty"`
	Name      string         `json:"name,omitempty"`
	Key       string         `json:"key,omitempty"`
	Variables map[string]any `json:"variables,omitempty"` // nested, as of model.CheckVariables
	Node      string         `json:"node,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	Tokens    []int          `json:"tokens,omitempty"`
	Mapping   model.Mapping  `json:"mapping,omitempty"`
	Region    string         `json:"region,omitempty"` // what expressions see as region.code and region.area
	Area      string         `json:"area,omitempty"`
	Staff     string         `json:"staff,omitempty"` // what expressions see as staff.id and staff.code
	StaffCode string         `json:"staffCode,omitempty"`
	Evidence  []Item         `json:"evidence,omitempty"` // what expressions see as evidence
}

// Item is a piece of evidence at hand when an event happened.
type Item struct {
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
}

// EffectKind is the kind of an effect.
type EffectKind string

// The kinds of effects. Token and Node are set wherever they make sense.
const (
	NodeEntered      EffectKind = "node_entered"
	NodeLeft         EffectKind = "node_left"
	TaskCreated      EffectKind = "task_created"
	TaskDone         EffectKind = "task_done"
	TaskCancelled    EffectKind = "task_cancelled"
	TimerSet         EffectKind = "timer_set"       // Timer, Due, Set; a known Timer is set again
	TimerCancelled   EffectKind = "timer_cancelled" // Timer
	DomainEvent      EffectKind = "domain_event"    // Name
	PauseBegun       EffectKind = "pause_begun"     // Name the reason, Indicators
	PauseEnded       EffectKind = "pause_ended"     // Name the reason, Indicators
	MessageWait      EffectKind = "message_wait"    // Name, Key
	MessageWaitEnded EffectKind = "message_wait_ended"
	MessageThrown    EffectKind = "message_thrown" // Name, Key
	SignalThrown     EffectKind = "signal_thrown"  // Name
	Escalation       EffectKind = "escalation"     // Name the code; Code Caught when something in the case caught it
	CaseCalled       EffectKind = "case_called"    // Name the process key
	CallCancelled    EffectKind = "call_cancelled"
	Failed           EffectKind = "failed"     // Code, Detail; the token waits for Retry
	CaseEnded        EffectKind = "case_ended" // Name the id of the end event
	CaseCancelled    EffectKind = "case_cancelled"
	Continued        EffectKind = "continued"      // the step was long: apply Continue next
	TokenMigrated    EffectKind = "token_migrated" // Node of the new version, Name the id of the old node
)

// Caught is the Code of an escalation that the case itself dealt with.
const Caught = "caught"

// Effect is one thing that a step asks to happen outside.
type Effect struct {
	Kind       EffectKind
	Token      int
	Node       int // index of the model
	Timer      int
	Due        time.Time
	Set        bool
	Name, Key  string
	Code       string
	Detail     string
	Indicators []string
	Variables  map[string]any // CaseCalled, MessageThrown, SignalThrown: what goes along; not to be changed
}

// scope returns the scope of a sequence number, nil for the process.
func (s *State) scope(seq int) *Scope {
	for i := range s.Scopes {
		if s.Scopes[i].Seq == seq {
			return &s.Scopes[i]
		}
	}
	return nil
}

// find returns the position of a token by sequence number, -1 without.
func (s *State) find(seq int) int {
	for i := range s.Tokens {
		if s.Tokens[i].Seq == seq {
			return i
		}
	}
	return -1
}
