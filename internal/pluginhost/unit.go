package pluginhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/pluginhost/sandbox"
	"github.com/openspms/spms/plugins/sdk"
	"github.com/openspms/spms/plugins/sdk/pluginv1"
)

// unit is one artifact with the process that runs it, if any.
type unit struct {
	host  *Host
	a     Artifact
	slots chan struct{}

	starting        sync.Mutex // held while a process is started or configured
	mu              sync.Mutex // guards what is below
	p               *process
	inflight, talks int // calls that go on; of them, runs of a strategy
	idle            *time.Timer
	crashes         []time.Time
	until           time.Time // end of the back-off
	calls, failures int
	lastExit        string
	apart           sandbox.Achieved
	breaker         breaker
	log             *lines
}

// process is a running plugin.
type process struct {
	client     *goplugin.Client
	conn       *grpc.ClientConn
	pid        int
	dir        string
	group      *sandbox.Group // nil: none
	log        *slog.Logger
	configured map[uint64]bool
	weight     weight
	budget     budget        // guarded by weight.mu
	throttled  atomic.Bool   // as the budget says, for who only looks
	doubts     int           // calls that did not come back in time and may never; guarded by the unit
	settled    chan struct{} // closed when there is no doubt any more
}

func newUnit(h *Host, a Artifact) *unit {
	dropped := func(n int) { h.o.Observer.Dropped(a, n) }
	return &unit{host: h, a: a, slots: make(chan struct{}, h.o.Limits.Concurrency), log: newLines(h.o.Limits.LogLines, h.o.Clock.Now, dropped)}
}

func (u *unit) fail(kind fault.Kind, code string, params ...fault.Param) *fault.Error {
	return fault.E(kind, code, append([]fault.Param{fault.P("plugin", u.a.Name+"@"+u.a.Version)}, params...)...)
}

// call lets f use the connection to a running, configured process of a, for as long as
// the limit says at most.
func (h *Host) call(ctx context.Context, a Artifact, s Settings, limit time.Duration, f func(context.Context, *grpc.ClientConn) error) error {
	u, err := h.unit(a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case u.slots <- struct{}{}:
		defer func() { <-u.slots }()
	case <-ctx.Done():
		return u.count(0, u.fail(fault.Unavailable, "PLUGIN_BUSY", fault.P("max", h.o.Limits.Concurrency)))
	}
	began := h.o.Clock.Now()
	trial, err := u.admit(began)
	if err != nil {
		return u.count(0, err)
	}
	err = u.attempt(ctx, s, f)
	if status.Code(err) == codes.FailedPrecondition { // it has forgotten the configuration
		u.forget(s.Generation)
		err = u.attempt(ctx, s, f)
	}
	err = u.explain(ctx, err)
	u.judge(ctx, trial, err)
	return u.count(h.o.Clock.Now().Sub(began), err)
}

func (u *unit) attempt(ctx context.Context, s Settings, f func(context.Context, *grpc.ClientConn) error) error {
	conn, err := u.ready(ctx)
	if err != nil {
		return err
	}
	u.enter()
	defer u.leave()
	if err := u.configure(ctx, conn, s); err != nil {
		return err
	}
	u.giveWay()
	return f(ctx, conn)
}

// ready returns the connection to the running process, which it starts if need be. Nothing
// is begun in one that may be about to be killed for a call that does not come back.
func (u *unit) ready(ctx context.Context) (*grpc.ClientConn, error) {
	for doubt := u.doubt(); doubt != nil; doubt = u.doubt() {
		select {
		case <-doubt:
		case <-ctx.Done():
			return nil, u.fail(fault.Unavailable, "PLUGIN_UNAVAILABLE", fault.P("cause", "a call before this one did not come back"))
		}
	}
	u.starting.Lock()
	defer u.starting.Unlock()
	u.mu.Lock()
	p, refused := u.p, u.refusal()
	u.mu.Unlock()
	switch {
	case p != nil && !p.client.Exited():
		return p.conn, nil
	case p != nil: // it died while nobody called
		u.crashed(p, "the process ended by itself")
		return u.readyAgain(ctx)
	case refused != nil:
		return nil, refused
	}
	return u.start(ctx)
}

// doubt is closed when it is known whether the process goes on; nil when that is in no doubt.
func (u *unit) doubt() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.p == nil || u.p.doubts == 0 {
		return nil
	}
	return u.p.settled
}

// readyAgain starts the process anew after a crash if that is allowed at once.
func (u *unit) readyAgain(ctx context.Context) (*grpc.ClientConn, error) {
	u.mu.Lock()
	refused := u.refusal()
	u.mu.Unlock()
	if refused != nil {
		return nil, refused
	}
	return u.start(ctx)
}

// refusal says why no process may be started now; nil when one may. u.mu is held.
func (u *unit) refusal() error {
	now := u.host.o.Clock.Now()
	u.recent(now)
	if len(u.crashes) >= u.host.o.Limits.CrashesPerHour {
		return u.fail(fault.Unavailable, "PLUGIN_QUARANTINED", fault.P("crashes", len(u.crashes)), fault.P("cause", u.lastExit))
	}
	if now.Before(u.until) {
		return u.fail(fault.Unavailable, "PLUGIN_UNAVAILABLE", fault.P("cause", u.lastExit))
	}
	return nil
}

// recent forgets the crashes of more than an hour ago, unless they have led to
// quarantine, which only Release ends. u.mu is held.
func (u *unit) recent(now time.Time) {
	if len(u.crashes) < u.host.o.Limits.CrashesPerHour {
		u.crashes = slices.DeleteFunc(u.crashes, func(t time.Time) bool { return now.Sub(t) > time.Hour })
	}
}

// start starts the process and asks who it is.
func (u *unit) start(ctx context.Context) (*grpc.ClientConn, error) {
	if err := u.unchanged(); err != nil {
		return nil, err
	}
	began := u.host.o.Clock.Now()
	p, err := u.launch()
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		cause := strings.TrimRight(first, ": ") + u.log.tail()
		u.mu.Lock()
		u.crash(cause)
		u.mu.Unlock()
		return nil, u.fail(fault.Unavailable, "PLUGIN_CRASHED", fault.P("cause", cause))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), u.host.o.Limits.Start) // a call that has no time left is no fault of the plugin's
	defer cancel()
	d, err := pluginv1.NewBaseClient(p.conn).Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil {
		u.crashed(p, "it does not say who it is: "+err.Error())
		return nil, u.fail(fault.Unavailable, "PLUGIN_CRASHED", fault.P("cause", err.Error()))
	}
	if d.GetName() != u.a.Name || d.GetVersion() != u.a.Version || d.GetContractVersion() != sdk.ContractVersion {
		said := fmt.Sprintf("%s@%s, contract %d", d.GetName(), d.GetVersion(), d.GetContractVersion())
		u.crashed(p, "it calls itself "+said)
		return nil, u.fail(fault.Precondition, "PLUGIN_IDENTITY", fault.P("said", said))
	}
	u.mu.Lock()
	u.p = p
	u.mu.Unlock()
	u.host.o.Observer.Started(u.a, u.host.o.Clock.Now().Sub(began))
	return p.conn, nil
}

// unchanged refuses an executable that is not what the signed manifest names.
func (u *unit) unchanged() error {
	if u.a.Inside != "" {
		return nil // it is the program that runs
	}
	f, err := os.Open(u.a.Path)
	if err != nil {
		return u.fail(fault.Unavailable, "PLUGIN_CHANGED").Because(err)
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil || hex.EncodeToString(sum.Sum(nil)) != u.a.SHA256 {
		return u.fail(fault.Precondition, "PLUGIN_CHANGED").Because(err)
	}
	return nil
}

// configure brings a configuration to the process once.
func (u *unit) configure(ctx context.Context, conn *grpc.ClientConn, s Settings) error {
	u.starting.Lock()
	defer u.starting.Unlock()
	u.mu.Lock()
	known := s.Generation == 0 || u.p != nil && u.p.configured[s.Generation]
	u.mu.Unlock()
	if known {
		return nil
	}
	r, err := pluginv1.NewBaseClient(conn).Configure(ctx, &pluginv1.ConfigureRequest{Generation: s.Generation, ConfigJson: s.JSON})
	if err != nil {
		return err
	}
	for _, d := range r.GetDiagnostics() {
		if d.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING {
			return u.fail(fault.Precondition, "PLUGIN_CONFIG_REFUSED", fault.P("count", len(r.GetDiagnostics())), fault.P("cause", d.GetPath()+" "+d.GetCode()))
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.p != nil {
		u.p.configured[s.Generation] = true
	}
	return nil
}

func (u *unit) forget(generation uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.p != nil {
		delete(u.p.configured, generation)
	}
}

func (u *unit) enter() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inflight++
	if u.idle != nil {
		u.idle.Stop()
	}
}

// leave lets the process end when it is not called again for a while.
func (u *unit) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.inflight--; u.inflight == 0 && u.host.o.Limits.Idle > 0 {
		u.idle = time.AfterFunc(u.host.o.Limits.Idle, u.rest)
	}
}

// rest ends a process that nobody calls.
func (u *unit) rest() {
	u.mu.Lock()
	busy := u.inflight > 0
	u.mu.Unlock()
	if !busy {
		u.stop("idle")
	}
}

// count counts a call that took so long.
func (u *unit) count(took time.Duration, err error) error {
	u.mu.Lock()
	u.calls++
	if err != nil {
		u.failures++
	}
	u.mu.Unlock()
	code := ""
	if err != nil {
		code = fault.CodeOf(err)
	}
	u.host.o.Observer.Called(u.a, code, took)
	return err
}

// explain turns what a call came back with into an error of the host.
func (u *unit) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*fault.Error](err); ours {
		return err
	}
	u.mu.Lock()
	p := u.p
	u.mu.Unlock()
	code := status.Code(err)
	switch {
	case ctx.Err() != nil || code == codes.DeadlineExceeded || code == codes.Canceled:
		u.watch(p)
		return u.fail(fault.Unavailable, "PLUGIN_TIMEOUT")
	case p == nil || gone(p, code):
		if p != nil {
			u.crashed(p, "it ended in a call")
		}
		return u.fail(fault.Unavailable, "PLUGIN_CRASHED", fault.P("cause", u.exit()))
	case code == codes.ResourceExhausted || code == codes.InvalidArgument || code == codes.Unimplemented || code == codes.FailedPrecondition:
		return u.fail(fault.Precondition, "PLUGIN_PROTOCOL", fault.P("cause", status.Convert(err).Message()))
	}
	if _, told := status.FromError(err); !told {
		return err // of who talked with the plugin
	}
	return u.fail(fault.Unavailable, "PLUGIN_FAILED", fault.P("cause", status.Convert(err).Message()))
}

// gone tells whether the process has ended; the end may be seen a moment after the
// connection broke.
func gone(p *process, code codes.Code) bool {
	for range 50 {
		if p.client.Exited() {
			return true
		}
		if code != codes.Unavailable {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true // a connection that is broken for good is as bad
}

// watch ends a process whose call does not come back after its deadline.
func (u *unit) watch(p *process) {
	if p == nil {
		return
	}
	u.mu.Lock()
	if p.doubts++; p.doubts == 1 {
		p.settled = make(chan struct{})
	}
	u.mu.Unlock()
	u.host.pending.Add(1)
	go func() {
		defer u.host.pending.Done()
		defer u.settle(p)
		ctx, cancel := context.WithTimeout(context.Background(), u.host.o.Limits.Grace)
		defer cancel()
		for ctx.Err() == nil {
			r, err := pluginv1.NewBaseClient(p.conn).Health(ctx, &pluginv1.HealthRequest{})
			u.mu.Lock()
			mine, other := u.inflight, u.p != p
			u.mu.Unlock()
			if other || err == nil && int(r.GetInFlight()) <= mine {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		u.crashed(p, "killed: a call did not come back after its deadline")
	}()
}

// settle ends a doubt about a process.
func (u *unit) settle(p *process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p.doubts--; p.doubts == 0 {
		close(p.settled)
	}
}

// crashed ends what is left of a process that has failed, once.
func (u *unit) crashed(p *process, cause string) {
	u.mu.Lock()
	mine := u.p == p || u.p == nil
	if u.p == p {
		u.p = nil
	}
	if mine {
		u.crash(cause + p.starved() + u.log.tail())
	}
	u.mu.Unlock()
	if mine {
		p.end()
	}
}

// crash writes a crash down: back-off, and quarantine by their number. u.mu is held.
func (u *unit) crash(cause string) {
	now := u.host.o.Clock.Now()
	u.recent(now)
	u.crashes = append(u.crashes, now)
	u.until = now.Add(min(time.Second<<min(len(u.crashes)-1, 10), time.Minute))
	u.lastExit = cause
	u.host.o.Log.Warn("a plugin has crashed", "plugin", u.a.Name, "version", u.a.Version, "cause", cause, "crashes", len(u.crashes))
	u.host.o.Observer.Crashed(u.a, len(u.crashes) >= u.host.o.Limits.CrashesPerHour)
}

func (u *unit) exit() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lastExit
}

func (u *unit) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.crashes, u.until, u.breaker = nil, time.Time{}, breaker{}
}

func (u *unit) learn(apart sandbox.Achieved) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.apart = apart
}

func (u *unit) achieved() sandbox.Achieved {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.apart
}

// stop ends the process, which is no crash.
func (u *unit) stop(why string) {
	u.mu.Lock()
	p := u.p
	u.p = nil
	if p != nil {
		u.lastExit = why
	}
	if u.idle != nil {
		u.idle.Stop()
	}
	u.mu.Unlock()
	if p != nil {
		p.end()
	}
}

func (u *unit) status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.host.o.Clock.Now()
	u.recent(now)
	s := Status{
		Artifact: u.a, State: Stopped, Isolation: slices.Clone(u.apart.Layers), Missing: slices.Clone(u.apart.Missing), Crashes: len(u.crashes),
		Calls: u.calls, Failures: u.failures, InFlight: u.inflight,
		LastExit: u.lastExit, LastLog: u.log.last(),
	}
	switch {
	case len(u.crashes) >= u.host.o.Limits.CrashesPerHour:
		s.State = Quarantined
	case u.breaker.failures >= u.host.o.Limits.FailuresInRow && u.host.o.Limits.FailuresInRow > 0:
		s.State = Resting
	case u.p != nil && !u.p.client.Exited():
		s.State = Ready
	case now.Before(u.until):
		s.State = BackOff
	}
	if u.p != nil && !u.p.client.Exited() {
		s.PID, s.MemoryBytes, s.Throttled = u.p.pid, resident(u.p.pid), u.p.throttled.Load()
	}
	return s
}
