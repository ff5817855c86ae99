package server_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
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

// TestAnswersReadWhatIsAsked sends a command again and again under one key, and finds that
// its answer reads what is asked of it, by whatever name, and nothing else.
func TestAnswersReadWhatIsAsked(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.order("SO-1")
		id := o.get("zz-dispatcher", `{ worklist(first: 1) { edges { node { id } } } }`, "worklist", "edges", 0, "node", "id")
		claim := fmt.Sprintf(`mutation { claimTask(input: {taskID: %q, idempotencyKey: "k"})`, id)
		o.get("zz-dispatcher", claim+` { userErrors { code } } }`)
		count := func(query string, path ...any) (statements int64, found any) {
			before := o.house.Store.Statements()
			found = o.get("zz-dispatcher", query, path...)
			return o.house.Store.Statements() - before, found
		}
		bare, _ := count(claim + ` { userErrors { code } } }`)
		for _, tt := range []struct {
			name, query string
			more        int64
			path        []any
		}{
			{"a task", claim + ` { task { id } } }`, 1, []any{"claimTask", "task", "id"}},
			{"a task by another name in a fragment", claim + ` { ...f } } fragment f on TaskPayload { mine: task { id } }`, 1, []any{"claimTask", "mine", "id"}},
			{"a case", claim + ` { serviceCase { number } } }`, 1, []any{"claimTask", "serviceCase", "number"}},
			{"both", claim + ` { task { id } serviceCase { number } } }`, 2, []any{"claimTask", "task", "id"}},
		} {
			n, found := count(tt.query, tt.path...)
			if n != bare+tt.more || found == nil {
				t.Errorf("%s: %d statements answer %v, want %d", tt.name, n, found, bare+tt.more)
			}
		}
	})
}

// TestCommandsReadTheirCase lets people work in a database that fills without being
// analysed: no command reads the cases, tasks or tokens of others, even by a plan that was
// made when there were few.
func TestCommandsReadTheirCase(t *testing.T) {
	t.Parallel()
	const few, crowd, worked = 12, 400, 20
	url := storetest.PostgresURL(t)
	h := reopen(t, url, clock.NewManual(time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)))
	furnish(t, h)
	ctx := as(t, h, "zz-agent")
	start := func() (task string) {
		made, err := h.Cases.StartCase(ctx, execution.StartCase{ProcessKey: "bench-human", RegionID: "CN-HA-ZZ"})
		if err != nil {
			t.Fatal(err)
		}
		row, err := h.Store.Client().ServiceCase.Get(ctx, made.CaseID)
		if err == nil {
			task, err = row.QueryTasks().OnlyID(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		return task
	}
	work := func(task string) {
		if _, err := h.Cases.ClaimTask(ctx, execution.TaskRef{TaskID: &task}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Cases.CompleteTask(ctx, execution.CompleteTask{TaskID: &task}); err != nil {
			t.Fatal(err)
		}
	}
	for range few {
		work(start())
	}
	tasks := make([]string, crowd)
	for i := range tasks {
		tasks[i] = start()
	}
	for _, task := range tasks[:worked] {
		work(task)
	}
	for table, n := range rowsReadInTurn(t, h, url) {
		t.Logf("%d rows of %s", n, table)
		if n > crowd { // one statement of a command that reads all is twenty times that
			t.Errorf("%d rows of %s have been read one after the other, want them found by an index", n, table)
		}
	}
}

// rowsReadInTurn closes a house and returns how many rows of the tables of cases PostgreSQL
// has read without an index since the database was made. What a connection has done is
// counted for certain when it has ended.
func rowsReadInTurn(t *testing.T, h *server.House, url string) map[string]int {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for others := 1; others > 0; {
		if err := db.QueryRow("select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'").Scan(&others); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.Query("select relname, seq_tup_read from pg_stat_user_tables where relname in ('service_cases', 'tasks', 'tokens', 'clocks', 'timer_rows', 'case_events')")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var table string
		var n int
		if err := rows.Scan(&table, &n); err != nil {
			t.Fatal(err)
		}
		out[table] = n
	}
	if err := rows.Err(); err != nil || len(out) != 6 {
		t.Fatalf("%d tables (%v), want 6", len(out), err)
	}
	return out
}
