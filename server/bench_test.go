package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// databases are what every benchmark of rows runs on.
var databases = []struct {
	name string
	url  func(testing.TB) string
}{{"sqlite", storetest.SQLiteURL}, {"postgres", storetest.PostgresURL}}

// chain is a process of n nodes of one kind in a row, between start and end.
func chain(key string, n int, node func(id string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:spms="https://openspms.org/schema/bpmn/1.0"
		xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="d" targetNamespace="bench"><bpmn:process id=%q name=%q isExecutable="true">
		<bpmn:extensionElements><spms:process key=%q nameEn=%q serviceType="telecom" calendar="cn-statutory"/>
		<spms:variable name="n.count" type="int" labelZh="计数" labelEn="Count" default="0"/></bpmn:extensionElements>
		<bpmn:startEvent id="s" name="开始"><bpmn:extensionElements><spms:task nameEn="Start" stage="demand"/><spms:event name="agent.requested" on="enter"/></bpmn:extensionElements><bpmn:outgoing>f0</bpmn:outgoing></bpmn:startEvent>`,
		key, key, key, key)
	last := "s"
	for i := range n {
		id := fmt.Sprintf("a%d", i)
		fmt.Fprintf(&b, `<bpmn:sequenceFlow id="f%d" sourceRef=%q targetRef=%q/>%s`, i, last, id, fmt.Sprintf(node(id), i, i+1))
		last = id
	}
	fmt.Fprintf(&b, `<bpmn:sequenceFlow id="f%d" sourceRef=%q targetRef="e"/><bpmn:endEvent id="e" name="结束"><bpmn:extensionElements><spms:task nameEn="End" stage="demand"/><spms:event name="agent.answered" on="enter"/>
		</bpmn:extensionElements><bpmn:incoming>f%d</bpmn:incoming></bpmn:endEvent></bpmn:process></bpmn:definitions>`, n, last, n)
	return b.String()
}

func scriptNode(id string) string {
	return `<bpmn:scriptTask id="` + id + `" name="计算" scriptFormat="CEL"><bpmn:extensionElements><spms:task nameEn="Count" stage="demand"/><spms:result variable="n.count"/></bpmn:extensionElements>` +
		`<bpmn:incoming>f%d</bpmn:incoming><bpmn:outgoing>f%d</bpmn:outgoing><bpmn:script>n.count + 1</bpmn:script></bpmn:scriptTask>`
}

func humanNode(id string) string {
	return `<bpmn:userTask id="` + id + `" name="办理"><bpmn:extensionElements><spms:task nameEn="Work" stage="demand" role="agent"/><spms:evidence kind="记录" media="text" required="false"/></bpmn:extensionElements>` +
		`<bpmn:incoming>f%d</bpmn:incoming><bpmn:outgoing>f%d</bpmn:outgoing></bpmn:userTask>`
}

// benchHouse is a seeded house under a clock that stands, with the two bench
// processes published and bound to Zhengzhou.
func benchHouse(b testing.TB, url string) *server.House {
	b.Helper()
	h, err := server.OpenHouse(b.Context(), url, clock.NewManual(time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Close() })
	if err := h.Seed(b.Context()); err != nil {
		b.Fatal(err)
	}
	author, publisher := as(b, h, "hq-standard"), as(b, h, "hq-approver")
	for key, node := range map[string]func(string) string{"bench-straight": scriptNode, "bench-human": humanNode} {
		made, err := h.Definitions.CreateProcess(author, definition.CreateProcess{RegionID: "CN", BPMN: chain(key, 5, node)})
		if err == nil {
			_, err = h.Definitions.Submit(author, definition.Submit{VersionID: made.VersionID, Revision: 1})
		}
		if err == nil {
			_, err = h.Definitions.Publish(publisher, definition.Publish{VersionID: made.VersionID, Revision: 2})
		}
		if err == nil {
			_, err = h.Definitions.Bind(publisher, definition.Bind{VersionID: made.VersionID, RegionID: "CN-HA-ZZ"})
		}
		if err != nil {
			b.Fatalf("publish %s: %v", key, err)
		}
	}
	return h
}

// as lets a sample person act.
func as(tb testing.TB, h *server.House, code string) context.Context {
	tb.Helper()
	v, err := h.Workforce.Viewer(tb.Context(), code, h.Door.Clock.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return access.With(tb.Context(), v)
}

// eachClient runs work b.N times, spread over a number of clients.
func eachClient(b *testing.B, clients int, work func() error) {
	b.Helper()
	var next atomic.Int64
	var running sync.WaitGroup
	b.ResetTimer()
	for range clients {
		running.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := work(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.StopTimer()
}

// BenchmarkSteps measures durable steps, five to a case, on each database: of a
// process of five script tasks, done in the transaction of its start; of five
// human tasks, each completed by a command of its own; and of the same five human
// steps done the naive way, by hand-written statements that each commit.
func BenchmarkSteps(b *testing.B) {
	for _, db := range databases {
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", db.name, clients), func(b *testing.B) {
				h := benchHouse(b, db.url(b))
				perCase := func(b *testing.B) {
					b.ReportMetric(5*float64(b.N)/b.Elapsed().Seconds(), "steps/s")
				}
				b.Run("straight", func(b *testing.B) {
					ctx := access.With(b.Context(), access.System("bench"))
					eachClient(b, clients, func() error {
						_, err := h.Cases.StartCase(ctx, execution.StartCase{ProcessKey: "bench-straight", RegionID: "CN-HA-ZZ"})
						return err
					})
					perCase(b)
				})
				b.Run("human", func(b *testing.B) {
					ctx := as(b, h, "zz-agent")
					eachClient(b, clients, func() error { return workChain(ctx, h) })
					perCase(b)
				})
				b.Run("naive", func(b *testing.B) {
					n := newNaive(b, db.name, db.url(b))
					eachClient(b, clients, func() error { return n.workChain(b.Context()) })
					perCase(b)
				})
			})
		}
	}
}

// workChain starts a case of bench-human and works its five tasks.
func workChain(ctx context.Context, h *server.House) error {
	made, err := h.Cases.StartCase(ctx, execution.StartCase{ProcessKey: "bench-human", RegionID: "CN-HA-ZZ"})
	if err != nil {
		return err
	}
	row, err := h.Store.Client().ServiceCase.Get(ctx, made.CaseID)
	if err != nil {
		return err
	}
	tasks, err := row.QueryTasks().All(ctx)
	if err != nil {
		return err
	}
	for id := tasks[0].ID; ; {
		if _, err := h.Cases.ClaimTask(ctx, execution.TaskRef{TaskID: &id}); err != nil {
			return err
		}
		done, err := h.Cases.CompleteTask(ctx, execution.CompleteTask{TaskID: &id})
		if err != nil || len(done.Next) == 0 {
			return err
		}
		id = done.Next[0]
	}
}

// naive is a workflow written by hand without an engine: one table for each kind
// of row, one statement after the other, each in a transaction of its own.
type naive struct {
	db    *sql.DB
	place func(query string) string
	next  atomic.Int64
}

func newNaive(b *testing.B, name, url string) *naive {
	b.Helper()
	n := &naive{place: func(q string) string { return q }}
	var err error
	if name == "sqlite" {
		n.db, err = sql.Open("sqlite", "file:"+strings.TrimPrefix(url, "sqlite:")+
			"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
		n.db.SetMaxOpenConns(1)
	} else {
		n.db, err = sql.Open("pgx", url)
		n.place = func(q string) string {
			for i := 1; strings.Contains(q, "?"); i++ {
				q = strings.Replace(q, "?", fmt.Sprintf("$%d", i), 1)
			}
			return q
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = n.db.Close() })
	for _, table := range []string{
		"naive_case (id text primary key, state text, revision bigint)",
		"naive_task (id text primary key, case_id text, node text, state text, who text)",
		"naive_token (case_id text primary key, node text)",
		"naive_event (id text primary key, case_id text, seq bigint, body text)",
		"naive_audit (id text primary key, who text, operation text, subject text)",
	} {
		if _, err := n.db.ExecContext(b.Context(), "create table "+table); err != nil {
			b.Fatal(err)
		}
	}
	return n
}

func (n *naive) exec(ctx context.Context, query string, args ...any) error {
	_, err := n.db.ExecContext(ctx, n.place(query), args...)
	return err
}

// step writes what starting a case, claiming a task or completing one writes.
func (n *naive) step(ctx context.Context, caseID, operation string, seq int, statements ...func() error) error {
	for _, s := range statements {
		if err := s(); err != nil {
			return err
		}
	}
	id := fmt.Sprintf("%s-%d-%s", caseID, seq, operation)
	if operation != "claim" {
		if err := n.exec(ctx, "insert into naive_event values (?, ?, ?, ?)", id, caseID, seq, `{"kind":"`+operation+`"}`); err != nil {
			return err
		}
	}
	return n.exec(ctx, "insert into naive_audit values (?, ?, ?, ?)", id, "agent", operation, caseID)
}

// workChain starts a case of five tasks, claims and completes each.
func (n *naive) workChain(ctx context.Context) error {
	caseID := fmt.Sprintf("case-%09d", n.next.Add(1))
	task := func(i int) string { return fmt.Sprintf("%s-task-%d", caseID, i) }
	create := func(i int) func() error {
		return func() error {
			return n.exec(ctx, "insert into naive_task values (?, ?, ?, 'created', '')", task(i), caseID, fmt.Sprintf("a%d", i))
		}
	}
	err := n.step(ctx, caseID, "start", 0,
		func() error { return n.exec(ctx, "insert into naive_case values (?, 'active', 0)", caseID) }, create(0),
		func() error { return n.exec(ctx, "insert into naive_token values (?, 'a0')", caseID) })
	for i := 0; i < 5 && err == nil; i++ {
		var state string
		read := func() error {
			return n.db.QueryRowContext(ctx, n.place("select state from naive_task where id = ?"), task(i)).Scan(&state)
		}
		err = n.step(ctx, caseID, "claim", i, read,
			func() error {
				return n.exec(ctx, "update naive_task set state = 'claimed', who = 'agent' where id = ?", task(i))
			})
		if err != nil {
			return err
		}
		after := []func() error{
			read,
			func() error { return n.exec(ctx, "update naive_task set state = 'completed' where id = ?", task(i)) },
			func() error { return n.exec(ctx, "update naive_case set revision = ? where id = ?", i+1, caseID) },
		}
		if i < 4 {
			after = append(after, create(i+1), func() error {
				return n.exec(ctx, "update naive_token set node = ? where case_id = ?", fmt.Sprintf("a%d", i+1), caseID)
			})
		}
		err = n.step(ctx, caseID, "complete", i+1, after...)
	}
	return err
}
