package server_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/store/storetest"
	"github.com/openspms/spms/server"
)

// TestWorklistsOfMany reads worklists page by page whose tasks are found in many ways -
// of a city and a province, by attributes that few and that many cases have, by
// priority - and compares them with what plain SQL says.
func TestWorklistsOfMany(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		c := clock.NewManual(benchDay)
		h := reopen(t, url, c)
		furnish(t, h)
		var cities []place
		for _, r := range h.Store.Client().Region.Query().AllX(as(t, h, "auditor")) {
			if r.Code == "CN-HA-ZZ" || r.Code == "CN-HA-NY" || r.Code == "CN-CQ-YB" {
				cities = append(cities, place{r.ID, r.RegionPath})
			}
		}
		kinds := lives(t, h)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		crowd{url: url, cases: kinds, copies: 360, places: cities, every: time.Minute}.fill(t)
		prioritise(t, url)
		h = reopen(t, url, c)
		defer func() { _ = h.Close() }()
		web := httptest.NewServer(h.Handler(server.AuthNone))
		defer web.Close()
		p := newPoster(web.URL, 1)
		const channel = `case_id in (select case_id from case_attributes where name = 'case.channel' and text in (%s))`
		const byPriority, byPriorityUp = `orderBy: [{field: PRIORITY, direction: DESC}]`, `orderBy: [{field: PRIORITY, direction: ASC}]`
		for _, tt := range []struct{ name, person, arguments, where string }{
			{"what matters most in a city", "zz-agent", byPriority, `region_path = 'CN/CN-HA/CN-HA-ZZ/'`},
			{"what matters most in a province", "ha-supervisor", byPriority, `region_path like 'CN/CN-HA/%'`},
			{"what matters most to a role of a province", "ha-supervisor", `role: "technician", ` + byPriority, `role = 'technician' and region_path like 'CN/CN-HA/%'`},
			{"what matters most in the country", "auditor", byPriority, `true`},
			{"what matters least in a province", "ha-supervisor", byPriorityUp, `region_path like 'CN/CN-HA/%'`},
			{"what is due first, said so", "ha-supervisor", `orderBy: [{field: DUE_AT, direction: ASC}]`, `region_path like 'CN/CN-HA/%'`},
			{"a city", "zz-agent", ``, `region_path = 'CN/CN-HA/CN-HA-ZZ/'`},
			{"a role of a city", "ha-supervisor", `role: "technician", regionID: "CN-HA-NY"`, `role = 'technician' and region_path = 'CN/CN-HA/CN-HA-NY/'`},
			{"many of a province", "ha-supervisor", ``, `region_path like 'CN/CN-HA/%'`},
			{"the other province", "ha-supervisor", `regionID: "CN-HA", role: "agent"`, `role = 'agent' and region_path like 'CN/CN-HA/%'`},
			{"many of the country", "auditor", ``, `true`},
			{"few of a province", "auditor", `regionID: "CN-CQ"`, `region_path like 'CN/CN-CQ/%'`},
			{"an attribute of few", "auditor", `attributes: [{name: "case.channel", in: ["grid"]}]`, fmt.Sprintf(channel, `'grid'`)},
			{"an attribute of few in a city", "zz-agent", `attributes: [{name: "case.channel", in: ["grid"]}]`, `region_path = 'CN/CN-HA/CN-HA-ZZ/' and ` + fmt.Sprintf(channel, `'grid'`)},
			{"an attribute of many", "ha-supervisor", `attributes: [{name: "case.channel", in: ["app", "hotline", "store"]}]`, `region_path like 'CN/CN-HA/%' and ` + fmt.Sprintf(channel, `'app', 'hotline', 'store'`)},
			{
				"a number of many and a text of few", "auditor", `attributes: [{name: "case.fee", min: 100}, {name: "case.channel", in: ["store"]}]`,
				fmt.Sprintf(channel, `'store'`) + ` and case_id in (select case_id from case_attributes where name = 'case.fee' and number >= 100)`,
			},
			{"nobody", "auditor", `attributes: [{name: "case.channel", in: ["nobody"]}]`, `false`},
		} {
			var want []string
			db, _ := bare(t, url)
			order := "due_order, id"
			switch {
			case strings.Contains(tt.arguments, byPriority):
				order = "priority desc, id"
			case strings.Contains(tt.arguments, byPriorityUp):
				order = "priority, id"
			}
			rows, err := db.QueryContext(t.Context(), `select id from tasks where state in ('created', 'claimed', 'started', 'signing') and `+tt.where+` order by `+order)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var id string
				if err := rows.Scan(&id); err != nil {
					t.Fatal(err)
				}
				want = append(want, id)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			rows.Close() //nolint:sqlclosecheck // before the next statement of the loop
			_ = db.Close()
			got, totals := pages(t, p, tt.person, tt.arguments)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: the worklist has %d tasks, want %d (-want +got):\n%.2000s", tt.name, len(got), len(want), diff)
			}
			if totals != fmt.Sprint(len(want)) {
				t.Errorf("%s: the pages have the totals %s, want %d", tt.name, totals, len(want))
			}
		}
	})
}

// prioritise gives some tasks a higher priority than others.
func prioritise(t *testing.T, url string) {
	t.Helper()
	db, _ := bare(t, url)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `update tasks set priority = case when id like '%1' then 2 when id like '%a' then 1 else 0 end`); err != nil {
		t.Fatal(err)
	}
}

// pages reads a worklist to its end and returns the ids of its tasks and the totals
// that its pages tell, those that are equal once; every other page asks for none.
func pages(t *testing.T, p *poster, person, arguments string) (ids []string, totals string) {
	t.Helper()
	seen := map[string]bool{}
	for n, after := 0, ""; ; n++ {
		total := []string{"totalCount", ""}[n%2]
		answer, err := p.post(person, fmt.Sprintf(`{ worklist(%s first: 200%s) { %s pageInfo { hasNextPage endCursor } edges { node { id } } } }`, arguments, after, total))
		if err != nil {
			t.Fatal(err)
		}
		var r reply
		if err := json.Unmarshal(answer, &r); err != nil {
			t.Fatal(err)
		}
		list, _ := dig(r.Data, "worklist", "edges").([]any)
		for _, e := range list {
			ids = append(ids, fmt.Sprint(dig(e, "node", "id")))
		}
		if total != "" {
			if s := fmt.Sprint(dig(r.Data, "worklist", "totalCount")); !seen[s] {
				seen[s] = true
				totals = strings.TrimSpace(totals + " " + s)
			}
		}
		if dig(r.Data, "worklist", "pageInfo", "hasNextPage") != true {
			return ids, totals
		}
		after = fmt.Sprintf(", after: %q", dig(r.Data, "worklist", "pageInfo", "endCursor"))
	}
}
