package execution

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/evidence"
	"github.com/openspms/spms/ent/servicecase"
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

// Form is the form of a task: its JSON Schema and the order of its fields.
type Form struct {
	Schema map[string]any
	Order  []string
	Fields []model.Field
}

// Form returns the form of a task that the viewer may see.
func (r *Room) Form(ctx context.Context, t *ent.Task) (*Form, error) {
	m, node, err := r.nodeOf(ctx, r.door.Store.Client(), t)
	if err != nil {
		return nil, err
	}
	schema, order := m.FormSchema(node)
	return &Form{Schema: schema, Order: order, Fields: m.Nodes[node].Fields}, nil
}

// Variables returns the variables of cases that the viewer may see, by id, in
// one statement.
func (r *Room) Variables(ctx context.Context, caseIDs []string) (map[string]map[string]any, error) {
	rows, err := r.door.Store.Client().ServiceCase.Query().Where(servicecase.IDIn(caseIDs...)).
		Select(servicecase.FieldID, servicecase.FieldVariables).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the variables of cases: %w", err)
	}
	out := make(map[string]map[string]any, len(rows))
	for _, c := range rows {
		out[c.ID] = c.Variables
	}
	return out, nil
}

// EvidenceGiven returns the kinds of evidence given with tasks that the viewer
// may see, by task id, in one statement.
func (r *Room) EvidenceGiven(ctx context.Context, taskIDs []string) (map[string][]string, error) {
	rows, err := r.door.Store.Client().Evidence.Query().Where(evidence.TaskIDIn(taskIDs...)).
		Select(evidence.FieldTaskID, evidence.FieldKind).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the evidence of tasks: %w", err)
	}
	out := map[string][]string{}
	for _, e := range rows {
		out[*e.TaskID] = append(out[*e.TaskID], e.Kind)
	}
	return out, nil
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

// EvidenceNeeded lists the evidence of a task beside the kinds given already.
func (r *Room) EvidenceNeeded(ctx context.Context, t *ent.Task, given []string) ([]Needed, error) {
	m, node, err := r.nodeOf(ctx, r.door.Store.Client(), t)
	if err != nil {
		return nil, err
	}
	var out []Needed
	for _, e := range m.Nodes[node].Evidence {
		media := e.Media
		if media == "" {
			media = "text"
		}
		out = append(out, Needed{Kind: e.Kind, Media: media, Required: e.Required, Given: slices.Contains(given, e.Kind)})
	}
	return out, nil
}
