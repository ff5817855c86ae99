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
	"github.com/openspms/spms/plugins/sdk"
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

// vendor is the key pair that signs the bundles of all tests, made once.
var vendor = sync.OnceValue(func() (k struct {
	public  bundle.PublicKey
	private bundle.PrivateKey
	err     error
},
) {
	k.public, k.private, k.err = bundle.GenerateKey(nil)
	return k
})

// packed is a folder as a bundle with the vendor's signature, made once for each manifest;
// make makes the folder.
func packed(t *testing.T, m bundle.Manifest, make func() string) []byte {
	t.Helper()
	bundles.Lock()
	defer bundles.Unlock()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	of := string(text)
	if data, ok := bundles.signed[of]; ok {
		return data
	}
	data, err := bundle.Pack(make(), m)
	if err != nil {
		t.Fatalf("Pack() = %v", err)
	}
	if data, err = bundle.Sign(data, vendor().private); err != nil {
		t.Fatalf("Sign() = %v", err)
	}
	bundles.signed[of] = data
	return data
}

var bundles = struct {
	sync.Mutex
	signed map[string][]byte
}{signed: map[string][]byte{}}

// workshop is an office whose house starts plugins, and a key that it trusts.
type workshop struct {
	*office
	key     bundle.PrivateKey
	url     string
	plugins server.PluginConfig
}

func openWorkshop(t *testing.T, url string, at time.Time, change ...func(*server.PluginConfig)) *workshop {
	t.Helper()
	dir, err := os.MkdirTemp("", "ws") // short: sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // plugins run as other users
		t.Fatal(err)
	}
	if vendor().err != nil {
		t.Fatal(vendor().err)
	}
	trust := filepath.Join(dir, "trust.pub")
	if err := os.WriteFile(trust, []byte(vendor().public.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	secret, err := privacy.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, clock: clock.NewManual(at)}
	seed(t, url, at)
	h, err := server.OpenHouse(t.Context(), url, o.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("OpenHouse(%v) = %v", url, err)
	}
	o.house = h
	limits := pluginhost.DefaultLimits()
	limits.Grace, limits.Start = 200*time.Millisecond, time.Minute // plugins run at low priority beside all tests
	c := server.PluginConfig{Dir: filepath.Join(dir, "p"), Trust: []string{trust}, Secret: secret, Limits: limits}
	for _, f := range change {
		f(&c)
	}
	if err := h.OpenPlugins(c); err != nil {
		t.Fatalf("OpenPlugins() = %v", err)
	}
	if ok, err := h.Innovation.Ship(t.Context()); !ok || err != nil {
		t.Fatalf("Ship() = %v, %v", ok, err)
	}
	o.http = httptest.NewServer(h.Handler(server.AuthNone))
	t.Cleanup(func() {
		o.http.Close()
		if err := h.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return &workshop{office: o, key: vendor().private, url: url, plugins: c}
}

// neighbour is another node on the same database, with a folder of its own.
func (w *workshop) neighbour() (h *server.House, dir string) {
	w.t.Helper()
	dir, err := os.MkdirTemp("", "nb")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // plugins run as other users
		w.t.Fatal(err)
	}
	h, err = server.OpenHouse(w.t.Context(), w.url, w.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatalf("OpenHouse() = %v", err)
	}
	c := w.plugins
	c.Dir = filepath.Join(dir, "p")
	if err := h.OpenPlugins(c); err != nil {
		w.t.Fatalf("OpenPlugins() = %v", err)
	}
	w.t.Cleanup(func() {
		if err := h.Close(); err != nil {
			w.t.Errorf("Close() = %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return h, c.Dir
}

// manifest is that of answering in a version.
func manifest(version string) bundle.Manifest {
	return bundle.Manifest{
		Name: "answering", Version: version, Contract: 1, Kinds: []string{"module"}, Title: bundle.Text{Zh: "答复", En: "Answering"},
		Topics: []string{"answer.expert"}, Attributes: []string{"question"},
		ConfigSchema: json.RawMessage(`{"type":"object","properties":{"prefix":{"type":"string"},"token":{"type":"string","format":"password"}}}`),
		Metrics: []bundle.Metric{
			{Name: "words", Unit: "1", Description: "words of the answer"},
			{Name: "letters", Unit: "1", Description: "letters of the answer", Min: sdk.Bound(0)},
		},
		Outputs: json.RawMessage(`{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}`),
		Targets: []bundle.Target{{OS: runtime.GOOS, Arch: runtime.GOARCH, Entry: "answering"}},
	}
}

// pack makes a signed bundle of a version.
func (w *workshop) pack(version string) []byte { return w.packed(version, manifest(version)) }

func (w *workshop) packed(version string, m bundle.Manifest) []byte {
	w.t.Helper()
	return packed(w.t, m, func() string { return answering(w.t, version) })
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
	w.tested("answering")
	if got := w.get("ha-admin", `{ plugin(name: "answering") { versions(first: 10) { edges { node { version state conforms report isolation } } } } }`, "plugin"); !strings.Contains(fmt.Sprint(got), "state:tested version:"+version) {
		w.t.Fatalf("after its test the catalog says %v", got)
	}
	w.wants("ha-admin", "approvePlugin", ref, "PLUGIN_OWN_WORK")
	w.must("demo-admin", "approvePlugin", ref)
}

// tested waits until no version of a plugin is being tested.
func (w *workshop) tested(plugin string) {
	w.t.Helper()
	for range 1200 {
		got := fmt.Sprint(w.get("ha-admin", fmt.Sprintf(`{ plugin(name: %q) { versions(first: 10) { edges { node { testState } } } } }`, plugin), "plugin"))
		if !strings.Contains(got, "queued") && !strings.Contains(got, "running") {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Fatalf("the test of %s does not end", plugin)
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
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		full := func(version, mode, more string) string {
			return fmt.Sprintf(`versionID: "answering@%s", regionID: "CN-HA", topic: "answer.expert", mode: %q, inputs: [{name: "question", variable: "enquiry.question"}],
				outputs: [{name: "answer", variable: "enquiry.answer"}], fallbackRole: "l2"%s`, version, mode, more)
		}
		w.wants("ha-admin", "assignPlugin", full("1.0.0", "full", `, config: {prefx: "x"}`), "PLUGIN_CONFIG_WRONG")
		w.wants("ha-admin", "assignPlugin", strings.Replace(full("1.0.0", "full", ""), `name: "question"`, `name: "address"`, 1), "PLUGIN_INPUT_UNKNOWN")
		w.wants("ha-admin", "assignPlugin", strings.Replace(full("1.0.0", "full", ""), `topic: "answer.expert"`, `topic: "other"`, 1), "PLUGIN_TOPIC_UNKNOWN")
		w.wants("ha-admin", "assignPlugin", full("1.0.0", "pilot", `, cohort: "enquiry.nothing == 1"`), "COHORT_INVALID")
		w.wants("ha-admin", "assignPlugin", full("1.0.0", "full", `, fallback: "previous"`), "FALLBACK_PREVIOUS_MISSING")
		w.wants("demo-admin", "assignPlugin", strings.Replace(full("1.0.0", "full", ""), "CN-HA", "CN-CQ", 1), "PLUGIN_FOREIGN_REGION")
		w.must("ha-admin", "assignPlugin", full("1.0.0", "full", `, config: {prefix: "re: ", token: "s3cret"}`))
		if got := fmt.Sprint(w.get("ha-admin", `{ pluginAssignments(first: 5) { edges { node { config } } } }`, "pluginAssignments")); strings.Contains(got, "s3cret") || !strings.Contains(got, "$secret") {
			t.Errorf("the configuration is shown as %s, want its secret encrypted", got)
		}
		w.question("ENQ-1", "price")
		w.modules()
		if got := w.at("ENQ-1") + " " + w.answer("ENQ-1"); got != "a_callback:task re: prices3cret 1.0.0" {
			t.Errorf("after the module the enquiry is at %s", got)
		}

		w.question("ENQ-WAIT", "wait please")
		w.modules()
		w.modules()
		if got := w.runs("ENQ-WAIT"); got != "waiting" || w.at("ENQ-WAIT") != "a_expert:task" {
			t.Errorf("the module that waits has run %s and the case is at %s, want it waiting once", got, w.at("ENQ-WAIT"))
		}
		w.must("zz-agent", "sendMessage", `correlationKey: "shelf-7", name: "archive.found", payload: {text: "42 fen"}`)
		w.modules()
		if got := w.runs("ENQ-WAIT") + " " + w.answer("ENQ-WAIT"); got != "waiting completed 42 fen" {
			t.Errorf("after the message the module has run %s, want it completed with 42 fen", got)
		}

		for _, how := range []struct{ question, runs, at string }{
			{"fail now", "failed", "l2"},
			{"lie now", "violated", "l2"},
			{"retry later", strings.TrimSpace(strings.Repeat("retry ", 3)), "l2"},
		} {
			number := "ENQ-" + strings.ToUpper(how.question[:4])
			w.question(number, how.question)
			for range 4 {
				w.modules()
				w.clock.Advance(time.Minute)
			}
			if got := w.runs(number); got != how.runs {
				t.Errorf("%s: runs %s, want %s", how.question, got, how.runs)
			}
			if got := w.task(number, "a_expert", "kind role"); fmt.Sprint(got) != "map[kind:human nodeID:a_expert role:"+how.at+"]" {
				t.Errorf("%s: the task is %v, want it with people as %s", how.question, got, how.at)
			}
		}
		w.grant("l2")
		w.work("zz-agent", "ENQ-FAIL", "a_expert", `, variables: {enquiry: {answer: "by hand"}}`)
		if got := w.at("ENQ-FAIL") + " " + w.answer("ENQ-FAIL"); got != "a_callback:task by hand" {
			t.Errorf("done by people the enquiry is at %s", got)
		}
		w.verified()
	})
}

// grant gives the agent of Zhengzhou a further role.
func (w *workshop) grant(role string) {
	w.t.Helper()
	w.must("demo-admin", "assignRole", fmt.Sprintf(`staffID: %q, role: %q, regionID: "CN-HA-ZZ"`, w.staffID("zz-agent"), role))
}

// answer is the answer of an enquiry.
func (w *workshop) answer(number string) string {
	w.t.Helper()
	return fmt.Sprint(w.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { variables } }`, number), "serviceCase", "variables", "enquiry", "answer"))
}

// runs are the outcomes of the runs for a case, in their order.
func (w *workshop) runs(number string) string {
	w.t.Helper()
	list, _ := w.get("ha-admin", fmt.Sprintf(`{ pluginRuns(first: 50, where: {caseID: %q}, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { outcome } } } }`, w.caseID(number)), "pluginRuns", "edges").([]any)
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(dig(e, "node", "outcome")))
	}
	return strings.Join(out, " ")
}

// TestRollOut brings a second version in: it looks on first, takes a part of the
// cases, always the same ones, then all, breaks too often and is taken back by itself.
func TestRollOut(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		w.admit("1.1.0")
		assign := func(version, mode, more string) {
			t.Helper()
			w.must("ha-admin", "assignPlugin", fmt.Sprintf(`versionID: "answering@%s", regionID: "CN-HA", topic: "answer.expert", mode: %q, inputs: [{name: "question", variable: "enquiry.question"}],
				outputs: [{name: "answer", variable: "enquiry.answer"}], fallbackRole: "l2"%s`, version, mode, more))
		}
		assign("1.0.0", "shadow", "")
		w.question("SHADOW-1", "price")
		w.modules()
		w.modules()
		if got := w.runs("SHADOW-1") + " " + w.at("SHADOW-1"); got != "completed a_expert:task" {
			t.Errorf("in shadow: %s, want one run and the task as it was", got)
		}
		assign("1.0.0", "full", "")
		w.modules()
		if got := w.answer("SHADOW-1"); got != "price 1.0.0" {
			t.Errorf("in full the answer is %q, want that of 1.0.0", got)
		}

		assign("1.1.0", "pilot", ", sharePermille: 500")
		versions := map[string]int{}
		for i := range 12 {
			number := fmt.Sprintf("PILOT-%d", i)
			w.question(number, "price")
			w.modules()
			versions[w.answer(number)]++
		}
		if versions["price 1.0.0"]+versions["price 1.1.0"] != 12 || versions["price 1.1.0"] == 0 || versions["price 1.0.0"] == 0 {
			t.Errorf("a pilot with half of the cases answered %v, want both versions and nothing else", versions)
		}
		assign("1.1.0", "pilot", `, cohort: "enquiry.topic == 'billing'"`)
		w.question("COHORT-1", "price")
		w.modules()
		if got := w.at("COHORT-1"); got != "a_expert:task" {
			t.Errorf("outside the cohort and without a version before the enquiry is at %s, want it left to others", got)
		}

		assign("1.0.0", "full", "")
		assign("1.1.0", "full", ", attempts: 1, guardRuns: 3, guardPermille: 500")
		for i := range 3 {
			w.question(fmt.Sprintf("GUARD-%d", i), "fail")
		}
		w.modules()
		got := fmt.Sprint(w.get("ha-admin", `{ pluginAssignments(first: 5) { edges { node { mode reason version { version } } } } }`, "pluginAssignments", "edges", 0, "node"))
		if !strings.HasPrefix(got, "map[mode:full reason:guard: ") || !strings.HasSuffix(got, " runs failed version:map[version:1.0.0]]") {
			t.Errorf("after three failed runs the assignment is %s, want 1.0.0 again", got)
		}
		w.must("demo-admin", "revokePlugin", `versionID: "answering@1.0.0", reason: "unsafe"`)
		if got := w.get("ha-admin", `{ pluginAssignments(first: 5, where: {state: ended}) { totalCount } }`, "pluginAssignments", "totalCount"); got != 1.0 {
			t.Errorf("revoked, %v assignments have ended, want 1", got)
		}
		w.verified()
	})
}

// TestHostileModules lets modules crash and hang inside cases: no case is stuck, and
// after three crashes the plugin is left alone.
func TestHostileModules(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.process()
		w.admit("1.0.0")
		w.must("ha-admin", "assignPlugin", `versionID: "answering@1.0.0", regionID: "CN-HA", topic: "answer.expert", mode: "full", timeoutSeconds: 1, guardRuns: 100,
			inputs: [{name: "question", variable: "enquiry.question"}], outputs: [{name: "answer", variable: "enquiry.answer"}], fallbackRole: "l2"`)
		for _, how := range []string{"hang", "crash"} {
			number := "ENQ-" + strings.ToUpper(how)
			w.question(number, how)
			for range 6 {
				w.modules()
				w.clock.Advance(2 * time.Minute)
			}
			if got := fmt.Sprint(w.task(number, "a_expert", "kind role")); got != "map[kind:human nodeID:a_expert role:l2]" {
				t.Errorf("%s: the task is %s, want it with people", how, got)
			}
		}
		if got := fmt.Sprint(w.get("ha-admin", `{ pluginStatus { name state crashes } }`, "pluginStatus", 0)); got != "map[crashes:3 name:answering state:quarantined]" {
			t.Errorf("the plugin is %s, want it quarantined after 3 crashes", got)
		}
		w.question("ENQ-AFTER", "price")
		w.modules()
		if got := fmt.Sprint(w.task("ENQ-AFTER", "a_expert", "kind role")); got != "map[kind:human nodeID:a_expert role:l2]" {
			t.Errorf("in quarantine the task is %s, want it with people at once", got)
		}
		w.must("demo-admin", "releasePlugin", `versionID: "answering@1.0.0", reason: "mended"`)
		w.must("ha-admin", "assignPlugin", `versionID: "answering@1.0.0", regionID: "CN-HA", topic: "answer.expert", mode: "full", timeoutSeconds: 60`)
		w.question("ENQ-AGAIN", "price")
		w.modules()
		if got := w.answer("ENQ-AGAIN"); got != "price 1.0.0" {
			t.Errorf("released, the answer is %q", got)
		}
		w.verified()
	})
}

// TestBundlesRefused sends bundles that must not be taken.
func TestBundlesRefused(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		good := w.pack("1.0.0")
		for name, tt := range map[string]struct {
			person string
			data   []byte
			status int
			code   string
		}{
			"no bundle":          {"ha-admin", []byte("hello"), http.StatusUnprocessableEntity, "BUNDLE_MALFORMED"},
			"cut off":            {"ha-admin", good[:len(good)/2], http.StatusUnprocessableEntity, "BUNDLE_MALFORMED"},
			"without the right":  {"zz-agent", good, http.StatusForbidden, "ACTION_FORBIDDEN"},
			"larger than 64 MiB": {"ha-admin", make([]byte, bundle.MaxPacked+1), http.StatusUnprocessableEntity, "BUNDLE_TOO_LARGE"},
		} {
			if status, body := w.put(tt.person, tt.data); status != tt.status || !strings.Contains(body, tt.code) {
				t.Errorf("%s: PUT /bundles = %d %.200s, want %d %s", name, status, body, tt.status, tt.code)
			}
		}
		_, foreign, err := bundle.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		other, err := bundle.Sign(good, foreign)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := bundle.Pack(answering(t, "1.0.0"), manifest("1.0.0"))
		if err != nil {
			t.Fatal(err)
		}
		for code, data := range map[string][]byte{"PLUGIN_KEY_UNKNOWN": other, "PLUGIN_UNSIGNED": plain} {
			_, digest := w.put("ha-admin", data)
			w.wants("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, digest), code)
		}
		w.wants("ha-admin", "uploadPlugin", `digest: "sha256:0", regionID: "CN-HA"`, "PLUGIN_BUNDLE_NOT_FOUND")
		_, digest := w.put("ha-admin", good)
		w.must("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, digest))
		w.wants("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, digest), "PLUGIN_VERSION_TAKEN")
		w.wants("demo-admin", "approvePlugin", `versionID: "answering@1.0.0"`, "PLUGIN_VERSION_STATE")
		w.wants("demo-admin", "revokePlugin", `versionID: "answering@1.0.0"`, "PLUGIN_REASON_REQUIRED")
	})
}

// TestStrategy lets a strategy propose over the log of a region: what it proposes is
// checked, adopted as a draft, and the same run again proposes the same.
func TestStrategy(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		for _, number := range []string{"SO-1", "SO-2"} {
			w.order(number)
			w.clock.Advance(time.Hour)
			w.work("zz-dispatcher", number, "a_disp", "")
			w.must("zz-store", "claimTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_stock"`, number))
			w.clock.Advance(time.Hour)
			w.must("zz-store", "completeTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_stock"`, number))
		}
		w.strategy("proposer", "good")
		w.strategy("cheater", "bad")
		ask := func(strategy string) map[string]any {
			t.Helper()
			w.must("ha-admin", "proposeChanges", fmt.Sprintf(`strategyID: "%s@1.0.0", processID: "ftth-install@1", regionID: "CN-HA-ZZ", seed: "7"`, strategy))
			if _, err := w.house.Optimization.Tick(t.Context()); err != nil {
				t.Fatalf("Tick() of strategies = %v", err)
			}
			run, _ := w.get("ha-admin", `{ optimizationRuns(last: 1, orderBy: [{field: CREATED_AT, direction: ASC}]) { edges { node { state code detail events questions violations resultDigest logDigest
				proposals(first: 50) { edges { node { id number titleZh rationale edits state } } } } } } }`, "optimizationRuns", "edges", 0, "node").(map[string]any)
			w.clock.Advance(time.Second)
			return run
		}
		first := ask("proposer")
		if first["state"] != "done" || fmt.Sprint(first["violations"]) != "[]" || first["events"] == 0.0 || first["questions"] != 2.0 {
			t.Fatalf("the run = %v, want it done with events, 2 questions and no violation", first)
		}
		edges, _ := dig(first, "proposals", "edges").([]any)
		if len(edges) != 1 || dig(edges[0], "node", "titleZh") != "优先处理最慢的任务 a_stock" || dig(edges[0], "node", "rationale") != "it may be removed: false" {
			t.Fatalf("it proposed %v, want one change of a_stock", edges)
		}
		if again := ask("proposer"); again["resultDigest"] != first["resultDigest"] || again["logDigest"] != first["logDigest"] {
			t.Errorf("the same run again gave %v, want %v", again["resultDigest"], first["resultDigest"])
		}
		bad := ask("cheater")
		want := "[BASE_DIFFERENT TITLE_MISSING CLAIM_NOT_FINITE EDITS_MALFORMED EDITS_MISSING EDIT_TARGET_UNKNOWN EDIT_NOT_ALLOWED TASK_ROLE_UNKNOWN TOO_MANY_PROPOSALS]"
		if got := fmt.Sprint(bad["violations"]); got != want || len(dig(bad, "proposals", "edges").([]any)) != 20 {
			t.Errorf("the cheater's violations are %s, want %s, and 20 proposals kept", got, want)
		}

		id := fmt.Sprint(dig(edges[0], "node", "id"))
		w.wants("ha-admin", "declineProposal", fmt.Sprintf(`proposalID: %q`, id), "PLUGIN_REASON_REQUIRED")
		w.must("demo-admin", "adoptProposal", fmt.Sprintf(`proposalID: %q`, id))
		w.wants("demo-admin", "adoptProposal", fmt.Sprintf(`proposalID: %q`, id), "PROPOSAL_STATE")
		draft := w.get("demo-admin", fmt.Sprintf(`{ node(id: %q) { ... on Proposal { draftID state judgedBy } } }`, id), "node", "draftID")
		if got := fmt.Sprint(w.get("demo-admin", fmt.Sprintf(`{ processDiff(from: "ftth-install@1", to: %q) { markdown } }`, draft), "processDiff", "markdown")); !strings.Contains(got, "80") {
			t.Errorf("the draft differs by %s, want the priority of 80", got)
		}
	})
}

// strategy brings the test's strategy in under a name; how it behaves is in its name.
func (w *workshop) strategy(name, how string) {
	w.t.Helper()
	m := bundle.Manifest{
		Name: name, Version: "1.0.0", Contract: 1, Kinds: []string{"strategy"}, Title: bundle.Text{Zh: "策略"},
		Targets: []bundle.Target{{OS: runtime.GOOS, Arch: runtime.GOARCH, Entry: "proposing"}},
	}
	data := packed(w.t, m, func() string {
		dir := w.t.TempDir()
		out, err := exec.CommandContext(w.t.Context(), "go", "build", "-ldflags", "-s -w -X main.name="+name+" -X main.how="+how, "-o", filepath.Join(dir, "proposing"), "./testdata/proposing").CombinedOutput()
		if err != nil {
			w.t.Fatalf("go build: %v\n%s", err, out)
		}
		return dir
	})
	_, digest := w.put("ha-admin", data)
	w.must("ha-admin", "uploadPlugin", fmt.Sprintf(`digest: %q, regionID: "CN-HA"`, digest))
	ref := fmt.Sprintf(`versionID: "%s@1.0.0"`, name)
	if how == "good" {
		w.must("ha-admin", "testPlugin", ref)
		w.tested(name)
		w.must("demo-admin", "approvePlugin", ref)
		return
	}
	path := "update plugin_versions set state = 'approved' where digest = '" + digest + "'" // the kit would find it out
	damage(w.t, w.url, path)
}
