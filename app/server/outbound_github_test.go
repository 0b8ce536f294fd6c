package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	sim "github.com/flaresmith/flaresmith/app/sim/github"
)

// TestGitHubOverOutbound holds the transport under the real SDKs: go-github and ghinstallation.
func TestGitHubOverOutbound(t *testing.T) {
	t.Parallel()
	world, err := sim.New(sim.Config{Dir: t.TempDir(), Validate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	var reached atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		world.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	world.SetURL(server.URL)
	repo, err := world.CreateRepo("acme", "shop", fstest.MapFS{"README.md": {Data: []byte("shop\n")}}, sim.RepoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	installation, err := world.Install("acme")
	if err != nil {
		t.Fatal(err)
	}
	policy := githubPolicy(world.APIURL())
	policy.Retry.Base, policy.Retry.Most = time.Millisecond, time.Millisecond
	calls := outbound.New(policy, nil, outbound.Options{})
	app, err := github.New(github.Config{AppID: 1, PrivateKey: preview.Secret(world.AppKeyPEM()), APIURL: world.APIURL(), Transport: calls})
	if err != nil {
		t.Fatal(err)
	}
	project := preview.Project{ID: "p", InstallationID: installation, RepoID: repo, Owner: "acme", Name: "shop", DefaultBranch: "main"}

	// A token and a read that fail twice each: the caller sees nothing of it.
	bad := fault.Fault{Status: http.StatusBadGateway}
	world.SetFaults(fault.Nth(1, 2, fault.OnRoute("POST /app/installations/{installation_id}/access_tokens", bad)),
		fault.Nth(1, 2, fault.OnRoute("GET /repos/{owner}/{repo}/branches/{branch}", bad)),
		fault.Nth(1, 2, fault.OnRoute("GET /repos/{owner}/{repo}/git/ref/{ref}", bad)))
	if _, err := app.BranchHead(t.Context(), project, "main"); err != nil {
		t.Fatal(err)
	}
	if n := reached.Load(); n != 6 {
		t.Errorf("%d requests, want 3 for the token and 3 for the branch", n)
	}

	// An outage: at the breaker's opening GitHub is left alone, and the passes are told to come back.
	world.SetFaults(func(*http.Request) *fault.Fault { return &bad })
	reached.Store(0)
	for range 50 {
		_, err := app.BranchHead(t.Context(), project, "main")
		if preview.Classify(err) != preview.ClassTransient {
			t.Fatalf("class of %v", err)
		}
	}
	if n := reached.Load(); n > 10 {
		t.Errorf("%d requests of 50 calls reached GitHub", n)
	}
	if s := calls.Status(); len(s) != 1 || s[0].Breaker != "open" {
		t.Errorf("%+v", s)
	}
}

// TestWordsWait: while GitHub lets little be told, previews are made all the same. Of their making the checks alone are told, and of what came of it
// everything.
func TestWordsWait(t *testing.T) {
	t.Parallel()
	const previews = 2
	told := &atomic.Bool{} // before the preview was there
	w := newWorldWith(t, sampleFiles(), nil, Options{StandIns: StandIns{Calls: func(p *outbound.Policy) {
		if p.Provider == "github" { // a creation every half a second, as there is after many of them
			patient(p) // who can't ask the database begins with empty buckets
			p.Budgets = outbound.GitHub().Budgets
			p.Budgets[1].Limit, p.Budgets[1].Window, p.Budgets[1].Burst = 5, 2*time.Second, 1
		}
	}}})
	w.github.SetFaults(func(r *http.Request) *fault.Fault {
		switch fault.RouteOf(r) {
		case "POST /repos/{owner}/{repo}/issues/{issue_number}/comments", "POST /repos/{owner}/{repo}/deployments":
			if w.states()[preview.StateActive] == 0 {
				told.Store(true)
			}
		}
		return nil
	})
	var prs []int
	var shas []string
	for i := range previews {
		pr, sha := w.open(fmt.Sprintf("feature/%d", i))
		prs, shas = append(prs, pr), append(shas, sha)
	}
	w.until("every preview serves", func() bool { return w.states()[preview.StateActive] == previews })
	for _, sha := range shas {
		w.wantCheck(sha, "success")
	}
	w.until("comments and deployments say so too", func() bool { return w.toldReady(previews) })
	w.settle()
	if told.Load() {
		t.Error("a comment or a deployment was made before the preview that it tells of")
	}
	deployments, err := w.github.Deployments(testRepo)
	if err != nil || len(deployments) != previews {
		t.Fatalf("%d deployments, %v", len(deployments), err)
	}
	for _, d := range deployments {
		if len(d.Statuses) != 1 || d.State() != "success" {
			t.Errorf("statuses of a deployment: %+v", d.Statuses)
		}
	}
	for _, pr := range prs {
		if list := comments(t, w, pr); len(list) != 1 || !strings.Contains(list[0].Body, "Flaresmith preview: ready") {
			t.Errorf("comments of pull request %d: %+v", pr, list)
		}
	}
	w.valid()
}
