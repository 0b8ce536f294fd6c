package server

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// diagnose gives the lines that a person sees, after changes of the variables.
func (w *world) diagnose(changes map[string]string) (lines string, amiss int) {
	w.t.Helper()
	variables := maps.Clone(w.config)
	maps.Copy(variables, changes)
	c, err := config.Load(variables)
	if err != nil {
		w.t.Fatal(err)
	}
	var out strings.Builder
	amiss = Diagnose(w.t.Context(), c, w.options, func(f preview.Finding) {
		if err := WriteFinding(&out, f); err != nil {
			w.t.Fatal(err)
		}
	})
	for _, secret := range c.Secrets() {
		if strings.Contains(out.String(), secret.Reveal()) {
			w.t.Errorf("a secret is shown:\n%s", out.String())
		}
	}
	return out.String(), amiss
}

func (w *world) expectFindings(changes map[string]string, amiss int, want ...string) {
	w.t.Helper()
	lines, got := w.diagnose(changes)
	for _, text := range want {
		if !strings.Contains(lines, text) {
			w.t.Errorf("%v: no %q", changes, text)
			got = -1
		}
	}
	if got != amiss {
		w.t.Errorf("%v: %d amiss, want %d:\n%s", changes, got, amiss, lines)
	}
}

// TestDoctorOfClouds looks at accounts at clouds that work, and at each one broken in turn.
func TestDoctorOfClouds(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newCloudWorld(t, sampleFiles(), `CREATE TABLE products (id int)`)
	// The stand-in's App was not asked for merge queues.
	const missing = "FAIL  GitHub permissions: lacks merge_queues: read\n      → grant them on the App's settings at GitHub, Permissions & events"
	hook := map[string]string{"FLARESMITH_URL": w.server.URL()}
	w.expectFindings(hook, 1, missing, "ok    Own database: answers", "ok    GitHub App: is flaresmith, id 7", "ok    GitHub events", "ok    GitHub webhook: delivers to http://",
		"ok    Installation at acme: reaches all repositories", "ok    Neon project", "ok    Neon branch main: has the database", "ok    Cloudflare Workers: can be read",
		"ok    Cloudflare workers.dev: previews answer below", "ok    Postman workspace")
	for _, tt := range []struct {
		set   map[string]string
		amiss int
		want  []string
	}{
		{map[string]string{"FLARESMITH_URL": "https://elsewhere.example"}, 2, []string{"FAIL  GitHub webhook: delivers to", "not to https://elsewhere.example/api/github/hook"}},
		{map[string]string{"FLARESMITH_ALLOWED_ORGS": "acme,octo"}, 2, []string{"FAIL  Installation at octo: is not there", "→ install the App: http"}},
		{map[string]string{"GITHUB_APP_ID": "8"}, 1, []string{"FAIL  GitHub App: GitHub answers 404", "→ check GITHUB_APP_ID"}},
		{map[string]string{"NEON_API_KEY": "napi_wrong"}, 2, []string{"FAIL  Neon project", "neon answers 401", "set NEON_API_KEY"}},
		{map[string]string{"NEON_PROJECT_ID": "unknown-project"}, 2, []string{"FAIL  Neon project unknown-project", "check NEON_PROJECT_ID"}},
		{map[string]string{"NEON_BRANCH_MAIN": "trunk"}, 2, []string{"FAIL  Neon branch trunk: is not in the project, which has main"}},
		{map[string]string{"NEON_BRANCH_PROD": "live"}, 3, []string{"FAIL  Neon branch main: the branch that NEON_BRANCH_PROD names is not in the project", "→ name a branch of the project in NEON_BRANCH_PROD, by its id",
			`FAIL  Neon branch live of prod: the environment's branch at Neon can't be used: the branch "live", which the operator names for this environment, is not in the project`}},
		{map[string]string{"NEON_DATABASE": "none"}, 2, []string{`FAIL  Neon branch main: the branch has no database "none"`, "set NEON_DATABASE"}},
		{map[string]string{"CLOUDFLARE_API_TOKEN": "wrong-token"}, 2, []string{"FAIL  Cloudflare Workers", "→ give the API token the permission Account · Workers Scripts · Edit"}},
		{map[string]string{"CLOUDFLARE_DRIVER": "worker-previews"}, 1, []string{"ok    Cloudflare Workers: can be read", "Account · Workers Scripts · Edit", "ok    Cloudflare Worker Previews: the Worker flaresmith is made"}},
		{map[string]string{"CLOUDFLARE_DRIVER": "pages"}, 1, []string{"ok    Cloudflare Pages: can be read: 0 projects", "Account · Cloudflare Pages · Edit"}},
		{map[string]string{"CLOUDFLARE_DRIVER": "pages", "CLOUDFLARE_API_TOKEN": "wrong-token"}, 2, []string{"FAIL  Cloudflare Pages", "→ give the API token the permission Account · Cloudflare Pages · Edit"}},
		{map[string]string{"POSTMAN_API_KEY": "PMAK-wrong"}, 2, []string{"FAIL  Postman workspace", "set POSTMAN_API_KEY"}},
		{map[string]string{"POSTMAN_WORKSPACE_ID": "7e5c7a04-0000-4000-8000-000000000000"}, 2, []string{"FAIL  Postman workspace", "check POSTMAN_WORKSPACE_ID"}},
		{map[string]string{"FLARESMITH_ULR": "x"}, 2, []string{"FAIL  Configuration: FLARESMITH_ULR: is no variable of this server; did you mean FLARESMITH_URL?"}},
	} {
		set := maps.Clone(hook)
		maps.Copy(set, tt.set)
		w.expectFindings(set, tt.amiss, append(tt.want, "FAIL  GitHub ")...)
	}
	// Two rows of one account, of which each thing is told once.
	clouds := "neon: {api_key: " + neonKey + ", api_url: '" + w.neon.URL() + "', project_id: " + w.neon.ProjectID() + ", branches: {main: main, prod: live}}, cloudflare: {api_token: " +
		cloudflareToken + ", api_url: '" + w.cloudflare.URL() + "', account_id: " + w.cloudflare.AccountID() + "}"
	table := map[string]string{"FLARESMITH_TENANTS_FILE": filepath.Join(t.TempDir(), "tenants.yml"), "FLARESMITH_ALLOWED_ORGS": "", "FLARESMITH_URL": w.server.URL()}
	if err := os.WriteFile(table["FLARESMITH_TENANTS_FILE"], []byte("tenants:\n- {account: acme, "+clouds+"}\n- {account: acme, repositories: [web], parents: {x: other}, "+clouds+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.expectFindings(table, 4, "FAIL  Neon branch main: the branch that NEON_BRANCH_PROD", "FAIL  Neon branch other: is not in the project", "FAIL  Neon branch live of prod")
	for system, requests := range w.requests() {
		if at := slices.IndexFunc(requests, func(request string) bool { return !strings.HasPrefix(request, http.MethodGet+" ") }); at >= 0 || len(requests) == 0 {
			t.Errorf("%s was not only read: %v", system, requests)
		}
	}
}

// TestDoctorHere looks at what makes previews on this machine.
func TestDoctorHere(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	const parent = "postgres" // a database that is there
	set := map[string]string{"FLARESMITH_WORKERD": embeddedtest.Workerd(t), "FLARESMITH_PARENTS": "main=" + parent, "FLARESMITH_URL": w.server.URL()}
	w.expectFindings(set, 1, "ok    Branch server: is PostgreSQL", "ok    Parent main: is the database "+parent, "ok    Workers runtime: ", "FAIL  GitHub permissions")
	set["FLARESMITH_PARENTS"] = "main=nowhere"
	w.expectFindings(set, 2, `FAIL  Parent main: there is no database "nowhere"`)
	set["DATABASE_URL"] = "postgres://nobody:hush@127.0.0.1:1/none"
	set["FLARESMITH_PARENTS"] = "main=" + parent
	w.expectFindings(set, 3, "FAIL  Own database", "check DATABASE_URL", "FAIL  Branch server")
	set = maps.Clone(set)
	set["DATABASE_URL"], set["MASTER_ENC_KEY"] = embeddedtest.Database(t), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for _, name := range []string{"GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY", "GITHUB_WEBHOOK_SECRET", "GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"} {
		set[name] = ""
	}
	w.expectFindings(set, 1, "FAIL  GitHub App: is not created yet", "→ start flaresmith serve")
}
