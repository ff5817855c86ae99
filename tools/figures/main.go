// Command figures reads the output of benchmarks and prints one table of them, in
// Markdown: a line for each benchmark with the figures it reports, beside their
// units. The nanoseconds of an operation are left out where a benchmark says more.
// Lines that are no results, such as what a failed benchmark says, are printed as
// they are; its exit code is 1 when one failed.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() { os.Exit(run(os.Stdin, os.Stdout)) }

// run reads results from in, writes the table to out and returns the exit code.
func run(in io.Reader, out io.Writer) int {
	code := 0
	var rows [][2]string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		name, figures, ok := result(line)
		switch {
		case ok:
			rows = append(rows, [2]string{name, figures})
		case strings.Contains(line, "FAIL"), strings.Contains(line, "panic:"):
			code = 1
			fmt.Fprintln(out, line)
		case strings.HasPrefix(line, "    "):
			fmt.Fprintln(out, line)
		}
	}
	fmt.Fprintf(out, "\n| Benchmark | Figures |\n|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(out, "| %s | %s |\n", r[0], r[1])
	}
	return code
}

// result takes a line of a benchmark apart: its name without the number of
// processors, its figures with their units; false for any other line.
func result(line string) (name, figures string, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
		return "", "", false
	}
	name = strings.TrimPrefix(fields[0], "Benchmark")
	if i := strings.LastIndex(name, "-"); i > 0 {
		name = name[:i]
	}
	var said []string
	for pair := range slices.Chunk(fields[2:], 2) {
		if pair[1] != "ns/op" || len(fields) == 4 {
			said = append(said, pair[0]+" "+pair[1])
		}
	}
	return name, strings.Join(said, ", "), true
}
