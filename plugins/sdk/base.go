package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// keptGenerations is how many configurations are kept; the contract asks for 16.
const keptGenerations = 64

// core is what the services of one plugin share.
type core struct {
	plugin   Plugin
	schema   *Schema
	inFlight atomic.Int32

	mu      sync.Mutex
	configs []generation // the oldest first
}

// generation is one configuration that was taken.
type generation struct {
	number uint64
	config json.RawMessage
}

// newCore expects a plugin that Check takes.
func newCore(p Plugin) *core {
	schema, _ := ParseSchema(p.ConfigSchema) // Check has parsed it before
	return &core{plugin: p, schema: schema}
}

// enter counts a call until the function it returns is called.
func (c *core) enter() (leave func()) {
	c.inFlight.Add(1)
	return func() { c.inFlight.Add(-1) }
}

// rescue, deferred, turns a panic into an error and prints the stack, which the
// host finds in its log of the plugin.
func rescue(err *error) {
	if r := recover(); r != nil {
		fmt.Fprintf(os.Stderr, "panic: %v\n%s", r, debug.Stack())
		*err = status.Errorf(codes.Internal, "panic: %v", r)
	}
}

// configOf returns the configuration of a generation.
func (c *core) configOf(number uint64) (json.RawMessage, error) {
	if number == 0 {
		return json.RawMessage("{}"), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.configs {
		if g.number == number {
			return g.config, nil
		}
	}
	return nil, status.Errorf(codes.FailedPrecondition, "configuration %d is not here: configure the plugin again", number)
}

// keep stores a configuration. A generation never changes what it means.
func (c *core) keep(g generation) []Diagnostic {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, old := range c.configs {
		if old.number == g.number && string(old.config) != string(g.config) {
			return []Diagnostic{{Path: "$", Code: "CONFIG_GENERATION", Message: "this generation has another configuration"}}
		} else if old.number == g.number {
			return nil
		}
	}
	c.configs = append(c.configs, g)
	c.configs = c.configs[max(0, len(c.configs)-keptGenerations):]
	return nil
}

// configure checks a configuration and keeps it when nothing is wrong.
func (c *core) configure(number uint64, text string) []Diagnostic {
	if number == 0 {
		return []Diagnostic{{Path: "$", Code: "CONFIG_GENERATION", Message: "generations begin with 1"}}
	}
	if text == "" {
		text = "{}"
	}
	found := c.schema.Check([]byte(text))
	if !refused(found) && c.plugin.CheckConfig != nil {
		found = append(found, c.plugin.CheckConfig(json.RawMessage(text))...)
	}
	if refused(found) {
		return found
	}
	return append(found, c.keep(generation{number, json.RawMessage(text)})...)
}

func refused(ds []Diagnostic) bool {
	for _, d := range ds {
		if !d.Warning {
			return true
		}
	}
	return false
}

// baseServer serves Base.
type baseServer struct {
	pluginv1.UnimplementedBaseServer
	core *core
}

// Describe tells who the plugin is.
func (s *baseServer) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return s.core.plugin.describe(), nil
}

// Configure checks a configuration and keeps it.
func (s *baseServer) Configure(_ context.Context, r *pluginv1.ConfigureRequest) (_ *pluginv1.ConfigureResponse, err error) {
	defer rescue(&err)
	out := &pluginv1.ConfigureResponse{}
	for _, d := range s.core.configure(r.GetGeneration(), r.GetConfigJson()) {
		severity := pluginv1.Severity_SEVERITY_ERROR
		if d.Warning {
			severity = pluginv1.Severity_SEVERITY_WARNING
		}
		out.Diagnostics = append(out.Diagnostics, &pluginv1.Diagnostic{Path: d.Path, Code: d.Code, Message: d.Message, Severity: severity})
	}
	return out, nil
}

// Health tells whether calls can be taken.
func (s *baseServer) Health(context.Context, *pluginv1.HealthRequest) (_ *pluginv1.HealthResponse, err error) {
	out := &pluginv1.HealthResponse{Ready: true, InFlight: uint32(max(0, s.core.inFlight.Load()))}
	defer rescue(&err)
	if s.core.plugin.Ready != nil {
		if err := s.core.plugin.Ready(); err != nil {
			out.Ready, out.Reason = false, err.Error()
		}
	}
	return out, nil
}

// instant is a time of the contract; the zero time for "none".
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// microseconds is a time as the contract says it.
func microseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// bind decodes JSON for an author, with an error that blames the sender.
func bind(text json.RawMessage, into any, code string) error {
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return &Error{Code: code, Message: err.Error()}
	}
	return nil
}
