package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/internal/workforce"
	"github.com/openspms/spms/server"
)

// A database of a million cases is made by SQL from a few that commands have made:
// every row of theirs is copied, with an id and a number of its own, in a city in
// turn. What a copy refers to is the copy beside it. Nothing is left out that the
// product writes but idempotency keys, and no constraint and index is missing in the
// end; while rows are copied they are put aside, since building them at once is faster.

// crowd says what is copied and how.
type crowd struct {
	url    string
	cases  []string      // ids of the cases to copy
	copies int           // of each
	places []place       // where the copies are, in turn
	every  time.Duration // how much later the clocks and timers of each copy are due than those of the one before
}

// place is a region as rows name it.
type place struct{ id, path string }

// crowdTables are the tables of a case in the order of their references, with the
// rows that belong to some cases.
var crowdTables = []struct{ name, of string }{
	{"service_cases", "id in (CASES)"},
	{"stage_visits", "case_id in (CASES)"},
	{"tokens", "case_id in (CASES)"},
	{"tasks", "case_id in (CASES)"},
	{"timer_rows", "case_id in (CASES)"},
	{"clocks", "case_id in (CASES)"},
	{"case_events", "case_id in (CASES)"},
	{"case_attributes", "case_id in (CASES)"},
	{"task_actions", "case_id in (CASES)"},
	{"audit_entries", "subject in (CASES) or subject in (select id from tasks where case_id in (CASES))"},
}

// crowdChunk is how many copies one transaction makes.
const crowdChunk = 20_000

// fill makes the copies. No house may be open on the database.
func (c crowd) fill(tb testing.TB) {
	tb.Helper()
	db, _ := bare(tb, c.url)
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	f := &filler{crowd: c, tb: tb, ctx: tb.Context(), conn: conn, lite: strings.HasPrefix(c.url, "sqlite:")}
	f.run()
}

// bare opens a database as no house does; at is the i-th parameter of a statement.
func bare(tb testing.TB, url string) (db *sql.DB, at func(i int) string) {
	tb.Helper()
	driver, source, mark := "pgx", url, "$"
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, source, mark = "sqlite", "file:"+file+"?_inttotime=1&_time_integer_format=unix_micro", "?"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		tb.Fatal(err)
	}
	return db, func(i int) string { return mark + strconv.Itoa(i) }
}

// filler is one run of fill on one connection.
type filler struct {
	crowd
	tb   testing.TB
	ctx  context.Context // lives as long as the run
	conn *sql.Conn
	lite bool
}

func (f *filler) run() {
	f.tb.Helper()
	if f.lite {
		f.exec("pragma locking_mode = exclusive", "pragma journal_mode = off", "pragma synchronous = off", "pragma cache_size = -1000000", "pragma temp_store = memory")
	} else {
		f.exec("set session_replication_role = replica", "set synchronous_commit = off", "set maintenance_work_mem = '512MB'")
	}
	f.templates()
	indexes := f.indexes()
	if f.copies >= crowdChunk/2 {
		for _, x := range indexes {
			f.exec("drop index " + x.name)
		}
	}
	for from := 0; from < f.copies; from += crowdChunk {
		f.copyRows(from, min(from+crowdChunk, f.copies))
	}
	if f.copies >= crowdChunk/2 {
		for _, x := range indexes {
			f.exec(x.statement)
		}
	}
	if again := f.indexes(); !slices.Equal(again, indexes) {
		f.tb.Fatalf("the filled database has the indexes %v, had %v", again, indexes)
	}
	if !f.lite {
		f.exec("vacuum analyze") // as the server does by itself before long; nobody does it for SQLite
	} else {
		if f.copies < crowdChunk/2 {
			f.whole()
		}
		f.exec("pragma journal_mode = wal")
	}
}

// whole checks that every reference of SQLite leads to a row.
func (f *filler) whole() {
	f.tb.Helper()
	rows, err := f.conn.QueryContext(f.ctx, "pragma foreign_key_check")
	if err != nil {
		f.tb.Fatal(err)
	}
	defer rows.Close()
	if rows.Next() {
		f.tb.Fatal("a copied row refers to no row")
	}
	if err := rows.Err(); err != nil {
		f.tb.Fatal(err)
	}
}

func (f *filler) exec(statements ...string) {
	f.tb.Helper()
	for _, s := range statements {
		if _, err := f.conn.ExecContext(f.ctx, s); err != nil {
			f.tb.Fatalf("%s: %v", s, err)
		}
	}
}

// list runs a query of strings.
func (f *filler) list(query string) [][]string {
	f.tb.Helper()
	rows, err := f.conn.QueryContext(f.ctx, query)
	if err != nil {
		f.tb.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		f.tb.Fatal(err)
	}
	var out [][]string
	for rows.Next() {
		row, into := make([]string, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			f.tb.Fatal(err)
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		f.tb.Fatal(err)
	}
	return out
}

// index is an index and the statement that makes it.
type index struct{ name, statement string }

// indexes are those of the tables of a case that no primary key has made.
func (f *filler) indexes() []index {
	f.tb.Helper()
	var names []string
	for _, t := range crowdTables {
		names = append(names, "'"+t.name+"'")
	}
	query := "select indexname, indexdef from pg_indexes where schemaname = 'public' and indexname not like '%_pkey' and tablename in (" + strings.Join(names, ", ") + ") order by indexname"
	if f.lite {
		query = "select name, sql from sqlite_master where type = 'index' and sql is not null and tbl_name in (" + strings.Join(names, ", ") + ") order by name"
	}
	var out []index
	for _, row := range f.list(query) {
		out = append(out, index{row[0], row[1]})
	}
	return out
}

// templates puts the rows to copy and the places into tables of the connection.
func (f *filler) templates() {
	f.tb.Helper()
	cases := "'" + strings.Join(f.cases, "', '") + "'"
	for _, t := range crowdTables {
		f.exec(fmt.Sprintf("create temporary table crowd_%s as select * from %s where %s", t.name, t.name, strings.ReplaceAll(t.of, "CASES", cases)))
	}
	f.exec("create temporary table crowd_place (n integer primary key, id text, path text)")
	for i, p := range f.places {
		f.exec(fmt.Sprintf("insert into crowd_place values (%d, '%s', '%s')", i, p.id, p.path))
	}
	f.exec("create temporary table crowd_copy (n integer primary key, suffix text, region_id text, region_path text)")
}

// copyRows makes the copies from one number to before another.
func (f *filler) copyRows(from, to int) {
	f.tb.Helper()
	numbers, digits := fmt.Sprintf("select n, lpad(n::text, 8, '0') as digits from generate_series(%d, %d) n", from, to-1), "digits"
	if f.lite {
		numbers = fmt.Sprintf("with recursive k(n) as (select %d union all select n + 1 from k where n + 1 < %d) select n, printf('%%08d', n) as digits from k", from, to)
	}
	f.exec("begin", "delete from crowd_copy", fmt.Sprintf("insert into crowd_copy select m.n, %s, p.id, p.path from (%s) m join crowd_place p on p.n = m.n %% %d", digits, numbers, len(f.places)))
	for _, t := range crowdTables {
		columns := f.columns(t.name)
		var values []string
		for _, c := range columns {
			values = append(values, f.value(t.name, c))
		}
		f.exec(fmt.Sprintf(`insert into %s ("%s") select %s from crowd_copy c cross join crowd_%s t order by c.n`, t.name, strings.Join(columns, `", "`), strings.Join(values, ", "), t.name))
	}
	f.exec("commit")
}

func (f *filler) columns(table string) []string {
	f.tb.Helper()
	rows, err := f.conn.QueryContext(f.ctx, "select * from "+table+" limit 0")
	if err != nil {
		f.tb.Fatal(err)
	}
	defer rows.Close()
	out, err := rows.Columns()
	if err != nil || rows.Err() != nil {
		f.tb.Fatal(err, rows.Err())
	}
	return out
}

// value is what a copy has in a column of a table.
func (f *filler) value(table, column string) string {
	own := `t."` + column + `"`
	switch column {
	case "id", "case_id", "task_id", "shadowed_by_id", "caller_id", "number", "subject":
		if table == "case_attributes" && column == "number" {
			return own + " + c.n"
		}
		return own + " || c.suffix"
	case "region_id", "region_path":
		if table == "audit_entries" {
			return own
		}
		return "c." + column
	case "due_at", "due_order", "next_at", "warn_at":
		if f.lite {
			return fmt.Sprintf("case when %s < 4102444800000000 then %s + c.n * %d else %s end", own, own, f.every.Microseconds(), own)
		}
		return fmt.Sprintf("case when %s < '2100-01-01' then %s + c.n * interval '%d microseconds' else %s end", own, own, f.every.Microseconds(), own)
	}
	return own
}

// country adds provinces and cities to the sample's until there are 31 of eleven
// cities each, as large as the real one, and returns the cities.
func country(tb testing.TB, h *server.House) []place {
	tb.Helper()
	ctx := access.With(tb.Context(), access.System("bench"))
	known := map[string]place{}
	rows, err := h.Store.Client().Region.Query().All(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range rows {
		known[r.Code] = place{r.ID, r.RegionPath}
	}
	add := func(code, level string, parent place) place {
		id, err := h.Workforce.CreateRegion(ctx, workforce.CreateRegion{Code: code, ParentID: &parent.id, Level: level, NameZh: code, NameEn: code})
		if err != nil {
			tb.Fatal(err)
		}
		return place{id, parent.path + code + "/"}
	}
	cities := []place{known["CN-HA-ZZ"], known["CN-HA-NY"], known["CN-CQ-YB"]}
	for p := range 31 {
		code, has := fmt.Sprintf("CN-%02d", p), 0
		switch p {
		case 0:
			code, has = "CN-HA", 2
		case 1:
			code, has = "CN-CQ", 1
		default:
			known[code] = add(code, "province", known["CN"])
		}
		for c := has; c < 11; c++ {
			cities = append(cities, add(fmt.Sprintf("%s-%02d", code, c), "city", known[code]))
		}
	}
	return cities
}

// lives starts ten cases of many kinds in Zhengzhou and returns their ids: five of two
// open tasks and a timer each, a fibre order with its clocks, and four that have ended.
func lives(tb testing.TB, h *server.House) []string {
	tb.Helper()
	ctx := access.With(tb.Context(), access.System("bench"))
	var out []string
	start := func(in execution.StartCase) {
		made, err := h.Cases.StartCase(ctx, in)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, made.CaseID)
	}
	for i, channel := range []string{"app", "hotline", "store", "grid", "app"} {
		start(execution.StartCase{ProcessKey: "bench-pair", RegionID: "CN-HA-ZZ", Variables: map[string]any{"case": map[string]any{"channel": channel, "fee": float64(i) / 10}}})
	}
	start(execution.StartCase{ProcessKey: "ftth-install", RegionID: "CN-HA-ZZ", Variables: map[string]any{"case": map[string]any{"channel": "app", "plan": "300M", "planMbps": 300}}})
	for range 3 {
		start(execution.StartCase{ProcessKey: "bench-straight", RegionID: "CN-HA-ZZ"})
	}
	start(execution.StartCase{ProcessKey: "bench-human", RegionID: "CN-HA-ZZ"})
	agent := as(tb, h, "zz-agent")
	for i := range 5 {
		node := fmt.Sprintf("a%d", i)
		row, err := h.Store.Client().ServiceCase.Get(ctx, out[len(out)-1])
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := h.Cases.ClaimTask(agent, execution.TaskRef{CaseNumber: &row.Number, NodeID: &node}); err != nil {
			tb.Fatal(err)
		}
		if _, err := h.Cases.CompleteTask(agent, execution.CompleteTask{CaseNumber: &row.Number, NodeID: &node}); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// crowded opens a house of about so many cases under a clock that stands, in all
// cities of the country.
func crowded(tb testing.TB, url string, cases int) (*server.House, *clock.Manual) {
	tb.Helper()
	c := clock.NewManual(benchDay)
	h := reopen(tb, url, c)
	furnish(tb, h)
	cities, kinds := country(tb, h), lives(tb, h)
	if err := h.Close(); err != nil {
		tb.Fatal(err)
	}
	crowd{url: url, cases: kinds, copies: cases / len(kinds), places: cities, every: 7 * time.Second}.fill(tb)
	h = reopen(tb, url, c)
	tb.Cleanup(func() { _ = h.Close() })
	return h, c
}

// sizes reads numbers from a variable of the environment, such as 10000,100000.
func sizes(tb testing.TB, variable string, otherwise ...int) []int {
	tb.Helper()
	given := os.Getenv(variable)
	if given == "" {
		return otherwise
	}
	var out []int
	for _, s := range strings.Split(given, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			tb.Fatalf("%s=%s: want numbers such as 10000,100000", variable, given)
		}
		out = append(out, n)
	}
	return out
}

// TestCrowdIsReal fills a database and lets the product's own verification play every
// copied case again; a copied task can be worked.
func TestCrowdIsReal(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		c := clock.NewManual(benchDay)
		h := reopen(t, url, c)
		furnish(t, h)
		kinds := lives(t, h)
		zz, err := h.Store.Client().Region.Query().All(as(t, h, "zz-agent"))
		if err != nil {
			t.Fatal(err)
		}
		var home place
		for _, r := range zz {
			if r.Code == "CN-HA-ZZ" {
				home = place{r.ID, r.RegionPath}
			}
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		crowd{url: url, cases: kinds, copies: 12, places: []place{home}}.fill(t)
		h = reopen(t, url, c)
		defer func() { _ = h.Close() }()
		agent := as(t, h, "zz-agent")
		number := ""
		for _, row := range h.Store.Client().ServiceCase.Query().AllX(agent) {
			if row.ID == kinds[0]+"00000007" {
				number = row.Number
			}
		}
		node := "a0"
		if _, err := h.Cases.ClaimTask(agent, execution.TaskRef{CaseNumber: &number, NodeID: &node}); err != nil {
			t.Errorf("ClaimTask(%s of the copy %q) = %v", node, number, err)
		}
		report, err := h.Cases.Verify(access.With(t.Context(), access.System("verify")), func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		if report.Cases != 130 || len(report.Violations) > 0 {
			t.Errorf("Verify() of the copies finds %d cases and %v, want 130 and nothing", report.Cases, report.Violations)
		}
	})
}
