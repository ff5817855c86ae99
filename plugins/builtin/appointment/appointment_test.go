package appointment

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, Plugin, plugintest.Sample{
		Config: `{"windows":[{"start":"09:00","minutes":120,"capacity":2}],"closed":["2026-01-06"]}`,
		Inputs: []string{`{"wish":"2026-01-05T10:00:00+08:00","phone":"p","counts(slot)":{"2026-01-05T01:00:00Z":2}}`, `{}`},
	})
}

// TestBooks holds bookings against a calendar made by hand. Monday 2026-01-05 09:00 in
// China is now.
func TestBooks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 1, 0, 0, 0, time.UTC)
	const two = `"windows":[{"start":"09:00","minutes":120,"capacity":2},{"start":"14:00","minutes":120,"capacity":1}]`
	for _, c := range []struct{ name, config, inputs, want string }{
		{"the next window after the shortest notice", `{` + two + `}`, `{}`, "2026-01-05T06:00:00Z"},
		{"without notice the window that begins now", `{` + two + `,"leadMinutes":0}`, `{}`, "2026-01-05T01:00:00Z"},
		{"a full window is passed over", `{` + two + `}`, `{"counts(slot)":{"2026-01-05T06:00:00Z":1}}`, "2026-01-06T01:00:00Z"},
		{"one visit less leaves room", `{` + two + `,"leadMinutes":0}`, `{"counts(slot)":{"2026-01-05T01:00:00Z":1}}`, "2026-01-05T01:00:00Z"},
		{"the instant counts, not how it is written", `{` + two + `}`, `{"counts(slot)":{"2026-01-05T14:00:00+08:00":1}}`, "2026-01-06T01:00:00Z"},
		{"not before the wish", `{` + two + `}`, `{"wish":"2026-01-07T10:00:00+08:00"}`, "2026-01-07T06:00:00Z"},
		{"a wish in the past is now", `{` + two + `}`, `{"wish":"2025-01-07T10:00:00+08:00"}`, "2026-01-05T06:00:00Z"},
		{"a closed day", `{` + two + `,"closed":["2026-01-05"]}`, `{}`, "2026-01-06T01:00:00Z"},
		{"weekdays", `{"windows":[{"start":"09:00","minutes":60,"capacity":1,"weekdays":[6,7]}]}`, `{}`, "2026-01-10T01:00:00Z"},
		{"windows in any order", `{"windows":[{"start":"14:00","minutes":60,"capacity":1},{"start":"11:30","minutes":60,"capacity":1}]}`, `{}`, "2026-01-05T03:30:00Z"},
		{"another zone", `{` + two + `,"utcOffsetMinutes":0,"leadMinutes":0}`, `{}`, "2026-01-05T09:00:00Z"},
		{"no capacity at all", `{"windows":[{"start":"09:00","minutes":60,"capacity":0}]}`, `{}`, "NO_SLOT"},
		{"the deadline comes first", `{` + two + `}`, `{"dueAt":"2026-01-05T07:59:00Z"}`, "SLOT_AFTER_DEADLINE"},
		{"it ends with the deadline", `{` + two + `}`, `{"dueAt":"2026-01-05T08:00:00Z"}`, "2026-01-05T06:00:00Z"},
		{"but for the margin", `{` + two + `,"deadlineMarginMinutes":1}`, `{"dueAt":"2026-01-05T08:00:00Z"}`, "SLOT_AFTER_DEADLINE"},
		{"a count of no instant", `{` + two + `}`, `{"counts(slot)":{"tomorrow":1}}`, "INPUT_INVALID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := plugintest.Execute(t, Plugin, sdk.Call{Now: now, Inputs: json.RawMessage(c.inputs), Config: json.RawMessage(c.config)})
			var got struct{ SlotStart string }
			_ = json.Unmarshal([]byte(out.GetComplete().GetOutputsJson()), &got)
			if got.SlotStart+out.GetFail().GetCode() != c.want {
				t.Errorf("Execute(%s) under %s = %v, want %s", c.inputs, c.config, out, c.want)
			}
		})
	}
}

func TestTellsTheCustomer(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 1, 0, 0, 0, time.UTC)
	out := plugintest.Execute(t, Plugin, sdk.Call{Now: now, Inputs: json.RawMessage(`{"phone":"p"}`), Config: json.RawMessage(`{}`)})
	if n := out.GetComplete().GetNotices(); len(n) != 1 || !strings.Contains(n[0].GetText(), "1月5日 13:30-16:00") || n[0].GetTo() != "phone" {
		t.Errorf("notices = %v, want one to phone with the window of 13:30", n)
	}
	if n := plugintest.Execute(t, Plugin, sdk.Call{Now: now, Inputs: json.RawMessage(`{}`), Config: json.RawMessage(`{}`)}).GetComplete().GetNotices(); len(n) != 0 {
		t.Errorf("without an address there are notices %v", n)
	}
}
