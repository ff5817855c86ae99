package precheck

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/plugintest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, Plugin, plugintest.Sample{
		Config: `{"waitMinutes":10,"evidence":"远程预检记录"}`,
		Inputs: []string{`{"line":"OLT3-1-7"}`, `{"line":"x","message":{"ontOnline":true,"opticalPowerDbm":-19.5}}`},
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 1, 0, 0, 0, time.UTC)
	for _, c := range []struct{ name, config, inputs, want string }{
		{"in the middle of the range", `{}`, `{"message":{"opticalPowerDbm":-19.5}}`, "ready"},
		{"at the lowest with its margin", `{}`, `{"message":{"opticalPowerDbm":-26}}`, "ready"},
		{"inside the margin", `{}`, `{"message":{"opticalPowerDbm":-26.1}}`, "line_fault"},
		{"without a margin", `{"marginDb":0}`, `{"message":{"opticalPowerDbm":-26.1}}`, "ready"},
		{"at the highest", `{}`, `{"message":{"opticalPowerDbm":-8}}`, "ready"},
		{"overload", `{}`, `{"message":{"opticalPowerDbm":-7.9}}`, "line_fault"},
		{"measured before", `{}`, `{"opticalPowerDbm":-30}`, "line_fault"},
		{"the message counts before what was known", `{}`, `{"opticalPowerDbm":-30,"message":{"opticalPowerDbm":-20}}`, "ready"},
		{"offline", `{}`, `{"message":{"ontOnline":false}}`, "ont_offline"},
		{"online and no power told", `{}`, `{"message":{"ontOnline":true}}`, "ready"},
		{"an empty message", `{}`, `{"line":"L","message":{}}`, "unmeasured"},
		{"nothing yet", `{}`, `{"line":"L","task":{"createdAt":"2026-01-05T00:31:00Z"}}`, "wait line.measured L"},
		{"another message", `{"message":"olt.report"}`, `{"line":"L"}`, "wait olt.report L"},
		{"the time is up", `{}`, `{"line":"L","task":{"createdAt":"2026-01-05T00:30:00Z"}}`, "unmeasured"},
		{"which line", `{}`, `{}`, "LINE_MISSING"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := plugintest.Execute(t, Plugin, sdk.Call{Now: now, Inputs: json.RawMessage(c.inputs), Config: json.RawMessage(c.config)})
			var got struct{ Result string }
			_ = json.Unmarshal([]byte(out.GetComplete().GetOutputsJson()), &got)
			said := got.Result + out.GetFail().GetCode()
			if w := out.GetWait(); w != nil {
				said = "wait " + w.GetMessageName() + " " + w.GetCorrelationKey()
			}
			if said != c.want {
				t.Errorf("Execute(%s) under %s = %v, want %s", c.inputs, c.config, out, c.want)
			}
		})
	}
	out := plugintest.Execute(t, Plugin, sdk.Call{Now: now, Inputs: json.RawMessage(`{"message":{"opticalPowerDbm":-20}}`), Config: json.RawMessage(`{"evidence":"远程预检记录"}`)})
	if e := out.GetComplete().GetEvidence(); len(e) != 1 || e[0].GetKind() != "远程预检记录" || e[0].GetContent() == "" {
		t.Errorf("evidence = %v, want one of the kind that the configuration names", e)
	}
}
