package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/privacy"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// answering is the program of testdata/answering in a version, built once.
func answering(t *testing.T, version string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if dir, ok := built.dirs[version]; ok {
		return dir
	}
	dir, err := os.MkdirTemp("", "answering")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(context.Background(), "go", "build", "-ldflags", "-s -w -X main.version="+version, "-o", filepath.Join(dir, "answering"), "./testdata/answering").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	built.dirs[version] = dir
	return dir
}

var built = struct {
	sync.Mutex
	dirs map[string]string
}{dirs: map[string]string{}}

// workshop is an office whose house starts plugins, and a key that it trusts.
type workshop struct {
	*office
	key bundle.PrivateKey
}

func openWorkshop(t *testing.T, url string, at time.Time) *workshop {
	t.Helper()
	dir, err := os.MkdirTemp("", "ws") // short: sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // plugins run as other users
		t.Fatal(err)
	}
	public, private, err := bundle.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	trust := filepath.Join(dir, "trust.pub")
	if err := os.WriteFile(trust, []byte(public.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	secret, err := privacy.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, clock: clock.NewManual(at)}
	h, err := server.OpenHouse(t.Context(), url, o.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("OpenHouse(%v) = %v", url, err)
	}
	o.house = h
	if err := h.Seed(t.Context()); err != nil {
		t.Fatalf("Seed() = %v", err)
	}
	limits := pluginhost.DefaultLimits()
	limits.Grace = 200 * time.Millisecond
	if err := h.OpenPlugins(server.PluginConfig{Dir: filepath.Join(dir, "p"), Trust: []string{trust}, Secret: secret, Limits: limits}); err != nil {
		t.Fatalf("OpenPlugins() = %v", err)
	}
	o.http = httptest.NewServer(h.Handler(server.AuthNone))
	t.Cleanup(func() {
		o.http.Close()
		if err := h.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return &workshop{office: o, key: private}
}

// manifest is that of answering in a version.
func manifest(version string) bundle.Manifest {
	return bundle.Manifest{
		Name: "answering", Version: version, Contract: 1, Kinds: []string{"module"}, Title: bundle.Text{Zh: "答复", En: "Answering"},
		Topics: []string{"answer.expert"}, Attributes: []string{"question"},
		ConfigSchema: json.RawMessage(`{"type":"object","properties":{"prefix":{"type":"string"},"token":{"type":"string","format":"password"}}}`),
		Metrics:      []bundle.Metric{{Name: "words", Unit: "1", Description: "words of the answer"}},
		Outputs:      json.RawMessage(`{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}`),
		Targets:      []bundle.Target{{OS: runtime.GOOS, Arch: runtime.GOARCH, Entry: "answering"}},
	}
}

// pack makes a signed bundle of a version.
func (w *workshop) pack(version string) []byte {
	w.t.Helper()
	data, err := bundle.Pack(answering(w.t, version), manifest(version))
	if err != nil {
		w.t.Fatalf("Pack() = %v", err)
	}
	if data, err = bundle.Sign(data, w.key); err != nil {
		w.t.Fatalf("Sign() = %v", err)
	}
	return data
}

// put stores a bundle as a person and returns status and answer.
func (w *workshop) put(person string, data []byte) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPut, w.http.URL+"/bundles", bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set(server.PersonHeader, person)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var answer struct{ Digest string }
	_ = json.Unmarshal(body, &answer)
	if answer.Digest != "" {
		return resp.StatusCode, answer.Digest
	}
	return resp.StatusCode, string(body)
}

// admit uploads, tests and approves a version.
func (w *workshop) admit(version string) {
	w.t.Helper()
	status, digest := w.put("ha-admin", w.pack(version))
	if status != http.StatusOK {
		w.t.Fatalf("PUT /bundles = %d %s, want 200", status, digest)
	}
	ref := `versionID: "answering@` + version + `"`
	w.must("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, digest))
	w.must("ha-admin", "testPlugin", ref+`, inputs: {question: "what"}`)
	if got := w.get("ha-admin", `{ plugin(name: "answering") { versions(first: 10) { edges { node { version state conforms report isolation } } } } }`, "plugin"); !strings.Contains(fmt.Sprint(got), "state:tested version:"+version) {
		w.t.Fatalf("after its test the catalog says %v", got)
	}
	w.wants("ha-admin", "approvePlugin", ref, "PLUGIN_OWN_WORK")
	w.must("demo-admin", "approvePlugin", ref)
}

// ask starts an enquiry that comes to the module with a question.
func (w *workshop) question(number, question string) {
	w.t.Helper()
	w.enquiry("answers", number, "")
	w.work("zz-agent", number, "a_call", fmt.Sprintf(`, variables: {enquiry: {topic: "tariff", answered: false, question: %q}}`, question))
}

// modules lets modules work once.
func (w *workshop) modules() {
	w.t.Helper()
	if _, err := w.house.Innovation.Tick(w.t.Context()); err != nil {
		w.t.Fatalf("Tick() of modules = %v", err)
	}
}

// process is one in which the module answers.
func (w *workshop) process() {
	w.t.Helper()
	w.create("answers", expert(w.t, "answers", `<bpmn:serviceTask id="a_expert" name="查询"><bpmn:extensionElements><spms:task nameEn="Look it up" stage="design" topic="answer.expert" role="integration"/><spms:field variable="enquiry.answer"/></bpmn:extensionElements>`+between+`</bpmn:serviceTask>`, ""))
}

// TestModule takes a module from a bundle to the cases of a region.
func TestModule(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		full := func(version, mode, more string) string {
			return fmt.Sprintf(`versionID: "answering@%s", regionID: "CN-HA", topic: "answer.expert", mode: %q, inputs: [{name: "question", variable: "enquiry.question"}],
				outputs: [{name: "answer", variable: "enquiry.answer"}], fallbackRole: "l2"%s`, version, mode, more)
		}
		w.must("ha-admin", "assignPlugin", full("1.0.0", "full", `, config: {prefix: "re: ", token: "s3cret"}`))
		w.question("ENQ-1", "price")
		w.modules()
		t.Log(w.at("ENQ-1"), w.get("ha-admin", `{ serviceCase(number: "ENQ-1") { variables } pluginRuns(first: 5) { edges { node { outcome code detail metrics mode isolation } } } }`))
		w.verified()
	})
}
