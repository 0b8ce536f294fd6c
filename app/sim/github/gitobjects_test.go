package github_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v62/github"
)

// TestPullRequestByApp makes one the way an App without a clone does it: tree, commit, branch, pull request.
func TestPullRequestByApp(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	git, pulls := b.client.Git, b.client.PullRequests
	branch, _, err := b.client.Repositories.GetBranch(ctx, "acme", "shop", "main", 0)
	check(t, err)
	base := branch.GetCommit()
	tree, _, err := git.CreateTree(ctx, "acme", "shop", base.GetCommit().GetTree().GetSHA(), []*gh.TreeEntry{
		{Path: gh.String(".github/x.yml"), Mode: gh.String("100644"), Type: gh.String("blob"), Content: gh.String("a: ü\n")}})
	check(t, err)
	commit, _, err := git.CreateCommit(ctx, "acme", "shop", &gh.Commit{Message: gh.String("Add x"), Tree: tree, Parents: []*gh.Commit{{SHA: base.SHA}}}, nil)
	check(t, err)
	if commit.GetAuthor().GetName() != "flaresmith[bot]" || commit.GetMessage() != "Add x" {
		t.Errorf("commit %v", commit)
	}
	b.take()
	ref := &gh.Reference{Ref: gh.String("refs/heads/a/b"), Object: &gh.GitObject{SHA: commit.SHA}}
	_, _, err = git.CreateRef(ctx, "acme", "shop", ref)
	check(t, err)
	want := &gh.NewPullRequest{Title: gh.String("Add x"), Head: gh.String("a/b"), Base: gh.String("main"), Body: gh.String("**body**")}
	pr, _, err := pulls.Create(ctx, "acme", "shop", want)
	check(t, err)
	if pr.GetUser().GetLogin() != "flaresmith[bot]" || pr.GetUser().GetType() != "Bot" || pr.GetBody() != "**body**" || pr.GetHead().GetSHA() != commit.GetSHA() {
		t.Errorf("pull request %v", pr)
	}
	files, _, err := pulls.ListFiles(ctx, "acme", "shop", pr.GetNumber(), nil)
	check(t, err)
	if len(files) != 1 || files[0].GetFilename() != ".github/x.yml" || files[0].GetStatus() != "added" {
		t.Errorf("files %v", files)
	}
	var events []string
	for _, one := range b.take() {
		events = append(events, one.event)
	}
	for _, event := range []string{"push", "create", "pull_request"} {
		if !slices.Contains(events, event) {
			t.Errorf("no %s among %v", event, events)
		}
	}
	list, _, err := pulls.List(ctx, "acme", "shop", &gh.PullRequestListOptions{State: "all", Head: "acme:a/b"})
	check(t, err)
	if len(list) != 1 || list[0].GetNumber() != pr.GetNumber() {
		t.Errorf("list %v", list)
	}

	refused := func(name string, err error, message string) {
		t.Helper()
		answer, ok := err.(*gh.ErrorResponse) //nolint:errorlint // go-github returns it as it is
		if !ok || answer.Response.StatusCode != http.StatusUnprocessableEntity {
			t.Fatalf("%s: %v", name, err)
		}
		got := answer.Message
		if len(answer.Errors) > 0 {
			got = answer.Errors[0].Field + answer.Errors[0].Message
		}
		if diff := cmp.Diff(message, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	_, _, err = git.CreateRef(ctx, "acme", "shop", ref)
	refused("again", err, "Reference already exists")
	_, _, err = git.CreateRef(ctx, "acme", "shop", &gh.Reference{Ref: gh.String("refs/heads/a"), Object: ref.Object})
	refused("a folder of branches", err, "Reference cannot be created")
	_, _, err = git.CreateRef(ctx, "acme", "shop", &gh.Reference{Ref: gh.String("refs/heads/c"), Object: &gh.GitObject{SHA: tree.SHA}})
	refused("not a commit", err, "Object does not exist")
	_, _, err = pulls.Create(ctx, "acme", "shop", want)
	refused("another pull request", err, "A pull request already exists for acme:a/b.")
	_, _, err = pulls.Create(ctx, "acme", "shop", &gh.NewPullRequest{Title: gh.String("x"), Head: gh.String("none"), Base: gh.String("main")})
	refused("no head", err, "head")
	_, _, err = pulls.Create(ctx, "acme", "shop", &gh.NewPullRequest{Title: gh.String("x"), Head: gh.String("main"), Base: gh.String("main")})
	refused("nothing to merge", err, "No commits between main and main")

	reader := b.clientFor(b.installation, &gh.InstallationTokenOptions{Permissions: &gh.InstallationPermissions{Contents: gh.String("read"), PullRequests: gh.String("read")}})
	if _, _, err := reader.Git.CreateRef(ctx, "acme", "shop", ref); status(err) != http.StatusForbidden {
		t.Errorf("a token that may only read made a branch: %v", err)
	}
	if _, _, err := reader.PullRequests.Create(ctx, "acme", "shop", want); status(err) != http.StatusForbidden {
		t.Errorf("a token that may only read opened a pull request: %v", err)
	}
}

// TestLongRange reads what GitHub lists in parts: commits of a comparison, files of a commit, and contents by their ids.
func TestLongRange(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	repositories, base := b.client.Repositories, ""
	branch, _, err := repositories.GetBranch(ctx, "acme", "shop", "main", 0)
	check(t, err)
	base = branch.GetCommit().GetSHA()
	files := map[string]string{}
	for i := range 320 {
		files[fmt.Sprintf("long/%03d.txt", i)] = fmt.Sprintf("%d\n", i)
	}
	_, err = b.Commit("acme/shop", "long", files, "many files")
	check(t, err)
	second, err := b.Commit("acme/shop", "long", map[string]string{"long/000.txt": "\x00\xff binary"}, "one file")
	check(t, err)

	var commits []string
	for page := 1; page != 0; {
		c, response, err := repositories.CompareCommits(ctx, "acme", "shop", base, "long", &gh.ListOptions{Page: page, PerPage: 1})
		check(t, err)
		want := 0
		if page == 1 {
			want = 300
		}
		if len(c.Files) != want || c.GetTotalCommits() != 2 || c.GetMergeBaseCommit().GetSHA() != base {
			t.Errorf("page %d: %d files, %d commits, from %s", page, len(c.Files), c.GetTotalCommits(), c.GetMergeBaseCommit().GetSHA())
		}
		for _, one := range c.Commits {
			commits = append(commits, one.GetSHA())
		}
		page = response.NextPage
	}
	if len(commits) != 2 || commits[1] != second {
		t.Fatalf("commits %v", commits)
	}
	listed := 0
	for page := 1; page != 0; {
		c, response, err := repositories.GetCommit(ctx, "acme", "shop", commits[0], &gh.ListOptions{Page: page, PerPage: 300})
		check(t, err)
		listed, page = listed+len(c.Files), response.NextPage
	}
	if listed != 320 {
		t.Errorf("%d files of the commit are listed", listed)
	}
	one, _, err := repositories.GetCommit(ctx, "acme", "shop", second, nil)
	check(t, err)
	id := one.Files[0].GetSHA()
	raw, _, err := b.client.Git.GetBlobRaw(ctx, "acme", "shop", id)
	check(t, err)
	blob, _, err := b.client.Git.GetBlob(ctx, "acme", "shop", id)
	check(t, err)
	if string(raw) != "\x00\xff binary" || blob.GetSize() != len(raw) || blob.GetEncoding() != "base64" {
		t.Errorf("raw %q, blob %v", raw, blob)
	}
	if _, _, err := b.client.Git.GetBlob(ctx, "acme", "shop", second); err == nil {
		t.Error("a commit is given as a blob")
	}
}
