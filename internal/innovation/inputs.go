package innovation

// UploadPlugin is the input of Room.Upload.
type UploadPlugin struct {
	Digest         string  `json:"digest" validate:"required,max=80"`
	RegionID       string  `json:"regionID" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// TestPlugin is the input of Room.Test. Config and Inputs are JSON objects that the
// plugin is tried with besides the empty ones.
type TestPlugin struct {
	VersionID      string         `json:"versionID" validate:"required,max=160"`
	Config         map[string]any `json:"config,omitempty"`
	Inputs         map[string]any `json:"inputs,omitempty"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// JudgePlugin is the input of Room.Approve, Room.Deprecate and Room.Revoke.
type JudgePlugin struct {
	VersionID      string  `json:"versionID" validate:"required,max=160"`
	Reason         *string `json:"reason,omitempty" validate:"omitempty,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Mapping says which variable of the case an input or output of a plugin is.
type Mapping struct {
	Name     string `json:"name" validate:"required,max=128"`
	Variable string `json:"variable" validate:"required,max=128"`
}

// AssignPlugin is the input of Room.Assign; what is absent is as the schema says, or
// as it was when the region has the assignment already.
type AssignPlugin struct {
	VersionID      string         `json:"versionID" validate:"required,max=160"`
	RegionID       string         `json:"regionID" validate:"required,max=64"`
	Topic          *string        `json:"topic,omitempty" validate:"omitempty,max=128"`
	Mode           string         `json:"mode" validate:"required,oneof=shadow pilot full"`
	SharePermille  *int           `json:"sharePermille,omitempty" validate:"omitempty,min=0,max=1000"`
	Cohort         *string        `json:"cohort,omitempty" validate:"omitempty,max=8000"`
	Config         map[string]any `json:"config,omitempty"`
	Inputs         []*Mapping     `json:"inputs,omitempty" validate:"omitempty,max=100,dive"`
	Outputs        []*Mapping     `json:"outputs,omitempty" validate:"omitempty,max=100,dive"`
	Fallback       *string        `json:"fallback,omitempty" validate:"omitempty,oneof=human previous fail"`
	FallbackRole   *string        `json:"fallbackRole,omitempty" validate:"omitempty,max=32"`
	Attempts       *int           `json:"attempts,omitempty" validate:"omitempty,min=1,max=20"`
	TimeoutSeconds *int           `json:"timeoutSeconds,omitempty" validate:"omitempty,min=1,max=300"`
	Concurrency    *int           `json:"concurrency,omitempty" validate:"omitempty,min=1,max=64"`
	GuardPermille  *int           `json:"guardPermille,omitempty" validate:"omitempty,min=0,max=1000"`
	GuardRuns      *int           `json:"guardRuns,omitempty" validate:"omitempty,min=1,max=10000"`
	Guards         []*Guard       `json:"guards,omitempty" validate:"omitempty,max=20,dive"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// ChangeAssignment is the input of Room.RollBack and Room.End.
type ChangeAssignment struct {
	AssignmentID   string  `json:"assignmentID" validate:"required,max=64"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// ReleasePlugin is the input of Room.Release.
type ReleasePlugin struct {
	VersionID      string  `json:"versionID" validate:"required,max=160"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Guard is one of AssignPlugin.Guards: bounds of the mean of a declared metric.
type Guard struct {
	Metric string   `json:"metric" validate:"required,max=128"`
	Min    *float64 `json:"min,omitempty"`
	Max    *float64 `json:"max,omitempty"`
}
