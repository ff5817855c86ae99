package store

import (
	"context"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
)

// denyWrites refuses every mutation on the reading client: the one write path
// is Write.
func denyWrites(c *ent.Client) {
	c.Use(func(ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(context.Context, ent.Mutation) (ent.Value, error) {
			return nil, fault.E(fault.Internal, "WRITE_OUTSIDE_COMMAND")
		})
	})
}

// guardWrites holds the rules that no room may get round: someone is known to
// act, a new row lies in a region where the actor has some right, and what is
// published is not changed.
func guardWrites(c *ent.Client) {
	c.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			v := access.From(ctx)
			if v == nil {
				return nil, fault.E(fault.Unauthenticated, "VIEWER_UNKNOWN")
			}
			if err := insideRegions(ctx, v, m); err != nil {
				return nil, err
			}
			if err := unpublished(ctx, m); err != nil {
				return nil, err
			}
			return next.Mutate(ctx, m)
		})
	})
}

func insideRegions(ctx context.Context, v *access.Viewer, m ent.Mutation) error {
	if access.IsElevated(ctx) || !m.Op().Is(ent.OpCreate) {
		return nil
	}
	path, ok := m.Field("region_path")
	if !ok {
		return nil
	}
	for _, a := range access.Actions {
		if v.May(a, path.(string)) {
			return nil
		}
	}
	return fault.E(fault.Forbidden, "REGION_FORBIDDEN", fault.P("region", path))
}

// mutable are the fields of a published version that its life still changes.
var mutable = map[string]bool{"state": true, "effective_to": true, "applied_at": true}

// unpublished refuses a change of a published standard or process version and
// of a published standard's clauses and indicators.
func unpublished(ctx context.Context, m ent.Mutation) error {
	if m.Op().Is(ent.OpCreate) {
		return nil
	}
	var frozen bool
	switch m := m.(type) {
	case *ent.StandardVersionMutation:
		frozen = isFrozen(m.OldState(ctx))
	case *ent.ProcessVersionMutation:
		frozen = isFrozen(m.OldState(ctx))
	case *ent.ClauseMutation, *ent.IndicatorMutation:
		return nil // rewritten with their draft as a whole, which is checked above
	}
	if !frozen {
		return nil
	}
	for _, f := range append(m.Fields(), m.ClearedFields()...) {
		if !mutable[f] {
			return fault.E(fault.Precondition, "PUBLISHED_IMMUTABLE", fault.P("field", f))
		}
	}
	if m.Op().Is(ent.OpDelete | ent.OpDeleteOne) {
		return fault.E(fault.Precondition, "PUBLISHED_IMMUTABLE", fault.P("field", "*"))
	}
	return nil
}

func isFrozen[S ~string](state S, err error) bool {
	return err == nil && state != "draft" && state != "in_review" && state != "approved"
}
