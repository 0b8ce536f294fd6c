package server

import (
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// unconfigured is the sample repository before anybody configured it.
func unconfigured() fstest.MapFS {
	files := sampleFiles()
	delete(files, ".github/flaresmith.yml")
	return files
}

// pulls are the pull requests that the App opened in a repository.
func (w *world) proposals(repo string) (ours []github.PullRequest) {
	w.t.Helper()
	list, err := w.github.PRs(repo)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, pr := range list {
		if strings.HasSuffix(pr.Author, "[bot]") {
			ours = append(ours, pr)
		}
	}
	return ours
}

// proposal waits for the one pull request that proposes a configuration.
func (w *world) proposal() github.PullRequest {
	w.t.Helper()
	w.until("a configuration is proposed", func() bool { return len(w.proposals(testRepo)) > 0 })
	w.settle()
	list := w.proposals(testRepo)
	if len(list) != 1 {
		w.t.Fatalf("%d pull requests", len(list))
	}
	return list[0]
}

// silent fails the test when anything but the proposal itself was written to GitHub.
func (w *world) silent() {
	w.t.Helper()
	for _, r := range w.github.Writes() {
		if !strings.Contains(r.Route, "/git/") && r.Route != "POST /repos/{owner}/{repo}/pulls" {
			w.t.Errorf("before the merge: %s answered %d", r.Path, r.Status)
		}
	}
}

// again lets the installation event come once more, as after a redelivery.
func (w *world) again(event, action string) {
	w.t.Helper()
	for _, d := range w.github.Deliveries() {
		if d.Event == event && d.Action == action {
			if status := w.deliver(event, d.Payload); status >= http.StatusMultipleChoices {
				w.t.Fatalf("delivery: %d", status)
			}
		}
	}
}

func TestOnboarding(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, unconfigured(), nil)
	other, configured := unconfigured(), sampleFiles()
	delete(other, "wrangler.jsonc")
	first := w.proposal()
	if err := w.github.Uninstall("acme", "octo-lead"); err != nil { // and now with all three
		t.Fatal(err)
	}
	for name, files := range map[string]fstest.MapFS{"docs": other, "ready": configured} {
		if _, err := w.github.CreateRepo("acme", name, files, github.RepoOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.github.Install("acme"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.again("installation", "created")
	w.settle()
	if got := w.proposal(); got.Number != first.Number {
		t.Errorf("%+v", got)
	}
	for _, repo := range []string{"acme/docs", "acme/ready"} {
		if got := w.proposals(repo); len(got) != 0 {
			t.Errorf("%s: %+v", repo, got)
		}
	}

	// Other pull requests see nothing of Flaresmith yet, nor does this one.
	pr, sha := w.open("feature/a")
	w.settle()
	w.silent()
	if checks, err := w.github.CheckRuns(testRepo, first.HeadSHA); err != nil || len(checks) != 0 || w.cloud.total() != 0 {
		t.Errorf("checks %+v, %v; %d resources", checks, err, w.cloud.total())
	}

	if _, err := w.github.MergePR(testRepo, first.Number, "octo-lead"); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	if got := w.environment(pr); got.State != preview.StateActive {
		t.Errorf("after the merge: %+v", got)
	}
	_, next := w.open("feature/b")
	w.wantCheck(next, "success")
	w.settle()
	if checks, err := w.github.CheckRuns(testRepo, first.HeadSHA); err != nil || len(checks) != 0 {
		t.Errorf("checks on the merged proposal: %+v, %v", checks, err)
	}
	if len(comments(t, w, first.Number)) != 0 {
		t.Error("a comment on the merged proposal")
	}
	w.valid()
}

func TestOnboardingDeclined(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, unconfigured(), nil)
	first := w.proposal()
	if err := w.github.ClosePR(testRepo, first.Number, "octo-lead"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	var declined bool
	if err := w.server.store.Pool().QueryRow(t.Context(), `SELECT declined_at IS NOT NULL FROM onboardings`).Scan(&declined); err != nil || !declined {
		t.Errorf("declined %t, %v", declined, err)
	}
	if err := w.github.SetBranch(testRepo, preview.ConfigureBranch, "", "octo-lead"); err != nil {
		t.Fatal(err)
	}
	if err := w.github.Uninstall("acme", "octo-lead"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.github.Install("acme"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.again("installation", "created")
	w.settle()
	if got := w.proposals(testRepo); len(got) != 1 || got[0].Open {
		t.Errorf("after no: %+v", got)
	}
	w.silent()
	w.valid()
}

// TestOnboardingRestarted: the branch is there when the server stops, and the pull request is not.
func TestOnboardingRestarted(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x")}}, nil)
	w.settle()
	files := map[string]string{}
	for name, file := range unconfigured() {
		files[name] = string(file.Data)
	}
	if _, err := w.github.CommitAs("octo-dev", testRepo, "main", files, "a Worker"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.github.SetFaults(fault.OnRoute("POST /repos/{owner}/{repo}/pulls", fault.Fault{Drop: true}))
	w.again("installation", "created")
	w.until("the branch is there", func() bool {
		sha, err := w.github.Branch(testRepo, preview.ConfigureBranch)
		return err == nil && sha != ""
	})
	w.stop()
	w.github.SetFaults()
	w.start()
	w.proposal()
	w.silent()
	w.valid()
}

func TestOnboardingPermission(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x")}}, nil)
	w.settle()
	granted := map[string]string{"metadata": "read", "contents": "read", "issues": "read", "checks": "write", "deployments": "write", "pull_requests": "write"}
	if _, err := w.github.CreateRepo("acme", "late", unconfigured(), github.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.github.AcceptPermissions("acme", granted, "octo-lead"); err != nil {
		t.Fatal(err)
	}
	if err := w.github.AddRepos("acme", "late"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	var note string
	if err := w.server.store.Pool().QueryRow(t.Context(), `SELECT note FROM onboardings WHERE note <> ''`).Scan(&note); err != nil || len(w.proposals("acme/late")) != 0 {
		t.Errorf("note %q, %v, pull requests %+v", note, err, w.proposals("acme/late"))
	}
	granted["contents"] = "write"
	if err := w.github.AcceptPermissions("acme", granted, "octo-lead"); err != nil {
		t.Fatal(err)
	}
	w.until("the permission is used", func() bool { return len(w.proposals("acme/late")) == 1 })
	w.settle()
	w.valid()
}

// TestOnboardingLimited: a limit of GitHub's puts the proposal off and loses nothing.
func TestOnboardingLimited(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x")}}, nil)
	w.settle()
	w.github.SetFaults(fault.Nth(1, 3, fault.OnRoute("POST /repos/{owner}/{repo}/git/trees", github.RateLimited(http.StatusForbidden, time.Second))))
	if _, err := w.github.CreateRepo("acme", "late", unconfigured(), github.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.github.AddRepos("acme", "late"); err != nil {
		t.Fatal(err)
	}
	w.until("the proposal is made", func() bool { return len(w.proposals("acme/late")) == 1 })
	w.settle()
	w.valid()
}

func TestOnboardingOff(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, unconfigured(), map[string]string{"FLARESMITH_ONBOARDING": "false"})
	w.settle()
	if got := w.proposals(testRepo); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := w.github.Writes(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
