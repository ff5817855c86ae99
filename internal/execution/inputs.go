package execution

import (
	"time"

	"github.com/openspms/spms/internal/definition"
)

// EvidenceItem is one item of evidence given with a task.
type EvidenceItem struct {
	Kind    string  `json:"kind" validate:"required,max=128"`
	Media   *string `json:"media,omitempty" validate:"omitempty,oneof=text number photo location document"`
	Content string  `json:"content" validate:"required,max=65536"`
}

// NoticeItem is a message to a person: To names the variable of the case that holds
// the address.
type NoticeItem struct {
	Channel string `json:"channel" validate:"required,max=32"`
	To      string `json:"to" validate:"required,max=128"`
	Text    string `json:"text" validate:"required,max=1000"`
}

// JudgeNotice is the input of Room.RetryNotice and Room.CancelNotice.
type JudgeNotice struct {
	NoticeID       string  `json:"noticeID" validate:"required,max=64"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// StartCase is the input of Room.StartCase.
type StartCase struct {
	ProcessKey     string         `json:"processKey" validate:"required,max=64"`
	Number         *string        `json:"number,omitempty" validate:"omitempty,min=4,max=64,printascii"`
	RegionID       string         `json:"regionID" validate:"required,max=64"`
	Title          *string        `json:"title,omitempty" validate:"omitempty,max=256"`
	Area           *string        `json:"area,omitempty" validate:"omitempty,oneof=any urban rural"`
	Channel        *string        `json:"channel,omitempty" validate:"omitempty,max=64"`
	Variables      map[string]any `json:"variables,omitempty"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CancelCase is the input of Room.CancelCase.
type CancelCase struct {
	CaseID         string  `json:"caseID" validate:"required,max=64"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// TaskRef is the input of Room.ClaimTask, Room.ReleaseTask and Room.BeginTask.
type TaskRef struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// AssignTask is the input of Room.AssignTask.
type AssignTask struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	StaffID        string  `json:"staffID" validate:"required,max=64"`
	Reason         *string `json:"reason,omitempty" validate:"omitempty,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CompleteTask is the input of Room.CompleteTask.
type CompleteTask struct {
	TaskID         *string         `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string         `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string         `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	Variables      map[string]any  `json:"variables,omitempty"`
	Evidence       []*EvidenceItem `json:"evidence,omitempty" validate:"omitempty,max=50,dive"`
	Notices        []*NoticeItem   `json:"notices,omitempty" validate:"omitempty,max=10,dive"`
	Worker         *string         `json:"worker,omitempty" validate:"omitempty,max=128"`
	IdempotencyKey *string         `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// SendMessage is the input of Room.SendMessage.
type SendMessage struct {
	Name           string         `json:"name" validate:"required,max=128"`
	CaseID         *string        `json:"caseID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string        `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	CorrelationKey *string        `json:"correlationKey,omitempty" validate:"omitempty,max=256"`
	RegionID       *string        `json:"regionID,omitempty" validate:"omitempty,max=64"`
	Payload        map[string]any `json:"payload,omitempty"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// PauseClock is the input of Room.PauseClock.
type PauseClock struct {
	ClockID        string  `json:"clockID" validate:"required,max=64"`
	Reason         string  `json:"reason" validate:"required,max=64"`
	Party          string  `json:"party" validate:"required,oneof=customer operator third_party"`
	Note           string  `json:"note" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// ResumeClock is the input of Room.ResumeClock.
type ResumeClock struct {
	ClockID        string  `json:"clockID" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RetryFailure is the input of Room.RetryFailure.
type RetryFailure struct {
	FailureID      string         `json:"failureID" validate:"required,max=64"`
	Reason         string         `json:"reason" validate:"required,max=2000"`
	Variables      map[string]any `json:"variables,omitempty"`
	BackOffSeconds *int           `json:"backOffSeconds,omitempty" validate:"omitempty,min=1,max=86400"`
	Attempts       *int           `json:"attempts,omitempty" validate:"omitempty,min=1,max=20"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// SkipFailure is the input of Room.SkipFailure.
type SkipFailure struct {
	FailureID      string         `json:"failureID" validate:"required,max=64"`
	Reason         string         `json:"reason" validate:"required,max=2000"`
	Variables      map[string]any `json:"variables,omitempty"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// MoveToken is the input of Room.MoveToken.
type MoveToken struct {
	CaseID         string         `json:"caseID" validate:"required,max=64"`
	Token          int            `json:"token" validate:"gte=1"`
	ToNodeID       string         `json:"toNodeID" validate:"required,max=128"`
	Reason         string         `json:"reason" validate:"required,max=2000"`
	Variables      map[string]any `json:"variables,omitempty"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// SetCaseVariables is the input of Room.SetVariables.
type SetCaseVariables struct {
	CaseID         string         `json:"caseID" validate:"required,max=64"`
	Variables      map[string]any `json:"variables" validate:"required"`
	Reason         string         `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// ResolveFailures is the input of Room.ResolveFailures: what is to be done with the
// open failures that the filter selects.
type ResolveFailures struct {
	Action         string         `json:"action" validate:"required,oneof=retry skip cancel"`
	Code           *string        `json:"code,omitempty" validate:"omitempty,max=64"`
	NodeID         *string        `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	ProcessKey     *string        `json:"processKey,omitempty" validate:"omitempty,max=64"`
	RegionID       *string        `json:"regionID,omitempty" validate:"omitempty,max=64"`
	Reason         string         `json:"reason" validate:"required,max=2000"`
	Variables      map[string]any `json:"variables,omitempty"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=100"`
}

// HandTask is the input of Room.DelegateTask and Room.TransferTask.
type HandTask struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	StaffID        string  `json:"staffID" validate:"required,max=64"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

func (in *HandTask) ref() taskRef { return taskRef{in.TaskID, in.CaseNumber, in.NodeID} }

// ReasonedTask is the input of Room.RejectTask, Room.UrgeTask and Room.WithdrawTask.
type ReasonedTask struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

func (in *ReasonedTask) ref() taskRef { return taskRef{in.TaskID, in.CaseNumber, in.NodeID} }

// PlanTask is the input of Room.PlanTask; what is absent stays.
type PlanTask struct {
	TaskID         *string    `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string    `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string    `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	Priority       *int       `json:"priority,omitempty" validate:"omitempty,min=0,max=100"`
	FollowUpAt     *time.Time `json:"followUpAt,omitempty"`
	IdempotencyKey *string    `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// ReturnTask is the input of Room.ReturnTask.
type ReturnTask struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	ToNodeID       *string `json:"toNodeID,omitempty" validate:"omitempty,max=128"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// AddSigners is the input of Room.AddSigners.
type AddSigners struct {
	TaskID         *string  `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string  `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string  `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	StaffIDs       []string `json:"staffIDs" validate:"min=1,max=50"`
	Place          string   `json:"place" validate:"required,oneof=before beside after"`
	Mode           *string  `json:"mode,omitempty" validate:"omitempty,oneof=all any"`
	Reason         *string  `json:"reason,omitempty" validate:"omitempty,max=2000"`
	IdempotencyKey *string  `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RemoveSigner is the input of Room.RemoveSigner.
type RemoveSigner struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	StaffID        string  `json:"staffID" validate:"required,max=64"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// SignTask is the input of Room.SignTask.
type SignTask struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	Agree          bool    `json:"agree"`
	Comment        *string `json:"comment,omitempty" validate:"omitempty,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CompleteTasks is the input of Room.CompleteTasks.
type CompleteTasks struct {
	Items          []*CompleteTask `json:"items" validate:"min=1,max=200,dive"`
	IdempotencyKey *string         `json:"idempotencyKey,omitempty" validate:"omitempty,max=100"`
}

// FetchTasks is the input of Room.FetchTasks.
type FetchTasks struct {
	Topic          string  `json:"topic" validate:"required,max=128"`
	Worker         string  `json:"worker" validate:"required,max=128"`
	Max            int     `json:"max" validate:"min=1,max=200"`
	LeaseSeconds   int     `json:"leaseSeconds" validate:"min=1,max=86400"`
	RegionID       *string `json:"regionID,omitempty" validate:"omitempty,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// FailTask is the input of Room.FailTask.
type FailTask struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	Worker         *string `json:"worker,omitempty" validate:"omitempty,max=128"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	Code           *string `json:"code,omitempty" validate:"omitempty,max=64"`
	RetrySeconds   *int    `json:"retrySeconds,omitempty" validate:"omitempty,min=1,max=86400"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// ParkTask is the input of Room.ParkTask.
type ParkTask struct {
	TaskID         *string    `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string    `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string    `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	Worker         *string    `json:"worker,omitempty" validate:"omitempty,max=128"`
	Message        string     `json:"message" validate:"required,max=128"`
	Key            *string    `json:"key,omitempty" validate:"omitempty,max=256"`
	Until          *time.Time `json:"until,omitempty"`
	IdempotencyKey *string    `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// DivertTask is the input of Room.DivertTask.
type DivertTask struct {
	TaskID         *string `json:"taskID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	NodeID         *string `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	Worker         *string `json:"worker,omitempty" validate:"omitempty,max=128"`
	Role           string  `json:"role" validate:"required,max=32"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// MigrateCases is the input of Room.MigrateCases; without CaseIDs every running
// case of the version is meant, within RegionID if given.
type MigrateCases struct {
	FromVersionID  string                 `json:"fromVersionID" validate:"required,max=64"`
	ToVersionID    string                 `json:"toVersionID" validate:"required,max=64"`
	Pairs          []*definition.NodePair `json:"pairs,omitempty" validate:"max=500"`
	CaseIDs        []string               `json:"caseIDs,omitempty" validate:"max=500"`
	RegionID       *string                `json:"regionID,omitempty" validate:"omitempty,max=64"`
	Preview        bool                   `json:"preview"`
	Reason         string                 `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string                `json:"idempotencyKey,omitempty" validate:"omitempty,max=100"`
}

// StartFailureBatch is the input of Room.StartFailureBatch: what is to be done with
// the open failures that the filter selects in a region and below.
type StartFailureBatch struct {
	Action         string         `json:"action" validate:"required,oneof=retry skip move set_variables cancel"`
	RegionID       string         `json:"regionID" validate:"required,max=64"`
	Code           *string        `json:"code,omitempty" validate:"omitempty,max=64"`
	NodeID         *string        `json:"nodeID,omitempty" validate:"omitempty,max=128"`
	ProcessKey     *string        `json:"processKey,omitempty" validate:"omitempty,max=64"`
	ToNodeID       *string        `json:"toNodeID,omitempty" validate:"required_if=Action move,omitempty,max=128"`
	Variables      map[string]any `json:"variables,omitempty" validate:"required_if=Action set_variables"`
	Reason         string         `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// StartMigrationBatch is the input of Room.StartMigrationBatch: every running case of
// the version in a region and below is meant.
type StartMigrationBatch struct {
	FromVersionID  string                 `json:"fromVersionID" validate:"required,max=64"`
	ToVersionID    string                 `json:"toVersionID" validate:"required,max=64"`
	Pairs          []*definition.NodePair `json:"pairs,omitempty" validate:"max=500"`
	RegionID       string                 `json:"regionID" validate:"required,max=64"`
	Preview        bool                   `json:"preview"`
	Reason         string                 `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string                `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CancelBatch is the input of Room.CancelBatch.
type CancelBatch struct {
	BatchID        string  `json:"batchID" validate:"required,max=64"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}
