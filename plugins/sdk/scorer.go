package sdk

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// maxItems is how many items one request may have.
const maxItems = 10_000

// Scorer ranks items.
type Scorer interface {
	// Score gives every item of the ranking a number, higher for first. The same
	// ranking gives the same scores.
	Score(ctx context.Context, r *Ranking) ([]Score, error)
}

// Ranking is a question for scores.
type Ranking struct {
	Purpose string // such as "worklist"
	Region  string // path of the region
	Now     time.Time
	Config  json.RawMessage // a JSON object that fits the schema
	Items   []Item
}

// Item is one thing to score.
type Item struct {
	ID         string
	Values     map[string]float64
	Attributes map[string]string
}

// Score is the number given to one item.
type Score struct {
	ID     string
	Value  float64
	Reason string // a few words for a person
}

// scorerServer serves Scorer.
type scorerServer struct {
	pluginv1.UnimplementedScorerServer
	core *core
}

// Score checks a request, asks the scorer, and checks its answer.
func (s *scorerServer) Score(ctx context.Context, r *pluginv1.ScoreRequest) (_ *pluginv1.ScoreResponse, err error) {
	defer s.core.enter()()
	defer rescue(&err)
	config, err := s.core.configOf(r.GetConfigGeneration())
	if err != nil {
		return nil, err
	}
	ranking := &Ranking{Purpose: r.GetPurpose(), Region: r.GetRegion(), Now: instant(r.GetNowUs()), Config: config}
	open := map[string]bool{}
	for _, i := range r.GetItems() {
		if i.GetId() == "" || open[i.GetId()] || len(open) == maxItems {
			return nil, status.Errorf(codes.InvalidArgument, "item %q has no id, is there twice, or is one too many", i.GetId())
		}
		open[i.GetId()] = true
		ranking.Items = append(ranking.Items, Item{ID: i.GetId(), Values: i.GetValues(), Attributes: i.GetAttributes()})
	}
	scores, err := s.core.plugin.Scorer.Score(ctx, ranking)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	out := &pluginv1.ScoreResponse{}
	for _, x := range scores {
		if !open[x.ID] || math.IsNaN(x.Value) || math.IsInf(x.Value, 0) {
			return nil, status.Errorf(codes.Internal, "the score of %q is unasked, there twice, or not finite", x.ID)
		}
		delete(open, x.ID)
		out.Scores = append(out.Scores, &pluginv1.Score{Id: x.ID, Value: x.Value, Reason: x.Reason})
	}
	if len(open) > 0 {
		return nil, status.Errorf(codes.Internal, "%d items have no score", len(open))
	}
	return out, nil
}

// statusOf is the error of an author as a status: that of the context when it
// is done, its own when it is one, else INTERNAL.
func statusOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	return status.Error(codes.Internal, err.Error())
}
