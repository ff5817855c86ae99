package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Groups is where a server makes control groups for plugins: below its own group, in
// the one hierarchy of version 2 or in those of version 1. When the disk is scarce all plugins
// together weigh a fifth of the server, and for the processor what Weigh says; each has a
// group of its own in there with limits of memory and processes.
type Groups struct {
	trees []tree
	made  atomic.Int64
	scale scale
	back  func() // undoes what version 2 made necessary
}

// tree is the server's folder in one hierarchy.
type tree struct {
	dir     string
	unified bool // version 2
	has     []string
}

// Group is the control group of one process.
type Group struct {
	all   *Groups
	dirs  map[string]string // controller → folder
	unify bool

	// Guarded by all.scale.
	heavy bool // it has its ordinary weight
	gone  bool
}

// wanted are the controllers by their names in version 2; the first two must be had. Groups
// divide the processor where priorities cannot: a thread that wakes has it from one of the
// least priority at once, from an idle group only nearly so.
func wanted() []string {
	if mayRaise() {
		return []string{"memory", "pids", "io"}
	}
	return []string{"memory", "pids", "io", "cpu"}
}

// shared are the groups of this process, which has one place for them however many
// ask.
var shared struct {
	sync.Mutex
	groups *Groups
	users  int
}

// OpenGroups prepares control groups, and removes those of servers that were killed.
// The error says why this machine does not let it.
func OpenGroups() (*Groups, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.users == 0 {
		g, err := openGroups()
		if err != nil {
			return nil, err
		}
		shared.groups = g
	}
	shared.users++
	return shared.groups, nil
}

// Close removes what the server has made, when nobody else uses it; the groups of
// processes must be gone.
func (g *Groups) Close() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.users--; shared.users > 0 {
		return nil
	}
	shared.groups = nil
	return g.remove()
}

func openGroups() (*Groups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mine, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	g := &Groups{back: func() {}}
	unified, legacy := own2(string(mounts), string(mine)), own1(string(mounts), string(mine))
	if err = g.openUnified(unified); err != nil {
		if legacy["memory"] == "" || legacy["pids"] == "" {
			return nil, err
		}
		if err = g.openLegacy(legacy); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// own2 is the folder of this process in the hierarchy of version 2; "" without one.
func own2(mounts, mine string) string {
	for line := range strings.Lines(mine) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return mounted(mounts, "cgroup2", "", path)
		}
	}
	return ""
}

// own1 are the folders of this process in the hierarchies of version 1.
func own1(mounts, mine string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(mine) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[0] == "0" {
			continue
		}
		for c := range strings.SplitSeq(parts[1], ",") {
			name := c
			if c == "blkio" {
				name = "io"
			}
			if slices.Contains(wanted(), name) {
				out[name] = mounted(mounts, "cgroup", c, parts[2])
			}
		}
	}
	return out
}

// mounted finds where a group is seen: the mount of its hierarchy with the path below
// the mount's root; "" when it is not seen.
func mounted(mounts, kind, controller, path string) string {
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 || right[0] != kind {
			continue
		}
		if controller != "" && !slices.Contains(strings.Split(right[2], ","), controller) {
			continue
		}
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(left[3], "/")); ok {
			return filepath.Join(left[4], rest)
		}
	}
	return ""
}

// openUnified prepares groups in the hierarchy of version 2. Only a group without
// processes may pass controllers on, so the server moves into a group beside those of
// the plugins, if it is alone in its own and that was given to it.
func (g *Groups) openUnified(own string) error {
	if own == "" {
		return errors.New("no cgroup hierarchy is mounted")
	}
	has, err := words(own, "cgroup.controllers")
	if err != nil {
		return err
	}
	for _, c := range wanted()[:2] {
		if !slices.Contains(has, c) {
			return fmt.Errorf("the cgroup of the server has no controller %s", c)
		}
	}
	has = slices.DeleteFunc(has, func(c string) bool { return !slices.Contains(wanted(), c) })
	if !delegated(own) {
		return errors.New("the cgroup of the server is not delegated to it (systemd: Delegate=yes)")
	}
	sweepGroups(own)
	if err := g.passOn(own, has); err != nil {
		return err
	}
	return g.add(own, true, has)
}

// passOn lets the groups below own have the controllers.
func (g *Groups) passOn(own string, has []string) error {
	on := "+" + strings.Join(has, " +")
	err := set(own, "cgroup.subtree_control", on)
	if !errors.Is(err, syscall.EBUSY) {
		return err
	}
	inside, err := words(own, "cgroup.procs")
	if err != nil {
		return err
	}
	self := strconv.Itoa(os.Getpid())
	if len(inside) != 1 || inside[0] != self {
		return errors.New("the server shares its cgroup with other processes")
	}
	leaf := filepath.Join(own, "spms-server-"+self)
	if err := os.Mkdir(leaf, 0o755); err != nil { //nolint:gosec // a control group
		return err
	}
	g.back = func() {
		_ = set(own, "cgroup.subtree_control", "-"+strings.Join(has, " -"))
		_ = set(own, "cgroup.procs", self)
		_ = os.Remove(leaf)
	}
	if err := set(leaf, "cgroup.procs", self); err != nil {
		return err
	}
	return set(own, "cgroup.subtree_control", on)
}

// openLegacy prepares groups in the hierarchies of version 1, those of processor and
// disk where they are to be had.
func (g *Groups) openLegacy(own map[string]string) error {
	for _, c := range wanted() {
		if own[c] == "" {
			continue
		}
		sweepGroups(own[c])
		if err := g.add(own[c], false, []string{c}); err != nil && slices.Contains(wanted()[:2], c) {
			return errors.Join(err, g.remove())
		}
	}
	return nil
}

// add makes the server's folder in a hierarchy, which weighs little.
func (g *Groups) add(own string, unified bool, has []string) error {
	t := tree{dir: filepath.Join(own, groupPrefix+strconv.Itoa(os.Getpid())), unified: unified, has: has}
	if err := os.Mkdir(t.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // a control group
		return err
	}
	g.trees = append(g.trees, t)
	if unified {
		if err := set(t.dir, "cgroup.subtree_control", "+"+strings.Join(has, " +")); err != nil {
			return errors.Join(err, g.remove())
		}
	}
	for name, value := range weights(unified, has) {
		_ = set(t.dir, name, value) // of the schedulers of disks, few have weights
	}
	return nil
}

// weights are what makes all plugins together weigh little beside the server at the disk.
func weights(unified bool, has []string) map[string]string {
	out := map[string]string{}
	if slices.Contains(has, "io") {
		if unified {
			out["io.weight"], out["io.bfq.weight"] = "default 20", "20"
		} else {
			out["blkio.weight"], out["blkio.bfq.weight"] = "100", "20"
		}
	}
	return out
}

// bounds are the files that bound one group; those marked may be missing.
func bounds(unified bool, controller string, l GroupLimits) [][3]string {
	memory, processes := strconv.FormatInt(l.MemoryBytes, 10), strconv.Itoa(l.Processes)
	switch {
	case controller == "memory" && unified:
		return [][3]string{{"memory.max", memory}, {"memory.swap.max", "0", "?"}, {"memory.oom.group", "1", "?"}}
	case controller == "memory":
		return [][3]string{{"memory.limit_in_bytes", memory}, {"memory.memsw.limit_in_bytes", memory, "?"}}
	case controller == "pids":
		return [][3]string{{"pids.max", processes}}
	}
	return nil
}

// New makes a group for one process.
func (g *Groups) New(l GroupLimits) (*Group, error) {
	out := &Group{all: g, dirs: map[string]string{}}
	name := "run-" + strconv.FormatInt(g.made.Add(1), 10)
	for _, t := range g.trees {
		dir := filepath.Join(t.dir, name)
		out.unify = t.unified
		for _, c := range t.has {
			out.dirs[c] = dir
		}
		if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // a control group
			return nil, errors.Join(err, out.Remove())
		}
		for _, c := range t.has {
			for _, b := range bounds(t.unified, c, l) {
				if err := set(dir, b[0], b[1]); err != nil && b[2] == "" {
					return nil, errors.Join(err, out.Remove())
				}
			}
		}
	}
	if err := out.Weigh(true); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, errors.Join(err, out.Remove())
	}
	return out, nil
}

// folders are those of the group, each once.
func (g *Group) folders() []string {
	var out []string
	for _, dir := range g.dirs {
		if !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

// joins are the files by which a process enters the group.
func (g *Group) joins() []string {
	out := g.folders()
	for i, dir := range out {
		out[i] = filepath.Join(dir, "cgroup.procs")
	}
	return out
}

// Starved tells whether a process of the group was killed because it wanted more
// memory than the group may have.
func (g *Group) Starved() bool {
	name := "memory.oom_control"
	if g.unify {
		name = "memory.events"
	}
	text, _ := os.ReadFile(filepath.Join(g.dirs["memory"], name)) // without it nobody knows
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return n != "0"
		}
	}
	return false
}

// Kill kills every process of the group.
func (g *Group) Kill() {
	if g.unify && set(g.dirs["pids"], "cgroup.kill", "1") == nil {
		return
	}
	list, _ := words(g.dirs["pids"], "cgroup.procs") // an empty group needs nothing
	for _, p := range list {
		if pid, err := strconv.Atoi(p); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// Remove removes the group, whose processes have been killed; their last may take a
// moment to go.
func (g *Group) Remove() error {
	failed := g.leave()
	for _, dir := range g.folders() {
		failed = errors.Join(failed, removeGroup(dir))
	}
	return failed
}

func removeGroup(dir string) error {
	for range 200 {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("remove the control group: %w", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.New("remove the control group: it keeps processes")
}

// remove removes the server's folders.
func (g *Groups) remove() error {
	var failed error
	for _, t := range g.trees {
		failed = errors.Join(failed, removeGroup(t.dir))
	}
	g.back()
	return failed
}

// sweepGroups removes the groups of servers that were killed: their plugins died with
// them.
func sweepGroups(own string) {
	left, _ := filepath.Glob(filepath.Join(own, groupPrefix+"*")) // the pattern is well formed
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), groupPrefix))
		if err != nil || syscall.Kill(pid, 0) == nil || pid == os.Getpid() {
			continue
		}
		below, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs")) // likewise
		for _, procs := range below {
			_ = syscall.Rmdir(filepath.Dir(procs))
		}
		_ = syscall.Rmdir(dir)
	}
	moved, _ := filepath.Glob(filepath.Join(own, "spms-server-*")) // likewise
	for _, dir := range moved {
		_ = syscall.Rmdir(dir) // one with processes stays
	}
}

// delegated tells whether a group may be divided by who is in it: where systemd
// rules, it must have said so.
func delegated(own string) bool {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return true
	}
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		value := make([]byte, 8)
		if n, err := unix.Getxattr(own, name, value); err == nil && n > 0 && value[0] == '1' {
			return true
		}
	}
	return false
}

func words(dir, name string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	return strings.Fields(string(text)), err
}

func set(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
