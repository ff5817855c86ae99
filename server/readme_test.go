package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

var block = regexp.MustCompile("(?s)```graphql\n# X-SPMS-Person: ([a-z-]+)\n(.*?)```")

// TestReadmeQueries runs the README's queries one after the other, exactly as
// printed, as the person each one names.
func TestReadmeQueries(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("README has %d queries, want at least 5", len(blocks))
	}
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		last := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)).printed(blocks)
		if n, _ := dig(last.Data, "clocks", "edges").([]any); len(n) != 3 {
			t.Errorf("the last query shows %d clocks, want 3: %s", len(n), fmt.Sprint(last.Data))
		}
	})
}

// printed runs queries as printed, each as the person it names, and returns the
// last answer.
func (o *office) printed(blocks [][]string) (last reply) {
	o.t.Helper()
	for _, b := range blocks {
		r, status := o.ask(b[1], b[2])
		if status != 200 || len(r.Errors) > 0 {
			o.t.Fatalf("%s as %s = %d %v", b[2], b[1], status, r.Errors)
		}
		for field, v := range r.Data {
			if refused, _ := dig(v, "userErrors").([]any); len(refused) > 0 {
				o.t.Errorf("%s as %s is refused: %v", field, b[1], refused)
			}
		}
		last = r
	}
	return last
}

// TestDocumentQueries runs the queries of every other document in the same way,
// each document in a house of its own.
func TestDocumentQueries(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := block.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			continue
		}
		found += len(blocks)
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			w := openWorkshop(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
			if filepath.Base(file) == "plugins.md" {
				w.greeter() // what the command lines of the document bring in
			}
			for i := range blocks {
				if strings.Contains(blocks[i][2], "approvePlugin") {
					w.tested("greeter")
				}
				w.printed(blocks[i : i+1])
			}
		})
	}
	if found < 5 {
		t.Errorf("the documents have %d queries, want at least 5", found)
	}
}
