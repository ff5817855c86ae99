package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// voice is what a command says, to be read while it goes on.
type voice struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (v *voice) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.text.Write(p)
}

func (v *voice) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.text.String()
}

// start runs a command line until the test ends.
func start(t *testing.T, args ...string) *voice {
	t.Helper()
	out := &voice{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.Run(ctx, args, []string{"LANG=en"}, out, out, server.AllCommands()) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return out
}

// says waits until a command has said something n times.
func (v *voice) says(t *testing.T, what string, n int) {
	t.Helper()
	for range 2400 {
		if strings.Count(v.String(), what) >= n {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%q was not said %d times:\n%s", what, n, v)
}

// TestPluginDev develops a plugin against a running server: each save is at work in a
// case soon after, what does not compile or breaks the contract changes nothing, and
// the version in development works nowhere else. What it did stands at /metrics.
func TestPluginDev(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		source := filepath.Join(dir, "greeter")
		if code, out := tool(t, "plugin", "new", "greeter", "--dir", source); code != 0 {
			t.Fatalf("plugin new = %d %s", code, out)
		}
		edit := func(file, old, new string) {
			t.Helper()
			name := filepath.Join(source, file)
			text, err := os.ReadFile(name)
			if err != nil || !strings.Contains(string(text), old) {
				t.Fatalf("%s does not hold %q: %v", file, old, err)
			}
			if err := os.WriteFile(name, []byte(strings.ReplaceAll(string(text), old, new)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		edit("plugin.json", `"greeter"
  ]`, `"answer.expert"
  ]`)

		// Before there is a server: the key is made, and the author told how to start one.
		listener := httptest.NewServer(http.NotFoundHandler())
		port := listener.Listener.Addr().String()
		listener.Close()
		dev := start(t, "plugin", "dev", source, "--server", "http://"+port, "--region", "CN-HA-ZZ", "--person", "ha-admin",
			"--input", "wish=enquiry.question", "--output", "answer=enquiry.answer")
		trust := filepath.Join(source, ".spms", "dev.pub")
		dev.says(t, "spms serve --plugin-dev CN-HA-ZZ --plugin-dev-trust "+trust, 1)

		serve := start(t, "serve", "--addr", port, "--data", filepath.Join(dir, "data"), "--database-url", url, "--plugin-dev", "CN-HA-ZZ", "--plugin-dev-trust", trust)
		serve.says(t, "metrics", 1)
		o := &office{t: t, http: &httptest.Server{URL: "http://" + port}}
		dev.says(t, "live in CN-HA-ZZ", 1)

		o.create("answers", expert(t, "answers", `<bpmn:serviceTask id="a_expert" name="查询"><bpmn:extensionElements><spms:task nameEn="Look it up" stage="design" topic="answer.expert" role="integration"/><spms:field variable="enquiry.answer"/></bpmn:extensionElements>`+between+`</bpmn:serviceTask>`, ""))
		number := 0
		answers := func(want string) {
			t.Helper()
			number++
			name := fmt.Sprintf("DEV-%d", number)
			o.enquiry("answers", name, "")
			o.work("zz-agent", name, "a_call", `, variables: {enquiry: {topic: "tariff", answered: false, question: "price"}}`)
			got := ""
			for range 600 {
				if got = fmt.Sprint(o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { variables } }`, name), "serviceCase", "variables", "enquiry", "answer")); got == want {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Fatalf("%s was answered %q, want %q\n%s\n%s", name, got, want, dev, serve)
		}
		answers("你好 price")
		edit("main.go", `"你好"`, `"幸会"`)
		dev.says(t, "live in CN-HA-ZZ", 2)
		answers("幸会 price")
		edit("main.go", `"幸会"`, `"幸会`)
		dev.says(t, "go build", 1)
		answers("幸会 price")
		edit("main.go", `"幸会`, `"再会"`)
		edit("main.go", `	return sdk.Complete`, `	if in.Wish == "" {
		panic("no wish")
	}
	return sdk.Complete`)
		dev.says(t, "FAIL module:", 1)
		answers("幸会 price")
		edit("main.go", `panic("no wish")`, `return sdk.Fail("NO_WISH", "there is no wish"), nil`)
		dev.says(t, "live in CN-HA-ZZ", 3)
		answers("再会 price")

		name := regexp.MustCompile(`greeter@0\.1\.0-dev\.[0-9a-f]{12}`).FindString(dev.String())
		if got := fmt.Sprint(o.get("ha-admin", `{ plugin(name: "greeter") { versions(first: 10) { edges { node { dev state } } } } }`, "plugin")); strings.Count(got, "dev:true state:verified") != 3 {
			t.Errorf("the catalog says %s, want three versions in development", got)
		}
		ref := fmt.Sprintf("versionID: %q", name)
		o.wants("ha-admin", "assignPlugin", ref+`, regionID: "CN-HA", topic: "answer.expert", mode: "full", fallbackRole: "l2"`, "PLUGIN_DEV_REGION")
		o.wants("demo-admin", "approvePlugin", ref, "PLUGIN_DEV_ONLY")
		if bundles, err := filepath.Glob(filepath.Join(source, "*.spmsplugin")); err != nil || len(bundles) > 0 {
			t.Errorf("bundles %v are left beside the source", bundles)
		}

		resp, err := http.Get(o.http.URL + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range []string{
			`spms_plugin_calls_total{code="ok",plugin="greeter",version="0\.1\.0-dev\.[0-9a-f]{12}"} [1-9]`,
			`spms_plugin_call_duration_seconds_count{plugin="greeter",version="[^"]*"} [1-9]`,
			`spms_plugin_starts_total{plugin="greeter",version="[^"]*"} 1`,
			`spms_plugin_memory_bytes{plugin="greeter",version="[^"]*"} [1-9]`,
			`spms_plugin_calls_in_flight{plugin="greeter",version="[^"]*"} 0`,
			`spms_plugin_state{plugin="greeter",state="ready",version="[^"]*"} 1`,
			`spms_module_runs_total{mode="full",outcome="completed",plugin="greeter",version="[^"]*"} [1-9]`,
		} {
			if !regexp.MustCompile("(?m)^" + pattern).Match(body) {
				t.Errorf("/metrics has no line like %s", pattern)
			}
		}
	})
}

// TestDevNeedsLoopback refuses a server that is open to development and to the network.
func TestDevNeedsLoopback(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "k")
	if code, out := tool(t, "plugin", "keygen", "-o", key); code != 0 {
		t.Fatalf("keygen = %d %s", code, out)
	}
	for name, args := range map[string][]string{
		"an address of the network": {"--addr", "0.0.0.0:0", "--auth", "token", "--plugin-dev", "CN-HA-ZZ", "--plugin-dev-trust", key + ".pub"},
		"a region without a key":    {"--plugin-dev", "CN-HA-ZZ"},
		"a key without a region":    {"--plugin-dev-trust", key + ".pub"},
	} {
		if code, out := tool(t, append([]string{"serve", "--data", t.TempDir()}, args...)...); code != 2 || !strings.Contains(out, "SETTING_INVALID") {
			t.Errorf("serve with %s = %d %s, want 2 SETTING_INVALID", name, code, out)
		}
	}
}
