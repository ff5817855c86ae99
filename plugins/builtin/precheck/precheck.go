// Package precheck is the module that looks at a fibre line from afar before anybody
// drives out: it waits for the measurement that the network management system sends,
// judges it by the limits of the optical budget, and says whether a visit can succeed.
// The module measures nothing itself: it has no network.
package precheck

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/openspms/spms/plugins/sdk"
)

// Plugin is the module. The limits are those of GPON class B+ at the customer's end:
// received power from -27 dBm (sensitivity) to -8 dBm (overload), ITU-T G.984.2 Amd 1.
var Plugin = sdk.Plugin{
	Name: "remote-precheck", Version: "1.0.0", Module: judge{},
	Attributes: []string{"line", "task.createdAt", "opticalPowerDbm"},
	Metrics:    []sdk.Metric{{Name: "margin_db", Unit: "dB", Description: "Received power above the lowest that is taken."}},
	CheckConfig: func(raw json.RawMessage) []sdk.Diagnostic {
		s := usual()
		if err := json.Unmarshal(raw, &s); err != nil {
			return []sdk.Diagnostic{{Path: "$", Code: "CONFIG_TYPE", Message: err.Error()}}
		}
		if s.LowestDbm >= s.HighestDbm {
			return []sdk.Diagnostic{{Path: "$.lowestDbm", Code: "CONFIG_RANGE", Message: "the lowest power must be below the highest"}}
		}
		return nil
	},
	ConfigSchema: `{"type":"object","properties":{
		"lowestDbm":{"type":"number","minimum":-40,"maximum":0,"default":-27,"title":"最低收光 · Lowest received power, dBm"},
		"highestDbm":{"type":"number","minimum":-40,"maximum":10,"default":-8,"title":"最高收光 · Highest received power, dBm"},
		"marginDb":{"type":"number","minimum":0,"maximum":10,"default":1,"title":"余量 · Margin above the lowest, dB"},
		"waitMinutes":{"type":"integer","minimum":1,"maximum":1440,"default":30,"title":"等待测量 · Wait for the measurement, minutes"},
		"message":{"type":"string","minLength":1,"maxLength":128,"default":"line.measured","title":"测量消息 · Message that brings it"},
		"evidence":{"type":"string","maxLength":128,"title":"证据类型 · Kind of evidence to attach; none when empty"}}}`,
}

// Outputs is the JSON Schema of what the module answers.
const Outputs = `{"type":"object","required":["result","note"],"properties":{"result":{"type":"string","enum":["ready","line_fault","ont_offline","unmeasured"]},
	"note":{"type":"string"},"opticalPowerDbm":{"type":"number"}}}`

type settings struct {
	LowestDbm, HighestDbm, MarginDb float64
	WaitMinutes                     int
	Message, Evidence               string
}

func usual() settings {
	return settings{LowestDbm: -27, HighestDbm: -8, MarginDb: 1, WaitMinutes: 30, Message: "line.measured"}
}

// measurement is what the network says of a line.
type measurement struct {
	OntOnline       *bool
	OpticalPowerDbm *float64
}

type judge struct{}

// Execute judges the measurement, or waits for it.
func (judge) Execute(_ context.Context, call *sdk.Call) (sdk.Outcome, error) {
	var in struct {
		Line            string
		OpticalPowerDbm *float64
		Task            struct{ CreatedAt *time.Time }
		Message         *measurement
	}
	config := usual()
	if err := call.Bind(&in, &config); err != nil {
		return sdk.Outcome{}, err
	}
	m := measurement{OpticalPowerDbm: in.OpticalPowerDbm}
	if in.Message != nil {
		m = *in.Message
	}
	if m.OpticalPowerDbm != nil || m.OntOnline != nil {
		return config.verdict(m), nil
	}
	if in.Line == "" {
		return sdk.Fail("LINE_MISSING", "the case does not say which line it is"), nil
	}
	since := call.Now
	if in.Task.CreatedAt != nil {
		since = *in.Task.CreatedAt
	}
	until := since.Add(time.Duration(config.WaitMinutes) * time.Minute)
	if in.Message != nil || !call.Now.Before(until) {
		return config.say("unmeasured", "未取得测量结果，按原流程上门 · no measurement came: visit as before", nil), nil
	}
	return sdk.Wait(config.Message, in.Line, until), nil
}

// verdict judges a measurement.
func (c settings) verdict(m measurement) sdk.Outcome {
	if m.OntOnline != nil && !*m.OntOnline && m.OpticalPowerDbm == nil {
		return c.say("ont_offline", "光猫离线 · the ONT is offline", nil)
	}
	if m.OpticalPowerDbm == nil {
		return c.say("ready", "光猫在线 · the ONT is online", nil)
	}
	p := *m.OpticalPowerDbm
	text := fmt.Sprintf("收光 %.1f dBm", p)
	switch {
	case p < c.LowestDbm+c.MarginDb:
		return c.say("line_fault", text+fmt.Sprintf("，低于 %.1f · too weak", c.LowestDbm+c.MarginDb), &p)
	case p > c.HighestDbm:
		return c.say("line_fault", text+fmt.Sprintf("，高于 %.1f · too strong", c.HighestDbm), &p)
	}
	return c.say("ready", text+" · in range", &p)
}

// say is the outcome with its measurement and evidence.
func (c settings) say(result, note string, power *float64) sdk.Outcome {
	values := map[string]any{"result": result, "note": note}
	if power != nil {
		values["opticalPowerDbm"] = *power
	}
	out := sdk.Complete(values)
	if power != nil {
		out = out.With("margin_db", *power-c.LowestDbm)
	}
	if c.Evidence != "" {
		out = out.Prove(c.Evidence, "text", note)
	}
	return out
}
