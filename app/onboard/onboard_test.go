package onboard_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/onboard"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	sim "github.com/flaresmith/flaresmith/app/sim/github"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

// entitled is a store whose operator listed everybody.
type entitled struct{ *store.Store }

func (entitled) Entitlement(context.Context, preview.Project) (preview.Entitlement, error) {
	return preview.Entitlement{Parents: map[string]string{"main": "shop"}, DefaultParent: "main"}, nil
}

// bench is the stand-in GitHub with the repository acme/shop, and an Onboarder on a real store.
type bench struct {
	*testing.T
	sim       *sim.Server
	store     *store.Store
	onboarder *onboard.Onboarder
	project   preview.Project
}

func shop() map[string]string {
	return map[string]string{"wrangler.jsonc": worker, "src/index.ts": "export default {}\n"}
}

func setup(t *testing.T, files map[string]string) *bench {
	t.Helper()
	b := &bench{T: t, store: storetest.New(t)}
	var err error
	b.sim, err = sim.New(sim.Config{Dir: t.TempDir(), Validate: true})
	b.check(err)
	server := httptest.NewServer(b.sim)
	b.sim.SetURL(server.URL)
	t.Cleanup(func() {
		for _, v := range b.sim.Violations() {
			t.Errorf("not as GitHub describes it: %+v", v)
		}
		server.Close()
		b.check(b.sim.Close())
	})
	var content fs.FS // nil: an empty repository
	if files != nil {
		tree := fstest.MapFS{}
		for name, text := range files {
			tree[name] = &fstest.MapFile{Data: []byte(text)}
		}
		content = tree
	}
	repoID, err := b.sim.CreateRepo("acme", "shop", content, sim.RepoOptions{})
	b.check(err)
	installation, err := b.sim.Install("acme")
	b.check(err)
	app, err := github.New(github.Config{AppID: 1, PrivateKey: preview.Secret(b.sim.AppKeyPEM()), APIURL: b.sim.APIURL()})
	b.check(err)
	b.onboarder = &onboard.Onboarder{Store: entitled{b.store}, GitHub: app, Proposer: app, Logger: slog.New(slog.DiscardHandler)}
	b.project = b.installed(installation, repoID)
	return b
}

// installed is the project as an event of the installation makes it: without a default branch.
func (b *bench) installed(installation, repoID int64) preview.Project {
	b.Helper()
	p, err := b.store.EnsureProject(b.Context(), preview.Repository{InstallationID: installation, RepoID: repoID, Owner: "acme", Name: "shop"})
	b.check(err)
	return p
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) look() error {
	_, err := b.onboarder.Look(b.Context(), b.project.ID)
	return err
}

func (b *bench) pulls() []sim.PullRequest {
	b.Helper()
	list, err := b.sim.PRs("acme/shop")
	b.check(err)
	return list
}

func (b *bench) state() preview.Onboarding {
	b.Helper()
	o, err := b.store.Onboarding(b.Context(), b.project.ID)
	b.check(err)
	return o
}

// proposed is the one pull request that is there, as it must be.
func (b *bench) proposed() sim.PullRequest {
	b.Helper()
	list := b.pulls()
	if len(list) != 1 || list[0].Title != "Configure Flaresmith" || list[0].Author != "flaresmith[bot]" || !list[0].Open ||
		list[0].HeadRef != preview.ConfigureBranch || list[0].BaseRef != "main" {
		b.Fatalf("pull requests %+v", list)
	}
	return list[0]
}

func TestProposal(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	b.check(b.look())
	pr := b.proposed()
	if !strings.Contains(pr.Body, "Close this pull request. It will not be opened again") {
		t.Errorf("body:\n%s", pr.Body)
	}
	if got := b.state(); got.PR != pr.Number || got.Commit != pr.HeadSHA || got.Declined || got.Done || got.Note != "" {
		t.Errorf("state %+v", got)
	}
	if main, err := b.sim.Branch("acme/shop", "main"); err != nil || main != pr.BaseSHA {
		t.Errorf("the default branch moved to %s, %v", main, err)
	}
	b.sim.ResetRequests()
	b.check(b.look())
	if got := b.sim.Writes(); len(got) > 0 {
		t.Errorf("another look wrote %+v", got)
	}

	// The answer is GitHub's to keep: it holds for an installation that our database has never seen.
	b.check(b.sim.ClosePR("acme/shop", pr.Number, "octo-dev"))
	b.check(b.sim.Uninstall("acme", "octo-dev"))
	again, err := b.sim.Install("acme")
	b.check(err)
	b.project = b.installed(again, b.project.RepoID)
	for range 2 {
		b.check(b.look())
	}
	if got := b.state(); !got.Declined || len(b.pulls()) != 1 {
		t.Errorf("after no: %+v, %d pull requests", got, len(b.pulls()))
	}
}

func TestMerged(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	b.check(b.look())
	_, err := b.sim.MergePR("acme/shop", b.proposed().Number, "octo-dev")
	b.check(err)
	b.check(b.look())
	if got := b.state(); !got.Done || got.Declined {
		t.Errorf("state %+v", got)
	}
}

func TestNothingToPropose(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	with := func(name, text string) map[string]string {
		files := shop()
		files[name] = text
		return files
	}
	tests := []struct {
		name   string
		files  map[string]string
		change func(b *bench)
	}{
		{"no Worker", map[string]string{"README.md": "x"}, nil},
		{"configured", with(".github/flaresmith.yml", "# here\n"), nil},
		{"configured, but wrongly", with(".github/flaresmith.yml", "wrong: true\n"), nil},
		{"empty repository", nil, nil},
		{"archived", shop(), func(b *bench) { b.check(b.sim.Archive("acme/shop", true, "octo-dev")) }},
		{"organisation's default", shop(), func(b *bench) {
			_, err := b.sim.CreateRepo("acme", ".github", fstest.MapFS{"flaresmith.yml": {Data: []byte("preview: {}\n")}}, sim.RepoOptions{})
			b.check(err)
		}},
		{"somebody's branch", shop(), func(b *bench) {
			_, err := b.sim.Commit("acme/shop", preview.ConfigureBranch, map[string]string{"x": "y"}, "mine")
			b.check(err)
		}},
		{"a branch in the way", shop(), func(b *bench) {
			_, err := b.sim.Commit("acme/shop", "flaresmith", map[string]string{"x": "y"}, "mine")
			b.check(err)
		}},
		{"out of reach", shop(), func(b *bench) { b.check(b.sim.Uninstall("acme", "octo-dev")) }},
		{"not entitled", shop(), func(b *bench) { b.onboarder.Store = b.store }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, tt.files)
			if tt.change != nil {
				tt.change(b)
			}
			before, err := b.sim.Branch("acme/shop", preview.ConfigureBranch)
			b.check(err)
			b.check(b.look())
			after, err := b.sim.Branch("acme/shop", preview.ConfigureBranch)
			b.check(err)
			if len(b.pulls()) != 0 || before != after {
				t.Errorf("pull requests %+v, branch %q", b.pulls(), after)
			}
		})
	}
}

func TestFork(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	fork, err := b.sim.Fork("acme/shop", "octo-dev")
	b.check(err)
	repo, err := b.sim.Repository(fork)
	b.check(err)
	installation, err := b.sim.Install("octo-dev")
	b.check(err)
	b.project, err = b.store.EnsureProject(t.Context(), preview.Repository{InstallationID: installation, RepoID: repo.ID, Owner: "octo-dev", Name: "shop"})
	b.check(err)
	b.check(b.look())
	list, err := b.sim.PRs(fork)
	b.check(err)
	if len(list)+len(b.pulls()) != 0 {
		t.Errorf("pull requests %+v", list)
	}
}

// A permission that is missing is noted, and the next look after it was granted does the work.
func TestNotPermitted(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	granted := map[string]string{"metadata": "read", "contents": "read", "pull_requests": "write", "issues": "read", "checks": "write", "deployments": "write"}
	b.check(b.sim.AcceptPermissions("acme", granted, "octo-dev"))
	b.check(b.look())
	if got := b.state(); !strings.Contains(got.Note, "permissions") || len(b.pulls()) != 0 {
		t.Errorf("state %+v", got)
	}
	granted["contents"] = "write"
	b.check(b.sim.AcceptPermissions("acme", granted, "octo-dev"))
	b.sim.SetFaults(fault.Nth(1, 1, fault.OnRoute("POST /repos/{owner}/{repo}/git/refs",
		fault.Fault{Status: http.StatusForbidden, Body: `{"message":"Resource not accessible by integration"}`})))
	b.check(b.look())
	if got := b.state(); !strings.Contains(got.Note, "Resource not accessible by integration") || len(b.pulls()) != 0 {
		t.Errorf("state %+v", got)
	}
	b.check(b.look())
	if got := b.state(); got.Note != "" || got.PR != b.proposed().Number {
		t.Errorf("state %+v", got)
	}
}

// TestInterrupted fails each write in turn, before and after its work was done, as a kill between two
// of them does. Whatever was reached, later looks end in exactly one pull request.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"git/trees", "git/commits", "git/refs", "pulls"} {
		for _, bad := range []fault.Fault{{Drop: true}, {Drop: true, After: true}, {Status: http.StatusBadGateway, After: true}} {
			t.Run(fmt.Sprintf("%s after=%t drop=%t", route, bad.After, bad.Drop), func(t *testing.T) {
				t.Parallel()
				b := setup(t, shop())
				b.sim.SetFaults(fault.Nth(1, 1, fault.OnRoute("POST /repos/{owner}/{repo}/"+route, bad)))
				if err := b.look(); preview.Classify(err) != preview.ClassTransient {
					t.Fatalf("first look: %v", err)
				}
				// Meanwhile the repository goes on, and would be proposed something else.
				_, err := b.sim.Commit("acme/shop", "main", map[string]string{"db/meta/_journal.json": "{}"}, "more")
				b.check(err)
				b.check(b.look())
				pr := b.proposed()
				b.check(b.look())
				b.proposed()
				if got := b.state(); got.PR != pr.Number || got.Commit != pr.HeadSHA {
					t.Errorf("state %+v, pull request %+v", got, pr)
				}
			})
		}
	}
}

// The commit that was saved may be gone: GitHub collects those that no branch has.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	_, err := b.store.SaveOnboardingCommit(t.Context(), b.project.ID, "", strings.Repeat("a", 40))
	b.check(err)
	if err := b.look(); preview.Classify(err) != preview.ClassTransient {
		t.Fatalf("first look: %v", err)
	}
	b.check(b.look())
	b.proposed()
}

// A repository whose rules refused the branch went on meanwhile: what is proposed later is right for what is there
// then, and made from it.
func TestOutdatedCommit(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	b.sim.SetFaults(fault.Nth(1, 1, fault.OnRoute("POST /repos/{owner}/{repo}/git/refs",
		fault.Fault{Status: http.StatusForbidden, Body: `{"message":"Repository rule violations found"}`})))
	b.check(b.look())
	first := b.state().Commit
	if first == "" || len(b.pulls()) != 0 {
		t.Fatalf("commit %q, pull requests %+v", first, b.pulls())
	}
	head, err := b.sim.Commit("acme/shop", "main", map[string]string{"api/wrangler.jsonc": worker, "api/src/index.ts": "export default {}\n"}, "another Worker")
	b.check(err)
	b.check(b.look())
	pr := b.proposed()
	if pr.HeadSHA == first || pr.BaseSHA != head || b.state().Commit != pr.HeadSHA {
		t.Errorf("pull request %+v, commit before %s, head %s, state %+v", pr, first, head, b.state())
	}
	app, ok := b.onboarder.GitHub.(*github.App)
	if !ok {
		t.Fatal("not the real client")
	}
	parent, err := app.Parent(t.Context(), b.project, pr.HeadSHA)
	if err != nil || parent != head {
		t.Errorf("made from %s, %v; want %s", parent, err, head)
	}
	file, err := app.File(t.Context(), b.project, pr.HeadSHA, ".github/flaresmith.yml")
	if err != nil || !strings.Contains(string(file), "api/wrangler.jsonc") {
		t.Errorf("file %s, %v", file, err)
	}
}

// Two servers, or a delivery that came twice.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, shop())
	var group sync.WaitGroup
	failed := make([]error, 8)
	for i := range failed {
		group.Go(func() { failed[i] = b.look() })
	}
	group.Wait()
	for _, err := range failed {
		if err != nil && preview.Classify(err) != preview.ClassTransient {
			t.Error(err)
		}
	}
	b.check(b.look())
	b.proposed()
	if got := b.state(); got.Note != "" {
		t.Errorf("state %+v", got)
	}
}

// Somebody else's pull request from the branch is not ours to judge.
func TestForeignPullRequest(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	b.sim.SetFaults(fault.Nth(1, 1, fault.OnRoute("POST /repos/{owner}/{repo}/pulls", fault.Fault{Drop: true})))
	if err := b.look(); err == nil {
		t.Fatal("no error")
	}
	_, err := b.sim.OpenPR("acme/shop", "Mine", preview.ConfigureBranch, "", "octo-dev")
	b.check(err)
	b.check(b.look())
	authors := []string{}
	for _, pr := range b.pulls() {
		authors = append(authors, pr.Author)
	}
	if diff := cmp.Diff([]string{"octo-dev"}, authors); diff != "" || b.state().Note == "" {
		t.Errorf("%s, state %+v", diff, b.state())
	}
}

// While a repository waits for its moment, an event costs no look into its files.
func TestWaiting(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	for repo := range int64(10) { // the others' moments
		p, err := b.store.EnsureProject(t.Context(), preview.Repository{InstallationID: b.project.InstallationID, RepoID: b.project.RepoID + 1 + repo, Owner: "acme", Name: fmt.Sprint(repo)})
		b.check(err)
		_, err = b.store.OnboardingSlot(t.Context(), p)
		b.check(err)
	}
	var reads []int
	for range 2 {
		b.sim.ResetRequests()
		again, err := b.onboarder.Look(t.Context(), b.project.ID)
		if err != nil || again < 10*time.Minute {
			t.Errorf("wait %s, %v", again, err)
		}
		reads = append(reads, b.sim.Counts()["GET /repos/{owner}/{repo}/git/trees/{tree_sha}"])
	}
	if diff := cmp.Diff([]int{1, 0}, reads); diff != "" {
		t.Errorf("listings of files (-want +got):\n%s", diff)
	}
	if len(b.pulls()) != 0 {
		t.Errorf("pull requests %+v", b.pulls())
	}
}

func TestRateLimited(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	b := setup(t, shop())
	b.sim.SetFaults(fault.Nth(1, 1, fault.OnRoute("POST /repos/{owner}/{repo}/pulls", sim.RateLimited(http.StatusForbidden, 90*time.Second))))
	var limited *preview.TransientError
	if err := b.look(); !errors.As(err, &limited) || limited.After < 80*time.Second {
		t.Fatalf("%v", err)
	}
}
