package cloudflare_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/cloudflare/cloudflare-go"

	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
)

func wantPages(t *testing.T, s *cloudflare.Server, label, path, want string) {
	t.Helper()
	if status, body := getHost(t, s, label+".pages.localhost", path); status != http.StatusOK || body != want {
		t.Errorf("GET %s%s: %d %q, want %q", label, path, status, body, want)
	}
}

// testPages shows that Cloudflare's command line takes the stand-in's Pages for Cloudflare's: files and code are deployed to a branch, a secret
// reaches the next deployment alone, and what an alias leads to is deleted by force only.
func testPages(t *testing.T, s *cloudflare.Server, cli wrangler) {
	t.Helper()
	cli.project = filepath.Join(cli.dir, "site")
	cli.run(t, "pages", "project", "create", "site", "--production-branch", "main", "--force")
	cli.run(t, "pages", "deploy", "--branch", "Feat/A", "--commit-message", "first", "--commit-hash", strings.Repeat("a", 40))
	wantPages(t, s, "feat-a.site", "/", "<h1>Pages</h1>\n")
	wantPages(t, s, "feat-a.site", "/api", `{"GREETING":"hello","LIST":[1,2],"SECRET":"none"}`)
	if status, _ := getHost(t, s, "site.pages.localhost", "/"); status != http.StatusNotFound {
		t.Errorf("a preview is in production: %d", status)
	}
	cli.stdin = "hidden"
	cli.run(t, "pages", "secret", "put", "SECRET", "--env", "preview")
	wantPages(t, s, "feat-a.site", "/api", `{"GREETING":"hello","LIST":[1,2],"SECRET":"none"}`)
	cli.run(t, "pages", "deploy", "--branch", "Feat/A")
	wantPages(t, s, "feat-a.site", "/api", `{"GREETING":"hello","LIST":[1,2],"SECRET":"hidden"}`)

	var listed []struct{ ID, Environment, Branch string }
	if out := cli.run(t, "pages", "deployment", "list", "--json"); json.Unmarshal([]byte(out), &listed) != nil || len(listed) != 2 {
		t.Fatalf("the list of deployments is %s", out)
	}
	project, _ := s.PagesProject("site")
	newest, older := project.Deployments[0], project.Deployments[1]
	if newest.Environment != "preview" || newest.Branch != "Feat/A" || older.Message != "first" {
		t.Errorf("deployments %+v", project.Deployments)
	}
	api, account := vendor(t, s)
	refused := sdk.DeletePagesDeploymentParams{ProjectName: "site", DeploymentID: newest.ID}
	if err := api.DeletePagesDeployment(t.Context(), account, refused); err == nil || !strings.Contains(err.Error(), "force=true") {
		t.Errorf("an aliased deployment is deleted without force: %v", err)
	}
	if shown, err := api.GetPagesProject(t.Context(), account, "site"); err != nil || shown.DeploymentConfigs.Preview.EnvVars["SECRET"].Value != "" || shown.LatestDeployment.ID != newest.ID {
		t.Errorf("the project is shown as %+v, %v", shown, err)
	}
	cli.run(t, "pages", "deployment", "delete", newest.ID, "--project-name", "site", "--force")
	wantPages(t, s, "feat-a.site", "/api", `{"GREETING":"hello","LIST":[1,2],"SECRET":"none"}`)
	cli.run(t, "pages", "project", "delete", "site", "--yes")
	if _, left := s.PagesProject("site"); left {
		t.Error("the project outlives its deletion")
	}
}
