package server_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// poster sends GraphQL as a person over kept connections.
type poster struct {
	url    string
	client *http.Client
}

func newPoster(url string, connections int) *poster {
	return &poster{url, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}}
}

func (p *poster) post(person, query string) ([]byte, error) {
	body, err := json.Marshal(map[string]any{"query": query})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, p.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(server.PersonHeader, person)
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && ((bytes.Contains(answer, []byte(`"errors":`)) || bytes.Contains(answer, []byte(`rors":[{`))) || res.StatusCode != http.StatusOK) {
		err = fmt.Errorf("%s: %s", query, answer)
	}
	return answer, err
}

// BenchmarkCompleteTaskHTTP measures completeTask over HTTP, from request to
// answer, the next task included.
func BenchmarkCompleteTaskHTTP(b *testing.B) {
	for _, db := range databases {
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", db.name, clients), func(b *testing.B) {
				h := benchHouse(b, db.url(b))
				web := httptest.NewServer(h.Handler(server.AuthNone))
				defer web.Close()
				p, w := newPoster(web.URL, clients), new(stopwatch)
				var n atomic.Int64
				eachClient(b, clients, func() error { return p.workChain(fmt.Sprintf("B-%08d", n.Add(1)), w) })
				w.report(b)
				b.ReportMetric(5*float64(b.N)/b.Elapsed().Seconds(), "completions/s")
			})
		}
	}
}

// workChain starts a case of bench-human and works its five tasks over HTTP.
func (p *poster) workChain(number string, w *stopwatch) error {
	_, err := p.post("zz-agent", startHuman(number))
	for i := 0; i < 5 && err == nil; i++ {
		task := fmt.Sprintf(`caseNumber: %q, nodeID: "a%d"`, number, i)
		if _, err = p.post("zz-agent", fmt.Sprintf(`mutation { claimTask(input: {%s}) { userErrors { code } } }`, task)); err != nil {
			return err
		}
		err = w.time(func() error {
			_, err := p.post("zz-agent", fmt.Sprintf(`mutation { completeTask(input: {%s, idempotencyKey: "%s-%d"}) {
				task { state case { stage } } nextTasks { id nameZh dueAt } userErrors { code } } }`, task, number, i))
			return err
		})
	}
	return err
}

func startHuman(number string) string {
	return fmt.Sprintf(`mutation { startCase(input: {processKey: "bench-human", regionID: "CN-HA-ZZ", number: %q}) { userErrors { code } } }`, number)
}

// listQuery is a nested list without what only the engine can tell.
const listQuery = `{ serviceCases(first: 50) { edges { node { number stage state region { code nameZh }
	tasks(first: 20) { edges { node { nodeID nameZh state dueAt } } } clocks(first: 20) { edges { node { indicatorCode dueAt state } } } } } } }`

// listSQL asks for the same in one hand-written statement that answers JSON.
var listSQL = map[string]string{
	"sqlite": `select json_group_array(json_object('number', c.number, 'stage', c.stage, 'state', c.state, 'region', json_object('code', r.code, 'nameZh', r.name_zh),
		'tasks', (select json_group_array(json_object('nodeID', t.node_id, 'nameZh', t.name_zh, 'state', t.state, 'dueAt', t.due_at)) from tasks t where t.case_id = c.id),
		'clocks', (select json_group_array(json_object('indicatorCode', k.indicator_code, 'dueAt', k.due_at, 'state', k.state)) from clocks k where k.case_id = c.id)))
		from (select * from service_cases where region_path >= 'CN/CN-HA/' and region_path < 'CN/CN-HA0' order by id limit 50) c join regions r on r.id = c.region_id`,
	"postgres": `select json_agg(json_build_object('number', c.number, 'stage', c.stage, 'state', c.state, 'region', json_build_object('code', r.code, 'nameZh', r.name_zh),
		'tasks', (select json_agg(json_build_object('nodeID', t.node_id, 'nameZh', t.name_zh, 'state', t.state, 'dueAt', t.due_at)) from tasks t where t.case_id = c.id),
		'clocks', (select json_agg(json_build_object('indicatorCode', k.indicator_code, 'dueAt', k.due_at, 'state', k.state)) from clocks k where k.case_id = c.id)))
		from (select * from service_cases where region_path like 'CN/CN-HA/%' order by id limit 50) c join regions r on r.id = c.region_id`,
}

// BenchmarkNestedList asks over HTTP for 50 of 500 cases with their regions,
// tasks and clocks: through GraphQL, and through a handler that sends one
// hand-written SQL statement and passes its JSON on.
func BenchmarkNestedList(b *testing.B) {
	const clients = 8
	for _, db := range databases {
		h := benchHouse(b, db.url(b))
		ctx := access.With(b.Context(), access.System("bench"))
		for range 500 {
			if _, err := h.Cases.StartCase(ctx, execution.StartCase{ProcessKey: "bench-human", RegionID: "CN-HA-ZZ"}); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(db.name+"/graphql", func(b *testing.B) {
			web := httptest.NewServer(h.Handler(server.AuthNone))
			defer web.Close()
			p := newPoster(web.URL, clients)
			eachClient(b, clients, func() error { _, err := p.post("ha-supervisor", listQuery); return err })
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
		b.Run(db.name+"/one-sql", func(b *testing.B) {
			web := httptest.NewServer(oneStatement(h.Store.SQL(), listSQL[db.name]))
			defer web.Close()
			p := newPoster(web.URL, clients)
			eachClient(b, clients, func() error { _, err := p.post("", listQuery); return err })
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

func oneStatement(db *sql.DB, query string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if err := db.QueryRowContext(r.Context(), query).Scan(&body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(body)
	})
}

// program is spms serve as a process of its own.
type program struct {
	cmd   *exec.Cmd
	url   string
	ready time.Duration
}

// buildProgram builds the binary once for a benchmark.
func buildProgram(b *testing.B) string {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "spms")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", bin, "./spms").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// serve starts the binary on a database and waits until it is ready.
func serve(b *testing.B, bin, url string) *program {
	b.Helper()
	p := &program{cmd: exec.CommandContext(b.Context(), bin, "serve", "--addr", "127.0.0.1:0", "--database-url", url)}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.cmd.Stdout = p.cmd.Stderr
	since := time.Now()
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.kill)
	lines := bufio.NewScanner(out)
	for p.url == "" && lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "http://127.0.0.1:"); ok {
			p.url = "http://127.0.0.1:" + strings.TrimRight(strings.FieldsFunc(rest, func(r rune) bool { return r < '0' || r > '9' })[0], "/")
		}
	}
	if p.url == "" {
		b.Fatal("spms serve ended without an address")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	for {
		res, err := http.Get(p.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
	}
	p.ready = time.Since(since)
	return p
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// resident returns the memory that the process holds, in MB.
func (p *program) resident(b *testing.B) float64 {
	b.Helper()
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Skip("memory is read from /proc: ", err)
	}
	return gauge(b, string(body), "VmRSS: %f kB") / 1024
}

// heap returns how much of it are objects of the heap, garbage included, in MB.
func (p *program) heap(b *testing.B) float64 {
	b.Helper()
	res, err := http.Get(p.url + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return gauge(b, string(body), "go_memstats_heap_alloc_bytes %f") / (1 << 20)
}

// gauge finds the figure of the one line that has a format.
func gauge(b *testing.B, text, format string) (figure float64) {
	b.Helper()
	for line := range strings.Lines(text) {
		if n, err := fmt.Sscanf(line, format, &figure); err == nil && n == 1 {
			return figure
		}
	}
	b.Fatalf("no %s", format)
	return 0
}

// BenchmarkStartToReady measures from the start of the process until /readyz
// answers: with an empty database, which it fills with tables and sample data,
// and with one that has them.
func BenchmarkStartToReady(b *testing.B) {
	bin := buildProgram(b)
	for range b.N {
		url := "sqlite:" + filepath.Join(b.TempDir(), "spms.db")
		first := serve(b, bin, url)
		first.kill()
		again := serve(b, bin, url)
		again.kill()
		b.ReportMetric(first.ready.Seconds(), "empty-s")
		b.ReportMetric(again.ready.Seconds(), "filled-s")
	}
}

// BenchmarkMemory measures the memory of the process idle after its start, and
// after b.N fibre orders have been started by 16 clients over HTTP.
func BenchmarkMemory(b *testing.B) {
	p := serve(b, buildProgram(b), "sqlite:"+strings.TrimPrefix(storetest.SQLiteURL(b), "sqlite:"))
	idle, idleHeap := p.resident(b), p.heap(b)
	web := newPoster(p.url, 16)
	eachClient(b, 16, func() error {
		_, err := web.post("zz-agent", `mutation { startCase(input: {processKey: "ftth-install", regionID: "CN-HA-ZZ", channel: "hotline",
			variables: {case: {plan: "300M", planMbps: 300}}}) { serviceCase { number } userErrors { code } } }`)
		return err
	})
	b.ReportMetric(idle, "idle-MB")
	b.ReportMetric(p.resident(b), "after-MB")
	b.ReportMetric(idleHeap, "idle-heap-MB")
	b.ReportMetric(p.heap(b), "after-heap-MB")
}
