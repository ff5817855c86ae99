package definition

import (
	"time"

	"github.com/openspms/spms/internal/bpmn"
)

// CreateProcess is the input of Room.CreateProcess.
type CreateProcess struct {
	RegionID       string  `json:"regionID" validate:"required,max=64"`
	BPMN           string  `json:"bpmn" validate:"required"`
	Changelog      *string `json:"changelog,omitempty" validate:"omitempty,max=10000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CreateFromTemplate is the input of Room.CreateFromTemplate.
type CreateFromTemplate struct {
	TemplateVersionID string            `json:"templateVersionID" validate:"required,max=64"`
	Key               string            `json:"key" validate:"required,max=64"`
	NameZh            string            `json:"nameZh" validate:"required,max=256"`
	NameEn            string            `json:"nameEn" validate:"required,max=256"`
	RegionID          string            `json:"regionID" validate:"required,max=64"`
	Parameters        []*ParameterValue `json:"parameters,omitempty" validate:"max=100"`
	Changelog         *string           `json:"changelog,omitempty" validate:"omitempty,max=10000"`
	IdempotencyKey    *string           `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// ParameterValue is the value for one parameter of a template.
type ParameterValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CreateDraft is the input of Room.CreateDraft.
type CreateDraft struct {
	FromVersionID  string  `json:"fromVersionID" validate:"required,max=64"`
	Changelog      *string `json:"changelog,omitempty" validate:"omitempty,max=10000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CreateVariant is the input of Room.CreateVariant.
type CreateVariant struct {
	FromVersionID  string  `json:"fromVersionID" validate:"required,max=64"`
	RegionID       string  `json:"regionID" validate:"required,max=64"`
	Changelog      *string `json:"changelog,omitempty" validate:"omitempty,max=10000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RebaseVariant is the input of Room.RebaseVariant.
type RebaseVariant struct {
	VersionID      string  `json:"versionID" validate:"required,max=64"`
	OntoVersionID  string  `json:"ontoVersionID" validate:"required,max=64"`
	Changelog      *string `json:"changelog,omitempty" validate:"omitempty,max=10000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// UpdateDraft is the input of Room.UpdateDraft.
type UpdateDraft struct {
	VersionID      string  `json:"versionID" validate:"required,max=64"`
	Revision       int     `json:"revision" validate:"gte=1"`
	BPMN           string  `json:"bpmn" validate:"required"`
	Changelog      *string `json:"changelog,omitempty" validate:"omitempty,max=10000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// EditDraft is the input of Room.EditDraft.
type EditDraft struct {
	VersionID      string       `json:"versionID" validate:"required,max=64"`
	Revision       int          `json:"revision" validate:"gte=1"`
	Edits          []*bpmn.Edit `json:"edits" validate:"min=1,max=200"`
	IdempotencyKey *string      `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// StepEdit is the input of Room.UndoEdit and Room.RedoEdit.
type StepEdit struct {
	VersionID      string  `json:"versionID" validate:"required,max=64"`
	Revision       int     `json:"revision" validate:"gte=1"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Submit is the input of Room.Submit.
type Submit struct {
	VersionID      string  `json:"versionID" validate:"required,max=64"`
	Revision       int     `json:"revision" validate:"gte=1"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Return is the input of Room.Return.
type Return struct {
	VersionID      string  `json:"versionID" validate:"required,max=64"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Publish is the input of Room.Publish.
type Publish struct {
	VersionID      string  `json:"versionID" validate:"required,max=64"`
	Revision       int     `json:"revision" validate:"gte=1"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Retire is the input of Room.Retire.
type Retire struct {
	VersionID      string  `json:"versionID" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Bind is the input of Room.Bind.
type Bind struct {
	VersionID      string     `json:"versionID" validate:"required,max=64"`
	RegionID       string     `json:"regionID" validate:"required,max=64"`
	EffectiveFrom  *time.Time `json:"effectiveFrom,omitempty"`
	IdempotencyKey *string    `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}
