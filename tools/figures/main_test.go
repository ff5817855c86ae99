package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	const in = `goos: linux
pkg: github.com/openspms/spms/server
BenchmarkFilled
    bench_filled_test.go:41: sqlite: 1000 cases filled in 14s
BenchmarkFilled/sqlite/case-2    	      50	 503720369 ns/op	       231.1 ms@1000	         1.342 x@20000
BenchmarkResolve-16              	 1000000	      1042 ns/op
PASS
`
	const table = `    bench_filled_test.go:41: sqlite: 1000 cases filled in 14s

| Benchmark | Figures |
|---|---|
| Filled/sqlite/case | 231.1 ms@1000, 1.342 x@20000 |
| Resolve | 1042 ns/op |
`
	for _, tt := range []struct {
		name, in, want string
		code           int
	}{
		{"results", in, table, 0},
		{"a failed benchmark", "--- FAIL: BenchmarkX\n", "--- FAIL: BenchmarkX\n\n| Benchmark | Figures |\n|---|---|\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if code := run(strings.NewReader(tt.in), &out); code != tt.code || out.String() != tt.want {
				t.Errorf("run(%q) = %d\n%s\nwant %d\n%s", tt.in, code, out.String(), tt.code, tt.want)
			}
		})
	}
}
