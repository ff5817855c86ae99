// Command answering is a module for tests: what it does with a task is said by the
// question of the enquiry.
package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/openspms/spms/plugins/sdk"
)

var version = "1.0.0" // -ldflags -X main.version=…

type answering struct{}

// Execute answers the question.
func (answering) Execute(ctx context.Context, call *sdk.Call) (sdk.Outcome, error) {
	var in struct {
		Question string
		Message  struct{ Text string }
	}
	var config struct {
		Prefix string
		Token  string
	}
	if err := call.Bind(&in, &config); err != nil {
		return sdk.Outcome{}, err
	}
	switch what, _, _ := strings.Cut(in.Question, " "); what {
	case "crash":
		os.Exit(9)
	case "hang":
		time.Sleep(time.Hour)
	case "retry":
		return sdk.Retry("LATER", "the archive is closed"), nil
	case "fail":
		return sdk.Fail("NO_ANSWER", "nobody knows"), nil
	case "lie":
		return sdk.Complete(map[string]any{"answer": 42}), nil
	case "wait":
		if in.Message.Text == "" {
			return sdk.Wait("archive.found", "shelf-7", time.Time{}), nil
		}
		return sdk.Complete(map[string]any{"answer": in.Message.Text}), nil
	}
	return sdk.Complete(map[string]any{"answer": config.Prefix + in.Question + config.Token + " " + version}).With("words", 2), nil
}

func main() {
	sdk.Serve(sdk.Plugin{
		Name: "answering", Version: version, Module: answering{}, Attributes: []string{"question"},
		ConfigSchema: `{"type":"object","properties":{"prefix":{"type":"string"},"token":{"type":"string","format":"password"}}}`,
		Metrics:      []sdk.Metric{{Name: "words", Unit: "1", Description: "words of the answer"}},
	})
}
