package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/pluginhost/sandbox"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/plugins/builtin"
	"github.com/openspms/spms/server"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	builtin.Main()
	code := m.Run()
	storetest.DropTemplate()
	os.Exit(code)
}

var shanghai = time.FixedZone("CST", 8*3600)

// office is a seeded house with a virtual clock, asked over HTTP.
type office struct {
	t     *testing.T
	house *server.House
	clock *clock.Manual
	http  *httptest.Server
}

// openOffice seeds a house on the database of url, at an instant.
func openOffice(t *testing.T, url string, at time.Time) *office {
	t.Helper()
	o := &office{t: t, clock: clock.NewManual(at)}
	seed(t, url, at)
	h, err := server.OpenHouse(t.Context(), url, o.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("OpenHouse(%v) = %v", url, err)
	}
	o.house = h
	o.http = httptest.NewServer(h.Handler(server.AuthNone))
	t.Cleanup(func() {
		o.http.Close()
		if err := h.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return o
}

// seed loads the sample data into the database of url, at an instant: once for all
// houses that begin then.
func seed(t *testing.T, url string, at time.Time) {
	t.Helper()
	storetest.Fill(t, url, at.String(), func(url string) error {
		ctx := context.WithoutCancel(t.Context()) // other tests wait for it
		h, err := server.OpenHouse(ctx, url, clock.NewManual(at), slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		return errors.Join(h.Seed(ctx), h.Close())
	})
}

// reply is a GraphQL answer.
type reply struct {
	Data   map[string]any
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
}

// ask sends a query as a person and returns the answer and its status.
func (o *office) ask(person, query string) (reply, int) {
	o.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query})
	if err != nil {
		o.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.http.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(server.PersonHeader, person)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatalf("ask %s: %v", query, err)
	}
	defer res.Body.Close()
	var r reply
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		o.t.Fatalf("answer of %s: %v", query, err)
	}
	return r, res.StatusCode
}

// get asks and fails on any error; it returns the value at a path of the answer.
func (o *office) get(person, query string, path ...any) any {
	o.t.Helper()
	r, status := o.ask(person, query)
	if len(r.Errors) > 0 || status != http.StatusOK {
		o.t.Fatalf("%s as %s = %d %v", query, person, status, r.Errors)
	}
	return dig(r.Data, path...)
}

// dig walks maps by name and lists by number; a missing step gives nil.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch at := v.(type) {
		case map[string]any:
			name, _ := p.(string)
			v = at[name]
		case []any:
			n, ok := p.(int)
			if !ok || n >= len(at) {
				return nil
			}
			v = at[n]
		default:
			return nil
		}
	}
	return v
}

// do sends a mutation and returns the codes it was refused with, of the payload
// and of the request.
func (o *office) do(person, field, input string) []string {
	o.t.Helper()
	r, _ := o.ask(person, fmt.Sprintf("mutation { %s(input: {%s}) { userErrors { code path } } }", field, input))
	var codes []string
	for _, e := range r.Errors {
		codes = append(codes, fmt.Sprint(e.Extensions["code"]))
	}
	list, _ := dig(r.Data, field, "userErrors").([]any)
	for _, e := range list {
		codes = append(codes, fmt.Sprint(dig(e, "code")))
	}
	return codes
}

// must sends a mutation that nothing may refuse.
func (o *office) must(person, field, input string) {
	o.t.Helper()
	if codes := o.do(person, field, input); len(codes) > 0 {
		o.t.Fatalf("%s(%s) as %s is refused: %v", field, input, person, codes)
	}
}

// work claims and completes a task of a case.
func (o *office) work(person, number, node, rest string) {
	o.t.Helper()
	task := fmt.Sprintf("caseNumber: %q, nodeID: %q", number, node)
	o.must(person, "claimTask", task)
	o.must(person, "completeTask", task+rest)
}

// order starts a fibre order in Zhengzhou and works it until the contract is signed.
func (o *office) order(number string) {
	o.t.Helper()
	o.orderIn(cities[0], number)
}

// clocks returns the clocks of a case by indicator code.
func (o *office) clocks(number string) map[string]map[string]any {
	o.t.Helper()
	list, _ := o.get("ha-supervisor", fmt.Sprintf(`{ serviceCase(number: %q) { clocks { edges { node {
		indicatorCode state dueAt lastDay nature binding clauseRef pauses { edges { node { reason endedAt } } } } } } } }`, number),
		"serviceCase", "clocks", "edges").([]any)
	out := map[string]map[string]any{}
	for _, e := range list {
		n, _ := dig(e, "node").(map[string]any)
		out[fmt.Sprint(n["indicatorCode"])] = n
	}
	return out
}

func instantOf(t *testing.T, v any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, fmt.Sprint(v))
	if err != nil {
		t.Fatalf("instant %v: %v", v, err)
	}
	return at
}

// TestFibreOrder runs the acceptance items of the fibre scenario: the due
// instants of an order accepted at 15:59, clocks that pause for the customer's
// slot and resume by themselves, a technician without certificate, and a speed
// test that fails; then the order to its end with a survey answer.
func TestFibreOrder(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 15, 59, 0, 0, shanghai))
		const number = "SO-1559"
		o.order(number)

		clocks := o.clocks(number)
		wantDue := map[string]time.Time{
			"ENT-SAMEDAY-INSTALL":     time.Date(2026, 3, 4, 0, 0, 0, 0, shanghai),
			"ENT-ACTIVATE-URBAN-16WD": time.Date(2026, 3, 26, 0, 0, 0, 0, shanghai),
			"ENT-FTTH-48H":            time.Date(2026, 3, 5, 15, 59, 0, 0, shanghai),
		}
		if len(clocks) != len(wantDue) {
			t.Errorf("the order has clocks %v, want %v", clocks, wantDue)
		}
		for code, want := range wantDue {
			if got := instantOf(t, clocks[code]["dueAt"]); !got.Equal(want) || clocks[code]["state"] != "running" {
				t.Errorf("clock %s is %v due %v, want running due %v", code, clocks[code]["state"], got, want)
			}
		}
		board, _ := o.get("ha-supervisor", `{ clocks(regionID: "CN-HA") { totalCount } }`, "clocks", "totalCount").(float64)
		if int(board) != len(wantDue) {
			t.Errorf("the board of Henan shows %v clocks, want %d", board, len(wantDue))
		}

		o.work("zz-dispatcher", number, "a_disp", "")
		o.work("zz-store", number, "a_stock", "")
		slot := o.clock.Now().Add(72 * time.Hour)
		o.must("zz-agent", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "slot.chosen", payload: {slotStart: %q}`, number, slot.Format(time.RFC3339)))
		for code, c := range o.clocks(number) {
			if c["state"] != "paused" || dig(c, "pauses", "edges", 0, "node", "reason") != "customer_slot" {
				t.Errorf("clock %s while the customer's slot is awaited = %v, want paused for customer_slot", code, c)
			}
		}
		o.clock.Set(slot)
		o.tick()
		for code, c := range o.clocks(number) {
			if c["state"] != "running" {
				t.Errorf("clock %s at the slot is %v, want running", code, c["state"])
			}
		}
		if got := instantOf(t, o.clocks(number)["ENT-FTTH-48H"]["dueAt"]); !got.Equal(wantDue["ENT-FTTH-48H"].Add(72 * time.Hour)) {
			t.Errorf("the 48 h clock after 72 h of pause is due %v, want %v", got, wantDue["ENT-FTTH-48H"].Add(72*time.Hour))
		}

		visit := fmt.Sprintf(`caseNumber: %q, nodeID: "a_visit"`, number)
		if codes := o.do("zz-trainee", "claimTask", visit); len(codes) != 1 || codes[0] != "QUALIFICATION_MISSING" {
			t.Errorf("claim without certificate = %v, want QUALIFICATION_MISSING", codes)
		}
		refused := o.get("ha-supervisor", `{ auditEntries(where: {outcome: refused, code: "QUALIFICATION_MISSING"}) { edges { node { viewerName operation } } } }`,
			"auditEntries", "edges", 0, "node", "viewerName")
		if refused != "zz-trainee" {
			t.Errorf("the refused claim is audited for %v, want zz-trainee", refused)
		}
		done := `, variables: {visit: {result: "installed"}}, evidence: [{kind: "上门签到定位", content: "x"}, {kind: "光功率读数", content: "-21"}, {kind: "安装照片", content: "x"}]`
		o.work("zz-tech", number, "a_visit", done)
		o.speed(number, 850)
		o.work("zz-line", number, "a_line", "")
		o.work("zz-tech", number, "a_visit", done)
		o.speed(number, 960)
		o.work("zz-tech", number, "a_accept", `, evidence: [{kind: "验收单", content: "x"}, {kind: "服务评价码", content: "x"}]`)
		o.clock.Advance(24 * time.Hour)
		o.tick()
		o.must("integration", "completeTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_survey"`, number))
		o.must("zz-agent", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "survey.response", payload: {score: 9, comment: "快"}`, number))

		end, _ := o.get("ha-supervisor", fmt.Sprintf(`{ serviceCase(number: %q) { state outcome surveys { edges { node { score comment } } }
			clocks { edges { node { state } } } stages { edges { node { stage enteredAt leftAt } } } } }`, number), "serviceCase").(map[string]any)
		if end["state"] != "completed" || end["outcome"] != "e_done" || dig(end, "surveys", "edges", 0, "node", "score") != 9.0 {
			t.Errorf("the finished order = %v, want completed at e_done with a score of 9", end)
		}
		gapless(t, end)
		o.verified()
	})
}

// speed completes the activation with a measured rate and checks where the order goes.
func (o *office) speed(number string, mbps int) {
	o.t.Helper()
	o.must("integration", "completeTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_act", variables: {test: {downMbps: %d}},
		evidence: [{kind: "测速结果", content: "%d"}, {kind: "激活时间戳", content: "x"}]`, number, mbps, mbps))
	want := "a_accept"
	if mbps < 900 {
		want = "a_line"
	}
	got := o.get("demo-admin", fmt.Sprintf(`{ serviceCase(number: %q) { tokens { edges { node { nodeID } } } } }`, number),
		"serviceCase", "tokens", "edges", 0, "node", "nodeID")
	if got != want {
		o.t.Errorf("after a speed test of %d Mbps the order is at %v, want %s", mbps, got, want)
	}
}

// gapless checks that the stages follow each other without a gap.
func gapless(t *testing.T, c map[string]any) {
	t.Helper()
	list, _ := dig(c, "stages", "edges").([]any)
	if len(list) != 5 {
		t.Errorf("the order went through %d stages, want 5", len(list))
	}
	for i := 1; i < len(list); i++ {
		if left, entered := dig(list[i-1], "node", "leftAt"), dig(list[i], "node", "enteredAt"); left != entered {
			t.Errorf("stage %d is left at %v and the next entered at %v", i, left, entered)
		}
	}
}

func (o *office) tick() {
	o.t.Helper()
	if err := o.house.Tick(o.t.Context()); err != nil {
		o.t.Fatalf("Tick() = %v", err)
	}
}

// verified checks every invariant of the database.
func (o *office) verified() {
	o.t.Helper()
	report, err := o.house.Cases.Verify(access.With(o.t.Context(), access.System("test")), func(int, int) {})
	if err != nil || len(report.Violations) > 0 {
		o.t.Errorf("Verify() = %+v, %v, want no violation", report, err)
	}
}

// TestBadInput sends what must be refused and finds the code, and afterwards
// nothing written.
func TestBadInput(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		const number = "SO-1"
		o.must("zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-ZZ", number: "SO-1", channel: "hotline", variables: {case: {plan: "300M", planMbps: 300}}, idempotencyKey: "k"`)
		task := `caseNumber: "SO-1", nodeID: "a_reg"`
		o.must("zz-agent", "claimTask", task)
		tests := []struct{ name, person, field, input, want string }{
			{"unknown process", "zz-agent", "startCase", `processKey: "no", regionID: "CN-HA-ZZ"`, "PROCESS_NOT_FOUND"},
			{"unknown region", "zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-XX"`, "REGION_NOT_FOUND"},
			{"foreign region", "zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-CQ-YB", variables: {case: {channel: "app", plan: "300M", planMbps: 300}}`, "REGION_NOT_FOUND"},
			{"missing input", "zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-ZZ"`, "VARIABLE_REQUIRED"},
			{"wrong type", "zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-ZZ", variables: {case: {channel: "app", plan: "300M", planMbps: "fast"}}`, "VARIABLE_TYPE"},
			{"number taken", "zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-ZZ", number: "SO-1", variables: {case: {channel: "app", plan: "300M", planMbps: 300}}`, "CASE_NUMBER_TAKEN"},
			{"other input under the same key", "zz-agent", "startCase", `processKey: "ftth-install", regionID: "CN-HA-ZZ", idempotencyKey: "k"`, "IDEMPOTENCY_KEY_REUSED"},
			{"unknown task", "zz-agent", "claimTask", `taskID: "task_0"`, "TASK_NOT_FOUND"},
			{"unnamed task", "zz-agent", "claimTask", ``, "TASK_UNNAMED"},
			{"claimed twice", "zz-agent", "claimTask", task, "TASK_STATE"},
			{"another's task", "ha-quality", "completeTask", task, "TASK_NOT_YOURS"},
			{"task of a foreign region", "yb-agent", "claimTask", task, "TASK_NOT_FOUND"},
			{"missing evidence", "zz-agent", "completeTask", task + `, variables: {identity: {verified: true}}`, "EVIDENCE_MISSING"},
			{"undeclared variable", "zz-agent", "completeTask", task + `, variables: {foo: 1}`, "VARIABLE_UNDECLARED"},
			{"variable not of the form", "zz-agent", "completeTask", task + `, variables: {test: {downMbps: 1}}`, "VARIABLE_NOT_ALLOWED"},
			{"message nobody awaits", "zz-agent", "sendMessage", `caseNumber: "SO-1", name: "slot.chosen"`, "MESSAGE_NOT_EXPECTED"},
			{"right that is missing", "auditor", "cancelCase", `caseID: "` + o.caseID(number) + `", reason: "x"`, "ACTION_FORBIDDEN"},
			{"blank reason", "zz-agent", "cancelCase", `caseID: "` + o.caseID(number) + `", reason: ""`, "FIELD_REQUIRED"},
			{"broken BPMN", "hq-standard", "createProcess", `regionID: "CN", bpmn: "<a>"`, "BPMN_NOT_BPMN"},
			{"stale revision", "hq-approver", "publishProcess", `versionID: "ftth-install@1", revision: 1`, "STALE_REVISION"},
			{"published again", "hq-approver", "publishProcess", `versionID: "ftth-install@1", revision: 3`, "PROCESS_VERSION_STATE"},
		}
		before := o.rows()
		for _, tt := range tests {
			codes := o.do(tt.person, tt.field, tt.input)
			if len(codes) == 0 || codes[0] != tt.want {
				t.Errorf("%s: %s(%s) as %s = %v, want %s", tt.name, tt.field, tt.input, tt.person, codes, tt.want)
			}
		}
		if after := o.rows(); after != before {
			t.Errorf("rows after refusals = %s, want %s", after, before)
		}
		o.must("zz-agent", "cancelCase", `caseID: "`+o.caseID(number)+`", reason: "用户撤单"`)
		if codes := o.do("zz-agent", "claimTask", task); len(codes) == 0 || codes[0] != "CASE_ENDED" {
			t.Errorf("claim in a cancelled case = %v, want CASE_ENDED", codes)
		}
		o.verified()
	})
}

func (o *office) caseID(number string) string {
	return fmt.Sprint(o.get("demo-admin", fmt.Sprintf(`{ serviceCase(number: %q) { id } }`, number), "serviceCase", "id"))
}

// rows counts what a refusal may not change.
func (o *office) rows() string {
	o.t.Helper()
	var out []string
	for _, c := range []string{"serviceCases", "worklist", "processes", "clocks"} {
		n := o.get("demo-admin", "{ "+c+" { totalCount } }", c, "totalCount")
		out = append(out, fmt.Sprintf("%s %v", c, n))
	}
	n := o.get("demo-admin", `{ auditEntries(where: {outcome: applied}) { totalCount } }`, "auditEntries", "totalCount")
	return strings.Join(append(out, fmt.Sprintf("audit %v", n)), ", ")
}

// TestSeedTwiceChangesNothing loads the sample data again into a house that has it.
func TestSeedTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		before := o.rows()
		if err := o.house.Seed(t.Context()); err != nil {
			t.Fatalf("Seed() again = %v", err)
		}
		if after := o.rows(); after != before {
			t.Errorf("rows after seeding again = %s, want %s", after, before)
		}
	})
}
