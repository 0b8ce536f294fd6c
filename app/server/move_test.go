package server

import (
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	provider "github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// again restarts the server with other variables and wants a pass over the pull request's preview.
func (w *cloudWorld) again(pr int, change map[string]string) {
	w.t.Helper()
	w.stop()
	maps.Copy(w.config, change)
	w.start()
	if err := w.server.store.WantProject(w.t.Context(), w.environment(pr).ProjectID); err != nil {
		w.t.Fatal(err)
	}
}

// places are where the ledger says that a preview's things are, by kind.
func (w *cloudWorld) places(pr int) map[preview.Kind][]string {
	w.t.Helper()
	entries, err := w.server.store.Ledger(w.t.Context(), w.environment(pr).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[preview.Kind][]string{}
	for _, e := range entries {
		all[e.Kind] = append(all[e.Kind], e.Place)
	}
	return all
}

// files are what the server keeps of a preview's collection on this machine.
func (w *cloudWorld) files(name string) []string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.config["FLARESMITH_DATA_DIR"], "collections", name+"*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// Who begins with files and adds Postman's key later has the same previews there: the files go when what follows them is there, and
// not before.
func TestPostmanIsAddedLater(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newCloudWorldWith(t, filesIn(t, shopMain), shopSQL(t), atClouds{variables: map[string]string{"POSTMAN_API_KEY": "", "POSTMAN_WORKSPACE_ID": ""}})
	pr, name := w.made()
	if len(w.files(name)) == 0 {
		t.Fatal("no files were made")
	}
	w.postman.SetFaults(func(r *http.Request) *fault.Fault { return &fault.Fault{Status: http.StatusServiceUnavailable} })
	w.again(pr, map[string]string{"POSTMAN_API_KEY": postmanKey, "POSTMAN_WORKSPACE_ID": w.postman.Team()})
	w.until("Postman was called in vain", func() bool { return w.environment(pr).Attempts > 0 })
	if len(w.files(name)) == 0 {
		t.Error("the files went before there was anything at Postman")
	}
	w.postman.SetFaults()
	w.until("it is at Postman", func() bool { return w.environment(pr).State == preview.StateActive })
	w.settle()
	if collections, environments := w.postman.Named(w.postman.Team(), name); collections != 1 || environments != 1 {
		t.Errorf("%d collections and %d environments at Postman", collections, environments)
	}
	if left := w.files(name); len(left) > 0 {
		t.Errorf("left on this machine: %v", left)
	}
	if at := w.places(pr)[preview.KindCollection]; len(at) != 1 || !strings.HasPrefix(at[0], "postman/") {
		t.Errorf("the ledger has the collection at %v", at)
	}
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantNothingAt(name)
	w.valid()
}

// Who begins on one machine and names clouds later has the same previews there, and nothing is left on the machine.
func TestLocalThenClouds(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	parentURL := embeddedtest.Database(t)
	query(t, parentURL, shopSQL(t))
	u, err := url.Parse(parentURL)
	if err != nil {
		t.Fatal(err)
	}
	clouds := map[string]string{}
	local := map[string]string{
		"FLARESMITH_WORKERD": embeddedtest.Workerd(t), "FLARESMITH_BRANCH_DATABASE_URL": embeddedtest.Postgres(t),
		"FLARESMITH_PARENTS": "main=" + strings.TrimPrefix(u.Path, "/"), "FLARESMITH_DATA_DIR": filepath.Join(dataFolder(t), "data"),
		"FLARESMITH_PREVIEW_URL": "http://localhost:0",
	}
	for _, key := range []string{"NEON_API_KEY", "NEON_PROJECT_ID", "NEON_BRANCH_MAIN", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "POSTMAN_API_KEY", "POSTMAN_WORKSPACE_ID"} {
		local[key] = ""
	}
	w := newCloudWorldWith(t, filesIn(t, shopMain), shopSQL(t), atClouds{variables: local})
	maps.Copy(clouds, map[string]string{
		"NEON_API_KEY": neonKey, "NEON_PROJECT_ID": w.neon.ProjectID(), "NEON_BRANCH_MAIN": "main", "FLARESMITH_PARENTS": "",
		"CLOUDFLARE_API_TOKEN": cloudflareToken, "CLOUDFLARE_ACCOUNT_ID": w.cloudflare.AccountID(),
		"POSTMAN_API_KEY": postmanKey, "POSTMAN_WORKSPACE_ID": w.postman.Team(),
	})
	pr, name := w.made()
	if status, body := w.ask(name); status != http.StatusOK {
		t.Fatalf("on this machine: %d %s", status, body)
	}
	w.again(pr, clouds)
	w.until("it is at the clouds", func() bool {
		_, there := w.cloudflare.Script(name)
		return there && w.environment(pr).State == preview.StateActive
	})
	w.settle()
	if status, body := w.get(w.url() + "products"); status != http.StatusOK || !strings.Contains(body, "Teapot") {
		t.Errorf("at Cloudflare: %d %s", status, body)
	}
	w.wantNothingLeft(name)
	for kind, at := range w.places(pr) {
		if len(at) != 1 || !strings.Contains(at[0], "/") {
			t.Errorf("the ledger has the %s at %v", kind, at)
		}
	}
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantNothingAt(name)
	if _, err := os.Stat(filepath.Join(w.config["FLARESMITH_DATA_DIR"], "workers", name)); !os.IsNotExist(err) {
		t.Errorf("the Worker's folder: %v", err)
	}
	w.valid()
}

// A push to a long-lived branch migrates the branch of Neon's that the operator names, and no other. What it deploys at Cloudflare is
// kept under a version's id, which the ledger and the status page tell, so that it can be gone back to. Previews of one Worker are for
// previews: with that driver, too, it is a script, and the same one as before.
func TestCoreVersionsAtClouds(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := filesIn(t, shopMain)
	files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte("environments:\n  dev: {branch: develop}\n")}
	w := newCloudWorldWith(t, files, shopSQL(t), atClouds{branches: 5, variables: map[string]string{"NEON_BRANCH_DEV": "main", "NEON_REPOSITORY": testRepo}})
	push := func(text string) string {
		changed := reviews(t)
		changed["src/index.ts"] = sampleIndex(t) + "console.log(" + strconv.Quote(text) + ");\n"
		sha, err := w.github.CommitAs("octo-dev", testRepo, "develop", changed, text)
		if err != nil {
			t.Fatal(err)
		}
		w.settle()
		return sha
	}
	first := push("one")
	shas := []string{push("two"), first}
	name := query(t, w.config["DATABASE_URL"], `SELECT name FROM environments WHERE kind = 'dev'`)[0]
	if names := w.neon.Names(); !slices.Equal(names, []string{"main"}) {
		t.Errorf("branches at Neon: %v", names)
	}
	if found := query(t, w.neon.RootURI(), `SELECT to_regclass('public.reviews')::text`); found[0] != "reviews" {
		t.Errorf("reviews in the branch of dev: %v", found)
	}
	w.wantVersions(name, shas)
	w.stopAsPreview(name)
	w.config["CLOUDFLARE_DRIVER"] = string(provider.DriverPreviews)
	w.start()
	shas = append([]string{push("three")}, shas...)
	kept := w.wantVersions(name, shas)
	if left := w.cloudflare.Previews(provider.DefaultParentWorker); len(left) > 0 {
		t.Errorf("previews at Cloudflare: %v", left)
	}
	link, err := w.server.OneTimeLink(t.Context(), testRepo, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, page := visitor(t, jar)(link); status != http.StatusOK || !strings.Contains(page, kept[0].Version) || !strings.Contains(page, kept[1].Version) {
		t.Errorf("the status page answers %d without the versions:\n%s", status, page)
	}
	w.keepsItsDatabase(name, push)
	w.valid()
}

// keepsItsDatabase: where the operator's table no longer names the branch, as after the repository was renamed, its environment gets no
// copy in that one's place, and what serves goes on.
func (w *cloudWorld) keepsItsDatabase(name string, push func(text string) string) {
	w.t.Helper()
	before, _ := w.cloudflare.Script(name)
	again := func(repository string) (preview.Environment, string) {
		w.t.Helper()
		w.stop()
		w.config["NEON_REPOSITORY"] = repository
		w.start()
		sha := push("for " + repository)
		core, err := w.server.store.EnvironmentByName(w.t.Context(), name)
		if err != nil {
			w.t.Fatal(err)
		}
		return core, sha
	}
	core, _ := again("acme/other")
	if now, _ := w.cloudflare.Script(name); core.State != preview.StateError || now.Serving != before.Serving || !slices.Equal(w.neon.Names(), []string{"main"}) {
		w.t.Errorf("%s, branches at Neon: %v, %s served and %s does", core.State, w.neon.Names(), before.Serving, now.Serving)
	}
	if core, sha := again(testRepo); core.State != preview.StateActive || core.GoodSHA != sha {
		w.t.Errorf("named again: %+v", core)
	}
}

// stopAsPreview stops the server and leaves the ledger and Cloudflare as a release did that ran long-lived environments as previews of one Worker.
func (w *cloudWorld) stopAsPreview(name string) {
	w.t.Helper()
	core, err := w.server.store.EnvironmentByName(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	before, err := provider.New(provider.Config{APIURL: w.cloudflare.URL(), Token: cloudflareToken, AccountID: w.cloudflare.AccountID(), Driver: provider.DriverPreviews,
		HostsURL: w.cloudflare.WorkersURL(), Reach: reach(w.cloudflare)})
	if err != nil {
		w.t.Fatal(err)
	}
	source := []preview.Module{{Name: "index.js", Type: preview.ModuleES, Content: []byte(`export default { fetch() { return new Response("before"); } };`)}}
	if _, err := before.Apply(w.t.Context(), preview.Resource{Kind: preview.KindWorker, Name: name, Digest: "1", Mark: preview.Mark{Project: core.ProjectID, Environment: core.ID}},
		preview.Inputs{Bundle: &preview.Bundle{MainModule: "index.js", Modules: source, CompatibilityDate: "2026-01-01"}}); err != nil {
		w.t.Fatal(err)
	}
	w.stop()
	query(w.t, w.config["DATABASE_URL"], `UPDATE resources SET place = place || '/worker-previews/flaresmith' WHERE kind = 'worker'`)
}

// wantVersions wants a long-lived environment's Worker to be a script with a version of each commit, the newest first, which serves.
func (w *cloudWorld) wantVersions(name string, shas []string) []preview.Deployment {
	w.t.Helper()
	core, err := w.server.store.EnvironmentByName(w.t.Context(), name)
	if err != nil || core.State != preview.StateActive || core.GoodSHA != shas[0] {
		w.t.Fatalf("%+v, %v", core, err)
	}
	all, err := w.server.store.Deployments(w.t.Context(), []string{core.ID}, 10)
	if err != nil {
		w.t.Fatal(err)
	}
	kept := all[core.ID]
	var got []string
	for _, d := range kept {
		got = append(got, d.SHA)
		if d.Version == "" || d.Place != "cloudflare/"+w.cloudflare.AccountID() {
			w.t.Errorf("deployment %+v", d)
		}
	}
	if diff := cmp.Diff(shas, got); diff != "" {
		w.t.Fatalf("deployed (-want +got):\n%s", diff)
	}
	if script, ok := w.cloudflare.Script(name); !ok || script.Versions != len(shas) || script.Serving != kept[0].Version {
		w.t.Errorf("at Cloudflare: %+v", script)
	}
	return kept
}
