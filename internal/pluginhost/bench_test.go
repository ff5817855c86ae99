package pluginhost_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// BenchmarkCall is a call of 1 kB through the host, the same message over bare gRPC on the
// same socket, to the same process with its TLS and its sandbox, and over bare gRPC to a
// bare process on a socket of that kind.
func BenchmarkCall(b *testing.B) {
	b.Run("host", func(b *testing.B) {
		h, a := host(b, nil), plugin(b, "good")
		if _, err := execute(h, a); err != nil { // so that it runs
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := h.Execute(context.Background(), a, pluginhost.Settings{}, request()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("socket", func(b *testing.B) {
		h, a := host(b, nil), plugin(b, "good")
		if _, err := execute(h, a); err != nil { // so that it is configured
			b.Fatal(err)
		}
		conn, err := h.Conn(a)
		if err != nil {
			b.Fatal(err)
		}
		client := pluginv1.NewModuleClient(conn)
		for b.Loop() {
			if _, err := client.Execute(context.Background(), request()); err != nil {
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

// hog is what havoc fills: the compiler leaves out what is written where nobody can read.
var hog []byte

// havoc does what harms most without an end: it keeps every processor busy, fills all
// memory that it may have again and again, and floods its log.
func havoc() {
	for range 2 * runtime.NumCPU() {
		go func() {
			for i := 0; ; i++ {
				runtime.KeepAlive(i)
			}
		}()
	}
	go func() {
		hog = make([]byte, 256<<20)
		for n := byte(0); ; n++ {
			for i := 0; i < len(hog); i += 4096 {
				hog[i] = n
			}
		}
	}()
	for {
		fmt.Fprintln(os.Stderr, "line after line after line")
	}
}

// wreck lets a hostile plugin go wild until the function that it returns is called.
func wreck(b *testing.B, h *pluginhost.Host, a pluginhost.Artifact) (end func()) {
	b.Helper()
	var running sync.WaitGroup
	running.Go(func() {
		_, _ = h.Execute(context.Background(), a, pluginhost.Settings{}, request()) // it is ended
	})
	for {
		for _, s := range h.Status() {
			if s.Digest == a.Digest && s.MemoryBytes > 200<<20 {
				return func() { h.Stop(a.Digest); running.Wait() }
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// BenchmarkHostile is a call of a plugin that behaves, alone and beside one that wreaks
// havoc, in turns, with control groups where they can be had and with priorities alone.
func BenchmarkHostile(b *testing.B) {
	for _, how := range []struct {
		name     string
		noGroups bool
	}{{"cgroup", false}, {"nice", true}} {
		b.Run(how.name, func(b *testing.B) {
			if !how.noGroups {
				needGroups(b)
			}
			h := host(b, func(o *pluginhost.Options) {
				o.NoGroups = how.noGroups
				o.Limits.Call, o.Limits.CrashesPerHour = time.Hour, 1<<20
			})
			good, wild := plugin(b, "good"), plugin(b, "havoc")
			call := func() time.Duration {
				began := time.Now()
				if _, err := h.Execute(context.Background(), good, pluginhost.Settings{}, request()); err != nil {
					b.Fatal(err)
				}
				return time.Since(began)
			}
			call()
			var alone, beside []time.Duration
			b.ResetTimer()
			const round = 500
			for n := 0; n < b.N || n < round; n += round {
				for range round {
					alone = append(alone, call())
				}
				end := wreck(b, h, wild)
				for range round {
					beside = append(beside, call())
				}
				end()
			}
			b.ReportMetric(float64(p99(alone).Microseconds()), "p99-µs")
			b.ReportMetric(float64(p99(beside).Microseconds()), "p99-beside-µs")
			b.ReportMetric(float64(p99(beside))/float64(p99(alone)), "ratio")
		})
	}
}

func p99(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)*99/100]
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
