package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// damage changes rows behind the product's back, as a faulty disk or hand does.
func damage(t *testing.T, url, statement string) {
	t.Helper()
	driver, source := "pgx", url
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+file+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	result, err := db.ExecContext(context.WithoutCancel(t.Context()), statement)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%s changed %d rows, %v, want 1", statement, n, err)
	}
}

// TestDamagedCaseHoldsUpNoOther lets the timer of one order fail at every tick:
// the error names the case, the timers due after it fire all the same, and it
// fires itself once the row is whole again.
func TestDamagedCaseHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		slot := o.clock.Now().Add(48 * time.Hour)
		for i, number := range []string{"SO-1", "SO-2", "SO-3"} {
			o.order(number)
			o.work("zz-dispatcher", number, "a_disp", "")
			o.work("zz-store", number, "a_stock", "")
			o.must("zz-agent", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "slot.chosen", payload: {slotStart: %q}`,
				number, slot.Add(time.Duration(i)*time.Hour).Format(time.RFC3339)))
		}
		at := func(number string) any {
			return o.get("demo-admin", fmt.Sprintf(`{ serviceCase(number: %q) { tokens { edges { node { nodeID } } } } }`, number),
				"serviceCase", "tokens", "edges", 0, "node", "nodeID")
		}
		waiting := at("SO-1")
		whole := o.caseID("SO-1")
		damage(t, url, fmt.Sprintf("update service_cases set variables = '[1]' where id = '%s'", whole))
		o.clock.Set(slot.Add(3 * time.Hour))
		for range 2 {
			if err := o.house.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), whole) {
				t.Fatalf("Tick() over a damaged case = %v, want an error that names %s", err, whole)
			}
		}
		if at("SO-2") == waiting || at("SO-3") == waiting {
			t.Errorf("the orders due after the damaged one wait at %v and %v, want both gone on", at("SO-2"), at("SO-3"))
		}
		damage(t, url, fmt.Sprintf("update service_cases set variables = '{}' where id = '%s'", whole))
		o.tick()
		if at("SO-1") == waiting {
			t.Errorf("the order whose row is whole again still waits at %v", waiting)
		}
	})
}

// TestEachMutationShowsWhatItLeft completes a task in the document that claims
// it: the second payload shows evidence and actions as they are after it.
func TestEachMutationShowsWhatItLeft(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.order("SO-1")
		shown := `{ task { evidenceRequired { kind given } form { fields { variable value } } availableActions { action allowed } } userErrors { code } }`
		for _, step := range []struct{ person, node string }{{"zz-dispatcher", "a_disp"}, {"zz-store", "a_stock"}} {
			o.work(step.person, "SO-1", step.node, "")
		}
		slot := o.clock.Now().Add(48 * time.Hour)
		o.must("zz-agent", "sendMessage", fmt.Sprintf(`caseNumber: "SO-1", name: "slot.chosen", payload: {slotStart: %q}`, slot.Format(time.RFC3339)))
		o.clock.Set(slot)
		o.tick()
		task := `caseNumber: "SO-1", nodeID: "a_visit"`
		r, _ := o.ask("zz-tech", fmt.Sprintf(`mutation { claimTask(input: {%s}) %s
			completeTask(input: {%s, variables: {visit: {result: "installed"}}, evidence: [{kind: "上门签到定位", content: "x"}, {kind: "光功率读数", content: "-21"}, {kind: "安装照片", content: "x"}]}) %s }`,
			task, shown, task, shown))
		for field, want := range map[string]bool{"claimTask": false, "completeTask": true} {
			if got := dig(r.Data, field, "task", "evidenceRequired", 0, "given"); got != want {
				t.Errorf("%s shows evidence as given: %v, want %v (%v %v)", field, got, want, r.Data, r.Errors)
			}
		}
		if before, after := fmt.Sprint(dig(r.Data, "claimTask", "task", "form")), fmt.Sprint(dig(r.Data, "completeTask", "task", "form")); before == after {
			t.Errorf("the form shows %s before and after the completion", after)
		}
	})
}
