package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/internal/access"
	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// openBroken opens an office in which so many enquiries of Zhengzhou have failed:
// more than one slice of a batch.
func openBroken(t *testing.T, url string, n int) *office {
	t.Helper()
	o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	o.divides()
	for i := range n {
		o.enquiry("enquiry", fmt.Sprintf("Q-%04d", i), `calc: {divisor: 0}`)
	}
	return o
}

// batch starts a batch and returns its id.
func (o *office) batch(person, field, input string) string {
	o.t.Helper()
	r, _ := o.ask(person, fmt.Sprintf(`mutation { %s(input: {%s}) { batch { id state done startedBy action } userErrors { code path } } }`, field, input))
	id, ok := dig(r.Data, field, "batch", "id").(string)
	if !ok {
		o.t.Fatalf("%s(%s) as %s = %v %v, want a batch", field, input, person, r.Data, r.Errors)
	}
	return id
}

// fixing retries all that has failed in Henan with a divisor that does not fail.
const fixing = `action: "retry", regionID: "CN-HA", nodeID: "calc", processKey: "enquiry", variables: {calc: {divisor: 5}}, reason: "修正除数"`

// progress is a batch as people see it: its state and counts.
func (o *office) progress(id string) string {
	o.t.Helper()
	b := o.get("ha-supervisor", fmt.Sprintf(`{ node(id: %q) { ... on Batch { state total done succeeded refused } } }`, id), "node")
	return fmt.Sprint(dig(b, "state"), " ", dig(b, "total"), " ", dig(b, "done"), " ", dig(b, "succeeded"), " ", dig(b, "refused"))
}

// items pages through the items of a batch that a filter selects, few at a time, and
// returns how many there are of each outcome and code; each subject must be there once.
func (o *office) items(id, where string) map[string]int {
	o.t.Helper()
	out, subjects, after := map[string]int{}, map[string]bool{}, ""
	for {
		page := o.get("ha-supervisor", fmt.Sprintf(`{ batchItems(first: 15 %s, where: {batchID: %q %s}) { totalCount pageInfo { hasNextPage endCursor }
			edges { node { subject outcome code textZh textEn case { number } } } } }`, after, id, where), "batchItems")
		list, _ := dig(page, "edges").([]any)
		for _, e := range list {
			n := dig(e, "node")
			subject := fmt.Sprint(dig(n, "subject"))
			if subjects[subject] {
				o.t.Errorf("batch %s lists %s twice", id, subject)
			}
			subjects[subject] = true
			out[strings.TrimSpace(fmt.Sprint(dig(n, "outcome"), " ", dig(n, "code")))]++
			if code := dig(n, "code"); code != "" && (dig(n, "textZh") == "" || dig(n, "textEn") == "") {
				o.t.Errorf("an item refused with %v says %v, want texts in both languages", code, n)
			}
		}
		if n, _ := dig(page, "totalCount").(float64); dig(page, "pageInfo", "hasNextPage") != true {
			if int(n) != len(subjects) {
				o.t.Errorf("batch %s counts %v items where %s and lists %d", id, n, where, len(subjects))
			}
			return out
		}
		after = fmt.Sprintf(", after: %q", dig(page, "pageInfo", "endCursor"))
	}
}

// audited counts the applied audit entries of an operation.
func (o *office) audited(operation string) float64 {
	o.t.Helper()
	n, _ := o.get("demo-admin", fmt.Sprintf(`{ auditEntries(first: 1, where: {operation: %q, outcome: applied}) { totalCount } }`, operation), "auditEntries", "totalCount").(float64)
	return n
}

// retriedOnce checks that the failures of n cases have been retried, each once.
func (o *office) retriedOnce(n int) {
	o.t.Helper()
	for i := range n {
		number := fmt.Sprintf("Q-%04d", i)
		if got := o.failures(number, "state") + " " + o.at(number); got != "retried a_call:task" {
			o.t.Errorf("%s is %s, want retried a_call:task", number, got)
		}
	}
	if got := o.audited("retryFailure"); got != float64(n) {
		o.t.Errorf("%v retries are audited, want %d", got, n)
	}
}

// TestBatchOfFailures starts batches by filter: they are carried out by the server,
// under their idempotency keys once, and say what became of each item.
func TestBatchOfFailures(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		const n = 40
		o := openBroken(t, url, n)
		o.wants("zz-agent", "startFailureBatch", fixing, "ACTION_FORBIDDEN")
		o.wants("zz-lead", "startFailureBatch", fixing, "ACTION_FORBIDDEN")
		o.wants("zz-lead", "startFailureBatch", `action: "retry", regionID: "CN-CQ", reason: "x"`, "REGION_NOT_FOUND")
		o.wants("ha-supervisor", "startFailureBatch", `action: "cancel", regionID: "CN-HA", reason: "x"`, "ACTION_FORBIDDEN")
		o.wants("ha-supervisor", "startFailureBatch", `action: "explode", regionID: "CN-HA", reason: "x"`, "FIELD_NOT_ONE_OF")
		o.wants("ha-supervisor", "startFailureBatch", `action: "move", regionID: "CN-HA", reason: "x"`, "FIELD_REQUIRED")
		o.wants("ha-supervisor", "startFailureBatch", `action: "set_variables", regionID: "CN-HA", reason: "x"`, "FIELD_REQUIRED")

		none := o.batch("ha-supervisor", "startFailureBatch", `action: "retry", regionID: "CN-HA", code: "NOTHING", reason: "x"`)
		wrong := o.batch("ha-supervisor", "startFailureBatch", `action: "retry", regionID: "CN-HA", variables: {calc: {divisor: "x"}}, reason: "x"`)
		o.tick()
		if got := o.progress(none); got != "done 0 0 0 0" {
			t.Errorf("a batch about nothing is %s, want done with none", got)
		}
		if got := o.progress(wrong); got != "done 40 40 0 40" {
			t.Errorf("a batch with a wrong variable is %s, want all 40 refused", got)
		}
		if got := o.items(wrong, `, outcome: refused`); got["refused VARIABLE_TYPE"] != n || len(got) != 1 {
			t.Errorf("its items are %v, want 40 refused with VARIABLE_TYPE", got)
		}
		if got := o.failures("Q-0000", "state"); got != "open" {
			t.Errorf("what was refused has left failures %s, want open", got)
		}

		key := fixing + `, idempotencyKey: "b1"`
		id := o.batch("ha-supervisor", "startFailureBatch", key)
		if again := o.batch("ha-supervisor", "startFailureBatch", key); again != id {
			t.Errorf("the same key starts %s and %s, want one batch", id, again)
		}
		if got := o.progress(id); got != "queued 40 0 0 0" {
			t.Errorf("a batch that was started is %s, want queued", got)
		}
		o.tick()
		if got := o.progress(id); got != "done 40 40 40 0" {
			t.Errorf("the batch is %s, want all 40 done", got)
		}
		if got := o.items(id, ""); got["succeeded"] != n || len(got) != 1 {
			t.Errorf("its items are %v, want 40 succeeded", got)
		}
		o.retriedOnce(n)
		list := o.get("ha-supervisor", `{ batches(first: 2, regionID: "CN-HA", where: {state: done, action: retry}, orderBy: [{field: CREATED_AT, direction: DESC}]) {
			totalCount edges { node { id reason preview request startedBy beganAt endedAt } } } }`, "batches")
		if dig(list, "totalCount") != 3.0 || dig(list, "edges", 0, "node", "startedBy") != o.staffID("ha-supervisor") {
			t.Errorf("the batches of Henan are %v, want three of the supervisor", list)
		}
		o.wants("ha-supervisor", "cancelBatch", fmt.Sprintf(`batchID: %q, reason: "x"`, id), "BATCH_ENDED")
		o.verified()

		damage(t, url, fmt.Sprintf("update batch_items set outcome = 'waiting' where batch_id = '%s' and case_id = '%s'", id, o.caseID("Q-0007")))
		report, err := o.house.Cases.Verify(access.With(t.Context(), access.System("test")), func(int, int) {})
		if err != nil || len(report.Violations) == 0 || report.Violations[0].Rule != "batches" || report.Violations[0].Subject != id {
			t.Errorf("Verify() over a damaged item = %+v, %v, want a violation of batches", report.Violations, err)
		}
	})
}

// TestBatchActions moves, skips, corrects and cancels by filter.
func TestBatchActions(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openBroken(t, url, 2)
		run := func(person, input, want string) {
			t.Helper()
			id := o.batch(person, "startFailureBatch", `regionID: "CN-HA-ZZ", reason: "测试", `+input)
			o.tick()
			if got := o.progress(id); got != want {
				t.Errorf("%s is %s, want %s: %v", input, got, want, o.items(id, ""))
			}
		}
		both := func(want string) {
			t.Helper()
			for _, number := range []string{"Q-0000", "Q-0001"} {
				if got := o.at(number); got != want {
					t.Errorf("%s is at %s, want %s", number, got, want)
				}
			}
		}
		run("zz-lead", `action: "set_variables", variables: {calc: {divisor: 2}}`, "done 2 2 2 0")
		both("calc:failed")
		run("zz-lead", `action: "move", toNodeID: "nowhere"`, "done 2 2 0 2")
		run("zz-lead", `action: "move", toNodeID: "a_call"`, "done 2 2 2 0")
		both("a_call:task")
		if got := o.failures("Q-0000", "state"); got != "moved" {
			t.Errorf("the failure of a moved token is %s, want moved", got)
		}
		run("zz-lead", `action: "skip"`, "done 0 0 0 0")
		for i := 2; i < 4; i++ {
			o.enquiry("enquiry", fmt.Sprintf("Q-%04d", i), `calc: {divisor: 0}`)
		}
		run("zz-lead", `action: "skip", variables: {calc: {result: 7}}`, "done 2 2 2 0")
		if got := o.at("Q-0002"); got != "a_call:task" {
			t.Errorf("a skipped token is at %s, want a_call:task", got)
		}
		o.enquiry("enquiry", "Q-0004", `calc: {divisor: 0}`)
		o.wants("zz-lead", "startFailureBatch", `action: "cancel", regionID: "CN-HA-ZZ", reason: "x"`, "ACTION_FORBIDDEN")
		run("demo-admin", `action: "cancel"`, "done 1 1 1 0")
		if got := o.get("ha-admin", `{ serviceCase(number: "Q-0004") { state } }`, "serviceCase", "state"); got != "cancelled" {
			t.Errorf("the case is %v, want cancelled", got)
		}
		o.verified()
	})
}

// TestBatchSparesWhatGoesOn lets people mend a case between the moment in which a batch
// lists it and the one in which its turn comes: it is neither cancelled nor given variables.
func TestBatchSparesWhatGoesOn(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		o := openBroken(t, url, 1)
		listed := func(n *node) bool { return n.batched == 2 && n.looked == 2 } // and not begun
		mend := func(number string) func() {
			return func() {
				o.must("ha-supervisor", "retryFailure", fmt.Sprintf(`failureID: %q, reason: "测试", variables: {calc: {divisor: 1}}`, o.open(number)))
			}
		}
		spared := func(number, how string) {
			t.Helper()
			vars := fmt.Sprint(o.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { variables } }`, number), "serviceCase", "variables", "calc", "divisor"))
			if got := o.at(number); got != "a_call:task" || vars != "1" {
				t.Errorf("%s: the case that went on is at %s with a divisor of %s, want it left as it was", how, got, vars)
			}
		}

		queries := 0 // of failures: they are counted, then listed
		o.house.Store.Client().Failure.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
			return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
				v, err := next.Query(ctx, q)
				if queries++; queries == 2 {
					mend("Q-0000")()
				}
				return v, err
			})
		}))
		r, err := o.house.Cases.ResolveFailures(access.With(t.Context(), access.System("test")), execution.ResolveFailures{Action: "cancel", Reason: "测试"})
		if err != nil || len(r.Items) != 1 || fault.CodeOf(r.Items[0].Err) != "FAILURE_ENDED" {
			t.Errorf("ResolveFailures() = %+v, %v, want one failure, refused with FAILURE_ENDED", r, err)
		}
		spared("Q-0000", "resolveFailures")

		for i, action := range []string{`action: "cancel"`, `action: "set_variables", variables: {calc: {divisor: 7}}`} {
			// PostgreSQL tells the node of commits in its own time: now and then the case is mended
			// before it is listed, or not at all, which shows nothing and is tried again.
			first, got := "", map[string]int{}
			for try := 0; try < 12 && got["refused FAILURE_ENDED"] != 1; try++ {
				first = fmt.Sprintf("Q-%d-%d-1", i, try)
				o.enquiry("enquiry", first, `calc: {divisor: 0}`)
				o.enquiry("enquiry", fmt.Sprintf("Q-%d-%d-2", i, try), `calc: {divisor: 0}`)
				id := o.batch("demo-admin", "startFailureBatch", action+`, regionID: "CN-HA-ZZ", reason: "测试"`)
				n := o.openNode(url, listed, mend(first))
				if _, err := n.house.Cases.CarryBatches(t.Context(), 1); err != nil {
					t.Fatalf("CarryBatches() = %v", err)
				}
				got = o.items(id, "")
			}
			if got["refused FAILURE_ENDED"] != 1 || got["succeeded"] < 1 {
				t.Errorf("%s: the items are %v, want one refused with FAILURE_ENDED", action, got)
			}
			spared(first, action)
		}
		o.verified()
	})
}

// TestBatchKeepsToRights takes the rights of who has started a batch before it is
// carried out, and then the person himself.
func TestBatchKeepsToRights(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openBroken(t, url, 3)
		o.person("passing", "CN-HA", "quality", "CN-HA")
		r, _ := o.ask("demo-admin", fmt.Sprintf(`mutation { assignRole(input: {staffID: %q, role: "supervisor", regionID: "CN-HA"}) { roleAssignment { id } userErrors { code } } }`, o.staffID("passing")))
		role := fmt.Sprint(dig(r.Data, "assignRole", "roleAssignment", "id"))
		first := o.batch("passing", "startFailureBatch", fixing)
		o.must("demo-admin", "endRole", fmt.Sprintf(`assignmentID: %q`, role))
		o.tick()
		if got := o.items(first, ""); got["refused ACTION_FORBIDDEN"] != 3 || o.progress(first) != "done 3 3 0 3" {
			t.Errorf("without the right the items are %v, %s, want 3 refused with ACTION_FORBIDDEN", got, o.progress(first))
		}
		o.clock.Advance(time.Minute)
		o.must("demo-admin", "assignRole", fmt.Sprintf(`staffID: %q, role: "supervisor", regionID: "CN-HA"`, o.staffID("passing")))
		second := o.batch("passing", "startFailureBatch", fixing)
		o.must("demo-admin", "updateStaff", fmt.Sprintf(`staffID: %q, active: false`, o.staffID("passing")))
		o.tick()
		if got := o.items(second, ""); got["refused STAFF_UNKNOWN"] != 3 {
			t.Errorf("without the person the items are %v, want 3 refused with STAFF_UNKNOWN", got)
		}
		if got := o.failures("Q-0000", "state"); got != "open" {
			t.Errorf("the failure is %s, want open", got)
		}
		o.verified()
	})
}

// node is another node on the database of an office. Its clock lets a test act at a
// certain step of its work: at is asked whenever the node looks at the time, with what
// it has done, and says whether to act now.
type node struct {
	clock.Clock
	house   *server.House
	heard   <-chan store.Change
	batched int // changes of batches that it has made
	looked  int // times that it has looked at the time since
	at      func(*node) bool
	act     func()
}

// Now implements clock.Clock.
func (n *node) Now() time.Time {
	if n.act == nil {
		return n.Clock.Now()
	}
	n.looked++
	for more := true; more; {
		select {
		case c := <-n.heard:
			if c.Kind == "batched" {
				n.batched, n.looked = n.batched+1, 1
			}
		default:
			more = false
		}
	}
	if act := n.act; n.at(n) {
		n.act = nil
		act()
	}
	return n.Clock.Now()
}

// openNode opens another node.
func (o *office) openNode(url string, at func(*node) bool, act func()) *node {
	o.t.Helper()
	n := &node{Clock: o.clock, at: at}
	h, err := server.OpenHouse(o.t.Context(), url, n, slog.New(slog.DiscardHandler))
	if err != nil {
		o.t.Fatalf("OpenHouse() = %v", err)
	}
	o.t.Cleanup(func() { _ = h.Close() })
	n.house, n.heard, n.act = h, h.Store.Subscribe(o.t.Context()), act
	return n
}

// sliced is true when a node has claimed a batch, listed it, decided a first slice of
// it and read the items of the second; it is in no transaction then.
func sliced(n *node) bool { return n.batched == 3 && n.looked == 2 }

// holding counts the rows of a table with a value in a column.
func (o *office) holding(table, column, value string) int {
	n := 0
	for _, row := range o.table(table) {
		if row[column] == value {
			n++
		}
	}
	return n
}

// TestBatchIsTakenOver lets a node die in the middle of a slice: another one goes on
// when its lease is over, and nothing is done twice.
func TestBatchIsTakenOver(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		const n = 40
		o := openBroken(t, url, n)
		id := o.batch("ha-supervisor", "startFailureBatch", fixing)
		ctx, die := context.WithCancel(t.Context())
		first := o.openNode(url, func(*node) bool { return o.holding("batch_items", "outcome", "succeeded") >= 5 }, die)
		if _, err := first.house.Cases.CarryBatches(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Fatalf("CarryBatches() of a node that dies = %v, want context.Canceled", err)
		}
		done := o.items(id, `, outcome: succeeded`)["succeeded"]
		if got := o.progress(id); done < 5 || done >= 32 || got != "running 40 0 0 0" {
			t.Fatalf("after its death %d items are done and the batch is %s, want a part of a slice", done, got)
		}
		o.clock.Advance(6 * time.Second)
		o.tick()
		if got := o.items(id, `, outcome: succeeded`)["succeeded"]; got != done {
			t.Errorf("within the lease of the first node %d items are done, want %d still", got, done)
		}
		o.clock.Advance(time.Second)
		o.tick()
		if got := o.progress(id); got != "done 40 40 40 0" {
			t.Errorf("after the lease the batch is %s, want all 40 done", got)
		}
		o.items(id, "")
		o.retriedOnce(n)
		o.verified()
	})
}

// TestLateNodeWritesNothing lets a node sleep before its second slice until another one
// has taken the batch over, and died of it: the first finds its fence passed.
func TestLateNodeWritesNothing(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		const n = 40
		o := openBroken(t, url, n)
		id := o.batch("ha-supervisor", "startFailureBatch", fixing)
		rows := func() string {
			return fmt.Sprint(o.table("audit_entries"), o.table("batches"), o.table("batch_items"), o.table("case_events"))
		}
		before := ""
		first := o.openNode(url, sliced, func() {
			if got := o.progress(id); got != "running 40 32 32 0" {
				t.Errorf("after a slice the batch is %s, want 32 done", got)
			}
			o.clock.Advance(8 * time.Second)
			ctx, die := context.WithCancel(t.Context())
			second := o.openNode(url, func(*node) bool { return o.holding("batches", "fence", "2") == 1 }, die)
			if _, err := second.house.Cases.CarryBatches(ctx, 1); !errors.Is(err, context.Canceled) {
				t.Errorf("CarryBatches() of the second node = %v, want context.Canceled", err)
			}
			before = rows()
		})
		decided, err := first.house.Cases.CarryBatches(t.Context(), 1)
		if err != nil || decided != 32 || before == "" {
			t.Errorf("CarryBatches() of the late node = %d, %v, want the 32 of its first slice", decided, err)
		}
		if rows() != before {
			t.Errorf("the late node has written something: the batch is %s", o.progress(id))
		}
		o.clock.Advance(8 * time.Second)
		o.tick()
		if got := o.progress(id); got != "done 40 40 40 0" {
			t.Errorf("taken over again the batch is %s, want all 40 done", got)
		}
		o.retriedOnce(n)
		o.verified()
	})
}

// TestCancelBatch stops a batch after its first slice: what is done stays done and is
// listed, the rest is left alone.
func TestCancelBatch(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openBroken(t, url, 40)
		id := o.batch("ha-supervisor", "startFailureBatch", fixing)
		stop := fmt.Sprintf(`batchID: %q, reason: "除数有误"`, id)
		o.wants("zz-agent", "cancelBatch", stop, "BATCH_NOT_FOUND")
		o.wants("auditor", "cancelBatch", stop, "ACTION_FORBIDDEN")
		first := o.openNode(url, sliced, func() { o.must("ha-supervisor", "cancelBatch", stop) })
		if decided, err := first.house.Cases.CarryBatches(t.Context(), 1); err != nil || decided != 32 {
			t.Errorf("CarryBatches() = %d, %v, want the 32 that were decided before", decided, err)
		}
		o.clock.Advance(time.Hour)
		o.tick()
		if got := o.progress(id); got != "cancelled 40 32 32 0" {
			t.Errorf("the batch is %s, want cancelled with 32 done", got)
		}
		if got := o.items(id, ""); got["succeeded"] != 32 || got["waiting"] != 8 {
			t.Errorf("its items are %v, want 32 succeeded and 8 waiting", got)
		}
		if got := o.audited("retryFailure"); got != 32 {
			t.Errorf("%v retries are audited, want 32", got)
		}
		r, _ := o.ask("ha-supervisor", fmt.Sprintf(`mutation { cancelBatch(input: {%s}) { userErrors { code message } } }`, stop))
		if got := fmt.Sprint(dig(r.Data, "cancelBatch", "userErrors")); got != "[map[code:BATCH_ENDED message:批量作业已结束，状态为已取消]]" {
			t.Errorf("a batch that was cancelled before = %s, want BATCH_ENDED, in Chinese", got)
		}
		queued := o.batch("ha-supervisor", "startFailureBatch", fixing)
		o.must("ha-supervisor", "cancelBatch", fmt.Sprintf(`batchID: %q, reason: "x"`, queued))
		o.tick()
		if got := o.progress(queued); got != "cancelled 8 0 0 0" {
			t.Errorf("a batch that was cancelled at once is %s", got)
		}
		o.verified()
	})
}

// TestMigrationBatch tries a migration and then does it: the trial writes nothing but
// its items.
func TestMigrationBatch(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		for _, number := range []string{"SO-1", "SO-2"} {
			o.order(number)
		}
		o.work("zz-dispatcher", "SO-2", "a_disp", "")
		o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1"`)
		o.must("hq-standard", "editProcessDraft", `versionID: "ftth-install@2", revision: 1, edits: [{op: "removeNode", id: "a_stock", reconnect: true}]`)
		o.release("ftth-install@2", 2)
		versions := `fromVersionID: "ftth-install@1", toVersionID: "ftth-install@2", regionID: "CN-HA", reason: "新规范"`
		pairs := versions + `, pairs: [{from: "a_stock", to: "a_disp"}]`
		if got := o.do("ha-admin", "startMigrationBatch", versions); len(got) == 0 || !strings.Contains(fmt.Sprint(got), "MAPPING_NODE_MISSING") {
			t.Errorf("without a place for a_stock = %v, want MAPPING_NODE_MISSING", got)
		}
		o.wants("ha-supervisor", "startMigrationBatch", versions, "ACTION_FORBIDDEN")
		o.wants("ha-supervisor", "startMigrationBatch", pairs, "ACTION_FORBIDDEN")
		o.wants("ha-admin", "startMigrationBatch", `fromVersionID: "ftth-install@1", toVersionID: "ftth-install@1", regionID: "CN-HA", reason: "x"`, "MIGRATION_SAME_VERSION")

		trial := o.batch("ha-admin", "startMigrationBatch", pairs+`, preview: true`)
		rows := func() string {
			out := ""
			for _, table := range []string{"service_cases", "tokens", "tasks", "clocks", "timer_rows", "case_events", "failures", "jobs"} {
				out += fmt.Sprint(table, o.table(table))
			}
			return out
		}
		before, audits := rows(), o.audited("migrateCase")
		o.tick()
		if after := rows(); after != before || o.audited("migrateCase") != audits {
			t.Error("the preview has written more than its items")
		}
		if got := o.progress(trial); got != "done 2 2 2 0" {
			t.Errorf("the preview is %s, want two cases that could be moved", got)
		}
		if got := fmt.Sprint(o.get("ha-admin", fmt.Sprintf(`{ node(id: %q) { ... on Batch { items(first: 5) { edges { node { textZh } } } } } }`, trial), "node")); !strings.Contains(got, "a_stock → a_disp") {
			t.Errorf("the items of the preview say %s, want where a_stock goes", got)
		}

		id := o.batch("ha-admin", "startMigrationBatch", pairs)
		o.must("ha-admin", "cancelCase", fmt.Sprintf(`caseID: %q, reason: "用户撤单"`, o.caseID("SO-1")))
		o.tick()
		if got := o.progress(id); got != "done 1 1 1 0" {
			t.Errorf("the migration is %s, want the one case that still runs", got)
		}
		if got := o.get("ha-admin", `{ serviceCase(number: "SO-2") { version { number } } }`, "serviceCase", "version", "number"); got != 2.0 || o.at("SO-2") != "a_disp:task" {
			t.Errorf("SO-2 is in version %v at %s, want 2 at a_disp:task", got, o.at("SO-2"))
		}
		o.verified()
	})
}

// TestBatchChanged listens to a batch while the server's own workers, two of them,
// carry it out.
func TestBatchChanged(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		const n = 40
		o := openBroken(t, url, n)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		told := (&matrix{o: o}).listen(ctx, person{code: "ha-supervisor"}, `subscription { batchChanged(regionID: "CN-HA") { lost batch { id state total done } } }`)
		for range 50 { // until it listens
			o.batch("ha-supervisor", "startFailureBatch", `action: "retry", regionID: "CN-HA", code: "NOTHING", reason: "x"`)
			again := time.NewTimer(200 * time.Millisecond)
			select {
			case <-told:
			case <-again.C:
				continue
			}
			break
		}
		second := o.openNode(url, nil, nil)
		go o.house.RunBatches(ctx)
		go second.house.RunBatches(ctx)
		id := o.batch("ha-supervisor", "startFailureBatch", fixing)
		deadline := time.NewTimer(30 * time.Second)
		defer deadline.Stop()
		var states []string
		for len(states) == 0 || states[len(states)-1] != "done 40" {
			select {
			case v := <-told:
				b := dig(v, "data", "batchChanged", "batch")
				if dig(b, "id") == id {
					states = append(states, fmt.Sprint(dig(b, "state"), " ", dig(b, "done")))
				}
			case <-deadline.C:
				t.Fatalf("the batch was told as %v, want it done; it is %s", states, o.progress(id))
			}
		}
		if len(states) < 2 {
			t.Errorf("the batch was told as %v, want its progress too", states)
		}
		stop()
		o.retriedOnce(n)
		o.verified()
	})
}
