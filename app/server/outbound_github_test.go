package server

import (
	"net/http"
	"net/http/httptest"
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
