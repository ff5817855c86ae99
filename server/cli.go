// Package server wires the house by hand and opens its doors: settings, command
// line and the HTTP shell around GraphQL. Its main function is Run, which reads
// one command line and calls the matching function of Commands; its main type
// is Shell, the HTTP server. No rule of service management lives here, and no
// other package may import this one.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/openspms/spms/internal/fault"
)

// Exit codes of Run.
const (
	exitOK     = 0
	exitFailed = 1 // the command was carried out and did not succeed
	exitUsage  = 2 // the command line or a setting is wrong; nothing was done
)

// Console is where a command speaks: results to Out, everything else to Log.
type Console struct {
	Out  io.Writer
	Log  *slog.Logger
	Lang fault.Lang // for people, from LC_ALL, LC_MESSAGES or LANG
}

// Commands are the functions behind the command line. One that is nil is not
// part of this build and is refused with COMMAND_MISSING.
type Commands struct {
	Serve           func(ctx context.Context, c Console, cfg ServeConfig) error
	Migrate         func(ctx context.Context, c Console, db Database) error
	Seed            func(ctx context.Context, c Console, db Database) error
	Demo            func(ctx context.Context, c Console, cfg DemoConfig) error
	Verify          func(ctx context.Context, c Console, cfg VerifyConfig) error
	Copy            func(ctx context.Context, c Console, cfg CopyConfig) error
	Doctor          func(ctx context.Context, c Console, cfg DoctorConfig) error
	TokenCreate     func(ctx context.Context, c Console, cfg TokenConfig) error
	TokenList       func(ctx context.Context, c Console, cfg TokenConfig) error
	TokenRevoke     func(ctx context.Context, c Console, cfg TokenConfig) error
	StandardVectors func(ctx context.Context, c Console, file string) error
	ProcessCheck    func(ctx context.Context, c Console, files []string) error
	ProcessConvert  func(ctx context.Context, c Console, in, out string) error
	Plugin          PluginCommands
}

// Run carries out one command line (without the program's name) in an
// environment of NAME=VALUE strings and returns the exit code: 0 when the
// command succeeded, 1 when it did not, 2 when the command line or a setting is
// wrong, in which case nothing was done. It returns when ctx ends a server.
func Run(ctx context.Context, args, env []string, stdout, stderr io.Writer, c Commands) int {
	vars := environ(env)
	console := Console{Out: stdout, Log: slog.New(slog.DiscardHandler), Lang: vars.lang()}
	var g grammar
	ended := -1
	k, err := newParser(&g, vars, stdout, stderr, func(code int) { ended = code; panic(errEnded) })
	if err != nil {
		panic(fmt.Sprintf("the grammar of the command line is wrong: %v", err))
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parse(k, args)
	if errors.Is(err, errEnded) {
		return ended
	}
	if err != nil {
		complain(stderr, console.Lang, usageError(err))
		return exitUsage
	}
	if console.Log, err = g.logger(stderr); err != nil {
		complain(stderr, console.Lang, err)
		return exitUsage
	}
	for _, name := range vars.unknown(k.Model) {
		console.Log.Warn("unknown setting in the environment", "setting", name)
	}
	return g.execute(ctx, kctx, call{ctx: ctx, console: console, commands: c}, stderr)
}

// errEnded unwinds the parser after it has printed help.
var errEnded = errors.New("ended")

func parse(k *kong.Kong, args []string) (kctx *kong.Context, err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case errEnded:
			err = errEnded
		default:
			panic(r)
		}
	}()
	return k.Parse(args)
}

// call is what the Run methods of the grammar are given.
type call struct {
	ctx      context.Context
	console  Console
	commands Commands
}

// settingsError marks an error found before the command began.
type settingsError struct{ error }

func (e settingsError) Unwrap() error { return e.error }

func (g *grammar) execute(ctx context.Context, kctx *kong.Context, c call, stderr io.Writer) int {
	err := kctx.Run(c)
	if err == nil || (errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		return exitOK
	}
	complain(stderr, c.console.Lang, err)
	if _, ok := errors.AsType[settingsError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// run calls f unless the settings were wrong or the build has no such command.
func run[C any](c call, name string, f func(context.Context, Console, C) error, cfg C, err error) error {
	if err != nil {
		return settingsError{err}
	}
	if f == nil {
		return settingsError{fault.E(fault.Invalid, "COMMAND_MISSING", fault.P("command", name))}
	}
	return f(c.ctx, c.console, cfg)
}

// complain prints err for the operator: code and text, the findings of which it
// consists one line each, and the cause, which users of the API never see.
func complain(w io.Writer, lang fault.Lang, err error) {
	e := fault.From(err)
	fmt.Fprintf(w, "spms: %s: %s\n", e.Code, fault.Text(lang, e))
	for _, it := range e.Items {
		at := ""
		if len(it.Path) > 0 {
			at = strings.Join(it.Path, ".") + ": "
		}
		fmt.Fprintf(w, "  %s%s: %s\n", at, it.Code, fault.Text(lang, it))
	}
	if cause := e.Unwrap(); cause != nil {
		fmt.Fprintf(w, "  (%v)\n", cause)
	}
}

// usageError gives the parser's own errors a code.
func usageError(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	return fault.E(fault.Invalid, "COMMAND_LINE_INVALID", fault.P("reason", err.Error()))
}

// version is set by the linker for released builds.
var version = ""

// Version returns the release, or the revision that the binary was built from.
func Version() string {
	if version != "" {
		return version
	}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	rev, dirty := "", ""
	for _, s := range b.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			rev = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if rev == "" {
		return b.Main.Version
	}
	return "devel-" + rev + dirty
}
