package pluginhost

import "time"

// A plugin earns time of the processor by its answers. One that has used up what it had is
// throttled: it is stopped most of the time, so that whatever it does the house has the
// processors nearly to itself. A strategy's run is work that may take minutes, and is not
// counted.

const (
	slice   = turn / 20 // of a turn in which a throttled process runs
	trickle = turn / 20 // what a process may use in each turn, whatever it answers
	enough  = turn / 2  // that a throttled process must have before it runs on
)

// budget is what a process has left of the processor.
type budget struct {
	left      time.Duration
	spent     time.Duration // in all, at the latest turn
	answers   int           // likewise
	throttled bool
}

// next counts a turn: answers and total are how many calls the plugin has answered and how long
// the process has had the processor, since ever. free is set when its time is not counted.
func (b *budget) next(l Limits, answers int, total time.Duration, free bool) {
	earned := trickle + time.Duration(answers-b.answers)*l.Earned
	used := total - b.spent
	b.answers, b.spent = answers, total
	if l.Burst <= 0 || free {
		b.left, b.throttled = l.Burst, false
		return
	}
	b.left = max(0, min(b.left+earned, l.Burst)-used)
	if b.throttled {
		b.throttled = b.left < enough
	} else {
		b.throttled = b.left == 0
	}
}

// ration lets a throttled process run for a slice of the turn that begins, and one that is
// throttled no more run on; p.weight.mu is held.
func (p *process) ration(was bool) {
	if was || p.budget.throttled {
		proceed(p.pid)
	}
	if p.budget.throttled {
		time.AfterFunc(slice, p.halt)
	}
}

// halt stops a process that is still throttled.
func (p *process) halt() {
	p.weight.mu.Lock()
	defer p.weight.mu.Unlock()
	if p.budget.throttled && !p.client.Exited() {
		halt(p.pid)
	}
}
