package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage keeps docs/plugins.md and the example the same, so that what is
// printed there works.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "plugins.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main.go", "main_test.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "<!-- "+name+" -->\n```go\n"+string(source)+"```\n") {
			t.Errorf("docs/plugins.md prints another %s", name)
		}
	}
}
