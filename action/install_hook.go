package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// hookMark is the line by which a hook of ours is known.
const hookMark = "# Flaresmith: looks for secrets in what is staged. To be rid of it, delete this file."

func newInstallHook(io streams) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "install-hook",
		Short: "Make Git look for secrets in what is staged before each commit",
		Long: "Make Git look for secrets in what is staged before each commit.\n\n" +
			"The hook runs this very program, so it must stay where it is. A hook of somebody else's is left alone.",
		Args: onlyFlags("--dir names the repository"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			name, err := installHook(cmd.Context(), dir, binary)
			if err != nil {
				return err
			}
			fmt.Fprintln(io.out, "wrote", name)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "the repository")
	return cmd
}

// installHook writes the hook and gives its path.
func installHook(ctx context.Context, dir, binary string) (string, error) {
	if strings.Contains(filepath.ToSlash(binary), "/go-build") {
		return "", errors.New("the hook would run a program that `go run` deletes: build it first (go build -o flaresmith ./action) and run that")
	}
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", "--path-format=absolute", "--git-path", "hooks").Output()
	if err != nil {
		return "", fmt.Errorf("%s is no Git repository", dir)
	}
	name := filepath.Join(strings.TrimRight(string(out), "\r\n"), "pre-commit")
	switch there, err := os.ReadFile(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	case !bytes.Contains(there, []byte(hookMark)):
		if folder := filepath.Dir(name); filepath.Base(folder) == "_" && filepath.Base(filepath.Dir(folder)) == ".husky" {
			name = filepath.Join(filepath.Dir(folder), "pre-commit") // Husky writes what is in "_" anew, and runs what is beside it
		}
		return "", fmt.Errorf("there is a hook already: %s. Add this line to it: %s", name, hookLine(binary))
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	text := "#!/bin/sh\n" + hookMark + "\nexec " + hookLine(binary) + "\n"
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil { //nolint:gosec // Git runs only hooks that may be run
		return "", err
	}
	return name, os.Chmod(name, 0o755) // one that was there may have had another mode
}

// hookLine is the command that scans, for a shell.
func hookLine(binary string) string {
	return "'" + strings.ReplaceAll(filepath.ToSlash(binary), "'", `'\''`) + "' secret-scan --mode staged"
}
