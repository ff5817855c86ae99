package arch_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/openspms/spms/internal/arch"
)

// rules are all rules by the name of their folder in testdata.
var rules = map[string]func(*arch.Tree) []arch.Violation{
	"floors":    arch.Floors,
	"owners":    arch.Owners,
	"pure":      arch.Pure,
	"names":     arch.Names,
	"writes":    arch.Writes,
	"comments":  arch.Comments,
	"described": arch.Described,
	"fields":    arch.Fields,
}

func TestHouse(t *testing.T) {
	t.Parallel()
	tree, err := arch.Parse(os.DirFS(filepath.Join("..", "..")))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Packages) < 20 {
		t.Fatalf("Parse found %d packages: it looks at the wrong folder", len(tree.Packages))
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, v := range rule(tree) {
				t.Error(v)
			}
		})
	}
}

// TestSeededViolations shows each rule at work: testdata/RULE/*.txtar holds
// small houses, each with what the rule must find in it in the file "want".
func TestSeededViolations(t *testing.T) {
	t.Parallel()
	for name, rule := range rules {
		files, err := filepath.Glob(filepath.Join("testdata", name, "*.txtar"))
		if err != nil || len(files) == 0 {
			t.Errorf("rule %s has no seeded violation: %v", name, err)
		}
		for _, file := range files {
			t.Run(name+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				t.Parallel()
				house := archive(t, file)
				want := lines(string(house["want"].Data))
				delete(house, "want")
				tree, err := arch.Parse(house)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, v := range rule(tree) {
					got = append(got, v.String())
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%s finds\n\t%s\nwant\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
				}
			})
		}
	}
}

func TestParseRefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	if _, err := arch.Parse(fstest.MapFS{"a/a.go": {Data: []byte("package")}}); err == nil {
		t.Error("Parse(broken file) = nil, want an error")
	}
}

// archive reads files in one: "-- name --" begins each.
func archive(t *testing.T, file string) fstest.MapFS {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, name := fstest.MapFS{}, ""
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(n, " --") {
			name = strings.TrimSuffix(n, " --")
			out[name] = &fstest.MapFile{}
			continue
		}
		if name != "" {
			out[name].Data = append(out[name].Data, line...)
		}
	}
	if out["want"] == nil {
		t.Fatalf("%s has no file want", file)
	}
	return out
}

func lines(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return out
}
