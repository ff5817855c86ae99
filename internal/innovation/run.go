package innovation

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginassignment"
	"github.com/openspms/spms/ent/pluginrun"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// result is what came of one run.
type result struct {
	outcome   pluginrun.Outcome
	code      string
	detail    string
	output    string
	vars      map[string]any // completed
	notices   []*execution.NoticeItem
	evidence  []*execution.EvidenceItem
	wait      *pluginv1.Wait // waiting
	metrics   map[string]any
	micros    int64
	isolation []string
}

// do calls the module for one task and lets its answer count. The run is written
// down before the call: whoever is lent the task after a crash repeats it under the
// same key.
func (r *Room) do(ctx context.Context, e *errand) error {
	run, settings, req, err := r.begin(ctx, e)
	if errors.Is(err, errConfigGone) {
		return r.fallBack(ctx, e, &result{outcome: pluginrun.OutcomeFailed, code: "PLUGIN_CONFIG_GONE"})
	}
	if err != nil || run == nil {
		return err
	}
	out := r.call(ctx, e, settings, req)
	if ctx.Err() != nil {
		return ctx.Err() // the server stops: the lease runs out and the run is repeated
	}
	if !e.shadow {
		err := r.settle(ctx, e, run, &out)
		if fault.CodeOf(err) == leaseLost {
			return r.lost(ctx, e, run)
		}
		if err != nil {
			return err
		}
	}
	return r.finish(ctx, e, run, out)
}

// leaseLost says that a task is lent to another by now.
const leaseLost = "TASK_LEASE_LOST"

// errConfigGone says that a task cannot go on under the configuration that it began
// under, and must not under another.
var errConfigGone = errors.New("the configuration is not kept any more")

// lost leaves a run to the node that has the task now, which repeats it, so that what
// comes of it there counts. It is lost when no module but another worker has the task.
func (r *Room) lost(ctx context.Context, e *errand, run *ent.PluginRun) error {
	t, err := r.door.Store.Client().Task.Get(ctx, e.task.ID)
	if err != nil {
		return fmt.Errorf("read the task that is lent to another: %w", err)
	}
	if strings.HasPrefix(t.LeaseBy, access.System("plugin").StaffID+" ") {
		return nil
	}
	return r.finish(ctx, e, run, result{outcome: pluginrun.OutcomeLost, code: leaseLost})
}

// begin writes the run down, or goes on with the one that has no end; nil when another
// has looked on already.
func (r *Room) begin(ctx context.Context, e *errand) (*ent.PluginRun, pluginhost.Settings, *pluginv1.ExecuteRequest, error) {
	generation, settings, err := r.settings(ctx, e)
	if err != nil {
		return nil, settings, nil, err
	}
	inputs, err := r.inputs(ctx, e)
	if err != nil {
		return nil, settings, nil, err
	}
	attempt := e.tries + 1
	cmd := command.Command{Operation: "beginPluginRun", Input: e.task.ID}
	id, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(e.task.ID, e.task.RegionPath)
		u.Recorded() // the run is the record
		if e.begun != nil {
			return e.begun.ID, nil
		}
		if e.shadow {
			looked, err := u.PluginRun.Query().Where(pluginrun.TaskID(e.task.ID), pluginrun.ModeEQ(pluginrun.ModeShadow)).Exist(ctx)
			if err != nil || looked {
				return "", err
			}
		}
		mode := pluginrun.Mode(e.a.Mode)
		run, err := u.PluginRun.Create().SetAssignmentID(e.a.ID).SetVersionID(e.v.ID).SetCaseID(e.task.CaseID).SetTaskID(e.task.ID).SetMode(mode).
			SetAttempt(attempt).SetGeneration(generation).SetInputDigest(digestOf([]byte(inputs))).SetConfigDigest(digestOf([]byte(settings.JSON))).
			SetRegionID(e.task.RegionID).SetRegionPath(e.task.RegionPath).SetCreatedAt(u.Now).Save(ctx)
		if err != nil {
			return "", fmt.Errorf("write the run down: %w", err)
		}
		return run.ID, nil
	})
	if err != nil || id == "" {
		return nil, settings, nil, err
	}
	run, err := r.door.Store.Client().PluginRun.Get(ctx, id)
	if err != nil {
		return nil, settings, nil, fmt.Errorf("read the run: %w", err)
	}
	key := fmt.Sprintf("%s/%d/%d", e.task.ID, attempt, e.waits) // after a wait it is another call, not a repetition
	return run, settings, &pluginv1.ExecuteRequest{
		Case: pseudonym(e), TaskId: e.task.ID, Node: e.task.NodeID, Region: e.task.RegionPath, IdempotencyKey: key,
		Attempt: uint32(attempt), InputsJson: inputs, ConfigGeneration: settings.Generation, NowUs: r.door.Clock.Now().UnixMicro(), //nolint:gosec // at most 20
	}, nil
}

// pseudonym names the case for one plugin: the same in all its calls, another for
// every other plugin.
func pseudonym(e *errand) string {
	sum := sha256.Sum256([]byte(e.v.PluginID + "\n" + e.task.CaseID))
	return hex.EncodeToString(sum[:12])
}

// settings are the configuration that a task is done under, and the generation of its
// assignment: that of the run which has begun it, however often the assignment has
// changed since, else the one that goes with the version.
func (r *Room) settings(ctx context.Context, e *errand) (generation int, s pluginhost.Settings, err error) {
	a := e.a
	generation, config := a.Generation, a.Config
	if e.v.ID == a.PreviousVersionID && e.v.ID != a.VersionID {
		generation, config = a.Generation-1, a.PreviousConfig
	}
	if e.under != nil {
		if e.under.AssignmentID != a.ID {
			if a, err = r.door.Store.Client().PluginAssignment.Get(ctx, e.under.AssignmentID); err != nil {
				return 0, s, fmt.Errorf("read the assignment that has begun the task: %w", err)
			}
		}
		if generation, config = e.under.Generation, a.Config; generation != a.Generation {
			var kept bool
			if config, kept = a.Configs[strconv.Itoa(generation)]; !kept {
				return 0, s, fmt.Errorf("generation %d of assignment %s: %w", generation, a.ID, errConfigGone)
			}
		}
	}
	config, err = r.open(config)
	return generation, settingsOf(config), err
}

// settingsOf names a configuration for the host by what it says: assignments of several
// regions share processes, and each counts its generations by itself.
func settingsOf(config string) pluginhost.Settings {
	if config == "" || config == "{}" {
		return pluginhost.Settings{}
	}
	sum := sha256.Sum256([]byte(config))
	return pluginhost.Settings{Generation: binary.BigEndian.Uint64(sum[:8]) | 1, JSON: config}
}

// known is a value of the case: task.dueAt, task.createdAt, case.area and case.channel
// are those of the rows, any other name is a variable.
func known(e *errand, name string) (any, bool) {
	c := e.task.Edges.Case
	switch name {
	case "task.dueAt":
		if e.task.DueAt == nil {
			return nil, false
		}
		return e.task.DueAt.UTC().Format(time.RFC3339Nano), true
	case "task.createdAt":
		return e.task.CreatedAt.UTC().Format(time.RFC3339Nano), true
	case "case.area":
		return c.Area, true
	case "case.channel":
		return c.Channel, true
	}
	return dig(c.Variables, name)
}

// dig reads a dotted name from nested maps.
func dig(m map[string]any, name string) (any, bool) {
	head, rest, more := strings.Cut(name, ".")
	value, ok := m[head]
	if !ok || value == nil || !more {
		return value, ok && value != nil
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return nil, false
	}
	return dig(inner, rest)
}

// put writes a dotted name into nested maps.
func put(m map[string]any, name string, value any) {
	head, rest, more := strings.Cut(name, ".")
	if !more {
		m[head] = value
		return
	}
	inner, ok := m[head].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[head] = inner
	}
	put(inner, rest, value)
}

// call asks the plugin; whatever happens is a result.
func (r *Room) call(ctx context.Context, e *errand, s pluginhost.Settings, req *pluginv1.ExecuteRequest) result {
	if e.v.State == pluginversion.StateRevoked {
		return result{outcome: pluginrun.OutcomeFailed, code: "PLUGIN_REVOKED"}
	}
	a, err := r.artifact(ctx, e.v)
	if err != nil {
		return refusedBy(err)
	}
	call, cancel := context.WithTimeout(ctx, seconds(e.a.TimeoutSeconds))
	defer cancel()
	began := r.door.Clock.Now()
	resp, err := r.o.Host.Execute(call, a, s, req)
	var out result
	if err != nil {
		out = refusedBy(err)
	} else {
		out = r.judged(e, resp)
	}
	out.micros = r.door.Clock.Now().Sub(began).Microseconds()
	out.isolation = list(r.isolation(a))
	return out
}

// refusedBy is the result of a call that brought no answer. What may be otherwise
// another time is tried again.
func refusedBy(err error) result {
	f := fault.From(err)
	out := result{outcome: pluginrun.OutcomeRetry, code: f.Code, detail: cut(err.Error())}
	switch f.Code {
	case "PLUGIN_IDENTITY", "PLUGIN_CHANGED", "PLUGIN_PROTOCOL", "PLUGIN_CONFIG_REFUSED":
		out.outcome = pluginrun.OutcomeViolated
	case "PLUGIN_QUARANTINED", "PLUGIN_TARGET_MISSING", "PLUGIN_KEY_UNKNOWN", "PLUGIN_UNSIGNED", "PLUGIN_SIGNATURE_WRONG", "PLUGIN_DEV_REGION":
		out.outcome = pluginrun.OutcomeFailed
	}
	return out
}

// judged turns an answer into a result; it is not trusted.
func (r *Room) judged(e *errand, resp *pluginv1.ExecuteResponse) result {
	switch o := resp.GetOutcome().(type) {
	case *pluginv1.ExecuteResponse_Complete:
		return r.completed(e, o.Complete)
	case *pluginv1.ExecuteResponse_Wait:
		if o.Wait.GetMessageName() == "" || o.Wait.GetCorrelationKey() == "" || len(o.Wait.GetMessageName()) > 128 || len(o.Wait.GetCorrelationKey()) > 256 {
			return violated("WAIT_MALFORMED", "a wait needs a message and a key")
		}
		return result{outcome: pluginrun.OutcomeWaiting, wait: o.Wait}
	case *pluginv1.ExecuteResponse_Fail:
		out := result{outcome: pluginrun.OutcomeFailed, code: cut(o.Fail.GetCode()), detail: cut(o.Fail.GetMessage())}
		if o.Fail.GetRetryable() {
			out.outcome = pluginrun.OutcomeRetry
		}
		return out
	}
	return violated("OUTCOME_MISSING", "the answer has no outcome")
}

func (r *Room) completed(e *errand, c *pluginv1.Complete) result {
	m := manifestOf(e.v)
	output := c.GetOutputsJson()
	if output == "" {
		output = "{}"
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(output), &values); err != nil || values == nil {
		return violated("OUTPUT_MALFORMED", "the outputs are no JSON object")
	}
	if len(m.Outputs) > 0 {
		for _, d := range bundle.CheckConfig(m.Outputs, json.RawMessage(output)) {
			return violated(d.Code, d.Path+": "+d.Message)
		}
	}
	out := result{outcome: pluginrun.OutcomeCompleted, output: output, vars: map[string]any{}, metrics: map[string]any{}}
	for _, x := range c.GetMetrics() {
		if code := m.Flaw(x.GetName(), x.GetValue()); code != "" {
			return violated(code, fmt.Sprintf("%s = %v", x.GetName(), x.GetValue()))
		}
		out.metrics[x.GetName()] = x.GetValue()
	}
	if bad := out.effects(e, m, c); bad != nil {
		return *bad
	}
	if len(e.a.Outputs) == 0 {
		out.vars = values
		return out
	}
	for variable, name := range e.a.Outputs {
		output, _ := name.(string)
		if value, ok := dig(values, output); ok {
			put(out.vars, variable, value)
		}
	}
	return out
}

// effects takes what the plugin wants done beside its outputs; what it must not want
// is a violation.
func (out *result) effects(e *errand, m bundle.Manifest, c *pluginv1.Complete) *result {
	if len(c.GetNotices()) > sdk.MaxNotices || len(c.GetEvidence()) > sdk.MaxEvidence {
		bad := violated("EFFECTS_TOO_MANY", fmt.Sprintf("%d notices, %d items of evidence", len(c.GetNotices()), len(c.GetEvidence())))
		return &bad
	}
	for _, n := range c.GetNotices() {
		if n.GetChannel() == "" || len(n.GetChannel()) > 32 || n.GetText() == "" || utf8.RuneCountInString(n.GetText()) > sdk.MaxNoticeText || !slices.Contains(m.Addresses, n.GetTo()) {
			bad := violated("NOTICE_MALFORMED", "to "+n.GetTo())
			return &bad
		}
		out.notices = append(out.notices, &execution.NoticeItem{Channel: n.GetChannel(), To: variableOf(e, n.GetTo(), n.GetTo()), Text: n.GetText()})
	}
	for _, x := range c.GetEvidence() {
		if x.GetKind() == "" || len(x.GetKind()) > 128 || x.GetContent() == "" || len(x.GetContent()) > 64<<10 || !slices.Contains(media, x.GetMedia()) {
			bad := violated("EVIDENCE_MALFORMED", "of kind "+x.GetKind())
			return &bad
		}
		item := &execution.EvidenceItem{Kind: x.GetKind(), Content: x.GetContent()}
		if m := x.GetMedia(); m != "" {
			item.Media = &m
		}
		out.evidence = append(out.evidence, item)
	}
	return nil
}

// media are those of evidence.
var media = []string{"", "text", "number", "photo", "location", "document"}

func violated(code, detail string) result {
	return result{outcome: pluginrun.OutcomeViolated, code: cut(code), detail: cut(detail)}
}

// cut bounds what a plugin says, in bytes.
func cut(s string) string {
	const limit = 1000
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}

// settle lets a result count in the case. What the case refuses of the outputs is
// the plugin's fault. It changes out to what really came of it.
func (r *Room) settle(ctx context.Context, e *errand, run *ent.PluginRun, out *result) error {
	worker, id := r.worker, e.task.ID
	switch out.outcome {
	case pluginrun.OutcomeCompleted:
		_, err := r.cases.CompleteTask(ctx, execution.CompleteTask{TaskID: &id, Worker: &worker, Variables: out.vars, Notices: out.notices, Evidence: out.evidence, IdempotencyKey: &run.ID})
		f := fault.From(err)
		switch {
		case err == nil:
			return nil
		case f.Kind == fault.Invalid || f.Code == "EVIDENCE_MISSING" || f.Code == "RULE_BLOCKED":
			*out = violated(f.Code, err.Error())
			return r.fallBack(ctx, e, out)
		}
		return past(err)
	case pluginrun.OutcomeWaiting:
		in := execution.ParkTask{TaskID: &id, Worker: &worker, Message: out.wait.GetMessageName(), Key: &out.wait.CorrelationKey}
		if us := out.wait.GetUntilUs(); us > 0 {
			until := time.UnixMicro(us).UTC()
			if soonest := r.door.Clock.Now().Add(time.Second); until.Before(soonest) {
				until = soonest
			}
			in.Until = &until
		}
		_, err := r.cases.ParkTask(ctx, in)
		return past(err)
	case pluginrun.OutcomeRetry:
		if e.tries+1 < e.a.Attempts {
			pause := 5 << min(e.tries, 8)
			_, err := r.cases.FailTask(ctx, execution.FailTask{TaskID: &id, Worker: &worker, Reason: reason(out), RetrySeconds: &pause})
			return past(err)
		}
	}
	return r.fallBack(ctx, e, out)
}

// past forgives that the task is not there any more: the case has gone on without it.
func past(err error) error {
	switch fault.CodeOf(err) {
	case "TASK_STATE", "CASE_ENDED", "TASK_NOT_FOUND":
		return nil
	}
	return err
}

func reason(out *result) string { return strings.TrimSpace(out.code + " " + out.detail) }

// fallBack does with the task what the assignment says for a module that cannot do
// it: the version before tries, people do it, or the token fails and people decide.
func (r *Room) fallBack(ctx context.Context, e *errand, out *result) error {
	worker, id := r.worker, e.task.ID
	role := e.a.FallbackRole
	if e.a.Fallback == pluginassignment.FallbackPrevious {
		if v, err := r.before(ctx, e); err != nil || v != nil {
			if err == nil {
				err = r.instead(ctx, e, v)
			}
			return err
		}
	}
	if e.a.Fallback == pluginassignment.FallbackFail || role == "" {
		_, err := r.cases.FailTask(ctx, execution.FailTask{TaskID: &id, Worker: &worker, Reason: reason(out), Code: &out.code})
		return past(err)
	}
	_, err := r.cases.DivertTask(ctx, execution.DivertTask{TaskID: &id, Worker: &worker, Role: role, Reason: reason(out)})
	return past(err)
}

// before is the version that does a task when e.v cannot: the one before it, or, when
// the assignment has changed since the task began, the one that it has now; nil for none.
func (r *Room) before(ctx context.Context, e *errand) (*ent.PluginVersion, error) {
	id := e.a.PreviousVersionID
	switch {
	case e.v.ID == id:
		return nil, nil
	case id == "" && e.v.ID != e.a.VersionID:
		id = e.a.VersionID // it was returned to
	case id == "":
		return nil, nil
	}
	v, err := r.door.Store.Client().PluginVersion.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read the version before: %w", err)
	}
	if v.State == pluginversion.StateRevoked {
		return nil, nil
	}
	return v, nil
}

// instead lets another version do the task now, under the same lease.
func (r *Room) instead(ctx context.Context, e *errand, v *ent.PluginVersion) error {
	next := *e
	next.v, next.begun, next.under, next.tries, next.waits = v, nil, nil, 0, 0
	return r.do(ctx, &next)
}

// finish writes down what came of a run, and looks whether the assignment still
// deserves its tasks.
func (r *Room) finish(ctx context.Context, e *errand, run *ent.PluginRun, out result) error {
	cmd := command.Command{Operation: "endPluginRun", Input: run.ID}
	_, err := command.Run(ctx, r.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(e.task.ID, e.task.RegionPath)
		u.Recorded() // the run is the record, unless the assignment is returned
		c := u.PluginRun.Update().Where(pluginrun.ID(run.ID), pluginrun.OutcomeEQ(pluginrun.OutcomeRunning)).SetOutcome(out.outcome).SetCode(out.code).SetDetail(out.detail).
			SetMicros(out.micros).SetIsolation(list(out.isolation)).SetEndedAt(u.Now)
		if out.output != "" {
			c.SetOutputDigest(digestOf([]byte(out.output)))
		}
		if out.metrics != nil {
			c.SetMetrics(out.metrics)
		}
		if err := c.Exec(ctx); err != nil {
			return "", fmt.Errorf("end the run: %w", err)
		}
		return run.ID, guard(ctx, u, e.a.ID)
	})
	if err == nil {
		m := manifestOf(e.v)
		r.o.Ran(pluginhost.Artifact{Digest: e.v.Digest, Name: m.Name, Version: m.Version}, string(run.Mode), string(out.outcome))
	}
	return err
}

// guard returns an assignment to what ran before when too many of its latest runs
// have failed, or the mean of a guarded metric over them has left its bounds.
func guard(ctx context.Context, u *command.Unit, id string) error {
	ctx = access.Elevated(ctx)
	a, err := u.PluginAssignment.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("read the assignment: %w", err)
	}
	if a.State == pluginassignment.StateEnded || a.Mode == pluginassignment.ModeShadow {
		return nil
	}
	latest, err := u.PluginRun.Query().Where(pluginrun.AssignmentID(id), pluginrun.VersionID(a.VersionID), pluginrun.Generation(a.Generation), pluginrun.OutcomeNEQ(pluginrun.OutcomeRunning)).
		Order(ent.Desc(pluginrun.FieldID)).Limit(a.GuardRuns).All(ctx)
	if err != nil {
		return fmt.Errorf("read the latest runs: %w", err)
	}
	if len(latest) < a.GuardRuns {
		return nil
	}
	why := astray(a, latest)
	if why == "" {
		return nil
	}
	u.Note("guard", why)
	return back(ctx, u, a, why)
}

// astray tells why an assignment no longer deserves its tasks, going by its latest
// runs; "" when it does.
func astray(a *ent.PluginAssignment, latest []*ent.PluginRun) string {
	bad := 0
	sums, counts := map[string]float64{}, map[string]int{}
	for _, run := range latest {
		switch run.Outcome {
		case pluginrun.OutcomeFailed, pluginrun.OutcomeViolated, pluginrun.OutcomeRetry, pluginrun.OutcomeLost:
			bad++
		}
		for name, value := range run.Metrics {
			if x, ok := value.(float64); ok {
				sums[name] += x
				counts[name]++
			}
		}
	}
	if bad*1000 > a.GuardPermille*len(latest) {
		return fmt.Sprintf("guard: %d of %d runs failed", bad, len(latest))
	}
	for _, g := range a.Guards {
		n := counts[g.Metric]
		if n == 0 {
			continue
		}
		mean := sums[g.Metric] / float64(n)
		if g.Min != nil && mean < *g.Min || g.Max != nil && mean > *g.Max {
			return fmt.Sprintf("guard: the mean of %s over %d runs is %.6g", g.Metric, n, mean)
		}
	}
	return ""
}
