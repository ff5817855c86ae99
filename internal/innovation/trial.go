package innovation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/plugins/sdk/plugintest"
	"github.com/openspms/spms/schema"
)

// The conformance kit runs in the background, since a plugin that hangs in many rules
// takes minutes, and its report is what one wants most:
//
//	none ── Test ──▶ queued ──▶ running ──▶ done
//	                   ▲           │ the lease ended: the node was killed
//	                   └───────────┴── maxTrials times ──▶ lost

const (
	trialWait  = 8 * time.Second // for which who asks is kept waiting
	maxTrials  = 3
	sideBySide = 2 // tests on one node at a time
)

// sampled is what a test tries besides the empty configuration and inputs, as it is
// kept with the version; secrets of Config are encrypted.
type sampled struct {
	Config string `json:"config"`
	Inputs string `json:"inputs,omitempty"`
}

// Test holds an uploaded version against the contract, in a process of its own that
// is kept apart as well as this machine can, and keeps the report. It waits for a quick
// test; a longer one goes on, as the version's test state tells. A version that
// conforms may be approved then. Errors: PLUGIN_VERSION_NOT_FOUND,
// PLUGIN_VERSION_STATE, PLUGIN_TEST_RUNNING; what the kit finds is no error but the
// report.
func (r *Room) Test(ctx context.Context, in TestPlugin) (string, error) {
	cmd := command.Command{Operation: "testPlugin", Key: deref(in.IdempotencyKey), Input: in}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		v, err := versionOf(ctx, u, in.VersionID)
		if err != nil {
			return "", err
		}
		if err := u.Require(access.UploadPlugin, v.RegionPath); err != nil {
			return "", err
		}
		if err := testable(v); err != nil {
			return "", err
		}
		input, err := r.sampleOf(v, in)
		if err != nil {
			return "", err
		}
		u.On(v.ID, v.RegionPath)
		u.Changed(store.Change{Kind: "plugin", ID: v.ID, RegionPath: v.RegionPath})
		c := u.PluginVersion.UpdateOne(v).SetTestState(pluginversion.TestStateQueued).SetTestInput(input).SetTestAttempt(0).SetTestLeaseUntil(schema.LongAgo).
			SetTestedBy(u.Viewer.StaffID)
		if v.KeyID != ShippedKey {
			c.SetState(pluginversion.StateVerified) // until the new report is there
		}
		return v.ID, c.Exec(ctx)
	})
	if err != nil {
		return "", err
	}
	select {
	case <-r.startTrial(ctx, id):
	case <-time.After(trialWait):
	case <-ctx.Done():
	}
	return id, nil
}

// sampleOf is what a test is to try, as it is kept.
func (r *Room) sampleOf(v *ent.PluginVersion, in TestPlugin) (string, error) {
	config, err := r.seal(v.ConfigSchema, in.Config)
	if err != nil {
		return "", err
	}
	s := sampled{Config: config}
	if in.Inputs != nil {
		s.Inputs = text(in.Inputs)
	}
	out, err := json.Marshal(s)
	return string(out), err
}

// untested are the states in which a version may be tested, once more too.
var untested = []pluginversion.State{pluginversion.StateVerified, pluginversion.StateTested}

// testable refuses a version that may not be tested: one that was approved, unless it
// ships with the product, and one that is being tested.
func testable(v *ent.PluginVersion) error {
	if v.TestState == pluginversion.TestStateQueued || v.TestState == pluginversion.TestStateRunning {
		return fault.E(fault.Conflict, "PLUGIN_TEST_RUNNING").At("input", "versionID")
	}
	if v.KeyID == ShippedKey {
		return inState(v, pluginversion.StateApproved)
	}
	return inState(v, untested...)
}

// TryWaiting begins the tests that wait here or whose node was killed, as many as may
// run side by side, and does not wait for them. It returns how many it began.
func (r *Room) TryWaiting(ctx context.Context) (int, error) {
	if _, none := r.o.Host.(noHost); none {
		return 0, nil
	}
	ctx = access.With(ctx, access.System("plugin"))
	ids, err := r.door.Store.Client().PluginVersion.Query().
		Where(pluginversion.TestStateIn(pluginversion.TestStateQueued, pluginversion.TestStateRunning), pluginversion.TestLeaseUntilLTE(r.door.Clock.Now())).
		Order(ent.Asc(pluginversion.FieldID)).Limit(sideBySide).IDs(ctx)
	if err != nil {
		return 0, fmt.Errorf("find the tests that wait: %w", err)
	}
	for _, id := range ids {
		r.startTrial(ctx, id)
	}
	return len(ids), nil
}

// startTrial runs the test of a version in the background if it waits, no other node
// has it and this one has a place for it. The channel is closed when that is over.
func (r *Room) startTrial(ctx context.Context, id string) <-chan struct{} {
	over := make(chan struct{})
	if _, none := r.o.Host.(noHost); none {
		close(over)
		return over
	}
	begun := r.background(ctx, func(ctx context.Context) {
		defer close(over)
		select {
		case r.trials <- struct{}{}:
			defer func() { <-r.trials }()
		default:
			return // it is taken up by TryWaiting
		}
		if err := r.trial(access.With(ctx, access.System("plugin")), id); err != nil && ctx.Err() == nil && r.door.Log != nil {
			r.door.Log.Error("test a plugin", "version", id, "code", fault.CodeOf(err), "err", err)
		}
	})
	if !begun {
		close(over)
	}
	return over
}

// trial claims a test, runs it and keeps the report.
func (r *Room) trial(ctx context.Context, id string) error {
	v, err := r.claimTrial(ctx, id)
	if err != nil || v == nil {
		return err
	}
	trying, cancel := context.WithCancel(ctx)
	defer cancel()
	defer r.tried.begin(attempt{v.ID, v.TestAttempt, v.TestLeaseUntil}, cancel)()
	out, err := r.try(trying, v)
	if err != nil {
		if ctx.Err() == nil && trying.Err() != nil {
			return nil // it is another node's by now
		}
		if ctx.Err() != nil {
			return r.returnTrial(context.WithoutCancel(ctx), v) // the server stops: another takes it at once
		}
		out = trial{report: text(map[string]any{"findings": []finding{}, "error": err.Error()})}
	}
	return r.endTrial(ctx, v, out)
}

// claimTrial takes the test of a version under a lease; nil when it is not to be had.
func (r *Room) claimTrial(ctx context.Context, id string) (*ent.PluginVersion, error) {
	v, err := r.door.Store.Client().PluginVersion.Query().Where(pluginversion.ID(id)).WithPlugin().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the plugin version: %w", err)
	}
	waits := v.TestState == pluginversion.TestStateQueued || v.TestState == pluginversion.TestStateRunning
	if !waits || v.TestLeaseUntil.After(r.door.Clock.Now()) {
		return nil, nil
	}
	cmd := command.Command{Operation: "claimPluginTest", Input: map[string]any{"version": id, "attempt": v.TestAttempt}}
	got, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (bool, error) {
		u.On(v.ID, v.RegionPath)
		c := u.PluginVersion.Update().Where(pluginversion.ID(id), pluginversion.TestAttempt(v.TestAttempt), pluginversion.TestStateEQ(v.TestState))
		if v.TestAttempt >= maxTrials {
			report := text(map[string]any{"findings": []finding{}, "error": fmt.Sprintf("the test was begun %d times and never ended", v.TestAttempt)})
			return false, c.SetTestState(pluginversion.TestStateLost).SetConforms(false).SetReport(report).SetTestedAt(u.Now).Exec(ctx)
		}
		n, err := c.AddTestAttempt(1).SetTestState(pluginversion.TestStateRunning).SetTestLeaseUntil(u.Now.Add(lease)).Save(ctx)
		return n == 1, err
	})
	if err != nil || !got {
		return nil, err
	}
	v.TestAttempt++
	v.TestLeaseUntil = r.door.Clock.Now().Add(lease)
	return v, nil
}

// mine is the test that this node has claimed, and still has.
func mine(u *command.Unit, v *ent.PluginVersion) *ent.PluginVersionUpdate {
	return u.PluginVersion.Update().Where(pluginversion.ID(v.ID), pluginversion.TestAttempt(v.TestAttempt), pluginversion.TestStateEQ(pluginversion.TestStateRunning))
}

// returnTrial gives a test back that a stopping server cannot end.
func (r *Room) returnTrial(ctx context.Context, v *ent.PluginVersion) error {
	cmd := command.Command{Operation: "returnPluginTest", Input: v.ID}
	_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(v.ID, v.RegionPath)
		return v.ID, mine(u, v).AddTestAttempt(-1).SetTestState(pluginversion.TestStateQueued).SetTestLeaseUntil(schema.LongAgo).Exec(ctx)
	})
	return err
}

// endTrial keeps what came of a test, unless another node has it by now.
func (r *Room) endTrial(ctx context.Context, v *ent.PluginVersion, out trial) error {
	cmd := command.Command{Operation: "endPluginTest", Input: map[string]any{"version": v.ID, "attempt": v.TestAttempt}}
	_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(v.ID, v.RegionPath)
		u.Note("conforms", out.conforms)
		u.Changed(store.Change{Kind: "plugin", ID: v.ID, RegionPath: v.RegionPath})
		n, err := mine(u, v).SetTestState(pluginversion.TestStateDone).SetConforms(out.conforms).SetReport(out.report).SetIsolation(list(out.isolation)).SetTestedAt(u.Now).Save(ctx)
		if err != nil || n == 0 || !out.conforms {
			return v.ID, err
		}
		return v.ID, u.PluginVersion.Update().Where(pluginversion.ID(v.ID), pluginversion.StateEQ(pluginversion.StateVerified)).SetState(pluginversion.StateTested).Exec(ctx)
	})
	return err
}

// trial is what came of a test: the report as JSON of kit.
type trial struct {
	report    string
	isolation []string
	conforms  bool
}

// try runs the conformance kit over a version. That the plugin cannot be started,
// crashes or lies about itself is the report.
func (r *Room) try(ctx context.Context, v *ent.PluginVersion) (trial, error) {
	a, err := r.artifact(ctx, v)
	if err != nil {
		return trial{}, err
	}
	var in sampled
	if err := json.Unmarshal([]byte(v.TestInput), &in); err != nil {
		return trial{}, fmt.Errorf("read what is to be tried: %w", err)
	}
	sample := plugintest.Sample{}
	if sample.Config, err = r.open(in.Config); err != nil {
		return trial{}, err
	}
	if in.Inputs != "" {
		sample.Inputs = []string{in.Inputs}
	}
	found, failed := r.o.Host.Check(ctx, a, sample)
	if ctx.Err() != nil {
		return trial{}, ctx.Err()
	}
	out := trial{isolation: r.isolation(a), conforms: failed == nil && found.Err() == nil}
	kept := kit{Findings: []finding{}}
	for _, f := range found.Findings {
		x := finding{Rule: f.Rule}
		if f.Err != nil {
			x.Wrong = f.Err.Error()
		}
		kept.Findings = append(kept.Findings, x)
	}
	if failed != nil {
		kept.Error = failed.Error()
	} else if said := contradiction(v, found.Identity); said != "" {
		kept.Findings = append(kept.Findings, finding{Rule: "manifest", Wrong: said})
		out.conforms = false
	}
	report, err := json.Marshal(kept)
	if err != nil {
		return trial{}, errors.Join(errors.New("keep the report"), err)
	}
	out.report = string(report)
	return out, nil
}
