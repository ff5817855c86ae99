package crash_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// root is the top of the repository, seen from this folder.
const root = "../.."

// scratch holds the binaries; TestMain makes and removes it.
var scratch string

// product is the real program, built once.
var product = sync.OnceValues(func() (string, error) { return build("spms", nil) })

// build builds the program with some of its files replaced: patches are full
// texts by path from the root. The sources themselves stay as they are.
func build(name string, patches map[string]string) (string, error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range patches {
		original, err := filepath.Abs(filepath.Join(root, path))
		if err != nil {
			return "", err
		}
		patched := filepath.Join(scratch, name+"-"+filepath.Base(path))
		if err := os.WriteFile(patched, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[original] = patched
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	listFile, binary := filepath.Join(scratch, name+".json"), filepath.Join(scratch, name)
	if err := os.WriteFile(listFile, list, 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-overlay", listFile, "-o", binary, "./server/spms")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// program is a built binary with the database that it works on.
type program struct {
	binary, database string
	env              []string // further variables of its processes
	log              *os.File // what all its processes say
}

// command prepares a run of the program. Settings of the tests do not reach it.
func (p *program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, append([]string{"--log", "warn"}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SPMS_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "SPMS_DATABASE_URL="+p.database), p.env...)
	cmd.Stderr = p.log
	return cmd
}

// run runs a command of the program to its end and returns what it printed; an
// exit code other than 0 is an error.
func (p *program) run(ctx context.Context, args ...string) (string, error) {
	cmd := p.command(ctx, args...)
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("spms %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// process is a running server.
type process struct {
	cmd     *exec.Cmd
	started time.Time
	printed chan string // its address, closed without one when it dies before
}

// serve starts the server on a free port. It is not ready yet.
func (p *program) serve(ctx context.Context) (*process, error) {
	s := &process{cmd: p.command(ctx, "serve", "--addr", "127.0.0.1:0", "--sample", "off"), printed: make(chan string, 1)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.started = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.printed)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if words := strings.Fields(lines.Text()); len(words) == 2 && words[0] == "GraphQL" {
				s.printed <- strings.TrimSuffix(words[1], "/graphql")
			}
		}
	}()
	return s, nil
}

// ready waits until the server says that it can work, and returns its address
// and how long it took from its start.
func (s *process) ready(ctx context.Context) (string, time.Duration, error) {
	var url string
	select {
	case url = <-s.printed:
	case <-ctx.Done():
		return "", 0, ctx.Err()
	}
	if url == "" {
		return "", 0, errors.New("the server ended before it was ready")
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
		if err != nil {
			return "", 0, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", 0, fmt.Errorf("ask whether the server is ready: %w", err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return url, time.Since(s.started), nil
		}
	}
}

// kill ends the server as kill -9 does, whatever it is doing, and waits for its end.
func (s *process) kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill the server: %w", err)
	}
	for range s.printed { // its output must be read to the end before Wait
	}
	_ = s.cmd.Wait() // of course it says that the server was killed, or how it ended before
	if how, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || how.Signal() != syscall.SIGKILL {
		return fmt.Errorf("the server ended by itself: %v", s.cmd.ProcessState)
	}
	return nil
}

// stop asks the server to end in good order.
func (s *process) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	for range s.printed {
	}
	return s.cmd.Wait()
}

// errors returns what the program has logged as an error.
func (p *program) errors() ([]string, error) {
	body, err := os.ReadFile(p.log.Name())
	var out []string
	for line := range bytes.Lines(body) {
		if bytes.Contains(line, []byte("level=ERROR")) || bytes.HasPrefix(line, []byte("panic:")) {
			out = append(out, strings.TrimSpace(string(line)))
		}
	}
	return out, err
}
