package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}).ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// exitCode tells the exit code of what a command returned, and prints what went wrong.
func exitCode(err error, stderr io.Writer) int {
	var result resultError
	switch {
	case err == nil:
		return exitClean
	case errors.As(err, &result):
		return result.code
	}
	fmt.Fprintln(stderr, "flaresmith:", err)
	return exitError
}
