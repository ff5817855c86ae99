package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/internal/store/storetest"
)

// TestBreachIsFollowed lets orders breach their clocks: the open task is marked
// for a role once, and a corrective case is opened once, or the breach says why not.
func TestBreachIsFollowed(t *testing.T) {
	t.Parallel()
	storetest.EachNewURL(t, func(t *testing.T, url string) {
		o := openOffice(t, url, time.Date(2026, 3, 3, 10, 0, 0, 0, shanghai))
		o.must("hq-standard", "createProcessDraft", `fromVersionID: "ftth-install@1"`)
		o.must("hq-standard", "editProcessDraft", `versionID: "ftth-install@2", revision: 1, edits: [
			{op: "setBreach", breach: {id: "look", do: "escalate", role: "supervisor"}},
			{op: "setBreach", breach: {id: "apologise", indicator: "ENT-FTTH-48H", do: "open", process: "enquiry"}},
			{op: "setBreach", breach: {id: "wrong", indicator: "ENT-SAMEDAY-INSTALL", do: "open", process: "enquiry"}},
			{op: "removeBreach", value: "wrong"}]`)
		o.release("ftth-install@2", 2)
		for i, opened := range []float64{0, 1} {
			number := fmt.Sprintf("SO-%d", i+1)
			o.order(number)
			for range 3 {
				o.clock.Advance(72 * time.Hour)
				o.tick()
				o.tick()
			}
			c, _ := o.get("ha-supervisor", fmt.Sprintf(`{ serviceCase(number: %q) { called(first: 5) { totalCount } actions(first: 50) { edges { node { action by to reason } } }
				breaches { edges { node { indicatorCode escalatedTo correctiveProcess correctiveError correctiveCase { process { key } caller { number } } } } } } }`, number), "serviceCase").(map[string]any)
			want := map[string]string{
				"ENT-SAMEDAY-INSTALL": `map[correctiveCase:<nil> correctiveError: correctiveProcess: escalatedTo:supervisor indicatorCode:ENT-SAMEDAY-INSTALL]`,
				"ENT-FTTH-48H":        `map[correctiveCase:<nil> correctiveError:PROCESS_NOT_BOUND correctiveProcess:enquiry escalatedTo:supervisor indicatorCode:ENT-FTTH-48H]`,
			}
			if opened > 0 {
				want["ENT-FTTH-48H"] = fmt.Sprintf(`map[correctiveCase:map[caller:map[number:%s] process:map[key:enquiry]] correctiveError: correctiveProcess:enquiry escalatedTo:supervisor indicatorCode:ENT-FTTH-48H]`, number)
			}
			list, _ := dig(c, "breaches", "edges").([]any)
			for _, e := range list {
				code := fmt.Sprint(dig(e, "node", "indicatorCode"))
				if got := fmt.Sprint(dig(e, "node")); got != want[code] {
					t.Errorf("a breach of %s = %s, want %s", number, got, want[code])
				}
			}
			if len(list) != len(want) {
				t.Errorf("%s has %d breaches, want %d", number, len(list), len(want))
			}
			if got := dig(c, "called", "totalCount"); got != opened {
				t.Errorf("%v corrective cases were opened for %s, want %v", got, number, opened)
			}
			if got := strings.Count(fmt.Sprint(c["actions"]), "action:escalate by:system"); got != 1 {
				t.Errorf("the one open task of %s was marked %d times, want 1: %v", number, got, c["actions"])
			}
			if got := o.get("ha-supervisor", `{ worklist(where: {escalatedTo: "supervisor"}) { totalCount } }`, "worklist", "totalCount"); got != float64(i+1) {
				t.Errorf("the worklist shows %v tasks for the supervisor, want %d", got, i+1)
			}
			if opened > 0 { // the clock runs on breached: the next tasks are marked as well
				o.work("zz-dispatcher", number, "a_disp", "")
				if got := dig(o.task(number, "a_stock", "escalatedTo"), "escalatedTo"); got != "supervisor" {
					t.Errorf("a task that came after the breach is marked for %v, want supervisor", got)
				}
			}
			o.must("demo-admin", "bindProcess", `versionID: "enquiry@1", regionID: "CN-HA-ZZ"`)
		}
		o.verified()
	})
}
