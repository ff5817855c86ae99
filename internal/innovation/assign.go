package innovation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"entgo.io/ent/dialect/sql"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginassignment"
	"github.com/openspms/spms/ent/pluginrun"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/ent/predicate"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/schema"
)

// Assign lets a usable version work in a region and below: a module takes the
// service tasks of a topic, in shadow, for a part of the cases or for all. A region
// has one assignment for a topic; another version of the plugin, or another plugin,
// takes its place and can be rolled back in one call. Tasks that have begun stay
// with the version that began them. It returns the assignment's id.
//
// Errors: PLUGIN_VERSION_STATE, PLUGIN_DEV_REGION, PLUGIN_FOREIGN_REGION, PLUGIN_TOPIC_UNKNOWN,
// PLUGIN_CONFIG_REFUSED with a cause for each remark, COHORT_INVALID,
// PLUGIN_INPUT_UNKNOWN, METRIC_GUARD_UNKNOWN, METRIC_GUARD_EMPTY, FALLBACK_ROLE_UNKNOWN, FALLBACK_PREVIOUS_MISSING.
func (r *Room) Assign(ctx context.Context, in AssignPlugin) (string, error) {
	cmd := command.Command{Operation: "assignPlugin", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := regionOf(ctx, u, in.RegionID)
		if err != nil {
			return "", err
		}
		if err := u.Require(access.AssignPlugin, reg.RegionPath); err != nil {
			return "", err
		}
		v, err := versionOf(ctx, u, in.VersionID)
		if err != nil {
			return "", err
		}
		if err := r.assignable(ctx, u, v, reg, in); err != nil {
			return "", err
		}
		config, err := r.configOf(v, in.Config)
		if err != nil {
			return "", err
		}
		return r.assign(ctx, u, v, reg, in, config)
	})
}

// Usable tells whether a version may be put to work in a region: an approved one, or in
// a region that is open to development one that a developer's key signed.
func (r *Room) Usable(v *ent.PluginVersion, regionPath string) bool {
	if v.Dev {
		return r.inDev(regionPath) && slices.Contains(untested, v.State)
	}
	return v.State == pluginversion.StateApproved
}

// assignable refuses what could not work in the region.
func (r *Room) assignable(ctx context.Context, u *command.Unit, v *ent.PluginVersion, reg *ent.Region, in AssignPlugin) error {
	topic := deref(in.Topic)
	switch module := slices.Contains(v.Kinds, "module"); {
	case !r.Usable(v, reg.RegionPath):
		if v.Dev && !r.inDev(reg.RegionPath) {
			return fault.E(fault.Forbidden, "PLUGIN_DEV_REGION", fault.P("region", reg.Code)).At("input", "regionID")
		}
		return inState(v, pluginversion.StateApproved)
	case !strings.HasPrefix(reg.RegionPath, v.RegionPath):
		return fault.E(fault.Precondition, "PLUGIN_FOREIGN_REGION", fault.P("plugin", v.Edges.Plugin.Name), fault.P("region", reg.Code)).At("input", "regionID")
	case module && !slices.Contains(v.Topics, topic), !module && topic != "":
		return fault.E(fault.Invalid, "PLUGIN_TOPIC_UNKNOWN", fault.P("topic", topic), fault.P("known", v.Topics)).At("input", "topic")
	}
	for i, m := range in.Inputs {
		if known := slices.Concat(v.Attributes, manifestOf(v).Addresses); !slices.Contains(known, m.Name) {
			return fault.E(fault.Invalid, "PLUGIN_INPUT_UNKNOWN", fault.P("input", m.Name), fault.P("known", known)).At("input", "inputs", strconv.Itoa(i), "name")
		}
	}
	for i, g := range in.Guards {
		if err := g.check(v, i); err != nil {
			return err
		}
	}
	if role := access.Role(deref(in.FallbackRole)); role != "" {
		if _, known := access.Lookup(role); !known {
			return fault.E(fault.Invalid, "FALLBACK_ROLE_UNKNOWN", fault.P("role", string(role))).At("input", "fallbackRole")
		}
	}
	return r.sensible(ctx, u, deref(in.Cohort), topic)
}

// check refuses a guard of a metric that the version does not declare, or without a
// finite bound: METRIC_GUARD_UNKNOWN, METRIC_GUARD_EMPTY.
func (g *Guard) check(v *ent.PluginVersion, i int) error {
	var known []string
	for _, m := range manifestOf(v).Metrics {
		known = append(known, m.Name)
	}
	if !slices.Contains(known, g.Metric) {
		return fault.E(fault.Invalid, "METRIC_GUARD_UNKNOWN", fault.P("metric", g.Metric), fault.P("known", list(known))).At("input", "guards", strconv.Itoa(i), "metric")
	}
	if g.Min == nil && g.Max == nil || g.Min != nil && g.Max != nil && *g.Min > *g.Max {
		return fault.E(fault.Invalid, "METRIC_GUARD_EMPTY", fault.P("metric", g.Metric)).At("input", "guards", strconv.Itoa(i))
	}
	return nil
}

// sensible refuses a cohort that makes sense in no process that has the topic now.
func (r *Room) sensible(ctx context.Context, u *command.Unit, cohort, topic string) error {
	if cohort == "" {
		return nil
	}
	ids, err := u.ProcessVersion.Query().Where(processversion.StateEQ(processversion.StatePublished)).IDs(ctx)
	if err != nil {
		return fmt.Errorf("read the published versions: %w", err)
	}
	cause := fmt.Errorf("no published process has a service task of topic %q", topic)
	for _, id := range ids {
		c, err := r.definitions.Compiled(ctx, u.Client, id)
		if err != nil {
			return err
		}
		has := false
		for _, n := range c.Model.Nodes {
			has = has || n.Topic == topic
		}
		if !has {
			continue
		}
		p, err := r.cohort(ctx, u.Client, id, cohort)
		if p != nil {
			return nil
		}
		if err != nil {
			cause = err
		}
	}
	return fault.E(fault.Invalid, "COHORT_INVALID", fault.P("cause", cause.Error())).At("input", "cohort")
}

// configOf checks a configuration against the plugin's schema and encrypts what the
// schema calls a password.
func (r *Room) configOf(v *ent.PluginVersion, config map[string]any) (string, error) {
	raw := text(config)
	if v.ConfigSchema == "" {
		if len(config) > 0 {
			return "", fault.E(fault.Invalid, "PLUGIN_CONFIG_REFUSED", fault.P("count", 1)).At("input", "config")
		}
		return raw, nil
	}
	var causes []*fault.Error
	for _, d := range bundle.CheckConfig(json.RawMessage(v.ConfigSchema), json.RawMessage(raw)) {
		causes = append(causes, fault.E(fault.Invalid, "PLUGIN_CONFIG_WRONG", fault.P("path", d.Path), fault.P("code", d.Code), fault.P("message", d.Message)).At("input", "config"))
	}
	if len(causes) > 0 {
		return "", fault.E(fault.Invalid, "PLUGIN_CONFIG_REFUSED", fault.P("count", len(causes))).At("input", "config").With(causes...)
	}
	return r.seal(v.ConfigSchema, config)
}

// assign writes the assignment: a new one, or the region's own changed.
func (r *Room) assign(ctx context.Context, u *command.Unit, v *ent.PluginVersion, reg *ent.Region, in AssignPlugin, config string) (string, error) {
	topic := deref(in.Topic)
	same := []predicate.PluginAssignment{pluginassignment.RegionID(reg.ID), pluginassignment.Topic(topic), pluginassignment.StateEQ(pluginassignment.StateActive)}
	if topic == "" {
		same = append(same, pluginassignment.PluginID(v.PluginID))
	}
	a, err := u.PluginAssignment.Query().Where(same...).Only(store.Locking(ctx))
	if err != nil && !ent.IsNotFound(err) {
		return "", fmt.Errorf("read the assignment: %w", err)
	}
	mode := pluginassignment.Mode(in.Mode)
	if a == nil {
		c := u.PluginAssignment.Create().SetPluginID(v.PluginID).SetVersionID(v.ID).SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetTopic(topic).
			SetMode(mode).SetConfig(config).SetGeneration(1).SetAssignedBy(u.Viewer.StaffID).SetCreatedAt(u.Now).SetChangedAt(u.Now)
		in.details(c.Mutation())
		if a, err = c.Save(ctx); err != nil {
			return "", fmt.Errorf("create the assignment: %w", err)
		}
	} else {
		kept, err := configs(ctx, u, a)
		if err != nil {
			return "", err
		}
		c := u.PluginAssignment.UpdateOne(a).SetConfigs(kept).SetPluginID(v.PluginID).SetVersionID(v.ID).SetMode(mode).SetConfig(config).SetGeneration(a.Generation + 1).
			SetPreviousVersionID(a.VersionID).SetPreviousConfig(a.Config).SetPreviousMode(pluginassignment.PreviousMode(a.Mode)).
			SetAssignedBy(u.Viewer.StaffID).SetChangedAt(u.Now).SetReason("")
		in.details(c.Mutation())
		if a, err = c.Save(ctx); err != nil {
			return "", fmt.Errorf("change the assignment: %w", err)
		}
	}
	if a.Fallback == pluginassignment.FallbackPrevious && a.PreviousVersionID == "" {
		return "", fault.E(fault.Precondition, "FALLBACK_PREVIOUS_MISSING").At("input", "fallback")
	}
	if a.Fallback == pluginassignment.FallbackHuman && a.FallbackRole == "" && topic != "" {
		return "", fault.E(fault.Invalid, "FALLBACK_ROLE_UNKNOWN", fault.P("role", "")).At("input", "fallbackRole")
	}
	u.On(a.ID, a.RegionPath)
	u.Note("generation", a.Generation)
	u.Changed(store.Change{Kind: "plugin", ID: a.ID, RegionPath: a.RegionPath})
	return a.ID, nil
}

// configs are the configurations that open tasks of an assignment began under, the one
// that is being replaced among them, by generation.
func configs(ctx context.Context, u *command.Unit, a *ent.PluginAssignment) (map[string]string, error) {
	kept := map[string]string{strconv.Itoa(a.Generation): a.Config}
	if len(a.Configs) == 0 {
		return kept, nil
	}
	var rows []struct {
		Generation int `json:"generation"`
	}
	err := u.PluginRun.Query().Where(pluginrun.AssignmentID(a.ID), pluginrun.ModeNEQ(pluginrun.ModeShadow), func(s *sql.Selector) {
		open := sql.Table(task.Table)
		s.Where(sql.In(s.C(pluginrun.FieldTaskID), sql.Select(open.C(task.FieldID)).From(open).Where(sql.And(
			sql.EQ(open.C(task.FieldTopic), a.Topic), sql.EQ(open.C(task.FieldState), string(task.StateCreated)), sql.EQ(open.C(task.FieldKind), string(task.KindService))))))
	}).GroupBy(pluginrun.FieldGeneration).Scan(access.Elevated(ctx), &rows)
	if err != nil {
		return nil, fmt.Errorf("read the generations of open tasks: %w", err)
	}
	for _, row := range rows {
		if config, ok := a.Configs[strconv.Itoa(row.Generation)]; ok {
			kept[strconv.Itoa(row.Generation)] = config
		}
	}
	return kept, nil
}

// details sets what the input says besides version, mode and configuration.
func (in AssignPlugin) details(m *ent.PluginAssignmentMutation) {
	set(m.SetSharePermille, in.SharePermille)
	set(m.SetCohort, in.Cohort)
	set(m.SetFallbackRole, in.FallbackRole)
	set(m.SetAttempts, in.Attempts)
	set(m.SetTimeoutSeconds, in.TimeoutSeconds)
	set(m.SetConcurrency, in.Concurrency)
	set(m.SetGuardPermille, in.GuardPermille)
	set(m.SetGuardRuns, in.GuardRuns)
	if in.Fallback != nil {
		m.SetFallback(pluginassignment.Fallback(*in.Fallback))
	}
	if in.Inputs != nil {
		m.SetInputs(mapped(in.Inputs, func(x *Mapping) (string, string) { return x.Name, x.Variable }))
	}
	if in.Guards != nil {
		m.SetGuards(guarded(in.Guards))
	}
	if in.Outputs != nil {
		m.SetOutputs(mapped(in.Outputs, func(x *Mapping) (string, string) { return x.Variable, x.Name }))
	}
}

func guarded(list []*Guard) []schema.MetricGuard {
	out := make([]schema.MetricGuard, len(list))
	for i, g := range list {
		out[i] = schema.MetricGuard{Metric: g.Metric, Min: g.Min, Max: g.Max}
	}
	return out
}

func mapped(list []*Mapping, pair func(*Mapping) (key, value string)) map[string]any {
	out := make(map[string]any, len(list))
	for _, m := range list {
		key, value := pair(m)
		out[key] = value
	}
	return out
}

func set[T any](to func(T), value *T) {
	if value != nil {
		to(*value)
	}
}

// RollBack returns an assignment to the version, configuration and mode before its
// latest change; without any it ends. Errors: ASSIGNMENT_NOT_FOUND, ASSIGNMENT_ENDED.
func (r *Room) RollBack(ctx context.Context, in ChangeAssignment) (string, error) {
	return r.change(ctx, "rollBackPlugin", in, func(ctx context.Context, u *command.Unit, a *ent.PluginAssignment) error {
		return back(ctx, u, a, in.Reason)
	})
}

// End ends an assignment: from now on the tasks of its topic are for whoever else
// fetches them. What it has begun, and what nobody fetches, goes to people: see Forsaken. Errors as of RollBack.
func (r *Room) End(ctx context.Context, in ChangeAssignment) (string, error) {
	return r.change(ctx, "endPluginAssignment", in, func(ctx context.Context, u *command.Unit, a *ent.PluginAssignment) error {
		return end(ctx, u, a, in.Reason)
	})
}

func (r *Room) change(ctx context.Context, operation string, in ChangeAssignment, do func(context.Context, *command.Unit, *ent.PluginAssignment) error) (string, error) {
	cmd := command.Command{Operation: operation, Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		a, err := u.PluginAssignment.Query().Where(pluginassignment.ID(in.AssignmentID)).Only(store.Locking(ctx))
		if err != nil {
			return "", notFound(err, "ASSIGNMENT_NOT_FOUND", in.AssignmentID, "assignmentID")
		}
		u.On(a.ID, a.RegionPath)
		if err := u.Require(access.AssignPlugin, a.RegionPath); err != nil {
			return "", err
		}
		if a.State == pluginassignment.StateEnded {
			return "", fault.E(fault.Precondition, "ASSIGNMENT_ENDED").At("input", "assignmentID")
		}
		u.Note("reason", in.Reason)
		return a.ID, do(ctx, u, a)
	})
}

// back returns an assignment to what ran before, if that may still run.
func back(ctx context.Context, u *command.Unit, a *ent.PluginAssignment, reason string) error {
	if a.PreviousVersionID == "" {
		return end(ctx, u, a, reason)
	}
	v, err := u.PluginVersion.Get(access.Elevated(ctx), a.PreviousVersionID)
	if err != nil {
		return fmt.Errorf("read the version before: %w", err)
	}
	if v.State == pluginversion.StateRevoked {
		return end(ctx, u, a, reason)
	}
	kept, err := configs(ctx, u, a)
	if err != nil {
		return err
	}
	u.Changed(store.Change{Kind: "plugin", ID: a.ID, RegionPath: a.RegionPath})
	return u.PluginAssignment.UpdateOne(a).SetConfigs(kept).SetPluginID(v.PluginID).SetVersionID(v.ID).SetConfig(a.PreviousConfig).SetMode(pluginassignment.Mode(a.PreviousMode)).
		SetPreviousVersionID("").SetPreviousConfig("").SetPreviousMode(pluginassignment.PreviousModeNone).
		SetGeneration(a.Generation + 1).SetReason(reason).SetChangedAt(u.Now).Exec(access.Elevated(ctx))
}

// end ends an assignment. Its generation stays that of its configuration, which tasks
// that it has begun keep where another assignment goes on with them.
func end(ctx context.Context, u *command.Unit, a *ent.PluginAssignment, reason string) error {
	u.Changed(store.Change{Kind: "plugin", ID: a.ID, RegionPath: a.RegionPath})
	return u.PluginAssignment.UpdateOne(a).SetState(pluginassignment.StateEnded).SetEndedAt(u.Now).SetReason(reason).
		SetChangedAt(u.Now).Exec(access.Elevated(ctx))
}

// retreat takes a revoked version out of every assignment.
func retreat(ctx context.Context, u *command.Unit, v *ent.PluginVersion, reason string) error {
	list, err := u.PluginAssignment.Query().Where(pluginassignment.VersionID(v.ID), pluginassignment.StateEQ(pluginassignment.StateActive)).All(store.Locking(access.Elevated(ctx)))
	if err != nil {
		return fmt.Errorf("read the assignments: %w", err)
	}
	for _, a := range list {
		if err := back(ctx, u, a, reason); err != nil {
			return err
		}
	}
	u.Note("assignments", len(list))
	return nil
}
