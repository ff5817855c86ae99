// Command proposing is a strategy for tests: a good one, or one that cheats in every way.
package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

var (
	name = "proposer" // -ldflags -X main.name=…
	how  = "good"
)

type good struct{}

// Propose raises the priority of the task that took longest.
func (good) Propose(ctx context.Context, run *sdk.Run) error {
	took, begun := map[string]time.Duration{}, map[string]time.Time{}
	for e, err := range run.Events() {
		if err != nil {
			return err
		}
		switch e.Lifecycle {
		case sdk.Start:
			begun[e.Case+e.Node] = e.Time
		case sdk.Completed:
			took[e.Node] += e.Time.Sub(begun[e.Case+e.Node])
		}
	}
	if len(took) == 0 {
		return nil
	}
	slowest := slices.MaxFunc(slices.Sorted(maps.Keys(took)), func(a, b string) int { return int(took[a] - took[b]) })
	removal, err := run.Evaluate(ctx, []sdk.Edit{{"op": "removeNode", "id": slowest}})
	if err != nil {
		return err
	}
	edits := []sdk.Edit{{"op": "setPriority", "id": slowest, "value": "80"}}
	answer, err := run.Evaluate(ctx, edits)
	if err != nil || !answer.Accepted {
		return err
	}
	return run.Propose(sdk.Proposal{TitleZH: "优先处理最慢的任务 " + slowest, Edits: edits, Rationale: fmt.Sprintf("it may be removed: %t", removal.Accepted)})
}

// harm ends its process, or never answers.
type harm struct{}

// Propose does as it is told by how.
func (harm) Propose(context.Context, *sdk.Run) error {
	if how == "crash" {
		os.Exit(9)
	}
	time.Sleep(time.Hour)
	return nil
}

// strip touches protected steps in every way that is sound and compliant otherwise, and
// pools that are not its own.
type strip struct{}

// Propose proposes each by itself; one that is fine is among them.
func (strip) Propose(_ context.Context, run *sdk.Run) error {
	size := func(pool, from, to string) sdk.Edit {
		return sdk.Edit{"op": "setCapacity", "id": pool, "from": from, "value": to}
	}
	for _, edits := range [][]sdk.Edit{
		{{"op": "setEvidence", "id": "a_reg"}},
		{{"op": "setRole", "id": "a_reg", "value": "technician"}},
		{{"op": "addFlow", "from": "g_ch", "to": "a_res", "condition": "case.plan == '300M'"}},
		{{"op": "removeRule", "value": "K1"}},
		{{"op": "setPauses", "id": "m_slot"}},
		{{"op": "setPauses", "id": "a_care", "pauses": []map[string]any{{"reason": "customer_slot"}}}},
		{size("nobody", "1", "2")}, {size("agents", "4", "5")}, {size("tech-zz", "3", "5")}, {size("tech-zz", "10", "0")},
		{size("tech-zz", "10", "11"), size("tech-zz", "10", "12")}, {size("tech-zz", "10", "11")},
	} {
		if err := run.Propose(sdk.Proposal{TitleEN: "less work", Edits: edits}); err != nil {
			return err
		}
	}
	return nil
}

// cheat serves the contract by hand, so that nothing keeps it from breaking it.
type cheat struct {
	goplugin.NetRPCUnsupportedPlugin
	pluginv1.UnimplementedBaseServer
	pluginv1.UnimplementedStrategyServer
}

// GRPCServer registers the services.
func (c *cheat) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginv1.RegisterBaseServer(s, c)
	pluginv1.RegisterStrategyServer(s, c)
	return nil
}

// GRPCClient is never asked.
func (*cheat) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// Describe tells the truth.
func (*cheat) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return &pluginv1.DescribeResponse{Name: name, Version: "1.0.0", Kinds: []pluginv1.Kind{pluginv1.Kind_KIND_STRATEGY}, ContractVersion: 1}, nil
}

// Propose proposes what must not pass.
func (*cheat) Propose(s grpc.BidiStreamingServer[pluginv1.ToStrategy, pluginv1.FromStrategy]) error {
	base := ""
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if h := m.GetHeader(); h != nil {
			base = h.GetBaseDigest()
		}
		if m.GetEndOfLog() != nil {
			break
		}
	}
	fine := `[{"op":"setPriority","id":"a_stock","value":"80"}]`
	list := []*pluginv1.Proposal{
		{BaseDigest: "sha256:other", TitleEn: "x", EditsJson: fine},
		{BaseDigest: base, EditsJson: fine},
		{BaseDigest: base, TitleEn: "x", EditsJson: fine, Claims: []*pluginv1.Figure{{Indicator: "x", After: math.Inf(1)}}},
		{BaseDigest: base, TitleEn: "x", EditsJson: `{"op":`},
		{BaseDigest: base, TitleEn: "x", EditsJson: `[]`},
		{BaseDigest: base, TitleEn: "x", EditsJson: `[{"op":"rename","id":"nobody","name":"x"}]`},
		{BaseDigest: base, TitleEn: "x", EditsJson: `[{"op":"restore","digest":"x"}]`},
		{BaseDigest: base, TitleEn: "x", EditsJson: `[{"op":"setRole","id":"a_stock","value":"astronaut"}]`},
	}
	for range 30 {
		list = append(list, &pluginv1.Proposal{BaseDigest: base, TitleEn: "again", EditsJson: fine})
	}
	for _, p := range list {
		if err := s.Send(&pluginv1.FromStrategy{Message: &pluginv1.FromStrategy_Proposal{Proposal: p}}); err != nil {
			return err
		}
	}
	return s.Send(&pluginv1.FromStrategy{Message: &pluginv1.FromStrategy_Done{Done: &pluginv1.Done{}}})
}

func main() {
	if how == "crash" || how == "hang" {
		sdk.Serve(sdk.Plugin{Name: name, Version: "1.0.0", Strategy: harm{}})
		return
	}
	if how == "strip" {
		sdk.Serve(sdk.Plugin{Name: name, Version: "1.0.0", Strategy: strip{}})
		return
	}
	if how == "good" {
		sdk.Serve(sdk.Plugin{Name: name, Version: "1.0.0", Strategy: good{}})
		return
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: sdk.Handshake, Plugins: goplugin.PluginSet{sdk.SetName: &cheat{}}, GRPCServer: goplugin.DefaultGRPCServer,
	})
}
