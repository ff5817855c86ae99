package assignment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, Plugin, plugintest.Sample{Config: `{"minTasks":20,"agingHours":48,"routes":[{"node":"fit","role":"agent"}],"remaining":[{"node":"fit","minutes":90}]}`})
}

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// work is one task of the hand-made logs: minutes.
type work struct {
	node          string
	offered, took float64
	due           float64 // 0: none
}

// log lets people do work first come, first served, and writes down when.
func log(pool string, people int, list []work) []sdk.Event {
	var out []sdk.Event
	free := make([]float64, people)
	for i, w := range list {
		k := slices.Index(free, slices.Min(free))
		begun := max(w.offered, free[k])
		free[k] = begun + w.took
		attributes := map[string]string{}
		if w.due != 0 {
			attributes["task.dueAt"] = monday.Add(time.Duration(w.due * float64(time.Minute))).Format(time.RFC3339)
		}
		for l, at := range map[sdk.Lifecycle]float64{sdk.Schedule: w.offered, sdk.Start: begun, sdk.Completed: free[k]} {
			out = append(out, sdk.Event{Case: fmt.Sprint("c", i), Node: w.node, Pool: pool, Lifecycle: l, Time: monday.Add(time.Duration(at * float64(time.Minute))), Attributes: attributes})
		}
	}
	slices.SortFunc(out, func(a, b sdk.Event) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return int(a.Lifecycle) - int(b.Lifecycle)
	})
	return out
}

const process = `<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:s="https://openspms.org/schema/bpmn/1.0" id="d" targetNamespace="urn:t"><process id="p" isExecutable="true">
<startEvent id="s"/><userTask id="survey" name="回访"><extensionElements><s:task role="agent"/></extensionElements></userTask><userTask id="fault" name="修障"><extensionElements><s:task role="agent" nameEn="Repair"/></extensionElements></userTask><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="survey"/><sequenceFlow id="f2" sourceRef="survey" targetRef="fault"/><sequenceFlow id="f3" sourceRef="fault" targetRef="e"/></process></definitions>`

// mixed is work of two nodes for a pool that is nearly always busy: callbacks have a day,
// repairs an hour.
func mixed(n int) []work {
	r := rand.New(rand.NewPCG(4, 4))
	var out []work
	at := 0.0
	for i := range n {
		at += r.ExpFloat64() * 10.5
		w := work{"survey", at, 5 + r.Float64()*10, at + 1440}
		if i%3 == 0 {
			w.node, w.due = "fault", at+60
		}
		out = append(out, w)
	}
	return out
}

const pools = `[{"id":"desk","name":"坐席","nameEn":"Desk","role":"agent","capacity":1},{"id":"second","role":"l2","capacity":2}]`

// TestPriorities: repairs waited behind callbacks that had a day; first come first served
// many of them are late, by priority of nodes hardly any.
func TestPriorities(t *testing.T) {
	t.Parallel()
	events := log("desk", 1, mixed(1500))
	got := plugintest.Propose(t, Plugin, plugintest.Given{BPMN: []byte(process), Pools: pools, Events: events})
	if len(got.Proposals) != 1 {
		t.Fatalf("%d proposals, want 1; it said %q", len(got.Proposals), got.Progress)
	}
	p := got.Proposals[0]
	if want := `[{"id":"fault","op":"setPriority","value":"90"},{"id":"survey","op":"setPriority","value":"50"}]`; p.GetEditsJson() != want {
		t.Errorf("edits %s, want %s", p.GetEditsJson(), want)
	}
	late := p.GetClaims()[0]
	if late.GetBefore() < 50 || late.GetAfter() > late.GetBefore()/3 || late.GetHigh() >= 0 || late.GetIndicator() != "late_tasks:desk" {
		t.Errorf("the claim is %v, want far fewer late tasks", late)
	}
	if !strings.Contains(p.GetRationale(), "赶超") || !strings.Contains(p.GetRationale(), "overtaken") {
		t.Errorf("the rationale is %q", p.GetRationale())
	}
	refused := plugintest.Propose(t, Plugin, plugintest.Given{BPMN: []byte(process), Pools: pools, Events: events, Refuse: func(string) bool { return true }})
	if len(refused.Proposals) != 0 {
		t.Errorf("refused, it proposed %v", refused.Proposals)
	}
	routed := plugintest.Propose(t, Plugin, plugintest.Given{Config: `{"minInversionsPercent":100,"routes":[{"node":"fault","role":"l2"},{"node":"fault","role":"agent"},{"node":"nowhere","role":"l2"}]}`, BPMN: []byte(process), Pools: pools, Events: events})
	if len(routed.Proposals) != 1 || routed.Proposals[0].GetEditsJson() != `[{"id":"fault","op":"setRole","value":"l2"}]` || routed.Proposals[0].GetClaims()[0].GetHigh() >= 0 {
		t.Errorf("with a route it proposed %v, want that l2 does repairs", routed.Proposals)
	}
}

// TestInversions counts by hand who waits while one due later is begun.
func TestInversions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		list []work
		want string
	}{
		"one overtaken":       {[]work{{"survey", 0, 10, 100}, {"survey", 1, 10, 50}, {"survey", 2, 10, 200}, {"fault", 3, 10, 20}}, "4 项任务中只有 1 项"},
		"in order":            {[]work{{"survey", 0, 10, 10}, {"survey", 1, 10, 20}, {"fault", 2, 10, 30}}, "3 项任务中只有 0 项"},
		"those without a due": {[]work{{"survey", 0, 10, 0}, {"survey", 1, 10, 0}, {"fault", 2, 10, 30}}, "3 项任务中只有 1 项"},
	} {
		list := tt.list
		for i := range 30 { // later ones, far apart, so that there is enough to conclude from
			at := 1000 + 100*float64(i)
			list = append(list, work{"survey", at, 5, at + 50})
		}
		got := plugintest.Propose(t, Plugin, plugintest.Given{Config: `{"minTasks":10,"minInversionsPercent":50}`, BPMN: []byte(process), Pools: pools, Events: log("desk", 1, list)})
		want := strings.Replace(tt.want, fmt.Sprint(len(tt.list)), fmt.Sprint(len(list)), 1)
		if len(got.Proposals) != 0 || !strings.Contains(fmt.Sprint(got.Progress), want) {
			t.Errorf("%s: it proposed %v and said %q, want %q", name, got.Proposals, got.Progress, want)
		}
	}
}

func TestShortLog(t *testing.T) {
	t.Parallel()
	for _, list := range [][]work{nil, mixed(20)} {
		got := plugintest.Propose(t, Plugin, plugintest.Given{BPMN: []byte(process), Pools: pools, Events: log("desk", 1, list)})
		if len(got.Proposals) != 0 || !strings.Contains(fmt.Sprint(got.Progress), "日志太短") {
			t.Errorf("of %d tasks it proposed %v and said %q", len(list), got.Proposals, got.Progress)
		}
	}
}

// TestScores ranks by slack, and lets nothing starve.
func TestScores(t *testing.T) {
	t.Parallel()
	hours := func(due, age float64) map[string]float64 {
		return map[string]float64{"dueInSeconds": due * 3600, "ageSeconds": age * 3600}
	}
	items := []sdk.Item{
		{ID: "tomorrow", Values: hours(24, 1)},
		{ID: "soon", Values: hours(2, 1)},
		{ID: "soon, with work before it", Values: hours(3, 1), Attributes: map[string]string{"node": "build"}},
		{ID: "overdue", Values: hours(-1, 30)},
		{ID: "no clock, new", Values: map[string]float64{"ageSeconds": 0}},
		{ID: "no clock, old", Values: map[string]float64{"ageSeconds": 72.5 * 3600}},
		{ID: "far, waiting long", Values: hours(900, 71.75)},
		{ID: "tomorrow, urged", Values: map[string]float64{"dueInSeconds": 24 * 3600, "urged": 2}},
	}
	got, err := urgency{}.Score(t.Context(), &sdk.Ranking{Items: items, Config: []byte(`{"remaining":[{"node":"build","minutes":150}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b sdk.Score) int {
		if a.Value > b.Value {
			return -1
		}
		return 1
	})
	var order []string
	for _, s := range got {
		order = append(order, s.ID)
		if s.Reason == "" {
			t.Errorf("%s has no reason", s.ID)
		}
	}
	want := []string{"overdue", "no clock, old", "far, waiting long", "soon, with work before it", "soon", "tomorrow, urged", "tomorrow", "no clock, new"}
	if !slices.Equal(order, want) {
		t.Errorf("the order is %q, want %q", order, want)
	}
}
