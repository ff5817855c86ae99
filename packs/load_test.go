package packs_test

import (
	"testing"

	"github.com/openspms/spms/internal/norm"
	"github.com/openspms/spms/packs"
)

// BenchmarkReadStandards is the cost of reading every shipped standard at start.
func BenchmarkReadStandards(b *testing.B) {
	n, err := packs.Norms()
	if err != nil {
		b.Fatal(err)
	}
	entries, err := packs.FS.ReadDir("norm")
	if err != nil {
		b.Fatal(err)
	}
	var files [][]byte
	for _, e := range entries {
		if e.IsDir() || e.Name() == "vocabulary.yaml" {
			continue
		}
		text, err := packs.FS.ReadFile("norm/" + e.Name())
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, text)
	}
	for b.Loop() {
		for _, f := range files {
			if _, err := norm.ParseStandard(f, n.Vocabulary); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(files)*b.N)/b.Elapsed().Seconds(), "standards/s")
}
