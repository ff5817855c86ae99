package server_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// playDemo runs spms demo and returns its exit code and what it printed.
func playDemo(ctx context.Context, lang string, args ...string) (int, string) {
	var out, errs bytes.Buffer
	code := server.Run(ctx, append([]string{"demo"}, args...), []string{"LANG=" + lang}, &out, &errs, server.AllCommands())
	return code, out.String() + errs.String()
}

// TestDemo plays the story twice with one seed and once with another: every
// case ends, the database verifies, every clock names its clause, and equal
// seeds tell equal stories.
func TestDemo(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		args := []string{"--cases=25", "--seed=7", "--database-url=" + url}
		code, first := playDemo(t.Context(), "en_GB.UTF-8", args...)
		if code != 0 {
			t.Fatalf("spms demo = %d\n%s", code, first)
		}
		for _, want := range []string{
			"started   25/25 · ended   25 · open tasks   0", "ENT-SAMEDAY-INSTALL", "ENT-HQ 1.2", "CN-HA-ZZ", "Verified: 25 cases", ": 0 violations",
		} {
			if !strings.Contains(first, want) {
				t.Errorf("the story lacks %q:\n%s", want, first)
			}
		}
		if code, out := playDemo(t.Context(), "en_GB.UTF-8", args...); code != 1 || !strings.Contains(out, "DEMO_DATABASE_NOT_EMPTY") {
			t.Errorf("spms demo on a used database = %d, want 1 with DEMO_DATABASE_NOT_EMPTY\n%s", code, out)
		}
		code, again := playDemo(t.Context(), "en_GB.UTF-8", "--cases=25", "--seed=7")
		if code != 0 || again != first {
			t.Errorf("the story told again with the same seed = %d\n%s\nwant\n%s", code, again, first)
		}
	})
	code, chinese := playDemo(t.Context(), "zh_CN.UTF-8", "--cases=5", "--seed=8", "--no-progress")
	if code != 0 || !strings.Contains(chinese, "核对:5 件服务单") || strings.Contains(chinese, "受理") {
		t.Errorf("the story in Chinese without progress = %d\n%s", code, chinese)
	}
}
