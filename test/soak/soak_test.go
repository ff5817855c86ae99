// Package soak_test runs the whole product for virtual decades: one operator after
// another asks something at random, time passes, and again and again something
// fails. Nothing may be lost, done twice or left half done.
//
// The program runs inside a testing/synctest bubble, so that the system's own clock is
// virtual, on a real SQLite database. Everything is chosen by one seed: the same
// seed gives the same cases in the end, whatever faults came in between.
package soak_test

import (
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestSoak plays one seed and, the shorter form, plays it again: both must end alike.
// SPMS_SOAK_STEPS sets the number of steps (events of cases), SPMS_SOAK_SEED the seed.
func TestSoak(t *testing.T) {
	plan := plan{seed: number(t, "SPMS_SOAK_SEED", 1), steps: number(t, "SPMS_SOAK_STEPS", 500), years: 100}
	first := play(t, plan)
	t.Logf("seed %d: %s", plan.seed, first)
	if first.refused["INTERNAL"] > 0 {
		t.Errorf("%d requests met an internal error", first.refused["INTERNAL"])
	}
	if os.Getenv("SPMS_SOAK_STEPS") != "" {
		return
	}
	for _, verb := range []string{"startCase", "claimTask", "completeTask", "sendMessage", "returnTask", "addSigners", "signTask", "fetchTasks", "retryFailure", "skipFailure"} {
		if first.done[verb] == 0 {
			t.Errorf("%s was never done: the soak does not reach it", verb)
		}
	}
	if second := play(t, plan); second.digest != first.digest {
		t.Errorf("seed %d ends in %s and, played again, in %s: %s", plan.seed, first.digest, second.digest, second)
	}
}

// plan says what to play.
type plan struct{ seed, steps, years int }

// play plays a plan in a bubble of its own and returns what came of it.
func play(t *testing.T, p plan) outcome {
	t.Helper()
	dir := t.TempDir()
	var out outcome
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)))
		w := open(t, dir, p)
		defer func() { w.house.close(t) }()
		w.prepare()
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
