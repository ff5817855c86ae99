package server_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/server"
)

var update = flag.Bool("update", false, "write the golden files")

// spy returns Commands that keep what they were given.
func spy(got *[]any) server.Commands {
	note := func(name string, v any) error {
		*got = append(*got, name, v)
		return nil
	}
	return server.Commands{
		Serve:       func(_ context.Context, _ server.Console, c server.ServeConfig) error { return note("serve", c) },
		Migrate:     func(_ context.Context, _ server.Console, d server.Database) error { return note("migrate", d) },
		Seed:        func(_ context.Context, _ server.Console, d server.Database) error { return note("seed", d) },
		Demo:        func(_ context.Context, _ server.Console, c server.DemoConfig) error { return note("demo", c) },
		Verify:      func(_ context.Context, _ server.Console, c server.VerifyConfig) error { return note("verify", c) },
		Copy:        func(_ context.Context, _ server.Console, c server.CopyConfig) error { return note("copy", c) },
		TokenCreate: func(_ context.Context, _ server.Console, c server.TokenConfig) error { return note("create", c) },
		TokenList:   func(_ context.Context, _ server.Console, c server.TokenConfig) error { return note("list", c) },
		TokenRevoke: func(_ context.Context, _ server.Console, c server.TokenConfig) error { return note("revoke", c) },
		StandardVectors: func(_ context.Context, _ server.Console, f string) error {
			return note("vectors", f)
		},
		ProcessCheck: func(_ context.Context, _ server.Console, f []string) error { return note("check", f) },
		ProcessConvert: func(_ context.Context, _ server.Console, in, out string) error {
			return note("convert", []string{in, out})
		},
	}
}

var (
	embedded = server.Database{Dir: "data", URL: "sqlite:" + filepath.Join("data", "spms.db")}
	usual    = server.ServeConfig{
		Database: embedded, Addr: "localhost:8080", Auth: server.AuthNone, Sample: true,
		ShutdownTimeout: 20 * time.Second, MemoryLimit: 2 << 30,
		Plugins: server.PluginConfig{Dir: filepath.Join("data", "plugins")},
		Notices: server.NoticeConfig{Dir: filepath.Join("data", "notices")},
	}
)

func serving(change func(*server.ServeConfig)) server.ServeConfig {
	c := usual
	change(&c)
	return c
}

func TestRunUnderstands(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		args []string
		env  []string
		want []any
	}{
		{"serve", []string{"serve"}, nil, []any{"serve", usual}},
		{"flags", []string{"serve", "--addr", "[::1]:0", "--data=d", "--sample=off"}, nil, []any{"serve", serving(func(c *server.ServeConfig) {
			c.Addr, c.Sample, c.Database = "[::1]:0", false, server.Database{Dir: "d", URL: "sqlite:" + filepath.Join("d", "spms.db")}
			c.Plugins.Dir, c.Notices.Dir = filepath.Join("d", "plugins"), filepath.Join("d", "notices")
		})}},
		{"environment", []string{"serve"}, []string{"SPMS_ADDR=0.0.0.0:80", "SPMS_AUTH=token", "SPMS_ORIGINS=https://B.example, http://a.example:3000", "SPMS_DRAIN_WAIT=5s", "SPMS_MEMORY_LIMIT=512MiB"}, []any{"serve", serving(func(c *server.ServeConfig) {
			c.Addr, c.Auth, c.DrainWait, c.MemoryLimit = "0.0.0.0:80", server.AuthToken, 5*time.Second, 512<<20
			c.Origins = []string{"http://a.example:3000", "https://b.example"}
		})}},
		{"a flag before the environment", []string{"serve", "--addr=127.0.0.1:1"}, []string{"SPMS_ADDR=127.0.0.1:2"}, []any{"serve", serving(func(c *server.ServeConfig) { c.Addr = "127.0.0.1:1" })}},
		{"an empty variable is none", []string{"serve"}, []string{"SPMS_ADDR="}, []any{"serve", usual}},
		{"DATABASE_URL", []string{"migrate"}, []string{"DATABASE_URL=postgres://u:p@h/d"}, []any{"migrate", server.Database{Dir: "data", URL: "postgres://u:p@h/d"}}},
		{"verify at rest", []string{"verify", "--at-rest", "--database-url", "postgres://h/a"}, nil, []any{"verify", server.VerifyConfig{Database: server.Database{Dir: "data", URL: "postgres://h/a"}, AtRest: true}}},
		{"SPMS_DATABASE_URL before DATABASE_URL", []string{"verify"}, []string{"DATABASE_URL=postgres://h/a", "SPMS_DATABASE_URL=postgres://h/b"}, []any{"verify", server.VerifyConfig{Database: server.Database{Dir: "data", URL: "postgres://h/b"}}}},
		{"seed", []string{"seed", "--database-url", "sqlite:x.db"}, nil, []any{"seed", server.Database{Dir: "data", URL: "sqlite:x.db"}}},
		{"demo", []string{"demo"}, nil, []any{"demo", server.DemoConfig{Cases: 200, Seed: 1, Progress: true}}},
		{"demo leaves the database of the server alone", []string{"demo", "--cases=3", "--no-progress"}, []string{"DATABASE_URL=postgres://h/d"}, []any{"demo", server.DemoConfig{Cases: 3, Seed: 1}}},
		{"token create", []string{"token", "create", "--staff=S1", "--label=crm", "--valid-for=30d"}, nil, []any{"create", server.TokenConfig{Database: embedded, Staff: "S1", Label: "crm", ValidFor: 720 * time.Hour}}},
		{"token list", []string{"token", "list"}, nil, []any{"list", server.TokenConfig{Database: embedded}}},
		{"token revoke", []string{"token", "revoke", "tok_1"}, nil, []any{"revoke", server.TokenConfig{Database: embedded, ID: "tok_1"}}},
		{"standard vectors", []string{"standard", "vectors", "v.json"}, nil, []any{"vectors", "v.json"}},
		{"process check", []string{"process", "check", "a.bpmn", "b.bpmn"}, nil, []any{"check", []string{"a.bpmn", "b.bpmn"}}},
		{"process convert", []string{"process", "convert", "a.bpmn", "b.json"}, nil, []any{"convert", []string{"a.bpmn", "b.json"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got []any
			var errs bytes.Buffer
			if code := server.Run(t.Context(), tc.args, tc.env, &bytes.Buffer{}, &errs, spy(&got)); code != 0 {
				t.Fatalf("Run(%v) = %d, want 0; %s", tc.args, code, errs.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Run(%v) mismatch (-want +got):\n%s", tc.args, diff)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		args []string
		env  []string
		want []string // all in the message
	}{
		{"no port", []string{"serve", "--addr=localhost"}, nil, []string{"SETTING_INVALID", "addr"}},
		{"named port", []string{"serve", "--addr=localhost:http"}, nil, []string{"SETTING_INVALID", "addr"}},
		{"port too high", []string{"serve"}, []string{"SPMS_ADDR=localhost:65536"}, []string{"SETTING_INVALID", "addr", "65536"}},
		{"everyone without authentication", []string{"serve", "--addr=:8080"}, nil, []string{"SETTING_NEEDS_AUTH", "addr"}},
		{"the network without authentication", []string{"serve", "--addr=192.168.1.2:8080"}, nil, []string{"SETTING_NEEDS_AUTH", "addr"}},
		{"a name without authentication", []string{"serve", "--addr=localhost.example:80"}, nil, []string{"SETTING_NEEDS_AUTH", "addr"}},
		{"unknown authentication", []string{"serve", "--auth=ldap"}, nil, []string{"SETTING_INVALID", "auth", "ldap"}},
		{"origin with a path", []string{"serve", "--origins=http://a.example/x"}, nil, []string{"SETTING_INVALID", "origins"}},
		{"any origin", []string{"serve", "--origins=*"}, nil, []string{"SETTING_INVALID", "origins"}},
		{"sample", []string{"serve", "--sample=maybe"}, nil, []string{"SETTING_INVALID", "sample", "maybe"}},
		{"negative wait", []string{"serve", "--drain-wait=-1s"}, nil, []string{"SETTING_INVALID", "drain-wait"}},
		{"endless shutdown", []string{"serve", "--shutdown-timeout=1h"}, nil, []string{"SETTING_INVALID", "shutdown-timeout"}},
		{"memory without unit", []string{"serve", "--memory-limit=1000000"}, nil, []string{"SETTING_INVALID", "memory-limit"}},
		{"too little memory", []string{"serve", "--memory-limit=1MiB"}, nil, []string{"SETTING_INVALID", "memory-limit"}},
		{"no folder", []string{"migrate", "--data= "}, nil, []string{"SETTING_INVALID", "data"}},
		{"other database", []string{"migrate"}, []string{"DATABASE_URL=mysql://root:geheim@h/d?password=geheim"}, []string{"SETTING_INVALID", "database-url", "mysql://…@h/d"}},
		{"malformed database address", []string{"migrate"}, []string{"DATABASE_URL=postgres://u:ge%zzheim@h/d"}, []string{"SETTING_INVALID", "database-url"}},
		{"log level", []string{"version", "--log=loud"}, nil, []string{"SETTING_INVALID", "log", "loud"}},
		{"log format", []string{"version", "--log-format=xml"}, nil, []string{"SETTING_INVALID", "log-format", "xml"}},
		{"no cases", []string{"demo", "--cases=0"}, nil, []string{"SETTING_INVALID", "cases"}},
		{"cases in words", []string{"demo", "--cases=many"}, nil, []string{"COMMAND_LINE_INVALID", "--cases", "many"}},
		{"validity in words", []string{"token", "create", "--staff=a", "--label=b", "--valid-for=soon"}, nil, []string{"SETTING_INVALID", "valid-for"}},
		{"token for nobody", []string{"token", "create", "--label=b"}, nil, []string{"COMMAND_LINE_INVALID", "--staff"}},
		{"unknown flag", []string{"serve", "--port=1"}, nil, []string{"COMMAND_LINE_INVALID", "--port"}},
		{"unknown command", []string{"start"}, nil, []string{"COMMAND_LINE_INVALID", "start"}},
		{"no file", []string{"process", "check"}, nil, []string{"COMMAND_LINE_INVALID", "file"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got []any
			var out, errs bytes.Buffer
			if code := server.Run(t.Context(), tc.args, tc.env, &out, &errs, spy(&got)); code != 2 {
				t.Errorf("Run(%v) = %d, want 2", tc.args, code)
			}
			for _, w := range tc.want {
				if !strings.Contains(errs.String(), w) {
					t.Errorf("Run(%v) says %q, want %q in it", tc.args, errs.String(), w)
				}
			}
			if len(got) > 0 || strings.Contains(errs.String(), "heim") {
				t.Errorf("Run(%v) ran %v and said %q, want nothing done and no password shown", tc.args, got, errs.String())
			}
		})
	}
}

func TestRunReportsFailures(t *testing.T) {
	t.Parallel()
	refused := fault.E(fault.Invalid, "SETTING_NEEDS_AUTH", fault.P("setting", "addr"), fault.P("value", ":1")).
		Because(errors.New("the cause")).
		With(fault.E(fault.Invalid, "COMMAND_MISSING", fault.P("command", "a")).At("files", "0"), fault.E(fault.Invalid, "SERVER_FAILED"))
	c := server.Commands{ProcessCheck: func(context.Context, server.Console, []string) error { return refused }}
	for lang, want := range map[string][]string{
		"zh_CN.UTF-8": {"spms: SETTING_NEEDS_AUTH: 配置项 addr 为 :1", "\n  files.0: COMMAND_MISSING: 本程序不包含命令 a。\n", "\n  SERVER_FAILED: 服务意外终止。\n", "\n  (the cause)\n"},
		"C":           {"spms: SETTING_NEEDS_AUTH: The setting addr is :1", "\n  files.0: COMMAND_MISSING: This build has no command a.\n", "\n  (the cause)\n"},
	} {
		var errs bytes.Buffer
		if code := server.Run(t.Context(), []string{"process", "check", "x"}, []string{"LANG=" + lang}, &bytes.Buffer{}, &errs, c); code != 1 {
			t.Errorf("Run(process check) = %d, want 1", code)
		}
		for _, w := range want {
			if !strings.Contains(errs.String(), w) {
				t.Errorf("Run(process check) in %s says %q, want %q in it", lang, errs.String(), w)
			}
		}
	}
}

func TestRunRefusesWhatTheBuildLacks(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve"}, {"seed"}, {"process", "convert", "a", "b"}, {"token", "list"}} {
		var errs bytes.Buffer
		if code := server.Run(t.Context(), args, nil, &bytes.Buffer{}, &errs, server.Commands{}); code != 2 || !strings.Contains(errs.String(), "COMMAND_MISSING") {
			t.Errorf("Run(%v) = %d %q, want 2 COMMAND_MISSING", args, code, errs.String())
		}
	}
}

func TestRunEndsQuietlyWhenStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := server.Commands{Serve: func(ctx context.Context, _ server.Console, _ server.ServeConfig) error {
		cancel()
		return fmt.Errorf("wait for requests: %w", ctx.Err())
	}}
	var errs bytes.Buffer
	if code := server.Run(ctx, []string{"serve"}, nil, &bytes.Buffer{}, &errs, c); code != 0 || errs.Len() > 0 {
		t.Errorf("Run(serve) stopped = %d %q, want 0 and silence", code, errs.String())
	}
}

func TestRunWarnsOfUnknownSettings(t *testing.T) {
	t.Parallel()
	var errs bytes.Buffer
	server.Run(t.Context(), []string{"version"}, []string{"SPMS_ADR=x", "SPMS_TEST_DATABASE_URL=x", "SPMS_DATA=d", "HOME=/"}, &bytes.Buffer{}, &errs, server.Commands{})
	if n := strings.Count(errs.String(), "unknown setting"); n != 1 || !strings.Contains(errs.String(), "SPMS_ADR") {
		t.Errorf("Run(version) says %q, want one warning of SPMS_ADR", errs.String())
	}
}

func TestRunHelpsWithEveryCommand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{},
		{"--help"},
		{"serve", "--help"},
		{"migrate", "--help"},
		{"seed", "--help"},
		{"demo", "--help"},
		{"verify", "--help"},
		{"copy", "--help"},
		{"version", "--help"},
		{"token", "--help"},
		{"token", "create", "--help"},
		{"standard", "vectors", "--help"},
		{"process", "check", "--help"},
	} {
		var out, errs bytes.Buffer
		if code := server.Run(t.Context(), args, nil, &out, &errs, server.Commands{}); code != 0 || errs.Len() > 0 {
			t.Errorf("Run(%v) = %d %q, want 0 and silence", args, code, errs.String())
		}
		if s := out.String(); !strings.Contains(s, "Usage: spms") || !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff }) {
			t.Errorf("Run(%v) prints %q, want usage with a Chinese gloss", args, s)
		}
	}
}

// brokenPipe is an output whose reader went away.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestRunVersion(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := server.Run(t.Context(), []string{"version"}, nil, &out, &bytes.Buffer{}, server.Commands{}); code != 0 || !strings.HasPrefix(out.String(), "spms ") {
		t.Errorf("Run(version) = %d %q, want 0 and the version", code, out.String())
	}
	if code := server.Run(t.Context(), []string{"version"}, nil, brokenPipe{}, &bytes.Buffer{}, server.Commands{}); code != 1 {
		t.Errorf("Run(version) into a broken pipe = %d, want 1", code)
	}
}

// TestConfigurationDoc keeps docs/configuration.md true; go test ./server
// -run TestConfigurationDoc -update writes it.
func TestConfigurationDoc(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(configurationHead)
	for _, s := range server.Settings() {
		row := []string{"`" + strings.TrimSpace(s.Flag+" "+s.Value) + "`", quoted(s.Environment), quoted([]string{s.Default}), s.Help, strings.Join(s.Commands, ", ")}
		if len(s.Commands) == 0 {
			row[4] = "all"
		}
		for i := range row {
			row[i] = strings.ReplaceAll(row[i], "|", `\|`)
		}
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	file := filepath.Join("..", "docs", "configuration.md")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(have)); diff != "" {
		t.Errorf("%s is not what the command line says; run the test with -update (-want +got):\n%s", file, diff)
	}
}

func quoted(words []string) string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, "`"+w+"`")
		}
	}
	return strings.Join(out, ", ")
}

const configurationHead = `# Configuration · 配置

<!-- Written by TestConfigurationDoc from the command line's own description: go test ./server -run TestConfigurationDoc -update -->

Every setting is a flag of the command that uses it; most can also be given in the environment. A flag counts before the
environment, the first variable named before the second, and an empty variable is as good as none. A wrong value is refused at
start (exit code 2) with the code SETTING_INVALID and the name of the setting; nothing has been touched by then. A variable
that begins with SPMS_ and is no setting is logged as a warning.

每项配置都是命令的参数,多数也可用环境变量给出;参数优先于环境变量,空变量视同未设。取值有误时启动即拒绝(退出码 2),并指明配置项名称。

**Who may connect.** With ` + "`--auth none`" + ` every request acts as a sample person, so the server binds to loopback addresses only
(SETTING_NEEDS_AUTH otherwise), answers only to loopback host names and refuses web pages of other origins that are not listed
in ` + "`--origins`" + `. With ` + "`--auth token`" + ` it may bind to any address; put TLS in front of it, and keep /metrics inside your network.

**未启用认证时**仅监听本机回环地址,并校验 Host 与 Origin;启用令牌认证(` + "`--auth token`" + `)后可监听任意地址,请在前面配置 TLS。

| Flag | Environment | Default | Meaning | Commands |
|---|---|---|---|---|
`
