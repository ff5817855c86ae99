package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// prompt is how soon a cancelled call must have returned.
const prompt = time.Second

// identity: the plugin says who it is, and says it twice.
func identity(ctx context.Context, k *kit) error {
	first, err := k.base.Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil {
		return err
	}
	k.identity = first
	second, err := k.base.Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil {
		return err
	}
	if !proto.Equal(first, second) {
		return errors.New("the second answer differs from the first")
	}
	return sdk.CheckIdentity(first)
}

// configuration: a good one is taken, bad ones are refused with the place.
func configuration(ctx context.Context, k *kit) error {
	good, err := k.configure(ctx, 1, k.Config)
	if err != nil {
		return err
	}
	if refused(good) {
		return fmt.Errorf("Configure(%s) = %v: set Sample.Config to one that fits", k.Config, good)
	}
	generation := uint64(1000)
	for path, config := range badConfigs(k.identity.GetConfigSchemaJson(), k.Config) {
		generation++
		found, err := k.configure(ctx, generation, config)
		if err != nil {
			return err
		}
		if !refused(found) {
			return fmt.Errorf("Configure(%s) was taken", config)
		}
		if !slices.ContainsFunc(found, func(d *pluginv1.Diagnostic) bool { return strings.HasPrefix(d.GetPath(), path) }) {
			return fmt.Errorf("Configure(%s) = %v, want a diagnostic at %s", config, found, path)
		}
	}
	return nil
}

// configure sends a configuration and checks the form of the diagnostics.
func (k *kit) configure(ctx context.Context, generation uint64, config string) ([]*pluginv1.Diagnostic, error) {
	r, err := k.base.Configure(ctx, &pluginv1.ConfigureRequest{Generation: generation, ConfigJson: config})
	if err != nil {
		return nil, fmt.Errorf("Configure(%s): %w", config, err)
	}
	for _, d := range r.GetDiagnostics() {
		if d.GetPath() == "" || d.GetCode() == "" || d.GetMessage() == "" {
			return nil, fmt.Errorf("Configure(%s) = %v, a diagnostic without path, code or message", config, d)
		}
	}
	return r.GetDiagnostics(), nil
}

func refused(ds []*pluginv1.Diagnostic) bool {
	return slices.ContainsFunc(ds, func(d *pluginv1.Diagnostic) bool {
		return d.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING
	})
}

// badConfigs yields configurations that must be refused with the path of the
// diagnostic: no objects, and the good one with each setting of a wrong type.
func badConfigs(schemaText, good string) func(func(path, config string) bool) {
	return func(yield func(path, config string) bool) {
		for _, c := range []string{`{`, `[]`, `"x"`, `null`, `{"a":1}{}`} {
			if !yield("$", c) {
				return
			}
		}
		schema, err := sdk.ParseSchema(schemaText)
		if err != nil {
			return // identity has told
		}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			wrong := map[string]any{}
			if json.Unmarshal([]byte(good), &wrong) != nil || schema.Properties[name].Type == "" {
				continue
			}
			wrong[name] = nil
			text, err := json.Marshal(wrong)
			if err == nil && !yield("$."+name, string(text)) {
				return
			}
		}
	}
}

// unknownGeneration: what the plugin was never told is not guessed.
func unknownGeneration(ctx context.Context, k *kit) error {
	const never = 1 << 40
	got := map[string]error{}
	for _, kind := range k.identity.GetKinds() {
		switch kind {
		case pluginv1.Kind_KIND_MODULE:
			r := k.task(k.Inputs[0])
			r.ConfigGeneration = never
			_, got["Execute"] = k.module.Execute(ctx, r)
		case pluginv1.Kind_KIND_STRATEGY:
			h := k.header(1)
			h.ConfigGeneration = never
			_, got["Propose"] = k.propose(ctx, h, nil, true)
		case pluginv1.Kind_KIND_SCORER:
			_, got["Score"] = k.scorer.Score(ctx, &pluginv1.ScoreRequest{ConfigGeneration: never})
		}
	}
	for call, err := range got {
		if got := status.Code(err); got != codes.FailedPrecondition {
			return fmt.Errorf("%s under an unknown generation = %v, want FAILED_PRECONDITION", call, got)
		}
	}
	return nil
}

// health: the plugin is ready and does nothing.
func health(ctx context.Context, k *kit) error {
	h, err := k.base.Health(ctx, &pluginv1.HealthRequest{})
	if err != nil {
		return err
	}
	if !h.GetReady() && h.GetReason() == "" {
		return errors.New("not ready, without a reason")
	}
	if !h.GetReady() {
		return errors.New("not ready: " + h.GetReason())
	}
	return k.quiet(ctx)
}

// quiet waits until no call is in flight, for as long as "promptly" is. A plugin that says
// nothing in that time, as on a machine that has none to spare, is asked once more with
// the patience of the rule.
func (k *kit) quiet(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, prompt)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		h, err := k.base.Health(soon, &pluginv1.HealthRequest{})
		if err == nil && h.GetInFlight() == 0 {
			return nil
		}
		select {
		case <-tick.C:
			continue
		case <-soon.Done():
		}
		if err != nil {
			if h, err = k.base.Health(ctx, &pluginv1.HealthRequest{}); err != nil {
				return err
			}
		}
		if h.GetInFlight() > 0 {
			return fmt.Errorf("%d calls have not returned %v after they were cancelled", h.GetInFlight(), prompt)
		}
		return nil
	}
}

// tolerable refuses errors that are the plugin's own: those of a panic, of a
// process that has died, and of an answer that breaks the contract.
func tolerable(err error) error {
	switch status.Code(err) {
	case codes.OK, codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.NotFound:
		return nil
	}
	return err
}
