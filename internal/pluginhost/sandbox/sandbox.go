// Package sandbox keeps a plugin's process apart from everything else. Its two ends
// are Wrap, by which the host prepares a command, and Main, which the program calls
// first of all: started again as the shim, it gives up its rights one after the other
// and becomes the plugin. What a machine does not offer is left out; what was achieved
// is reported.
package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Rules say how a process is kept apart.
type Rules struct {
	Name        string   // of the plugin; those of different names run as different users
	Shim        []string // program and arguments of the shim; nil: this program, if it has called Main
	Dir         string   // the one folder that it may write to
	MemoryBytes int64    // data that it may have
	Group       *Group   // control group that it enters; nil: none
	NoGroup     string   // why there is none
}

// Achieved is what keeps a process apart, and what could not be had of it.
type Achieved struct {
	Layers  []string
	Missing []string // LAYER: cause
}

// The layers of isolation, as they are reported.
const (
	Environment = "env"      // an environment, folder and process group of its own
	Limits      = "rlimit"   // memory, open files, file size, core
	NoNewRights = "nnp"      // nothing that it executes gains rights
	Landlock    = "landlock" // files: its executable, its folder
	Seccomp     = "seccomp"  // system calls: no processes, no network sockets, no kernel doors
	NoNetwork   = "netns"    // a network without interfaces
	OwnUser     = "uid"      // a user that owns nothing
	OwnGroup    = "cgroup"   // a control group: all its memory, its processes, a small share of processor and disk
	LowPriority = "nice"     // a low priority of its own
)

// mark is the variable that makes the program the shim.
const mark = "SPMS_SANDBOX"

// order is what the host tells the shim.
type order struct {
	Path   string   `json:"path"`
	Dir    string   `json:"dir"`
	Memory int64    `json:"memory"`
	UID    int      `json:"uid"`    // 0: stay who you are
	Groups []string `json:"groups"` // files by which it enters its control group
}

// reportName is the file in which the shim says what it has achieved, as JSON of
// Achieved.
const reportName = ".isolation"

var installed bool

// Main makes this process the plugin when it was started as the shim, and does not
// return then. Otherwise it returns at once. It must be the first thing that main does.
func Main() {
	installed = true
	text := os.Getenv(mark)
	if text == "" {
		return
	}
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = become(o)
	}
	fmt.Fprintln(os.Stderr, "sandbox:", err)
	os.Exit(70)
}

// Wrap changes a command, not yet started, so that its process is kept apart. The
// function that it returns tells, once the process has started, what was achieved.
func Wrap(cmd *exec.Cmd, r Rules) (achieved func() Achieved, err error) {
	base := own(cmd)
	base.Layers = append([]string{Environment}, base.Layers...)
	shim := r.Shim
	if len(shim) == 0 && installed && possible {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the shim: %w", err)
		}
		shim = []string{self}
	}
	if len(shim) == 0 {
		for _, layer := range inside {
			base.miss(layer, "this system has no such means")
		}
		return func() Achieved { return base }, nil
	}
	o := order{Path: cmd.Path, Dir: r.Dir, Memory: r.MemoryBytes, UID: userOf(cmd.Path + " " + r.Name)}
	if r.Group != nil {
		o.Groups = r.Group.joins()
	} else {
		base.miss(OwnGroup, r.NoGroup)
	}
	if err := give(r.Dir, o.UID); err != nil {
		return nil, fmt.Errorf("give the folder away: %w", err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd.Path, cmd.Args = shim[0], shim
	cmd.Env = append(cmd.Env, mark+"="+string(text))
	return func() Achieved {
		said, err := os.ReadFile(filepath.Join(r.Dir, reportName))
		var more Achieved
		if err == nil {
			err = json.Unmarshal(said, &more)
		}
		if err != nil {
			return base
		}
		return Achieved{append(slices.Clip(base.Layers), more.Layers...), append(slices.Clip(base.Missing), more.Missing...)}
	}, nil
}

// inside are the layers that the shim brings.
var inside = []string{OwnGroup, LowPriority, Limits, NoNewRights, Landlock, OwnUser, Seccomp}

func (a *Achieved) miss(layer, cause string) { a.Missing = append(a.Missing, layer+": "+cause) }
