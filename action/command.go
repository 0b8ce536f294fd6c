package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/flaresmith/flaresmith/action/secretscan"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command could not do its work
	exitFound  = 2 // it did, and what it found needs somebody's attention
	// exitConflicts says that files are in the way which must not be overwritten.
	exitConflicts = 3
)

// exitError ends the process with a code; what there is to say was said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// streams are where a command reads and prints: out gets results, err what is beside them.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// quoted is where JSON is printed. "##[" would be the beginning of a command to GitHub's runner, whatever it is in.
type quoted struct{ io.Writer }

func (q quoted) Write(text []byte) (int, error) {
	_, err := q.Writer.Write(bytes.ReplaceAll(text, []byte("##["), []byte(`##\u005b`)))
	return len(text), err
}

// onlyFlags refuses arguments: a folder or file is given by a flag.
func onlyFlags(flags string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fmt.Errorf("%s takes no arguments, and got %q: %s", cmd.Name(), secretscan.Shown(args[0]), flags)
	}
}

// newRoot is the tree of commands.
func newRoot(io streams, getenv func(string) string) *cobra.Command {
	root := &cobra.Command{
		Use:           "flaresmith-action",
		Version:       version,
		Short:         "Flaresmith for workflows, hooks and the command line",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.AddCommand(newSecretScan(io))
	root.AddCommand(newSpecApply(io))
	root.AddCommand(newInstallHook(io))
	root.AddCommand(newWorkflowStep(io, getenv))
	return root
}
