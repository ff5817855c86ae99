// Package smsnotice is the module that tells a customer something: it fills a text
// from what it is shown of the case and asks the host to send it. The host knows the
// address; the module does not.
package smsnotice

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/openspms/spms/plugins/sdk"
)

// words are the names that a text may hold in braces.
var words = []string{"what", "when", "where", "plan", "code", "link"}

// Plugin is the module.
var Plugin = sdk.Plugin{
	Name: "sms-notice", Version: "1.0.0", Module: telling{},
	Attributes: words, Addresses: []string{"phone"},
	Metrics: []sdk.Metric{
		{Name: "characters", Unit: "1", Description: "Characters of the text."},
		{Name: "parts", Unit: "1", Description: "Short messages that it takes."},
	},
	CheckConfig: func(raw json.RawMessage) []sdk.Diagnostic {
		var s settings
		if err := json.Unmarshal(raw, &s); err != nil {
			return []sdk.Diagnostic{{Path: "$", Code: "CONFIG_TYPE", Message: err.Error()}}
		}
		for _, m := range placeholder.FindAllStringSubmatch(s.Text, -1) {
			if !slices.Contains(words, m[1]) {
				return []sdk.Diagnostic{{Path: "$.text", Code: "CONFIG_PLACEHOLDER", Message: fmt.Sprintf("{%s} is none of %v", m[1], words)}}
			}
		}
		return nil
	},
	ConfigSchema: `{"type":"object","properties":{
		"text":{"type":"string","minLength":1,"maxLength":1000,"title":"短信内容 · Text; {what} {when} {where} {plan} {code} {link} are inputs"},
		"channel":{"type":"string","enum":["sms","email"],"default":"sms","title":"渠道 · Channel"}}}`,
}

// Outputs is the JSON Schema of what the module answers.
const Outputs = `{"type":"object","properties":{}}`

type settings struct{ Text, Channel string }

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

type telling struct{}

// Execute fills the text and has it sent.
func (telling) Execute(_ context.Context, call *sdk.Call) (sdk.Outcome, error) {
	var in map[string]any
	config := settings{Text: "感谢您使用我们的服务，请回复0-10为本次服务评分。", Channel: "sms"}
	if err := call.Bind(&in, &config); err != nil {
		return sdk.Outcome{}, err
	}
	if address, _ := in["phone"].(string); address == "" {
		return sdk.Fail("ADDRESS_MISSING", "the case has no address for a notice"), nil
	}
	missing := ""
	text := placeholder.ReplaceAllStringFunc(config.Text, func(m string) string {
		value, ok := in[strings.Trim(m, "{}")]
		switch v := value.(type) {
		case string:
			return v
		case float64, bool:
			return fmt.Sprint(v)
		}
		if !ok || value == nil {
			missing = m
		}
		return ""
	})
	switch n := utf8.RuneCountInString(text); {
	case missing != "":
		return sdk.Fail("TEXT_VALUE_MISSING", "the case has nothing for "+missing), nil
	case n > sdk.MaxNoticeText:
		return sdk.Fail("TEXT_TOO_LONG", fmt.Sprintf("the text has %d characters", n)), nil
	case strings.TrimSpace(text) == "":
		return sdk.Fail("TEXT_EMPTY", "there is nothing to say"), nil
	}
	return sdk.Complete(nil).Notify(config.Channel, "phone", text).
		With("characters", float64(utf8.RuneCountInString(text))).With("parts", float64(parts(text))), nil
}

// parts is how many short messages a text takes: 160 characters of the basic alphabet
// in one and 153 in each of several, or 70 and 67 of any other (3GPP TS 23.038 and
// 23.040). Of the basic alphabet those of ASCII are known here; eight of them take the
// place of two.
func parts(text string) int {
	n, one, several := 0, 160, 153
	for _, r := range text {
		n++
		switch {
		case strings.ContainsRune(`^{}\[~]|`, r):
			n++
		case r > 126 || r == '`':
			one, several = 70, 67
		}
	}
	if one == 70 {
		n = utf8.RuneCountInString(text)
	}
	if n <= one {
		return 1
	}
	return (n + several - 1) / several
}
