package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit codes of all commands.
const (
	exitClean = 0
	exitError = 1
)

// resultError carries the exit code of a command that worked and has told its result.
type resultError struct {
	code int
}

func (e resultError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// newRoot is the tree of commands.
func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "action",
		Short:         "Flaresmith in a checkout",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(newSpecApply(s))
	return root
}
