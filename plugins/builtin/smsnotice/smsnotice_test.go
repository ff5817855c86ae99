package smsnotice

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
		Config: `{"text":"您的{plan}将于{when}开通"}`,
		Inputs: []string{`{"phone":"p","plan":"1000M","when":"3月5日"}`, `{}`},
	})
}

func TestTells(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, config, inputs, want string }{
		{"filled in", `{"text":"您的{plan}将于{when}开通"}`, `{"phone":"p","plan":"1000M","when":"3月5日"}`, "sms 您的1000M将于3月5日开通"},
		{"a number and a truth", `{"text":"{code} {what}"}`, `{"phone":"p","code":7,"what":true}`, "sms 7 true"},
		{"an email", `{"text":"hello","channel":"email"}`, `{"phone":"p"}`, "email hello"},
		{"what is said when nothing is set", `{}`, `{"phone":"p"}`, "sms 感谢您使用我们的服务，请回复0-10为本次服务评分。"},
		{"no address", `{"text":"hello"}`, `{}`, "ADDRESS_MISSING"},
		{"a value that is missing", `{"text":"{when}"}`, `{"phone":"p"}`, "TEXT_VALUE_MISSING"},
		{"nothing left", `{"text":"{when}"}`, `{"phone":"p","when":"  "}`, "TEXT_EMPTY"},
		{"too long", `{"text":"{what}"}`, `{"phone":"p","what":"` + strings.Repeat("长", 1001) + `"}`, "TEXT_TOO_LONG"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := plugintest.Execute(t, Plugin, sdk.Call{Now: time.Unix(0, 0), Inputs: json.RawMessage(c.inputs), Config: json.RawMessage(c.config)})
			got := out.GetFail().GetCode()
			for _, n := range out.GetComplete().GetNotices() {
				got += n.GetChannel() + " " + n.GetText()
			}
			if got != c.want {
				t.Errorf("Execute(%s) under %s = %q, want %q", c.inputs, c.config, got, c.want)
			}
		})
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		strings.Repeat("a", 160): 1, strings.Repeat("a", 161): 2, strings.Repeat("a", 306): 2, strings.Repeat("a", 307): 3,
		strings.Repeat("长", 70): 1, strings.Repeat("长", 71): 2, strings.Repeat("长", 134): 2, strings.Repeat("长", 135): 3, "a[": 1, strings.Repeat("[", 80): 1, strings.Repeat("[", 81): 2, strings.Repeat("`", 71): 2,
	} {
		if got := parts(text); got != want {
			t.Errorf("parts(%d bytes) = %d, want %d", len(text), got, want)
		}
	}
}
