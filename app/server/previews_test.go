package server

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
)

// With the driver worker-previews a pull request's Worker is a preview of one parent Worker: it answers from its own branch, is
// changed by a push, costs reads alone while nothing changes, and goes without a trace. Nothing is ever deployed to the parent. Another
// driver is another place: what was made before is deleted once the operator's table names it.
func TestWorkerPreviews(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newCloudWorldWith(t, filesIn(t, shopMain), shopSQL(t), atClouds{variables: map[string]string{"CLOUDFLARE_DRIVER": "worker-previews", "CLOUDFLARE_PARENT_WORKER": "shop-previews"}})
	pr, name := w.made()
	if calls := w.calls()["cloudflare"]; len(calls) > 8 { // those to the others are no driver's matter
		t.Errorf("a new preview and its parent took %d calls:\n%s", len(calls), strings.Join(calls, "\n"))
	}
	address := w.url()
	if want := "http://" + name + "-shop-previews.sim.workers.localhost:"; !strings.HasPrefix(address, want) {
		t.Errorf("the preview is at %s, want %s", address, want)
	}
	if status, body := w.get(address + "products"); status != http.StatusOK || !strings.Contains(body, "Teapot") {
		t.Errorf("GET products: %d %s", status, body)
	}
	wantOnlyPreview := func() cloudflare.Script {
		t.Helper()
		seen, ok := w.cloudflare.Preview("shop-previews", name)
		if names, parent := w.cloudflare.Names(), w.parentWorker("shop-previews"); !ok || !slices.Equal(names, []string{"shop-previews"}) || parent.Versions != 0 || parent.OnHost {
			t.Errorf("Workers %v, the preview is there: %t, the parent: %+v", names, ok, parent)
		}
		return seen
	}
	first := wantOnlyPreview()

	sha := w.push("feature/a", "changed")
	w.wantCheck(sha, "success")
	w.settle()
	if again := wantOnlyPreview(); again.Versions != first.Versions+1 {
		t.Errorf("%d versions became %d", first.Versions, again.Versions)
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
	w.wantIdentity(regexp.QuoteMeta(name + "-shop-previews.sim.workers.localhost"))
	w.changeDriver(pr, name)

	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.environment(pr); got.State != preview.StateArchived {
		t.Errorf("state %q, want archived", got.State)
	}
	w.wantNothingAt(name)
	if left := w.cloudflare.Previews("shop-previews"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	w.wantNoSecret(neonKey, cloudflareToken, postmanKey, "npg_")
	w.valid()
}

// changeDriver lets the operator go back to scripts: with a row of the table that still names the previews, they go.
func (w *cloudWorld) changeDriver(pr int, name string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "tenants.yml")
	table := "tenants: [{account: acme-old, parents: {main: shop}, neon: {api_key: n, project_id: p}, cloudflare: {api_token: " + cloudflareToken + ", account_id: " +
		w.cloudflare.AccountID() + ", api_url: '" + w.cloudflare.URL() + "', driver: worker-previews, parent_worker: shop-previews}}]"
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.stop()
	maps.Copy(w.config, map[string]string{"FLARESMITH_TENANTS_FILE": file, "CLOUDFLARE_DRIVER": "worker-per-pr", "CLOUDFLARE_PARENT_WORKER": ""})
	w.start()
	if err := w.server.store.WantProject(w.t.Context(), w.environment(pr).ProjectID); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
	if _, script := w.cloudflare.Script(name); !script || len(w.cloudflare.Previews("shop-previews")) != 0 {
		w.t.Errorf("the script is there: %t, previews %v", script, w.cloudflare.Previews("shop-previews"))
	}
	if status, body := w.get(w.url() + "products"); status != http.StatusOK || !strings.Contains(body, "Teapot") || strings.Contains(w.url(), "shop-previews") {
		w.t.Errorf("GET products at %s: %d %s", w.url(), status, body)
	}
	if there := w.postman.Value(name, "baseUrl"); there+"/" != w.url() {
		w.t.Errorf("Postman has the Worker at %s, and it is at %s", there, w.url())
	}
}

// parentWorker is a Worker of the account.
func (w *cloudWorld) parentWorker(name string) cloudflare.Script {
	w.t.Helper()
	seen, ok := w.cloudflare.Script(name)
	if !ok {
		w.t.Errorf("there is no Worker %s", name)
	}
	return seen
}
