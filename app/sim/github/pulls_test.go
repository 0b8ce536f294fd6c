package github_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

func TestLifeOfAPullRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Commit("acme/shop", "release", map[string]string{"r.txt": "r"}, "Release")
	check(t, err)
	b.take()
	number, sha := b.openPR("cart")
	check(t, b.SetDraft("acme/shop", number, true, "octo-dev"))
	check(t, b.SetDraft("acme/shop", number, false, "octo-dev"))
	check(t, b.Label("acme/shop", number, "preview", "octo-dev"))
	check(t, b.Unlabel("acme/shop", number, "preview", "octo-dev"))
	check(t, b.EditTitle("acme/shop", number, "A cart", "octo-dev"))
	check(t, b.Retarget("acme/shop", number, "release", "octo-dev"))
	check(t, b.Retarget("acme/shop", number, "main", "octo-dev"))
	check(t, b.ClosePR("acme/shop", number, "octo-dev"))
	check(t, b.Reopen("acme/shop", number, "octo-dev"))
	next, err := b.Commit("acme/shop", "cart", map[string]string{"src/cart.ts": "export const a = 2\n"}, "Two")
	check(t, err)
	group, err := b.RequestMergeGroup("acme/shop", number, "octo-dev")
	check(t, err)
	merged, err := b.MergePR("acme/shop", number, "octo-dev")
	check(t, err)
	seen := b.take()
	var names []string
	for _, one := range seen {
		if action, ok := one.payload["action"].(string); ok && one.event == "pull_request" {
			names = append(names, action)
		}
	}
	want := []string{
		"opened", "converted_to_draft", "ready_for_review", "labeled", "unlabeled", "edited", "edited", "edited", "closed", "reopened", "synchronize", "closed",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	last := seen[len(seen)-1].payload["pull_request"].(map[string]any)
	if last["merged"] != true || last["merge_commit_sha"] != merged {
		t.Errorf("last event: merged %v at %v", last["merged"], last["merge_commit_sha"])
	}
	if main, err := b.Branch("acme/shop", "main"); err != nil || main != merged {
		t.Errorf("main at %s, %v", main, err)
	}
	pr, err := b.PR("acme/shop", number)
	check(t, err)
	if pr.HeadSHA != next || next == sha || !pr.Merged || pr.Open || group == "" {
		t.Errorf("pull request %+v", pr)
	}
}

func TestForkPullRequest(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	fork, err := b.Fork("acme/shop", "octo-forker")
	check(t, err)
	sha, err := b.CommitAs("octo-forker", fork, "patch", map[string]string{"x.txt": "x"}, "Patch")
	check(t, err)
	number, err := b.OpenPR("acme/shop", "Patch", "octo-forker:patch", "", "octo-forker")
	check(t, err)
	got, _, err := b.client.PullRequests.Get(ctx, "acme", "shop", number)
	check(t, err)
	if got.GetHead().GetRepo().GetID() == got.GetBase().GetRepo().GetID() || got.GetHead().GetRepo().GetFullName() != fork || !got.GetHead().GetRepo().GetFork() || got.GetHead().GetSHA() != sha {
		t.Errorf("head %v", got.GetHead())
	}
	// The base repository has the commit, so that its archive and its check runs can be had.
	if _, _, err := b.client.Repositories.GetCommit(ctx, "acme", "shop", sha, nil); err != nil {
		t.Error(err)
	}
	b.take()
	_, err = b.CommitAs("octo-forker", fork, "patch", map[string]string{"x.txt": "y"}, "Patch again")
	check(t, err)
	if diff := cmp.Diff([]string{"pull_request.synchronize"}, b.events()); diff != "" { // the App sees nothing of the fork itself
		t.Error(diff)
	}
	check(t, b.DeleteRepo(fork, "octo-forker"))
	pr, err := b.PR("acme/shop", number)
	check(t, err)
	if pr.HeadRepo != "" || !pr.Open {
		t.Errorf("after the fork is gone: %+v", pr)
	}
}

func TestForcePushAndSharedBranch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, _ := b.openPR("cart")
	check(t, b.SetBranch("acme/shop", "stable", "main", "octo-dev"))
	two, err := b.OpenPR("acme/shop", "Also", "cart", "stable", "octo-dev")
	check(t, err)
	if _, err := b.OpenPR("acme/shop", "Twice", "cart", "stable", "octo-dev"); err == nil {
		t.Error("the same pull request was opened twice")
	}
	b.take()
	sha, err := b.ForceCommit("acme/shop", "cart", "main", map[string]string{"other.txt": "o"}, "Rewritten")
	check(t, err)
	seen := b.take()
	var names []string
	for _, event := range seen {
		names = append(names, event.event)
	}
	if diff := cmp.Diff([]string{"push", "check_suite", "pull_request", "pull_request"}, names); diff != "" {
		t.Fatal(diff)
	}
	if seen[0].payload["forced"] != true {
		t.Error("the push does not say that it was forced")
	}
	for _, number := range []int{one, two} {
		if pr, _ := b.PR("acme/shop", number); pr.HeadSHA != sha {
			t.Errorf("#%d at %s", number, pr.HeadSHA)
		}
	}
	check(t, b.SetBranch("acme/shop", "cart", "", "octo-dev"))
	if diff := cmp.Diff([]string{"pull_request.closed", "pull_request.closed"}, b.events("pull_request")); diff != "" {
		t.Error(diff)
	}
}

func TestRepositoryEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	must(t)(b.CreateRepo("globex", "plain", sample(), github.RepoOptions{Private: true, PersonalOwner: true}))
	must(t)(b.Install("globex"))
	must(t)(b.CreateRepo("globex", "second", nil, github.RepoOptions{}))
	b.take()
	check(t, b.SetPrivate("globex/plain", false, "globex"))
	check(t, b.SetPrivate("globex/plain", true, "globex"))
	check(t, b.Archive("globex/plain", true, "globex"))
	if status, _ := get(t, b.URL()+"/globex/plain.git/info/refs?service=git-upload-pack"); status != 401 {
		t.Errorf("private repository read by a stranger: %d", status)
	}
	check(t, b.Archive("globex/plain", false, "globex"))
	check(t, b.Rename("globex/plain", "globex/renamed", "globex"))
	check(t, b.Rename("globex/renamed", "acme/renamed", "globex"))
	check(t, b.DeleteRepo("globex/second", "globex"))
	got := strings.Join(b.events(), " ")
	want := "repository.publicized repository.privatized repository.archived repository.unarchived repository.renamed repository.deleted"
	if got != want { // acme's installation covers chosen repositories only, so nobody hears of the transfer
		t.Errorf("events %s", got)
	}
}

func TestDescriptionCatches(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *github.Config) { c.Validate = false })
	if got := b.Violations(); len(got) != 0 {
		t.Errorf("not asked to check, but %v", got)
	}
	checked, err := github.New(github.Config{Dir: t.TempDir(), Validate: true})
	check(t, err)
	t.Cleanup(func() { check(t, checked.Close()) })
	check(t, checked.Start("127.0.0.1:0"))
	must(t)(checked.CreateRepo("acme", "shop", sample(), github.RepoOptions{}))
	id := must(t)(checked.Install("acme"))
	b.Server = checked
	client := b.clientFor(id, nil)
	req, err := client.NewRequest("POST", "repos/acme/shop/check-runs", map[string]any{"name": 7})
	check(t, err)
	_, err = client.Do(t.Context(), req, nil)
	violations := checked.Violations()
	if err == nil || len(violations) != 1 || violations[0].Operation != "POST /repos/{owner}/{repo}/check-runs" || !strings.HasPrefix(violations[0].Reason, "request: ") {
		t.Errorf("%v; violations %v", err, violations)
	}
}
