package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/openspms/spms/internal/model"
)

// digestToken is a token as Digest sees it: by node id, timers with instants in UTC.
type digestToken struct {
	Token
	Node   string        `json:"node"`
	Timers []digestTimer `json:"timers,omitempty"`
}

type digestTimer struct {
	Seq  int    `json:"seq"`
	Node string `json:"node"`
	Due  string `json:"due,omitempty"`
}

// Digest returns a canonical SHA-256 of a state, in hex: equal for equal states
// wherever they were stored, whatever order a model puts its nodes in.
func Digest(m *model.Model, s *State) string {
	tokens := make([]digestToken, len(s.Tokens))
	for i := range s.Tokens {
		t := &s.Tokens[i]
		tokens[i] = digestToken{Token: *t, Node: m.Nodes[t.Node].ID}
		for _, x := range t.Timers {
			d := digestTimer{Seq: x.Seq, Node: m.Nodes[x.Node].ID}
			if x.Set {
				d.Due = x.Due.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
			}
			tokens[i].Timers = append(tokens[i].Timers, d)
		}
		slices.SortFunc(tokens[i].Timers, func(a, b digestTimer) int { return a.Seq - b.Seq })
	}
	slices.SortFunc(tokens, func(a, b digestToken) int { return a.Seq - b.Seq })
	scopes := append([]Scope{}, s.Scopes...)
	slices.SortFunc(scopes, func(a, b Scope) int { return a.Seq - b.Seq })
	vars := s.Variables
	if vars == nil {
		vars = map[string]any{}
	}
	all := []any{tokens, scopes, s.NextToken, s.NextScope, s.NextTimer, s.Ended, s.Outcome, vars}
	if s.NextDone > 0 {
		all = append(all, s.NextDone, append([]Completion{}, s.Done...))
	}
	raw, err := json.Marshal(all)
	if err != nil { // a value that JSON cannot hold was put in from outside
		raw = []byte(err.Error())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
