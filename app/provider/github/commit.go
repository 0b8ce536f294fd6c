package github

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

const (
	// largeFile is from where a file is sent alone; what is in a tree's own request is bounded, too.
	largeFile = 1 << 20
	treeBatch = 3 << 20
)

// PublishCheck brings a check run that stands for itself up to date, as Publish does for one of a preview.
func (a *App) PublishCheck(ctx context.Context, p preview.Project, prev report.Published, check report.Check) (report.Published, error) {
	w := a.publisher(p, prev)
	w.state.Begun = true
	err := w.check(ctx, &check)
	return w.state, err
}

// Blobs are git's ids of all files of a commit by path; links and submodules are among them. A commit with more files
// than GitHub lists is an *preview.InvalidError.
func (a *App) Blobs(ctx context.Context, p preview.Project, sha string) (map[string]string, error) {
	entries, complete, err := a.tree(ctx, p, sha, true)
	if err != nil {
		return nil, err
	}
	if !complete {
		return nil, preview.Invalid("the repository is too large", preview.Problem{Message: "The repository has more files than GitHub lists.", Hint: "Run spec-apply in a workflow instead."})
	}
	blobs := make(map[string]string, len(entries))
	for _, e := range entries {
		if e.GetType() != "tree" {
			blobs[e.GetPath()] = e.GetSHA()
		}
	}
	return blobs, nil
}

// CommitFiles makes a commit that changes files of its parent, and that no branch has yet. Files that are there keep
// nothing of what they were, and new ones are plain files.
func (a *App) CommitFiles(ctx context.Context, p preview.Project, parent string, files []preview.CommitFile, message string) (sha string, err error) {
	what := fmt.Sprintf("commit to %s", p.FullName())
	git := a.client(p, scopeCommit).Git
	base, err := called(ctx, func(ctx context.Context) (*gh.Commit, error) {
		commit, _, err := git.GetCommit(ctx, p.Owner, p.Name, parent)
		return commit, err
	})
	if err != nil {
		return "", classifyWrite(err, what)
	}
	tree := base.GetTree().GetSHA()
	for len(files) > 0 {
		var entries []*gh.TreeEntry
		size := 0
		for len(files) > 0 && size < treeBatch {
			entry, inline, err := a.entry(ctx, p, files[0])
			if err != nil {
				return "", classifyWrite(err, what)
			}
			entries, size, files = append(entries, entry), size+inline, files[1:]
		}
		made, err := called(ctx, func(ctx context.Context) (*gh.Tree, error) {
			tree, _, err := git.CreateTree(ctx, p.Owner, p.Name, tree, entries)
			return tree, err
		})
		if err != nil {
			return "", classifyWrite(err, what)
		}
		tree = made.GetSHA()
	}
	commit, err := called(ctx, func(ctx context.Context) (*gh.Commit, error) {
		commit, _, err := git.CreateCommit(ctx, p.Owner, p.Name, &gh.Commit{ // without an author it is the App's, and signed
			Message: gh.String(message), Tree: &gh.Tree{SHA: gh.String(tree)}, Parents: []*gh.Commit{{SHA: gh.String(parent)}}}, nil)
		return commit, err
	})
	if err != nil {
		return "", classifyWrite(err, what)
	}
	if !fullSHA.MatchString(commit.GetSHA()) {
		return "", fmt.Errorf("%s: no commit in the answer", what)
	}
	return commit.GetSHA(), nil
}

// entry is a file in a tree's request, and how much of that it takes. Large files are sent before.
func (a *App) entry(ctx context.Context, p preview.Project, f preview.CommitFile) (*gh.TreeEntry, int, error) {
	e := &gh.TreeEntry{Path: gh.String(f.Path), Mode: gh.String("100644"), Type: gh.String("blob")}
	switch {
	case f.Content == nil: // without content and id it is deleted
		return e, len(f.Path), nil
	case len(f.Content) <= largeFile && utf8.Valid(f.Content):
		e.Content = gh.String(string(f.Content))
		return e, len(f.Path) + len(f.Content), nil
	}
	blob, err := called(ctx, func(ctx context.Context) (*gh.Blob, error) {
		blob, _, err := a.client(p, scopeCommit).Git.CreateBlob(ctx, p.Owner, p.Name, &gh.Blob{
			Content: gh.String(base64.StdEncoding.EncodeToString(f.Content)), Encoding: gh.String("base64")})
		return blob, err
	})
	if err != nil {
		return nil, 0, err
	}
	e.SHA = blob.SHA
	return e, len(f.Path), nil
}

// MoveBranch moves a branch forward to a commit, or finds it there. preview.ErrConflict: the branch has something that
// the commit is not made from, or is gone.
func (a *App) MoveBranch(ctx context.Context, p preview.Project, branch, sha string) error {
	what := fmt.Sprintf("branch %s of %s", clip(branch, 100), p.FullName())
	_, err := called(ctx, func(ctx context.Context) (*gh.Reference, error) {
		ref, _, err := a.client(p, scopeCommit).Git.UpdateRef(ctx, p.Owner, p.Name, &gh.Reference{
			Ref: gh.String("refs/heads/" + branch), Object: &gh.GitObject{SHA: gh.String(sha)}}, false)
		return ref, err
	})
	if err == nil {
		return nil
	}
	var answer *gh.ErrorResponse
	answered := errors.As(err, &answer)
	head, lookErr := a.BranchHead(ctx, p, branch) // what there is says more than an answer that got lost
	switch {
	case lookErr == nil && head == sha:
		return nil
	case errors.Is(lookErr, preview.ErrNotFound) && !isGone(lookErr):
		return fmt.Errorf("%s: %w", what, preview.ErrConflict)
	case answered && answer.Response.StatusCode == http.StatusUnprocessableEntity && strings.Contains(answer.Message, "not a fast forward"):
		return fmt.Errorf("%s: %w", what, preview.ErrConflict)
	case answered && answer.Response.StatusCode == http.StatusUnprocessableEntity:
		return fmt.Errorf("%s: %w: %s", what, preview.ErrNotPermitted, details(answer))
	}
	return classifyWrite(err, what)
}

// called makes one call in the time that one may take.
func called[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx)
}

// classifyWrite is classify where a refusal is for want of a permission.
func classifyWrite(err error, what string) error {
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) && answer.Response.StatusCode == http.StatusForbidden &&
		answer.Response.Header.Get("Retry-After") == "" && answer.Response.Header.Get("X-RateLimit-Remaining") != "0" {
		return fmt.Errorf("%s: %w: %s", what, preview.ErrNotPermitted, details(answer))
	}
	return classify(err, what)
}
