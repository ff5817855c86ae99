package execution

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/model"
)

// history is a case that is played again from its events.
type history struct {
	room    *Room
	client  *ent.Client
	model   *model.Model
	version string
	state   engine.State
	effects []engine.Effect
}

// beginning is the history of a case before its first event: in the version that
// its first migration left, or in its own.
func (r *Room) beginning(ctx context.Context, client *ent.Client, row *ent.ServiceCase, events []*ent.CaseEvent) (*history, error) {
	h := &history{room: r, client: client, version: row.VersionID, state: engine.State{Variables: map[string]any{}}}
	for _, e := range events {
		if e.Kind == string(engine.Migrated) {
			if from, ok := e.Input["node"].(string); ok {
				h.version = from
			}
			break
		}
	}
	c, err := r.definitions.Compiled(ctx, client, h.version)
	if err != nil {
		return nil, err
	}
	h.model = c.Model
	return h, nil
}

// apply plays one event.
func (h *history) apply(ctx context.Context, row *ent.CaseEvent) error {
	ev, err := eventOf(row)
	if err != nil {
		return err
	}
	if ev.Kind != engine.Migrated {
		h.effects, err = engine.Step(h.model, &h.state, ev, row.At, h.effects[:0])
		return err
	}
	c, err := h.room.definitions.Compiled(ctx, h.client, ev.Name)
	if err != nil {
		return fmt.Errorf("read the version that the case moved to: %w", err)
	}
	h.effects, err = engine.Migrate(h.model, c.Model, &h.state, ev.Mapping, ev, row.At, h.effects[:0])
	h.model, h.version = c.Model, ev.Name
	return err
}

func eventOf(row *ent.CaseEvent) (engine.Event, error) {
	var ev engine.Event
	body, err := json.Marshal(row.Input)
	if err != nil {
		return ev, err
	}
	return ev, json.Unmarshal(body, &ev)
}
