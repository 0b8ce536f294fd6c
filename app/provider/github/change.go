package github

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// What GitHub lists at most, and how much of it is read.
const (
	comparedFiles  = 300  // of a comparison
	committedFiles = 3000 // of a commit
	perPage        = 100
)

// Compare lists the commits that head has and base lacks, at most so many.
func (a *App) Compare(ctx context.Context, p preview.Project, base, head string, most int) (preview.Comparison, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var c preview.Comparison
	options := &gh.ListOptions{PerPage: perPage}
	for {
		page, response, err := a.client(p, scopeRead).Repositories.CompareCommits(ctx, p.Owner, p.Name, base, head, options)
		if err != nil {
			return c, classify(err, fmt.Sprintf("comparison %.7s...%.7s of %s", base, head, p.FullName()))
		}
		c.MergeBase = page.GetMergeBaseCommit().GetSHA()
		for _, one := range page.Commits {
			c.Commits = append(c.Commits, commitOf(one))
		}
		c.Whole = len(c.Commits) == page.GetTotalCommits()
		if response.NextPage == 0 || len(c.Commits) > most {
			return c, nil
		}
		options.Page = response.NextPage
	}
}

func commitOf(c *gh.RepositoryCommit) preview.Commit {
	commit := preview.Commit{SHA: c.GetSHA(), Message: c.GetCommit().GetMessage()}
	for _, parent := range c.Parents {
		commit.Parents = append(commit.Parents, parent.GetSHA())
	}
	return commit
}

// Commit is one commit with the files that it changed against its first parent.
func (a *App) Commit(ctx context.Context, p preview.Project, sha string) (preview.Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var commit preview.Commit
	options := &gh.ListOptions{PerPage: perPage}
	for {
		page, response, err := a.client(p, scopeRead).Repositories.GetCommit(ctx, p.Owner, p.Name, sha, options)
		if err != nil {
			return commit, classify(err, fmt.Sprintf("commit %.7s of %s", sha, p.FullName()))
		}
		if commit.SHA == "" {
			commit = commitOf(page)
		}
		commit.Files = append(commit.Files, filesOf(page.Files)...)
		if response.NextPage == 0 {
			commit.Whole = len(commit.Files) < committedFiles
			return commit, nil
		}
		options.Page = response.NextPage
	}
}

// Difference lists the files that differ between a commit and one that came from it; whole is false if
// there may be more, or it did not come from it.
func (a *App) Difference(ctx context.Context, p preview.Project, from, to string) (files []preview.ChangedFile, whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	c, _, err := a.client(p, scopeRead).Repositories.CompareCommits(ctx, p.Owner, p.Name, from, to, &gh.ListOptions{PerPage: 1})
	if err != nil {
		return nil, false, classify(err, fmt.Sprintf("comparison %.7s...%.7s of %s", from, to, p.FullName()))
	}
	files = filesOf(c.Files)
	return files, len(files) < comparedFiles && c.GetMergeBaseCommit().GetSHA() == from, nil
}

func filesOf(list []*gh.CommitFile) []preview.ChangedFile {
	files := make([]preview.ChangedFile, 0, len(list))
	for _, f := range list {
		files = append(files, preview.ChangedFile{Path: f.GetFilename(), Previous: f.GetPreviousFilename(), Blob: f.GetSHA(), Removed: f.GetStatus() == "removed"})
	}
	return files
}

// Tree lists all files of a commit; whole is false if GitHub left some out.
func (a *App) Tree(ctx context.Context, p preview.Project, sha string) (files []preview.TreeFile, whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	tree, _, err := a.client(p, scopeRead).Git.GetTree(ctx, p.Owner, p.Name, sha, true)
	if err != nil {
		return nil, false, classify(err, fmt.Sprintf("files of %s at %.7s", p.FullName(), sha))
	}
	for _, e := range tree.Entries {
		if e.GetType() == "blob" {
			files = append(files, preview.TreeFile{Path: e.GetPath(), Blob: e.GetSHA(), Size: int64(e.GetSize())})
		}
	}
	return files, !tree.GetTruncated(), nil
}

// Blob is a file's content by its id. One with more than most bytes is preview.ErrTooLarge, and is read no
// further.
func (a *App) Blob(ctx context.Context, p preview.Project, id string, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	what := fmt.Sprintf("object %.12s of %s", id, p.FullName())
	if !fullSHA.MatchString(id) {
		return nil, fmt.Errorf("%s: not a full id", what)
	}
	client := a.client(p, scopeRead)
	request, err := client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/git/blobs/%s", url.PathEscape(p.Owner), url.PathEscape(p.Name), id), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	request.Header.Set("Accept", "application/vnd.github.raw+json")
	response, err := client.BareDo(ctx, request)
	if err != nil {
		return nil, classify(err, what)
	}
	defer func() { _ = response.Body.Close() }()
	if response.ContentLength > most {
		return nil, fmt.Errorf("%s: %w", what, preview.ErrTooLarge)
	}
	var text bytes.Buffer
	if n, err := io.Copy(&text, io.LimitReader(response.Body, most+1)); err != nil {
		return nil, classify(err, what)
	} else if n > most {
		return nil, fmt.Errorf("%s: %w", what, preview.ErrTooLarge)
	}
	return text.Bytes(), nil
}

// Tag is an annotated tag by its object.
func (a *App) Tag(ctx context.Context, p preview.Project, id string) (preview.Tag, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("tag %.12s of %s", id, p.FullName())
	if !fullSHA.MatchString(id) {
		return preview.Tag{}, fmt.Errorf("%s: not a full id", what)
	}
	tag, _, err := a.client(p, scopeRead).Git.GetTag(ctx, p.Owner, p.Name, id)
	if err != nil {
		return preview.Tag{}, classify(err, what)
	}
	return preview.Tag{Message: tag.GetMessage(), Of: tag.GetObject().GetSHA(), OfTag: tag.GetObject().GetType() == "tag"}, nil
}

// PullHead is a pull request right now, with its text.
func (a *App) PullHead(ctx context.Context, p preview.Project, number int) (preview.Head, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("pull request %s#%d", p.FullName(), number)
	pr, _, err := a.client(p, scopeRead).PullRequests.Get(ctx, p.Owner, p.Name, number)
	if err != nil {
		return preview.Head{}, classify(err, what)
	}
	if id := pr.GetBase().GetRepo().GetID(); id != p.RepoID {
		return preview.Head{}, fmt.Errorf("%s: it is in repository %d: %w", what, id, preview.ErrNotFound)
	}
	return preview.Head{PullRequest: pullRequest(pr), Body: pr.GetBody()}, nil
}

// PullHeads are the open pull requests into the repository whose head is this commit.
func (a *App) PullHeads(ctx context.Context, p preview.Project, sha string) ([]preview.Head, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var list []preview.Head
	options := &gh.ListOptions{PerPage: perPage}
	for {
		page, response, err := a.client(p, scopeRead).PullRequests.ListPullRequestsWithCommit(ctx, p.Owner, p.Name, sha, options)
		if err != nil {
			return nil, classify(err, fmt.Sprintf("pull requests of commit %.7s of %s", sha, p.FullName()))
		}
		for _, pr := range page {
			if pr.GetState() == "open" && pr.GetHead().GetSHA() == sha && pr.GetBase().GetRepo().GetID() == p.RepoID {
				list = append(list, preview.Head{PullRequest: pullRequest(pr), Body: pr.GetBody()})
			}
		}
		if response.NextPage == 0 {
			return list, nil
		}
		options.Page = response.NextPage
	}
}

// Answered is the conclusion and the summary of the commit's completed check run that carries the check's name and
// external id; empty: there is none.
func (a *App) Answered(ctx context.Context, p preview.Project, check report.Check) (conclusion, summary string, err error) {
	run, found, err := a.publisher(p, report.Published{}).findCheck(ctx, &check)
	if err != nil || !found || run.GetStatus() != "completed" {
		return "", "", err
	}
	return run.GetConclusion(), run.GetOutput().GetSummary(), nil
}

// Comments lists what people and programs wrote below a pull request and in its reviews; whole is false if there is
// more than is read.
func (a *App) Comments(ctx context.Context, p preview.Project, number int) (comments []preview.Comment, whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	client := a.client(p, scopeRead)
	written := func(what string, id int64, by *gh.User, association, body string) {
		comments = append(comments, preview.Comment{What: what, ID: id, Author: by.GetLogin(), Body: body,
			Member: slices.Contains([]string{"OWNER", "MEMBER", "COLLABORATOR"}, association)})
	}
	whole = true
	for _, list := range []func(gh.ListOptions) (*gh.Response, error){
		func(o gh.ListOptions) (*gh.Response, error) {
			page, response, err := client.Issues.ListComments(ctx, p.Owner, p.Name, number, &gh.IssueListCommentsOptions{ListOptions: o})
			for _, c := range page {
				written("comment", c.GetID(), c.GetUser(), c.GetAuthorAssociation(), c.GetBody())
			}
			return response, err
		},
		func(o gh.ListOptions) (*gh.Response, error) {
			page, response, err := client.PullRequests.ListReviews(ctx, p.Owner, p.Name, number, &o)
			for _, r := range page {
				written("review", r.GetID(), r.GetUser(), r.GetAuthorAssociation(), r.GetBody())
			}
			return response, err
		},
		func(o gh.ListOptions) (*gh.Response, error) {
			page, response, err := client.PullRequests.ListComments(ctx, p.Owner, p.Name, number, &gh.PullRequestListCommentsOptions{ListOptions: o})
			for _, c := range page {
				written("review comment", c.GetID(), c.GetUser(), c.GetAuthorAssociation(), c.GetBody())
			}
			return response, err
		},
	} {
		all, err := paged(list)
		if err != nil {
			return nil, false, classify(err, fmt.Sprintf("comments of %s#%d", p.FullName(), number))
		}
		whole = whole && all
	}
	return comments, whole, nil
}

// paged reads a list page by page, and reports whether that was all of it.
func paged(list func(gh.ListOptions) (*gh.Response, error)) (whole bool, err error) {
	const pages = 10
	options := gh.ListOptions{PerPage: perPage}
	for range pages {
		response, err := list(options)
		if err != nil || response.NextPage == 0 {
			return true, err
		}
		options.Page = response.NextPage
	}
	return false, nil
}

// ShowCheck writes a check run with its annotations: over the commit's newest one of that name and external id,
// unless that carries other annotations or can't be written.
func (a *App) ShowCheck(ctx context.Context, p preview.Project, check report.Check) error {
	// Nobody remembers how often a run was not found, so that it is replaced the first time.
	return a.publisher(p, report.Published{CheckSHA: check.HeadSHA, CheckNotFound: replacedAt - 1}).check(ctx, &check)
}
