package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/plugins/builtin"
	"github.com/openspms/spms/server"
)

// manual are the steps that docs/plugins.md prints for the modules of the product.
func manual(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### The fibre process with modules of the product")
	section, _, _ = strings.Cut(section, "\n##")
	blocks := block.FindAllStringSubmatch(section, -1)
	if len(blocks) < 6 {
		t.Fatalf("docs/plugins.md prints %d steps, want at least 6", len(blocks))
	}
	return blocks
}

// TestShippedModules plays the fibre process with the modules of the product, set up
// as docs/plugins.md prints it.
func TestShippedModules(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		blocks := manual(t)
		w.printed(blocks[:len(blocks)-1])
		dir := filepath.Join(t.TempDir(), "notices")
		messages := server.NoticeConfig{Dir: dir}.Messenger()

		w.dispatched("FTTH-1001", "+86 138 0000 1001", "OLT3-1-7")
		w.dispatched("FTTH-1002", "13800001002", "OLT3-1-8")
		w.dispatched("FTTH-1003", "", "OLT3-1-9")
		for range 3 {
			w.modules()
		}
		slot := func(number string) string {
			return fmt.Sprint(w.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { variables } }`, number), "serviceCase", "variables", "appointment", "slotStart"))
		}
		booked := map[string]int{}
		for _, number := range []string{"FTTH-1001", "FTTH-1002", "FTTH-1003"} {
			booked[slot(number)]++
		}
		if booked["2026-03-03T06:00:00Z"] != 2 || booked["<nil>"] != 1 {
			t.Errorf("the visits are booked as %v, want the two at 14:00 for which there is room", booked)
		}
		late := "FTTH-1003" // the next window ends after its 24 hours: people decide
		if got := fmt.Sprint(w.task(late, "a_slot", "kind role")) + w.runs(late); got != "map[kind:human nodeID:a_slot role:dispatcher]failed" {
			t.Errorf("what cannot be booked before its deadline is %v, want it with the dispatcher", got)
		}
		w.work("zz-dispatcher", late, "a_slot", `, variables: {appointment: {slotStart: "2026-03-03T08:00:00Z"}}`)
		for _, number := range []string{"FTTH-1001", "FTTH-1002", "FTTH-1003"} {
			w.work("zz-store", number, "a_stock", "")
		}
		w.modules()
		if got := w.at("FTTH-1001") + " " + w.runs("FTTH-1001"); got != "a_check:task completed waiting" {
			t.Errorf("before its measurement the order is at %s, want it waiting", got)
		}
		w.must("integration", "sendMessage", `name: "line.measured", correlationKey: "OLT3-1-7", payload: {ontOnline: true, opticalPowerDbm: -19.5}`)
		w.modules()
		if got := fmt.Sprint(w.get("ha-admin", `{ serviceCase(number: "FTTH-1001") { variables evidence(first: 20) { edges { node { kind content } } } } }`, "serviceCase")); !strings.Contains(got, "result:ready") || !strings.Contains(got, "kind:远程预检记录") {
			t.Errorf("after its measurement the order has %s, want the line ready and evidence of it", got)
		}
		w.clock.Advance(31 * time.Minute)
		w.modules()
		if got := fmt.Sprint(w.get("ha-admin", `{ serviceCase(number: "FTTH-1002") { variables } }`, "serviceCase", "variables", "line")); !strings.Contains(got, "unmeasured") {
			t.Errorf("without a measurement the order has %s, want it to go on unmeasured", got)
		}

		if n, err := w.house.Cases.SendNotices(t.Context(), messages); n != 2 || err != nil {
			t.Errorf("SendNotices() = %d, %v, want the two with a number", n, err)
		}
		letters := lettersIn(t, dir)
		if len(letters) != 2 || letters[0].Address == letters[1].Address || !strings.HasPrefix(letters[0].Text, "您的上门服务已预约：3月") {
			t.Errorf("the letters are %+v, want one for each order with a number", letters)
		}
		if n, err := w.house.Cases.SendNotices(t.Context(), messages); n != 0 || err != nil {
			t.Errorf("SendNotices() once more = %d, %v, want none", n, err)
		}
		w.printed(blocks[len(blocks)-1:])
		if got := fmt.Sprint(w.get("ha-admin", `{ notices(first: 10) { edges { node { state text recipient receipt case { number } } } } }`, "notices")); strings.Contains(got, "138") || strings.Count(got, "state:sent") != 2 {
			t.Errorf("the notices are shown as %s, want two that are sent, and no number of a customer", got)
		}
		w.verified()
	})
}

// dispatched leads an order of a customer to the end of its dispatch.
func (w *workshop) dispatched(number, phone, port string) {
	w.t.Helper()
	contact := ""
	if phone != "" {
		contact = fmt.Sprintf("contact: {phone: %q}, ", phone)
	}
	w.must("zz-agent", "startCase", fmt.Sprintf(`processKey: "ftth-install", regionID: "CN-HA-ZZ", number: %q, channel: "hotline",
		variables: {%scase: {plan: "1000M", planMbps: 1000}, line: {port: %q}}`, number, contact, port))
	w.work("zz-agent", number, "a_reg", `, variables: {identity: {verified: true}}, evidence: [{kind: "证件核验记录", content: "ok"}, {kind: "受理单", content: "SL"}]`)
	w.must("integration", "completeTask", fmt.Sprintf(`caseNumber: %q, nodeID: "a_res", variables: {resource: {status: "ready"}}, evidence: [{kind: "资源核查结果", content: "ok"}]`, number))
	w.work("zz-agent", number, "a_plan", `, variables: {offer: {tariffNoticeGiven: true}}`)
	w.must("integration", "sendMessage", fmt.Sprintf(`caseNumber: %q, name: "contract.confirmed", payload: {signed: true}`, number))
	w.work("zz-dispatcher", number, "a_disp", "")
}

// lettersIn reads the letters of a folder in the order of their addresses.
func lettersIn(t *testing.T, dir string) []execution.Letter {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var out []execution.Letter
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var l execution.Letter
		if err := json.Unmarshal(text, &l); err != nil || l.ID+".json" != filepath.Base(f) {
			t.Errorf("%s holds %s (%v), want the letter of that name", f, text, err)
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b execution.Letter) int { return strings.Compare(a.Address, b.Address) })
	return out
}

// TestShippedConform holds every plugin of the product against the contract as a
// process in the sandbox, and shows that shipping again changes nothing.
func TestShippedConform(t *testing.T) {
	t.Parallel()
	w := openWorkshop(t, storetest.SQLiteURL(t), time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
	if ok, err := w.house.Innovation.Ship(t.Context()); !ok || err != nil {
		t.Errorf("Ship() once more = %v, %v", ok, err)
	}
	for _, p := range builtin.All() {
		ref := p.Name + "@" + p.Version
		w.must("demo-admin", "testPlugin", fmt.Sprintf(`versionID: %q`, ref))
		w.tested(p.Name)
		got := w.get("ha-admin", fmt.Sprintf(`{ plugin(name: %q) { versions(first: 10) { totalCount edges { node { state conforms report keyID isolation } } } } }`, p.Name), "plugin", "versions")
		if text := fmt.Sprint(got); !strings.Contains(text, "conforms:true") || !strings.Contains(text, "state:approved") || !strings.Contains(text, "totalCount:1") {
			t.Errorf("%s: %s, want one version, approved, that conforms", ref, text)
		}
	}
	w.wants("ha-admin", "approvePlugin", `versionID: "sms-notice@1.0.0"`, "ACTION_FORBIDDEN")
	w.must("demo-admin", "revokePlugin", `versionID: "sms-notice@1.0.0", reason: "x"`)
	w.wants("ha-admin", "assignPlugin", `versionID: "sms-notice@1.0.0", regionID: "CN-HA", topic: "notice.send", mode: "full", fallbackRole: "l2"`, "PLUGIN_VERSION_STATE")
}

// TestNotices sends what people add to a task through a gateway that fails, refuses
// and takes.
func TestNotices(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		w := openWorkshop(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		w.printed(manual(t)[:4])
		w.dispatched("FTTH-2001", "13800002001", "x")
		w.dispatched("FTTH-2002", "not a number", "x")
		w.dispatched("FTTH-2003", "", "x")
		var mu sync.Mutex
		status, keys := http.StatusServiceUnavailable, map[string]int{}
		set := func(s int) { mu.Lock(); status = s; mu.Unlock() }
		gateway := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			body, _ := io.ReadAll(r.Body)
			var l execution.Letter
			if json.Unmarshal(body, &l) != nil || r.Header.Get("Idempotency-Key") != l.ID || r.Header.Get("Authorization") != "Bearer s3cret" {
				t.Errorf("the gateway got %s with %v", body, r.Header)
			}
			keys[l.ID]++
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte("taken 7"))
		}))
		defer gateway.Close()
		m := server.NoticeConfig{URL: gateway.URL, Token: "s3cret"}.Messenger()
		state := func(number string) string {
			return fmt.Sprint(w.get("ha-admin", fmt.Sprintf(`{ serviceCase(number: %q) { notices(first: 5) { edges { node { state code attempts receipt } } } } }`, number), "serviceCase", "notices", "edges", 0, "node"))
		}
		send := func(n int) {
			t.Helper()
			if got, err := w.house.Cases.SendNotices(t.Context(), m); got != n || err != nil {
				t.Errorf("SendNotices() = %d, %v, want %d", got, err, n)
			}
		}
		const notice = `, notices: [{channel: "sms", to: "contact.phone", text: "师傅明天上门"}]`
		for _, number := range []string{"FTTH-2001", "FTTH-2002", "FTTH-2003"} {
			task := fmt.Sprintf(`caseNumber: %q, nodeID: "a_slot", variables: {appointment: {slotStart: "2026-03-04T00:30:00Z"}}`, number)
			w.wants("integration", "completeTask", task+strings.Replace(notice, "contact.phone", "contact.fax", 1), "NOTICE_RECIPIENT_UNKNOWN")
			w.must("integration", "completeTask", task+notice)
		}
		send(0)
		for number, want := range map[string]string{"FTTH-2001": "code:NOTICE_GATEWAY", "FTTH-2002": "code:NOTICE_ADDRESS_MALFORMED", "FTTH-2003": "code:NOTICE_ADDRESS_MISSING"} {
			if got := state(number); !strings.Contains(got, want) {
				t.Errorf("%s: the notice is %s, want %s", number, got, want)
			}
		}
		send(0) // not before its pause is over
		w.clock.Advance(5 * time.Second)
		set(http.StatusTooManyRequests)
		send(0)
		w.clock.Advance(10 * time.Second)
		set(http.StatusForbidden)
		send(0)
		if got := state("FTTH-2001"); !strings.Contains(got, "code:NOTICE_REFUSED") || !strings.Contains(got, "state:failed") {
			t.Errorf("refused, the notice is %s", got)
		}
		id := fmt.Sprint(w.get("ha-admin", `{ serviceCase(number: "FTTH-2001") { notices(first: 5) { edges { node { id } } } } }`, "serviceCase", "notices", "edges", 0, "node", "id"))
		w.wants("zz-agent", "retryNotice", fmt.Sprintf(`noticeID: %q, reason: "x"`, id), "ACTION_FORBIDDEN")
		w.wants("ha-admin", "cancelNotice", fmt.Sprintf(`noticeID: %q, reason: "x"`, id), "NOTICE_STATE")
		w.must("ha-admin", "retryNotice", fmt.Sprintf(`noticeID: %q, reason: "the gateway is back"`, id))
		set(http.StatusCreated)
		send(1)
		if got := state("FTTH-2001"); !strings.Contains(got, "receipt:taken 7") || !strings.Contains(got, "state:sent") {
			t.Errorf("taken, the notice is %s", got)
		}
		if len(keys) != 1 || keys[id] != 4 {
			t.Errorf("the gateway saw %v, want one letter four times", keys)
		}
		w.verified()
	})
}
