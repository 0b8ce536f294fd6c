package github_test

import (
	"fmt"
	"sync"
	"testing"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

// TestAtOnce lets pushes, people and the App act on one repository at the same time.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	const people, rounds = 4, 3
	var wait sync.WaitGroup
	for i := range people {
		wait.Go(func() {
			branch := fmt.Sprintf("b%d", i)
			sha, err := b.Commit("acme/shop", branch, map[string]string{branch + ".txt": "0"}, "Start")
			if err != nil {
				t.Error(err)
				return
			}
			number, err := b.OpenPR("acme/shop", branch, branch, "", "octo-dev")
			if err != nil {
				t.Error(err)
				return
			}
			for round := range rounds {
				_, _, err1 := b.client.Checks.CreateCheckRun(ctx, "acme", "shop", gh.CreateCheckRunOptions{Name: "x", HeadSHA: sha})
				_, _, err2 := b.client.Issues.CreateComment(ctx, "acme", "shop", number, &gh.IssueComment{Body: gh.String("x")})
				_, _, _, err3 := b.client.Repositories.GetContents(ctx, "acme", "shop", "README.md", &gh.RepositoryContentGetOptions{Ref: branch})
				sha, err = b.Commit("acme/shop", branch, map[string]string{branch + ".txt": fmt.Sprint(round + 1)}, "More")
				if err != nil || err1 != nil || err2 != nil || err3 != nil {
					t.Error(err, err1, err2, err3)
				}
			}
		})
	}
	wait.Wait()
	prs, err := b.PRs("acme/shop")
	check(t, err)
	seen := map[string]int{}
	for _, name := range b.events() {
		seen[name]++
	}
	if len(prs) != people || seen["pull_request.opened"] != people || seen["pull_request.synchronize"] != people*rounds || seen["push"] != people*(rounds+1) || seen["check_run.created"] != people*rounds {
		t.Errorf("%d pull requests, events %v", len(prs), seen)
	}
}

func BenchmarkCreateRepo(b *testing.B) {
	server, err := github.New(github.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	for i := range b.N {
		if _, err := server.CreateRepo("acme", fmt.Sprintf("r%d", i), sample(), github.RepoOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
