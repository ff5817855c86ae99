// Package soak_test runs the whole product for virtual decades: one operator after
// another asks something at random, time passes, and again and again something
// fails. Nothing may be lost, done twice or left half done.
//
// The program runs inside a testing/synctest bubble, so that the system's own clock is
// virtual, on a real SQLite database. Everything is chosen by one seed: the same
// seed gives the same cases in the end, whatever faults came in between.
package soak_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestSoak plays one seed and, the shorter form, plays it again: both must end alike.
// SPMS_SOAK_STEPS sets the number of steps (events of cases), SPMS_SOAK_SEED the seed.
func TestSoak(t *testing.T) {
	plan := plan{seed: number(t, "SPMS_SOAK_SEED", 1), steps: number(t, "SPMS_SOAK_STEPS", 2500), years: 100}
	if os.Getenv("SPMS_SOAK_STEPS") == "" {
		plan.years = 1 // as many steps a year as in the long form, or thereabouts
	}
	first := play(t, plan)
	t.Logf("seed %d: %s", plan.seed, first)
	if first.refused["INTERNAL"] > 0 {
		t.Errorf("%d requests met an internal error", first.refused["INTERNAL"])
	}
	long := os.Getenv("SPMS_SOAK_STEPS") != ""
	if long && plan.steps < enough {
		return
	}
	for _, kind := range []string{"answer lost", "client gone", "tick interrupted", "commit failed", "done but told failed"} {
		if first.failed[kind] == 0 {
			t.Errorf("nothing failed by %q", kind)
		}
	}
	for _, verb := range []string{"startCase", "claimTask", "completeTask", "sendMessage", "returnTask", "addSigners", "signTask", "fetchTasks", "failTask", "parkTask", "divertTask", "retryFailure", "skipFailure"} {
		if first.done[verb] == 0 {
			t.Errorf("%s was never done: the soak does not reach it", verb)
		}
	}
	if long {
		if want := plan.steps / 100; first.faults() < want || first.years < 99.9 || first.steps < plan.steps {
			t.Errorf("%d steps in %.1f years and %d faults, want %d, a hundred and %d", first.steps, first.years, first.faults(), plan.steps, want)
		}
		return
	}
	if second := play(t, plan); second.digest != first.digest {
		t.Errorf("seed %d ends in %s and, played again, in %s: %s", plan.seed, first.digest, second.digest, second)
	}
}

// enough is how many steps reach everything.
const enough = 100_000

// begin is when every run begins.
var begin = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

// plan says what to play.
type plan struct{ seed, steps, years int }

// play plays a plan in a bubble of its own and returns what came of it.
func play(t *testing.T, p plan) outcome {
	t.Helper()
	dir := folder(t)
	var out outcome
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(begin))
		w := open(t, dir, p, rand.NewPCG(uint64(p.seed), 1))
		defer func() { w.house.close(t) }()
		out = w.run()
	})
	return out
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q, want a number", name, text)
	}
	return n
}

// folder is where the database lies: in memory where there is such a folder, since no power
// is cut here, so that waiting for a disk would prove nothing (test/crash does that).
func folder(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("SPMS_SOAK_DIR"); dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("/dev/shm", "spms-soak-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
