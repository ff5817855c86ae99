// Package plugintest tells whether a plugin keeps the contract. Run is for the
// tests of an author and Check for a host that has a running plugin before it;
// both go through the same Rules over a connection, so that a plugin in any
// language can be held against them. It knows the contract and nothing of what
// a plugin is for.
package plugintest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// Sample is what the rules feed a plugin with. The zero value feeds it with the
// empty configuration, empty inputs and a process of three tasks.
type Sample struct {
	Config   string   // a configuration that fits
	Inputs   []string // inputs of a module: JSON objects it can work with
	BPMN     []byte   // a process for strategies
	Events   int      // how many events make a large log; 0 = 100 000
	Patience int      // seconds that any one rule may take; 0 = 20
}

// Finding is what one rule found.
type Finding struct {
	Rule string
	Err  error // nil when the plugin keeps the rule
}

// Report is what all rules found that concern a plugin.
type Report struct {
	Identity *pluginv1.DescribeResponse // nil when there was no answer
	Findings []Finding
}

// Err joins what is wrong; nil when the plugin keeps the contract.
func (r Report) Err() error {
	var wrong []string
	for _, f := range r.Findings {
		if f.Err != nil {
			wrong = append(wrong, f.Rule+": "+f.Err.Error())
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("plugin breaks the contract: %s", strings.Join(wrong, "; "))
}

// rule is one thing a plugin must do.
type rule struct {
	name  string
	kind  pluginv1.Kind // for plugins of this kind; unspecified = for all
	check func(context.Context, *kit) error
}

// rules are in the order in which they run; the first two prepare the others.
var rules = []rule{
	{"identity", 0, identity},
	{"configuration", 0, configuration},
	{"unknown generation", 0, unknownGeneration},
	{"health", 0, health},
	{"strategy: empty log", pluginv1.Kind_KIND_STRATEGY, emptyLog},
	{"strategy: large log", pluginv1.Kind_KIND_STRATEGY, largeLog},
	{"strategy: same seed, same proposals", pluginv1.Kind_KIND_STRATEGY, sameSeed},
	{"strategy: refused edits", pluginv1.Kind_KIND_STRATEGY, refusedEdits},
	{"strategy: cancellation", pluginv1.Kind_KIND_STRATEGY, cancellation},
	{"strategy: garbage", pluginv1.Kind_KIND_STRATEGY, strategyGarbage},
	{"module: same key, same outcome", pluginv1.Kind_KIND_MODULE, sameKey},
	{"module: unknown inputs", pluginv1.Kind_KIND_MODULE, unknownInputs},
	{"module: deadline", pluginv1.Kind_KIND_MODULE, deadline},
	{"module: garbage", pluginv1.Kind_KIND_MODULE, moduleGarbage},
	{"scorer: same question, same scores", pluginv1.Kind_KIND_SCORER, sameScores},
	{"scorer: garbage", pluginv1.Kind_KIND_SCORER, scorerGarbage},
}

// Rules names all rules in the order in which they run.
func Rules() []string {
	var out []string
	for _, r := range rules {
		out = append(out, r.name)
	}
	return out
}

// Run serves p inside the test and holds it against the rules, each a subtest.
func Run(t *testing.T, p sdk.Plugin, sample ...Sample) {
	t.Helper()
	conn, stop, err := sdk.InProcess(p)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	k := newKit(conn, sample)
	for _, r := range rules {
		if !k.concerns(r) {
			continue
		}
		t.Run(strings.ReplaceAll(r.name, " ", "_"), func(t *testing.T) {
			if err := k.try(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check holds the plugin behind conn against the rules. The plugin should have
// nothing else to do: its calls in flight are counted. Its configuration 1 is
// set, so it should be started anew afterwards.
func Check(ctx context.Context, conn grpc.ClientConnInterface, sample ...Sample) Report {
	k := newKit(conn, sample)
	var out Report
	for _, r := range rules {
		if k.concerns(r) {
			out.Findings = append(out.Findings, Finding{r.name, k.try(ctx, r)})
		}
	}
	out.Identity = k.identity
	return out
}

// kit is one examination.
type kit struct {
	Sample
	base     pluginv1.BaseClient
	module   pluginv1.ModuleClient
	strategy pluginv1.StrategyClient
	scorer   pluginv1.ScorerClient
	identity *pluginv1.DescribeResponse
	given    *pluginv1.Snapshot // in place of the sample's; nil for none
	refuses  func(edits string) bool
}

func newKit(conn grpc.ClientConnInterface, sample []Sample) *kit {
	k := &kit{
		base: pluginv1.NewBaseClient(conn), module: pluginv1.NewModuleClient(conn),
		strategy: pluginv1.NewStrategyClient(conn), scorer: pluginv1.NewScorerClient(conn),
	}
	if len(sample) > 0 {
		k.Sample = sample[0]
	}
	if k.Config == "" {
		k.Config = "{}"
	}
	if len(k.Inputs) == 0 {
		k.Inputs = []string{"{}"}
	}
	if len(k.BPMN) == 0 {
		k.BPMN = []byte(process)
	}
	if k.Events == 0 {
		k.Events = 100_000
	}
	if k.Patience == 0 {
		k.Patience = 20
	}
	return k
}

// concerns reports whether a rule is for this plugin, as far as is known.
func (k *kit) concerns(r rule) bool {
	return r.kind == 0 || slices.Contains(k.identity.GetKinds(), r.kind)
}

// try applies one rule.
func (k *kit) try(ctx context.Context, r rule) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(k.Patience)*time.Second)
	defer cancel()
	return r.check(ctx, k)
}
