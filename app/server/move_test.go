package server

import (
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
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
	w := newCloudWorldWith(t, filesIn(t, "../demo/sample"), shopSQL(t), atClouds{variables: map[string]string{"POSTMAN_API_KEY": "", "POSTMAN_WORKSPACE_ID": ""}})
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
	w := newCloudWorldWith(t, filesIn(t, "../demo/sample"), shopSQL(t), atClouds{variables: local})
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

// What a push to a long-lived branch deploys at Cloudflare is kept under a version's id, which the ledger and the status page tell, so
// that it can be gone back to.
func TestCoreVersionsAtClouds(t *testing.T) {
	t.Parallel()
	files := filesIn(t, "../demo/sample")
	files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte("environments:\n  dev: {branch: develop}\n")}
	w := newCloudWorldWith(t, files, shopSQL(t), atClouds{branches: 5})
	push := func(text string) string {
		sha, err := w.github.CommitAs("octo-dev", testRepo, "develop", map[string]string{"src/index.ts": remarked(t, text)}, text)
		if err != nil {
			t.Fatal(err)
		}
		w.settle()
		return sha
	}
	first, second := push("one"), push("two")
	name := query(t, w.config["DATABASE_URL"], `SELECT name FROM environments WHERE kind = 'dev'`)[0]
	core, err := w.server.store.EnvironmentByName(t.Context(), name)
	if err != nil || core.State != preview.StateActive || core.GoodSHA != second {
		t.Fatalf("%+v, %v", core, err)
	}
	kept, err := w.server.store.Deployments(t.Context(), []string{core.ID}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var shas []string
	for _, d := range kept[core.ID] {
		shas = append(shas, d.SHA)
		if d.Version == "" || d.Place != "cloudflare/"+w.cloudflare.AccountID() {
			t.Errorf("deployment %+v", d)
		}
	}
	if diff := cmp.Diff([]string{second, first}, shas); diff != "" {
		t.Fatalf("deployed (-want +got):\n%s", diff)
	}
	if script, ok := w.cloudflare.Script(name); !ok || script.Versions != 2 || script.Serving != kept[core.ID][0].Version {
		t.Errorf("at Cloudflare: %+v", script)
	}
	link, err := w.server.OneTimeLink(t.Context(), testRepo, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, page := visitor(t, jar)(link); status != http.StatusOK || !strings.Contains(page, kept[core.ID][0].Version) || !strings.Contains(page, kept[core.ID][1].Version) {
		t.Errorf("the status page answers %d without the versions:\n%s", status, page)
	}
	w.valid()
}

// remarked is the sample's Worker with a remark.
func remarked(t *testing.T, remark string) string {
	t.Helper()
	text, err := os.ReadFile("../demo/sample/src/index.ts")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "console.log(" + strconv.Quote(remark) + ");\n"
}
