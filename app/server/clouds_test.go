package server

import (
	stdcmp "cmp"
	"context"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/neon"
	"github.com/flaresmith/flaresmith/app/sim/postman"
)

const (
	neonKey         = "napi_of_the_test"
	cloudflareToken = "cf-token-of-the-test"
	postmanKey      = "PMAK-of-the-test"
)

// cloudWorld is a world whose previews are made at stand-ins of Neon, Cloudflare and Postman.
type cloudWorld struct {
	*world
	neon       *neon.Server
	cloudflare *cloudflare.Server
	postman    *postman.Server
	seen       map[string]int // calls that are not counted any more
	questions  *questions
}

// closer is a stand-in.
type closer interface{ Close() error }

// atClouds is how the stand-ins and the server beside them differ from what most tests need.
type atClouds struct {
	neon       neon.Latency
	cloudflare cloudflare.Latency
	postman    time.Duration
	branches   int // that Neon's project has room for; 0: 2
	variables  map[string]string
	calls      func(*outbound.Policy) // nil: hurried
}

func newCloudWorld(t testing.TB, files fstest.MapFS, parent string) *cloudWorld {
	t.Helper()
	return newCloudWorldWith(t, files, parent, atClouds{})
}

func newCloudWorldWith(t testing.TB, files fstest.MapFS, parent string, at atClouds) *cloudWorld {
	t.Helper()
	w := &cloudWorld{}
	ends := func(s closer) {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	tools, err := embeddedtest.Tools()
	if err != nil {
		t.Fatal(err)
	}
	binaries, err := tools.Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w.neon, err = neon.New(t.Context(), neon.Config{Dir: dataFolder(t), BinDir: binaries, APIKey: neonKey, Validate: true, ByAddress: net.IPv4(127, 0, 0, 1),
		Branches: stdcmp.Or(at.branches, 2), Latency: at.neon}); err != nil {
		t.Fatal(err)
	}
	ends(w.neon)
	if w.cloudflare, err = cloudflare.New(cloudflare.Config{Workerd: embeddedtest.Workerd(t), Token: cloudflareToken,
		Reach: []string{"127.0.0.1"}, Trust: w.neon.CertificatePEM(), Latency: at.cloudflare}); err != nil {
		t.Fatal(err)
	}
	ends(w.cloudflare)
	if w.postman, err = postman.New(postman.Config{APIKey: postmanKey, Latency: at.postman}); err != nil {
		t.Fatal(err)
	}
	ends(w.postman)
	for _, s := range []interface {
		Start(ctx context.Context, address string) error
	}{w.neon, w.cloudflare, w.postman} {
		if err := s.Start(t.Context(), "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	w.questions = &questions{RoundTripper: reach(w.cloudflare)}
	query(t, w.neon.RootURI(), parent)
	cache, err := embedded.DefaultCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	calls := at.calls
	if calls == nil {
		calls = hurried
	}
	variables := map[string]string{
		"NEON_API_KEY": neonKey, "NEON_API_URL": w.neon.URL(), "NEON_PROJECT_ID": w.neon.ProjectID(), "NEON_BRANCH_MAIN": "main",
		"CLOUDFLARE_API_TOKEN": cloudflareToken, "CLOUDFLARE_API_URL": w.cloudflare.URL(), "CLOUDFLARE_ACCOUNT_ID": w.cloudflare.AccountID(),
		"POSTMAN_API_KEY": postmanKey, "POSTMAN_API_URL": w.postman.URL(), "POSTMAN_WORKSPACE_ID": w.postman.Team(),
		"FLARESMITH_PARENTS": "",
	}
	maps.Copy(variables, at.variables)
	w.world = newWorldWith(t, files, variables, Options{PackageCache: filepath.Join(cache, "npm"), StandIns: StandIns{NeonRoots: w.neon.Certificates(), WorkersURL: w.cloudflare.WorkersURL(), Reach: w.questions, Calls: calls}})
	return w
}

// hurried lets an outage of a cloud take seconds.
func hurried(p *outbound.Policy) {
	patient(p)
	if p.Provider == "github" {
		return
	}
	p.Retry.Base, p.Retry.Most, p.Breaker.OpenFor = time.Millisecond, time.Millisecond, time.Second
}

// reach leads to the Workers, whose hosts no resolver but a browser's knows.
func reach(s *cloudflare.Server) http.RoundTripper {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, s.Addr())
	}}
}

// get asks a Worker.
func (w *cloudWorld) get(url string) (status int, body string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := reach(w.cloudflare).RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// filesIn are those of a folder, as of the demo's sample repository, whose Worker asks its database.
func filesIn(t testing.TB, root string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		files[name] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func shopSQL(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/shop/parent.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// url is where the newest deployment of a pull request's preview is, once GitHub is told.
func (w *cloudWorld) url() (url string) {
	w.t.Helper()
	w.until("the deployment has an address", func() bool {
		deployments, err := w.github.Deployments(testRepo)
		if err != nil || len(deployments) == 0 {
			w.t.Fatalf("deployments: %v %v", deployments, err)
		}
		if statuses := deployments[len(deployments)-1].Statuses; len(statuses) > 0 {
			url = statuses[len(statuses)-1].EnvironmentURL
		}
		return url != ""
	})
	return url
}

// A pull request's preview is made at Neon, Cloudflare and Postman with few calls, answers from its own branch there, waits for
// a system that fails, and goes without a trace.
func TestCloudPreview(t *testing.T) {
	t.Parallel()
	w := newCloudWorld(t, filesIn(t, shopMain), shopSQL(t))
	pr, name := w.made()
	w.wantCalls("a new preview", map[string]int{"neon": 6, "cloudflare": 8, "postman": 3, "github": 12})
	if diff := cmp.Diff([]string{name + ".sim.workers.localhost"}, w.questions.taken()); diff != "" {
		t.Errorf("asked who they are (-want +got):\n%s", diff)
	}
	address := w.url()
	if !strings.HasPrefix(address, "http://"+name+".sim.workers.localhost:") {
		t.Errorf("the preview is at %s", address)
	}
	if status, body := w.get(address + "products"); status != http.StatusOK || !strings.Contains(body, "Teapot") {
		t.Errorf("GET products: %d %s", status, body)
	}
	if collections, environments := w.postman.Named(w.postman.Team(), name); collections != 1 || environments != 1 {
		t.Errorf("%d collections and %d environments at Postman", collections, environments)
	}

	w.statusPage(address)

	w.forget()
	project := w.environment(pr).ProjectID
	if err := w.server.store.WantProject(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	w.settle()
	for system, requests := range w.calls() {
		if i := slices.IndexFunc(requests, func(r string) bool { return !strings.HasPrefix(r, "GET ") }); i >= 0 {
			t.Errorf("a pass over an unchanged preview wrote to %s: %s", system, requests[i])
		}
	}
	w.foreignDatabase()
	w.outage(pr)
	w.postmanOutage(address)
	w.move(pr, name)

	// Neon's project has no room for a second preview: it waits until the first one is gone.
	second, sha := w.open("feature/b")
	if check := w.wantCheck(sha, "queued"); !strings.Contains(check.Summary, "no room for more than 1 of this repository") || !strings.Contains(check.Summary, "number 1 in the queue") {
		t.Errorf("the check of a preview without room: %s", check.Summary)
	}
	w.settle()
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	if err := w.github.ClosePR(testRepo, second, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantNothingAt(w.environment(second).Name)
	if got := w.environment(pr); got.State != preview.StateArchived {
		t.Errorf("state %q, want archived", got.State)
	}
	w.wantNothingAt(name)
	w.wantNoSecret(neonKey, cloudflareToken, postmanKey, "npg_")
	w.valid()
}

// made opens a pull request and waits for its preview.
func (w *cloudWorld) made() (pr int, name string) {
	w.t.Helper()
	sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/a", reviews(w.t), "Customers review products, with a migration")
	if err != nil {
		w.t.Fatal(err)
	}
	w.settle()
	w.forget() // what the push alone asked for
	if pr, err = w.github.OpenPR(testRepo, "Change", "feature/a", "", "octo-dev"); err != nil {
		w.t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	return pr, w.environment(pr).Name
}

// statusPage: it leads to the Worker and tells of the clouds, and offers neither logs nor files, which are not here.
func (w *cloudWorld) statusPage(address string) {
	w.t.Helper()
	link, err := w.server.OneTimeLink(w.t.Context(), testRepo, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	status, page := visitor(w.t, jar)(link)
	for text, want := range map[string]bool{address: true, "Neon": true, "Cloudflare": true, "Postman": true, "/files/": false, "15 minutes": false} {
		if status != http.StatusOK || strings.Contains(page, text) != want {
			w.t.Errorf("the status page answers %d, and that it has %q is %t:\n%s", status, text, !want, page)
		}
	}
}

// foreignDatabase: a Worker that has another database than its own, here the parent's, turns the check red, whatever it was given.
func (w *cloudWorld) foreignDatabase() {
	w.t.Helper()
	w.cloudflare.Rebind(func(name, text string) string {
		if name == "DATABASE_URL" {
			return w.neon.RootURI()
		}
		return text
	})
	check := w.wantCheck(w.push("feature/a", "bound to the parent"), "failure")
	if said := check.Title + check.Summary + check.Text; !strings.Contains(said, "not bound to its own database") || !strings.Contains(said, "which is not this environment's") || strings.Contains(said, "npg_") {
		w.t.Errorf("the check of a Worker with the parent's database: %s", said)
	}
	w.cloudflare.Rebind(nil)
	w.wantCheck(w.push("feature/a", "bound to its own"), "success")
	w.settle()
}

// outage: while Neon fails, it is soon called no more, the check and the status page say so, and nothing counts as a try.
func (w *cloudWorld) outage(pr int) {
	w.t.Helper()
	w.neon.SetFaults(func(*http.Request) *fault.Fault { return &fault.Fault{Status: http.StatusServiceUnavailable} })
	sha := w.push("feature/a", "while Neon is down")
	project, err := w.server.store.Project(w.t.Context(), w.environment(pr).ProjectID)
	if err != nil {
		w.t.Fatal(err)
	}
	states := map[string]string{}
	w.until("the check says that Neon is not called", func() bool {
		for _, s := range w.server.pages.Services.Services(w.t.Context(), project) {
			states[s.Name] = s.Breaker
		}
		check, ok := w.check(testRepo, sha)
		return ok && strings.Contains(check.Summary, "Neon fails too often") && states["neon"] == "open"
	})
	if diff := cmp.Diff(map[string]string{"github": "closed", "neon": "open", "cloudflare": "closed", "postman": "closed"}, states); diff != "" {
		w.t.Errorf("on the status page (-want +got):\n%s", diff)
	}
	opened := func() int { return int(w.sums(`^circuit_breaker_open_total\{provider="(neon)"`)["neon"]) }
	attempts, before := w.environment(pr).Attempts, opened()
	w.until("Neon is asked again, and fails", func() bool { return opened() > before })
	if got := w.environment(pr).Attempts; got > attempts+opened()-before {
		w.t.Errorf("%d attempts became %d while %d calls were let through", attempts, got, opened()-before)
	}
	if !strings.Contains(w.scraped(), `circuit_breaker_open_accounts{provider="neon"} 1`) {
		w.t.Error("the metrics do not say that Neon is left alone")
	}
	w.neon.SetFaults()
	w.wantCheck(sha, "success")
	w.settle()
	if !strings.Contains(w.scraped(), `circuit_breaker_open_accounts{provider="neon"} 0`) {
		w.t.Error("the metrics say that Neon is still left alone")
	}
}

// postmanOutage: the rest of a preview follows a push while Postman fails, and the check says what is missing until it is back.
func (w *cloudWorld) postmanOutage(address string) {
	w.t.Helper()
	w.postman.SetFaults(func(*http.Request) *fault.Fault { return &fault.Fault{Status: http.StatusServiceUnavailable} })
	sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/a", shopCommit(w.t, "stock"), "Stock, while Postman is down")
	if err != nil {
		w.t.Fatal(err)
	}
	w.until("the Worker and the database follow while Postman is down", func() bool {
		status, body := w.get(address + "products")
		return status == http.StatusOK && strings.Contains(body, `"stock"`)
	})
	w.until("the check says that Postman is waited for", func() bool {
		check, ok := w.check(testRepo, sha)
		return ok && check.Conclusion != "success" && strings.Contains(check.Summary, "Postman")
	})
	w.postman.SetFaults()
	w.wantCheck(sha, "success")
	w.settle()
}

// move: what was made at a place that the operator gives up is deleted there, as long as the table still names that place; until it
// does, nothing is lost.
func (w *cloudWorld) move(pr int, name string) {
	w.t.Helper()
	there := func(workspace string) int {
		collections, environments := w.postman.Named(workspace, name)
		return collections + environments
	}
	again := func(change map[string]string) {
		w.stop()
		maps.Copy(w.config, change)
		w.start()
		if err := w.server.store.WantProject(w.t.Context(), w.environment(pr).ProjectID); err != nil {
			w.t.Fatal(err)
		}
		w.settle()
	}
	again(map[string]string{"POSTMAN_WORKSPACE_ID": w.postman.Personal()})
	if got := w.environment(pr); got.State != preview.StateError || there(w.postman.Team()) != 2 || there(w.postman.Personal()) != 0 {
		w.t.Errorf("state %s, %d things at the old place, %d at the new", got.State, there(w.postman.Team()), there(w.postman.Personal()))
	}
	file := filepath.Join(w.t.TempDir(), "tenants.yml")
	table := "tenants: [{account: acme-old, parents: {main: shop}, postman: {api_key: " + postmanKey + ", workspace_id: " + w.postman.Team() +
		", api_url: '" + w.postman.URL() + "'}, neon: {api_key: n, project_id: p}, cloudflare: {api_token: t, account_id: a}}]"
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		w.t.Fatal(err)
	}
	again(map[string]string{"FLARESMITH_TENANTS_FILE": file})
	if got := w.environment(pr); got.State != preview.StateActive || there(w.postman.Team()) != 0 || there(w.postman.Personal()) != 2 {
		w.t.Errorf("state %s, %d things at the old place, %d at the new", got.State, there(w.postman.Team()), there(w.postman.Personal()))
	}
}

// requests are all that each system got, but those to GitHub that no preview causes.
func (w *cloudWorld) requests() map[string][]string {
	var toGitHub []string
	for _, r := range w.github.Requests() {
		if r.Route != "GET /app/hook/deliveries" && r.Route != "POST /app/installations/{installation_id}/access_tokens" {
			toGitHub = append(toGitHub, r.Method+" "+r.Path)
		}
	}
	return map[string][]string{"neon": w.neon.Requests(), "cloudflare": w.cloudflare.Requests(), "postman": w.postman.Requests(), "github": toGitHub}
}

// forget begins the counts of calls anew.
func (w *cloudWorld) forget() {
	w.github.ResetRequests()
	w.seen = map[string]int{}
	for system, requests := range w.requests() {
		w.seen[system] = len(requests)
	}
}

// calls are those since then. Whether, and how often, one has to look until a branch is ready depends on the machine, so that it does not count.
func (w *cloudWorld) calls() map[string][]string {
	const look = "GET /projects/{project_id}/operations/{operation_id}"
	all := map[string][]string{}
	for system, requests := range w.requests() {
		since := requests[w.seen[system]:]
		all[system] = slices.DeleteFunc(slices.Clone(since), func(r string) bool { return r == look })
		if looks := len(since) - len(all[system]); looks > 0 {
			w.t.Logf("%s was looked at %d times more until a branch was ready", system, looks)
		}
	}
	return all
}

func (w *cloudWorld) wantCalls(what string, most map[string]int) {
	w.t.Helper()
	for system, requests := range w.calls() {
		w.t.Logf("%s: %s %d of %d", what, system, len(requests), most[system])
		if len(requests) > most[system] {
			w.t.Errorf("%s took %d calls to %s, of %d:\n%s", what, len(requests), system, most[system], strings.Join(requests, "\n"))
		}
	}
}

// wantNothingAt looks whether anything of a preview is left at the stand-ins.
func (w *cloudWorld) wantNothingAt(name string) {
	w.t.Helper()
	collections, environments := w.postman.Names(w.postman.Team())
	more, others := w.postman.Names(w.postman.Personal())
	_, script := w.cloudflare.Script(name)
	if branches := w.neon.BranchesNamed(name); branches+len(collections)+len(environments)+len(more)+len(others) > 0 || script {
		w.t.Errorf("left: %d branches, collections %v %v, environments %v %v, a script: %t", branches, collections, more, environments, others, script)
	}
	for _, v := range w.neon.Violations() {
		w.t.Errorf("not as Neon describes it: %s", v)
	}
}
