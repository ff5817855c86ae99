package standard

import "time"

// ImportStandard is the input of Room.ImportStandard.
type ImportStandard struct {
	Document       string  `json:"document" validate:"required"` // YAML or JSON of a standard file
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// CreateDraft is the input of Room.CreateDraft.
type CreateDraft struct {
	FromVersionID  string  `json:"fromVersionID" validate:"required,max=128"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// UpdateDraft is the input of Room.UpdateDraft.
type UpdateDraft struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Revision       int     `json:"revision" validate:"gte=1"`
	Document       string  `json:"document" validate:"required"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Submit is the input of Room.Submit.
type Submit struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Revision       int     `json:"revision" validate:"gte=1"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Return is the input of Room.Return.
type Return struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Approve is the input of Room.Approve. The revision says which text was read.
type Approve struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Revision       int     `json:"revision" validate:"gte=1"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Publish is the input of Room.Publish. Without instants those of the document
// hold; where that has no beginning either, the version applies from now on.
type Publish struct {
	VersionID      string     `json:"versionID" validate:"required,max=128"`
	Revision       int        `json:"revision" validate:"gte=1"`
	EffectiveFrom  *time.Time `json:"effectiveFrom,omitempty"`
	EffectiveTo    *time.Time `json:"effectiveTo,omitempty"`
	IdempotencyKey *string    `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`

	sinceEver bool // a text without a beginning applies since ever: shipped packs
}

// Withdraw is the input of Room.Withdraw.
type Withdraw struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Reason         string  `json:"reason" validate:"required,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// ImportCalendar is the input of Room.ImportCalendar. RegionID is an id or a code.
type ImportCalendar struct {
	RegionID       string  `json:"regionID" validate:"required,max=64"`
	Document       string  `json:"document" validate:"required"` // YAML or JSON of a calendar file
	Revision       *int    `json:"revision,omitempty" validate:"omitempty,gte=1"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Text is a text in Chinese and English.
type Text struct {
	Zh string `json:"zh" validate:"max=20000"`
	En string `json:"en" validate:"max=20000"`
}

// SetClause is the input of Room.SetClause: it adds the clause of a number to a
// draft, or replaces it.
type SetClause struct {
	VersionID      string   `json:"versionID" validate:"required,max=128"`
	Revision       int      `json:"revision" validate:"gte=1"`
	Number         string   `json:"number" validate:"required,max=64"`
	Parent         *string  `json:"parent,omitempty" validate:"omitempty,max=64"`
	After          *string  `json:"after,omitempty" validate:"omitempty,max=64"` // of a new clause: the one it follows; last when absent
	Title          *Text    `json:"title,omitempty"`
	Text           Text     `json:"text"`
	Mandatory      *bool    `json:"mandatory,omitempty"` // true when absent
	Roles          []string `json:"roles,omitempty" validate:"max=50,dive,max=64"`
	Policy         *string  `json:"policy,omitempty" validate:"omitempty,oneof=pinned immediate"`
	Source         *string  `json:"source,omitempty" validate:"omitempty,max=1000"`
	Address        *string  `json:"address,omitempty" validate:"omitempty,max=1000"`
	IdempotencyKey *string  `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RemoveClause is the input of Room.RemoveClause.
type RemoveClause struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Revision       int     `json:"revision" validate:"gte=1"`
	Number         string  `json:"number" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// IndicatorCondition restricts an indicator to cases whose attribute has one of
// the values.
type IndicatorCondition struct {
	Attribute string   `json:"attribute" validate:"required,max=64"`
	In        []string `json:"in" validate:"required,min=1,max=100,dive,max=200"`
	Text      *Text    `json:"text,omitempty"`
}

// IndicatorConsequence is what follows from a breach.
type IndicatorConsequence struct {
	Text      Text `json:"text"`
	CreditFen *int `json:"creditFen,omitempty" validate:"omitempty,gte=0"`
}

// SetIndicator is the input of Room.SetIndicator: it adds the indicator of a code
// to a draft, or replaces it. Words are those of the standard file.
type SetIndicator struct {
	VersionID      string                `json:"versionID" validate:"required,max=128"`
	Revision       int                   `json:"revision" validate:"gte=1"`
	Code           string                `json:"code" validate:"required,max=64"`
	Name           Text                  `json:"name"`
	Clause         string                `json:"clause" validate:"required,max=64"`
	Kind           string                `json:"kind" validate:"required,max=64"`
	Statistic      string                `json:"statistic" validate:"required,max=64"`
	Comparator     string                `json:"comparator" validate:"required,max=8"`
	Value          float64               `json:"value"`
	Unit           string                `json:"unit" validate:"required,max=64"`
	Basis          string                `json:"basis" validate:"required,max=64"`
	CutoffHour     *int                  `json:"cutoffHour,omitempty" validate:"omitempty,gte=0,lte=24"`
	Target         *float64              `json:"target,omitempty" validate:"omitempty,gte=0,lte=1"`
	StartEvent     *string               `json:"startEvent,omitempty" validate:"omitempty,max=128"`
	StopEvent      *string               `json:"stopEvent,omitempty" validate:"omitempty,max=128"`
	Services       []string              `json:"services" validate:"required,min=1,max=100,dive,max=64"`
	Areas          []string              `json:"areas" validate:"required,min=1,max=100,dive,max=64"`
	When           *IndicatorCondition   `json:"when,omitempty"`
	PauseReasons   []string              `json:"pauseReasons,omitempty" validate:"max=100,dive,max=64"`
	Exclusions     []Text                `json:"exclusions,omitempty" validate:"max=100,dive"`
	Consequence    *IndicatorConsequence `json:"consequence,omitempty"`
	Definition     *Text                 `json:"definition,omitempty"`
	Adopts         *string               `json:"adopts,omitempty" validate:"omitempty,max=64"`
	ValidFrom      *time.Time            `json:"validFrom,omitempty"`
	ValidTo        *time.Time            `json:"validTo,omitempty"`
	Enabled        *bool                 `json:"enabled,omitempty"`                                  // true when absent
	Verification   *string               `json:"verification,omitempty" validate:"omitempty,max=32"` // own when absent
	Source         *string               `json:"source,omitempty" validate:"omitempty,max=1000"`
	Address        *string               `json:"address,omitempty" validate:"omitempty,max=1000"`
	IdempotencyKey *string               `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RemoveIndicator is the input of Room.RemoveIndicator.
type RemoveIndicator struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Revision       int     `json:"revision" validate:"gte=1"`
	Code           string  `json:"code" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// SetRule is the input of Room.SetRule: it adds the rule of a code to a draft, or
// replaces it.
type SetRule struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Revision       int     `json:"revision" validate:"gte=1"`
	Code           string  `json:"code" validate:"required,max=64"`
	Name           Text    `json:"name"`
	Clause         string  `json:"clause" validate:"required,max=64"`
	On             string  `json:"on" validate:"oneof=definition case"`
	Expression     string  `json:"expression" validate:"required,max=20000"` // CEL
	Result         string  `json:"result" validate:"oneof=block flag allow"`
	Message        *Text   `json:"message,omitempty"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// RemoveRule is the input of Room.RemoveRule.
type RemoveRule struct {
	VersionID      string  `json:"versionID" validate:"required,max=128"`
	Revision       int     `json:"revision" validate:"gte=1"`
	Code           string  `json:"code" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}

// Result is the answer of a change of a standard: the version changed or made,
// and of an import every draft that it made, in order of number.
type Result struct {
	StandardID string
	VersionID  string
	VersionIDs []string
	Strictness []IndicatorStrictness // of publications of enterprise standards
}
