package pluginhost_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

// interpreter is a Python of the system that has what the example needs; "" for none.
func interpreter(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-s", "-c", "import grpc, google.protobuf, cryptography, os, sys; print(os.path.realpath(sys.executable))").CombinedOutput()
	if err == nil {
		return strings.TrimSpace(string(out))
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("/usr/bin/python3 has no grpc, protobuf and cryptography (%v): .ci/run installs python3-grpcio, python3-protobuf and python3-cryptography\n%s", err, out)
	}
	t.Skipf("SKIPPED, the Python example is NOT tested: /usr/bin/python3 has no grpc, protobuf and cryptography (%v)", err)
	return ""
}

// TestPython builds the example in Python with the interpreter of this machine, as its
// README says, and holds it against the contract in the sandbox.
func TestPython(t *testing.T) {
	t.Parallel()
	python := interpreter(t)
	dir := shared(t)
	if err := os.CopyFS(dir, os.DirFS("../../plugins/examples/python")); err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(python) //nolint:gosec // the interpreter
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"payload/python3": binary, "go.mod": []byte("module example.org/python\n\ngo 1.26\n")} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "longest-wait", "main.go")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	path := filepath.Join(dir, "longest-wait")
	content, err := os.ReadFile(path) //nolint:gosec // just built
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	h := host(t, func(o *pluginhost.Options) { o.Limits.Start = time.Minute }) // an interpreter is slow to start, the more so beside other tests
	report, err := h.Check(t.Context(), pluginhost.Artifact{Digest: "python", Name: "longest-wait", Version: "1.0.0", Path: path, SHA256: hex.EncodeToString(sum[:])}, plugintest.Sample{Patience: 60})
	if err != nil {
		t.Fatalf("Check() = %v\n%v", err, h.Status())
	}
	if err := report.Err(); err != nil {
		t.Errorf("Check() finds %v\n%v", err, h.Status())
	}
	if got := report.Identity.GetName(); got != "longest-wait" {
		t.Errorf("it is %q, want longest-wait", got)
	}
	for _, s := range h.Status() {
		if !slices.Contains(s.Isolation, "rlimit") {
			t.Errorf("it ran with %v, want limits at least", s.Isolation)
		}
		t.Logf("isolation: %v", s.Isolation)
	}
}

// shared is a folder that plugins, which run as other users, can look into.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "py")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return dir
}
