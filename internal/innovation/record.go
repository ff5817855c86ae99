package innovation

import (
	"context"
	"fmt"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginrun"
	"github.com/openspms/spms/internal/access"
)

// Record is what runs of a plugin version have come to, in all regions.
type Record struct {
	Runs     int // that have ended
	Failed   int // failed, lost, or to be tried again
	Violated int // whose answer broke the contract
}

// Records counts the runs of versions, by id of the version; one of which there is
// none is a Record of zeros. It counts all regions, whoever asks: how a version behaves
// is to be known before it is approved or assigned. One statement, linear in the runs.
func (r *Room) Records(ctx context.Context, versions []string) (map[string]*Record, error) {
	var rows []struct {
		Version string            `json:"version_id"`
		Outcome pluginrun.Outcome `json:"outcome"`
		Count   int               `json:"count"`
	}
	err := r.door.Store.Client().PluginRun.Query().Where(pluginrun.VersionIDIn(versions...), pluginrun.OutcomeNEQ(pluginrun.OutcomeRunning)).
		GroupBy(pluginrun.FieldVersionID, pluginrun.FieldOutcome).Aggregate(ent.Count()).Scan(access.Elevated(ctx), &rows)
	if err != nil {
		return nil, fmt.Errorf("count the runs of versions: %w", err)
	}
	out := make(map[string]*Record, len(versions))
	for _, id := range versions {
		out[id] = &Record{}
	}
	for _, row := range rows {
		x := out[row.Version]
		x.Runs += row.Count
		switch row.Outcome {
		case pluginrun.OutcomeViolated:
			x.Violated += row.Count
		case pluginrun.OutcomeFailed, pluginrun.OutcomeRetry, pluginrun.OutcomeLost:
			x.Failed += row.Count
		}
	}
	return out, nil
}
