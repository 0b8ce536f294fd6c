package codegen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Uncommitted asks git which of the paths below dir differ from the last commit. Outside of a
// repository, or without git, it is none of them.
func Uncommitted(ctx context.Context, dir string, paths []string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// The repository's own configuration must not start programs.
	args := append([]string{"-C", dir, "-c", "core.fsmonitor=false",
		"--literal-pathspecs", "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignored=matching", "--"}, paths...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0")
	out, err := cmd.Output()
	var failed *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, nil //nolint:nilnil // nothing is known to be uncommitted
	case errors.As(err, &failed) && strings.Contains(string(failed.Stderr), "not a git repository"):
		return nil, nil //nolint:nilnil // as above
	case err != nil:
		return nil, fmt.Errorf("git status: %w", err)
	}
	dirty := map[string]bool{}
	for _, entry := range strings.Split(string(out), "\x00") {
		if len(entry) < 4 {
			continue
		}
		for _, path := range paths { // git gives paths from the top of the repository
			if entry[3:] == path || strings.HasSuffix(entry[3:], "/"+path) {
				dirty[path] = true
			}
		}
	}
	return dirty, nil
}
