package github

import (
	"context"
	"errors"
	"fmt"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

func isGone(err error) bool { return errors.Is(err, preview.ErrGone) }

// PullRequest is what GitHub says of a pull request right now.
func (a *App) PullRequest(ctx context.Context, p preview.Project, number int) (preview.PullRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("pull request %s#%d", p.FullName(), number)
	pr, _, err := a.client(p, scopeRead).PullRequests.Get(ctx, p.Owner, p.Name, number)
	if err != nil {
		return preview.PullRequest{}, classify(err, what)
	}
	if id := pr.GetBase().GetRepo().GetID(); id != p.RepoID { // the name belongs to another repository now
		return preview.PullRequest{}, fmt.Errorf("%s: it is in repository %d: %w", what, id, preview.ErrNotFound)
	}
	return pullRequest(pr), nil
}

func pullRequest(pr *gh.PullRequest) preview.PullRequest {
	labels := make([]string, 0, len(pr.Labels))
	for _, label := range pr.Labels {
		labels = append(labels, label.GetName())
	}
	return preview.PullRequest{
		Number:      pr.GetNumber(),
		Open:        pr.GetState() == "open",
		Merged:      pr.GetMerged(),
		Draft:       pr.GetDraft(),
		Title:       pr.GetTitle(),
		Author:      pr.GetUser().GetLogin(),
		AuthorIsBot: pr.GetUser().GetType() == "Bot",
		HeadSHA:     pr.GetHead().GetSHA(),
		HeadRef:     pr.GetHead().GetRef(),
		Fork:        pr.GetHead().GetRepo().GetID() != pr.GetBase().GetRepo().GetID(),
		BaseRef:     pr.GetBase().GetRef(),
		BaseSHA:     pr.GetBase().GetSHA(),
		Labels:      labels,
		URL:         pr.GetHTMLURL(),
	}
}

// ChangedFiles lists the paths that a pull request touches, the old one of a rename included.
// GitHub lists the first 3,000 files.
func (a *App) ChangedFiles(ctx context.Context, p preview.Project, number int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var paths []string
	options := &gh.ListOptions{PerPage: 100}
	for {
		files, response, err := a.client(p, scopeRead).PullRequests.ListFiles(ctx, p.Owner, p.Name, number, options)
		if err != nil {
			return nil, classify(err, fmt.Sprintf("files of pull request %s#%d", p.FullName(), number))
		}
		for _, file := range files {
			paths = append(paths, file.GetFilename())
			if old := file.GetPreviousFilename(); old != "" {
				paths = append(paths, old)
			}
		}
		if response.NextPage == 0 {
			return paths, nil
		}
		options.Page = response.NextPage
	}
}

// BranchHead is the commit that a branch points at.
func (a *App) BranchHead(ctx context.Context, p preview.Project, branch string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("branch %s of %s", clip(branch, 100), p.FullName())
	if branch == "" || strings.Contains(branch, "..") {
		return "", fmt.Errorf("%s: %w", what, preview.ErrNotFound)
	}
	ref, _, err := a.client(p, scopeRead).Git.GetRef(ctx, p.Owner, p.Name, "heads/"+branch)
	if err != nil {
		return "", classify(err, what)
	}
	return ref.GetObject().GetSHA(), nil
}
