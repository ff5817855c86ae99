package pluginhost_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// raw is the module of the benchmark without SDK and host.
type raw struct {
	pluginv1.UnimplementedModuleServer
}

// Execute answers what the SDK's module does.
func (raw) Execute(_ context.Context, r *pluginv1.ExecuteRequest) (*pluginv1.ExecuteResponse, error) {
	return &pluginv1.ExecuteResponse{Outcome: &pluginv1.ExecuteResponse_Complete{Complete: &pluginv1.Complete{OutputsJson: fmt.Sprintf(`{"region":%q}`, r.GetRegion())}}}, nil
}

// serveRaw serves raw on the socket that the environment names.
func serveRaw() {
	l, err := net.Listen("unix", os.Getenv("RAW_SOCKET"))
	if err != nil {
		os.Exit(1)
	}
	s := grpc.NewServer()
	pluginv1.RegisterModuleServer(s, raw{})
	fmt.Println("ready")
	_ = s.Serve(l)
}

// request is a call of about 1 kB.
func request() *pluginv1.ExecuteRequest {
	return &pluginv1.ExecuteRequest{
		Case: "c", TaskId: "t", Node: "n", Region: "/CN/", IdempotencyKey: "k", Attempt: 1, NowUs: 1,
		InputsJson: `{"text":"` + strings.Repeat("x", 1000) + `"}`,
	}
}

// BenchmarkCall is a call of 1 kB through the host, and the same message over bare
// gRPC to a process on the same kind of socket.
func BenchmarkCall(b *testing.B) {
	b.Run("host", func(b *testing.B) {
		h, a := host(b, nil), plugin(b, "good")
		for b.Loop() {
			if _, err := h.Execute(context.Background(), a, pluginhost.Settings{}, request()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("raw", func(b *testing.B) {
		a := plugin(b, "raw")
		dir, err := os.MkdirTemp("", "raw")
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		socket := filepath.Join(dir, "s")
		cmd := exec.CommandContext(b.Context(), a.Path) //nolint:gosec // the test program itself
		cmd.Env = []string{"RAW_SOCKET=" + socket}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		if _, err := out.Read(make([]byte, 5)); err != nil {
			b.Fatal(err)
		}
		conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		client := pluginv1.NewModuleClient(conn)
		for b.Loop() {
			if _, err := client.Execute(context.Background(), request()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStart is the time from nothing to the first answer, sandbox and hash
// included.
func BenchmarkStart(b *testing.B) {
	h, a := host(b, nil), plugin(b, "good")
	for b.Loop() {
		if _, err := h.Execute(context.Background(), a, pluginhost.Settings{}, request()); err != nil {
			b.Fatal(err)
		}
		h.Stop(a.Digest)
	}
}
