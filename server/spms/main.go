// Command spms is OpenSPMS: the server and its tools in one binary.
//
// It only hands the process's arguments, environment and signals to package
// server; its main function has no types of its own and knows no room.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // containers without zone data count the same due instants

	"github.com/openspms/spms/internal/pluginhost/sandbox"
	"github.com/openspms/spms/plugins/builtin"
	"github.com/openspms/spms/server"
)

func main() {
	sandbox.Main() // returns at once, unless this process is to become a plugin
	builtin.Main() // likewise, one that ships with the product
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(server.Run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr, server.AllCommands()))
}
