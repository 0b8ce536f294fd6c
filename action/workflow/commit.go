package workflow

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/report"
)

// Commit is what is to be committed.
type Commit struct {
	Dir     string   // the folder, part of a checkout
	Paths   []string // relative to it, with slashes; deleted ones, too
	Message string
	Branch  string // goes there, and a pull request is opened from it; "" is the branch that is checked out
	Body    string // of the pull request
}

// Committed is where it went.
type Committed struct {
	ID      string
	PullURL string
}

// GitHub's own account for what workflows commit.
const (
	botName  = "github-actions[bot]"
	botEmail = "41898282+github-actions[bot]@users.noreply.github.com"
)

// MayCommit says before anything is changed why a commit would go nowhere.
func (s *Step) MayCommit(ctx context.Context, dir string, pull bool) error {
	if s.Event.Restricted != "" {
		return fmt.Errorf("nothing can be committed: %s, and the token of such a run may only read", s.Event.Restricted)
	}
	if s.Event.Pull != nil && s.Event.Pull.Fork { // its branch is in another repository, and one of that name here is somebody else's
		return errors.New("nothing can be committed: the pull request is from a fork, whose branch is not in this repository")
	}
	if pull {
		_, err := s.client()
		return err
	}
	_, err := s.branch(ctx, s.Repository(dir))
	return err
}

// branch is the branch that is checked out, or whose newest commit is.
func (s *Step) branch(ctx context.Context, r Repository) (string, error) {
	head, err := r.git(ctx, nil, "symbolic-ref", "--quiet", "--short", "HEAD")
	if err == nil {
		return head, nil
	}
	id, err := r.git(ctx, nil, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return "", err
	}
	switch {
	case s.Event.Pull != nil && id == s.Event.Head:
		return s.Event.Pull.HeadRef, nil
	case s.Event.Pull != nil:
		return "", errors.New("the checkout is a merge that is on no branch: check out with ref: ${{ github.head_ref }}")
	case s.Event.Branch != "" && id == s.Event.Head:
		return s.Event.Branch, nil
	}
	return "", errors.New("no branch is checked out")
}

// Commit commits files and pushes them. A pull request that is open already gets the new state, unless
// somebody else committed to its branch.
func (s *Step) Commit(ctx context.Context, c Commit) (Committed, error) {
	r := s.Repository(c.Dir)
	to, push := c.Branch, []string{"push", "--quiet"}
	if to == "" {
		var err error
		if to, err = s.branch(ctx, r); err != nil {
			return Committed{}, err
		}
	} else {
		lease, err := r.lease(ctx, to)
		if err != nil {
			return Committed{}, err
		}
		push = append(push, "--force-with-lease=refs/heads/"+to+":"+lease)
	}
	paths := make([]string, len(c.Paths))
	for i, name := range c.Paths {
		paths[i] = filepath.FromSlash(name)
	}
	if _, err := r.git(ctx, nil, append([]string{"--literal-pathspecs", "add", "--all", "--force", "--"}, paths...)...); err != nil {
		return Committed{}, err
	}
	author := []string{"GIT_AUTHOR_NAME=" + botName, "GIT_AUTHOR_EMAIL=" + botEmail, "GIT_COMMITTER_NAME=" + botName, "GIT_COMMITTER_EMAIL=" + botEmail}
	if _, err := r.git(ctx, author, append([]string{"--literal-pathspecs", "-c", "commit.gpgSign=false", "commit", "--quiet", "--message", c.Message, "--only", "--"}, paths...)...); err != nil {
		return Committed{}, err
	}
	id, err := r.git(ctx, nil, "rev-parse", "HEAD")
	if err != nil {
		return Committed{}, err
	}
	if _, err := r.remote(ctx, append(push, "origin", id+":refs/heads/"+to)...); err != nil {
		return Committed{}, fmt.Errorf("push to %s (the job needs contents: write): %w", to, err)
	}
	if c.Branch == "" {
		return Committed{ID: id}, nil
	}
	address, err := s.openPull(ctx, c)
	return Committed{id, address}, err
}

// Escape makes Markdown of text of unknown origin.
func Escape(text string) string { return report.Escape(text) }

// Base is the branch that the run is about, which a pull request of it goes into.
func (s *Step) Base() string {
	switch {
	case s.Event.Pull != nil:
		return s.Event.Pull.HeadRef
	case s.Event.Branch != "":
		return s.Event.Branch
	}
	return s.Event.DefaultBranch
}

// openPull opens the pull request of a branch, unless it is open.
func (s *Step) openPull(ctx context.Context, c Commit) (string, error) {
	client, err := s.client()
	if err != nil {
		return "", err
	}
	owner, name := s.context.Repo()
	base := s.Base()
	var open []*gh.PullRequest
	err = read(ctx, func(ctx context.Context) (err error) {
		open, _, err = client.PullRequests.List(ctx, owner, name, &gh.PullRequestListOptions{Head: owner + ":" + c.Branch, Base: base})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("look for the pull request: %s", tellable(err))
	}
	if len(open) > 0 {
		return open[0].GetHTMLURL(), nil
	}
	pull, _, err := client.PullRequests.Create(ctx, owner, name, &gh.NewPullRequest{Title: &c.Message, Head: &c.Branch, Base: &base, Body: &c.Body})
	if err != nil {
		return "", fmt.Errorf("open a pull request from %s to %s (the job needs pull-requests: write, and the repository has to allow Actions to open them): %s", c.Branch, strings.TrimSpace(base), tellable(err))
	}
	return pull.GetHTMLURL(), nil
}
