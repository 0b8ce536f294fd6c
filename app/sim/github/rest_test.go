package github_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// status is the HTTP status of a go-github error.
func status(err error) int {
	var e *gh.ErrorResponse
	if errors.As(err, &e) {
		return e.Response.StatusCode
	}
	var limited *gh.AbuseRateLimitError
	if errors.As(err, &limited) {
		return limited.Response.StatusCode
	}
	return 0
}

func TestReading(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	number, sha := b.openPR("cart")
	repos := b.client.Repositories

	repo, _, err := repos.Get(ctx, "acme", "shop")
	check(t, err)
	if repo.GetFullName() != "acme/shop" || repo.GetDefaultBranch() != "main" || repo.GetOwner().GetType() != "Organization" {
		t.Errorf("repository: %v", repo)
	}
	branch, _, err := repos.GetBranch(ctx, "acme", "shop", "cart", 1)
	check(t, err)
	if branch.GetCommit().GetSHA() != sha {
		t.Errorf("branch at %s, want %s", branch.GetCommit().GetSHA(), sha)
	}
	branches, _, err := repos.ListBranches(ctx, "acme", "shop", nil)
	check(t, err)
	if len(branches) != 2 {
		t.Errorf("%d branches, want 2", len(branches))
	}
	ref, _, err := b.client.Git.GetRef(ctx, "acme", "shop", "heads/cart")
	check(t, err)
	if ref.GetObject().GetSHA() != sha {
		t.Errorf("ref at %s", ref.GetObject().GetSHA())
	}
	commit, _, err := repos.GetCommit(ctx, "acme", "shop", sha, nil)
	check(t, err)
	if len(commit.Files) != 1 || commit.GetCommit().GetMessage() != "Add cart" {
		t.Errorf("commit: %v", commit)
	}
	plain, _, err := b.client.Git.GetCommit(ctx, "acme", "shop", sha)
	check(t, err)
	tree, _, err := b.client.Git.GetTree(ctx, "acme", "shop", sha, true)
	check(t, err)
	if plain.GetTree().GetSHA() != tree.GetSHA() || len(tree.Entries) != 6 || tree.Entries[5].GetPath() != "src/index.ts" {
		t.Errorf("commit %v, tree %v", plain, tree)
	}
	commits, _, err := repos.ListCommits(ctx, "acme", "shop", &gh.CommitsListOptions{SHA: "cart"})
	check(t, err)
	if len(commits) != 2 {
		t.Errorf("%d commits, want 2", len(commits))
	}
	comparison, _, err := repos.CompareCommits(ctx, "acme", "shop", "main", "cart", nil)
	check(t, err)
	if comparison.GetStatus() != "ahead" || comparison.GetAheadBy() != 1 || len(comparison.Files) != 1 {
		t.Errorf("comparison: %v", comparison)
	}
	pr, _, err := b.client.PullRequests.Get(ctx, "acme", "shop", number)
	check(t, err)
	if pr.GetHead().GetSHA() != sha || pr.GetHead().GetRepo().GetID() != repo.GetID() || !pr.GetMergeable() || pr.GetChangedFiles() != 1 || pr.GetCommits() != 1 {
		t.Errorf("pull request: %v", pr)
	}
	files, _, err := b.client.PullRequests.ListFiles(ctx, "acme", "shop", number, nil)
	check(t, err)
	if len(files) != 1 || files[0].GetFilename() != "src/cart.ts" || files[0].GetPatch() != "@@ -0,0 +1 @@\n+export const a = 1" {
		t.Errorf("files: %v", files)
	}
	prCommits, _, err := b.client.PullRequests.ListCommits(ctx, "acme", "shop", number, nil)
	check(t, err)
	list, _, err := b.client.PullRequests.ListPullRequestsWithCommit(ctx, "acme", "shop", sha, nil)
	check(t, err)
	open, _, err := b.client.PullRequests.List(ctx, "acme", "shop", &gh.PullRequestListOptions{Head: "acme:cart"})
	check(t, err)
	if len(prCommits) != 1 || len(list) != 1 || len(open) != 1 || list[0].GetNumber() != number {
		t.Errorf("%d commits, %d and %d pull requests", len(prCommits), len(list), len(open))
	}
	_, resp, err := repos.Get(ctx, "acme", "nothing")
	if status(err) != http.StatusNotFound || resp.Rate.Limit != 5000 {
		t.Errorf("missing repository: %v, rate %v", err, resp.Rate)
	}
}

func TestContents(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	repos := b.client.Repositories
	file, _, _, err := repos.GetContents(ctx, "acme", "shop", "src/index.ts", &gh.RepositoryContentGetOptions{Ref: "main"})
	check(t, err)
	if text, err := file.GetContent(); err != nil || text != "export default {}\n" {
		t.Errorf("content %q, %v", text, err)
	}
	for path, want := range map[string][]string{"": {"README.md", "drizzle", "src"}, "drizzle": {"0000.sql"}} {
		_, dir, _, err := repos.GetContents(ctx, "acme", "shop", path, nil)
		check(t, err)
		var names []string
		for _, entry := range dir {
			names = append(names, entry.GetName())
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("folder %q: %s", path, diff)
		}
	}
	for _, path := range []string{"nothing.txt", "src/index.ts/x", ".github/flaresmith.yml"} {
		if _, _, _, err := repos.GetContents(ctx, "acme", "shop", path, nil); status(err) != http.StatusNotFound {
			t.Errorf("%s: %v, want 404", path, err)
		}
	}
	check(t, b.SetPrivate("acme/shop", true, "acme"))
	download, _, err := repos.DownloadContents(ctx, "acme", "shop", "src/index.ts", nil)
	check(t, err)
	defer download.Close()
	if text, err := io.ReadAll(download); err != nil || string(text) != "export default {}\n" {
		t.Errorf("download %q, %v", text, err)
	}
	if got, _ := get(t, file.GetDownloadURL()); got != http.StatusNotFound {
		t.Errorf("private file without a token: %d", got)
	}
	req, err := b.client.NewRequest(http.MethodGet, "repos/acme/shop/contents/README.md", nil)
	check(t, err)
	req.Header.Set("Accept", "application/vnd.github.raw+json")
	var raw strings.Builder
	_, err = b.client.Do(ctx, req, &raw)
	check(t, err)
	if raw.String() != "# Shop\n" {
		t.Errorf("raw: %q", raw.String())
	}
}

func TestTarball(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	sha, err := b.Branch("acme/shop", "main")
	check(t, err)
	link, resp, err := b.client.Repositories.GetArchiveLink(ctx, "acme", "shop", gh.Tarball, &gh.RepositoryContentGetOptions{Ref: sha}, 0)
	check(t, err)
	if resp.StatusCode != http.StatusFound {
		t.Errorf("status %d, want 302", resp.StatusCode)
	}
	archive, err := http.Get(link.String())
	check(t, err)
	defer archive.Body.Close()
	unzipped, err := gzip.NewReader(archive.Body)
	check(t, err)
	var names []string
	for reader := tar.NewReader(unzipped); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		if header.Typeflag == tar.TypeReg {
			names = append(names, header.Name)
		}
	}
	prefix := "acme-shop-" + sha[:7] + "/"
	if diff := cmp.Diff([]string{prefix + "README.md", prefix + "drizzle/0000.sql", prefix + "src/index.ts"}, names); diff != "" {
		t.Error(diff)
	}
	forged, err := http.Get(strings.Replace(link.String(), "token=", "token=0", 1))
	check(t, err)
	_ = forged.Body.Close()
	if forged.StatusCode != http.StatusNotFound {
		t.Errorf("forged token: %d", forged.StatusCode)
	}
}

func TestComments(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	number, _ := b.openPR("cart")
	b.take()
	id := must(t)(b.Comment("acme/shop", number, "octo-dev", "/flaresmith status"))
	mine, _, err := b.client.Issues.CreateComment(ctx, "acme", "shop", number, &gh.IssueComment{Body: gh.String("hello")})
	check(t, err)
	if mine.GetUser().GetLogin() != b.BotLogin() || mine.GetUser().GetType() != "Bot" {
		t.Errorf("author %v", mine.GetUser())
	}
	_, _, err = b.client.Issues.EditComment(ctx, "acme", "shop", mine.GetID(), &gh.IssueComment{Body: gh.String("edited")})
	check(t, err)
	for range 2 {
		_, _, err = b.client.Reactions.CreateIssueCommentReaction(ctx, "acme", "shop", id, "eyes")
		check(t, err)
	}
	for i := range 40 {
		must(t)(b.Comment("acme/shop", number, "octo-dev", fmt.Sprint(i)))
	}
	var all []*gh.IssueComment
	for opts := (&gh.IssueListCommentsOptions{ListOptions: gh.ListOptions{PerPage: 20}}); ; {
		page, resp, err := b.client.Issues.ListComments(ctx, "acme", "shop", number, opts)
		check(t, err)
		if all = append(all, page...); resp.NextPage == 0 {
			break
		}
		opts.Page = resp.NextPage
	}
	comments, err := b.Comments("acme/shop", number)
	check(t, err)
	if len(all) != 42 || all[0].GetReactions().GetEyes() != 1 || comments[1].Body != "edited" || comments[1].Edits != 1 || len(comments[0].Reactions) != 1 {
		t.Errorf("%d comments, first %v; stored %+v", len(all), all[0], comments[:2])
	}
	if _, err := b.client.Issues.DeleteComment(ctx, "acme", "shop", mine.GetID()); err != nil {
		t.Error(err)
	}
	if _, _, err := b.client.Issues.GetComment(ctx, "acme", "shop", mine.GetID()); status(err) != http.StatusNotFound {
		t.Errorf("deleted comment: %v", err)
	}
	if _, _, err := b.client.Issues.GetComment(ctx, "acme", "shop", id); err != nil {
		t.Error(err)
	}
	_, _, err = b.client.Issues.CreateComment(ctx, "acme", "shop", number, &gh.IssueComment{Body: gh.String(strings.Repeat("é", 65537))})
	if status(err) != http.StatusUnprocessableEntity {
		t.Errorf("too long: %v", err)
	}
	events := b.events()
	if diff := cmp.Diff([]string{"issue_comment.created", "issue_comment.created", "issue_comment.edited"}, events[:3]); diff != "" {
		t.Error(diff)
	}
	if last := events[len(events)-1]; last != "issue_comment.deleted" {
		t.Errorf("last event %s", last)
	}
}

func TestReviews(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	number, sha := b.openPR("cart")
	b.take()
	review, comments, err := b.Review("acme/shop", number, "octo-dev", "looks good", github.LineComment{Path: "src/cart.ts", Line: 1, Body: "why?"},
		github.LineComment{Path: "src/cart.ts", Line: 1, Body: "how?"})
	check(t, err)
	check(t, b.EditReview("acme/shop", number, review, "octo-dev", "looks better"))
	check(t, b.EditReviewComment("acme/shop", number, comments[0], "octo-dev", "why not?"))
	check(t, b.DeleteReviewComment("acme/shop", number, comments[1], "octo-dev"))
	for range 30 {
		_, _, err := b.Review("acme/shop", number, "octo-stranger", "", github.LineComment{Path: "README.md", Line: 1, Body: "see"})
		check(t, err)
	}
	reviews, resp, err := b.client.PullRequests.ListReviews(ctx, "acme", "shop", number, &gh.ListOptions{PerPage: 20})
	check(t, err)
	if len(reviews) != 20 || resp.NextPage != 2 || reviews[0].GetBody() != "looks better" || reviews[0].GetState() != "COMMENTED" || reviews[0].GetCommitID() != sha {
		t.Errorf("%d reviews, next page %d, first %v", len(reviews), resp.NextPage, reviews[0])
	}
	list, _, err := b.client.PullRequests.ListComments(ctx, "acme", "shop", number, &gh.PullRequestListCommentsOptions{ListOptions: gh.ListOptions{PerPage: 100}})
	check(t, err)
	if len(list) != 31 || list[0].GetBody() != "why not?" || list[0].GetPullRequestReviewID() != review || !strings.HasPrefix(list[0].GetDiffHunk(), "@@ -0,0 +1") ||
		list[1].GetAuthorAssociation() != "NONE" {
		t.Errorf("%d comments, first %v", len(list), list[0])
	}
	pull, _, err := b.client.PullRequests.Get(ctx, "acme", "shop", number)
	check(t, err)
	if pull.GetReviewComments() != 31 {
		t.Errorf("%d review comments are counted", pull.GetReviewComments())
	}
	const name = "pull_request_review"
	if diff := cmp.Diff([]string{name + ".submitted", name + "_comment.created", name + "_comment.created", name + ".edited", name + "_comment.edited", name + "_comment.deleted"},
		b.events()[:6]); diff != "" {
		t.Error(diff)
	}
	if err := b.EditReview("acme/shop", number, 1, "octo-dev", "x"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("an unknown review: %v", err)
	}
}

func TestCheckRuns(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	number, sha := b.openPR("cart")
	b.take()
	run, _, err := b.client.Checks.CreateCheckRun(ctx, "acme", "shop", gh.CreateCheckRunOptions{
		Name: "Flaresmith / Preview", HeadSHA: sha, Status: gh.String("in_progress"), ExternalID: gh.String("env"),
		Output:  &gh.CheckRunOutput{Title: gh.String("Working"), Summary: gh.String("…")},
		Actions: []*gh.CheckRunAction{{Label: "Rebuild", Description: "From the parent", Identifier: "rebuild"}},
	})
	check(t, err)
	if len(run.PullRequests) != 1 || run.PullRequests[0].GetNumber() != number {
		t.Errorf("pull requests of the run: %v", run.PullRequests)
	}
	annotation := func(i int) *gh.CheckRunAnnotation {
		return &gh.CheckRunAnnotation{Path: gh.String("src/cart.ts"), StartLine: gh.Int(i + 1), EndLine: gh.Int(i + 1), AnnotationLevel: gh.String("failure"), Message: gh.String("no")}
	}
	for range 2 {
		var list []*gh.CheckRunAnnotation
		for i := range 50 {
			list = append(list, annotation(i))
		}
		_, _, err = b.client.Checks.UpdateCheckRun(ctx, "acme", "shop", run.GetID(), gh.UpdateCheckRunOptions{
			Name: "Flaresmith / Preview", Status: gh.String("completed"), Conclusion: gh.String("failure"),
			Output: &gh.CheckRunOutput{Title: gh.String("Failed"), Summary: gh.String("See"), Annotations: list},
		})
		check(t, err)
	}
	got, _, err := b.client.Checks.GetCheckRun(ctx, "acme", "shop", run.GetID())
	check(t, err)
	if got.GetOutput().GetAnnotationsCount() != 100 || got.GetConclusion() != "failure" || got.CompletedAt == nil {
		t.Errorf("run: %v", got)
	}
	annotations, _, err := b.client.Checks.ListCheckRunAnnotations(ctx, "acme", "shop", run.GetID(), &gh.ListOptions{PerPage: 100})
	check(t, err)
	list, _, err := b.client.Checks.ListCheckRunsForRef(ctx, "acme", "shop", sha, &gh.ListCheckRunsOptions{AppID: gh.Int64(1)})
	check(t, err)
	suites, _, err := b.client.Checks.ListCheckSuitesForRef(ctx, "acme", "shop", sha, nil)
	check(t, err)
	_, _, err = b.client.Checks.GetCheckSuite(ctx, "acme", "shop", suites.CheckSuites[0].GetID())
	check(t, err)
	if len(annotations) != 100 || list.GetTotal() != 1 || suites.GetTotal() != 1 {
		t.Errorf("%d annotations, %d runs, %d suites", len(annotations), list.GetTotal(), suites.GetTotal())
	}
	check(t, b.PressButton("acme/shop", run.GetID(), "rebuild", "octo-dev"))
	check(t, b.Rerequest("acme/shop", run.GetID(), "octo-dev"))
	check(t, b.RerequestSuite("acme/shop", sha, "octo-dev"))
	if err := b.PressButton("acme/shop", run.GetID(), "nothing", "octo-dev"); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("unknown button: %v", err)
	}
	want := []string{"check_run.created", "check_run.completed", "check_run.requested_action", "check_run.rerequested", "check_suite.rerequested"}
	if diff := cmp.Diff(want, b.events()); diff != "" {
		t.Error(diff)
	}
}

// TestLimits sends what GitHub refuses; the description is not asked, as it refuses these too.
func TestLimits(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t, func(c *github.Config) { c.Validate = false }), t.Context()
	_, sha := b.openPR("cart")
	output := func(f func(o *gh.CheckRunOutput)) gh.CreateCheckRunOptions {
		o := &gh.CheckRunOutput{Title: gh.String("t"), Summary: gh.String("s")}
		f(o)
		return gh.CreateCheckRunOptions{Name: "x", HeadSHA: sha, Output: o}
	}
	action := func(label, description, id string) gh.CreateCheckRunOptions {
		return gh.CreateCheckRunOptions{Name: "x", HeadSHA: sha, Actions: []*gh.CheckRunAction{{Label: label, Description: description, Identifier: id}}}
	}
	tests := []struct {
		name string
		in   gh.CreateCheckRunOptions
		want int
	}{
		{"summary at the limit", output(func(o *gh.CheckRunOutput) { o.Summary = gh.String(strings.Repeat("é", 65535)) }), 0},
		{"summary", output(func(o *gh.CheckRunOutput) { o.Summary = gh.String(strings.Repeat("a", 65536)) }), 422},
		{"text", output(func(o *gh.CheckRunOutput) { o.Text = gh.String(strings.Repeat("a", 65536)) }), 422},
		{"annotations", output(func(o *gh.CheckRunOutput) {
			o.Annotations = slices.Repeat([]*gh.CheckRunAnnotation{{Path: gh.String("a"), StartLine: gh.Int(1), EndLine: gh.Int(1), AnnotationLevel: gh.String("notice"), Message: gh.String("m")}}, 51)
		}), 422},
		{"action", action("Rebuild", "From the parent", "rebuild"), 0},
		{"action label", action(strings.Repeat("l", 21), "d", "i"), 422},
		{"action description", action("l", strings.Repeat("d", 41), "i"), 422},
		{"action identifier", action("l", "d", strings.Repeat("i", 21)), 422},
		{"four actions", gh.CreateCheckRunOptions{Name: "x", HeadSHA: sha, Actions: slices.Repeat([]*gh.CheckRunAction{{Label: "l", Description: "d", Identifier: "i"}}, 4)}, 422},
		{"completed without conclusion", gh.CreateCheckRunOptions{Name: "x", HeadSHA: sha, Status: gh.String("completed")}, 422},
		{"unknown commit", gh.CreateCheckRunOptions{Name: "x", HeadSHA: strings.Repeat("a", 40)}, 422},
	}
	for _, test := range tests {
		if _, _, err := b.client.Checks.CreateCheckRun(ctx, "acme", "shop", test.in); status(err) != test.want || (test.want == 0) != (err == nil) {
			t.Errorf("%s: %v, want %d", test.name, err, test.want)
		}
	}
}

func TestDeployments(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	_, sha := b.openPR("cart")
	_, _, err := b.client.Checks.CreateCheckRun(ctx, "acme", "shop", gh.CreateCheckRunOptions{Name: "tests", HeadSHA: sha})
	check(t, err)
	repos := b.client.Repositories
	request := &gh.DeploymentRequest{Ref: gh.String(sha), Environment: gh.String("preview-pr-1"), AutoMerge: gh.Bool(false), TransientEnvironment: gh.Bool(true), ProductionEnvironment: gh.Bool(false)}
	if _, _, err := repos.CreateDeployment(ctx, "acme", "shop", request); status(err) != http.StatusConflict {
		t.Errorf("with a pending check: %v, want 409", err)
	}
	request.RequiredContexts = &[]string{}
	first, _, err := repos.CreateDeployment(ctx, "acme", "shop", request)
	check(t, err)
	second, _, err := repos.CreateDeployment(ctx, "acme", "shop", request)
	check(t, err)
	state := func(id int64, state string) {
		_, _, err := repos.CreateDeploymentStatus(ctx, "acme", "shop", id, &gh.DeploymentStatusRequest{
			State: gh.String(state), EnvironmentURL: gh.String("http://a.localhost"), LogURL: gh.String("http://b.localhost"), AutoInactive: gh.Bool(false),
		})
		check(t, err)
	}
	state(second.GetID(), "success")
	if _, err := repos.DeleteDeployment(ctx, "acme", "shop", second.GetID()); status(err) != http.StatusUnprocessableEntity {
		t.Errorf("delete of an active one: %v", err)
	}
	state(second.GetID(), "inactive")
	_, err = repos.DeleteDeployment(ctx, "acme", "shop", second.GetID())
	check(t, err)
	_, err = repos.DeleteDeployment(ctx, "acme", "shop", first.GetID()) // the only one: allowed
	check(t, err)
	third, _, err := repos.CreateDeployment(ctx, "acme", "shop", request)
	check(t, err)
	state(third.GetID(), "in_progress")
	state(third.GetID(), "success")
	statuses, _, err := repos.ListDeploymentStatuses(ctx, "acme", "shop", third.GetID(), nil)
	check(t, err)
	_, _, err = repos.GetDeployment(ctx, "acme", "shop", third.GetID())
	check(t, err)
	list, _, err := repos.ListDeployments(ctx, "acme", "shop", &gh.DeploymentsListOptions{Environment: "preview-pr-1"})
	check(t, err)
	if len(list) != 1 || len(statuses) != 2 || statuses[0].GetState() != "success" {
		t.Errorf("%d deployments, statuses %v", len(list), statuses)
	}

	// auto_merge is on unless it is turned off: main moves on, and the branch gets it.
	_, err = b.Commit("acme/shop", "main", map[string]string{"more.txt": "x"}, "More")
	check(t, err)
	_, resp, err := repos.CreateDeployment(ctx, "acme", "shop", &gh.DeploymentRequest{Ref: gh.String("cart"), RequiredContexts: &[]string{}})
	if err != nil || resp.StatusCode != http.StatusAccepted {
		var accepted *gh.AcceptedError
		if !errors.As(err, &accepted) {
			t.Errorf("auto merge: %v", err)
		}
	}
	stored, err := b.Deployments("acme/shop")
	check(t, err)
	if len(stored) != 1 || stored[0].State() != "success" || !stored[0].Transient || stored[0].Production {
		t.Errorf("stored: %+v", stored)
	}
}

func TestPermissionOfPeople(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	for role, permission := range map[string]string{"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"} {
		check(t, b.SetRole("acme/shop", "octo-"+role, role))
		level, _, err := b.client.Repositories.GetPermissionLevel(ctx, "acme", "shop", "octo-"+role)
		check(t, err)
		if level.GetPermission() != permission || level.GetUser().GetRoleName() != role {
			t.Errorf("%s: %s, %s", role, level.GetPermission(), level.GetUser().GetRoleName())
		}
	}
	b.AddUser("octo-stranger")
	level, _, err := b.client.Repositories.GetPermissionLevel(ctx, "acme", "shop", "octo-stranger")
	check(t, err)
	if level.GetUser().GetRoleName() != "read" { // the repository is public
		t.Errorf("stranger: %s", level.GetUser().GetRoleName())
	}
	check(t, b.SetPrivate("acme/shop", true, "acme"))
	level, _, err = b.client.Repositories.GetPermissionLevel(ctx, "acme", "shop", "octo-stranger")
	check(t, err)
	if level.GetPermission() != "none" {
		t.Errorf("stranger on a private repository: %s", level.GetPermission())
	}
}

func TestRename(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	number, _ := b.openPR("cart")
	b.take()
	check(t, b.Rename("acme/shop", "acme/store", "octo-dev"))
	repo, _, err := b.client.Repositories.Get(ctx, "acme", "shop")
	check(t, err)
	if repo.GetName() != "store" {
		t.Errorf("old path leads to %s", repo.GetFullName())
	}
	if _, _, _, err := b.client.Repositories.GetContents(ctx, "acme", "shop", "src/index.ts", nil); err != nil {
		t.Error(err)
	}
	if _, _, err := b.client.Issues.CreateComment(ctx, "acme", "shop", number, &gh.IssueComment{Body: gh.String("after the rename")}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"repository.renamed", "issue_comment.created"}, b.events()); diff != "" {
		t.Error(diff)
	}
}

func TestConditionalGet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	get := func(tag string) *http.Response {
		req, err := b.client.NewRequest(http.MethodGet, "repos/acme/shop", nil)
		check(t, err)
		req.Header.Set("If-None-Match", tag)
		resp, _ := b.client.BareDo(context.Background(), req)
		return resp.Response
	}
	first := get("")
	_ = first.Body.Close()
	second := get(first.Header.Get("ETag"))
	if first.StatusCode != http.StatusOK || second.StatusCode != http.StatusNotModified {
		t.Errorf("%d, then %d", first.StatusCode, second.StatusCode)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	number, _ := b.openPR("cart")
	const comment = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments"
	write := func() error {
		_, _, err := b.client.Issues.CreateComment(ctx, "acme", "shop", number, &gh.IssueComment{Body: gh.String("x")})
		return err
	}
	tests := []struct {
		name    string
		fault   fault.Fault
		status  int // 0: no answer
		written int
	}{
		{"status", fault.Fault{Status: 502}, 502, 0},
		{"work, then fail", fault.Fault{Status: 502, After: true}, 502, 1},
		{"drop", fault.Fault{Drop: true}, 0, 0},
		{"work, then drop", fault.Fault{Drop: true, After: true}, 0, 1},
		{"secondary limit", github.RateLimited(403, time.Minute), 403, 0},
	}
	for _, test := range tests {
		before, err := b.Comments("acme/shop", number)
		check(t, err)
		b.client = b.clientFor(b.installation, nil) // go-github remembers a rate limit
		b.SetFaults(fault.Nth(2, 2, fault.OnRoute(comment, test.fault)))
		check(t, write())
		err = write()
		if err == nil || status(err) != test.status {
			t.Errorf("%s: %v", test.name, err)
		}
		after, _ := b.Comments("acme/shop", number)
		if got := len(after) - len(before) - 1; got != test.written {
			t.Errorf("%s: wrote %d, want %d", test.name, got, test.written)
		}
	}
	b.client = b.clientFor(b.installation, nil)
	b.SetFaults(fault.OnRoute(comment, github.PrimaryLimited(time.Now().Add(time.Hour))))
	var primary *gh.RateLimitError
	if err := write(); !errors.As(err, &primary) {
		t.Errorf("primary limit: %v", err)
	}
	b.client = b.clientFor(b.installation, nil)
	b.SetFaults(github.ContentLimit(2, time.Now))
	var secondary *gh.AbuseRateLimitError
	if err := errors.Join(write(), write()); err != nil {
		t.Errorf("below the limit: %v", err)
	}
	if err := write(); !errors.As(err, &secondary) || secondary.GetRetryAfter() <= 0 {
		t.Errorf("secondary limit: %v", err)
	}
	b.SetFaults()
	b.client = b.clientFor(b.installation, nil)
	b.ResetRequests()
	_, _, err := b.client.Repositories.Get(ctx, "acme", "shop")
	check(t, err)
	if len(b.Writes()) != 0 {
		t.Errorf("a read counted as a write: %v", b.Writes())
	}
	check(t, write())
	if len(b.Writes()) != 1 || b.Counts()[comment] != 1 {
		t.Errorf("writes %v, counts %v", b.Writes(), b.Counts())
	}
}
