package execution

import (
	"slices"
	"strings"
	"testing"

	"github.com/openspms/spms/ent"
)

// TestOrderOfNotes lets notes of two cases be listed as their retries fall due, and
// carries out those that need not wait: of each case in the order in which it left them.
func TestOrderOfNotes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		failed string // notes put off before, to be tried again
		lists  string // by instant; a note in capitals fails
		want   string
	}{
		{"none failed", "", "a1 a2 b1 a3", "a1 a2 b1 a3"},
		{"the first is tried again last", "a1", "a2 b1 a1 a3 a4|a2 a3 a4|a3 a4", "b1 a1 a2 a3 a4"},
		{"two were put off", "a1 a2", "a3 a2 a1|a2 a3|a3", "a1 a2 a3"},
		{"one fails now", "", "A1 a2 b1 b2|a1 a2|a2", "b1 b2 a1 a2"},
		{"one of another case fails", "b1", "a1 a2 b2", "a1 a2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			note := func(id string) *ent.Job {
				return &ent.Job{ID: id, Args: []byte(`{"caseID":"` + id[:1] + `"}`)}
			}
			o, done := &order{first: map[string]string{}, waiting: map[string][]string{}}, []string{}
			for _, id := range strings.Fields(tt.failed) {
				if o.first[id[:1]] == "" {
					o.first[id[:1]] = id
				}
			}
			for list := range strings.SplitSeq(tt.lists, "|") {
				left := o.left()
				for _, word := range strings.Fields(list) {
					id := strings.ToLower(word)
					switch row := note(id); {
					case slices.Contains(left, id) || slices.Contains(done, id) || o.holds(row):
					case id != word:
						o.failed(row)
					default:
						o.done(row)
						done = append(done, id)
					}
				}
			}
			if got := strings.Join(done, " "); got != tt.want {
				t.Errorf("carried out %s, want %s", got, tt.want)
			}
		})
	}
}
