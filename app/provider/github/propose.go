package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

// maxProposals bounds the pull requests of one head that are looked at; there is one.
const maxProposals = 100

// Head is the commit that a branch points at; preview.ErrNotFound also for a repository without one.
func (a *App) Head(ctx context.Context, p preview.Project, branch string) (sha string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("branch %s of %s", clip(branch, 100), p.FullName())
	found, response, err := a.client(p, scopeRead).Repositories.GetBranch(ctx, p.Owner, p.Name, branch, 0)
	if err != nil {
		if response != nil { // this call alone hides in a text what GitHub answered
			err = cmp.Or(gh.CheckResponse(response.Response), err)
		}
		return "", classify(err, what)
	}
	if found.GetName() != branch || !fullSHA.MatchString(found.GetCommit().GetSHA()) { // a renamed branch is redirected
		return "", fmt.Errorf("%s: %w", what, preview.ErrNotFound)
	}
	return found.GetCommit().GetSHA(), nil
}

// Parent is the first parent of a commit.
func (a *App) Parent(ctx context.Context, p preview.Project, sha string) (parent string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("commit %s of %s", clip(sha, 40), p.FullName())
	commit, _, err := a.client(p, scopeRead).Git.GetCommit(ctx, p.Owner, p.Name, sha)
	if err != nil {
		return "", classify(err, what)
	}
	if len(commit.Parents) == 0 {
		return "", fmt.Errorf("parent of %s: %w", what, preview.ErrNotFound)
	}
	return commit.Parents[0].GetSHA(), nil
}

// Files lists the paths of the regular files at a commit, as GitHub orders them. GitHub lists some
// 100,000; of a larger repository those in its root are always in the answer.
func (a *App) Files(ctx context.Context, p preview.Project, sha string) ([]string, error) {
	entries, complete, err := a.tree(ctx, p, sha, true)
	if err == nil && !complete {
		var root []*gh.TreeEntry
		root, _, err = a.tree(ctx, p, sha, false)
		entries = append(root, entries...)
	}
	if err != nil {
		return nil, err
	}
	paths, seen := make([]string, 0, len(entries)), make(map[string]bool, len(entries))
	for _, e := range entries {
		if regular := e.GetMode() == "100644" || e.GetMode() == "100755"; regular && !seen[e.GetPath()] {
			seen[e.GetPath()] = true
			paths = append(paths, e.GetPath())
		}
	}
	return paths, nil
}

func (a *App) tree(ctx context.Context, p preview.Project, sha string, recursive bool) (entries []*gh.TreeEntry, complete bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	tree, _, err := a.client(p, scopeRead).Git.GetTree(ctx, p.Owner, p.Name, sha, recursive)
	if err != nil {
		return nil, false, classify(err, fmt.Sprintf("files of %s at %s", p.FullName(), clip(sha, 40)))
	}
	return tree.Entries, !tree.GetTruncated(), nil
}

// Proposals are the App's own pull requests from a branch of the repository, in any state.
func (a *App) Proposals(ctx context.Context, p preview.Project, branch string) ([]preview.PullRequest, error) {
	bot, err := a.botLogin(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, _, err := a.client(p, scopeRead).PullRequests.List(ctx, p.Owner, p.Name, &gh.PullRequestListOptions{
		State: "all", Head: p.Owner + ":" + branch, ListOptions: gh.ListOptions{PerPage: maxProposals}})
	if err != nil {
		return nil, classify(err, fmt.Sprintf("pull requests from %s of %s", branch, p.FullName()))
	}
	var ours []preview.PullRequest
	for _, pr := range list {
		author := pr.GetUser()
		if author.GetType() != "Bot" || !strings.EqualFold(author.GetLogin(), bot) || pr.GetHead().GetRef() != branch || pr.GetBase().GetRepo().GetID() != p.RepoID {
			continue
		}
		one := pullRequest(pr)
		one.Merged = pr.MergedAt != nil // a list has no "merged"
		ours = append(ours, one)
	}
	return ours, nil
}

// CommitFile makes a commit that adds one file of text to its parent, and that no branch has yet.
func (a *App) CommitFile(ctx context.Context, p preview.Project, parent, path string, content []byte, message string) (sha string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("commit to %s", p.FullName())
	git := a.client(p, scopePropose).Git
	base, _, err := git.GetCommit(ctx, p.Owner, p.Name, parent)
	if err != nil {
		return "", classify(err, what)
	}
	tree, _, err := git.CreateTree(ctx, p.Owner, p.Name, base.GetTree().GetSHA(), []*gh.TreeEntry{
		{Path: gh.String(path), Mode: gh.String("100644"), Type: gh.String("blob"), Content: gh.String(string(content))}})
	if err != nil {
		return "", classify(err, what)
	}
	commit, _, err := git.CreateCommit(ctx, p.Owner, p.Name, &gh.Commit{ // without an author it is the App's, and signed
		Message: gh.String(message), Tree: tree, Parents: []*gh.Commit{{SHA: gh.String(parent)}}}, nil)
	if err != nil {
		return "", classify(err, what)
	}
	if !fullSHA.MatchString(commit.GetSHA()) {
		return "", fmt.Errorf("%s: no commit in the answer", what)
	}
	return commit.GetSHA(), nil
}

// CreateBranch makes a branch at a commit, or finds it there. A branch of that name at another
// commit is preview.ErrConflict and stays; a commit that GitHub does not have is preview.ErrNotFound.
func (a *App) CreateBranch(ctx context.Context, p preview.Project, branch, sha string) error {
	what := fmt.Sprintf("branch %s of %s", branch, p.FullName())
	create := func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		_, _, err := a.client(p, scopePropose).Git.CreateRef(ctx, p.Owner, p.Name, &gh.Reference{
			Ref: gh.String("refs/heads/" + branch), Object: &gh.GitObject{SHA: gh.String(sha)}})
		return err
	}
	err := create()
	var answer *gh.ErrorResponse
	if err == nil || !errors.As(err, &answer) || answer.Response.StatusCode != http.StatusUnprocessableEntity {
		return classify(err, what)
	}
	head, lookErr := a.BranchHead(ctx, p, branch) // what there is says more than the words of the refusal
	switch {
	case lookErr == nil && head == sha:
		return nil
	case lookErr == nil:
		return fmt.Errorf("%s: %w", what, preview.ErrConflict)
	case !errors.Is(lookErr, preview.ErrNotFound):
		return lookErr
	case strings.Contains(answer.Message, "Object does not exist"):
		return fmt.Errorf("%s: commit %s: %w", what, sha, preview.ErrNotFound)
	}
	return classify(err, what)
}

// OpenPullRequest opens one within the repository. One that is open already between the two
// branches is preview.ErrConflict.
func (a *App) OpenPullRequest(ctx context.Context, p preview.Project, head, base, title, body string) (number int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("pull request from %s of %s", head, p.FullName())
	pr, _, err := a.client(p, scopePropose).PullRequests.Create(ctx, p.Owner, p.Name, &gh.NewPullRequest{
		Title: gh.String(title), Head: gh.String(head), Base: gh.String(base), Body: gh.String(clip(body, maxComment))})
	var answer *gh.ErrorResponse
	switch {
	case err == nil && pr.GetNumber() > 0:
		return pr.GetNumber(), nil
	case err == nil:
		return 0, fmt.Errorf("%s: no number in the answer", what)
	case errors.As(err, &answer) && answer.Response.StatusCode == http.StatusUnprocessableEntity && strings.Contains(details(answer), "already exists"):
		return 0, fmt.Errorf("%s: %w", what, preview.ErrConflict)
	}
	return 0, classify(err, what)
}
