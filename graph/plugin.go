package graph

import (
	"context"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/innovation"
	"github.com/openspms/spms/internal/pluginhost"
)

// rankedDefault and rankedMax are how many ranked tasks are returned.
const rankedDefault, rankedMax = 50, 200

// ranked are the open tasks of a worklist in the order of the scorers.
func (r *Resolver) ranked(ctx context.Context, f worklistFilter, first *int) ([]*model.RankedTask, error) {
	n := rankedDefault
	if first != nil {
		n = *first
	}
	if n < 1 || n > rankedMax {
		return nil, fault.E(fault.Invalid, "PAGE_SIZE_TOO_LARGE", fault.P("got", n), fault.P("limit", rankedMax)).At("first")
	}
	q, ordered, err := r.worklistQuery(ctx, f)
	if err != nil {
		return nil, err
	}
	tasks, err := q.Order(task.ByDueOrder(), task.ByID()).Limit(innovation.MaxRanked).All(ordered)
	if err != nil {
		return nil, err
	}
	list, err := r.Innovation.Rank(ctx, tasks)
	if err != nil {
		return nil, err
	}
	out := make([]*model.RankedTask, 0, n)
	for _, x := range list[:min(n, len(list))] {
		out = append(out, &model.RankedTask{Task: x.Task, Score: x.Score, Reason: x.Reason, Version: x.Version, Code: x.Code})
	}
	return out, nil
}

// records are what runs of versions have come to, in the order of the versions.
func (r *Resolver) records(ctx context.Context, versions []*ent.PluginVersion) ([]*innovation.Record, error) {
	ids := make([]string, len(versions))
	for i, v := range versions {
		ids[i] = v.ID
	}
	found, err := r.Innovation.Records(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*innovation.Record, len(versions))
	for i, id := range ids {
		out[i] = found[id]
	}
	return out, nil
}

// pluginStatus is what a node knows of the plugins that it has started.
func pluginStatus(list []pluginhost.Status) []*model.PluginStatus {
	out := make([]*model.PluginStatus, 0, len(list))
	for _, s := range list {
		out = append(out, &model.PluginStatus{
			Name: s.Name, Version: s.Version, Digest: s.Digest, State: string(s.State), Isolation: some(s.Isolation), Crashes: s.Crashes,
			Missing: some(s.Missing), Calls: s.Calls, Failures: s.Failures, InFlight: s.InFlight, Throttled: s.Throttled, MemoryBytes: float64(s.MemoryBytes), LastExit: s.LastExit, LastLog: some(s.LastLog),
		})
	}
	return out
}

// some is a list that is never null.
func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
