package pluginhost

import (
	"errors"
	"sync"
	"time"

	"github.com/openspms/spms/internal/pluginhost/sandbox"
)

// A plugin has the processor when nobody else wants it, so that the server's own work never
// waits for one. Where all processors are busy that is next to nothing: a process whose
// call has waited for a turn gets its ordinary weight, as long as it does not take more than
// its due. One that starts has it until its first call.

const (
	turn = 200 * time.Millisecond
	poor = turn / 10 // of the processor within a turn: a process that had less may be kept from it
	rich = turn / 4  // one that had more gets on
)

// weight is how a process stands for the processor.
type weight struct {
	mu      sync.Mutex
	begun   bool // it has been called
	least   bool
	waiting bool // a call was going on a turn ago
	spent   time.Duration
}

// next decides on a process at the end of a turn: whether it is to have the least weight. total is
// how long it has had the processor since it began.
func (w *weight) next(calls int, total time.Duration) (least bool) {
	had := total - w.spent
	waited := w.waiting && calls > 0
	w.waiting, w.spent = calls > 0, total
	switch {
	case !waited, had > rich:
		return true
	case had < poor:
		return false
	}
	return w.least
}

// weigh weighs the processes until the host is closed.
func (h *Host) weigh() {
	turns := time.NewTicker(turn)
	defer turns.Stop()
	for {
		select {
		case <-h.end:
			return
		case <-turns.C:
		}
		for _, u := range h.all() {
			u.weigh()
		}
	}
}

// weigh gives the unit's process the weight that it is to have.
func (u *unit) weigh() {
	u.mu.Lock()
	p, calls, talks, answers := u.p, u.inflight, u.talks, u.calls-u.failures
	u.mu.Unlock()
	if p == nil || p.client.Exited() {
		return
	}
	total := spent(p.pid)
	p.weight.mu.Lock()
	defer p.weight.mu.Unlock()
	was := p.budget.throttled
	p.budget.next(u.host.o.Limits, answers, total, talks > 0 || !p.weight.begun)
	p.ration(was)
	if p.budget.throttled {
		calls = 0 // what it waits for is its own doing
		if !was {
			u.host.o.Log.Warn("a plugin is throttled: it has used up its time of the processor", "plugin", u.a.Name, "version", u.a.Version)
			u.host.o.Observer.Throttled(u.a)
		}
	}
	p.throttled.Store(p.budget.throttled)
	if least := p.weight.next(calls, total); p.weight.begun {
		p.put(least)
	}
}

// giveWay gives a process the least weight when it is called for the first time.
func (u *unit) giveWay() {
	u.mu.Lock()
	p := u.p
	u.mu.Unlock()
	if p == nil {
		return
	}
	p.weight.mu.Lock()
	defer p.weight.mu.Unlock()
	if !p.weight.begun {
		p.weight.begun = true
		p.put(true)
	}
}

// put gives a process the least weight, or its ordinary one; p.weight.mu is held.
func (p *process) put(least bool) {
	if least == p.weight.least {
		return
	}
	err := errors.ErrUnsupported
	if p.group != nil {
		err = p.group.Weigh(!least)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = sandbox.Weigh(p.pid, !least)
	}
	if err == nil || errors.Is(err, errors.ErrUnsupported) {
		p.weight.least = least // what cannot be had is not asked for at every turn
	}
}
