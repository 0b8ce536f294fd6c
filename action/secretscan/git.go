package secretscan

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// gitCommand prepares a Git command that reads: it fetches nothing, asks nobody, runs no hook and
// no program that the repository's configuration names. It maps a part of a pack at a time: by default the
// whole pack of a large repository is in memory, at no gain.
func gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{ // fixed commands; what comes from outside is checked or follows "--"
		"-C", dir, "--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "log.showSignature=false",
		"-c", "core.packedGitLimit=64m", "-c", "core.packedGitWindowSize=4m",
	}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1", "LC_ALL=C")
	return cmd
}

// git gives what a Git command prints. Its error holds the command's complaint, which names objects and
// paths and quotes no content.
func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := gitCommand(ctx, dir, args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, firstLine(complaint.String()))
	}
	return out, nil
}

// firstLine is that of a complaint. It may repeat the name of a file or a branch.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return Shown(line)
}
