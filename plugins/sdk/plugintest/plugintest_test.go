package plugintest_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

type module func(context.Context, *sdk.Call) (sdk.Outcome, error)

func (m module) Execute(ctx context.Context, c *sdk.Call) (sdk.Outcome, error) { return m(ctx, c) }

type strategy func(context.Context, *sdk.Run) error

func (s strategy) Propose(ctx context.Context, r *sdk.Run) error { return s(ctx, r) }

type scorer func(context.Context, *sdk.Ranking) ([]sdk.Score, error)

func (s scorer) Score(ctx context.Context, r *sdk.Ranking) ([]sdk.Score, error) { return s(ctx, r) }

// stuck returns later than any rule waits.
func stuck() { time.Sleep(1500 * time.Millisecond) }

// TestRulesSeeBreaks holds plugins that break one rule against all of them.
func TestRulesSeeBreaks(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	rename := func(id any) sdk.Proposal {
		return sdk.Proposal{TitleEN: "t", Edits: []sdk.Edit{{"op": "rename", "id": id}}}
	}
	for name, test := range map[string]struct {
		plugin sdk.Plugin
		want   string // the rule that must be found broken
	}{
		"diagnostic without a path": {sdk.Plugin{
			Module:      module(func(context.Context, *sdk.Call) (sdk.Outcome, error) { return sdk.Complete(nil), nil }),
			CheckConfig: func(json.RawMessage) []sdk.Diagnostic { return []sdk.Diagnostic{{Code: "X", Message: "x"}} },
		}, "configuration"},
		"not ready": {sdk.Plugin{
			Module: module(func(context.Context, *sdk.Call) (sdk.Outcome, error) { return sdk.Complete(nil), nil }),
			Ready:  func() error { return errors.New("no licence") },
		}, "health"},
		"another outcome each time": {sdk.Plugin{Module: module(func(context.Context, *sdk.Call) (sdk.Outcome, error) {
			return sdk.Complete(map[string]int64{"n": calls.Add(1)}), nil
		})}, "module: same key, same outcome"},
		"panic on strange inputs": {sdk.Plugin{Module: module(func(_ context.Context, c *sdk.Call) (sdk.Outcome, error) {
			if strings.Contains(string(c.Inputs), "null") {
				panic("null")
			}
			return sdk.Complete(nil), nil
		})}, "module: unknown inputs"},
		"deaf to deadlines": {sdk.Plugin{Module: module(func(ctx context.Context, _ *sdk.Call) (sdk.Outcome, error) {
			if end, ok := ctx.Deadline(); ok && time.Until(end) < time.Second {
				stuck()
			}
			return sdk.Complete(nil), nil
		})}, "module: deadline"},
		"fails without a log": {sdk.Plugin{Strategy: strategy(func(_ context.Context, r *sdk.Run) error {
			for range r.Events() {
				return nil
			}
			return errors.New("no events")
		})}, "strategy: empty log"},
		"chance of its own": {sdk.Plugin{Strategy: strategy(func(_ context.Context, r *sdk.Run) error {
			return r.Propose(rename(calls.Add(1)))
		})}, "strategy: same seed, same proposals"},
		"fails on a refusal": {sdk.Plugin{Strategy: strategy(func(ctx context.Context, r *sdk.Run) error {
			a, err := r.Evaluate(ctx, rename("x").Edits)
			if err == nil && !a.Accepted {
				return errors.New("refused")
			}
			return err
		})}, "strategy: refused edits"},
		"deaf to cancellation": {sdk.Plugin{Strategy: strategy(func(ctx context.Context, r *sdk.Run) error {
			for _, err := range r.Events() {
				if err != nil && ctx.Err() != nil {
					stuck()
				}
			}
			return nil
		})}, "strategy: cancellation"},
		"scores that differ": {sdk.Plugin{Scorer: scorer(func(_ context.Context, r *sdk.Ranking) ([]sdk.Score, error) {
			var out []sdk.Score
			for _, i := range r.Items {
				out = append(out, sdk.Score{ID: i.ID, Value: float64(calls.Add(1))})
			}
			return out, nil
		})}, "scorer: same question, same scores"},
		"scores that are missing": {sdk.Plugin{Scorer: scorer(func(context.Context, *sdk.Ranking) ([]sdk.Score, error) {
			return nil, nil
		})}, "scorer: same question, same scores"},
		"scores that are not finite": {sdk.Plugin{Scorer: scorer(func(_ context.Context, r *sdk.Ranking) ([]sdk.Score, error) {
			return []sdk.Score{{ID: "item-0", Value: math.NaN()}}[:min(1, len(r.Items))], nil
		})}, "scorer: same question, same scores"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.plugin.Name, test.plugin.Version = "broken", "1.0.0"
			conn, stop, err := sdk.InProcess(test.plugin)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			report := plugintest.Check(t.Context(), conn, plugintest.Sample{Events: 5000})
			var broken []string
			for _, f := range report.Findings {
				if f.Err != nil {
					broken = append(broken, f.Rule)
				}
			}
			if !slices.Contains(broken, test.want) || report.Err() == nil || report.Identity == nil {
				t.Errorf("Check finds %q broken, want %q", broken, test.want)
			}
		})
	}
}

func TestCheckWithoutAPlugin(t *testing.T) {
	t.Parallel()
	conn, stop, err := sdk.InProcess(sdk.Plugin{Name: "gone", Version: "1.0.0", Scorer: scorer(nil)})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if report := plugintest.Check(t.Context(), conn); report.Err() == nil || report.Identity != nil {
		t.Errorf("Check(closed connection) = %v, want errors and no identity", report)
	}
}
