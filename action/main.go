package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/flaresmith/flaresmith/action/secretscan"
)

func main() {
	if err := withoutCore(); err != nil {
		fmt.Fprintln(os.Stderr, "flaresmith: cores can't be turned off:", err)
		os.Exit(exitFailed)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends what does not listen to the first
	code := run(ctx, streams{os.Stdin, os.Stdout, os.Stderr}, os.Getenv, os.Args[1:]...)
	stop()
	os.Exit(code)
}

// run is the whole program: what it is told comes in, and its exit code goes out.
func run(ctx context.Context, io streams, getenv func(string) string, args ...string) int {
	root := newRoot(io, getenv)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	if code == exitFailed && err != nil && !errors.As(err, new(*exitError)) {
		for line := range strings.SplitSeq(err.Error(), "\n") { // a name in it may have begun another one, with a command to a terminal or a runner
			fmt.Fprintln(io.err, "flaresmith:", secretscan.Printable(line))
		}
	}
	return code
}

// exitCode maps the end of a command to that of the process; only a plain error has still to be told.
func exitCode(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	default:
		return exitFailed
	}
}
