package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/openspms/spms/internal/pluginhost/sandbox"
	"github.com/openspms/spms/plugins/sdk"
)

// launch starts the process in a folder of its own, through the sandbox, with an
// environment that holds nothing of the server's.
func (u *unit) launch() (*process, error) {
	dir, err := os.MkdirTemp(u.host.o.Dir, "run-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	path, err := u.executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), path) //nolint:gosec // its hash has just been compared with the signed manifest, or it is this program
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "HOME=" + dir, "GOTRACEBACK=single"}
	if u.a.Inside != "" {
		cmd.Env = append(cmd.Env, u.a.Inside)
	}
	group, why := u.host.group()
	achieved, err := sandbox.Wrap(cmd, sandbox.Rules{Name: u.a.Name, Shim: u.host.o.Shim, Dir: dir, MemoryBytes: u.host.o.Limits.MemoryBytes, Group: group, NoGroup: why})
	if err != nil {
		_ = os.RemoveAll(dir)
		if group != nil {
			err = errors.Join(err, group.Remove())
		}
		return nil, err
	}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: sdk.Handshake, Plugins: sdk.HostSet(), Cmd: cmd, AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		StartTimeout: u.host.o.Limits.Start, AutoMTLS: true, SkipHostEnv: true, GRPCDialOptions: sdk.DialOptions(),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir}, SyncStdout: io.Discard, SyncStderr: io.Discard, Stderr: u.log,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}), // off: else every line is looked at for its level
	})
	p := &process{client: client, dir: dir, group: group, log: u.host.o.Log, configured: map[uint64]bool{}, budget: budget{left: u.host.o.Limits.Burst}}
	conn, err := connect(client)
	if cmd.Process != nil {
		p.pid = cmd.Process.Pid
	}
	u.learn(achieved())
	if err != nil {
		err = fmt.Errorf("%w%s", err, p.starved())
		p.end()
		return nil, err
	}
	p.conn = conn
	return p, nil
}

// group is a control group for one process; nil where there is none, and why. What a
// process may have of memory counts files in memory too here: a bit more than its data.
func (h *Host) group() (*sandbox.Group, string) {
	if h.groups == nil {
		return nil, h.alone
	}
	g, err := h.groups.New(sandbox.GroupLimits{MemoryBytes: h.o.Limits.MemoryBytes + h.o.Limits.MemoryBytes/4, Processes: max(h.o.Limits.Processes, 32)})
	if err != nil {
		return nil, err.Error()
	}
	return g, ""
}

// executable is the program to start.
func (u *unit) executable() (string, error) {
	if u.a.Inside == "" {
		return u.a.Path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return self, nil
}

func connect(client *goplugin.Client) (*grpc.ClientConn, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, fmt.Errorf("start the plugin: %w", err)
	}
	set, err := protocol.Dispense(sdk.SetName)
	if err != nil {
		return nil, fmt.Errorf("speak with the plugin: %w", err)
	}
	conn, ok := set.(*grpc.ClientConn)
	if !ok {
		return nil, fmt.Errorf("speak with the plugin: a connection of type %T", set)
	}
	return conn, nil
}

// end ends the process and everything that it has started, whatever they are doing:
// the whole group is killed before go-plugin, which would wait for a stopped process,
// is told.
func (p *process) end() {
	killGroup(p.pid)
	if p.group != nil {
		p.group.Kill() // also what has left the process group
	}
	p.client.Kill()
	if p.conn != nil {
		_ = p.conn.Close()
	}
	if p.group != nil {
		if err := p.group.Remove(); err != nil {
			p.log.Warn("end a plugin", "err", err)
		}
	}
	_ = os.RemoveAll(filepath.Clean(p.dir))
}

// starved tells, as the end of a sentence, that the process was killed for want of
// memory; "" when it was not, or nobody can tell.
func (p *process) starved() string {
	if p.group == nil || !p.group.Starved() {
		return ""
	}
	return "; it wanted more memory than it may have"
}
