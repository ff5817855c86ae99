package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// A process that waits for the processor with the least weight there is gets what nobody
// else wants, and gives it up at once: any larger weight makes others wait now and then
// until the end of a slice, milliseconds.

// scale is the weight of all plugins together: their ordinary one while a process of
// theirs needs it, else the least.
type scale struct {
	sync.Mutex
	heavy int // groups that have their ordinary weight
}

// Weigh gives the process of a group its ordinary weight for the processor, or the least.
// The error is ErrUnsupported where the groups do not divide the processor.
func (g *Group) Weigh(ordinary bool) error {
	if g.dirs["cpu"] == "" {
		return errors.ErrUnsupported
	}
	g.all.scale.Lock()
	defer g.all.scale.Unlock()
	if g.gone {
		return nil
	}
	return g.put(ordinary)
}

// leave takes a group that ends from the scale.
func (g *Group) leave() error {
	g.all.scale.Lock()
	defer g.all.scale.Unlock()
	g.gone = true
	return g.put(false)
}

// put puts a group on the scale or takes it away. The scale is locked.
func (g *Group) put(ordinary bool) error {
	if g.heavy == ordinary {
		return nil
	}
	g.heavy = ordinary
	before := g.all.scale.heavy
	if ordinary {
		g.all.scale.heavy++
	} else {
		g.all.scale.heavy--
	}
	if (before > 0) == (g.all.scale.heavy > 0) {
		return nil
	}
	return g.all.lean(g.all.scale.heavy > 0)
}

// lean gives all plugins together their ordinary weight, or the least: that of a group
// which is idle, and gives up the processor as soon as anybody wants it, where the kernel
// knows such (Linux 5.15), else the smallest weight.
func (g *Groups) lean(ordinary bool) error {
	for _, t := range g.trees {
		if !slices.Contains(t.has, "cpu") {
			continue
		}
		idle := "1"
		if ordinary {
			idle = "0"
		}
		err := set(t.dir, "cpu.idle", idle)
		known := !errors.Is(err, fs.ErrNotExist)
		if !known || err == nil && ordinary { // an idle group has no other weight
			name, value := weight(t.unified, ordinary)
			err = set(t.dir, name, value)
		}
		if err != nil {
			return fmt.Errorf("weigh plugins: %w", err)
		}
	}
	return nil
}

// weight is the file and the value of a weight for the processor. In version 1 the server
// is in no group of its own: the ordinary one is half of one of its threads.
func weight(unified, ordinary bool) (name, value string) {
	switch {
	case unified && ordinary:
		return "cpu.weight", "20"
	case unified:
		return "cpu.weight", "1"
	case ordinary:
		return "cpu.shares", "512"
	}
	return "cpu.shares", "2"
}

// Weigh gives the threads of a process that is in no group their ordinary priority, or
// the least. The error is ErrUnsupported where this process could not take it back.
func Weigh(pid int, ordinary bool) error {
	if !mayRaise() {
		return errors.ErrUnsupported
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	if ordinary {
		attr.Policy, attr.Nice = unix.SCHED_NORMAL, nice
	}
	for range 2 { // threads that begin meanwhile are as the one that begins them
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return err
		}
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetAttr(tid, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("weigh a plugin: %w", err)
			}
		}
	}
	return nil
}

// mayRaise reports whether this process may raise priorities.
var mayRaise = sync.OnceValue(func() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	return unix.Capget(&head, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_SYS_NICE) != 0
})
