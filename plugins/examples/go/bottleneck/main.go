// Command bottleneck is a strategy that raises the priority of the task that
// takes longest. It shows how a strategy is written and stands apart from the
// house; whether the change helps is asked of the host.
package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/openspms/spms/plugins/sdk"
)

var plugin = sdk.Plugin{Name: "bottleneck", Version: "1.0.0", Strategy: bottleneck{}}

type bottleneck struct{}

// Propose measures the tasks and proposes at most one change.
func (bottleneck) Propose(ctx context.Context, run *sdk.Run) error {
	total := map[string]time.Duration{}
	started := map[[2]string]time.Time{}
	for e, err := range run.Events() {
		if err != nil {
			return err
		}
		switch key := [2]string{e.Case, e.Node}; e.Lifecycle {
		case sdk.Start:
			started[key] = e.Time
		case sdk.Completed:
			if at, ok := started[key]; ok {
				total[e.Node] += e.Time.Sub(at)
				delete(started, key)
			}
		}
	}
	if len(total) == 0 {
		return nil
	}
	nodes := slices.Sorted(maps.Keys(total)) // in order, so that equals do not depend on chance
	slowest := slices.MaxFunc(nodes, func(a, b string) int { return cmp.Compare(total[a], total[b]) })
	edits := []sdk.Edit{{"op": "setPriority", "id": slowest, "value": "80"}}
	answer, err := run.Evaluate(ctx, edits)
	if err != nil || !answer.Accepted {
		return err
	}
	return run.Propose(sdk.Proposal{
		TitleZH: "优先处理最慢的任务", TitleEN: "Serve the slowest task first", Edits: edits, Claims: answer.Figures,
		Rationale: "The task " + slowest + " took " + total[slowest].String() + " in all, more than any other.",
	})
}

func main() { sdk.Serve(plugin) }
