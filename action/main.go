package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}).ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err))
}

// exitCode tells the exit code of what a command returned, and prints what went wrong.
func exitCode(err error) int {
	var result resultError
	switch {
	case err == nil:
		return exitClean
	case errors.As(err, &result):
		return result.code
	}
	fmt.Fprintln(os.Stderr, "flaresmith:", err)
	return exitError
}
