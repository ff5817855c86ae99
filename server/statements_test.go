package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
)

// boardQuery is what a supervisor's board asks: cases with their tasks, clocks
// with what they shadow, and the people on the tasks.
const boardQuery = `{ serviceCases(first: %d) { totalCount edges { node { number stage flags { rule } movedClocks { at reason } region { code nameZh }
	tasks(first: 5) { edges { node { nameZh state dueAt assignee { name } evidenceRequired { kind given } availableActions { action allowed refused { code } } form { fields { variable value } } } } }
	clocks(first: 5) { edges { node { indicatorCode dueAt state clauseRef shadowedBy { indicatorCode } pauses(first: 2) { edges { node { reason } } } } } }
	stages(first: 5) { edges { node { stage enteredAt } } } } } } }`

// cases starts n fibre orders and leads them to their first clocks.
func (o *office) cases(n int) {
	o.t.Helper()
	ctx := access.With(o.t.Context(), access.System("test"))
	for range n {
		_, err := o.house.Cases.StartCase(ctx, execution.StartCase{
			ProcessKey: "ftth-install", RegionID: "CN-HA-ZZ",
			Variables: map[string]any{"case": map[string]any{"channel": "app", "plan": "300M", "planMbps": 300}},
		})
		if err != nil {
			o.t.Fatalf("StartCase() = %v", err)
		}
	}
}

// TestStatementsAreConstant asks the board's nested query for 10 and for 100
// cases and finds that it takes the same number of SQL statements.
func TestStatementsAreConstant(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.order("SO-1")
		o.cases(100)
		count := func(rows int) int64 {
			query := fmt.Sprintf(boardQuery, rows)
			o.get("ha-supervisor", query) // viewer, models and prepared statements are cached by the first
			before := o.house.Store.Statements()
			got, _ := o.get("ha-supervisor", query, "serviceCases", "edges").([]any)
			if len(got) != rows {
				t.Fatalf("the board shows %d cases, want %d", len(got), rows)
			}
			return o.house.Store.Statements() - before
		}
		ten, hundred := count(10), count(100)
		t.Logf("%d statements for 10 cases, %d for 100", ten, hundred)
		if ten != hundred {
			t.Errorf("%d statements for 10 cases and %d for 100, want the same", ten, hundred)
		}
	})
}
