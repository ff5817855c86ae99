package pluginhost

import (
	"context"
	"errors"
	"time"

	"github.com/openspms/spms/internal/fault"
)

// breaker spares a plugin, and those who wait for it, calls that fail one after the
// other without a crash:
//
//	closed ── FailuresInRow calls fail ──▶ open ── Pause ──▶ one call is tried ── answered ──▶ closed
//	                                        ▲───────────────── failed ─────────────┘ twice the pause
//
// It is guarded by the unit's mu.
type breaker struct {
	failures int           // calls in a row that failed
	pause    time.Duration // the latest
	until    time.Time     // calls are refused before
	trying   bool          // a call is under way to see whether it is better
}

// admit refuses a call while the breaker is open, or while another tries whether it is
// better: PLUGIN_RESTING. It tells whether the call is that one.
func (u *unit) admit(now time.Time) (trial bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, limit := &u.breaker, u.host.o.Limits.FailuresInRow
	if limit <= 0 || b.failures < limit {
		return false, nil
	}
	if now.Before(b.until) || b.trying {
		return false, u.fail(fault.Unavailable, "PLUGIN_RESTING", fault.P("failures", b.failures))
	}
	b.trying = true
	return true, nil
}

// judge lets the end of a call count. What the caller broke off says nothing of the
// plugin, nor do calls that began before the breaker opened; a crash and a start that is
// refused have rules of their own.
func (u *unit) judge(ctx context.Context, trial bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, l := &u.breaker, u.host.o.Limits
	open := l.FailuresInRow > 0 && b.failures >= l.FailuresInRow
	if trial {
		b.trying = false
	}
	switch fault.CodeOf(err) {
	case "PLUGIN_TIMEOUT":
		if errors.Is(ctx.Err(), context.Canceled) {
			return
		}
	case "PLUGIN_FAILED", "PLUGIN_PROTOCOL":
	case "PLUGIN_CRASHED", "PLUGIN_UNAVAILABLE", "PLUGIN_QUARANTINED", "PLUGIN_IDENTITY", "PLUGIN_CHANGED", "PLUGIN_CONFIG_REFUSED":
		return
	default: // an answer
		*b = breaker{}
		return
	}
	b.failures++
	if b.failures < l.FailuresInRow || l.FailuresInRow <= 0 || open && !trial {
		return
	}
	b.pause = min(max(2*b.pause, l.Pause), l.PauseAtMost)
	b.until = u.host.o.Clock.Now().Add(b.pause)
	u.host.o.Log.Warn("a plugin rests because its calls keep failing", "plugin", u.a.Name, "version", u.a.Version, "failures", b.failures, "pause", b.pause)
	u.host.o.Observer.Refusing(u.a)
}
