package execution

// EvidenceItem is one item of evidence given with a task.
type EvidenceItem struct {
	Kind    string  `json:"kind" validate:"required,max=128"`
	Media   *string `json:"media,omitempty" validate:"omitempty,oneof=text number photo location document"`
	Content string  `json:"content" validate:"required,max=65536"`
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
	IdempotencyKey *string         `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// SendMessage is the input of Room.SendMessage.
type SendMessage struct {
	Name           string         `json:"name" validate:"required,max=128"`
	CaseID         *string        `json:"caseID,omitempty" validate:"omitempty,max=64"`
	CaseNumber     *string        `json:"caseNumber,omitempty" validate:"omitempty,max=64"`
	CorrelationKey *string        `json:"correlationKey,omitempty" validate:"omitempty,max=256"`
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
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}
