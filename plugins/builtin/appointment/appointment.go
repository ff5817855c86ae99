// Package appointment is the module that books visits: it gives a case the first
// window that is not before the customer's wish, still has room and ends before the
// legal deadline. What is booked already comes from the host, which counts it over the
// running cases of the region; the module keeps nothing.
package appointment

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openspms/spms/plugins/sdk"
)

// Plugin is the module.
var Plugin = sdk.Plugin{
	Name: "appointment-slots", Version: "1.0.0", Module: booking{},
	Attributes: []string{"wish", "area", "dueAt", "counts(slot)"},
	Addresses:  []string{"phone"},
	Metrics: []sdk.Metric{
		{Name: "wait_hours", Unit: "h", Description: "From the wish, or from now without one, to the window."},
		{Name: "windows_full", Unit: "1", Description: "Windows without room before the one that was taken."},
	},
	CheckConfig: checkConfig,
	ConfigSchema: `{"type":"object","properties":{
		"utcOffsetMinutes":{"type":"integer","minimum":-840,"maximum":840,"default":480,"title":"本地时间与UTC之差 · Local time minus UTC"},
		"leadMinutes":{"type":"integer","minimum":0,"maximum":10080,"default":120,"title":"最短提前量 · Shortest notice"},
		"horizonDays":{"type":"integer","minimum":1,"maximum":60,"default":14,"title":"可约天数 · Days that can be booked"},
		"deadlineMarginMinutes":{"type":"integer","minimum":0,"maximum":10080,"default":0,"title":"距时限的余量 · Margin before the deadline"},
		"closed":{"type":"array","items":{"type":"string","minLength":10,"maxLength":10},"title":"停约日期 · Days without visits, 2026-10-01"},
		"windows":{"type":"array","items":{"type":"object","required":["start","minutes","capacity"],"properties":{
			"start":{"type":"string","minLength":5,"maxLength":5,"title":"开始 · Start, 08:00"},
			"minutes":{"type":"integer","minimum":15,"maximum":720},
			"capacity":{"type":"integer","minimum":0,"maximum":1000,"title":"每日可约数 · Visits a day"},
			"weekdays":{"type":"array","items":{"type":"integer","minimum":1,"maximum":7},"title":"星期 · 1 = Monday; every day when absent"}}}},
		"notice":{"type":"string","maxLength":300,"title":"短信模板 · Text message; {day} {from} {to}"}}}`,
}

// Outputs is the JSON Schema of what the module answers.
const Outputs = `{"type":"object","required":["slotStart","slotEnd"],"properties":{"slotStart":{"type":"string"},"slotEnd":{"type":"string"},
	"note":{"type":"string"},"alternatives":{"type":"array","items":{"type":"string"}}}}`

type settings struct {
	UTCOffsetMinutes, LeadMinutes, HorizonDays, DeadlineMarginMinutes int
	Closed                                                            []string
	Windows                                                           []window
	Notice                                                            string
}

type window struct {
	Start             string
	Minutes, Capacity int
	Weekdays          []int
}

// usual are the settings of an operator that has set none: three windows a day.
func usual() settings {
	return settings{
		UTCOffsetMinutes: 480, LeadMinutes: 120, HorizonDays: 14,
		Windows: []window{{Start: "08:30", Minutes: 150, Capacity: 4}, {Start: "13:30", Minutes: 150, Capacity: 4}, {Start: "16:00", Minutes: 120, Capacity: 4}},
		Notice:  "您的上门服务已预约：{day} {from}-{to}，请留人在家。",
	}
}

func checkConfig(raw json.RawMessage) []sdk.Diagnostic {
	var s settings
	if err := json.Unmarshal(raw, &s); err != nil {
		return []sdk.Diagnostic{{Path: "$", Code: "CONFIG_TYPE", Message: err.Error()}}
	}
	var out []sdk.Diagnostic
	for i, w := range s.Windows {
		if _, err := time.Parse("15:04", w.Start); err != nil {
			out = append(out, sdk.Diagnostic{Path: fmt.Sprintf("$.windows[%d].start", i), Code: "CONFIG_TIME", Message: "an hour such as 08:30 is wanted"})
		}
	}
	for i, d := range s.Closed {
		if _, err := time.Parse(time.DateOnly, d); err != nil {
			out = append(out, sdk.Diagnostic{Path: fmt.Sprintf("$.closed[%d]", i), Code: "CONFIG_DATE", Message: "a day such as 2026-10-01 is wanted"})
		}
	}
	return out
}

type inputs struct {
	Wish, DueAt *time.Time
	Phone       string
	Taken       map[string]int `json:"counts(slot)"` // instant → visits booked
}

type booking struct{}

// Execute books the first window with room.
func (booking) Execute(_ context.Context, call *sdk.Call) (sdk.Outcome, error) {
	var in inputs
	config := usual()
	if err := call.Bind(&in, &config); err != nil {
		return sdk.Outcome{}, err
	}
	taken := map[int64]int{}
	for text, n := range in.Taken {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return sdk.Fail("INPUT_INVALID", "a booked window is no instant: "+text), nil //nolint:nilerr // told as the task's failure
		}
		taken[at.Unix()] += n
	}
	from := call.Now.Add(time.Duration(config.LeadMinutes) * time.Minute)
	if in.Wish != nil && in.Wish.After(from) {
		from = *in.Wish
	}
	free, full := config.free(from, taken)
	if len(free) == 0 {
		return sdk.Fail("NO_SLOT", "no window has room in the days that can be booked"), nil
	}
	first := free[0]
	if in.DueAt != nil && first.end.After(in.DueAt.Add(-time.Duration(config.DeadlineMarginMinutes)*time.Minute)) {
		return sdk.Fail("SLOT_AFTER_DEADLINE", "the first window with room ends after the deadline"), nil
	}
	others := []string{}
	for _, s := range free[1:] {
		others = append(others, s.start.Format(time.RFC3339))
	}
	wished := call.Now
	if in.Wish != nil {
		wished = *in.Wish
	}
	out := sdk.Complete(map[string]any{
		"slotStart": first.start.UTC().Format(time.RFC3339), "slotEnd": first.end.UTC().Format(time.RFC3339), "alternatives": others,
		"note": first.start.Format("01-02 15:04") + "-" + first.end.Format("15:04"),
	}).With("wait_hours", max(0, first.start.Sub(wished).Hours())).With("windows_full", float64(full))
	if in.Phone != "" && config.Notice != "" {
		out = out.Notify("sms", "phone", first.say(config.Notice))
	}
	return out, nil
}

// slot is one window of one day.
type slot struct {
	start, end time.Time
	capacity   int
}

// say fills the window into a text.
func (s slot) say(text string) string {
	day := fmt.Sprintf("%d月%d日", s.start.Month(), s.start.Day())
	return strings.NewReplacer("{day}", day, "{from}", s.start.Format("15:04"), "{to}", s.end.Format("15:04")).Replace(text)
}

// free are the first windows from an instant that have room, at most four, and how
// many before the first had none.
func (c settings) free(from time.Time, taken map[int64]int) (out []slot, full int) {
	zone := time.FixedZone("local", c.UTCOffsetMinutes*60)
	from = from.In(zone)
	for day := range c.HorizonDays + 1 {
		at := time.Date(from.Year(), from.Month(), from.Day()+day, 0, 0, 0, 0, zone)
		if slices.Contains(c.Closed, at.Format(time.DateOnly)) {
			continue
		}
		for _, s := range c.of(at) {
			switch {
			case s.start.Before(from):
			case taken[s.start.Unix()] >= s.capacity:
				if len(out) == 0 {
					full++
				}
			default:
				out = append(out, s)
			}
			if len(out) == 4 {
				return out, full
			}
		}
	}
	return out, full
}

// of are the windows of a day in their order.
func (c settings) of(day time.Time) []slot {
	var out []slot
	weekday := (int(day.Weekday())+6)%7 + 1
	for _, w := range c.Windows {
		clock, err := time.Parse("15:04", w.Start)
		if err != nil || len(w.Weekdays) > 0 && !slices.Contains(w.Weekdays, weekday) {
			continue // what is no time of day was refused by checkConfig
		}
		start := day.Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute)
		out = append(out, slot{start, start.Add(time.Duration(w.Minutes) * time.Minute), w.Capacity})
	}
	slices.SortStableFunc(out, func(a, b slot) int { return a.start.Compare(b.start) })
	return out
}
