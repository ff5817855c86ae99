package standard

import (
	"context"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
)

// Comparison is what changed between two versions of a standard.
type Comparison struct {
	FromVersionID string
	ToVersionID   string
	Changes       []norm.Change
}

// Markdown writes the changes in "zh" or "en"; see norm.DiffMarkdown.
func (d *Comparison) Markdown(lang string) string { return norm.DiffMarkdown(d.Changes, lang) }

// Diff compares two versions of one standard by clause, indicator and rule, words
// and numbers. Errors: STANDARD_VERSION_NOT_FOUND, STANDARD_NOT_SAME.
func (r *Room) Diff(ctx context.Context, fromVersionID, toVersionID string) (*Comparison, error) {
	client := r.door.Store.Client()
	from, err := version(ctx, client, fromVersionID, "fromVersionID")
	if err != nil {
		return nil, err
	}
	to, err := version(ctx, client, toVersionID, "toVersionID")
	if err != nil {
		return nil, err
	}
	if from.StandardID != to.StandardID {
		return nil, fault.E(fault.Invalid, "STANDARD_NOT_SAME").At("toVersionID")
	}
	before, err := r.text(from)
	if err != nil {
		return nil, err
	}
	after, err := r.text(to)
	if err != nil {
		return nil, err
	}
	return &Comparison{from.ID, to.ID, norm.Diff(&before.Versions[0], &after.Versions[0])}, nil
}
