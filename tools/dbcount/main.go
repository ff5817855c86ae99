// Command dbcount reads the output of "go test -json" and says which tests ran
// on which database. Its exit code is 1 when a test failed, when there was no
// test of SQLite, or when fewer tests ran on PostgreSQL than on SQLite: a
// skipped half of a suite must not look like success. It finds the database in
// the names of subtests, …/sqlite/… and …/postgres/…, and knows no test itself.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// count is how the tests of one database ended.
type count struct{ passed, failed, skipped int }

func (c count) ran() int { return c.passed + c.failed }

func main() { os.Exit(run(os.Stdin, os.Stdout)) }

// run reads events from in, writes the output of failed tests and a summary to
// out and returns the exit code.
func run(in io.Reader, out io.Writer) int {
	counts, all := map[string]*count{"sqlite": {}, "postgres": {}}, &count{}
	output := map[string][]string{} // of tests that have not ended yet
	broken := false
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // the build's own words
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
			continue
		case "pass", "skip", "fail":
			if e.Action == "fail" {
				broken = true
				fmt.Fprint(out, strings.Join(output[key], ""))
			} else if e.Test == "" {
				last := output[key]
				fmt.Fprint(out, strings.Join(last[max(0, len(last)-1):], "")) // "ok package time"
			}
			delete(output, key)
		case "build-fail":
			broken = true
			fmt.Fprint(out, strings.Join(output[key], ""))
		}
		if c := counts[database(e.Test)]; c != nil {
			c.add(e.Action)
		}
		if e.Test != "" {
			all.add(e.Action)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(out, "read the test output:", err)
		return 1
	}
	code := judge(counts, broken, out)
	fmt.Fprintf(out, "tests: %d passed, %d failed, %d skipped\n", all.passed, all.failed, all.skipped)
	return code
}

func (c *count) add(action string) {
	switch action {
	case "pass":
		c.passed++
	case "fail":
		c.failed++
	case "skip":
		c.skipped++
	}
}

// database returns the database a test ran on, "" when its name tells none.
func database(test string) string {
	parts := strings.Split(test, "/")
	for _, db := range []string{"sqlite", "postgres"} {
		if slices.Contains(parts[1:], db) {
			return db
		}
	}
	return ""
}

func judge(counts map[string]*count, broken bool, out io.Writer) int {
	code := 0
	for _, db := range []string{"sqlite", "postgres"} {
		c := counts[db]
		fmt.Fprintf(out, "tests on %-8s  %4d run, %d failed, %d skipped\n", db, c.ran(), c.failed, c.skipped)
	}
	if broken {
		fmt.Fprintln(out, "some tests failed")
		code = 1
	}
	if counts["sqlite"].ran() == 0 {
		fmt.Fprintln(out, "no test ran on SQLite: are the subtests still called sqlite and postgres?")
		code = 1
	}
	if counts["postgres"].ran() < counts["sqlite"].ran() {
		fmt.Fprintln(out, "fewer tests ran on PostgreSQL than on SQLite")
		code = 1
	}
	return code
}
