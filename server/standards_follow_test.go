package server_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/store/storetest"
)

// cut is a clock that ends a context when it has been read so often, as a server
// that dies in the middle of its work.
type cut struct {
	clock.Clock
	reads atomic.Int32
	end   context.CancelFunc
}

func (c *cut) Now() time.Time {
	if c.reads.Add(-1) < 0 {
		c.end()
	}
	return c.Clock.Now()
}

// moves counts the audit entries of a case whose clocks followed a standard.
func (o *office) moves(number string) any {
	return o.get("auditor", fmt.Sprintf(`{ auditEntries(where: {operation: "applyStandard", subject: %q}) { totalCount } }`, o.caseID(number)),
		"auditEntries", "totalCount")
}

// TestInterruptedMoveIsTakenUpAgain cuts off the move of three running orders to
// a clause that applies at once. The next round moves the others,
// and each order moves once.
func TestInterruptedMoveIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		at := time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)
		o := openOffice(t, url, at)
		numbers := []string{"SO-1", "SO-2", "SO-3"}
		for _, number := range numbers {
			o.order(number)
		}
		o.clock.Set(o.tightened("immediate"))
		if _, err := o.house.Standards.Supersede(t.Context()); err != nil {
			t.Fatalf("Supersede() = %v", err)
		}

		ctx, end := context.WithCancel(t.Context())
		dying := &cut{Clock: o.clock, end: end}
		dying.reads.Store(2) // the list of versions, and the first order
		o.house.Door.Clock = dying
		first, err := o.house.Cases.ApplyImmediate(ctx)
		o.house.Door.Clock = o.clock
		if err == nil || first < 1 || first > 2 { // the second is on its way when the context ends
			t.Fatalf("ApplyImmediate() cut off = %d, %v, want one or two orders moved and an error", first, err)
		}
		if n, err := o.house.Cases.ApplyImmediate(t.Context()); err != nil || n != len(numbers)-first {
			t.Errorf("ApplyImmediate() again = %d, %v, want the other %d orders", n, err, len(numbers)-first)
		}
		if n, err := o.house.Cases.ApplyImmediate(t.Context()); err != nil || n != 0 {
			t.Errorf("ApplyImmediate() once more = %d, %v, want nothing left", n, err)
		}
		for _, number := range numbers {
			if due := instantOf(t, o.clocks(number)["ENT-FTTH-48H"]["dueAt"]); !due.Equal(at.Add(36*time.Hour)) || o.moves(number) != 1.0 {
				t.Errorf("%s is due %v after %v moves, want %v after one", number, due, o.moves(number), at.Add(36*time.Hour))
			}
		}
		o.verified()
	})
}

// TestClocksFollowTheirClause publishes a version in which one clock stands under
// another clause that applies at once, one has gone from such a clause, and one
// has changed under a clause that does not apply at once.
func TestClocksFollowTheirClause(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		at := time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)
		o := openOffice(t, url, at)
		o.order("SO-1")
		was := o.clocks("SO-1")
		o.must("hq-standard", "createStandardDraft", `fromVersionID: "ENT-HQ@1"`)
		revision := 0
		edit := func(field, input string) {
			revision++
			o.must("hq-standard", field, fmt.Sprintf(`versionID: "ENT-HQ@2", revision: %d, `, revision)+input)
		}
		edit("setClause", `number: "1.2", parent: "1", policy: "immediate", text: {zh: "当日装取消。", en: "No visits on the same day."}`)
		edit("removeIndicator", `code: "ENT-SAMEDAY-INSTALL"`)
		edit("setClause", `number: "1.5", parent: "1", policy: "immediate", text: {zh: "三十六小时。", en: "36 hours."}`)
		edit("setIndicator", `code: "ENT-FTTH-48H", clause: "1.5", name: {zh: "36小时竣工", en: "In 36 hours"}, kind: "enterprise_pledge", statistic: "max",
			comparator: "<=", value: 36, unit: "h", basis: "elapsed", startEvent: "order.accepted", stopEvent: "service.activated",
			services: ["home_broadband"], areas: ["any"]`)
		edit("setIndicator", `code: "ENT-ACTIVATE-URBAN-16WD", clause: "1.1", name: {zh: "城镇开通", en: "Urban"}, kind: "enterprise_pledge", statistic: "max",
			comparator: "<=", value: 12, unit: "working_day", basis: "working_days", startEvent: "order.accepted", stopEvent: "service.activated",
			services: ["internet_access"], areas: ["urban"]`)
		edit("submitStandard", "")
		o.must("hq-approver", "approveStandard", fmt.Sprintf(`versionID: "ENT-HQ@2", revision: %d`, revision+1))
		o.must("hq-approver", "publishStandard", fmt.Sprintf(`versionID: "ENT-HQ@2", revision: %d, effectiveFrom: %q`, revision+2, at.Format(time.RFC3339)))
		o.tick()

		now := o.clocks("SO-1")
		if c := now["ENT-SAMEDAY-INSTALL"]; c["state"] != "cancelled" {
			t.Errorf("the clock whose indicator is gone at once is %v, want cancelled", c["state"])
		}
		moved := now["ENT-FTTH-48H"]
		if due := instantOf(t, moved["dueAt"]); !due.Equal(at.Add(36*time.Hour)) || moved["clauseRef"] != "ENT-HQ 1.5" || moved["nature"] != "limit" {
			t.Errorf("the clock of the other clause is %v, want a limit of ENT-HQ 1.5 due %v", moved, at.Add(36*time.Hour))
		}
		if due := now["ENT-ACTIVATE-URBAN-16WD"]["dueAt"]; due != was["ENT-ACTIVATE-URBAN-16WD"]["dueAt"] {
			t.Errorf("the clock of a pinned clause moved from %v to %v", was["ENT-ACTIVATE-URBAN-16WD"]["dueAt"], due)
		}
		told := o.movedClocks("zz-agent", "SO-1")
		if len(told) != 2 {
			t.Fatalf("the agent is told of %v, want two clocks that were moved", told)
		}
		for code, want := range map[string]struct{ clause, to any }{"ENT-FTTH-48H": {"ENT-HQ 1.5", moved["dueAt"]}, "ENT-SAMEDAY-INSTALL": {"ENT-HQ 1.2", nil}} {
			got := told[code]
			if got["reason"] != "standard" || got["clauseRef"] != want.clause || got["to"] != want.to || got["from"] != was[code]["dueAt"] || got["versionID"] == "" {
				t.Errorf("the agent is told of %s: %v, want it moved by %v from %v to %v", code, got, want.clause, was[code]["dueAt"], want.to)
			}
		}
		o.verified()
	})
}

// movedClocks is what a person is told of due instants of a case that were moved
// from outside, by indicator.
func (o *office) movedClocks(person, number string) map[string]map[string]any {
	o.t.Helper()
	list, _ := o.get(person, fmt.Sprintf(`{ serviceCase(number: %q) { movedClocks { at reason indicatorCode clauseRef versionID from to } } }`, number),
		"serviceCase", "movedClocks").([]any)
	out := map[string]map[string]any{}
	for _, m := range list {
		said, _ := m.(map[string]any)
		out[fmt.Sprint(said["indicatorCode"])] = said
	}
	return out
}
