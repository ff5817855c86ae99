package innovation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginassignment"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// MaxRanked is how many tasks are ranked at a time.
const MaxRanked = 500

// worklistPurpose is what scorers are asked for.
const worklistPurpose = "worklist"

// scoreTime bounds a scorer's answer, whatever its assignment allows: a person waits.
const scoreTime = 2 * time.Second

// Ranked is a task with the place that a scorer gave it.
type Ranked struct {
	Task    *ent.Task
	Score   *float64 // nil: no scorer ranked it
	Reason  string
	Version *ent.PluginVersion // the scorer, if the viewer may see it; nil for none
	Code    string             // why it was not ranked; "" when it was, or no scorer is assigned
}

// Rank puts open tasks in the order that the scorers of their regions give them,
// highest first. Tasks that no scorer ranks follow in the order they came in: a
// scorer that fails, or breaks the contract, costs nobody a task. A scorer in shadow
// is not asked. Cost: one call for each assignment concerned.
func (r *Room) Rank(ctx context.Context, tasks []*ent.Task) ([]Ranked, error) {
	server := access.With(ctx, access.System("plugin"))
	list, err := r.door.Store.Client().PluginAssignment.Query().
		Where(pluginassignment.StateEQ(pluginassignment.StateActive), pluginassignment.Topic(""), pluginassignment.ModeNEQ(pluginassignment.ModeShadow)).
		WithVersion().All(server)
	if err != nil {
		return nil, fmt.Errorf("read the assignments of scorers: %w", err)
	}
	list = slices.DeleteFunc(list, func(a *ent.PluginAssignment) bool { return !slices.Contains(a.Edges.Version.Kinds, "scorer") })
	out := make([]Ranked, len(tasks))
	groups := map[*ent.PluginAssignment][]*Ranked{}
	for i, t := range tasks {
		out[i].Task = t
		if a := nearest(list, t.RegionPath); a != nil {
			groups[a] = append(groups[a], &out[i])
		}
	}
	for a, group := range groups {
		code := r.score(server, a, group)
		seen, err := r.door.Store.Client().PluginVersion.Query().Where(pluginversion.ID(a.VersionID)).Exist(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the plugin version: %w", err)
		}
		for _, x := range group {
			if x.Code = code; seen {
				x.Version = a.Edges.Version
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Ranked) int {
		switch {
		case a.Score == nil && b.Score == nil:
			return 0
		case a.Score == nil:
			return 1
		case b.Score == nil:
			return -1
		}
		return cmp.Compare(*b.Score, *a.Score)
	})
	return out, nil
}

// score asks one scorer; it returns why it cannot be believed, "" when it can.
func (r *Room) score(ctx context.Context, a *ent.PluginAssignment, group []*Ranked) string {
	artifact, err := r.artifact(ctx, a.Edges.Version)
	if err != nil {
		return fault.CodeOf(err)
	}
	config, err := r.open(a.Config)
	if err != nil {
		return fault.CodeOf(err)
	}
	now := r.door.Clock.Now()
	items := make([]*pluginv1.Item, len(group))
	byName := map[string]*Ranked{}
	for i, x := range group {
		sum := sha256.Sum256([]byte(a.PluginID + "\n" + x.Task.ID))
		items[i] = itemOf(hex.EncodeToString(sum[:12]), x.Task, now)
		byName[items[i].GetId()] = x
	}
	call, cancel := context.WithTimeout(ctx, min(seconds(a.TimeoutSeconds), scoreTime))
	defer cancel()
	settings := settingsOf(config)
	resp, err := r.o.Host.Score(call, artifact, settings, &pluginv1.ScoreRequest{
		Purpose: worklistPurpose, Items: items, Region: a.RegionPath, ConfigGeneration: settings.Generation, NowUs: now.UnixMicro(),
	})
	if err != nil {
		return fault.CodeOf(err)
	}
	if len(resp.GetScores()) != len(items) {
		return scoreViolation
	}
	seen := map[string]bool{}
	for _, s := range resp.GetScores() {
		if byName[s.GetId()] == nil || seen[s.GetId()] || math.IsNaN(s.GetValue()) || math.IsInf(s.GetValue(), 0) {
			return scoreViolation
		}
		seen[s.GetId()] = true
	}
	for _, s := range resp.GetScores() {
		x, value := byName[s.GetId()], s.GetValue()
		x.Score, x.Reason = &value, cut(s.GetReason())
	}
	return ""
}

// scoreViolation says that a scorer did not give every item one finite score.
const scoreViolation = "SCORES_MALFORMED"

// itemOf is what a scorer is told of a task.
func itemOf(name string, t *ent.Task, now time.Time) *pluginv1.Item {
	item := &pluginv1.Item{
		Id: name, Values: map[string]float64{"ageSeconds": now.Sub(t.CreatedAt).Seconds(), "priority": float64(t.Priority), "urged": float64(t.Urges)},
		Attributes: map[string]string{"node": t.NodeID, "role": t.Role, "state": string(t.State)},
	}
	if t.DueAt != nil {
		item.Values["dueInSeconds"] = t.DueAt.Sub(now).Seconds()
	}
	return item
}
