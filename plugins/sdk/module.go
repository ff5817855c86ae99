package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// Module carries out service tasks.
type Module interface {
	// Execute carries out one task. The same key must give the same outcome and
	// have its effect once. It returns when ctx is done. An error that is an
	// *Error fails the task under its code; any other is a failure worth
	// retrying.
	Execute(ctx context.Context, call *Call) (Outcome, error)
}

// Call is one task to carry out.
type Call struct {
	Case    string    // pseudonym
	Task    string    // id of the task
	Node    string    // id of the node in the process
	Region  string    // path of the region
	Key     string    // idempotency key
	Attempt int       // 1 or more
	Now     time.Time // the present instant; a module does not ask its own clock

	Inputs json.RawMessage // a JSON object
	Config json.RawMessage // a JSON object that fits the schema
}

// Bind decodes inputs and configuration; either may be nil. Its error, returned
// from Execute, fails the task with the code INPUT_INVALID or CONFIG_INVALID.
func (c *Call) Bind(inputs, config any) error {
	if err := bind(c.Inputs, inputs, "INPUT_INVALID"); err != nil {
		return err
	}
	return bind(c.Config, config, "CONFIG_INVALID")
}

// Outcome is how a task went; Complete, Wait, Retry and Fail make one.
type Outcome struct {
	response *pluginv1.ExecuteResponse
	metrics  []*pluginv1.Measurement
	notices  []*pluginv1.Notice
	evidence []*pluginv1.EvidenceItem
	err      error
}

// What a Complete outcome may carry.
const (
	MaxNotices    = 10
	MaxNoticeText = 1000 // characters
	MaxEvidence   = 50
)

// Complete ends the task with outputs, a value whose JSON is an object; nil for
// none.
func Complete(outputs any) Outcome {
	text := []byte("{}")
	if outputs != nil {
		var err error
		if text, err = json.Marshal(outputs); err != nil {
			return Outcome{err: err}
		}
	}
	if !isObject(text) {
		return Outcome{err: fmt.Errorf("outputs of type %T are no JSON object", outputs)}
	}
	return Outcome{response: &pluginv1.ExecuteResponse{Outcome: &pluginv1.ExecuteResponse_Complete{
		Complete: &pluginv1.Complete{OutputsJson: string(text)},
	}}}
}

// Wait parks the task until the message with this correlation key comes in, or
// until the instant; the zero time leaves the end to the process.
func Wait(message, correlationKey string, until time.Time) Outcome {
	if message == "" || correlationKey == "" {
		return Outcome{err: errors.New("a wait needs a message and a correlation key")}
	}
	return Outcome{response: &pluginv1.ExecuteResponse{Outcome: &pluginv1.ExecuteResponse_Wait{
		Wait: &pluginv1.Wait{MessageName: message, CorrelationKey: correlationKey, UntilUs: microseconds(until)},
	}}}
}

// Retry fails the task for now: trying again later may help.
func Retry(code, message string) Outcome { return failed(code, message, true) }

// Fail fails the task for good.
func Fail(code, message string) Outcome { return failed(code, message, false) }

func failed(code, message string, retryable bool) Outcome {
	if code == "" {
		return Outcome{err: errors.New("a failure needs a code")}
	}
	return Outcome{response: &pluginv1.ExecuteResponse{Outcome: &pluginv1.ExecuteResponse_Fail{
		Fail: &pluginv1.Fail{Retryable: retryable, Code: code, Message: message},
	}}}
}

// With adds a value of a declared metric to a Complete outcome.
func (o Outcome) With(metric string, value float64) Outcome {
	o.metrics = append(slices.Clone(o.metrics), &pluginv1.Measurement{Name: metric, Value: value})
	return o
}

// Notify adds a message to a person to a Complete outcome: the host sends it, once,
// to the address of that name, which Plugin.Addresses lists.
func (o Outcome) Notify(channel, to, text string) Outcome {
	o.notices = append(slices.Clone(o.notices), &pluginv1.Notice{Channel: channel, To: to, Text: text})
	return o
}

// Prove adds evidence of a kind that the process asks for to a Complete outcome;
// media is text, number, photo, location or document.
func (o Outcome) Prove(kind, media, content string) Outcome {
	o.evidence = append(slices.Clone(o.evidence), &pluginv1.EvidenceItem{Kind: kind, Media: media, Content: content})
	return o
}

// effects tells what is wrong with notices and evidence.
func (o Outcome) effects(p *Plugin) error {
	if len(o.notices) > MaxNotices || len(o.evidence) > MaxEvidence {
		return status.Errorf(codes.Internal, "more than %d notices or %d items of evidence", MaxNotices, MaxEvidence)
	}
	for _, n := range o.notices {
		if n.GetChannel() == "" || n.GetText() == "" || utf8.RuneCountInString(n.GetText()) > MaxNoticeText || !slices.Contains(p.Addresses, n.GetTo()) {
			return status.Errorf(codes.Internal, "a notice to %q has no channel or text, a text of more than %d characters, or is to no declared address", n.GetTo(), MaxNoticeText)
		}
	}
	for _, e := range o.evidence {
		if e.GetKind() == "" || e.GetContent() == "" {
			return status.Error(codes.Internal, "evidence needs a kind and a content")
		}
	}
	return nil
}

// wire is the outcome as the contract says it.
func (o Outcome) wire(p *Plugin) (*pluginv1.ExecuteResponse, error) {
	if o.err != nil {
		return nil, status.Error(codes.Internal, o.err.Error())
	}
	if o.response == nil {
		return nil, status.Error(codes.Internal, "the module returned no outcome")
	}
	for _, m := range o.metrics {
		i := slices.IndexFunc(p.Metrics, func(d Metric) bool { return d.Name == m.GetName() })
		if i < 0 || math.IsNaN(m.GetValue()) || math.IsInf(m.GetValue(), 0) {
			return nil, status.Errorf(codes.Internal, "metric %q is not declared or not finite", m.GetName())
		}
		if d := p.Metrics[i]; d.Min != nil && m.GetValue() < *d.Min || d.Max != nil && m.GetValue() > *d.Max {
			return nil, status.Errorf(codes.Internal, "metric %q leaves its bounds with %v", m.GetName(), m.GetValue())
		}
	}
	if err := o.effects(p); err != nil {
		return nil, err
	}
	if c := o.response.GetComplete(); c != nil {
		c.Metrics, c.Notices, c.Evidence = o.metrics, o.notices, o.evidence
	}
	return o.response, nil
}

// moduleServer serves Module.
type moduleServer struct {
	pluginv1.UnimplementedModuleServer
	core *core
}

// Execute checks a request and hands it to the module.
func (s *moduleServer) Execute(ctx context.Context, r *pluginv1.ExecuteRequest) (_ *pluginv1.ExecuteResponse, err error) {
	defer s.core.enter()()
	defer rescue(&err)
	call, err := s.call(r)
	if err != nil {
		return nil, err
	}
	outcome, err := s.core.plugin.Module.Execute(ctx, call)
	if ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	var known *Error
	switch {
	case errors.As(err, &known):
		outcome = failed(known.Code, known.Message, known.Retryable)
	case err != nil:
		outcome = Retry("PLUGIN_ERROR", err.Error())
	}
	return outcome.wire(&s.core.plugin)
}

// call reads a request.
func (s *moduleServer) call(r *pluginv1.ExecuteRequest) (*Call, error) {
	config, err := s.core.configOf(r.GetConfigGeneration())
	if err != nil {
		return nil, err
	}
	inputs := json.RawMessage(r.GetInputsJson())
	if len(inputs) == 0 {
		inputs = json.RawMessage("{}")
	}
	switch {
	case r.GetTaskId() == "" || r.GetIdempotencyKey() == "":
		return nil, status.Error(codes.InvalidArgument, "task id and idempotency key must be there")
	case r.GetAttempt() == 0:
		return nil, status.Error(codes.InvalidArgument, "attempts count from 1")
	case !isObject(inputs):
		return nil, status.Error(codes.InvalidArgument, "inputs are no JSON object")
	}
	return &Call{
		Case: r.GetCase(), Task: r.GetTaskId(), Node: r.GetNode(), Region: r.GetRegion(),
		Key: r.GetIdempotencyKey(), Attempt: int(r.GetAttempt()), Now: instant(r.GetNowUs()),
		Inputs: inputs, Config: config,
	}, nil
}
