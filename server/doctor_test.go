package server_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/pluginhost/sandbox"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// TestDoctor examines an installation whole and then broken in one part after the
// other: what is wrong is told with its cause, in both languages, and as exit code.
func TestDoctor(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		public, _, err := bundle.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		trust, torn := filepath.Join(dir, "trust.pub"), filepath.Join(dir, "torn.pub")
		for file, text := range map[string]string{trust: public.String(), torn: "untrusted comment: torn\nRWQ"} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		const key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
		if !strings.Contains(url, "://") {
			url = "sqlite:" + strings.TrimPrefix(url, "sqlite:")
		}
		run := func(lang string, args ...string) (int, string, map[string]string) {
			t.Helper()
			var out, errs bytes.Buffer
			code := server.Run(t.Context(), append([]string{"doctor", "--data", dir}, args...), []string{"LANG=" + lang}, &out, &errs, server.AllCommands())
			levels := map[string]string{}
			for line := range strings.Lines(out.String()) {
				if f := strings.Fields(line); len(f) > 2 {
					name := f[1]
					if name == "isolation" || name == "database" && (f[2] == "setting" || f[2] == "clock") {
						name += " " + f[2]
					}
					levels[name] = f[0]
				}
			}
			return code, out.String() + errs.String(), levels
		}
		whole := []string{"--database-url", url, "--plugin-trust", trust, "--secret-key", key}
		code, out, levels := run("en", whole...)
		if code != 0 {
			t.Fatalf("doctor = %d, want 0\n%s", code, out)
		}
		for _, check := range []string{"program", "clock", "zones", "data", "temp", "trust", "secret", "database", "database setting", "tables", "plugins", "isolation " + sandbox.Environment} {
			// The machine that tests may have a full disk, and its database server need not survive a power cut.
			mayWarn := check == "data" || check == "temp" || check == "database setting"
			if levels[check] != "ok" && !(mayWarn && levels[check] == "warn") {
				t.Errorf("%s is %q, want ok\n%s", check, levels[check], out)
			}
		}
		if runtime.GOOS == "linux" && (levels["isolation "+sandbox.Limits] != "ok" || levels["isolation "+sandbox.NoNewRights] != "ok") {
			t.Errorf("limits and rights are %v, want ok", levels)
		}
		for _, layer := range []string{sandbox.Landlock, sandbox.Seccomp, sandbox.OwnUser, sandbox.NoNetwork, sandbox.OwnGroup, sandbox.LowPriority} {
			level := levels["isolation "+layer]
			if level != "ok" && level != "warn" || level == "warn" && strings.Contains(out, "(?)") {
				t.Errorf("isolation %s is %q, want ok, or a warning with its cause\n%s", layer, level, out)
			}
		}
		if _, zh, _ := run("zh_CN.UTF-8", whole...); !strings.Contains(zh, "独立的环境") {
			t.Errorf("in Chinese it says\n%s", zh)
		}
		for name, tt := range map[string]struct {
			args  []string
			check string
			want  string
		}{
			"a key that is torn":       {[]string{"--database-url", url, "--plugin-trust", torn}, "trust", "PLUGIN_KEY_MALFORMED"},
			"a key that is not there":  {[]string{"--database-url", url, "--plugin-trust", filepath.Join(dir, "none.pub")}, "trust", "SETTING_INVALID"},
			"a secret key that is one": {[]string{"--database-url", url, "--secret-key", "c2hvcnQ="}, "secret", "32 bytes"},
			"no database":              {[]string{"--database-url", "postgres://nobody@127.0.0.1:1/none"}, "database", "DATABASE_UNAVAILABLE"},
		} {
			code, out, levels := run("en", tt.args...)
			if code != 1 || levels[tt.check] != "fail" || !strings.Contains(out, tt.want) || !strings.Contains(out, "CHECK_FAILED") {
				t.Errorf("%s: doctor = %d with %s %q, want 1, fail and %s\n%s", name, code, tt.check, levels[tt.check], tt.want, out)
			}
		}
		fresh := "sqlite:" + filepath.Join(dir, "fresh", "spms.db")
		if code, out, levels := run("en", "--database-url", fresh); code != 0 || levels["database"] != "warn" {
			t.Errorf("before the first start doctor = %d with database %q, want 0 and a warning\n%s", code, levels["database"], out)
		}
		if _, err := os.Stat(filepath.Join(dir, "fresh")); err == nil {
			t.Error("doctor has made a database")
		}
		_, out, _ = run("en", append(whole, "--json")...)
		var report struct {
			OK     bool
			Checks []struct{ Check, Level, Zh, En string }
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil || !report.OK || len(report.Checks) < 15 {
			t.Fatalf("--json = %v, %v, want a report that is well\n%s", report.OK, err, out)
		}
		for _, c := range report.Checks {
			if c.Zh == "" || c.En == "" {
				t.Errorf("%s has no text in one language: %+v", c.Check, c)
			}
		}
	})
}
