package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	const (
		sqlite   = `{"Action":"pass","Package":"p","Test":"TestStore/sqlite/reads"}` + "\n"
		postgres = `{"Action":"pass","Package":"p","Test":"TestStore/postgres/reads"}` + "\n"
	)
	for _, tc := range []struct {
		name string
		in   string
		code int
		want []string
	}{
		{"both", sqlite + postgres, 0, []string{"sqlite       1 run", "postgres     1 run", "tests: 2 passed, 0 failed, 0 skipped\n"}},
		{"the last line of a package is shown", sqlite + postgres + `{"Action":"output","Package":"p","Output":"noise\n"}` + "\n" + `{"Action":"output","Package":"p","Output":"ok p 1s\n"}` + "\n" + `{"Action":"pass","Package":"p"}`, 0, []string{"ok p 1s"}},
		{"postgres skipped", sqlite + `{"Action":"skip","Package":"p","Test":"TestStore/postgres"}`, 1, []string{"1 skipped", "fewer tests"}},
		{"no database at all", `{"Action":"pass","Package":"p","Test":"TestOther"}`, 1, []string{"no test ran on SQLite"}},
		{"a name at the top is no database", `{"Action":"pass","Package":"p","Test":"sqlite"}`, 1, []string{"sqlite       0 run"}},
		{"a failure with its output", sqlite + postgres + `{"Action":"output","Package":"p","Test":"TestX","Output":"wrong sum\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestX"}`, 1, []string{"wrong sum", "some tests failed"}},
		{"a package that does not build", sqlite + postgres + `{"Action":"build-fail","ImportPath":"q"}`, 1, []string{"some tests failed"}},
		{"words of the build", sqlite + postgres + "go: downloading", 0, []string{"go: downloading"}},
	} {
		var out strings.Builder
		if code := run(strings.NewReader(tc.in), &out); code != tc.code {
			t.Errorf("%s: run() = %d, want %d; %s", tc.name, code, tc.code, out.String())
		}
		for _, w := range tc.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: run() prints %q, want %q in it", tc.name, out.String(), w)
			}
		}
	}
}
