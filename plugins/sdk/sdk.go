// Package sdk is all that the author of a plugin imports. A Plugin names itself
// and brings a Module, a Strategy or a Scorer; Serve does the rest: it speaks
// the contract of package pluginv1, checks what comes in and what goes out, and
// turns panics into errors. It knows the contract and nothing of the product
// behind it.
package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

const (
	// ContractVersion is the version of the contract this SDK speaks.
	ContractVersion = 1
	// MaxMessageBytes is the largest message either side takes or sends.
	MaxMessageBytes = 4 << 20
	// SetName is the name under which a host dispenses the connection.
	SetName = "spms"
)

// Handshake is what host and plugin show each other before they speak. It keeps
// people from starting a plugin by hand; it is not a secret.
var Handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  ContractVersion,
	MagicCookieKey:   "SPMS_PLUGIN",
	MagicCookieValue: "b5d3f2c8-openspms-plugin-v1",
}

// Plugin is one plugin: who it is, and what it does. At least one of Module,
// Strategy and Scorer is set. All of it must be safe for concurrent use.
type Plugin struct {
	Name         string   // lower-case letters, digits and hyphens, a letter first, at most 64
	Version      string   // three numbers joined by dots, perhaps a suffix after a hyphen
	ConfigSchema string   // JSON Schema, of the keywords that ParseSchema lists; "" = nothing to configure
	Attributes   []string // case attributes wanted in events and inputs
	Addresses    []string // inputs that are addresses of people: shown as pseudonyms, notices go to them
	Metrics      []Metric // what outcomes may carry

	// CheckConfig adds what the schema cannot say; nil = nothing to add.
	CheckConfig func(config json.RawMessage) []Diagnostic
	// Ready tells why no calls can be taken now; nil = always ready.
	Ready func() error

	Module   Module
	Strategy Strategy
	Scorer   Scorer
}

// Metric declares a number that a plugin reports.
type Metric struct {
	Name        string // lower-case words joined by underscores
	Unit        string // "s", "1", "fen" …
	Description string
	Min, Max    *float64 // bounds that every value keeps; nil: open, see Bound
}

// Bound is an end of the bounds of a Metric.
func Bound(value float64) *float64 { return &value }

// Diagnostic is one remark about a configuration or an edit.
type Diagnostic struct {
	Path    string // "$" for the whole, else "$.slots[2].minutes"
	Code    string // stable upper-case word
	Message string // for a person
	Warning bool   // taken nevertheless
}

// Figure is one number before and after a change. Low and High bound the
// difference with 95 % confidence.
type Figure struct {
	Indicator string
	Unit      string
	Before    float64
	After     float64
	Low       float64
	High      float64
}

// Error is an error with a code that the host shows and acts upon.
type Error struct {
	Code      string // stable upper-case word
	Message   string // for a person
	Retryable bool   // whether trying again later may help
}

// Error is the code with the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Serve serves p to the host that started the process and ends with it. It is
// the whole main function of a plugin. A plugin that Check refuses ends the
// process with exit code 2.
func Serve(p Plugin) {
	if err := p.Check(); err != nil {
		fmt.Fprintln(os.Stderr, "plugin:", err)
		os.Exit(2)
	}
	go outlive(os.Getppid())
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins:         goplugin.PluginSet{SetName: &wire{plugin: &p}},
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, ServerOptions()...)...)
		},
	})
}

// outlive ends the process when its host is gone: a host that was killed has
// no way to say so, and nobody else would end its plugins.
func outlive(host int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != host {
			os.Exit(0)
		}
	}
}

// HostSet is the set of plugins that a host hands to its go-plugin client;
// dispensing SetName gives the *grpc.ClientConn on which the services of
// pluginv1 are called.
func HostSet() goplugin.PluginSet { return goplugin.PluginSet{SetName: &wire{}} }

// wire joins the services and go-plugin.
type wire struct {
	goplugin.NetRPCUnsupportedPlugin
	plugin *Plugin
}

// GRPCServer registers the services in the process of the plugin.
func (w *wire) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	if w.plugin == nil {
		return errors.New("sdk: a host has nothing to serve")
	}
	return Register(s, *w.plugin)
}

// GRPCClient gives the host the connection as it is.
func (w *wire) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

// Register registers the services of p, for a process that serves it by
// itself.
func Register(s grpc.ServiceRegistrar, p Plugin) error {
	if err := p.Check(); err != nil {
		return err
	}
	c := newCore(p)
	pluginv1.RegisterBaseServer(s, &baseServer{core: c})
	if p.Module != nil {
		pluginv1.RegisterModuleServer(s, &moduleServer{core: c})
	}
	if p.Strategy != nil {
		pluginv1.RegisterStrategyServer(s, &strategyServer{core: c})
	}
	if p.Scorer != nil {
		pluginv1.RegisterScorerServer(s, &scorerServer{core: c})
	}
	return nil
}

// ServerOptions are the limits of a plugin's server.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.MaxRecvMsgSize(MaxMessageBytes), grpc.MaxSendMsgSize(MaxMessageBytes)}
}

// DialOptions are the limits of a host's connection. go-plugin sets none, so a
// host must pass them.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithDefaultCallOptions(
		grpc.MaxCallRecvMsgSize(MaxMessageBytes), grpc.MaxCallSendMsgSize(MaxMessageBytes))}
}

// InProcess serves p inside this process and returns a connection to it; stop
// ends both. Tests use it, and plugins that ship with the product.
func InProcess(p Plugin) (conn *grpc.ClientConn, stop func(), err error) {
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(ServerOptions()...)
	if err := Register(server, p); err != nil {
		return nil, nil, err
	}
	conn, err = grpc.NewClient("passthrough:///"+p.Name, append(DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		return nil, nil, err
	}
	go server.Serve(listener) //nolint:errcheck // it returns when stop is called
	return conn, func() { conn.Close(); server.Stop() }, nil
}
