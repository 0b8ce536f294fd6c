package postman_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	sim "github.com/flaresmith/flaresmith/app/sim/postman"
)

// missing skips a test for want of a tool, and fails in CI, where every tool must be.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// installNewman puts Postman's runner of collections into a folder.
func installNewman(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" is not installed")
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "newman"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-progress", "--no-package-lock")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, "npm can't install newman: "+err.Error()+"\n"+string(out))
	}
	return dir
}

// What the provider leaves at Postman runs: the requests of all files reach the preview's Workers, by the
// environment's addresses and the collections' variables, and no script of the repository is run.
func TestNewman(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the work is Node's: the race detector sees nothing of it")
	}
	dir := installNewman(t)
	var mu sync.Mutex
	var seen []string
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Method+" "+r.URL.String())
	}))
	defer target.Close()
	s := world(t, sim.Config{})
	r := resource(t)
	in := inputs(fstest.MapFS{
		"postman/shop.json": {Data: []byte(`{"info":{"name":"Shop","schema":"` + collectionSchema + `"},"variable":[{"key":"page","value":"7"}],
			"event":[{"listen":"prerequest","script":{"exec":["pm.sendRequest('` + target.URL + `/script')"]}}],
			"item":[{"name":"f","item":[{"name":"list","request":"{{baseUrl}}/products?page={{page}}"}]}]}`)},
		"postman/admin.json": file("Admin", `{"name":"stats","request":{"method":"POST","url":{"raw":"{{adminUrl}}/stats","host":["{{adminUrl}}"],"path":["stats"]}}}`),
	})
	in.Outputs = preview.Outputs{URL: target.URL, Workers: []preview.WorkerURL{{Name: "shop", URL: target.URL}, {Name: "admin", URL: target.URL + "/admin"}}}
	apply(t, provider(t, s), r, in)

	collections, environments := ids(t, s, r.Name)
	for name, path := range map[string]string{"collection": "/collections/" + collections[0], "environment": "/environments/" + environments[0]} {
		var body map[string]json.RawMessage
		get(t, s, path, &body)
		if err := os.WriteFile(filepath.Join(dir, name+".json"), body[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("node_modules", ".bin", "newman"), "run", "collection.json", "-e", "environment.json", "--color", "off")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("newman: %v\n%s", err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(seen)
	if diff := cmp.Diff([]string{"GET /products?page=7", "POST /admin/stats"}, seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
