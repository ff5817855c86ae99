package execution

import (
	"context"
	"fmt"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/evidence"
	"github.com/openspms/spms/internal/model"
)

// Remaining returns how long a clock has until its due instant: negative after
// it; of a stopped clock what it had when it stopped, of a paused one what it
// had when it was paused.
func Remaining(c *ent.Clock, now time.Time) time.Duration {
	switch {
	case c.StoppedAt != nil:
		return c.DueAt.Sub(*c.StoppedAt)
	case c.PausedAt != nil:
		return c.DueAt.Sub(*c.PausedAt)
	}
	return c.DueAt.Sub(now)
}

// Form is the form of a task: its JSON Schema, the order of its fields, and the
// values the case has for them now.
type Form struct {
	Schema    map[string]any
	Order     []string
	Fields    []model.Field
	Variables map[string]any
}

// Form returns the form of a task that the viewer may see.
func (r *Room) Form(ctx context.Context, t *ent.Task) (*Form, error) {
	client := r.door.Store.Client()
	m, node, err := r.nodeOf(ctx, client, t)
	if err != nil {
		return nil, err
	}
	c, err := client.ServiceCase.Get(ctx, t.CaseID)
	if err != nil {
		return nil, fmt.Errorf("read the case of a task: %w", err)
	}
	schema, order := m.FormSchema(node)
	return &Form{Schema: schema, Order: order, Fields: m.Nodes[node].Fields, Variables: c.Variables}, nil
}

func (r *Room) nodeOf(ctx context.Context, client *ent.Client, t *ent.Task) (*model.Model, int, error) {
	c, err := r.definitions.Compiled(ctx, client, t.VersionID)
	if err != nil {
		return nil, 0, err
	}
	node, ok := c.Model.Node(t.NodeID)
	if !ok {
		return nil, 0, lostNode(t.NodeID)
	}
	return c.Model, node, nil
}

// Needed is one kind of evidence that a task needs.
type Needed struct {
	Kind, Media     string
	Required, Given bool
}

// EvidenceNeeded lists the evidence of a task, and what has been given.
func (r *Room) EvidenceNeeded(ctx context.Context, t *ent.Task) ([]Needed, error) {
	client := r.door.Store.Client()
	m, node, err := r.nodeOf(ctx, client, t)
	if err != nil {
		return nil, err
	}
	kinds, err := client.Evidence.Query().Where(evidence.TaskID(t.ID)).Select(evidence.FieldKind).Strings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the evidence of a task: %w", err)
	}
	given := map[string]bool{}
	for _, k := range kinds {
		given[k] = true
	}
	var out []Needed
	for _, e := range m.Nodes[node].Evidence {
		media := e.Media
		if media == "" {
			media = "text"
		}
		out = append(out, Needed{Kind: e.Kind, Media: media, Required: e.Required, Given: given[e.Kind]})
	}
	return out, nil
}
