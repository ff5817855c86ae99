// Command answering is a module for tests: what it does with a task is said by the
// question of the enquiry.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
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
	switch what, rest, _ := strings.Cut(in.Question, " "); what {
	case "crash":
		os.Exit(9)
	case "hang":
		time.Sleep(time.Hour)
	case "panic":
		panic("on purpose")
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(time.Hour) // another thread may run for a moment yet, and the answer must not leave
	case "memory":
		for hog := [][]byte{}; ; {
			hog = append(hog, bytes.Repeat([]byte{1}, 64<<20))
		}
	case "flood":
		for range 20_000 {
			fmt.Fprintln(os.Stderr, "line after line after line")
		}
	case "reply":
		return sdk.Complete(map[string]any{"answer": strings.Repeat("x", 100<<20)}), nil
	case "havoc":
		havoc()
	case "retry":
		return sdk.Retry("LATER", "the archive is closed"), nil
	case "fail":
		return sdk.Fail("NO_ANSWER", "nobody knows"), nil
	case "lie":
		return sdk.Complete(map[string]any{"answer": 42}), nil
	case "count", "spell": // how many, as a metric
		n, err := strconv.ParseFloat(rest, 64)
		return sdk.Complete(map[string]any{"answer": in.Question}).With(map[string]string{"count": "words", "spell": "letters"}[what], n), err
	case "hold": // until a message for it comes
		if in.Message.Text == "" {
			return sdk.Wait("archive.found", "hold-"+rest, time.Time{}), nil
		}
		return sdk.Complete(map[string]any{"answer": config.Prefix + rest + " " + version}), nil
	case "wait":
		if in.Message.Text == "" {
			return sdk.Wait("archive.found", "shelf-7", time.Time{}), nil
		}
		return sdk.Complete(map[string]any{"answer": in.Message.Text}), nil
	}
	return sdk.Complete(map[string]any{"answer": config.Prefix + in.Question + config.Token + " " + version}).With("words", 2), nil
}

// hog is what havoc fills: the compiler leaves out what is written where nobody can read.
var hog []byte

// havoc keeps every processor busy, writes to much memory again and again, and floods
// the log, without an end.
func havoc() {
	for range 2 * runtime.NumCPU() {
		go func() {
			for i := 0; ; i++ {
				runtime.KeepAlive(i)
			}
		}()
	}
	go func() {
		hog = make([]byte, 256<<20)
		for n := byte(0); ; n++ {
			for i := 0; i < len(hog); i += 4096 {
				hog[i] = n
			}
		}
	}()
	for {
		fmt.Fprintln(os.Stderr, "line after line after line")
	}
}

func main() {
	sdk.Serve(sdk.Plugin{
		Name: "answering", Version: version, Module: answering{}, Attributes: []string{"question"},
		ConfigSchema: `{"type":"object","properties":{"prefix":{"type":"string"},"token":{"type":"string","format":"password"}}}`,
		Metrics: []sdk.Metric{
			{Name: "words", Unit: "1", Description: "words of the answer"},
			{Name: "letters", Unit: "1", Description: "letters of the answer", Min: sdk.Bound(0)},
		},
	})
}
