package github

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// gitTimeout bounds every git process; the repositories are small.
const gitTimeout = 60 * time.Second

const zeroSHA = "0000000000000000000000000000000000000000"

// git runs the system's git, shut off from the machine's and the user's configuration.
type git struct {
	path string
	home string
	now  func() time.Time
	// known holds commits by directory and SHA.
	known *sync.Map
}

func (g git) env() []string {
	date := fmt.Sprintf("%d +0000", g.now().Unix())
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.home, "XDG_CONFIG_HOME=" + g.home, "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
		"GIT_AUTHOR_NAME=GitHub", "GIT_AUTHOR_EMAIL=noreply@github.com", "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=GitHub", "GIT_COMMITTER_EMAIL=noreply@github.com", "GIT_COMMITTER_DATE=" + date,
	}
}

// run gives what `git args` prints, run inside the repository dir.
func (g git) run(ctx context.Context, dir string, stdin []byte, args ...string) ([]byte, error) {
	return g.runWith(ctx, dir, nil, stdin, args...)
}

// runWith is run with some variables of the environment replaced.
func (g git) runWith(ctx context.Context, dir string, env []string, stdin []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.path, args...)
	cmd.Dir, cmd.Env = dir, append(g.env(), env...)
	var out, problem bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &problem
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(problem.String()))
	}
	return out.Bytes(), nil
}

// line is run for a command that prints one line.
func (g git) line(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := g.run(ctx, dir, nil, args...)
	return strings.TrimSpace(string(out)), err
}

// initBare writes an empty bare repository by hand, which is quicker than a process.
func initBare(dir, defaultBranch string) error {
	for _, name := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags", "info"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	files := map[string]string{
		"HEAD": "ref: refs/heads/" + defaultBranch + "\n",
		"config": `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	logAllRefUpdates = false
[http]
	receivepack = true
[receive]
	autogc = false
	denyDeleteCurrent = ignore
	hideRefs = refs/pull
	hideRefs = refs/heads/gh-readonly-queue
[gc]
	auto = 0
[uploadpack]
	allowAnySHA1InWant = true
	allowFilter = true
[fastimport]
	unpackLimit = 1
`,
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// change is one file of a commit to be made.
type change struct {
	path    string
	mode    string // "100644", "100755", "120000"
	content []byte
	remove  bool
}

// write makes a commit with fast-import and moves ref to it. from is its parent (a SHA), empty for a root.
func (g git) write(ctx context.Context, dir, ref, from, author, message string, changes []change) (string, error) {
	var in bytes.Buffer
	who := fmt.Sprintf("%s <%s@users.noreply.github.com> %d +0000", author, author, g.now().Unix())
	fmt.Fprintf(&in, "commit %s\nmark :1\nauthor %s\ncommitter %s\ndata %d\n%s\n", ref, who, who, len(message), message)
	if from != "" {
		fmt.Fprintf(&in, "from %s\n", from)
	}
	for _, c := range changes {
		if c.remove {
			fmt.Fprintf(&in, "D %s\n", quotePath(c.path))
			continue
		}
		fmt.Fprintf(&in, "M %s inline %s\ndata %d\n", c.mode, quotePath(c.path), len(c.content))
		in.Write(c.content)
		in.WriteByte('\n')
	}
	in.WriteString("\nget-mark :1\n")
	out, err := g.run(ctx, dir, in.Bytes(), "fast-import", "--quiet", "--force", "--date-format=raw")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

func quotePath(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// refs lists branches and tags with what they point at.
func (g git) refs(ctx context.Context, dir string) (map[string]string, error) {
	out, err := g.run(ctx, dir, nil, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if sha, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			refs[name] = sha
		}
	}
	return refs, nil
}

// resolve gives the commit that a SHA, branch, tag or full ref name means, or "" if there is none.
func (g git) resolve(ctx context.Context, dir, rev string) string {
	if rev == "" || strings.HasPrefix(rev, "-") || strings.ContainsAny(rev, "^~:@{ \t\n\x00") {
		return ""
	}
	if isSHA(rev) {
		if _, ok := g.commit(ctx, dir, rev); ok {
			return rev
		}
	}
	candidates := []string{"refs/heads/" + rev, "refs/tags/" + rev, "refs/" + rev}
	if strings.HasPrefix(rev, "refs/") || isSHA(rev) || rev == "HEAD" {
		candidates = []string{rev}
	} else if isHex(rev) {
		candidates = append(candidates, rev)
	}
	for _, name := range candidates {
		if sha, err := g.line(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}"); err == nil && isSHA(sha) {
			return sha
		}
	}
	return ""
}

// commit gives one commit by its full SHA. Commits never change and are never collected here, so each is read once.
func (g git) commit(ctx context.Context, dir, sha string) (commit, bool) {
	key := dir + sha
	if known, ok := g.known.Load(key); ok {
		return known.(commit), true
	}
	list, err := g.commits(ctx, dir, "-1", sha)
	if err != nil || len(list) != 1 || list[0].sha != sha {
		return commit{}, false
	}
	g.known.Store(key, list[0])
	return list[0], true
}

func (g git) ancestor(ctx context.Context, dir, old, new string) bool {
	_, err := g.run(ctx, dir, nil, "merge-base", "--is-ancestor", old, new)
	return err == nil
}

// mergeTree merges two commits and gives the tree; ok is false when they conflict.
func (g git) mergeTree(ctx context.Context, dir, ours, theirs string) (tree string, ok bool) {
	out, err := g.line(ctx, dir, "merge-tree", "--write-tree", "--allow-unrelated-histories", ours, theirs)
	if err != nil {
		return "", false
	}
	return out, isSHA(out)
}

// mergeCommit records a merge of two commits without moving a ref.
func (g git) mergeCommit(ctx context.Context, dir, ours, theirs, message string) (string, error) {
	tree, ok := g.mergeTree(ctx, dir, ours, theirs)
	if !ok {
		return "", errMergeConflict
	}
	return g.line(ctx, dir, "commit-tree", tree, "-p", ours, "-p", theirs, "-m", message)
}

func isHex(text string) bool {
	return len(text) >= 7 && len(text) <= 40 && strings.Trim(text, "0123456789abcdef") == ""
}

func isSHA(text string) bool { return len(text) == 40 && isHex(text) }
