package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGroupsWeigh lets two groups have their ordinary weight and give it back: together they
// have the least when neither needs more, and no file is left of them.
func TestGroupsWeigh(t *testing.T) {
	before := mayRaise
	mayRaise = func() bool { return false } // else priorities would do it
	defer func() { mayRaise = before }()
	all, err := openGroups()
	if err == nil && !slices.ContainsFunc(all.trees, func(x tree) bool { return slices.Contains(x.has, "cpu") }) {
		err = errors.Join(errors.New("the processor is not divided by groups"), all.remove())
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("control groups must be tested in CI: %v", err)
		}
		t.Skipf("SKIPPED, NOT TESTED HERE: this machine has no control groups for us: %v", err)
	}
	var dirs []string
	least := func() bool {
		for _, x := range all.trees {
			if !slices.Contains(x.has, "cpu") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(x.dir, "cpu.idle"))
			if !errors.Is(err, fs.ErrNotExist) {
				return strings.TrimSpace(string(text)) == "1"
			}
			name, value := weight(x.unified, false)
			text, err = os.ReadFile(filepath.Join(x.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(text)) == value
		}
		return false
	}
	want := func(is bool, after string) {
		t.Helper()
		if least() != is {
			t.Errorf("after %s the plugins have the least weight: %v, want %v", after, !is, is)
		}
	}
	one, err := all.New(GroupLimits{MemoryBytes: 64 << 20, Processes: 32})
	if err != nil {
		t.Fatal(err)
	}
	two, err := all.New(GroupLimits{MemoryBytes: 64 << 20, Processes: 32})
	if err != nil {
		t.Fatal(err)
	}
	dirs = append(one.folders(), two.folders()...)
	want(false, "the start of two")
	for _, step := range []struct {
		name string
		do   func() error
		is   bool
	}{
		{"one gives way", func() error { return one.Weigh(false) }, false},
		{"one gives way again", func() error { return one.Weigh(false) }, false},
		{"both give way", func() error { return two.Weigh(false) }, true},
		{"one needs it", func() error { return one.Weigh(true) }, false},
		{"the one that needs it ends", one.Remove, true},
		{"what has ended asks for it", func() error { return one.Weigh(true) }, true},
		{"the other needs it", func() error { return two.Weigh(true) }, false},
		{"the other ends", two.Remove, true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		want(step.is, step.name)
	}
	if err := all.remove(); err != nil {
		t.Error(err)
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
}
