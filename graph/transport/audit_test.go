package transport_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// audits is how many audits npm graphql-http 1.23.1 has.
const audits = 61

// TestAudits runs the audits of the GraphQL-over-HTTP specification, which are
// a Node program. Without Node or its packages it skips, except in CI.
func TestAudits(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED: the GraphQL-over-HTTP audits do not run with -short")
	}
	without := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI must run the GraphQL-over-HTTP audits: "+format, args...)
		}
		t.Skipf("SKIPPED the GraphQL-over-HTTP audits: "+format, args...)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		without("node is not installed: %v", err)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		without("npm is not installed: %v", err)
	}
	dir := t.TempDir()
	for _, f := range []string{"audit.mjs", "package.json", "package-lock.json", ".npmrc"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "test", "audit", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund",
		"--fetch-retries=0", "--fetch-timeout=20000")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		without("npm ci: %v\n%s", err, out)
	}
	address, _, _ := open(t, nil)
	run := exec.CommandContext(t.Context(), node, "audit.mjs", address)
	run.Dir = dir
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("audits: %v\n%s", err, out)
	}
	if got := strings.Count("\n"+string(out), "\nok "); got != audits {
		t.Errorf("%d audits are ok, want %d:\n%s", got, audits, out)
	}
}
