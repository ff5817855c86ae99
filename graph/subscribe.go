package graph

import (
	"context"
	"strings"

	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/internal/store"
)

// stream turns committed changes into what one subscriber is told. pick reads
// the row again under the subscriber's own rights and returns false for what is
// not his, or not asked for.
func stream[T any](ctx context.Context, s *store.Store, pick func(store.Change) (T, bool)) <-chan T {
	changes := s.Subscribe(ctx)
	out := make(chan T, 1)
	go func() {
		defer close(out)
		for c := range changes {
			v, ok := pick(c)
			if !ok {
				continue
			}
			select {
			case out <- v:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func (r *Resolver) caseChanges(ctx context.Context, caseID, regionID string) (<-chan *model.CaseChange, error) {
	path, err := pathOf(ctx, r.Store.Client(), regionID)
	if err != nil {
		return nil, err
	}
	return stream(ctx, r.Store, func(c store.Change) (*model.CaseChange, bool) {
		if c.Kind == store.Lost {
			return &model.CaseChange{Kind: c.Kind, Lost: true}, true
		}
		if c.CaseID == "" || (caseID != "" && c.CaseID != caseID) || !strings.HasPrefix(c.RegionPath, path) {
			return nil, false
		}
		row, err := r.Store.Client().ServiceCase.Get(ctx, c.CaseID)
		if err != nil {
			return nil, false
		}
		return &model.CaseChange{Kind: c.Kind, ServiceCase: row}, true
	}), nil
}

func (r *Resolver) taskChanges(ctx context.Context, role, regionID string) (<-chan *model.TaskChange, error) {
	path, err := pathOf(ctx, r.Store.Client(), regionID)
	if err != nil {
		return nil, err
	}
	return stream(ctx, r.Store, func(c store.Change) (*model.TaskChange, bool) {
		if c.Kind == store.Lost {
			return &model.TaskChange{Lost: true}, true
		}
		if c.Kind != "task" || !strings.HasPrefix(c.RegionPath, path) {
			return nil, false
		}
		row, err := r.Store.Client().Task.Get(ctx, c.ID)
		if err != nil || (role != "" && row.Role != role) {
			return nil, false
		}
		return &model.TaskChange{Task: row}, true
	}), nil
}

func (r *Resolver) clockChanges(ctx context.Context, regionID string) (<-chan *model.ClockChange, error) {
	path, err := pathOf(ctx, r.Store.Client(), regionID)
	if err != nil {
		return nil, err
	}
	return stream(ctx, r.Store, func(c store.Change) (*model.ClockChange, bool) {
		if c.Kind == store.Lost {
			return &model.ClockChange{Lost: true}, true
		}
		if c.Kind != "clock" || !strings.HasPrefix(c.RegionPath, path) {
			return nil, false
		}
		row, err := r.Store.Client().Clock.Get(ctx, c.ID)
		if err != nil {
			return nil, false
		}
		return &model.ClockChange{Clock: row}, true
	}), nil
}

func (r *Resolver) batchChanges(ctx context.Context, batchID, regionID string) (<-chan *model.BatchChange, error) {
	path, err := pathOf(ctx, r.Store.Client(), regionID)
	if err != nil {
		return nil, err
	}
	return stream(ctx, r.Store, func(c store.Change) (*model.BatchChange, bool) {
		if c.Kind == store.Lost {
			return &model.BatchChange{Lost: true}, true
		}
		if c.Kind != "batch" && c.Kind != "batched" || batchID != "" && c.ID != batchID || !strings.HasPrefix(c.RegionPath, path) {
			return nil, false
		}
		row, err := r.Store.Client().Batch.Get(ctx, c.ID)
		if err != nil {
			return nil, false
		}
		return &model.BatchChange{Batch: row}, true
	}), nil
}
