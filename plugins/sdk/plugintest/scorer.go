package plugintest

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// sameScores: for no items, few and many, every item has one finite score, and
// the same again.
func sameScores(ctx context.Context, k *kit) error {
	for _, n := range []int{0, 1, 1000} {
		r := &pluginv1.ScoreRequest{Purpose: "worklist", Region: "/cn/gd", ConfigGeneration: 1, NowUs: instantUs}
		for i := range n {
			r.Items = append(r.Items, &pluginv1.Item{
				Id: fmt.Sprint("item-", i), Values: map[string]float64{"age": float64(i % 7)},
				Attributes: map[string]string{"kind": strconv.Itoa(i % 3)},
			})
		}
		first, err := k.scorer.Score(ctx, r)
		if err != nil {
			return fmt.Errorf("Score(%d items): %w", n, err)
		}
		seen := map[string]bool{}
		for _, s := range first.GetScores() {
			if math.IsNaN(s.GetValue()) || math.IsInf(s.GetValue(), 0) {
				return fmt.Errorf("Score(%d items): %s has %v", n, s.GetId(), s.GetValue())
			}
			seen[s.GetId()] = true
		}
		if len(seen) != n || len(first.GetScores()) != n {
			return fmt.Errorf("Score(%d items) = %d scores of %d items", n, len(first.GetScores()), len(seen))
		}
		second, err := k.scorer.Score(ctx, r)
		if err != nil {
			return fmt.Errorf("Score(%d items) the second time: %w", n, err)
		}
		if !proto.Equal(first, second) {
			return fmt.Errorf("Score(%d items) differs the second time", n)
		}
	}
	return nil
}

// scorerGarbage: items that cannot be told apart are refused.
func scorerGarbage(ctx context.Context, k *kit) error {
	for _, ids := range [][]string{{""}, {"a", "a"}} {
		r := &pluginv1.ScoreRequest{ConfigGeneration: 1}
		for _, id := range ids {
			r.Items = append(r.Items, &pluginv1.Item{Id: id})
		}
		_, err := k.scorer.Score(ctx, r)
		if got := status.Code(err); got != codes.InvalidArgument {
			return fmt.Errorf("Score(%q) = %v, want INVALID_ARGUMENT", ids, got)
		}
	}
	return nil
}
