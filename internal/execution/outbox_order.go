package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/job"
	"github.com/openspms/spms/internal/access"
)

// order keeps the notes of each sender in the order in which they were left: after one
// that is to be tried again, the later ones wait.
type order struct {
	first   map[string]string   // sender → the earliest of its notes that is to be tried again
	waiting map[string][]string // sender → those that wait for that
}

// look finds the notes that are to be tried again. It comes after the notes that are
// due have been listed, so that one that another node has put off since is among them.
func (o *order) look(ctx context.Context, client *ent.Client) error {
	rows, err := client.Job.Query().Where(job.StateEQ(job.StateReady), job.AttemptGT(0), job.AttemptLTE(maxHeld)).Order(job.ByID()).All(access.Elevated(ctx))
	if err != nil {
		return fmt.Errorf("read the notes to try again: %w", err)
	}
	o.first = map[string]string{}
	for _, row := range rows {
		if from := sender(row); o.first[from] == "" {
			o.first[from] = row.ID
		}
	}
	return nil
}

// holds reports whether a note has to wait for an earlier one, and remembers it.
func (o *order) holds(row *ent.Job) bool {
	from := sender(row)
	first := o.first[from]
	if from == "" || first == "" || first >= row.ID {
		return false
	}
	o.waiting[from] = append(o.waiting[from], row.ID)
	return true
}

// failed lets the later notes of the sender wait for one that has just been put off.
func (o *order) failed(row *ent.Job) {
	if from := sender(row); o.first[from] == "" && row.Attempt < maxHeld {
		o.first[from] = row.ID
	}
}

// done lets those that waited for a note be listed again. The first of them holds up the
// later ones in its turn: some of these may stand in the list that is being carried out.
func (o *order) done(row *ent.Job) {
	from := sender(row)
	if o.first[from] != row.ID {
		return
	}
	delete(o.first, from)
	if waited := o.waiting[from]; len(waited) > 0 {
		o.first[from] = slices.Min(waited)
		delete(o.waiting, from)
	}
}

// left are the notes that wait.
func (o *order) left() []string {
	var out []string
	for _, ids := range o.waiting {
		out = append(out, ids...)
	}
	return out
}

// sender is the case whose notes a note must not overtake; "" for one that is not from
// the case alone: its part of a signal, or what follows a breach.
func sender(row *ent.Job) string {
	var n note
	if err := json.Unmarshal(row.Args, &n); err != nil || n.To != "" {
		return ""
	}
	return n.CaseID
}
