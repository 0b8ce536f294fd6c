package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// load reads a table beside the usual variables and more.
func load(t *testing.T, table string, more map[string]string) (Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tenants.yml")
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	variables := complete()
	variables["FLARESMITH_TENANTS_FILE"] = file
	for key, value := range more {
		variables[key] = value
	}
	return Load(variables)
}

const severalTenants = `
tenants:
  - account: globex
    installation: 42
    max_previews: 3
    neon:
      api_key: napi_globex
      project_id: quiet-sea
      branches: {dev: br-dev, prod: br-prod}
    cloudflare: {api_token: cf_globex, account_id: a1}
  - account: globex
    repositories: [Web, api]
    parents: {main: shop}
    postman: {api_key: PMAK-globex, workspace_id: w1}
`

// The first row that covers a project is the most specific one: of the file, then of the variables.
func TestTable(t *testing.T) {
	t.Parallel()
	c, err := load(t, severalTenants, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		project preview.Project
		want    string // the default parent's database and the accounts; empty: nobody
	}{
		{"whole account", preview.Project{InstallationID: 42, Owner: "GLOBEX", Name: "site"}, "br-dev napi_globex cf_globex "},
		{"one repository", preview.Project{InstallationID: 42, Owner: "globex", Name: "web"}, "shop   PMAK-globex"},
		{"another installation", preview.Project{InstallationID: 43, Owner: "globex", Name: "site"}, ""},
		{"of the variables", preview.Project{InstallationID: 7, Owner: "acme", Name: "shop"}, "shop   "},
		{"a name that begins so", preview.Project{InstallationID: 42, Owner: "globex-evil", Name: "site"}, ""},
	}
	for _, tt := range tests {
		got := ""
		if i := slices.IndexFunc(c.Table(), func(row Tenant) bool { return row.Covers(tt.project) }); i >= 0 {
			row := c.Table()[i]
			e := row.Entitlement()
			got = strings.Join([]string{e.Parents[e.DefaultParent], row.Neon.APIKey.Reveal(), row.Cloudflare.APIToken.Reveal(), row.Postman.APIKey.Reveal()}, " ")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if diff := cmp.Diff([]string{"br-dev", "br-prod"}, c.Tenants[0].Neon.Branches.Forbidden()); diff != "" {
		t.Errorf("forbidden branches (-want +got):\n%s", diff)
	}
	if c.Tenants[0].MaxPreviews != 3 || c.Tenants[1].MaxPreviews != 15 {
		t.Errorf("max_previews %d and %d", c.Tenants[0].MaxPreviews, c.Tenants[1].MaxPreviews)
	}
	for _, secret := range []preview.Secret{"napi_globex", "cf_globex", "PMAK-globex"} {
		if !slices.Contains(c.Secrets(), secret) {
			t.Errorf("%s is not known as a secret", secret.Reveal())
		}
	}
}

// Of rows that are about a project alike, the one that names its installation goes first, wherever it stands.
func TestRowOfAnInstallation(t *testing.T) {
	t.Parallel()
	for _, repositories := range []string{"", "repositories: [web], "} {
		c, err := load(t, "tenants:\n"+
			"- {account: globex, "+repositories+"parents: {main: of-anybody}}\n"+
			"- {account: globex, "+repositories+"installation: 42, parents: {main: of-42}}", nil)
		if err != nil {
			t.Fatal(err)
		}
		for installation, want := range map[int64]string{42: "of-42", 43: "of-anybody"} {
			rows := c.Table()
			i := slices.IndexFunc(rows, func(row Tenant) bool {
				return row.Covers(preview.Project{InstallationID: installation, Owner: "globex", Name: "web"})
			})
			if got := rows[i].Parents["main"]; got != want {
				t.Errorf("%sinstallation %d: %s, want %s", repositories, installation, got, want)
			}
		}
	}
}

// Whoever has an account at Cloudflare alone may bind whatever is in it, in as many rows as it likes; of one that several
// organisations have, what each row lists.
func TestBindingsOfTenants(t *testing.T) {
	t.Parallel()
	const cloud = "parents: {main: m}, neon: {api_key: k, project_id: p}, cloudflare: {api_token: c, account_id: "
	c, err := load(t, "tenants:\n"+
		"- {account: alone, "+cloud+"one}}\n"+
		"- {account: bound, "+cloud+"two}, bindings: ['kv:0f1e']}\n"+
		"- {account: none, "+cloud+"three}, bindings: []}\n"+
		"- {account: a, "+cloud+"shared}}\n"+
		"- {account: b, "+cloud+"SHARED}, bindings: ['d1:b']}\n"+
		"- {account: rows, "+cloud+"four}}\n"+
		"- {account: Rows, repositories: [web], "+cloud+"four}}\n"+
		"- {account: elsewhere, parents: {main: m}}", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, row := range c.Table() {
		e := row.Entitlement()
		got[row.Account] = strings.Join(e.Bindings, " ")
		if e.AnyBinding {
			got[row.Account] += "anything"
		}
	}
	want := map[string]string{"alone": "anything", "bound": "kv:0f1e", "none": "", "a": "", "b": "d1:b", "rows": "anything", "Rows": "anything", "elsewhere": "anything",
		"acme": "anything"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c, err = load(t, "", map[string]string{"FLARESMITH_ALLOWED_ORGS": "acme, globex", "NEON_API_KEY": "k", "NEON_PROJECT_ID": "p",
		"CLOUDFLARE_API_TOKEN": "t", "CLOUDFLARE_ACCOUNT_ID": "a", "FLARESMITH_BINDINGS": " kv:0f1e, d1:b"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range c.Table() {
		if e := row.Entitlement(); e.AnyBinding || !slices.Equal(e.Bindings, []string{"kv:0f1e", "d1:b"}) {
			t.Errorf("%s of the variables: %+v", row.Account, e)
		}
	}
}

// What one row of a project says is production is that for the others, whose previews are never branched from it.
func TestLongLivedAtNeon(t *testing.T) {
	t.Parallel()
	const clouds = "cloudflare: {api_token: c, account_id: a}"
	c, err := load(t, "tenants:\n"+
		"- {account: a, neon: {api_key: k, project_id: p, branches: {dev: d, prod: main}}, "+clouds+"}\n"+
		"- {account: b, neon: {api_key: k2, project_id: p, api_url: 'https://console.neon.tech/api/v2/', branches: {main: main, staging: s}}, "+clouds+"}\n"+
		"- {account: c, neon: {api_key: k, project_id: q, branches: {main: m}}, "+clouds+"}", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2][]string{{{"d", "main", "s"}, {"main"}}, {{"d", "main", "s"}, {"main"}}, {{"m"}, nil}} {
		forbidden, production := c.LongLivedAtNeon(c.Tenants[i].Neon)
		if diff := cmp.Diff(want, [2][]string{forbidden, production}); diff != "" {
			t.Errorf("tenants[%d] (-want +got):\n%s", i, diff)
		}
	}
	c.Clouds.Neon = Neon{ProjectID: "q", Branches: NeonBranches{Prod: "live"}} // of variables that nobody's previews use
	forbidden, production := c.LongLivedAtNeon(c.Tenants[2].Neon)
	if diff := cmp.Diff([2][]string{{"live", "m"}, {"live"}}, [2][]string{forbidden, production}); diff != "" {
		t.Errorf("with variables (-want +got):\n%s", diff)
	}
}

// Long-lived branches are one repository's: whoever may push to the default branch of another one would get their passwords.
func TestLongLivedOfAProject(t *testing.T) {
	t.Parallel()
	branches := NeonBranches{Main: "main", Dev: "d", Prod: "p"}
	both := map[preview.EnvironmentKind]string{preview.EnvironmentDev: "d", preview.EnvironmentProd: "p"}
	tests := []struct {
		name string
		row  Tenant
		want map[preview.EnvironmentKind]string
	}{
		{"a row for all repositories", Tenant{Account: "acme"}, nil},
		{"that names one", Tenant{Account: "acme", Clouds: Clouds{Neon: Neon{Repository: "Acme/shop"}}}, both},
		{"that names another one", Tenant{Account: "acme", Clouds: Clouds{Neon: Neon{Repository: "acme/web"}}}, nil},
		{"a row for one repository", Tenant{Account: "acme", Repositories: []string{"Shop"}}, both},
		{"a row for two", Tenant{Account: "acme", Repositories: []string{"shop", "web"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.row.Neon.Branches = branches
			if diff := cmp.Diff(tt.want, tt.row.LongLived(preview.Project{Owner: "acme", Name: "shop"})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Everything that is wrong with a table is said at once, with its place and without a value that may be secret.
func TestTableProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, table string
		want        []string
	}{
		{"no account, no parent", "tenants: [{}]", []string{"tenants[0]: account is missing", "tenants[0]: parents is missing"}},
		{"half of an account", "tenants: [{account: a, parents: {main: x}, neon: {api_key: hush}}]",
			[]string{"tenants[0]: neon.api_key goes with neon.project_id", "tenants[0]: neon.api_key needs cloudflare.api_token"}},
		{"production", "tenants: [{account: a, parents: {main: p}, neon: {branches: {prod: p}}}]", []string{"tenants[0]: parents.main is production"}},
		{"another account's repository", "tenants: [{account: a, parents: {main: p}, neon: {repository: b/shop}}]", []string{`tenants[0]: neon.repository "b/shop" is not among what the row is about`}},
		{"another repository", "tenants: [{account: a, repositories: [web], parents: {main: p}, neon: {repository: a/shop}}]", []string{`tenants[0]: neon.repository "a/shop" is not among`}},
		{"default parent", "tenants: [{account: a, parents: {x: a, y: b}}]", []string{"tenants[0]: default_parent must be one of parents"}},
		{"previews", "tenants: [{account: a, parents: {x: a}, max_previews: 16}]", []string{"tenants[0]: max_previews 16"}},
		{"twice", "tenants: [{account: a, parents: {x: a}}, {account: A, parents: {x: a}}]", []string{"tenants[1]: a/* of installation 0 is in the table twice"}},
		{"bindings", "tenants: [{account: a, parents: {x: a}, bindings: ['kv:0f1e', 0f1e]}]", []string{"tenants[0]: bindings, entry 2: is not kind:target"}},
		{"bindings without any", "tenants:\n- account: a\n  parents: {x: a}\n  bindings:\n  # - kv:0f1e", []string{"tenants[0]: bindings has nothing behind it: write [] for nothing"}},
		{"unknown key", "tenants:\n- account: a\n  neon: {api_keys: hush}", []string{"line 3: unknown key api_keys"}},
		{"another type", "tenants:\n- account: a\n  installation: hush", []string{"line 3: the value there is of another type"}},
		{"no YAML", "tenants: [hush", []string{"line 1: it is no YAML"}},
	}
	for _, tt := range tests {
		_, err := load(t, tt.table, nil)
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), "FLARESMITH_TENANTS_FILE: "+want) {
				t.Errorf("%s: the error lacks %q:\n%v", tt.name, want, err)
			}
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error shows a value:\n%v", tt.name, err)
		}
	}
}

// What is wrong with a variable is not said once more of each row that goes by it.
func TestProblemOfAVariableAlone(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"hush", "99"} {
		_, err := load(t, "tenants: [{account: a, parents: {x: a}}]", map[string]string{"FLARESMITH_MAX_PREVIEWS": value})
		if err == nil || !strings.Contains(err.Error(), "FLARESMITH_MAX_PREVIEWS: ") || strings.Contains(err.Error(), "tenants[0]") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// Without FLARESMITH_PARENTS previews branch from Neon's long-lived branches, and never from production.
func TestParentsOfNeon(t *testing.T) {
	t.Parallel()
	variables := complete()
	variables["FLARESMITH_PARENTS"] = ""
	for key, value := range map[string]string{"NEON_API_KEY": "k", "NEON_PROJECT_ID": "p", "NEON_BRANCH_DEV": "br-dev", "NEON_BRANCH_STAGING": "staging",
		"NEON_BRANCH_PROD": "prod", "CLOUDFLARE_API_TOKEN": "t", "CLOUDFLARE_ACCOUNT_ID": "a"} {
		variables[key] = value
	}
	c, err := Load(variables)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"dev": "br-dev", "staging": "staging"}, c.ParentMap()); diff != "" || c.DefaultParent() != "dev" {
		t.Errorf("default %q, parents (-want +got):\n%s", c.DefaultParent(), diff)
	}
}
