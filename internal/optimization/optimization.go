// Package optimization lets strategies propose changes of processes and judges what
// they propose: a proposal counts only when it applies to the version that it names,
// is sound and keeps the standards of the region. Its main type is Room.
package optimization

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/optimizationrun"
	"github.com/openspms/spms/ent/plugin"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/ent/process"
	"github.com/openspms/spms/ent/processversion"
	"github.com/openspms/spms/ent/proposal"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/bpmn"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/workforce"
	"github.com/openspms/spms/schema"
)

// Host lets strategies propose: internal/pluginhost, whose words the method keeps.
type Host interface {
	Propose(ctx context.Context, a pluginhost.Artifact, s pluginhost.Settings, run func(context.Context, pluginhost.Proposing) error) error
	Status() []pluginhost.Status
}

// Options are what the room is told by the server.
type Options struct {
	Host     Host
	Artifact func(ctx context.Context, v *ent.PluginVersion) (pluginhost.Artifact, error) // fetches and verifies
	Usable   func(v *ent.PluginVersion, regionPath string) bool                           // may be put to work there; nil: what is approved
}

// Room lets strategies propose. It is safe for concurrent use.
type Room struct {
	door        *command.Door
	definitions *definition.Room
	standards   Norms
	workforce   Pools
	o           Options
	held        holding // runs that are this node's
}

// Norms tells which standards are in force; room standard does.
type Norms interface {
	InForce(ctx context.Context) (*norm.Set, error)
}

// Pools changes pools of people; room workforce does.
type Pools interface {
	ResizePools(ctx context.Context, in workforce.ResizePools) (string, error)
}

// New returns the room. Without a host nothing that is asked for is run here.
func New(door *command.Door, definitions *definition.Room, standards Norms, pools Pools, o Options) *Room {
	if o.Usable == nil {
		o.Usable = func(v *ent.PluginVersion, _ string) bool { return v.State == pluginversion.StateApproved }
	}
	return &Room{door: door, definitions: definitions, standards: standards, workforce: pools, o: o}
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

func notFound(err error, code, id, field string) error {
	if ent.IsNotFound(err) {
		return fault.E(fault.NotFound, code, fault.P("id", id)).At("input", field)
	}
	return fmt.Errorf("read a row: %w", err)
}

// ProposeChanges asks an approved strategy for changes of a published process version,
// given what happened in a region. The run is carried out in the background; its id is
// returned. Errors: REGION_NOT_FOUND, PLUGIN_VERSION_NOT_FOUND, PLUGIN_VERSION_STATE,
// PLUGIN_NO_STRATEGY, PROCESS_VERSION_NOT_FOUND, PROCESS_VERSION_STATE, SEED_MALFORMED,
// PLUGIN_CONFIG_REFUSED.
func (r *Room) ProposeChanges(ctx context.Context, in ProposeChanges) (string, error) {
	cmd := command.Command{Operation: "proposeChanges", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		reg, err := u.Region.Query().Where(store.RegionRef(in.RegionID)).Only(ctx)
		if err != nil {
			return "", notFound(err, "REGION_NOT_FOUND", in.RegionID, "regionID")
		}
		if err := u.Require(access.Optimize, reg.RegionPath); err != nil {
			return "", err
		}
		strategy, base, err := r.chosen(ctx, u, in, reg.RegionPath)
		if err != nil {
			return "", err
		}
		config, err := configOf(strategy, in.Config)
		if err != nil {
			return "", err
		}
		seed := strconv.FormatInt(u.Now.UnixNano(), 10) // any number will do
		if in.Seed != nil {
			seed = *in.Seed
		}
		if _, err := strconv.ParseUint(seed, 10, 64); err != nil {
			return "", fault.E(fault.Invalid, "SEED_MALFORMED", fault.P("seed", seed)).At("input", "seed")
		}
		run, err := u.OptimizationRun.Create().SetPluginVersionID(strategy.ID).SetBaseID(base.ID).SetBaseDigest(base.Digest).SetSeed(seed).SetConfig(config).
			SetAsOf(u.Now).SetLeaseUntil(schema.LongAgo).SetAskedBy(u.Viewer.StaffID).SetRegionID(reg.ID).SetRegionPath(reg.RegionPath).SetCreatedAt(u.Now).Save(ctx)
		if err != nil {
			return "", fmt.Errorf("create the run: %w", err)
		}
		u.On(run.ID, reg.RegionPath)
		u.Changed(store.Change{Kind: "optimization", ID: run.ID, RegionPath: reg.RegionPath})
		return run.ID, nil
	})
}

// Replay repeats a run that has ended: the same strategy, base, configuration and
// seed, and the log up to the same instant. When it is done its field replay says how
// it compares. Errors: OPTIMIZATION_NOT_FOUND, OPTIMIZATION_STATE, PLUGIN_VERSION_STATE.
func (r *Room) Replay(ctx context.Context, in ReplayOptimization) (string, error) {
	cmd := command.Command{Operation: "replayOptimization", Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		old, err := u.OptimizationRun.Query().Where(optimizationrun.ID(in.RunID)).WithPluginVersion().Only(ctx)
		if err != nil {
			return "", notFound(err, "OPTIMIZATION_NOT_FOUND", in.RunID, "runID")
		}
		if err := u.Require(access.Optimize, old.RegionPath); err != nil {
			return "", err
		}
		if old.State != optimizationrun.StateDone {
			return "", fault.E(fault.Precondition, "OPTIMIZATION_STATE", fault.P("want", "done"), fault.P("have", string(old.State))).At("input", "runID")
		}
		if v := old.Edges.PluginVersion; v == nil || v.State == pluginversion.StateRevoked {
			return "", fault.E(fault.Precondition, "PLUGIN_VERSION_STATE", fault.P("want", "approved"), fault.P("have", "revoked")).At("input", "runID")
		}
		run, err := u.OptimizationRun.Create().SetPluginVersionID(old.PluginVersionID).SetBaseID(old.BaseID).SetBaseDigest(old.BaseDigest).SetSeed(old.Seed).
			SetConfig(old.Config).SetReplayOf(old.ID).SetReplay(optimizationrun.ReplayPending).SetAsOf(old.AsOf).SetLeaseUntil(schema.LongAgo).
			SetAskedBy(u.Viewer.StaffID).SetRegionID(old.RegionID).SetRegionPath(old.RegionPath).SetCreatedAt(u.Now).Save(ctx)
		if err != nil {
			return "", fmt.Errorf("create the run: %w", err)
		}
		u.On(run.ID, run.RegionPath)
		u.Changed(store.Change{Kind: "optimization", ID: run.ID, RegionPath: run.RegionPath})
		return run.ID, nil
	})
}

// chosen reads the strategy and the process version that a run is asked for.
func (r *Room) chosen(ctx context.Context, u *command.Unit, in ProposeChanges, regionPath string) (*ent.PluginVersion, *ent.ProcessVersion, error) {
	q := u.PluginVersion.Query()
	if name, version, ok := strings.Cut(in.StrategyID, "@"); ok {
		q.Where(pluginversion.HasPluginWith(plugin.Name(name)), pluginversion.Version(version))
	} else {
		q.Where(pluginversion.ID(in.StrategyID))
	}
	strategy, err := q.Only(ctx)
	if err != nil {
		return nil, nil, notFound(err, "PLUGIN_VERSION_NOT_FOUND", in.StrategyID, "strategyID")
	}
	if !r.o.Usable(strategy, regionPath) {
		return nil, nil, fault.E(fault.Precondition, "PLUGIN_VERSION_STATE", fault.P("want", "approved"), fault.P("have", string(strategy.State))).At("input", "strategyID")
	}
	if !slices.Contains(strategy.Kinds, "strategy") {
		return nil, nil, fault.E(fault.Invalid, "PLUGIN_NO_STRATEGY").At("input", "strategyID")
	}
	p := u.ProcessVersion.Query()
	if key, number, ok := strings.Cut(in.ProcessID, "@"); ok {
		n, err := strconv.Atoi(number)
		if err != nil {
			n = 0
		}
		p.Where(processversion.HasProcessWith(process.Key(key)), processversion.Number(n))
	} else {
		p.Where(processversion.ID(in.ProcessID))
	}
	base, err := p.Only(ctx)
	if err != nil {
		return nil, nil, notFound(err, "PROCESS_VERSION_NOT_FOUND", in.ProcessID, "processID")
	}
	if base.State != processversion.StatePublished {
		return nil, nil, fault.E(fault.Precondition, "PROCESS_VERSION_STATE", fault.P("want", "published"), fault.P("have", string(base.State))).At("input", "processID")
	}
	return strategy, base, nil
}

func configOf(v *ent.PluginVersion, config map[string]any) (string, error) {
	if len(config) == 0 {
		return "{}", nil
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("keep the configuration: %w", err)
	}
	ds := bundle.CheckConfig(json.RawMessage(v.ConfigSchema), raw)
	if v.ConfigSchema == "" || len(ds) > 0 {
		return "", fault.E(fault.Invalid, "PLUGIN_CONFIG_REFUSED", fault.P("count", max(len(ds), 1))).At("input", "config")
	}
	return string(raw), nil
}

// Adopt makes a draft of the base with the changes of a proposal, gives pools the sizes
// that it names, and returns the proposal's id. The draft goes the way of every draft:
// check, review, publication. The sizes count at once, by the rights of the person who
// adopts. Errors: PROPOSAL_NOT_FOUND, PROPOSAL_STATE, those of definition.CreateDraft and
// workforce.ResizePools.
func (r *Room) Adopt(ctx context.Context, in JudgeProposal) (string, error) {
	p, err := r.door.Store.Client().Proposal.Query().Where(proposal.ID(in.ProposalID)).WithRun().Only(ctx)
	draft, back := "", []bpmn.Edit(nil)
	if v := access.From(ctx); err == nil && v.May(access.Optimize, p.RegionPath) && p.State == proposal.StateOpen {
		if draft, back, err = r.carryIn(ctx, p, in); err != nil {
			return "", err
		}
	}
	return r.judge(ctx, "adoptProposal", in, func(u *command.Unit, p *ent.Proposal) *ent.ProposalUpdateOne {
		if len(back) > 0 {
			u.Note("inverse", back)
		}
		return u.Proposal.UpdateOne(p).SetState(proposal.StateAdopted).SetDraftID(draft)
	})
}

// carryIn makes the draft and then resizes the pools, under keys of the proposal: once,
// however often it is asked. It returns the draft, "" when none is wanted, and what
// takes the sizes back.
func (r *Room) carryIn(ctx context.Context, p *ent.Proposal, in JudgeProposal) (draft string, back []bpmn.Edit, err error) {
	var edits []bpmn.Edit
	if err := json.Unmarshal([]byte(p.Edits), &edits); err != nil {
		return "", nil, fmt.Errorf("read the edits: %w", err)
	}
	document, capacity := split(edits)
	if len(document) > 0 {
		if draft, err = r.draft(ctx, p, document); err != nil {
			return "", nil, err
		}
	}
	if len(capacity) > 0 {
		sizes, err := resized(capacity)
		if err != nil {
			return "", nil, fmt.Errorf("read the capacities: %w", err)
		}
		key := "adopt-capacity:" + p.ID
		if _, err := r.workforce.ResizePools(ctx, workforce.ResizePools{Pools: sizes, Reason: strings.TrimSpace(deref(in.Reason)), Cause: p.ID, IdempotencyKey: &key}); err != nil {
			return "", nil, err
		}
	}
	return draft, undone(capacity), nil
}

// draft makes the draft, under keys of the proposal: once, however often it is asked.
func (r *Room) draft(ctx context.Context, p *ent.Proposal, document []bpmn.Edit) (string, error) {
	var edits []*bpmn.Edit
	for i := range document {
		edits = append(edits, &document[i])
	}
	made, changed := "adopt:"+p.ID, "adopt-edits:"+p.ID
	log := p.TitleZh
	if log == "" {
		log = p.TitleEn
	}
	d, err := r.definitions.CreateDraft(ctx, definition.CreateDraft{FromVersionID: p.Edges.Run.BaseID, Changelog: &log, IdempotencyKey: &made})
	if err != nil {
		return "", err
	}
	_, err = r.definitions.EditDraft(ctx, definition.EditDraft{VersionID: d.VersionID, Revision: 1, Edits: edits, IdempotencyKey: &changed})
	return d.VersionID, err
}

// Decline puts a proposal aside, with the reason. Errors: PROPOSAL_NOT_FOUND,
// PROPOSAL_STATE, PLUGIN_REASON_REQUIRED.
func (r *Room) Decline(ctx context.Context, in JudgeProposal) (string, error) {
	return r.judge(ctx, "declineProposal", in, func(u *command.Unit, p *ent.Proposal) *ent.ProposalUpdateOne {
		return u.Proposal.UpdateOne(p).SetState(proposal.StateDeclined)
	})
}

func (r *Room) judge(ctx context.Context, operation string, in JudgeProposal, change func(*command.Unit, *ent.Proposal) *ent.ProposalUpdateOne) (string, error) {
	cmd := command.Command{Operation: operation, Key: deref(in.IdempotencyKey), Input: in}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		p, err := u.Proposal.Query().Where(proposal.ID(in.ProposalID)).Only(store.Locking(ctx))
		if err != nil {
			return "", notFound(err, "PROPOSAL_NOT_FOUND", in.ProposalID, "proposalID")
		}
		u.On(p.ID, p.RegionPath)
		if err := u.Require(access.Optimize, p.RegionPath); err != nil {
			return "", err
		}
		reason := strings.TrimSpace(deref(in.Reason))
		switch {
		case p.State != proposal.StateOpen:
			return "", fault.E(fault.Precondition, "PROPOSAL_STATE", fault.P("have", string(p.State))).At("input", "proposalID")
		case reason == "" && operation == "declineProposal":
			return "", fault.E(fault.Invalid, "PLUGIN_REASON_REQUIRED").At("input", "reason")
		}
		u.Note("reason", reason)
		return p.ID, change(u, p).SetReason(reason).SetJudgedBy(u.Viewer.StaffID).Exec(ctx)
	})
}

const maxAttempts = 3

// Tick carries out the runs that wait, one after the other, and returns how many.
// Any number of nodes may: each run is one node's, until its lease ends.
func (r *Room) Tick(ctx context.Context) (int, error) {
	if r.o.Host == nil {
		return 0, nil
	}
	ctx = access.With(ctx, access.System("optimization"))
	done := 0
	for {
		id, err := r.claim(ctx)
		if err != nil || id == "" {
			return done, err
		}
		if err := r.carryOut(ctx, id); err != nil {
			return done, errors.Join(fmt.Errorf("run %s: %w", id, err))
		}
		done++
	}
}

// claim takes the oldest run that waits; "" when none does.
func (r *Room) claim(ctx context.Context) (string, error) {
	now := r.door.Clock.Now()
	waiting, err := r.door.Store.Client().OptimizationRun.Query().
		Where(optimizationrun.StateIn(optimizationrun.StateQueued, optimizationrun.StateRunning), optimizationrun.LeaseUntilLTE(now)).
		Order(ent.Asc(optimizationrun.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find a run: %w", err)
	}
	cmd := command.Command{Operation: "claimOptimization", Input: waiting.ID}
	return command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(waiting.ID, waiting.RegionPath)
		c := u.OptimizationRun.Update().Where(optimizationrun.ID(waiting.ID), optimizationrun.Attempt(waiting.Attempt), optimizationrun.StateEQ(waiting.State)).
			AddAttempt(1).SetLeaseUntil(u.Now.Add(lease)).SetState(optimizationrun.StateRunning)
		if waiting.Attempt >= maxAttempts {
			c.SetState(optimizationrun.StateFailed).SetCode("RUN_LOST").SetEndedAt(u.Now)
		}
		n, err := c.Save(ctx)
		if err != nil || n == 0 || waiting.Attempt >= maxAttempts {
			return "", err
		}
		return waiting.ID, nil
	})
}
