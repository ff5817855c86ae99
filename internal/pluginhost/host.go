// Package pluginhost starts plugins, supervises them and keeps them apart: a plugin
// that crashes, hangs, floods or lies harms its own calls and nothing else. Its main
// type is Host. It knows nothing of cases, regions or the catalog.
package pluginhost

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/openspms/spms/internal/clock"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost/sandbox"
	"github.com/openspms/spms/plugins/sdk/plugintest"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// Artifact is one executable on this node.
type Artifact struct {
	Digest  string // of the bundle
	Name    string // as the plugin must call itself
	Version string
	Path    string // the executable
	SHA256  string // of the executable in hex, compared before each start
	Inside  string // environment, NAME=VALUE, by which this very program becomes the plugin; Path and SHA256 are empty then
}

// Settings are the configuration that a call runs under; generation 0 is the empty one.
type Settings struct {
	Generation uint64
	JSON       string
}

// Limits bound every plugin of a host.
type Limits struct {
	Start          time.Duration // from the start of the process to its identity
	Call           time.Duration // of a call whose context has no earlier deadline
	Talk           time.Duration // of a strategy's run, likewise
	Grace          time.Duration // that a call may take to come back after its deadline
	Idle           time.Duration // without calls, after which the process is ended
	Concurrency    int           // calls of one plugin at a time
	MemoryBytes    int64         // data of one process
	LogLines       int           // kept of what a process logs in a second; the rest is counted
	CrashesPerHour int           // that lead to quarantine
	FailuresInRow  int           // calls that fail or do not come back in time, one after the other, that open the breaker
	Pause          time.Duration // of an open breaker before it tries a call; twice as long after each that fails, at most PauseAtMost
	PauseAtMost    time.Duration
	Processes      int           // and threads of one plugin, where it has a control group
	Burst          time.Duration // of the processor that a process may use without an answer before it is throttled; 0: as much as it likes
	Earned         time.Duration // that each answer brings, up to Burst
}

// DefaultLimits are those of a server.
func DefaultLimits() Limits {
	return Limits{
		Start: 20 * time.Second, Call: 30 * time.Second, Talk: 5 * time.Minute, Grace: 2 * time.Second, Idle: 10 * time.Minute,
		Concurrency: 16, MemoryBytes: 512 << 20, LogLines: 50, CrashesPerHour: 3,
		FailuresInRow: 5, Pause: 30 * time.Second, PauseAtMost: 10 * time.Minute, Processes: 128,
		Burst: time.Second, Earned: 250 * time.Millisecond,
	}
}

// Options say how a host works.
type Options struct {
	Dir    string // folder for sockets and working directories, with a short path; "": a temporary one
	Log    *slog.Logger
	Clock  clock.Clock
	Limits Limits
	Shim   []string // program and arguments that run the sandbox shim; nil: this program

	Observer Observer // is told what happens; nil: nobody
	NoGroups bool     // no control groups, whatever the machine allows
}

// Observer is told what happens to plugins, for figures. It must be quick and safe for
// concurrent use.
type Observer interface {
	Called(a Artifact, code string, took time.Duration) // code is "" for an answer, else one of Host.Execute's
	Started(a Artifact, took time.Duration)             // from the start of the process to its identity
	Crashed(a Artifact, quarantined bool)
	Refusing(a Artifact) // the breaker has opened
	Dropped(a Artifact, lines int)
	Throttled(a Artifact) // it has used up its time of the processor
}

// nobody is the observer where there is none.
type nobody struct{}

func (nobody) Called(Artifact, string, time.Duration) {}
func (nobody) Started(Artifact, time.Duration)        {}
func (nobody) Crashed(Artifact, bool)                 {}
func (nobody) Refusing(Artifact)                      {}
func (nobody) Dropped(Artifact, int)                  {}
func (nobody) Throttled(Artifact)                     {}

// Status is what is known of one artifact.
type Status struct {
	Artifact
	State     State
	Isolation []string // what keeps it apart, as its latest process achieved it
	Missing   []string // what of that could not be had, each as LAYER: cause
	Crashes   int      // within the last hour
	Calls     int
	Failures  int
	InFlight  int
	Throttled bool     // it has used up its time of the processor
	LastExit  string   // how its latest process ended
	LastLog   []string // at most 50 lines
	PID       int      // 0 when it does not run

	MemoryBytes int64 // resident memory of its process; 0 when it does not run or the system does not tell
}

// State is that of the process of an artifact.
type State string

// The states. One in back-off or quarantine refuses calls, the latter until Release; one
// whose breaker is open refuses them for a pause and is then tried with a single one.
const (
	Stopped     State = "stopped"
	Ready       State = "ready"
	BackOff     State = "backoff"
	Resting     State = "open"
	Quarantined State = "quarantined"
)

// Host runs plugins. It is safe for concurrent use.
type Host struct {
	o       Options
	groups  *sandbox.Groups // nil: there are none
	alone   string          // why
	mu      sync.Mutex
	units   map[string]*unit
	closed  bool
	end     chan struct{}  // closed at the end
	pending sync.WaitGroup // watchdogs, and who weighs
}

// Open returns a host.
func Open(o Options) (*Host, error) {
	if o.Dir == "" {
		sweep()
		dir, err := os.MkdirTemp("", folderPrefix+strconv.Itoa(os.Getpid())+"-")
		if err != nil {
			return nil, fmt.Errorf("make the folder of the plugin host: %w", err)
		}
		o.Dir = dir
	}
	if err := os.Chmod(o.Dir, 0o711); err != nil { //nolint:gosec // plugins pass through it, as users of their own, to their own folders
		return nil, fmt.Errorf("prepare the folder of the plugin host: %w", err)
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	h := &Host{o: o, units: map[string]*unit{}, end: make(chan struct{}), alone: "switched off"}
	if !o.NoGroups {
		var err error
		if h.groups, err = sandbox.OpenGroups(); err != nil {
			h.alone = err.Error()
		}
	}
	h.pending.Go(h.weigh)
	return h, nil
}

// folderPrefix begins the names of the temporary folders of hosts; the rest is the
// number of the process and something random.
const folderPrefix = "spms-plugins-"

// sweep removes what servers that were killed have left behind.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*")) // the pattern is well formed
	for _, dir := range left {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), folderPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err == nil && !alive(pid) {
			_ = os.RemoveAll(dir)
		}
	}
}

// unit is the unit of an artifact, made at the first call.
func (h *Host) unit(a Artifact) (*unit, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, fault.E(fault.Unavailable, "PLUGIN_UNAVAILABLE", fault.P("plugin", a.Name), fault.P("cause", "the server stops"))
	}
	u, ok := h.units[a.Digest]
	if !ok {
		u = newUnit(h, a)
		h.units[a.Digest] = u
	}
	return u, nil
}

// Execute lets a module do one task. Errors: PLUGIN_UNAVAILABLE, PLUGIN_QUARANTINED,
// PLUGIN_RESTING, PLUGIN_BUSY, PLUGIN_TIMEOUT, PLUGIN_CRASHED, PLUGIN_FAILED, PLUGIN_IDENTITY,
// PLUGIN_CHANGED, PLUGIN_CONFIG_REFUSED, PLUGIN_PROTOCOL.
func (h *Host) Execute(ctx context.Context, a Artifact, s Settings, r *pluginv1.ExecuteRequest) (*pluginv1.ExecuteResponse, error) {
	var out *pluginv1.ExecuteResponse
	return out, h.call(ctx, a, s, h.o.Limits.Call, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		out, err = pluginv1.NewModuleClient(conn).Execute(ctx, r)
		return err
	})
}

// Score lets a scorer rank items. Errors as of Execute.
func (h *Host) Score(ctx context.Context, a Artifact, s Settings, r *pluginv1.ScoreRequest) (*pluginv1.ScoreResponse, error) {
	var out *pluginv1.ScoreResponse
	return out, h.call(ctx, a, s, h.o.Limits.Call, func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		out, err = pluginv1.NewScorerClient(conn).Score(ctx, r)
		return err
	})
}

// Proposing is the stream of a strategy.
type Proposing = grpc.BidiStreamingClient[pluginv1.ToStrategy, pluginv1.FromStrategy]

// Propose lets a strategy propose: run talks with it. What run returns that is no
// error of the stream is returned as it is; other errors as of Execute.
func (h *Host) Propose(ctx context.Context, a Artifact, s Settings, run func(context.Context, Proposing) error) error {
	return h.call(ctx, a, s, h.o.Limits.Talk, func(ctx context.Context, conn *grpc.ClientConn) error {
		defer h.talking(a)()
		stream, err := pluginv1.NewStrategyClient(conn).Propose(ctx)
		if err != nil {
			return err
		}
		return run(ctx, stream)
	})
}

// talking notes that a run of a strategy goes on, until the function it returns is called.
func (h *Host) talking(a Artifact) func() {
	u, err := h.unit(a)
	if err != nil {
		return func() {}
	}
	count := func(n int) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.talks += n
	}
	count(1)
	return func() { count(-1) }
}

// Check holds an artifact against the contract, in a process of its own that is
// ended afterwards. The report is empty when the process cannot be started: errors as
// of Execute.
func (h *Host) Check(ctx context.Context, a Artifact, sample plugintest.Sample) (plugintest.Report, error) {
	u := newUnit(h, a)
	defer u.stop("the check is over")
	conn, err := u.ready(ctx)
	if err != nil {
		return plugintest.Report{}, err
	}
	report := plugintest.Check(ctx, conn, sample)
	h.mu.Lock()
	if known, ok := h.units[a.Digest]; ok {
		known.learn(u.achieved())
	} else {
		u.stop("the check is over")
		h.units[a.Digest] = u
	}
	h.mu.Unlock()
	return report, nil
}

// Probe starts an artifact in a process of its own, asks who it is, ends it and tells
// what kept it apart on this machine. Errors as of Execute.
func (h *Host) Probe(ctx context.Context, a Artifact) (Status, error) {
	u := newUnit(h, a)
	defer u.stop("the probe is over")
	_, err := u.ready(ctx)
	return u.status(), err
}

// Status is what is known of every artifact that was called, by name and version.
func (h *Host) Status() []Status {
	units := h.all()
	out := make([]Status, 0, len(units))
	for _, u := range units {
		out = append(out, u.status())
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return out
}

func (h *Host) all() []*unit {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.units))
}

// Release forgets the crashes of an artifact, and so ends its quarantine.
func (h *Host) Release(digest string) {
	if u := h.known(digest); u != nil {
		u.release()
	}
}

// Stop ends the process of an artifact; a later call starts it again.
func (h *Host) Stop(digest string) {
	if u := h.known(digest); u != nil {
		u.stop("stopped")
	}
}

func (h *Host) known(digest string) *unit {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.units[digest]
}

// Close ends every process and refuses calls from then on.
func (h *Host) Close() error {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.end)
	}
	units := h.units
	h.units = map[string]*unit{}
	h.mu.Unlock()
	for _, u := range units {
		u.stop("the server stops")
	}
	h.pending.Wait()
	if h.groups != nil {
		if err := h.groups.Close(); err != nil {
			h.o.Log.Warn("remove the control groups of plugins", "err", err)
		}
		h.groups = nil
	}
	if strings.HasPrefix(filepath.Base(h.o.Dir), folderPrefix) {
		return os.RemoveAll(h.o.Dir)
	}
	return nil
}
