package staffing

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/plugins/builtin/pool"
	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, Plugin, plugintest.Sample{Config: `{"targetPercent":80,"withinMinutes":30,"maxIncrease":10,"maxDecrease":2,"minTasks":50}`})
}

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.FixedZone("CST", 8*3600))

// log makes weeks of tasks that come at random from 8 to 20 o'clock every day, at a rate
// an hour, and are worked off by a number of people first come, first served.
func log(seed uint64, weeks int, rate, service float64, people int) []sdk.Event {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []sdk.Event
	free := make([]float64, people) // minutes since monday
	n := 0
	for day := range weeks * 7 {
		for at := 8*60 + r.ExpFloat64()*60/rate; at < 20*60; at += r.ExpFloat64() * 60 / rate {
			arrived := float64(day*24*60) + at
			i := slices.Index(free, slices.Min(free))
			begun := max(arrived, free[i])
			free[i] = begun + r.ExpFloat64()*service
			n++
			add := func(l sdk.Lifecycle, minutes float64) {
				out = append(out, sdk.Event{Case: fmt.Sprint("c", n), Node: "visit", Activity: "上门", Lifecycle: l, Pool: "tech", Time: monday.Add(time.Duration(minutes * float64(time.Minute)))})
			}
			add(sdk.Schedule, arrived)
			add(sdk.Start, begun)
			add(sdk.Completed, free[i])
		}
	}
	slices.SortStableFunc(out, func(a, b sdk.Event) int { return a.Time.Compare(b.Time) })
	return out
}

// pools is the snapshot of one pool that is open as the log is.
func pools(size int, more string) string {
	hours := `{"mon":["08:00-20:00"],"tue":["08:00-20:00"],"wed":["08:00-20:00"],"thu":["08:00-20:00"],"fri":["08:00-20:00"],"sat":["08:00-20:00"],"sun":["08:00-20:00"]}`
	return fmt.Sprintf(`[{"id":"tech","name":"装维","nameEn":"Technicians","role":"technician","capacity":%d,"costPerHourFen":5500,"changeable":true,"utcOffsetMinutes":480,"hours":%s%s}]`, size, hours, more)
}

const config = `{"targetPercent":90,"withinMinutes":15,"replications":10}`

// sizeOf reads the size that the only proposal names.
func sizeOf(t *testing.T, got plugintest.Proposed) int {
	t.Helper()
	if len(got.Proposals) != 1 {
		t.Fatalf("%d proposals, want 1; it said %q", len(got.Proposals), got.Progress)
	}
	var edits []struct{ Op, ID, From, Value string }
	if err := json.Unmarshal([]byte(got.Proposals[0].GetEditsJson()), &edits); err != nil || len(edits) != 1 || edits[0].Op != "setCapacity" || edits[0].ID != "tech" {
		t.Fatalf("edits %s, want one setCapacity of tech", got.Proposals[0].GetEditsJson())
	}
	size := 0
	if _, err := fmt.Sscan(edits[0].Value, &size); err != nil {
		t.Fatal(err)
	}
	return size
}

// TestSizes: 8 an hour of 60 minutes are a load of 8. By Erlang C, 10 people begin 60 % of
// tasks at once and 1−0.409·exp(−2·0.25) = 75 % within 15 minutes, 11 people 87 %, 12 94 %.
func TestSizes(t *testing.T) {
	t.Parallel()
	events := log(1, 8, 8, 60, 10)
	got := plugintest.Propose(t, Plugin, plugintest.Given{Config: config, Seed: 7, Pools: pools(10, ""), Events: events})
	if size := sizeOf(t, got); size != 12 {
		t.Errorf("10 people are made %d, want 12: %s", size, got.Proposals[0].GetRationale())
	}
	claims := got.Proposals[0].GetClaims()
	level := claims[0]
	if math.Abs(level.GetBefore()-752) > 50 || math.Abs(level.GetAfter()-949) > 25 || level.GetLow() <= 0 || level.GetLow() > level.GetAfter()-level.GetBefore() || level.GetHigh() < level.GetAfter()-level.GetBefore() {
		t.Errorf("the claim is %v, want about 752 → 949 ‰ with an interval around the difference", level)
	}
	if busy := claims[1]; math.Abs(busy.GetBefore()-800) > 30 || math.Abs(busy.GetAfter()-667) > 30 {
		t.Errorf("occupancy is claimed as %v, want about 800 → 667 ‰", busy)
	}
	if cost := claims[3]; cost.GetLow() != 2*84*5500 || cost.GetHigh() != cost.GetLow() {
		t.Errorf("cost is claimed as %v, want 84 hours of two people more", cost)
	}
	if text := got.Proposals[0].GetRationale(); !strings.Contains(text, "Erlang C") || !strings.Contains(text, "目标") || !strings.Contains(text, "Target") {
		t.Errorf("the rationale %q names neither method nor target in both languages", text)
	}
	enough := plugintest.Propose(t, Plugin, plugintest.Given{Config: config, Seed: 7, Pools: pools(12, ""), Events: events})
	if len(enough.Proposals) != 0 || !strings.Contains(fmt.Sprint(enough.Progress), "现有 12 人合适") {
		t.Errorf("12 people: %v, %q, want no proposal", enough.Proposals, enough.Progress)
	}
	many := plugintest.Propose(t, Plugin, plugintest.Given{Config: config, Seed: 7, Pools: pools(16, ""), Events: events})
	if size := sizeOf(t, many); size != 12 {
		t.Errorf("16 people are made %d, want 12", size)
	}
}

// TestBounds: settings limit what is proposed.
func TestBounds(t *testing.T) {
	t.Parallel()
	events := log(2, 6, 8, 60, 10)
	for name, tt := range map[string]struct {
		config, counts string
		size           int
		want           int // 0: no proposal
	}{
		"at most one more":      {`{"withinMinutes":15,"maxIncrease":1,"replications":10}`, "", 10, 11},
		"nobody fewer":          {`{"withinMinutes":15,"maxDecrease":0,"replications":10}`, "", 16, 0},
		"not below a size":      {`{"withinMinutes":15,"minSize":14,"replications":10}`, "", 16, 14},
		"twice the demand":      {`{"withinMinutes":15,"growthPercent":100,"replications":10}`, "", 10, 20},
		"a fifth is not there":  {`{"withinMinutes":15,"shrinkagePercent":20,"replications":10}`, "", 10, 15},
		"as much other work":    {`{"withinMinutes":15,"replications":10}`, fmt.Sprintf(`{"others":{"technician":{"tasks":%d,"workSeconds":%d}}}`, len(events)/3, len(events)/3*3600), 10, 20},
		"another pool is asked": {`{"withinMinutes":15,"pools":["line"]}`, "", 10, 0},
		"too few tasks":         {`{"withinMinutes":15,"minTasks":100000}`, "", 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := plugintest.Propose(t, Plugin, plugintest.Given{Config: tt.config, Seed: 7, Pools: pools(tt.size, ""), Counts: tt.counts, Events: events})
			if tt.want == 0 {
				if len(got.Proposals) > 0 {
					t.Errorf("it proposed %v, want nothing", got.Proposals)
				}
				return
			}
			if size := sizeOf(t, got); size < tt.want-1 || size > tt.want+1 {
				t.Errorf("%d people are made %d, want about %d", tt.size, size, tt.want)
			}
		})
	}
}

// TestShortLog tells that there is nothing to conclude from.
func TestShortLog(t *testing.T) {
	t.Parallel()
	for _, events := range [][]sdk.Event{nil, log(3, 1, 0.5, 30, 2)[:30]} {
		got := plugintest.Propose(t, Plugin, plugintest.Given{Pools: pools(4, ""), Events: events})
		if len(got.Proposals) != 0 || !strings.Contains(fmt.Sprint(got.Progress), "日志太短") {
			t.Errorf("of %d events it proposed %v and said %q, want nothing and that the log is too short", len(events), got.Proposals, got.Progress)
		}
	}
}

// TestRefused: what the host does not accept is not proposed, nor is a pool that serves
// other regions too.
func TestRefused(t *testing.T) {
	t.Parallel()
	events := log(4, 4, 8, 60, 10)
	got := plugintest.Propose(t, Plugin, plugintest.Given{Config: config, Pools: pools(10, ""), Events: events, Refuse: func(string) bool { return true }})
	if len(got.Proposals) != 0 || len(got.Questions) != 1 {
		t.Errorf("refused, it proposed %v after %d questions", got.Proposals, len(got.Questions))
	}
	foreign := strings.Replace(pools(10, ""), `"changeable":true`, `"changeable":false`, 1)
	if got := plugintest.Propose(t, Plugin, plugintest.Given{Config: config, Pools: foreign, Events: events}); len(got.Proposals)+len(got.Questions) != 0 {
		t.Errorf("for a foreign pool it proposed %v", got.Proposals)
	}
}

// TestWeek counts open minutes.
func TestWeek(t *testing.T) {
	t.Parallel()
	w := (&pool.Pool{UTCOffsetMinutes: 480, Hours: map[string][]string{"mon": {"09:00-12:00", "13:00-18:00"}, "sun": {"22:00-24:00"}}}).Week()
	at := func(hours float64) float64 {
		return w.At(monday.Add(time.Duration(hours*float64(time.Hour))).UnixMicro()) - w.At(monday.UnixMicro())
	}
	for hours, want := range map[float64]float64{0: 0, 9: 0, 9.5: 30, 12: 180, 12.5: 180, 14: 240, 24: 480, 24 * 7: 600, 24*7 + 10: 660, -1: -60} {
		if got := at(hours); math.Abs(got-want) > 1e-6 {
			t.Errorf("after %v hours %v open minutes have passed, want %v", hours, got, want)
		}
	}
}

// TestMorePeopleNeverWorsen: whatever the demand, neither formula nor playing says that
// one more would.
func TestMorePeopleNeverWorsen(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 6 {
		d := &demand{week: (&pool.Pool{Hours: map[string][]string{"mon": {"09:00-17:00"}, "wed": {"09:00-13:00", "14:00-20:00"}}}).Week(), service: 5 + r.Float64()*60}
		for h := range d.rate {
			d.rate[h] = r.Float64() * 2
			d.weekly += d.rate[h]
		}
		if r.IntN(2) == 0 {
			d.patience = 10 + r.Float64()*100
		}
		d.draw = func(c chance) float64 { return c.ExpFloat64() * d.service }
		trial, err := d.prepare(t.Context(), r, 2, 5, 20)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n < 20; n++ {
			if a, b := d.formula(n, 20), d.formula(n+1, 20); b < a-1e-9 {
				t.Fatalf("the formula says %v for %d and %v for one more", a, n, b)
			}
			if a, b := trial.level(n), trial.level(n+1); d.patience == 0 && b < a-1e-9 || b < a-0.02 {
				t.Fatalf("played, %d begin %v in time and one more %v", n, a, b)
			}
		}
	}
}
