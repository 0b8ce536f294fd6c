package workflow

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

const fetchTimeout = 5 * time.Minute

// Repository is a checkout.
type Repository struct {
	Dir  string
	step *Step
}

// Repository is the checkout in a folder.
func (s *Step) Repository(dir string) Repository { return Repository{dir, s} }

// git runs a command that runs no hook and asks nobody. Its error is the first line of the complaint.
func (r Repository) git(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", r.Dir, "--no-pager", "-c", "core.hooksPath=" + os.DevNull, "-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"}, args...)...)
	cmd.Env = append(append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "LC_ALL=C"), env...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
		if token := r.step.Token(); token != "" {
			line = strings.ReplaceAll(line, token, "***")
		}
		line = regexp.MustCompile(`\?[^\s'"]+`).ReplaceAllString(line, "?***") // of a remote's address; Git leaves out its password only
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, plain(line))
	}
	return strings.TrimSpace(string(out)), nil
}

// remote runs a command that talks to the server: as the checkout is set up, and if that fails with the
// step's token. A token that was made for the step goes first: what the job's own one pushes starts no workflow.
func (r Repository) remote(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var ways [][]string
	if env := r.credential(); env != nil {
		ways = append(ways, env)
	}
	if r.step.tokenOfItsOwn() {
		ways = append(ways, nil)
	} else {
		ways = append([][]string{nil}, ways...)
	}
	var first error
	for _, env := range ways {
		out, err := r.git(ctx, env, args...)
		if err == nil {
			return out, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return "", first
}

// credential hands the step's token over in the environment, where no list of processes shows it, in place
// of what the checkout is set up with.
func (r Repository) credential() []string {
	server, err := url.Parse(r.step.context.ServerURL)
	if err != nil || r.step.Token() == "" {
		return nil
	}
	key := "http." + server.Scheme + "://" + server.Host + "/.extraheader"
	return []string{
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=" + key, "GIT_CONFIG_VALUE_0=", "GIT_CONFIG_KEY_1=" + key,
		"GIT_CONFIG_VALUE_1=Authorization: basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+r.step.Token())),
	}
}

// lease is the newest commit of a branch on the server that only this action commits to; "" if there is no
// such branch. People's commits on it are not to be dropped.
func (r Repository) lease(ctx context.Context, branch string) (string, error) {
	line, err := r.remote(ctx, "ls-remote", "origin", "refs/heads/"+branch)
	if err != nil || line == "" {
		return "", err
	}
	tip, err := r.FetchBranch(ctx, branch)
	if err != nil {
		return "", err
	}
	author, err := r.git(ctx, nil, "log", "-1", "--no-show-signature", "--format=%ae", "--end-of-options", tip, "--")
	if err != nil {
		return "", err
	}
	if author != botEmail {
		return "", fmt.Errorf("the newest commit of %s is not this action's, and would be lost: merge or close its pull request and delete the branch", branch)
	}
	return tip, nil
}

// Has reports whether a commit is there.
func (r Repository) Has(ctx context.Context, commit string) bool {
	_, err := r.git(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", commit+"^{commit}")
	return err == nil
}

// Shallow reports whether the checkout lacks a part of its history.
func (r Repository) Shallow(ctx context.Context) bool {
	answer, err := r.git(ctx, nil, "rev-parse", "--is-shallow-repository")
	return err == nil && answer == "true"
}

// FetchRange fetches what a shallow checkout lacks of the commits from base to head, count of them if that is known. It
// fetches little at first and everything at last; nil says that the range is whole.
func (r Repository) FetchRange(ctx context.Context, base, head string, count int) error {
	for _, id := range []string{base, head} {
		if !isCommitID(id) {
			return fmt.Errorf("%q is no commit id", clip(id, 60))
		}
	}
	if r.whole(ctx, base, head) {
		return nil
	}
	if !r.Shallow(ctx) { // then all that is there is whole
		return r.fetch(ctx, nil, base, head)
	}
	depth := max(count, 1) + 1
	for _, limit := range []string{fmt.Sprintf("--depth=%d", depth), fmt.Sprintf("--depth=%d", 10*depth+40), "--unshallow"} {
		if err := r.fetch(ctx, []string{limit}, base, head); err != nil {
			return err
		}
		if r.whole(ctx, base, head) {
			return nil
		}
	}
	return errors.New("the server does not give the whole range")
}

// FetchFiles fetches what a partial clone left out of some files. list lists their objects in what a command of Git
// prints; what that has to look at, Git fetches by itself.
func (r Repository) FetchFiles(ctx context.Context, command []string, list func(io.Reader) ([]string, error)) error {
	if !r.partial(ctx) {
		return nil
	}
	printed, err := r.remote(ctx, command...)
	if err != nil {
		return err
	}
	ids, err := list(strings.NewReader(printed))
	if err != nil {
		return err
	}
	const most = 500 // that fit a command line anywhere
	for some := range slices.Chunk(ids, most) {
		if err := r.fetch(ctx, []string{"--filter=blob:none"}, some...); err != nil { // nothing but these
			return err
		}
	}
	return nil
}

// partial reports whether the checkout may lack files that its server has.
func (r Repository) partial(ctx context.Context) bool {
	_, err := r.git(ctx, nil, "config", "--get-regexp", `^(remote\..*\.promisor|extensions\.partialclone)$`)
	return err == nil
}

// FetchHistory fetches what a shallow or partial checkout lacks of the history: what is before its own commit, on whatever ref that
// is, all branches and all tags, with their files. The tags get a place of their own: the checkout may have others of the same names.
func (r Repository) FetchHistory(ctx context.Context) error {
	all := []string{"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/flaresmith/tags/*"}
	if r.Shallow(ctx) {
		if err := r.fetch(ctx, []string{"--unshallow"}, all...); err != nil {
			return err
		}
	}
	if !r.partial(ctx) {
		return nil
	}
	head, err := r.git(ctx, nil, "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	return r.fetch(ctx, []string{"--refetch", "--no-filter"}, append(all, head)...)
}

// FetchBranch fetches a branch's newest commit and gives its id.
func (r Repository) FetchBranch(ctx context.Context, branch string) (string, error) {
	var limits []string
	if r.Shallow(ctx) {
		limits = []string{"--depth=1"}
	}
	if err := r.fetch(ctx, limits, "+refs/heads/"+branch+":refs/flaresmith/"+branch); err != nil {
		return "", err
	}
	return r.git(ctx, nil, "rev-parse", "--verify", "--end-of-options", "refs/flaresmith/"+branch+"^{commit}")
}

// fetch fetches commits, branches, tags or files by name or id; limits are Git's options for how much of them.
func (r Repository) fetch(ctx context.Context, limits []string, what ...string) error {
	args := append([]string{"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance"}, limits...)
	_, err := r.remote(ctx, append(append(args, "origin"), what...)...)
	return err
}

// whole reports whether all commits of a range are there, and where it ends is known.
func (r Repository) whole(ctx context.Context, base, head string) bool {
	if !r.Has(ctx, base) || !r.Has(ctx, head) {
		return false
	}
	name, err := r.git(ctx, nil, "rev-parse", "--path-format=absolute", "--git-path", "shallow")
	if err != nil {
		return false
	}
	cut, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	list, listErr := r.git(ctx, nil, "rev-list", head, "^"+base, "--")
	if err != nil || listErr != nil {
		return false
	}
	ends := map[string]bool{}
	for id := range strings.FieldsSeq(string(cut)) {
		ends[id] = true
	}
	for id := range strings.FieldsSeq(list) {
		if ends[id] {
			return false
		}
	}
	return true
}

func isCommitID(text string) bool {
	return (len(text) == 40 || len(text) == 64) && strings.Trim(text, "0123456789abcdef") == ""
}
