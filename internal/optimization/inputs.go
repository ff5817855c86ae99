package optimization

// ProposeChanges is the input of Room.ProposeChanges. Seed is a whole number of 64
// bits in decimal; one is chosen when it is absent.
type ProposeChanges struct {
	StrategyID     string         `json:"strategyID" validate:"required,max=160"`
	ProcessID      string         `json:"processID" validate:"required,max=160"`
	RegionID       string         `json:"regionID" validate:"required,max=64"`
	Seed           *string        `json:"seed,omitempty" validate:"omitempty,max=20,number"`
	Config         map[string]any `json:"config,omitempty"`
	IdempotencyKey *string        `json:"idempotencyKey,omitempty" validate:"omitempty,max=100"`
}

// JudgeProposal is the input of Room.Adopt and Room.Decline.
type JudgeProposal struct {
	ProposalID     string  `json:"proposalID" validate:"required,max=64"`
	Reason         *string `json:"reason,omitempty" validate:"omitempty,max=2000"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=100"`
}

// ReplayOptimization is the input of Room.Replay.
type ReplayOptimization struct {
	RunID          string  `json:"runID" validate:"required,max=64"`
	IdempotencyKey *string `json:"idempotencyKey,omitempty" validate:"omitempty,max=128"`
}
