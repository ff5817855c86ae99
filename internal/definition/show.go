package definition

import (
	"bytes"
	"context"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/bpmn"
)

// Comparison is what differs between two versions.
type Comparison struct {
	FromVersionID string
	ToVersionID   string
	Changes       []bpmn.Change
}

// Markdown writes the comparison as a list, in zh or en.
func (c *Comparison) Markdown(lang string) string { return bpmn.Markdown(c.Changes, lang) }

// Diff compares two versions that the viewer sees, named by id or as KEY@number.
// Errors: PROCESS_VERSION_NOT_FOUND, those of parsing.
func (r *Room) Diff(ctx context.Context, from, to string) (*Comparison, error) {
	a, ga, err := r.graphOf(ctx, from, "from")
	if err != nil {
		return nil, err
	}
	b, gb, err := r.graphOf(ctx, to, "to")
	if err != nil {
		return nil, err
	}
	return &Comparison{a.ID, b.ID, bpmn.Diff(ga, gb)}, nil
}

func (r *Room) graphOf(ctx context.Context, ref, field string) (*ent.ProcessVersion, *bpmn.Graph, error) {
	row, err := r.door.Store.Client().ProcessVersion.Query().Where(versionRef(ref)).Only(ctx)
	if err != nil {
		return nil, nil, withPath(notFound(err, "PROCESS_VERSION_NOT_FOUND", ref), field)
	}
	c, _, err := compile(row.Document)
	if err != nil {
		return nil, nil, err
	}
	return row, c.Graph, nil
}

// SVG draws a version: where its document has a diagram as it says, else laid out
// anew; with figures at nodes and flows, by their ids, as a heat map. lang is zh
// or en.
func (r *Room) SVG(row *ent.ProcessVersion, lang string, heat map[string]bpmn.Figures) (string, error) {
	c, _, err := compile(row.Document)
	if err != nil {
		return "", err
	}
	diagram, has := c.Document.Diagram(c.Graph)
	if !has {
		diagram = bpmn.Layout(c.Graph)
	}
	var out bytes.Buffer
	if err := bpmn.RenderSVG(&out, c.Graph, diagram, bpmn.SVGOptions{Lang: lang, Heat: heat}); err != nil {
		return "", fmt.Errorf("draw version %s: %w", row.ID, err)
	}
	return out.String(), nil
}
