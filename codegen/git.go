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

// Uncommitted asks git which of the paths below dir are not as in the last commit, or not in it.
// Outside of a repository, or without git, nothing is known about any of them.
func Uncommitted(ctx context.Context, dir string, paths []string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	dirty := map[string]bool{}
	prefix, err := git(ctx, dir, "rev-parse", "--show-prefix")
	var failed *exec.ExitError
	if errors.Is(err, exec.ErrNotFound) || errors.As(err, &failed) && strings.Contains(string(failed.Stderr), "not a git repository") {
		return dirty, nil
	}
	if err != nil {
		return nil, err
	}
	prefix = strings.TrimSuffix(prefix, "\n")
	out, err := git(ctx, dir, append([]string{"--literal-pathspecs", "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignored=matching", "--"}, paths...)...)
	if err != nil {
		return nil, err
	}
	for entry := range strings.SplitSeq(out, "\x00") {
		if len(entry) < 4 {
			continue
		}
		name := entry[3:] // from the top of the repository; a folder that is ignored as a whole ends in a slash
		for _, path := range paths {
			full := prefix + path
			if name == full || strings.HasSuffix(name, "/") && strings.HasPrefix(full, name) {
				dirty[path] = true
			}
		}
	}
	return dirty, nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	// The repository's own configuration must not start programs, and a folder of it that looks like a repository is none.
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git: %w", err)
	}
	return string(out), nil
}
