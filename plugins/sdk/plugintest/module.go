package plugintest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// instantUs is the present instant of all samples: 2026-01-05T09:00:00+08:00.
const instantUs = 1_767_574_800_000_000

// task is a request with inputs.
func (k *kit) task(inputs string) *pluginv1.ExecuteRequest {
	return &pluginv1.ExecuteRequest{
		Case: "case-1", TaskId: "task-1", Node: "book", Region: "/cn/gd", IdempotencyKey: "key-1",
		Attempt: 1, InputsJson: inputs, ConfigGeneration: 1, NowUs: instantUs,
	}
}

// Execute carries out one call of a module inside the test. Identity, key and attempt
// are filled in where the call has none; a call that is refused ends the test.
func Execute(t *testing.T, p sdk.Plugin, call sdk.Call) *pluginv1.ExecuteResponse {
	t.Helper()
	conn, stop, err := sdk.InProcess(p)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	const generation = 1
	checked, err := pluginv1.NewBaseClient(conn).Configure(t.Context(), &pluginv1.ConfigureRequest{Generation: generation, ConfigJson: string(call.Config)})
	if err != nil || len(checked.GetDiagnostics()) > 0 {
		t.Fatalf("Configure(%s) = %v, %v", call.Config, checked.GetDiagnostics(), err)
	}
	out, err := pluginv1.NewModuleClient(conn).Execute(t.Context(), &pluginv1.ExecuteRequest{
		Case: cmp.Or(call.Case, "case-1"), TaskId: cmp.Or(call.Task, "task-1"), Node: call.Node, Region: call.Region, IdempotencyKey: cmp.Or(call.Key, "key-1"),
		Attempt: uint32(max(call.Attempt, 1)), InputsJson: string(call.Inputs), ConfigGeneration: generation, NowUs: call.Now.UnixMicro(), //nolint:gosec // small
	})
	if err != nil {
		t.Fatalf("Execute(%s) = %v", call.Inputs, err)
	}
	return out
}

// sameKey: an answer that got lost can be had again.
func sameKey(ctx context.Context, k *kit) error {
	for _, inputs := range k.Inputs {
		first, err := k.module.Execute(ctx, k.task(inputs))
		if err != nil {
			return fmt.Errorf("Execute(%s): %w", inputs, err)
		}
		if err := k.wellFormed(first); err != nil {
			return fmt.Errorf("Execute(%s): %w", inputs, err)
		}
		second, err := k.module.Execute(ctx, k.task(inputs))
		if err != nil {
			return fmt.Errorf("Execute(%s) with the same key: %w", inputs, err)
		}
		if !proto.Equal(first, second) {
			return fmt.Errorf("Execute(%s) = %v, and then, with the same key, %v", inputs, first, second)
		}
	}
	return nil
}

// wellFormed checks an outcome.
func (k *kit) wellFormed(r *pluginv1.ExecuteResponse) error {
	switch o := r.GetOutcome().(type) {
	case *pluginv1.ExecuteResponse_Complete:
		var object map[string]any
		if json.Unmarshal([]byte(o.Complete.GetOutputsJson()), &object) != nil || object == nil {
			return errors.New("outputs are no JSON object")
		}
		for _, m := range o.Complete.GetMetrics() {
			i := slices.IndexFunc(k.identity.GetMetrics(), func(d *pluginv1.Metric) bool { return d.GetName() == m.GetName() })
			if i < 0 {
				return fmt.Errorf("metric %q is not declared", m.GetName())
			}
			if d := k.identity.GetMetrics()[i]; d.Min != nil && m.GetValue() < d.GetMin() || d.Max != nil && m.GetValue() > d.GetMax() {
				return fmt.Errorf("metric %q leaves its bounds with %v", m.GetName(), m.GetValue())
			}
		}
		return k.effects(o.Complete)
	case *pluginv1.ExecuteResponse_Wait:
		if o.Wait.GetCorrelationKey() != "" && o.Wait.GetMessageName() != "" {
			return nil
		}
	case *pluginv1.ExecuteResponse_Fail:
		if o.Fail.GetCode() != "" {
			return nil
		}
	}
	return fmt.Errorf("outcome %v is not whole", r)
}

// effects checks what a module wants the host to do.
func (k *kit) effects(c *pluginv1.Complete) error {
	if len(c.GetNotices()) > sdk.MaxNotices || len(c.GetEvidence()) > sdk.MaxEvidence {
		return errors.New("too many notices or too much evidence")
	}
	for _, n := range c.GetNotices() {
		if n.GetChannel() == "" || n.GetText() == "" || utf8.RuneCountInString(n.GetText()) > sdk.MaxNoticeText || !slices.Contains(k.identity.GetAddresses(), n.GetTo()) {
			return fmt.Errorf("notice %v has no channel, no text, a text that is too long, or is to no declared address", n)
		}
	}
	for _, e := range c.GetEvidence() {
		if e.GetKind() == "" || e.GetContent() == "" {
			return fmt.Errorf("evidence %v has no kind or no content", e)
		}
	}
	return nil
}

// unknownInputs: what nobody thought of is refused or failed, without a panic.
func unknownInputs(ctx context.Context, k *kit) error {
	for _, inputs := range oddInputs(k.Inputs) {
		r, err := k.module.Execute(ctx, k.task(inputs))
		if err == nil {
			err = k.wellFormed(r)
		}
		if err := tolerable(err); err != nil {
			return fmt.Errorf("Execute(%.80s): %w", inputs, err)
		}
	}
	return nil
}

// oddInputs are objects of unexpected form: some of our own, and the samples
// with each input left out or of another type.
func oddInputs(samples []string) []string {
	out := []string{
		`{}`, `{"":null}`, `{"x":[[[[{"y":null}]]]]}`, `{"n":1e308,"m":-1e308}`,
		`{"a":1,"a":"2"}`, "{\"\\u0000\":\"\\ud800\"}", `{"long":"` + strings.Repeat("长", 100_000) + `"}`,
	}
	for _, sample := range samples {
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(sample), &object) != nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			for _, value := range []string{"", `null`, `-1`, `1e308`, `""`, `"不是"`, `[]`, `[null]`, `{}`, `true`} {
				changed := maps.Clone(object)
				changed[name] = json.RawMessage(value)
				if value == "" {
					delete(changed, name)
				}
				text, err := json.Marshal(changed)
				if err == nil {
					out = append(out, string(text))
				}
			}
		}
	}
	return out
}

// deadline: a call whose time is up is over, in the plugin too.
func deadline(ctx context.Context, k *kit) error {
	for _, limit := range []time.Duration{time.Millisecond, 30 * time.Millisecond} {
		short, cancel := context.WithTimeout(ctx, limit)
		_, err := k.module.Execute(short, k.task(k.Inputs[0]))
		cancel()
		if status.Code(err) != codes.DeadlineExceeded && tolerable(err) != nil {
			return err
		}
		if err := k.quiet(ctx); err != nil {
			return err
		}
	}
	return nil
}

// moduleGarbage: what is no request is refused.
func moduleGarbage(ctx context.Context, k *kit) error {
	keyless, attemptless := k.task("{}"), k.task("{}")
	keyless.IdempotencyKey, attemptless.Attempt = "", 0
	for _, r := range []*pluginv1.ExecuteRequest{{}, keyless, attemptless, k.task(`[]`), k.task(`{`), k.task(`null`), k.task("\x00")} {
		_, err := k.module.Execute(ctx, r)
		if got := status.Code(err); got != codes.InvalidArgument {
			return fmt.Errorf("Execute(%v) = %v, want INVALID_ARGUMENT", r, got)
		}
	}
	return nil
}
