package server_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// tool runs a command line and returns its exit code and all that it printed.
func tool(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := server.Run(t.Context(), args, []string{"LANG=en"}, &out, &out, server.AllCommands())
	return code, out.String()
}

// TestPluginTools writes a plugin, tests, packs, signs and verifies it and brings it
// into a catalog, by the commands of the documents.
func TestPluginTools(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	steps := []struct {
		args []string
		want string
	}{
		{[]string{"plugin", "new", "greeter", "--dir", at("greeter")}, "go test ."},
		{[]string{"plugin", "test", at("greeter")}, "ok   module: same key, same outcome"},
		{[]string{"plugin", "pack", at("greeter"), "-o", at("g.spmsplugin")}, "not signed"},
		{[]string{"plugin", "keygen", "-o", at("key"), "--password", "secret"}, "keep it to yourself"},
		{[]string{"plugin", "sign", at("g.spmsplugin"), "--key", at("key.key"), "--password", "secret"}, "signed"},
		{[]string{"plugin", "verify", at("g.spmsplugin"), "--trust", at("key.pub")}, "greeter 0.1.0 (module)"},
	}
	for _, s := range steps {
		if code, out := tool(t, s.args...); code != 0 || !strings.Contains(out, s.want) {
			t.Fatalf("spms %v = %d %s, want 0 and %q", s.args[:2], code, out, s.want)
		}
	}
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		push := []string{"plugin", "push", at("g.spmsplugin"), "--server", w.http.URL, "--region", "CN-HA", "--person", "ha-admin"}
		if code, out := tool(t, push...); code != 1 || !strings.Contains(out, "PLUGIN_KEY_UNKNOWN") {
			t.Errorf("push of a bundle whose key the server does not trust = %d %s, want 1 PLUGIN_KEY_UNKNOWN", code, out)
		}
		data, err := os.ReadFile(at("g.spmsplugin"))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = bundle.Sign(data, w.key); err != nil {
			t.Fatal(err)
		}
		push[2] = filepath.Join(t.TempDir(), "trusted.spmsplugin")
		if err := os.WriteFile(push[2], data, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out := tool(t, push...); code != 0 || !strings.Contains(out, "greeter@0.1.0") {
			t.Errorf("push = %d %s, want 0 and the version", code, out)
		}
		for name, args := range map[string][]string{
			"PLUGIN_KEY_UNKNOWN":   {"plugin", "verify", push[2], "--trust", at("key.pub")},
			"PLUGIN_KEY_MALFORMED": {"plugin", "sign", at("g.spmsplugin"), "--key", at("key.key"), "--password", "wrong"},
			"SETTING_INVALID":      {"plugin", "new", "Not A Name"},
			"BUNDLE_MALFORMED":     {"plugin", "verify", at("key.pub"), "--trust", at("key.pub")},
		} {
			if code, out := tool(t, args...); code == 0 || !strings.Contains(out, name) {
				t.Errorf("spms %v = %d %s, want %s", args, code, out, name)
			}
		}
		if code, out := tool(t, "plugin", "new", "greeter", "--dir", at("greeter")); code == 0 || !strings.Contains(out, "SETTING_INVALID") {
			t.Errorf("spms plugin new over a folder = %d %s, want SETTING_INVALID", code, out)
		}
	})
}

// greeter brings the plugin that spms plugin new writes into Henan.
func (w *workshop) greeter() {
	w.t.Helper()
	at := filepath.Join(w.t.TempDir(), "greeter")
	for _, args := range [][]string{{"plugin", "new", "greeter", "--dir", at}, {"plugin", "pack", at, "-o", at + ".spmsplugin"}} {
		if code, out := tool(w.t, args...); code != 0 {
			w.t.Fatalf("spms %v = %d %s", args, code, out)
		}
	}
	data, err := os.ReadFile(at + ".spmsplugin")
	if err != nil {
		w.t.Fatal(err)
	}
	if data, err = bundle.Sign(data, w.key); err != nil {
		w.t.Fatal(err)
	}
	_, digest := w.put("ha-admin", data)
	w.must("ha-admin", "uploadPlugin", `digest: "`+digest+`", regionID: "CN-HA"`)
}
