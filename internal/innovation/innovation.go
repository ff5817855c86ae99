// Package innovation lets regions bring in programs of their own: the catalog of
// plugins, their assignment to regions, and the work of modules inside cases. Its
// main type is Room. Nothing that a plugin does can hurt a case: its answers are
// data that is checked, and every step has a fallback.
package innovation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/openspms/spms/ent"
	"github.com/openspms/spms/ent/pluginversion"
	"github.com/openspms/spms/internal/command"
	"github.com/openspms/spms/internal/definition"
	"github.com/openspms/spms/internal/execution"
	"github.com/openspms/spms/internal/expr"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost"
	"github.com/openspms/spms/internal/pluginhost/bundle"
	"github.com/openspms/spms/internal/privacy"
	"github.com/openspms/spms/internal/store"
	"github.com/openspms/spms/plugins/builtin"
	"github.com/openspms/spms/plugins/sdk/plugintest"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
	"github.com/openspms/spms/schema/ids"
)

// Host runs plugins: internal/pluginhost, whose words the methods keep.
type Host interface {
	Execute(ctx context.Context, a pluginhost.Artifact, s pluginhost.Settings, r *pluginv1.ExecuteRequest) (*pluginv1.ExecuteResponse, error)
	Score(ctx context.Context, a pluginhost.Artifact, s pluginhost.Settings, r *pluginv1.ScoreRequest) (*pluginv1.ScoreResponse, error)
	Check(ctx context.Context, a pluginhost.Artifact, sample plugintest.Sample) (plugintest.Report, error)
	Status() []pluginhost.Status
	Release(digest string)
	Stop(digest string)
}

// Options are what the room is told by the server.
type Options struct {
	Host    Host
	Dir     string             // where bundles are unpacked; private to the server
	Trusted []bundle.PublicKey // keys whose plugins the operator takes
	Shipped []builtin.Shipped  // plugins of this program
	Secrets *privacy.Box       // encrypts secrets of configurations; nil: there may be none
	Quota   Quota              // of bundles; the default when zero

	Dev        []string           // codes of the regions that are open to development
	DevTrusted []bundle.PublicKey // keys of developers, for those regions alone

	// Ran is told of each run of a module that has ended, for figures; nil: nobody is.
	Ran func(a pluginhost.Artifact, mode, outcome string)
}

// Room keeps the catalog and lets modules work. It is safe for concurrent use.
type Room struct {
	door        *command.Door
	definitions *definition.Room
	cases       *execution.Room
	o           Options

	shipped   map[string]shipped // by digest
	unpacking sync.Mutex
	artifacts map[string]pluginhost.Artifact // by digest, under unpacking
	trials    chan struct{}                  // places for tests on this node
	tried     trying                         // tests that are this node's
	worker    string                         // the name under which tasks are lent to modules of this node
	hands     hands                          // what modules work on here
	life      life                           // of what runs in the background
	cohorts   sync.Map                       // version id + "\n" + source → compiled
}

// New returns the room. Without a host it keeps the catalog and starts nothing.
func New(door *command.Door, definitions *definition.Room, cases *execution.Room, o Options) (*Room, error) {
	if o.Host == nil {
		o.Host = noHost{}
	}
	if o.Quota == (Quota{}) {
		o.Quota = DefaultQuota()
	}
	if o.Ran == nil {
		o.Ran = func(pluginhost.Artifact, string, string) {}
	}
	known, err := ship(o.Shipped)
	return &Room{
		door: door, definitions: definitions, cases: cases, o: o, shipped: known, artifacts: map[string]pluginhost.Artifact{},
		trials: make(chan struct{}, sideBySide), tried: trying{ends: map[string]func(){}}, worker: ids.New("node"),
		hands: newHands(), life: life{over: make(chan struct{})},
	}, err
}

// life ends what runs in the background with the room.
type life struct {
	mu      sync.Mutex
	ended   bool
	over    chan struct{}
	running sync.WaitGroup
}

// background runs f beside its caller, whose end does not matter to it; its context
// ends with the room. It reports false when the room is closed.
func (r *Room) background(ctx context.Context, f func(ctx context.Context)) bool {
	r.life.mu.Lock()
	defer r.life.mu.Unlock()
	if r.life.ended {
		return false
	}
	r.life.running.Go(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		go func() {
			select {
			case <-r.life.over:
				cancel()
			case <-ctx.Done():
			}
		}()
		f(ctx)
	})
	return true
}

// Close ends what runs in the background and waits for it. What was not ended is taken
// up by other nodes, or after the next start.
func (r *Room) Close() {
	r.life.mu.Lock()
	if !r.life.ended {
		r.life.ended = true
		close(r.life.over)
	}
	r.life.mu.Unlock()
	r.life.running.Wait()
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// regionOf reads a region by id or code under the viewer's limits.
func regionOf(ctx context.Context, u *command.Unit, ref string) (*ent.Region, error) {
	row, err := u.Region.Query().Where(store.RegionRef(ref)).Only(ctx)
	if err != nil {
		return nil, notFound(err, "REGION_NOT_FOUND", ref, "regionID")
	}
	return row, nil
}

// versionOf reads a plugin version by id, or by NAME@VERSION, under the viewer's
// limits, with its plugin; two commands on one version run one after the other.
func versionOf(ctx context.Context, u *command.Unit, ref string) (*ent.PluginVersion, error) {
	row, err := u.PluginVersion.Query().Where(VersionRef(ref)).WithPlugin().Only(store.Locking(ctx))
	if err != nil {
		return nil, notFound(err, "PLUGIN_VERSION_NOT_FOUND", ref, "versionID")
	}
	return row, nil
}

func notFound(err error, code, id, field string) error {
	if ent.IsNotFound(err) {
		return fault.E(fault.NotFound, code, fault.P("id", id)).At("input", field)
	}
	return fmt.Errorf("read a row: %w", err)
}

// inState refuses a version that is in another state than those wanted.
func inState(v *ent.PluginVersion, want ...pluginversion.State) error {
	for _, w := range want {
		if v.State == w {
			return nil
		}
	}
	return fault.E(fault.Precondition, "PLUGIN_VERSION_STATE", fault.P("want", want), fault.P("have", string(v.State))).At("input", "versionID")
}

// cohort compiles a condition over the variables of a process version; nil when it
// does not make sense there.
func (r *Room) cohort(ctx context.Context, client *ent.Client, versionID, source string) (*expr.Program, error) {
	key := versionID + "\n" + source
	if k, ok := r.cohorts.Load(key); ok {
		return k.(compiled).program, k.(compiled).err
	}
	c, err := r.definitions.Compiled(ctx, client, versionID)
	if err != nil {
		return nil, err
	}
	vars := make([]expr.Variable, 0, len(c.Model.Variables))
	for _, v := range c.Model.Variables {
		vars = append(vars, expr.Variable{Name: v.Name, Type: v.Type, Enum: v.Enum})
	}
	env, err := expr.NewEnv(vars)
	if err != nil {
		return nil, err
	}
	p, err := env.Compile(source, expr.Bool)
	if err != nil {
		p = nil
	}
	r.cohorts.Store(key, compiled{p, err})
	return p, err
}

// compiled is what came of compiling a condition.
type compiled struct {
	program *expr.Program
	err     error
}

// Status is what is known of the plugins that this node has started, as far as the
// viewer of ctx sees their versions.
func (r *Room) Status(ctx context.Context) ([]pluginhost.Status, error) {
	out := []pluginhost.Status{}
	for _, s := range r.o.Host.Status() {
		seen, err := r.door.Store.Client().PluginVersion.Query().Where(pluginversion.Digest(s.Digest)).Exist(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the plugin versions: %w", err)
		}
		if seen {
			out = append(out, s)
		}
	}
	return out, nil
}

// noHost is the host of a server that starts no plugins.
type noHost struct{}

func (noHost) refuse(a pluginhost.Artifact) error {
	return fault.E(fault.Unavailable, "PLUGIN_UNAVAILABLE", fault.P("plugin", a.Name), fault.P("cause", "this server starts no plugins"))
}

// Execute implements Host.
func (n noHost) Execute(_ context.Context, a pluginhost.Artifact, _ pluginhost.Settings, _ *pluginv1.ExecuteRequest) (*pluginv1.ExecuteResponse, error) {
	return nil, n.refuse(a)
}

// Score implements Host.
func (n noHost) Score(_ context.Context, a pluginhost.Artifact, _ pluginhost.Settings, _ *pluginv1.ScoreRequest) (*pluginv1.ScoreResponse, error) {
	return nil, n.refuse(a)
}

// Check implements Host.
func (n noHost) Check(_ context.Context, a pluginhost.Artifact, _ plugintest.Sample) (plugintest.Report, error) {
	return plugintest.Report{}, n.refuse(a)
}

// Status implements Host.
func (noHost) Status() []pluginhost.Status { return nil }

// Release implements Host.
func (noHost) Release(string) {}

// Stop implements Host.
func (noHost) Stop(string) {}

// digestOf is the SHA-256 of content as digests are written.
func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
