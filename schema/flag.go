package schema

import "time"

// Flag is a rule of a standard that a case did not keep and that asks for a mark
// rather than a refusal.
type Flag struct {
	Rule      string    `json:"rule"`
	ClauseRef string    `json:"clauseRef"` // standard code and number
	TextZh    string    `json:"textZh"`
	TextEn    string    `json:"textEn"`
	NodeID    string    `json:"nodeID"` // the task being completed, "" at the start
	At        time.Time `json:"at"`
}
