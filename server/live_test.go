package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/openspms/spms/ent/servicecase"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// listen opens an event stream; the channel closes with it.
func listen(ctx context.Context, address, person, query string) (<-chan map[string]any, error) {
	body, err := json.Marshal(map[string]any{"query": query})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set(server.PersonHeader, person)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	told := make(chan map[string]any, 1000)
	go func() {
		defer close(told)
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			v := map[string]any{}
			if ok && json.Unmarshal([]byte(data), &v) == nil && len(v) > 0 {
				told <- v
			}
		}
	}()
	return told, nil
}

// live is one subscription of a person over SSE.
type live struct {
	t     *testing.T
	field string
	told  <-chan map[string]any
	end   context.CancelFunc
}

// messages are what is asked of each subscription that tells rows.
var messages = map[string]string{
	"caseChanged":     "kind lost cursor at changeID serviceCase { id number revision state }",
	"worklistChanged": "kind lost cursor at changeID taskID listed task { id state urges }",
	"clockChanged":    "kind lost cursor at changeID clock { id state warnedAt }",
	"worklistCounts":  countFields,
}

const countFields = "total mine toSign unclaimed overdue dueSoon roles { role label { zh } total unclaimed overdue dueSoon } at cursor"

// subscribe opens a subscription and hears its cursor, unless it is one of counts.
func (o *office) subscribe(person, field, args string) (l *live, cursor string) {
	o.t.Helper()
	ctx, end := context.WithCancel(o.t.Context())
	o.t.Cleanup(end)
	told, err := listen(ctx, o.http.URL, person, fmt.Sprintf("subscription { %s%s { %s } }", field, args, messages[field]))
	if err != nil {
		o.t.Fatal(err)
	}
	l = &live{o.t, field, told, end}
	if field == "worklistCounts" {
		return l, ""
	}
	m := l.hear()
	if m["kind"] != "cursor" || m["lost"] != false {
		o.t.Fatalf("%s begins with %v, want its cursor alone", field, m)
	}
	return l, fmt.Sprint(m["cursor"])
}

// raw returns the next answer, nil when the stream has ended.
func (l *live) raw() map[string]any {
	l.t.Helper()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	select {
	case v := <-l.told:
		return v
	case <-late.C:
		l.t.Fatalf("%s tells nothing for 30 seconds", l.field)
		return nil
	}
}

// hear returns the next message.
func (l *live) hear() map[string]any {
	l.t.Helper()
	v := l.raw()
	m, ok := dig(v, "data", l.field).(map[string]any)
	if !ok {
		l.t.Fatalf("%s tells %v", l.field, v)
	}
	return m
}

// until hears messages until one fits, and returns them all.
func (l *live) until(fits func(map[string]any) bool) (all []map[string]any) {
	l.t.Helper()
	for {
		m := l.hear()
		all = append(all, m)
		if fits(m) {
			return all
		}
	}
}

// rowOf is the row that a message tells, nil for none.
func rowOf(m map[string]any) map[string]any {
	for _, name := range []string{"serviceCase", "task", "clock"} {
		if row, _ := m[name].(map[string]any); row != nil {
			return row
		}
	}
	return nil
}

// codeOf is the code of the first error of an answer.
func codeOf(v map[string]any) string { return fmt.Sprint(dig(v, "errors", 0, "extensions", "code")) }

// board is a client that is cut off again and again and resumes on whichever node
// answers: what it knows of each row.
type board struct {
	t      *testing.T
	field  string
	nodes  func(n int) string
	mu     sync.Mutex
	rows   map[string]string // id → the row as it was told last
	cursor string
	cuts   int
}

// run listens until ctx ends; chance says where the next cut is.
func (b *board) run(ctx context.Context, chance *rand.Rand) {
	for ctx.Err() == nil {
		after := ""
		if b.cursor != "" {
			after = fmt.Sprintf("after: %q, ", b.cursor)
		}
		connection, cut := context.WithCancel(ctx)
		told, err := listen(connection, b.nodes(chance.Int()), "ha-supervisor", fmt.Sprintf(`subscription { %s(%sregionID: "CN-HA") { %s } }`, b.field, after, messages[b.field]))
		for left := 1 + chance.Intn(15); err == nil && left > 0; left-- {
			v, more := <-told
			if !more || !b.take(v) {
				break
			}
		}
		cut()
	}
}

// take keeps what a message tells; false when the stream ends with an error.
func (b *board) take(v map[string]any) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, _ := dig(v, "data", b.field).(map[string]any)
	if m == nil {
		if code := codeOf(v); code != "SERVER_STOPPING" && code != "DATABASE_UNAVAILABLE" {
			b.t.Errorf("%s is told %v", b.field, v)
		}
		return false
	}
	if m["lost"] == true {
		b.t.Errorf("%s has lost something", b.field)
	}
	b.cursor = fmt.Sprint(m["cursor"])
	if m["kind"] == "cursor" {
		b.cuts++
	}
	if row := rowOf(m); row != nil {
		b.rows[fmt.Sprint(row["id"])] = fmt.Sprint(row["state"], " ", row["revision"])
	}
	return true
}

// knows reports whether the client has been told of a row.
func (b *board) knows(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rows[id] != ""
}

// missing lists the rows of a region that the client does not know as they are.
func (b *board) missing(h *server.House) []string {
	b.t.Helper()
	ctx := access.With(b.t.Context(), access.System("test"))
	c, want := h.Store.Client(), map[string]string{}
	switch b.field {
	case "caseChanged":
		for _, r := range c.ServiceCase.Query().AllX(ctx) {
			want[r.ID] = fmt.Sprint(r.State, " ", r.Revision)
		}
	case "worklistChanged":
		for _, r := range c.Task.Query().AllX(ctx) {
			if b.knows(r.ID) || slices.Contains(execution.OpenStates, r.State) { // one that came and went may be told as neither
				want[r.ID] = fmt.Sprint(r.State, " ", nil)
			}
		}
	case "clockChanged":
		for _, r := range c.Clock.Query().AllX(ctx) {
			want[r.ID] = fmt.Sprint(r.State, " ", nil)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for id, row := range want {
		if b.rows[id] != row {
			out = append(out, fmt.Sprintf("%s is %q and was told as %q", id, row, b.rows[id]))
		}
	}
	slices.Sort(out)
	return out
}

// poll asks every few milliseconds whether something has come to be.
func poll(t *testing.T, done func() bool) bool {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-late.C:
			return false
		}
	}
	return true
}

// TestSubscriptionsResume cuts the clients of three subscriptions off while a flood of
// commands comes from all nodes, two on PostgreSQL; one node is closed and opened
// again. In the end each client knows every row as it is.
func TestSubscriptionsResume(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		n := &nodes{t: t, url: url, first: benchHouse(t, url)}
		n.open(n.first)
		if strings.HasPrefix(url, "postgres") {
			n.open(n.house())
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var boards []*board
		for i, field := range []string{"caseChanged", "worklistChanged", "clockChanged"} {
			b := &board{t: t, field: field, nodes: n.address, rows: map[string]string{}}
			boards = append(boards, b)
			running.Go(func() { b.run(ctx, rand.New(rand.NewSource(int64(i)))) })
		}
		for _, b := range boards { // each has its first cursor before anything happens
			if !poll(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.cursor != "" }) {
				t.Fatalf("%s gives no cursor", b.field)
			}
		}
		n.flood()
		n.restart()
		n.flood()
		for _, b := range boards {
			if !poll(t, func() bool { return len(b.missing(n.first)) == 0 }) {
				t.Errorf("%s, cut off %d times, lacks %v", b.field, b.cuts, b.missing(n.first))
			}
			if b.cuts < 3 || len(b.rows) == 0 {
				t.Errorf("%s was told %d rows over %d connections, want more", b.field, len(b.rows), b.cuts)
			}
			t.Logf("%s: %d rows over %d connections", b.field, len(b.rows), b.cuts)
		}
		stop()
		running.Wait()
	})
}

// nodes are the servers on one database.
type nodes struct {
	t      *testing.T
	url    string
	first  *server.House // is not restarted while it reads what is compared
	mu     sync.Mutex
	houses []*server.House
	webs   []*httptest.Server
	orders int
}

// house opens the database once more.
func (n *nodes) house() *server.House {
	n.t.Helper()
	h, err := server.OpenHouse(n.t.Context(), n.url, clock.NewManual(time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)), slog.New(slog.DiscardHandler))
	if err != nil {
		n.t.Fatal(err)
	}
	return h
}

// open lets a house answer.
func (n *nodes) open(h *server.House) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.houses, n.webs = append(n.houses, h), append(n.webs, httptest.NewServer(h.Handler(server.AuthNone)))
}

// address is that of one of the nodes.
func (n *nodes) address(which int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.webs[which%len(n.webs)].URL
}

// flood works cases on all nodes at once.
func (n *nodes) flood() {
	n.t.Helper()
	var working sync.WaitGroup
	for w := range 4 {
		h := n.houses[w%len(n.houses)]
		working.Go(func() {
			ctx := as(n.t, h, "zz-agent")
			for range 4 {
				if err := workChain(ctx, h, &stopwatch{}); err != nil {
					n.t.Errorf("work a case: %v", err)
				}
			}
		})
	}
	o := &office{t: n.t, house: n.houses[0], http: n.webs[0]}
	for range 3 { // they have clocks
		n.orders++
		o.orderIn(cities[0], fmt.Sprintf("SO-%d", n.orders))
	}
	working.Wait()
}

// restart closes the last node, with whoever listens to it, and opens it again.
func (n *nodes) restart() {
	n.t.Helper()
	last := len(n.houses) - 1
	again := n.house()
	n.mu.Lock()
	old, web := n.houses[last], n.webs[last]
	n.houses[last], n.webs[last] = again, httptest.NewServer(again.Handler(server.AuthNone))
	n.mu.Unlock()
	if err := old.Close(); err != nil {
		n.t.Errorf("Close() = %v", err)
	}
	web.Close()
	if old == n.first {
		n.first = again
	}
	n.t.Cleanup(func() {
		_ = again.Close()
		for _, w := range n.webs {
			w.Close()
		}
	})
}

// TestLiveUpdatesAsPrinted sends the request of the document exactly as printed.
func TestLiveUpdatesAsPrinted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/engine.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)curl -N localhost:8080/graphql .*?X-SPMS-Person: ([a-z-]+)'.*?-d '(.*?)'\n`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("the document shows no event stream")
	}
	var body struct{ Query string }
	if err := json.Unmarshal([]byte(found[2]), &body); err != nil {
		t.Fatal(err)
	}
	o := openOffice(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	told, err := listen(t.Context(), o.http.URL, found[1], body.Query)
	if err != nil {
		t.Fatal(err)
	}
	l := &live{t: t, field: "worklistChanged", told: told}
	if m := l.hear(); m["kind"] != "cursor" {
		t.Errorf("the first message is %v, want the cursor", m)
	}
	o.order("SO-1")
	if m := l.hear(); m["listed"] != true || rowOf(m)["nameZh"] == "" {
		t.Errorf("after an order is told %v, want a task for the dispatcher", m)
	}
}

// TestEveryChangedRowIsTold compares the rows of cases before and after everything
// that people, workers and time do with them with what the journal tells.
func TestEveryChangedRowIsTold(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w := newWatch(o)
		visit := ""
		w.step("an order", func() { o.order("SO-1") })
		w.step("another up to its visit", func() { visit = o.atVisit("SO-2") })
		tech := o.staffID("zz-tech")
		for _, s := range [][3]string{
			{"zz-dispatcher", "assignTask", visit + fmt.Sprintf(`, staffID: %q, reason: "x"`, tech)},
			{"zz-tech", "rejectTask", visit + `, reason: "x"`},
			{"zz-tech", "claimTask", visit},
			{"zz-agent", "urgeTask", visit + `, reason: "x"`},
			{"zz-tech", "planTask", visit + `, priority: 7`},
			{"zz-tech", "addSigners", visit + fmt.Sprintf(`, staffIDs: [%q], place: "after"`, o.staffID("zz-dispatcher"))},
			{"zz-tech", "beginTask", visit},
			{"zz-tech", "completeTask", visit + visitDone},
			{"zz-dispatcher", "signTask", visit + `, agree: false, comment: "x"`},
			{"zz-tech", "completeTask", visit + visitDone},
			{"zz-dispatcher", "signTask", visit + `, agree: true`},
		} {
			w.step(s[1], func() { o.must(s[0], s[1], s[2]) })
		}
		w.step("fetchTasks", func() {
			o.must("integration", "fetchTasks", `topic: "service.activate", worker: "w", max: 10, leaseSeconds: 60`)
		})
		w.step("failTask", func() {
			o.must("integration", "failTask", `caseNumber: "SO-2", nodeID: "a_act", worker: "w", reason: "x", retrySeconds: 1`)
		})
		w.step("time", func() { o.clock.Advance(40 * 24 * time.Hour); o.tick() })
		w.step("cancelCase", func() { o.must("zz-agent", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "x"`, o.caseID("SO-1"))) })
		if w.changed < 40 {
			t.Errorf("%d rows have changed, want more", w.changed)
		}
	})
}

// watch compares rows with what is told of them.
type watch struct {
	o       *office
	f       *store.Follower
	changed int
}

func newWatch(o *office) *watch {
	o.t.Helper()
	f, err := o.house.Store.Follow(o.t.Context(), "")
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(f.Close)
	return &watch{o: o, f: f}
}

func (w *watch) look() map[string]string {
	out := map[string]string{}
	for _, table := range []string{"service_cases", "tasks", "clocks"} {
		for _, c := range w.o.table(table) {
			out[c["id"]] = fmt.Sprint(c)
		}
	}
	return out
}

// step does something and waits until every row that differs was told.
func (w *watch) step(name string, do func()) {
	w.o.t.Helper()
	before := w.look()
	do()
	changed := w.look()
	maps.DeleteFunc(changed, func(id, row string) bool { return before[id] == row })
	w.changed += len(changed)
	ctx, stop := context.WithTimeout(w.o.t.Context(), 10*time.Second)
	defer stop()
	for len(changed) > 0 {
		told, err := w.f.Next(ctx)
		if err != nil {
			w.o.t.Fatalf("%s: %v; never told of %v", name, err, slices.Sorted(maps.Keys(changed)))
		}
		for _, e := range told.Entries {
			for _, c := range e.Changes {
				delete(changed, c.ID)
			}
		}
	}
}

// TestWorklistIsToldAsFiltered sees tasks enter and leave lists of several filters.
func TestWorklistIsToldAsFiltered(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.order("SO-1")
		mine, _ := o.subscribe("zz-dispatcher", "worklistChanged", "(mine: true)")
		claimed, _ := o.subscribe("zz-dispatcher", "worklistChanged", "(where: {state: claimed})")
		app, _ := o.subscribe("zz-dispatcher", "worklistChanged", `(attributes: [{name: "case.channel", in: ["app"]}])`)
		o.must("zz-dispatcher", "claimTask", `caseNumber: "SO-1", nodeID: "a_disp"`)
		id := dig(o.task("SO-1", "a_disp", "id"), "id")
		of := func(listed bool) func(map[string]any) bool {
			return func(m map[string]any) bool { return m["taskID"] == id && m["listed"] == listed }
		}
		for _, l := range []*live{mine, claimed} {
			if m := l.until(of(true))[0]; m["taskID"] != id || m["changeID"] == nil || m["at"] == nil {
				t.Errorf("the first message is %v, want the claimed task %v", m, id)
			}
		}
		o.must("zz-dispatcher", "completeTask", `caseNumber: "SO-1", nodeID: "a_disp"`)
		for _, l := range []*live{mine, claimed} {
			l.until(of(false))
		}
		o.must("zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-ZZ", number: "SO-2", channel: "app", variables: {case: {plan: "300M", planMbps: 300, channel: "app"}}`)
		first := dig(o.task("SO-2", "a_reg_auto", "id"), "id")
		if m := app.hear(); m["taskID"] != first || m["listed"] != true {
			t.Errorf("the list of one channel is told %v, want the task %v alone", m, first)
		}
	})
}

// TestSubscriptionRights lets people listen, and resume, under their own rights, which
// change and end meanwhile.
func TestSubscriptionRights(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.person("watcher", "CN-HA-ZZ", "agent", "CN-HA-ZZ")
		_, cursor := o.subscribe("zz-agent", "caseChanged", "")
		o.orderIn(cities[1], "NY-1")
		o.orderIn(cities[0], "ZZ-1")
		ofCase := func(number string) func(map[string]any) bool {
			return func(m map[string]any) bool { return dig(m, "serviceCase", "number") == number }
		}
		for person, own := range map[string]string{"ny-agent": "NY-1", "watcher": "ZZ-1"} {
			l, _ := o.subscribe(person, "caseChanged", fmt.Sprintf("(after: %q)", cursor))
			for _, m := range l.until(ofCase(own)) {
				if row := rowOf(m); row != nil && row["number"] != own {
					t.Errorf("%s is told of %v with another's cursor", person, row["number"])
				}
			}
		}
		l, _ := o.subscribe("watcher", "worklistChanged", "")
		var grant string
		for _, c := range o.table("role_assignments") {
			if c["staff_id"] == o.staffID("watcher") {
				grant = c["id"]
			}
		}
		o.must("demo-admin", "assignRole", fmt.Sprintf(`staffID: %q, role: "agent", regionID: "CN-HA-NY"`, o.staffID("watcher")))
		o.must("demo-admin", "endRole", fmt.Sprintf("assignmentID: %q", grant))
		o.must("zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-ZZ", number: "ZZ-2", channel: "hotline", variables: {case: {plan: "300M", planMbps: 300}}`)
		o.must("ny-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-NY", number: "NY-2", channel: "hotline", variables: {case: {plan: "300M", planMbps: 300}}`)
		now := dig(o.task("NY-2", "a_reg", "id"), "id")
		said := l.until(func(m map[string]any) bool { return m["taskID"] == now })
		if said[0]["lost"] != true || rowOf(said[0]) != nil {
			t.Errorf("after a change of rights is told %v, want that the list is to be read again", said[0])
		}
		if gone := dig(o.task("ZZ-2", "a_reg", "id"), "id"); slices.ContainsFunc(said, func(m map[string]any) bool { return m["taskID"] == gone }) {
			t.Errorf("a task of a region without rights is told: %v", said)
		}
		counts, _ := o.subscribe("watcher", "worklistCounts", "")
		counts.hear()
		o.must("demo-admin", "updateStaff", fmt.Sprintf(`staffID: %q, active: false`, o.staffID("watcher")))
		o.must("ny-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-NY", number: "NY-3", channel: "hotline", variables: {case: {plan: "300M", planMbps: 300}}`)
		for _, s := range []*live{l, counts} {
			if v := s.raw(); codeOf(v) != "STAFF_UNKNOWN" || dig(v, "errors", 0, "message") == "" {
				t.Errorf("%s of an inactive person tells %v, want STAFF_UNKNOWN", s.field, v)
			}
			if v := s.raw(); v != nil {
				t.Errorf("%s goes on with %v", s.field, v)
			}
		}
	})
}

// TestCursorsAreRefused gives each subscription what is no cursor of its database.
func TestCursorsAreRefused(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		elsewhere := openOffice(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		elsewhere.order("SO-1") // both begin with the same rows
		_, foreign := elsewhere.subscribe("zz-agent", "caseChanged", "")
		for field := range messages {
			for cursor, code := range map[string]string{"x": "CURSOR_MALFORMED", "游标": "CURSOR_MALFORMED", foreign: "CURSOR_FOREIGN", foreign[1:]: "CURSOR_MALFORMED"} {
				ctx, end := context.WithCancel(t.Context())
				told, err := listen(ctx, o.http.URL, "zz-agent", fmt.Sprintf("subscription { %s(after: %q) { cursor } }", field, cursor))
				if err != nil {
					t.Fatal(err)
				}
				if v := <-told; codeOf(v) != code {
					t.Errorf("%s after %q is told %v, want %s", field, cursor, v, code)
				}
				end()
			}
		}
		l, _ := o.subscribe("zz-agent", "worklistCounts", "(soonMinutes: -1)")
		if v := l.raw(); codeOf(v) != "SOON_MINUTES_INVALID" {
			t.Errorf("counts with soonMinutes -1 are %v, want SOON_MINUTES_INVALID", v)
		}
	})
}

// TestWorklistCountsFollowTheQuery works at random and compares, after every step and
// for people with several filters, the counts that are told with those that are
// asked for, and these with the worklist itself.
func TestWorklistCountsFollowTheQuery(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		watched := []struct{ person, args string }{
			{"zz-agent", ""},
			{"zz-agent", "(mine: true)"},
			{"zz-dispatcher", ""},
			{"ha-supervisor", `(regionID: "CN-HA", soonMinutes: 0)`},
			{"ny-agent", `(role: "agent")`},
			{"ha-supervisor", "(where: {state: claimed})"},
			{"zz-tech", "(toSign: true)"},
		}
		var lives []*live
		for _, w := range watched {
			l, _ := o.subscribe(w.person, "worklistCounts", w.args)
			lives = append(lives, l)
		}
		agree := func(after string) {
			t.Helper()
			for i, w := range watched {
				want := o.counts(w.person, w.args)
				for got := lives[i].latest(); got != want; got = lives[i].latest() {
					if !lives[i].more() {
						t.Fatalf("after %s %s is told %s%s, want %s", after, w.person, w.args, got, want)
					}
				}
			}
			o.countsAreOfTheList("zz-agent", "zz-dispatcher", "ha-supervisor")
		}
		agree("nothing")
		chance := rand.New(rand.NewSource(7))
		for n := range 12 {
			number, c := fmt.Sprintf("RND-%d", n), cities[chance.Intn(2)]
			o.must(c.people+"-agent", "startCase", fmt.Sprintf(`processKey: "ftth-install", regionID: %q, number: %q, channel: "hotline", variables: {case: {plan: "1000M", planMbps: 1000}}`, c.region, number))
			task := fmt.Sprintf("caseNumber: %q, nodeID: \"a_reg\"", number)
			for range chance.Intn(4) {
				switch chance.Intn(4) {
				case 0:
					o.do(c.people+"-agent", "claimTask", task)
				case 1:
					o.do(c.people+"-agent", "releaseTask", task)
				case 2:
					o.do(c.people+"-agent", "addSigners", task+fmt.Sprintf(`, staffIDs: [%q], place: "beside"`, o.staffID("zz-tech")))
				case 3:
					o.do(c.people+"-agent", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "x"`, o.caseID(number)))
				}
			}
			agree(number)
		}
		// Time alone makes tasks overdue: nothing is written, the boards see it.
		o.orderIn(cities[0], "LATE")
		agree("an order")
		due := o.house.Store.Client().Task.Query().AllX(access.With(t.Context(), access.System("test")))
		var first time.Time
		for _, row := range due {
			if row.DueAt != nil && (first.IsZero() || row.DueAt.Before(first)) {
				first = *row.DueAt
			}
		}
		if first.IsZero() {
			t.Fatal("no task has a due instant")
		}
		o.clock.Set(first.Add(-200 * time.Millisecond))
		late, _ := o.subscribe("ha-supervisor", "worklistCounts", `(regionID: "CN-HA-ZZ", soonMinutes: 1)`)
		if m := late.hear(); fmt.Sprint(m["overdue"]) != "0" || fmt.Sprint(m["dueSoon"]) == "0" {
			t.Errorf("just before the due instant the counts are %v", m)
		}
		o.clock.Set(first)
		if m := late.hear(); fmt.Sprint(m["overdue"]) == "0" {
			t.Errorf("at the due instant the counts are %v", m)
		}
	})
}

// counts asks for the counts of a worklist, without their instant and cursor.
func (o *office) counts(person, args string) string {
	o.t.Helper()
	m, _ := o.get(person, fmt.Sprintf("{ worklistCounts%s { %s } }", args, countFields), "worklistCounts").(map[string]any)
	return countText(m)
}

func countText(m map[string]any) string {
	m = maps.Clone(m)
	delete(m, "at")
	delete(m, "cursor")
	text, _ := json.Marshal(m)
	return string(text)
}

// seen are the latest counts that a live has told.
var seenCounts sync.Map // *live → string

func (l *live) latest() string {
	v, _ := seenCounts.Load(l)
	text, _ := v.(string)
	return text
}

// more waits for further counts; false when there are none for a while.
func (l *live) more() bool {
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	select {
	case v := <-l.told:
		m, ok := dig(v, "data", l.field).(map[string]any)
		seenCounts.Store(l, countText(m))
		return ok
	case <-late.C:
		return false
	}
}

// countsAreOfTheList compares counts with the sizes of the lists they count.
func (o *office) countsAreOfTheList(people ...string) {
	o.t.Helper()
	size := func(person, args string) string {
		return fmt.Sprint(o.get(person, fmt.Sprintf("{ worklist%s { totalCount } }", args), "worklist", "totalCount"))
	}
	for _, p := range people {
		m, _ := o.get(p, "{ worklistCounts { "+countFields+" } }", "worklistCounts").(map[string]any)
		for name, args := range map[string]string{
			"total": "", "mine": fmt.Sprintf("(assigneeID: %q)", o.staffID(p)), "toSign": "(toSign: true)", "unclaimed": "(where: {assigneeIDIsNil: true})",
		} {
			if got, want := fmt.Sprint(m[name]), size(p, args); got != want {
				o.t.Errorf("%s counts %s %s, and the list has %s", p, got, name, want)
			}
		}
		for i := 0; dig(m, "roles", i) != nil; i++ {
			if got, want := fmt.Sprint(dig(m, "roles", i, "total")), size(p, fmt.Sprintf("(role: %q)", dig(m, "roles", i, "role"))); got != want {
				o.t.Errorf("%s counts %s of %v, and the list has %s", p, got, dig(m, "roles", i, "role"), want)
			}
		}
	}
}

// TestSubscriptionOverWebSocket takes a cursor over a WebSocket, goes away, and resumes
// there with all that happened meanwhile.
func TestSubscriptionOverWebSocket(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		first := o.socket("zz-agent")
		first.send("1", fmt.Sprintf("subscription { caseChanged { %s } }", messages["caseChanged"]))
		cursor := dig(first.next("1"), "payload", "data", "caseChanged", "cursor")
		_ = first.conn.CloseNow()
		o.order("SO-1")
		revision := o.house.Store.Client().ServiceCase.Query().Where(servicecase.Number("SO-1")).OnlyX(access.With(t.Context(), access.System("test"))).Revision
		second := o.socket("zz-agent")
		second.send("1", fmt.Sprintf("subscription { caseChanged(after: %q) { %s } }", cursor, messages["caseChanged"]))
		second.send("2", "subscription { worklistCounts { total } }")
		told, counted := 0, 0
		for told != revision || counted == 0 {
			m := second.next("")
			if row, _ := dig(m, "payload", "data", "caseChanged", "serviceCase").(map[string]any); row != nil {
				_, _ = fmt.Sscan(fmt.Sprint(row["revision"]), &told)
			}
			if n := dig(m, "payload", "data", "worklistCounts", "total"); n != nil {
				_, _ = fmt.Sscan(fmt.Sprint(n), &counted)
			}
		}
	})
}

// socket is a client of the protocol graphql-transport-ws.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

func (o *office) socket(person string) socket {
	o.t.Helper()
	conn, resp, err := websocket.Dial(o.t.Context(), o.http.URL+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		o.t.Fatal(err)
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	o.t.Cleanup(func() { _ = conn.CloseNow() })
	s := socket{o.t, conn}
	if err := wsjson.Write(o.t.Context(), conn, map[string]any{"type": "connection_init", "payload": map[string]any{"person": person}}); err != nil {
		o.t.Fatal(err)
	}
	if m := s.next(""); m["type"] != "connection_ack" {
		o.t.Fatalf("a socket begins with %v", m)
	}
	return s
}

func (s socket) send(id, query string) {
	s.t.Helper()
	m := map[string]any{"type": "subscribe", "id": id, "payload": map[string]any{"query": query}}
	if err := wsjson.Write(s.t.Context(), s.conn, m); err != nil {
		s.t.Fatal(err)
	}
}

// next reads the next message of an operation, of any for "".
func (s socket) next(id string) map[string]any {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer stop()
	for {
		var m map[string]any
		if err := wsjson.Read(ctx, s.conn, &m); err != nil {
			s.t.Fatal(err)
		}
		if id == "" || m["id"] == id {
			return m
		}
	}
}

// TestSubscribersLeaveNothingBehind counts goroutines after clients have gone.
func TestSubscribersLeaveNothingBehind(t *testing.T) {
	o := openOffice(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai)) // alone: not parallel
	o.order("SO-1")
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	for range 3 {
		var lives []*live
		for field := range messages {
			for range 5 {
				l, _ := o.subscribe("zz-agent", field, "")
				lives = append(lives, l)
			}
		}
		s := o.socket("zz-agent")
		for field, fields := range messages {
			s.send(field, fmt.Sprintf("subscription { %s { %s } }", field, fields))
			s.next(field)
		}
		o.must("zz-dispatcher", "claimTask", `caseNumber: "SO-1", nodeID: "a_disp"`)
		o.must("zz-dispatcher", "releaseTask", `caseNumber: "SO-1", nodeID: "a_disp"`)
		for _, l := range lives {
			if l.field != "clockChanged" {
				l.hear()
			}
			l.end()
		}
		_ = s.conn.CloseNow()
	}
	if !poll(t, func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= before
	}) {
		text := make([]byte, 1<<20)
		t.Errorf("%d goroutines after the clients have gone, %d before:\n%s", runtime.NumGoroutine(), before, text[:runtime.Stack(text, true)])
	}
}
