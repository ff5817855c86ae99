package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// Strategy proposes changes of a process.
type Strategy interface {
	// Propose is one run. The same run gives the same proposals: chance comes
	// from run.Rand, and maps are not ranged over. It returns when ctx is done.
	Propose(ctx context.Context, run *Run) error
}

// ErrLimit says that the run has used up its proposals, questions or edits.
var ErrLimit = errors.New("sdk: the limit of the run is reached")

// ErrReading says that Evaluate was called inside a loop over Events.
var ErrReading = errors.New("sdk: end the loop over Events before a question")

// Edit is one typed change of a process: "op" and the fields that this op
// reads, as docs/plugins.md lists them. The host checks them.
type Edit map[string]any

// Limits bound a run; 0 means no limit.
type Limits struct{ Proposals, Questions, Edits int }

// Snapshot is what a run is about.
type Snapshot struct {
	BPMN       []byte          // a BPMN 2.0 document
	Process    string          // id of the process in it
	Pools      json.RawMessage // array of objects with id, name and capacity
	Standards  json.RawMessage // array of objects with id, clauses and indicators
	Statistics json.RawMessage // object; counted over the whole log by the host
}

// Lifecycle is the step in the life of an activity that an event tells of.
type Lifecycle int

// The lifecycles, in the order in which they usually come.
const (
	Unknown Lifecycle = iota
	Schedule
	Start
	Suspend
	Resume
	Completed
	Abort
)

// Event is one line of the log.
type Event struct {
	Case       string // pseudonym
	Node       string // id of the node, "" when it is not of this version
	Activity   string
	Lifecycle  Lifecycle
	Time       time.Time
	Pool       string            // "" for machines
	Attributes map[string]string // those that the plugin asked for
}

// Evaluation is the host's answer to a question.
type Evaluation struct {
	Accepted    bool // the edits apply, and the result is sound and compliant
	Diagnostics []Diagnostic
	Figures     []Figure // what simulation found, when accepted
}

// Proposal is a change that people may accept.
type Proposal struct {
	TitleZH   string // one of the titles is there
	TitleEN   string
	Edits     []Edit // at least one
	Claims    []Figure
	Rationale string
}

// Run is one run of a strategy. Events and Evaluate belong to one goroutine;
// the other methods may be called from any.
type Run struct {
	ID       string
	Seed     uint64
	Base     string // digest of the version the proposals start from
	Region   string // path of the region
	Now      time.Time
	Deadline time.Time // the zero time when there is none
	Limits   Limits
	Config   json.RawMessage // a JSON object that fits the schema

	ctx      context.Context // of the stream, which lasts as long as the run
	stream   grpc.BidiStreamingServer[pluginv1.ToStrategy, pluginv1.FromStrategy]
	snapshot Snapshot
	rand     *rand.Rand

	coming  chan received // a message that is being received
	pending []*pluginv1.Event
	read    uint64 // events received
	reading bool   // inside a loop over Events
	ended   bool   // the log is over
	failure error  // what went wrong with the stream

	mu        sync.Mutex // of what follows, and of sending
	proposals int
	questions int
}

// received is what one Recv gave.
type received struct {
	message *pluginv1.ToStrategy
	err     error
}

// Bind decodes the configuration.
func (r *Run) Bind(config any) error { return bind(r.Config, config, "CONFIG_INVALID") }

// Snapshot is what the run is about. Its bytes must not be changed.
func (r *Run) Snapshot() Snapshot { return r.snapshot }

// Rand is the chance of the run, seeded by the host; every call returns the
// same generator, which is not safe for concurrent use.
func (r *Run) Rand() *rand.Rand { return r.rand }

// Events reads the log as it comes in, in order of time. A loop that was left
// early goes on where it stopped. After an error there are no more events.
func (r *Run) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		r.reading = true
		defer func() { r.reading = false }()
		for {
			if err := r.fill(r.ctx); err != nil {
				yield(Event{}, err)
				return
			}
			if len(r.pending) == 0 {
				return
			}
			e := r.pending[0]
			r.pending = r.pending[1:]
			if !yield(eventOf(e), nil) {
				return
			}
		}
	}
}

// eventOf reads an event; lifecycles of later contracts are unknown.
func eventOf(e *pluginv1.Event) Event {
	l := Lifecycle(e.GetLifecycle())
	if l < Unknown || l > Abort {
		l = Unknown
	}
	return Event{
		Case: e.GetCase(), Node: e.GetNode(), Activity: e.GetActivity(), Lifecycle: l,
		Time: instant(e.GetTimeUs()), Pool: e.GetPool(), Attributes: e.GetAttributes(),
	}
}

// fill receives until there are events or the log is over.
func (r *Run) fill(ctx context.Context) error {
	for len(r.pending) == 0 && !r.ended {
		m, err := r.receive(ctx)
		if err != nil {
			return err
		}
		switch {
		case m.GetEvents() != nil:
			r.pending = m.GetEvents().GetEvents()
			r.read += uint64(len(r.pending))
		case m.GetEndOfLog() == nil:
			return r.fail("in the log there was neither a batch nor its end")
		case m.GetEndOfLog().GetEvents() != r.read:
			return r.fail("the log is not whole")
		default:
			r.ended = true
		}
	}
	return nil
}

// drain reads the rest of the log away.
func (r *Run) drain(ctx context.Context) error {
	for {
		r.pending = nil
		if err := r.fill(ctx); err != nil || r.ended {
			return err
		}
	}
}

// receive returns the next message of the host, or the error of ctx while the
// message is still on its way; it is then there for the next call.
func (r *Run) receive(ctx context.Context) (*pluginv1.ToStrategy, error) {
	if r.failure != nil {
		return nil, r.failure
	}
	if r.coming == nil {
		r.coming = make(chan received, 1)
		go func(out chan<- received) {
			m, err := r.stream.Recv()
			out <- received{m, err}
		}(r.coming)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-r.coming:
		r.coming = nil
		if errors.Is(got.err, io.EOF) {
			return nil, r.fail("the host ended the stream too early")
		}
		if got.err != nil {
			r.failure = got.err
		}
		return got.message, got.err
	}
}

// fail remembers that the host broke the contract; the stream ends with it.
func (r *Run) fail(text string) error {
	r.failure = status.Error(codes.InvalidArgument, text)
	return r.failure
}

// Evaluate asks the host what edits would do and waits for the answer. What is
// left of the log is read away first.
func (r *Run) Evaluate(ctx context.Context, edits []Edit) (Evaluation, error) {
	if r.reading {
		return Evaluation{}, ErrReading
	}
	text, err := r.encode(edits)
	if err != nil {
		return Evaluation{}, err
	}
	number, err := r.ask(text)
	if err != nil {
		return Evaluation{}, err
	}
	if err := r.drain(ctx); err != nil {
		return Evaluation{}, err
	}
	for {
		m, err := r.receive(ctx)
		if err != nil {
			return Evaluation{}, err
		}
		switch a := m.GetAnswer(); {
		case a == nil || a.GetQuestion() > number:
			return Evaluation{}, r.fail("there was no answer to the question")
		case a.GetQuestion() == number:
			return evaluationOf(a), nil
		} // else the answer to a question that was given up
	}
}

// ask sends a question and returns its number.
func (r *Run) ask(edits string) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Limits.Questions > 0 && r.questions >= r.Limits.Questions {
		return 0, ErrLimit
	}
	r.questions++
	number := uint64(r.questions)
	return number, r.stream.Send(&pluginv1.FromStrategy{Message: &pluginv1.FromStrategy_Evaluate{
		Evaluate: &pluginv1.Evaluate{Question: number, EditsJson: edits},
	}})
}

func evaluationOf(a *pluginv1.EvaluateAnswer) Evaluation {
	out := Evaluation{Accepted: a.GetAccepted()}
	for _, d := range a.GetDiagnostics() {
		out.Diagnostics = append(out.Diagnostics, Diagnostic{
			Path: d.GetPath(), Code: d.GetCode(), Message: d.GetMessage(),
			Warning: d.GetSeverity() == pluginv1.Severity_SEVERITY_WARNING,
		})
	}
	for _, f := range a.GetFigures() {
		out.Figures = append(out.Figures, Figure{
			Indicator: f.GetIndicator(), Unit: f.GetUnit(),
			Before: f.GetBefore(), After: f.GetAfter(), Low: f.GetLow(), High: f.GetHigh(),
		})
	}
	return out
}

// encode checks edits and writes them as JSON.
func (r *Run) encode(edits []Edit) (string, error) {
	if len(edits) == 0 {
		return "", errors.New("sdk: no edits")
	}
	if r.Limits.Edits > 0 && len(edits) > r.Limits.Edits {
		return "", ErrLimit
	}
	for _, e := range edits {
		if op, ok := e["op"].(string); !ok || op == "" {
			return "", errors.New("sdk: an edit has no op")
		}
	}
	text, err := json.Marshal(edits)
	return string(text), err
}

// Progress tells a person how far the run is, in thousandths.
func (r *Run) Progress(permille int, message string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stream.Send(&pluginv1.FromStrategy{Message: &pluginv1.FromStrategy_Progress{
		Progress: &pluginv1.Progress{Permille: uint32(min(max(permille, 0), 1000)), Message: message},
	}})
}

// Propose sends a proposal.
func (r *Run) Propose(p Proposal) error {
	text, err := r.encode(p.Edits)
	if err != nil {
		return err
	}
	if p.TitleZH == "" && p.TitleEN == "" {
		return errors.New("sdk: a proposal has no title")
	}
	out := &pluginv1.Proposal{BaseDigest: r.Base, TitleZh: p.TitleZH, TitleEn: p.TitleEN, EditsJson: text, Rationale: p.Rationale}
	for _, c := range p.Claims {
		for _, x := range []float64{c.Before, c.After, c.Low, c.High} {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return errors.New("sdk: a claim is not finite")
			}
		}
		out.Claims = append(out.Claims, &pluginv1.Figure{Indicator: c.Indicator, Unit: c.Unit, Before: c.Before, After: c.After, Low: c.Low, High: c.High})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Limits.Proposals > 0 && r.proposals >= r.Limits.Proposals {
		return ErrLimit
	}
	r.proposals++
	return r.stream.Send(&pluginv1.FromStrategy{Message: &pluginv1.FromStrategy_Proposal{Proposal: out}})
}

// strategyServer serves Strategy.
type strategyServer struct {
	pluginv1.UnimplementedStrategyServer
	core *core
}

// Propose opens a run, hands it to the strategy and closes it.
func (s *strategyServer) Propose(stream grpc.BidiStreamingServer[pluginv1.ToStrategy, pluginv1.FromStrategy]) (err error) {
	defer s.core.enter()()
	defer rescue(&err)
	r := &Run{ctx: stream.Context(), stream: stream}
	if err := s.open(r); err != nil {
		return err
	}
	err = s.core.plugin.Strategy.Propose(r.ctx, r)
	switch {
	case r.failure != nil:
		return statusOf(r.ctx, r.failure)
	case err != nil:
		return statusOf(r.ctx, err)
	}
	if err := r.drain(r.ctx); err != nil {
		return statusOf(r.ctx, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return stream.Send(&pluginv1.FromStrategy{Message: &pluginv1.FromStrategy_Done{
		Done: &pluginv1.Done{Proposals: uint32(r.proposals), Questions: uint32(r.questions)},
	}})
}

// open reads header and snapshot.
func (s *strategyServer) open(r *Run) error {
	m, err := r.receive(r.ctx)
	if err != nil {
		return statusOf(r.ctx, err)
	}
	h := m.GetHeader()
	if h == nil || h.GetRunId() == "" || h.GetBaseDigest() == "" {
		return status.Error(codes.InvalidArgument, "the first message is no header with a run and a base")
	}
	if r.Config, err = s.core.configOf(h.GetConfigGeneration()); err != nil {
		return err
	}
	r.ID, r.Seed, r.Base, r.Region = h.GetRunId(), h.GetSeed(), h.GetBaseDigest(), h.GetRegion()
	r.Now, r.Deadline = instant(h.GetNowUs()), instant(h.GetDeadlineUs())
	l := h.GetLimits()
	r.Limits = Limits{Proposals: int(l.GetProposals()), Questions: int(l.GetQuestions()), Edits: int(l.GetEdits())}
	r.rand = rand.New(rand.NewPCG(r.Seed, 0x73706d73)) // the second word only tells our sequences apart
	if m, err = r.receive(r.ctx); err != nil {
		return statusOf(r.ctx, err)
	}
	r.snapshot, err = snapshotOf(m.GetSnapshot())
	return err
}

// snapshotOf checks a snapshot, so that no strategy need do it.
func snapshotOf(s *pluginv1.Snapshot) (Snapshot, error) {
	if s == nil {
		return Snapshot{}, status.Error(codes.InvalidArgument, "the second message is no snapshot")
	}
	if err := wellFormed(s.GetBpmnXml()); err != nil {
		return Snapshot{}, status.Errorf(codes.InvalidArgument, "the process is no XML document: %v", err)
	}
	out := Snapshot{
		BPMN: s.GetBpmnXml(), Process: s.GetProcessId(), Pools: json.RawMessage(s.GetPoolsJson()),
		Standards: json.RawMessage(s.GetStandardsJson()), Statistics: json.RawMessage(s.GetStatisticsJson()),
	}
	for _, list := range []*json.RawMessage{&out.Pools, &out.Standards} {
		if len(*list) == 0 {
			*list = json.RawMessage("[]")
		}
	}
	if len(out.Statistics) == 0 {
		out.Statistics = json.RawMessage("{}")
	}
	if !isArray(out.Pools) || !isArray(out.Standards) || !isObject(out.Statistics) {
		return Snapshot{}, status.Error(codes.InvalidArgument, "pools and standards are JSON arrays, statistics an object")
	}
	return out, nil
}

// wellFormed reads an XML document to its end.
func wellFormed(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	elements := 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && elements > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if _, ok := t.(xml.StartElement); ok {
			elements++
		}
	}
}
