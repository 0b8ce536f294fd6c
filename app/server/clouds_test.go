package server

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
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
}

// closer is a stand-in.
type closer interface{ Close() error }

func newCloudWorld(t *testing.T, files fstest.MapFS, parent string) *cloudWorld {
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
	if w.neon, err = neon.New(t.Context(), neon.Config{Dir: dataFolder(t), BinDir: binaries, APIKey: neonKey, Validate: true, ByAddress: true}); err != nil {
		t.Fatal(err)
	}
	ends(w.neon)
	if w.cloudflare, err = cloudflare.New(cloudflare.Config{Workerd: embeddedtest.Workerd(t), Token: cloudflareToken,
		Reach: []string{"127.0.0.1"}, Trust: w.neon.CertificatePEM()}); err != nil {
		t.Fatal(err)
	}
	ends(w.cloudflare)
	if w.postman, err = postman.New(postman.Config{APIKey: postmanKey}); err != nil {
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
	query(t, w.neon.RootURI(), parent)
	cache, err := embedded.DefaultCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	w.world = newWorldWith(t, files, map[string]string{
		"NEON_API_KEY": neonKey, "NEON_API_URL": w.neon.URL(), "NEON_PROJECT_ID": w.neon.ProjectID(), "NEON_BRANCH_MAIN": "main",
		"CLOUDFLARE_API_TOKEN": cloudflareToken, "CLOUDFLARE_API_URL": w.cloudflare.URL(), "CLOUDFLARE_ACCOUNT_ID": w.cloudflare.AccountID(),
		"POSTMAN_API_KEY": postmanKey, "POSTMAN_API_URL": w.postman.URL(), "POSTMAN_WORKSPACE_ID": w.postman.Team(),
		"FLARESMITH_PARENTS": "",
	}, Options{PackageCache: filepath.Join(cache, "npm"), StandIns: StandIns{WorkersURL: w.cloudflare.WorkersURL(), Reach: reach(w.cloudflare)}})
	return w
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

// shopFiles is the demo's sample repository, whose Worker asks its database.
func shopFiles(t *testing.T) fstest.MapFS {
	t.Helper()
	const root = "../demo/sample"
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

func shopSQL(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../demo/story/parent.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// urls are where the newest deployment of a pull request's preview is.
func (w *cloudWorld) url() string {
	w.t.Helper()
	deployments, err := w.github.Deployments(testRepo)
	if err != nil || len(deployments) == 0 {
		w.t.Fatalf("deployments: %v %v", deployments, err)
	}
	statuses := deployments[len(deployments)-1].Statuses
	return statuses[len(statuses)-1].EnvironmentURL
}

// A pull request's preview is made at Neon, Cloudflare and Postman, and answers from its own branch there.
func TestCloudPreview(t *testing.T) {
	t.Parallel()
	files := shopFiles(t)
	for name := range files {
		if strings.HasPrefix(name, "drizzle/") {
			delete(files, name)
		}
	}
	w := newCloudWorld(t, files, shopSQL(t))
	sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/a", map[string]string{"README.md": "changed"}, "change")
	if err != nil {
		t.Fatal(err)
	}
	pr, err := w.github.OpenPR(testRepo, "Change", "feature/a", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	name := w.environment(pr).Name
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
	t.Log("neon", w.neon.Requests(), "cloudflare", w.cloudflare.Requests(), "postman", w.postman.Requests())

	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.environment(pr); got.State != preview.StateArchived {
		t.Errorf("state %q, want archived", got.State)
	}
	w.wantNothingAt(name)
	w.wantNoSecret(neonKey, cloudflareToken, postmanKey, "npg_")
	w.valid()
}

// wantNothingAt looks whether anything of a preview is left at the stand-ins.
func (w *cloudWorld) wantNothingAt(name string) {
	w.t.Helper()
	collections, environments := w.postman.Named(w.postman.Team(), name)
	_, script := w.cloudflare.Script(name)
	if branches := w.neon.BranchesNamed(name); branches+collections+environments > 0 || script {
		w.t.Errorf("left: %d branches, %d collections, %d environments, a script: %t", branches, collections, environments, script)
	}
	for _, v := range w.neon.Violations() {
		w.t.Errorf("not as Neon describes it: %s", v)
	}
}
