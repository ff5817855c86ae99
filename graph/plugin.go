package graph

import (
	"github.com/openspms/spms/graph/model"
	"github.com/openspms/spms/internal/pluginhost"
)

// pluginStatus is what a node knows of the plugins that it has started.
func pluginStatus(list []pluginhost.Status) []*model.PluginStatus {
	out := make([]*model.PluginStatus, 0, len(list))
	for _, s := range list {
		out = append(out, &model.PluginStatus{
			Name: s.Name, Version: s.Version, Digest: s.Digest, State: string(s.State), Isolation: some(s.Isolation), Crashes: s.Crashes,
			Calls: s.Calls, Failures: s.Failures, LastExit: s.LastExit, LastLog: some(s.LastLog),
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
