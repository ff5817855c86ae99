package optimization

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/optimizationrun"
	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/ent/task"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// What a run may use.
const (
	maxTime      = 5 * time.Minute
	maxProposals = 20
	maxQuestions = 200
	maxEdits     = 50
	maxTasks     = 200_000 // of the log, the latest
	maxMessages  = 100_000
	batchEvents  = 2000
)

// talk is one run while it lasts.
type talk struct {
	room     *Room
	run      *ent.OptimizationRun
	base     *ent.ProcessVersion
	region   *ent.Region
	strategy *ent.PluginVersion

	events     []*pluginv1.Event
	logDigest  string
	pools      []pool
	standards  []standardInForce
	statistics statistics
	protected  *model.Protected
	process    string // id in the document
	snapshot   *pluginv1.Snapshot
	questions  int
	proposals  []judged
	violations []string
	done       bool
	messages   int
	toldAt     time.Time // when the progress was written last
}

// judged is a proposal that has passed.
type judged struct {
	*pluginv1.Proposal
	warnings int
}

// carryOut lets the strategy of a claimed run propose and writes down what came of it.
// That the strategy fails is the run's result and no error.
func (r *Room) carryOut(ctx context.Context, id string) error {
	client := r.door.Store.Client()
	run, err := client.OptimizationRun.Query().Where(optimizationrun.ID(id)).WithBase().WithRegion().WithPluginVersion().Only(ctx)
	if err != nil {
		return fmt.Errorf("read the run: %w", err)
	}
	whole := ctx
	ctx, over := r.held.begin(ctx, run)
	defer over()
	t := &talk{room: r, run: run, base: run.Edges.Base, region: run.Edges.Region, strategy: run.Edges.PluginVersion}
	if err := t.read(ctx); err != nil {
		if errors.Is(context.Cause(ctx), errPassed) {
			return nil // while it was still being read
		}
		return err
	}
	a, err := r.o.Artifact(ctx, t.strategy)
	if err == nil {
		s := pluginhost.Settings{}
		if run.Config != "{}" {
			s = pluginhost.Settings{Generation: generation(run.Config), JSON: run.Config}
		}
		limited, cancel := context.WithTimeout(ctx, maxTime)
		err = r.o.Host.Propose(limited, a, s, t.hold)
		cancel()
	}
	switch {
	case errors.Is(context.Cause(ctx), errPassed):
		return nil // another node's result counts
	case ctx.Err() != nil:
		return ctx.Err() // the server stops: the lease ends and the run is taken up again
	}
	return t.finish(whole, err)
}

// read reads everything that the strategy is given, and its digest.
func (t *talk) read(ctx context.Context) (err error) {
	if t.process, err = processIn(t.base.Document); err != nil {
		return err
	}
	if err := t.readStandards(ctx); err != nil {
		return err
	}
	if err := t.readPools(ctx); err != nil {
		return err
	}
	if err := t.readLog(ctx); err != nil {
		return err
	}
	if err := t.makeSnapshot(); err != nil {
		return err
	}
	sum := sha256.New()
	for _, e := range t.events {
		fmt.Fprintf(sum, "%s %d %d %s %v\n", e.Node, e.Lifecycle, e.TimeUs, e.Pool, e.Attributes) // maps are printed in order of their keys
	}
	fmt.Fprintf(sum, "%s\n%s\n%s\n", t.snapshot.GetPoolsJson(), t.snapshot.GetStandardsJson(), t.snapshot.GetStatisticsJson())
	t.logDigest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return nil
}

// readLog makes the event log of the base in the region out of its tasks: when each
// could be begun, was begun and was done, up to the instant of the run. Cases appear
// under pseudonyms.
func (t *talk) readLog(ctx context.Context) error {
	rows, err := t.room.door.Store.Client().Task.Query().Where(task.VersionID(t.base.ID), store.Within([]string{t.region.RegionPath}), task.CreatedAtLTE(t.run.AsOf)).
		Order(ent.Desc(task.FieldID)).Limit(maxTasks).All(ctx)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	slices.Reverse(rows)
	cases, err := t.caseAttributes(ctx)
	if err != nil {
		return err
	}
	t.statistics.Nodes = []nodeCount{}
	names, roles := map[string]string{}, map[string]bool{}
	for _, row := range rows {
		name, ok := names[row.CaseID]
		if !ok {
			sum := sha256.Sum256([]byte(origin(t.run) + "\n" + row.CaseID))
			name = hex.EncodeToString(sum[:8])
			names[row.CaseID] = name
		}
		if row.Kind == task.KindHuman && row.Role != "" {
			roles[row.Role] = true
		}
		pool, attributes := t.poolOf(row.Role, row.RegionPath), t.attributes(row, cases[row.CaseID])
		add := func(l pluginv1.Lifecycle, at *time.Time) {
			if at != nil && !at.After(t.run.AsOf) {
				t.events = append(t.events, &pluginv1.Event{Case: name, Node: row.NodeID, Activity: row.NameZh, Lifecycle: l, TimeUs: at.UnixMicro(), Pool: pool, Attributes: attributes})
			}
		}
		begun, ended := t.span(row)
		t.count(row, begun, ended)
		add(pluginv1.Lifecycle_LIFECYCLE_SCHEDULE, &row.CreatedAt)
		add(pluginv1.Lifecycle_LIFECYCLE_START, begun)
		switch row.State {
		case task.StateCompleted:
			add(pluginv1.Lifecycle_LIFECYCLE_COMPLETE, row.CompletedAt)
		case task.StateCancelled:
			add(pluginv1.Lifecycle_LIFECYCLE_ABORT, row.CompletedAt)
		}
	}
	slices.SortStableFunc(t.events, func(a, b *pluginv1.Event) int { return cmp.Compare(a.TimeUs, b.TimeUs) })
	t.statistics.Cases, t.statistics.Events = len(names), len(t.events)
	if n := len(t.events); n > 0 {
		t.statistics.FromUs, t.statistics.ToUs = t.events[0].TimeUs, t.events[n-1].TimeUs
	}
	return t.countOthers(ctx, slices.Sorted(maps.Keys(roles)))
}

// span tells when a task was begun, nil when it was not, and whether it had ended at
// the instant of the run.
func (t *talk) span(row *ent.Task) (begun *time.Time, ended bool) {
	ended = row.CompletedAt != nil && !row.CompletedAt.After(t.run.AsOf)
	begun = row.StartedAt
	if begun == nil || ended && begun.Equal(*row.CompletedAt) && row.ClaimedAt != nil {
		begun = row.ClaimedAt // begun by completing it: the work began when it was claimed
	}
	return begun, ended
}

// What a strategy may name among its attributes. Those of a task that is still open are
// left out: they may change yet, and the log could not be had again.
const (
	attributeDue      = "task.dueAt"    // the earliest binding clock, RFC 3339
	attributePriority = "task.priority" //
	attributeState    = "case.state"    // ended or running, at the instant of the run
	attributeArea     = "case.area"     //
	attributeChannel  = "case.channel"  //
)

// caseAttributes reads the cases of the base in the region, when the strategy wants to
// know something of them.
func (t *talk) caseAttributes(ctx context.Context) (map[string]*ent.ServiceCase, error) {
	out := map[string]*ent.ServiceCase{}
	if !slices.ContainsFunc(t.strategy.Attributes, func(a string) bool { return strings.HasPrefix(a, "case.") }) {
		return out, nil
	}
	rows, err := t.room.door.Store.Client().ServiceCase.Query().Where(servicecase.VersionID(t.base.ID), store.Within([]string{t.region.RegionPath}), servicecase.CreatedAtLTE(t.run.AsOf)).
		Order(ent.Desc(servicecase.FieldID)).Limit(maxTasks).
		Select(servicecase.FieldState, servicecase.FieldArea, servicecase.FieldChannel, servicecase.FieldEndedAt).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the cases of the log: %w", err)
	}
	for _, row := range rows {
		out[row.ID] = row
	}
	return out, nil
}

// attributes are what the strategy asked for of a task and its case.
func (t *talk) attributes(row *ent.Task, c *ent.ServiceCase) map[string]string {
	var out map[string]string
	set := func(name, value string) {
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	ended := row.CompletedAt != nil && !row.CompletedAt.After(t.run.AsOf)
	for _, a := range t.strategy.Attributes {
		switch {
		case a == attributeDue && ended && row.DueAt != nil:
			set(a, row.DueAt.UTC().Format(time.RFC3339))
		case a == attributePriority && ended:
			set(a, strconv.Itoa(row.Priority))
		case a == attributeState && c != nil:
			state := "running"
			if c.EndedAt != nil && !c.EndedAt.After(t.run.AsOf) {
				state = "ended"
			}
			set(a, state)
		case a == attributeArea && c != nil:
			set(a, c.Area)
		case a == attributeChannel && c != nil && c.Channel != "":
			set(a, c.Channel)
		}
	}
	return out
}

// generation is the number under which a strategy holds a configuration: runs with the
// same one share it, others never do. 0 is the empty one.
func generation(config string) uint64 {
	if config == "{}" {
		return 0
	}
	sum := sha256.Sum256([]byte(config))
	return binary.BigEndian.Uint64(sum[:8]) | 1
}

// origin names the run whose pseudonyms count: that which is repeated, or the run itself.
func origin(run *ent.OptimizationRun) string { return cmp.Or(run.ReplayOf, run.ID) }

// hold talks with the strategy: everything that it is given, then its questions until
// it is done.
func (t *talk) hold(ctx context.Context, stream pluginhost.Proposing) error {
	sent := make(chan error, 1)
	go func() { sent <- t.tell(ctx, stream) }()
	told := false
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if !t.done {
				return fault.E(fault.Precondition, "PLUGIN_PROTOCOL", fault.P("plugin", t.strategy.ID), fault.P("cause", "it ended without Done"))
			}
			return nil
		}
		if err != nil {
			return err
		}
		if t.messages++; t.messages > maxMessages {
			return fault.E(fault.Precondition, "PLUGIN_PROTOCOL", fault.P("plugin", t.strategy.ID), fault.P("cause", "it does not stop talking"))
		}
		if m.GetEvaluate() != nil && !told { // answers come after the log
			if err := <-sent; err != nil {
				return err
			}
			told = true
		}
		if err := t.hear(ctx, stream, m); err != nil {
			return err
		}
	}
}

// tell sends header, snapshot and log.
func (t *talk) tell(ctx context.Context, stream pluginhost.Proposing) error {
	send := func(m *pluginv1.ToStrategy) error { return stream.Send(m) }
	deadline, _ := ctx.Deadline()
	seed, err := strconv.ParseUint(t.run.Seed, 10, 64)
	if err != nil {
		return fmt.Errorf("read the seed: %w", err)
	}
	err = send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Header{Header: &pluginv1.Header{
		RunId: origin(t.run), Seed: seed, BaseDigest: t.run.BaseDigest, Region: t.region.RegionPath, DeadlineUs: deadline.UnixMicro(),
		Limits: &pluginv1.Limits{Proposals: maxProposals, Questions: maxQuestions, Edits: maxEdits}, ConfigGeneration: generation(t.run.Config), NowUs: t.run.AsOf.UnixMicro(),
	}}})
	if err == nil {
		err = send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Snapshot{Snapshot: t.snapshot}})
	}
	for batch := range slices.Chunk(t.events, batchEvents) {
		if err != nil {
			return err
		}
		err = send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Events{Events: &pluginv1.EventBatch{Events: batch}}})
	}
	if err != nil {
		return err
	}
	return send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_EndOfLog{EndOfLog: &pluginv1.EndOfLog{Events: uint64(len(t.events))}}})
}

// hear takes one message of the strategy.
func (t *talk) hear(ctx context.Context, stream pluginhost.Proposing, m *pluginv1.FromStrategy) error {
	switch x := m.GetMessage().(type) {
	case *pluginv1.FromStrategy_Progress:
		return t.progress(ctx, x.Progress)
	case *pluginv1.FromStrategy_Evaluate:
		answer, err := t.evaluate(ctx, x.Evaluate)
		if err != nil {
			return err
		}
		return stream.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Answer{Answer: answer}})
	case *pluginv1.FromStrategy_Proposal:
		return t.take(ctx, x.Proposal)
	case *pluginv1.FromStrategy_Done:
		t.done = true
		return nil
	}
	t.violated("MESSAGE_UNKNOWN")
	return nil
}

// evaluate answers what edits would do: whether they apply, and what the checks say.
func (t *talk) evaluate(ctx context.Context, q *pluginv1.Evaluate) (*pluginv1.EvaluateAnswer, error) {
	answer := &pluginv1.EvaluateAnswer{Question: q.GetQuestion()}
	if t.questions++; t.questions > maxQuestions {
		t.violated("TOO_MANY_QUESTIONS")
		answer.Diagnostics = []*pluginv1.Diagnostic{flaw("$", "TOO_MANY_QUESTIONS", "")}
		return answer, nil
	}
	_, found, err := t.try(ctx, q.GetEditsJson())
	if err != nil {
		return nil, err
	}
	answer.Accepted, answer.Diagnostics = !refused(found), found
	return answer, nil
}

// take judges a proposal; one that does not pass is a violation and not kept.
func (t *talk) take(ctx context.Context, p *pluginv1.Proposal) error {
	if len(t.proposals) >= maxProposals {
		t.violated("TOO_MANY_PROPOSALS")
		return nil
	}
	if code := malformed(p, t.run.BaseDigest); code != "" {
		t.violated(code)
		return nil
	}
	warnings, found, err := t.try(ctx, p.GetEditsJson())
	if err != nil {
		return err
	}
	for _, d := range found {
		if d.GetSeverity() == pluginv1.Severity_SEVERITY_ERROR {
			t.violated(d.GetCode())
		}
	}
	if refused(found) {
		return nil
	}
	t.proposals = append(t.proposals, judged{p, warnings})
	return nil
}

// violated writes down, once, what the strategy did that it must not.
func (t *talk) violated(code string) {
	if !slices.Contains(t.violations, code) {
		t.violations = append(t.violations, code)
	}
}

// progress writes how far the run is, at most once a second.
func (t *talk) progress(ctx context.Context, p *pluginv1.Progress) error {
	now := t.room.door.Clock.Now()
	if now.Sub(t.toldAt) < time.Second {
		return nil
	}
	t.toldAt = now
	cmd := command.Command{Operation: "optimizationProgress", Input: t.run.ID}
	_, err := command.Run(ctx, t.room.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(t.run.ID, t.run.RegionPath)
		u.Changed(store.Change{Kind: "optimization", ID: t.run.ID, RegionPath: t.run.RegionPath})
		return "", u.OptimizationRun.Update().Where(optimizationrun.ID(t.run.ID), optimizationrun.Attempt(t.run.Attempt)).
			SetPermille(int(min(p.GetPermille(), 1000))).SetMessage(cut(p.GetMessage(), 500)).Exec(access.Elevated(ctx))
	})
	return err
}

// finish writes the result and its proposals, if the run is still this node's.
func (t *talk) finish(ctx context.Context, failed error) error {
	cmd := command.Command{Operation: "endOptimization", Input: t.run.ID}
	_, err := command.Run(ctx, t.room.door, cmd, func(ctx context.Context, u *command.Unit) (string, error) {
		u.On(t.run.ID, t.run.RegionPath)
		ctx = access.Elevated(ctx)
		c := u.OptimizationRun.Update().Where(optimizationrun.ID(t.run.ID), optimizationrun.Attempt(t.run.Attempt), optimizationrun.StateEQ(optimizationrun.StateRunning)).
			SetEvents(len(t.events)).SetLogDigest(t.logDigest).SetQuestions(t.questions).SetViolations(list(t.violations)).SetIsolation(t.isolation()).
			SetEndedAt(u.Now).SetState(optimizationrun.StateDone).SetPermille(1000)
		if failed != nil {
			f := fault.From(failed)
			c.SetState(optimizationrun.StateFailed).SetCode(f.Code).SetDetail(cut(failed.Error(), 2000))
			t.proposals = nil
		}
		c.SetResultDigest(t.digest())
		if t.run.ReplayOf != "" {
			verdict, err := t.compare(ctx, u)
			if err != nil {
				return "", err
			}
			c.SetReplay(verdict)
		}
		n, err := c.Save(ctx)
		if err != nil || n == 0 {
			return "", err
		}
		u.Changed(store.Change{Kind: "optimization", ID: t.run.ID, RegionPath: t.run.RegionPath})
		u.Note("proposals", len(t.proposals))
		return t.run.ID, t.keep(ctx, u)
	})
	return err
}

// compare tells how the run compares with the one that it repeats.
func (t *talk) compare(ctx context.Context, u *command.Unit) (optimizationrun.Replay, error) {
	old, err := u.OptimizationRun.Get(ctx, t.run.ReplayOf)
	switch {
	case err != nil:
		return "", fmt.Errorf("read the run that is repeated: %w", err)
	case old.LogDigest != t.logDigest:
		return optimizationrun.ReplayLogDiffers, nil
	case old.ResultDigest != t.digest():
		return optimizationrun.ReplayResultDiffers, nil
	}
	return optimizationrun.ReplaySame, nil
}

func (t *talk) keep(ctx context.Context, u *command.Unit) error {
	for i, p := range t.proposals {
		claims, err := json.Marshal(p.GetClaims())
		if err != nil {
			return fmt.Errorf("keep the claims: %w", err)
		}
		err = u.Proposal.Create().SetRunID(t.run.ID).SetNumber(i + 1).SetTitleZh(cut(p.GetTitleZh(), 256)).SetTitleEn(cut(p.GetTitleEn(), 256)).
			SetRationale(cut(p.GetRationale(), 10_000)).SetEdits(p.GetEditsJson()).SetClaims(string(claims)).SetWarnings(p.warnings).
			SetRegionID(t.run.RegionID).SetRegionPath(t.run.RegionPath).SetCreatedAt(u.Now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep a proposal: %w", err)
		}
	}
	return nil
}

// digest is that of the proposals: equal runs have equal ones.
func (t *talk) digest() string {
	sum := sha256.New()
	for _, p := range t.proposals {
		fmt.Fprintf(sum, "%q %q %q\n", p.GetTitleZh(), p.GetTitleEn(), p.GetEditsJson())
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func (t *talk) isolation() []string {
	for _, s := range t.room.o.Host.Status() {
		if s.Digest == t.strategy.Digest {
			return list(s.Isolation)
		}
	}
	return []string{}
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// cut bounds what a plugin says, in bytes.
func cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}

// refused tells whether one of the findings is an error.
func refused(found []*pluginv1.Diagnostic) bool {
	return slices.ContainsFunc(found, func(d *pluginv1.Diagnostic) bool { return d.GetSeverity() == pluginv1.Severity_SEVERITY_ERROR })
}

// element is the path of a finding at an element of the process.
func element(elements []string) string {
	if len(elements) == 0 {
		return "$"
	}
	return "$[" + strconv.Quote(elements[0]) + "]"
}
