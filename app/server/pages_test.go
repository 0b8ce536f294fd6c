package server

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
)

// With the driver pages a pull request's Worker is a project of Pages: it answers from its own branch, is changed by a push, costs
// reads alone while nothing changes, is never in production, and goes without a trace.
func TestPages(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newCloudWorldWith(t, filesIn(t, shopMain), shopSQL(t), atClouds{variables: map[string]string{"CLOUDFLARE_DRIVER": "pages"}})
	pr, name := w.made()
	if calls := w.calls()["cloudflare"]; len(calls) > 8 {
		t.Errorf("a new preview took %d calls:\n%s", len(calls), strings.Join(calls, "\n"))
	}
	address := w.url()
	if want := "http://preview." + name + ".pages.localhost:"; !strings.HasPrefix(address, want) {
		t.Errorf("the preview is at %s, want %s", address, want)
	}
	if status, body := w.get(address + "products"); status != http.StatusOK || !strings.Contains(body, "Teapot") {
		t.Errorf("GET products: %d %s", status, body)
	}
	deployed := func() cloudflare.PagesDeployment {
		t.Helper()
		seen, ok := w.cloudflare.PagesProject(name)
		if !ok || len(seen.Deployments) != 1 || seen.Deployments[0].Environment != "preview" || len(w.cloudflare.Names()) != 0 {
			t.Fatalf("the project is there: %t, with %d deployments; scripts: %v", ok, len(seen.Deployments), w.cloudflare.Names())
		}
		return seen.Deployments[0]
	}
	first := deployed()

	sha := w.push("feature/a", "changed")
	w.wantCheck(sha, "success")
	w.settle()
	if again := deployed(); again.ID == first.ID {
		t.Error("a push was not deployed")
	}
	w.forget()
	if err := w.server.store.WantProject(t.Context(), w.environment(pr).ProjectID); err != nil {
		t.Fatal(err)
	}
	w.settle()
	for system, requests := range w.calls() {
		if i := slices.IndexFunc(requests, func(r string) bool { return !strings.HasPrefix(r, "GET ") }); i >= 0 {
			t.Errorf("a pass over an unchanged preview wrote to %s: %s", system, requests[i])
		}
	}

	w.foreignDatabase()

	w.wantIdentity(`[0-9a-f]{8}\.` + regexp.QuoteMeta(name+".pages.localhost")) // the deployment's, not the alias

	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.environment(pr); got.State != preview.StateArchived {
		t.Errorf("state %q, want archived", got.State)
	}
	w.wantNothingAt(name)
	if _, left := w.cloudflare.PagesProject(name); left {
		t.Error("the project is left")
	}
	w.wantNoSecret(neonKey, cloudflareToken, postmanKey, "npg_")
	w.valid()
}
