package server_test

import (
	"fmt"
	"os"
	"regexp"
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
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		var last reply
		for _, b := range blocks {
			r, status := o.ask(b[1], b[2])
			if status != 200 || len(r.Errors) > 0 {
				t.Fatalf("%s as %s = %d %v", b[2], b[1], status, r.Errors)
			}
			for field, v := range r.Data {
				if refused, _ := dig(v, "userErrors").([]any); len(refused) > 0 {
					t.Errorf("%s as %s is refused: %v", field, b[1], refused)
				}
			}
			last = r
		}
		if n, _ := dig(last.Data, "clocks", "edges").([]any); len(n) != 3 {
			t.Errorf("the last query shows %d clocks, want 3: %s", len(n), fmt.Sprint(last.Data))
		}
	})
}
