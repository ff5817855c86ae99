package definition

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/fault"
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

// ElementFigures are what a heat map shows at a node or flow.
type ElementFigures struct {
	ElementID  string
	Count      int      // how often it was passed, 0 or more
	Minutes    *float64 // mean stay, 0 or more; nil is not shown
	BreachRate *float64 // share of breaches, 0 to 1; nil is not shown
}

// SVG draws a version: where its document has a diagram as it says, else laid out
// anew; with figures at nodes and flows as a heat map. lang is zh or en. Errors,
// with the path figures[i].field: FIGURE_ELEMENT_UNKNOWN, FIGURE_OUT_OF_RANGE.
func (r *Room) SVG(row *ent.ProcessVersion, lang string, figures []*ElementFigures) (string, error) {
	c, _, err := compile(row.Document)
	if err != nil {
		return "", err
	}
	heat, err := heatOf(c.Graph, figures)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := draw(&out, c, bpmn.SVGOptions{Lang: lang, Heat: heat}); err != nil {
		return "", fmt.Errorf("draw version %s: %w", row.ID, err)
	}
	return out.String(), nil
}

// draw draws a process, with the other parties where its document has some.
func draw(w io.Writer, c *Compiled, o bpmn.SVGOptions) error {
	all, several, err := c.Document.Collaboration()
	if err != nil {
		return err
	}
	if several {
		diagram, has := c.Document.Drawing(all)
		if !has {
			diagram = bpmn.LayoutCollaboration(all)
		}
		return bpmn.RenderCollaboration(w, all, diagram, o)
	}
	diagram, has := c.Document.Diagram(c.Graph)
	if !has {
		diagram = bpmn.Layout(c.Graph)
	}
	return bpmn.RenderSVG(w, c.Graph, diagram, o)
}

// heatOf checks figures against the graph they are to stand on.
func heatOf(g *bpmn.Graph, figures []*ElementFigures) (map[string]bpmn.Figures, error) {
	known := make(map[string]bool, len(g.Nodes)+len(g.Flows))
	for _, n := range g.Nodes {
		known[n.ID] = true
	}
	for _, f := range g.Flows {
		known[f.ID] = true
	}
	out := make(map[string]bpmn.Figures, len(figures))
	for i, f := range figures {
		at := fmt.Sprintf("figures[%d]", i)
		if !known[f.ElementID] {
			return nil, fault.E(fault.Invalid, "FIGURE_ELEMENT_UNKNOWN", fault.P("element", f.ElementID)).At(at, "elementID")
		}
		minutes, err := figure(f.Minutes, math.MaxFloat64)
		if err != nil {
			return nil, err.At(at, "minutes")
		}
		rate, err := figure(f.BreachRate, 1)
		if err != nil {
			return nil, err.At(at, "breachRate")
		}
		if f.Count < 0 {
			return nil, fault.E(fault.Invalid, "FIGURE_OUT_OF_RANGE", fault.P("value", f.Count)).At(at, "count")
		}
		out[f.ElementID] = bpmn.Figures{Count: f.Count, Minutes: minutes, BreachRate: rate}
	}
	return out, nil
}

// figure is a number from 0 to highest, or -1 for none.
func figure(v *float64, highest float64) (float64, *fault.Error) {
	switch {
	case v == nil:
		return -1, nil
	case *v < 0 || *v > highest || math.IsNaN(*v):
		return 0, fault.E(fault.Invalid, "FIGURE_OUT_OF_RANGE", fault.P("value", *v))
	}
	return *v, nil
}
