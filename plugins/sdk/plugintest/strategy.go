package plugintest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// batch is how many events go into one message.
const batch = 4000

// process is the sample for strategies: three tasks in a row.
const process = `<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="urn:sample">
  <process id="install" isExecutable="true">
    <startEvent id="start"/>
    <userTask id="survey" name="Survey"/>
    <userTask id="fit" name="Fit"/>
    <userTask id="test" name="Test"/>
    <endEvent id="end"/>
    <sequenceFlow id="f1" sourceRef="start" targetRef="survey"/>
    <sequenceFlow id="f2" sourceRef="survey" targetRef="fit"/>
    <sequenceFlow id="f3" sourceRef="fit" targetRef="test"/>
    <sequenceFlow id="f4" sourceRef="test" targetRef="end"/>
  </process>
</definitions>`

// stream is the plugin's end of a run as the host sees it.
type stream = grpc.BidiStreamingClient[pluginv1.ToStrategy, pluginv1.FromStrategy]

// header opens a run.
func (k *kit) header(seed uint64) *pluginv1.Header {
	return &pluginv1.Header{
		RunId: "run-1", Seed: seed, BaseDigest: "sha256:base", Region: "/cn/gd", NowUs: instantUs,
		Limits: &pluginv1.Limits{Proposals: 20, Questions: 50, Edits: 100}, ConfigGeneration: 1,
	}
}

func (k *kit) snapshot() *pluginv1.Snapshot {
	if k.given != nil {
		return k.given
	}
	return &pluginv1.Snapshot{
		BpmnXml: k.BPMN, ProcessId: "install", PoolsJson: `[{"id":"fitters","name":"装维班组","capacity":4}]`,
		StandardsJson: "[]", StatisticsJson: "{}",
	}
}

// events makes a log of n events in order of time: tasks of cases that run one
// after the other, of which "fit" takes longest.
func events(n int) []*pluginv1.EventBatch {
	minutes := []int64{20, 90, 15}
	nodes := []string{"survey", "fit", "test"}
	attributes := map[string]string{"serviceType": "fibre"}
	var out []*pluginv1.EventBatch
	now := int64(instantUs)
	for i := range n {
		if i%batch == 0 {
			out = append(out, &pluginv1.EventBatch{})
		}
		task, ends := i/2%3, i%2 == 1
		e := &pluginv1.Event{
			Case: fmt.Sprint("c", i/6), Node: nodes[task], Activity: nodes[task],
			Lifecycle: pluginv1.Lifecycle_LIFECYCLE_START, Pool: "fitters", Attributes: attributes,
		}
		if ends {
			e.Lifecycle = pluginv1.Lifecycle_LIFECYCLE_COMPLETE
			now += minutes[task] * 60_000_000
		}
		e.TimeUs = now
		b := out[len(out)-1]
		b.Events = append(b.Events, e)
	}
	return out
}

// run is what a strategy sent.
type run struct {
	proposals []*pluginv1.Proposal
	questions []*pluginv1.Evaluate
	progress  []string
}

// Given is what Propose gives a strategy; what is empty is that of the kit's sample.
type Given struct {
	Config    string
	Seed      uint64
	BPMN      []byte
	Pools     string
	Standards string
	Counts    string // statistics
	Events    []sdk.Event
	Refuse    func(edits string) bool // which edits the host does not accept; nil: it accepts all
}

// Proposed is what a strategy sent.
type Proposed struct {
	Proposals []*pluginv1.Proposal
	Questions []string // edits
	Progress  []string // messages
}

// Propose lets a strategy propose inside the test. A configuration or run that is refused
// ends the test.
func Propose(t *testing.T, p sdk.Plugin, r Given) Proposed {
	t.Helper()
	conn, stop, err := sdk.InProcess(p)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	k := newKit(conn, []Sample{{Config: r.Config, BPMN: r.BPMN}})
	if found, err := k.configure(t.Context(), 1, k.Config); err != nil || refused(found) {
		t.Fatalf("Configure(%s) = %v, %v", k.Config, found, err)
	}
	k.given = k.snapshot()
	k.given.PoolsJson = cmp.Or(r.Pools, k.given.GetPoolsJson())
	k.given.StandardsJson = cmp.Or(r.Standards, k.given.GetStandardsJson())
	k.given.StatisticsJson = cmp.Or(r.Counts, k.given.GetStatisticsJson())
	k.refuses = r.Refuse
	var log []*pluginv1.EventBatch
	for chunk := range slices.Chunk(r.Events, batch) {
		b := &pluginv1.EventBatch{}
		for _, e := range chunk {
			b.Events = append(b.Events, &pluginv1.Event{
				Case: e.Case, Node: e.Node, Activity: e.Activity, Lifecycle: pluginv1.Lifecycle(e.Lifecycle), //nolint:gosec // a handful
				TimeUs: e.Time.UnixMicro(), Pool: e.Pool, Attributes: e.Attributes,
			})
		}
		log = append(log, b)
	}
	h := k.header(r.Seed)
	got, err := k.propose(t.Context(), h, log, true)
	if err != nil {
		t.Fatalf("Propose() = %v", err)
	}
	out := Proposed{Proposals: got.proposals, Progress: got.progress}
	for _, q := range got.questions {
		out.Questions = append(out.Questions, q.GetEditsJson())
	}
	return out
}

// propose plays the host of one run: the log goes out while messages come in,
// and every question is answered, accepted or not.
func (k *kit) propose(ctx context.Context, h *pluginv1.Header, log []*pluginv1.EventBatch, accept bool) (run, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := k.strategy.Propose(ctx)
	if err != nil {
		return run{}, err
	}
	answers := make(chan *pluginv1.EvaluateAnswer, 1000)
	defer close(answers)
	go func() {
		if k.send(s, h, log) != nil {
			return // the reason comes in by Recv
		}
		for a := range answers {
			if s.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Answer{Answer: a}}) != nil {
				return
			}
		}
	}()
	return receive(s, h, func(q *pluginv1.Evaluate) {
		answers <- answer(q, accept && (k.refuses == nil || !k.refuses(q.GetEditsJson())))
	})
}

// send sends a whole log with what comes before and after it.
func (k *kit) send(s stream, h *pluginv1.Header, log []*pluginv1.EventBatch) error {
	if err := s.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Header{Header: h}}); err != nil {
		return err
	}
	if err := s.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Snapshot{Snapshot: k.snapshot()}}); err != nil {
		return err
	}
	n := 0
	for _, b := range log {
		n += len(b.GetEvents())
		if err := s.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Events{Events: b}}); err != nil {
			return err
		}
	}
	return s.Send(&pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_EndOfLog{EndOfLog: &pluginv1.EndOfLog{Events: uint64(n)}}})
}

// answer is what the kit says to a question: always the same.
func answer(q *pluginv1.Evaluate, accept bool) *pluginv1.EvaluateAnswer {
	a := &pluginv1.EvaluateAnswer{Question: q.GetQuestion(), Accepted: accept}
	if accept {
		a.Figures = []*pluginv1.Figure{{Indicator: "cycle_time", Unit: "s", Before: 7500, After: 7000, Low: -600, High: -400}}
	} else {
		a.Diagnostics = []*pluginv1.Diagnostic{{Path: "$[0].id", Code: "EDIT_TARGET_UNKNOWN", Message: "there is no such node"}}
	}
	return a
}

// receive reads what the strategy sends and checks it.
func receive(s stream, h *pluginv1.Header, ask func(*pluginv1.Evaluate)) (run, error) {
	var out run
	var done *pluginv1.Done
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return out, out.closed(done)
		}
		if err != nil {
			return out, err
		}
		if done != nil {
			return out, errors.New("something came after Done")
		}
		switch x := m.GetMessage().(type) {
		case *pluginv1.FromStrategy_Progress:
			out.progress = append(out.progress, x.Progress.GetMessage())
			err = boolErr(x.Progress.GetPermille() <= 1000, "progress is over 1000")
		case *pluginv1.FromStrategy_Evaluate:
			out.questions = append(out.questions, x.Evaluate)
			err = errors.Join(boolErr(len(out.questions) <= int(h.GetLimits().GetQuestions()), "too many questions"), checkEdits(x.Evaluate.GetEditsJson()))
			ask(x.Evaluate)
		case *pluginv1.FromStrategy_Proposal:
			out.proposals = append(out.proposals, x.Proposal)
			err = checkProposal(x.Proposal, h, len(out.proposals))
		case *pluginv1.FromStrategy_Done:
			done = x.Done
		default:
			err = errors.New("a message is empty")
		}
		if err != nil {
			return out, err
		}
	}
}

// closed checks the last message.
func (r run) closed(done *pluginv1.Done) error {
	if done == nil {
		return errors.New("the stream ended without Done")
	}
	return boolErr(int(done.GetProposals()) == len(r.proposals) && int(done.GetQuestions()) == len(r.questions),
		"Done counts other than what was sent")
}

func checkProposal(p *pluginv1.Proposal, h *pluginv1.Header, n int) error {
	return errors.Join(
		boolErr(p.GetBaseDigest() == h.GetBaseDigest(), "a proposal has another base"),
		boolErr(p.GetTitleZh() != "" || p.GetTitleEn() != "", "a proposal has no title"),
		boolErr(n <= int(h.GetLimits().GetProposals()), "too many proposals"),
		checkEdits(p.GetEditsJson()))
}

// checkEdits checks the form of edits; what they do is the host's affair.
func checkEdits(text string) error {
	var edits []struct{ Op string }
	if err := json.Unmarshal([]byte(text), &edits); err != nil || len(edits) == 0 {
		return fmt.Errorf("edits %.80s are no JSON array of objects", text)
	}
	for _, e := range edits {
		if e.Op == "" {
			return fmt.Errorf("edits %.80s have one without op", text)
		}
	}
	return nil
}

func boolErr(ok bool, text string) error {
	if ok {
		return nil
	}
	return errors.New(text)
}

// emptyLog: nothing to learn from is no error.
func emptyLog(ctx context.Context, k *kit) error {
	_, err := k.propose(ctx, k.header(1), nil, true)
	return err
}

// largeLog: the log is worked off in the patience of the rule.
func largeLog(ctx context.Context, k *kit) error {
	_, err := k.propose(ctx, k.header(1), events(k.Events), true)
	return err
}

// sameSeed: chance comes from the seed alone.
func sameSeed(ctx context.Context, k *kit) error {
	log := events(3000)
	for seed := range uint64(3) {
		first, err := k.propose(ctx, k.header(seed), log, true)
		if err != nil {
			return err
		}
		second, err := k.propose(ctx, k.header(seed), log, true)
		if err != nil {
			return err
		}
		if err := first.same(second); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return nil
}

// same compares two runs message by message.
func (r run) same(o run) error {
	if len(r.proposals) != len(o.proposals) || len(r.questions) != len(o.questions) {
		return fmt.Errorf("%d proposals and %d questions, then %d and %d",
			len(r.proposals), len(r.questions), len(o.proposals), len(o.questions))
	}
	for i := range r.proposals {
		if !proto.Equal(r.proposals[i], o.proposals[i]) {
			return fmt.Errorf("proposal %d differs: %v, then %v", i+1, r.proposals[i], o.proposals[i])
		}
	}
	for i := range r.questions {
		if !proto.Equal(r.questions[i], o.questions[i]) {
			return fmt.Errorf("question %d differs: %v, then %v", i+1, r.questions[i], o.questions[i])
		}
	}
	return nil
}

// refusedEdits: an answer of no is no error.
func refusedEdits(ctx context.Context, k *kit) error {
	_, err := k.propose(ctx, k.header(1), events(3000), false)
	return err
}

// cancellation: a run that is cancelled, in the log or behind it, is over in
// the plugin too.
func cancellation(ctx context.Context, k *kit) error {
	log := events(2 * batch)
	for _, part := range []struct {
		log  []*pluginv1.EventBatch
		ends bool
		wait time.Duration
	}{{nil, false, 0}, {log[:1], false, 5 * time.Millisecond}, {log, true, 0}, {log, true, 10 * time.Millisecond}} {
		if err := k.cancelled(ctx, part.log, part.ends, part.wait); err != nil {
			return err
		}
		if err := k.quiet(ctx); err != nil {
			return err
		}
	}
	return nil
}

// cancelled starts a run, sends a part of the log, answers nothing, and cancels
// after a while.
func (k *kit) cancelled(ctx context.Context, log []*pluginv1.EventBatch, ends bool, wait time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := k.strategy.Propose(ctx)
	if err != nil {
		return err
	}
	messages := []*pluginv1.ToStrategy{
		{Message: &pluginv1.ToStrategy_Header{Header: k.header(1)}},
		{Message: &pluginv1.ToStrategy_Snapshot{Snapshot: k.snapshot()}},
	}
	n := 0
	for _, b := range log {
		n += len(b.GetEvents())
		messages = append(messages, &pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Events{Events: b}})
	}
	if ends {
		messages = append(messages, &pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_EndOfLog{EndOfLog: &pluginv1.EndOfLog{Events: uint64(n)}}})
	}
	for _, m := range messages {
		if err := s.Send(m); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	return nil
}

// strategyGarbage: what is no run is refused.
func strategyGarbage(ctx context.Context, k *kit) error {
	header := &pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Header{Header: k.header(1)}}
	snapshot := &pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Snapshot{Snapshot: k.snapshot()}}
	with := func(change func(*pluginv1.Snapshot)) *pluginv1.ToStrategy {
		s := k.snapshot()
		change(s)
		return &pluginv1.ToStrategy{Message: &pluginv1.ToStrategy_Snapshot{Snapshot: s}}
	}
	for name, messages := range map[string][]*pluginv1.ToStrategy{
		"nothing":            {},
		"an empty message":   {{}},
		"a log at once":      {{Message: &pluginv1.ToStrategy_Events{Events: &pluginv1.EventBatch{}}}},
		"no snapshot":        {header, {Message: &pluginv1.ToStrategy_EndOfLog{EndOfLog: &pluginv1.EndOfLog{}}}},
		"a second header":    {header, snapshot, header},
		"an unasked answer":  {header, snapshot, {Message: &pluginv1.ToStrategy_Answer{Answer: &pluginv1.EvaluateAnswer{Question: 9}}}},
		"no XML":             {header, with(func(s *pluginv1.Snapshot) { s.BpmnXml = []byte("not <xml") })},
		"an unclosed XML":    {header, with(func(s *pluginv1.Snapshot) { s.BpmnXml = []byte("<a><b></a>") })},
		"no XML at all":      {header, with(func(s *pluginv1.Snapshot) { s.BpmnXml = nil })},
		"pools that are not": {header, with(func(s *pluginv1.Snapshot) { s.PoolsJson = "{" })},
		"standards too deep": {header, with(func(s *pluginv1.Snapshot) { s.StandardsJson = strings.Repeat("[", 20_000) })},
		"events that lack":   {header, snapshot, {Message: &pluginv1.ToStrategy_EndOfLog{EndOfLog: &pluginv1.EndOfLog{Events: 7}}}},
		"a log without end":  {header, snapshot, {Message: &pluginv1.ToStrategy_Events{Events: &pluginv1.EventBatch{}}}},
	} {
		if got := status.Code(k.garbage(ctx, messages)); got != codes.InvalidArgument {
			return fmt.Errorf("Propose(%s) = %v, want INVALID_ARGUMENT", name, got)
		}
	}
	return nil
}

// garbage sends messages, closes, and returns how the run ended.
func (k *kit) garbage(ctx context.Context, messages []*pluginv1.ToStrategy) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := k.strategy.Propose(ctx)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if s.Send(m) != nil {
			break // the reason comes in by Recv
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	for {
		if _, err := s.Recv(); err != nil {
			return err
		}
	}
}
