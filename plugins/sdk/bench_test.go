package sdk_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// raw answers a call with nothing of the SDK in between.
type raw struct {
	pluginv1.UnimplementedModuleServer
}

func (raw) Execute(context.Context, *pluginv1.ExecuteRequest) (*pluginv1.ExecuteResponse, error) {
	return &pluginv1.ExecuteResponse{Outcome: &pluginv1.ExecuteResponse_Complete{Complete: &pluginv1.Complete{OutputsJson: "{}"}}}, nil
}

// BenchmarkExecute compares a call of 1 kB through the SDK with the same call
// of bare gRPC, over a socket of the same kind.
func BenchmarkExecute(b *testing.B) {
	for name, register := range map[string]func(*grpc.Server) error{
		"grpc": func(s *grpc.Server) error { pluginv1.RegisterModuleServer(s, raw{}); return nil },
		"sdk":  func(s *grpc.Server) error { return sdk.Register(s, echo) },
	} {
		b.Run(name, func(b *testing.B) {
			client := pluginv1.NewModuleClient(socket(b, register))
			r := &pluginv1.ExecuteRequest{TaskId: "t", IdempotencyKey: "k", Attempt: 1, InputsJson: `{"text":"` + strings.Repeat("x", 1000) + `"}`}
			for b.Loop() {
				if _, err := client.Execute(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// socket serves on a local socket and returns a connection to it.
func socket(b *testing.B, register func(*grpc.Server) error) *grpc.ClientConn {
	b.Helper()
	path := filepath.Join(b.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(sdk.ServerOptions()...)
	if err := register(server); err != nil {
		b.Fatal(err)
	}
	go server.Serve(listener)
	b.Cleanup(server.Stop)
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}
