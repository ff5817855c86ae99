package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// possible tells whether the shim does anything here.
const possible = true

// own gives the process a group of its own, lets it die with the server, and takes
// it out of the network where that is permitted.
func own(cmd *exec.Cmd) (out Achieved) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		out.miss(NoNetwork, notRoot)
		return out
	}
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	out.Layers = []string{NoNetwork}
	return out
}

const notRoot = "the server does not run as root"

// userOf is the user that a plugin runs as: one of 1,000 that own nothing, by its
// path and name; 0 when this process cannot become another user.
func userOf(who string) int {
	if os.Geteuid() != 0 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(who))
	return 61000 + int(h.Sum32()%1000)
}

// give lets a user have a folder.
func give(dir string, uid int) error {
	if uid == 0 {
		return nil
	}
	return os.Chown(dir, uid, uid)
}

// become gives up rights and becomes the plugin; it returns only with an error. What
// the kernel does not offer is left out of the report, what it refuses otherwise ends
// the process.
func become(o order) error {
	runtime.LockOSThread() // the rights of this thread are those of the plugin
	f, err := os.Open(o.Path)
	if err != nil {
		return err
	}
	report, err := os.OpenFile(filepath.Join(o.Dir, reportName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	var out Achieved
	for _, step := range []struct {
		name string
		do   func(order) error
	}{
		{OwnGroup, enter}, {LowPriority, yield}, {Limits, limit}, {NoNewRights, bind}, {Landlock, files}, {OwnUser, another}, {Seccomp, calls},
	} {
		switch err := step.do(o); {
		case err == nil:
			out.Layers = append(out.Layers, step.name)
		case !errors.Is(err, errSaid):
			out.miss(step.name, err.Error())
		}
	}
	if !slices.Contains(out.Layers, Limits) || o.UID != 0 && !slices.Contains(out.Layers, OwnUser) {
		return fmt.Errorf("the process keeps rights that it must not have: %s", strings.Join(out.Missing, "; "))
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	if _, err := report.Write(text); err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, mark+"=") })
	path := fmt.Sprintf("/proc/self/fd/%d", f.Fd()) // what was opened, whatever has happened to the name since
	return syscall.Exec(path, []string{o.Path}, env)
}

// errSaid means that the host has said already why there is no such layer.
var errSaid = errors.New("said")

// enter enters the control group, while the process is still who may.
func enter(o order) error {
	if len(o.Groups) == 0 {
		return errSaid
	}
	for _, procs := range o.Groups {
		if err := os.WriteFile(procs, []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}

// yield lets everybody else go first, at the processor and at the disk.
func yield(order) error {
	const whoProcess, bestEffort, last = 1, 2 << 13, 7
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, bestEffort|last) // few schedulers of disks heed it
	return unix.Setpriority(unix.PRIO_PROCESS, 0, nice)
}

// nice is the priority of plugins: about a tenth of the processor beside a busy server.
const nice = 10

// limit sets what the process may use. RLIMIT_AS would stop Go itself.
func limit(o order) error {
	memory := uint64(max(o.Memory, 64<<20)) //nolint:gosec // positive
	for resource, value := range map[int]uint64{
		unix.RLIMIT_DATA: memory, unix.RLIMIT_NOFILE: 256, unix.RLIMIT_FSIZE: 256 << 20, unix.RLIMIT_CORE: 0,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return err
		}
	}
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

// another makes the process another user, who may have few processes and threads.
func another(o order) error {
	if o.UID == 0 {
		return errors.New(notRoot)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 128, Max: 128}); err != nil {
		return err
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setresgid(o.UID, o.UID, o.UID); err != nil {
		return err
	}
	if err := syscall.Setresuid(o.UID, o.UID, o.UID); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0) // a change of user clears it
}

func bind(order) error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// files leaves the process its executable and its folder.
func files(o order) error {
	return landlock.V3.RestrictPaths(
		landlock.ROFiles(o.Path, "/dev/null", "/dev/urandom", "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size").IgnoreIfMissing(),
		landlock.RODirs("/proc/self", "/lib", "/lib64", "/usr/lib", "/usr/lib64").IgnoreIfMissing(),
		landlock.RWDirs(o.Dir),
	)
}

// calls takes away the system calls that no plugin needs: new processes (threads
// stay), sockets of a network, and the doors to the kernel and to other processes.
func calls(order) error {
	refuse := seccomp.ActionErrno | seccomp.Action(unix.EPERM)
	network := func(family uint64) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: "socket", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: family}}}
	}
	names := []string{
		"ptrace", "process_vm_readv", "process_vm_writev", "mount", "umount2", "pivot_root", "chroot", "bpf", "perf_event_open", "userfaultfd",
		"keyctl", "add_key", "request_key", "kexec_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff",
		"setns", "unshare", "open_by_handle_at", "acct", "quotactl", "io_uring_setup",
	}
	if runtime.GOARCH == "amd64" {
		names = append(names, "fork", "vfork")
	}
	f := seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{
			{Action: refuse, Names: names},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}}, // its flags cannot be looked at: libraries go back to clone
			{Action: refuse, NamesWithCondtions: []seccomp.NameWithConditions{
				network(unix.AF_INET), network(unix.AF_INET6), network(unix.AF_NETLINK), network(unix.AF_PACKET),
				{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsNotSet, Value: unix.CLONE_THREAD}}},
			}},
		},
	}}
	return seccomp.LoadFilter(f)
}
