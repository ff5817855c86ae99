package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
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

// document is a process of a body of nodes and flows behind its start, whose flow is f0.
func document(key, variables, body string) string {
	return fmt.Sprintf(`<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:spms="https://openspms.org/schema/bpmn/1.0"
		xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="d" targetNamespace="bench"><bpmn:process id=%q name=%q isExecutable="true">
		<bpmn:extensionElements><spms:process key=%q nameEn=%q serviceType="telecom" calendar="cn-statutory"/>%s</bpmn:extensionElements>
		<bpmn:startEvent id="s" name="开始"><bpmn:extensionElements><spms:task nameEn="Start" stage="demand"/><spms:event name="agent.requested" on="enter"/></bpmn:extensionElements><bpmn:outgoing>f0</bpmn:outgoing></bpmn:startEvent>
		%s</bpmn:process></bpmn:definitions>`, key, key, key, key, variables, body)
}

// ending is the end event behind a flow.
func ending(flow string) string {
	return `<bpmn:endEvent id="e" name="结束"><bpmn:extensionElements><spms:task nameEn="End" stage="demand"/><spms:event name="agent.answered" on="enter"/>
		</bpmn:extensionElements><bpmn:incoming>` + flow + `</bpmn:incoming></bpmn:endEvent>`
}

// chain is a process of n nodes of one kind in a row, between start and end.
func chain(key string, n int, node func(id string) string) string {
	var b strings.Builder
	last := "s"
	for i := range n {
		id := fmt.Sprintf("a%d", i)
		fmt.Fprintf(&b, `<bpmn:sequenceFlow id="f%d" sourceRef=%q targetRef=%q/>%s`, i, last, id, fmt.Sprintf(node(id), i, i+1))
		last = id
	}
	fmt.Fprintf(&b, `<bpmn:sequenceFlow id="f%d" sourceRef=%q targetRef="e"/>%s`, n, last, ending(fmt.Sprintf("f%d", n)))
	return document(key, `<spms:variable name="n.count" type="int" labelZh="计数" labelEn="Count" default="0"/>`, b.String())
}

func scriptNode(id string) string {
	return `<bpmn:scriptTask id="` + id + `" name="计算" scriptFormat="CEL"><bpmn:extensionElements><spms:task nameEn="Count" stage="demand"/><spms:result variable="n.count"/></bpmn:extensionElements>` +
		`<bpmn:incoming>f%d</bpmn:incoming><bpmn:outgoing>f%d</bpmn:outgoing><bpmn:script>n.count + 1</bpmn:script></bpmn:scriptTask>`
}

func humanNode(id string) string {
	return `<bpmn:userTask id="` + id + `" name="办理"><bpmn:extensionElements><spms:task nameEn="Work" stage="demand" role="agent"/><spms:evidence kind="记录" media="text" required="false"/></bpmn:extensionElements>` +
		`<bpmn:incoming>f%d</bpmn:incoming><bpmn:outgoing>f%d</bpmn:outgoing></bpmn:userTask>`
}

func serviceNode(id string) string {
	return `<bpmn:serviceTask id="` + id + `" name="接口"><bpmn:extensionElements><spms:task nameEn="Serve" stage="demand" topic="bench.work"/></bpmn:extensionElements>` +
		`<bpmn:incoming>f%d</bpmn:incoming><bpmn:outgoing>f%d</bpmn:outgoing></bpmn:serviceTask>`
}

// benchProcesses are the processes of the benchmarks, by key.
func benchProcesses() map[string]string {
	return map[string]string{
		"bench-straight": chain("bench-straight", 5, scriptNode),
		"bench-human":    chain("bench-human", 5, humanNode),
		"bench-service":  chain("bench-service", 5, serviceNode),
		"bench-timer":    waiting("bench-timer"),
		"bench-pair":     pair("bench-pair"),
	}
}

// waiting is a process that waits until the instant that a case names.
func waiting(key string) string {
	return document(key, `<spms:variable name="n.at" type="timestamp" labelZh="时刻" labelEn="Instant" input="true" required="true"/>`, `<bpmn:sequenceFlow id="f0" sourceRef="s" targetRef="w"/>
		<bpmn:intermediateCatchEvent id="w" name="等待"><bpmn:extensionElements><spms:task nameEn="Wait" stage="demand"/></bpmn:extensionElements><bpmn:incoming>f0</bpmn:incoming><bpmn:outgoing>f1</bpmn:outgoing>
		<bpmn:timerEventDefinition><bpmn:timeDate xsi:type="bpmn:tFormalExpression">=n.at</bpmn:timeDate></bpmn:timerEventDefinition></bpmn:intermediateCatchEvent>
		<bpmn:sequenceFlow id="f1" sourceRef="w" targetRef="e"/>`+ending("f1"))
}

// pair is a process of two human tasks side by side, for an agent and a technician,
// with a timer far ahead at the first and two variables that lists are filtered by.
func pair(key string) string {
	human := func(id, role, in, out string) string {
		return strings.NewReplacer(`role="agent"`, `role="`+role+`"`, "f%d</bpmn:in", in+"</bpmn:in", "f%d</bpmn:out", out+"</bpmn:out").Replace(humanNode(id))
	}
	gateway := func(id, ends string) string {
		return `<bpmn:parallelGateway id="` + id + `" name="并行"><bpmn:extensionElements><spms:task nameEn="Both" stage="demand"/></bpmn:extensionElements>` + ends + `</bpmn:parallelGateway>`
	}
	return document(key, `<spms:variable name="case.channel" type="string" labelZh="渠道" labelEn="Channel" input="true" required="true" indexed="true"/>
		<spms:variable name="case.fee" type="double" labelZh="费用" labelEn="Fee" input="true" required="true" indexed="true"/>`,
		`<bpmn:sequenceFlow id="f0" sourceRef="s" targetRef="g"/>`+gateway("g", `<bpmn:incoming>f0</bpmn:incoming><bpmn:outgoing>f1</bpmn:outgoing><bpmn:outgoing>f2</bpmn:outgoing>`)+
			`<bpmn:sequenceFlow id="f1" sourceRef="g" targetRef="a0"/><bpmn:sequenceFlow id="f2" sourceRef="g" targetRef="a1"/>`+
			human("a0", "agent", "f1", "f3")+human("a1", "technician", "f2", "f4")+
			`<bpmn:boundaryEvent id="b" name="过久" attachedToRef="a0" cancelActivity="false"><bpmn:extensionElements><spms:task nameEn="Too long" stage="demand"/></bpmn:extensionElements><bpmn:outgoing>f6</bpmn:outgoing>
			<bpmn:timerEventDefinition><bpmn:timeDuration xsi:type="bpmn:tFormalExpression">P10Y</bpmn:timeDuration></bpmn:timerEventDefinition></bpmn:boundaryEvent>
			<bpmn:sequenceFlow id="f6" sourceRef="b" targetRef="x"/><bpmn:endEvent id="x" name="提醒"><bpmn:extensionElements><spms:task nameEn="Reminded" stage="demand"/></bpmn:extensionElements><bpmn:incoming>f6</bpmn:incoming></bpmn:endEvent>
			<bpmn:sequenceFlow id="f3" sourceRef="a0" targetRef="j"/><bpmn:sequenceFlow id="f4" sourceRef="a1" targetRef="j"/>`+
			gateway("j", `<bpmn:incoming>f3</bpmn:incoming><bpmn:incoming>f4</bpmn:incoming><bpmn:outgoing>f5</bpmn:outgoing>`)+
			`<bpmn:sequenceFlow id="f5" sourceRef="j" targetRef="e"/>`+ending("f5"))
}

// benchDay is when the clock of most benchmarks stands.
var benchDay = time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)

// benchHouse is a seeded house under a clock that stands, with the processes of the
// benchmarks published and bound to Zhengzhou.
func benchHouse(tb testing.TB, url string) *server.House {
	tb.Helper()
	h := reopen(tb, url, clock.NewManual(benchDay))
	tb.Cleanup(func() { _ = h.Close() })
	furnish(tb, h)
	return h
}

// reopen opens the house of a database; the caller closes it.
func reopen(tb testing.TB, url string, c clock.Clock) *server.House {
	tb.Helper()
	h, err := server.OpenHouse(tb.Context(), url, c, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// furnish seeds a house and publishes the processes of the benchmarks.
func furnish(tb testing.TB, h *server.House) {
	tb.Helper()
	if err := h.Seed(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	author, publisher := as(tb, h, "hq-standard"), as(tb, h, "hq-approver")
	for key, doc := range benchProcesses() {
		made, err := h.Definitions.CreateProcess(author, definition.CreateProcess{RegionID: "CN", BPMN: doc})
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
			tb.Fatalf("publish %s: %v", key, err)
		}
	}
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
	b.ResetTimer()
	side(b, clients, b.N, work)
	b.StopTimer()
}

// side lets clients do work a number of times in all, side by side, and returns how
// long that took.
func side(b *testing.B, clients, times int, work func() error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var running sync.WaitGroup
	since := time.Now()
	for range clients {
		running.Go(func() {
			for next.Add(1) <= int64(times) {
				if err := work(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	return time.Since(since)
}

// stopwatch keeps how long each of some calls took, of many clients.
type stopwatch struct {
	mu   sync.Mutex
	took []time.Duration
}

// time makes a call and keeps how long it took.
func (s *stopwatch) time(call func() error) error {
	since := time.Now()
	err := call()
	d := time.Since(since)
	s.mu.Lock()
	s.took = append(s.took, d)
	s.mu.Unlock()
	return err
}

// report reports the median and the 99th percentile in ms.
func (s *stopwatch) report(b *testing.B) {
	b.Helper()
	if len(s.took) == 0 {
		return
	}
	slices.Sort(s.took)
	b.ReportMetric(ms(s.took[len(s.took)/2]), "p50-ms")
	b.ReportMetric(ms(s.took[len(s.took)*99/100]), "p99-ms")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

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
					eachClient(b, clients, func() error { return workChain(ctx, h, new(stopwatch)) })
					perCase(b)
				})
				b.Run("naive", func(b *testing.B) {
					n := newNaive(b, db.name, db.url(b))
					eachClient(b, clients, func() error { return n.workChain(b.Context(), new(stopwatch)) })
					perCase(b)
				})
			})
		}
	}
}

// BenchmarkCompleteTask measures the completion of a human task, from call to
// commit, beside a completion by hand-written statements.
func BenchmarkCompleteTask(b *testing.B) {
	for _, db := range databases {
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", db.name, clients), func(b *testing.B) {
				h := benchHouse(b, db.url(b))
				b.Run("engine", func(b *testing.B) {
					ctx, w := as(b, h, "zz-agent"), new(stopwatch)
					eachClient(b, clients, func() error { return workChain(ctx, h, w) })
					w.report(b)
				})
				b.Run("naive", func(b *testing.B) {
					n, w := newNaive(b, db.name, db.url(b)), new(stopwatch)
					eachClient(b, clients, func() error { return n.workChain(b.Context(), w) })
					w.report(b)
				})
			})
		}
	}
}

// workChain starts a case of bench-human and works its five tasks; the stopwatch
// takes the time of each completion.
func workChain(ctx context.Context, h *server.House, w *stopwatch) error {
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
		var done execution.TaskResult
		err := w.time(func() (err error) {
			done, err = h.Cases.CompleteTask(ctx, execution.CompleteTask{TaskID: &id})
			return err
		})
		if err != nil || len(done.Next) == 0 {
			return err
		}
		id = done.Next[0]
	}
}

// naive is a workflow written by hand without an engine: one table for each kind
// of row, one statement after the other, each in a transaction of its own.
type naive struct {
	db       *sql.DB
	postgres bool
	place    func(query string) string
	next     atomic.Int64
}

func newNaive(b *testing.B, name, url string) *naive {
	b.Helper()
	n := &naive{postgres: name == "postgres", place: func(q string) string { return q }}
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
		if err := n.exec(b.Context(), "create table "+table); err != nil {
			b.Fatal(err)
		}
	}
	if err := n.exec(b.Context(), "create index naive_task_state on naive_task (state, id)"); err != nil {
		b.Fatal(err)
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
func (n *naive) workChain(ctx context.Context, w *stopwatch) error {
	caseID, err := n.start(ctx)
	for i := 0; i < 5 && err == nil; i++ {
		var state string
		err = n.step(ctx, caseID, "claim", i, n.read(ctx, caseID, i, &state), func() error {
			return n.exec(ctx, "update naive_task set state = 'claimed', who = 'agent' where id = ?", naiveTask(caseID, i))
		})
		if err == nil {
			err = w.time(func() error { return n.complete(ctx, caseID, i) })
		}
	}
	return err
}

func naiveTask(caseID string, i int) string { return fmt.Sprintf("%s-task-%d", caseID, i) }

// create writes the i-th task of a case.
func (n *naive) create(ctx context.Context, caseID string, i int) func() error {
	return func() error {
		return n.exec(ctx, "insert into naive_task values (?, ?, ?, 'created', '')", naiveTask(caseID, i), caseID, fmt.Sprintf("a%d", i))
	}
}

// read reads the state of a task, as whoever changes it does first.
func (n *naive) read(ctx context.Context, caseID string, i int, state *string) func() error {
	return func() error {
		return n.db.QueryRowContext(ctx, n.place("select state from naive_task where id = ?"), naiveTask(caseID, i)).Scan(state)
	}
}

// start starts a case with its first task.
func (n *naive) start(ctx context.Context) (caseID string, err error) {
	caseID = fmt.Sprintf("case-%09d", n.next.Add(1))
	return caseID, n.step(ctx, caseID, "start", 0,
		func() error { return n.exec(ctx, "insert into naive_case values (?, 'active', 0)", caseID) }, n.create(ctx, caseID, 0),
		func() error { return n.exec(ctx, "insert into naive_token values (?, 'a0')", caseID) })
}

// complete completes the i-th of five tasks and creates the next.
func (n *naive) complete(ctx context.Context, caseID string, i int) error {
	var state string
	after := []func() error{
		n.read(ctx, caseID, i, &state),
		func() error {
			return n.exec(ctx, "update naive_task set state = 'completed' where id = ?", naiveTask(caseID, i))
		},
		func() error { return n.exec(ctx, "update naive_case set revision = ? where id = ?", i+1, caseID) },
	}
	if i < 4 {
		after = append(after, n.create(ctx, caseID, i+1), func() error {
			return n.exec(ctx, "update naive_token set node = ? where case_id = ?", fmt.Sprintf("a%d", i+1), caseID)
		})
	}
	return n.step(ctx, caseID, "complete", i+1, after...)
}
