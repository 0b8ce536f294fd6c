package server

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
)

// What a pull request binds its Worker to counts where the default branch lists it, whatever the pull request itself lists,
// and a shorter list turns the check red.
func TestCloudBindings(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	const head = `{"name": "shop", "main": "src/index.js", "compatibility_date": "2026-10-01",` + "\n"
	files := sampleFiles()
	files["wrangler.jsonc"] = &fstest.MapFile{Data: []byte(head + `"kv_namespaces": [{"binding": "CACHE", "id": "production"}]}`)}
	files["src/index.js"] = &fstest.MapFile{Data: []byte("export default { async fetch(r, env) { return new Response(String(await env.CACHE.get('a'))); } };\n")}
	w := newCloudWorld(t, files, `CREATE TABLE items (id int PRIMARY KEY)`)
	w.cloudflare.Add("kv_namespace", "production")
	w.cloudflare.Add("kv_namespace", "0f1e")
	commit := func(branch string, files map[string]string) string {
		t.Helper()
		sha, err := w.github.CommitAs("octo-dev", testRepo, branch, files, "change")
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	sha := commit("feature/a", map[string]string{repoconfig.Path: "bindings: {allow: ['kv:production']}\n"})
	pr, err := w.github.OpenPR(testRepo, "Change", "feature/a", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	const refused = `the KV namespace "CACHE" leads to "production", which bindings.allow of the default branch does not list`
	check := w.wantCheck(sha, "failure")
	var at []string
	for _, a := range check.Annotations {
		if strings.Contains(a.Message, refused) {
			at = append(at, a.Path)
		}
	}
	if diff := cmp.Diff([]string{"wrangler.jsonc"}, at); diff != "" {
		t.Errorf("annotations of the refusal (-want +got):\n%s\n%s", diff, check.Summary)
	}
	name := w.environment(pr).Name
	if _, ok := w.cloudflare.Script(name); ok {
		t.Error("a script is there")
	}

	commit("main", map[string]string{repoconfig.Path: "bindings: {allow: ['kv:0f1e']}\n"})
	sha = commit("feature/a", map[string]string{"wrangler.jsonc": head + `"kv_namespaces": [{"binding": "CACHE", "id": "production"}],
		"env": {"preview": {"kv_namespaces": [{"binding": "CACHE", "id": "0f1e"}]}}}`})
	w.wantCheck(sha, "success")
	script, _ := w.cloudflare.Script(name)
	if diff := cmp.Diff(cloudflare.Binding{Type: "kv_namespace", Text: "0f1e"}, script.Bindings["CACHE"]); diff != "" {
		t.Errorf("bound to (-want +got):\n%s", diff)
	}
	if status, body := w.get(w.url()); status != 200 || body != "null" {
		t.Errorf("the Worker answers %d %s", status, body)
	}

	commit("main", map[string]string{repoconfig.Path: "bindings: {allow: ['kv:beef']}\n"})
	w.wantCheck(sha, "failure")
}
