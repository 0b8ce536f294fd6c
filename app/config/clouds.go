package config

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Clouds are the outside accounts that environments are made in. What is left out is made on this machine.
type Clouds struct {
	Neon       Neon       `yaml:"neon"`
	Cloudflare Cloudflare `yaml:"cloudflare"`
	Postman    Postman    `yaml:"postman"`
}

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,39}/[A-Za-z0-9._-]{1,100}$`)

var workerName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// Neon is a project at Neon that database branches are made in.
type Neon struct {
	APIURL    string         `env:"NEON_API_URL"    yaml:"api_url"` // empty: Neon's own
	APIKey    preview.Secret `env:"NEON_API_KEY"    yaml:"api_key"`
	ProjectID string         `env:"NEON_PROJECT_ID" yaml:"project_id"`
	Database  string         `env:"NEON_DATABASE"   yaml:"database"` // that previews use; empty: the only one
	// Branches are the long-lived ones, by name or id. None of them is ever taken for a preview's.
	Branches NeonBranches `yaml:"branches"`
	// Repository is the one whose environments are migrated in the branches of their names, as owner/name: nobody else's may touch them.
	Repository string `env:"NEON_REPOSITORY" yaml:"repository"`
}

// NeonBranches are long-lived branches of a project. All but Prod may be branched from; all but Main are those of the environments
// of their names.
type NeonBranches struct {
	Main    string `env:"NEON_BRANCH_MAIN"    yaml:"main"`
	Dev     string `env:"NEON_BRANCH_DEV"     yaml:"dev"`
	Staging string `env:"NEON_BRANCH_STAGING" yaml:"staging"`
	Prod    string `env:"NEON_BRANCH_PROD"    yaml:"prod"`
}

// Cloudflare is an account at Cloudflare that Workers are deployed to.
type Cloudflare struct {
	APIURL    string         `env:"CLOUDFLARE_API_URL"    yaml:"api_url"` // empty: Cloudflare's own
	APIToken  preview.Secret `env:"CLOUDFLARE_API_TOKEN"  yaml:"api_token"`
	AccountID string         `env:"CLOUDFLARE_ACCOUNT_ID" yaml:"account_id"`
	Driver    string         `env:"CLOUDFLARE_DRIVER"     yaml:"driver"` // how previews are run, one of CloudflareDrivers; empty: the first
	// ParentWorker is the Worker that "worker-previews" makes previews of; empty: one that is made for it.
	ParentWorker string `env:"CLOUDFLARE_PARENT_WORKER" yaml:"parent_worker"`
}

// CloudflareDrivers are the ways to run previews at Cloudflare, as the operator picks them: the default one first.
func CloudflareDrivers() []string { return []string{"worker-per-pr", "worker-previews", "pages"} }

// Postman is a workspace at Postman that collections and environments are put into.
type Postman struct {
	APIURL      string         `env:"POSTMAN_API_URL"      yaml:"api_url"` // empty: Postman's own
	APIKey      preview.Secret `env:"POSTMAN_API_KEY"      yaml:"api_key"`
	WorkspaceID string         `env:"POSTMAN_WORKSPACE_ID" yaml:"workspace_id"`
}

// Used reports whether branches are made at Neon.
func (n Neon) Used() bool { return n.APIKey != "" }

// Used reports whether Workers are deployed to Cloudflare.
func (c Cloudflare) Used() bool { return c.APIToken != "" }

// Used reports whether collections are put into Postman.
func (p Postman) Used() bool { return p.APIKey != "" }

// Forbidden are the branches that are no preview's, whatever their names and marks say.
func (b NeonBranches) Forbidden() []string {
	var list []string
	for _, branch := range []string{b.Main, b.Dev, b.Staging, b.Prod} {
		if branch != "" {
			list = append(list, branch)
		}
	}
	return list
}

// Core are the branches of the long-lived environments, which converge there.
func (b NeonBranches) Core() map[preview.EnvironmentKind]string {
	all := map[preview.EnvironmentKind]string{preview.EnvironmentDev: b.Dev, preview.EnvironmentStaging: b.Staging, preview.EnvironmentProd: b.Prod}
	maps.DeleteFunc(all, func(_ preview.EnvironmentKind, branch string) bool { return branch == "" })
	return all
}

// parents are the branches that may be branched from, by the name that a repository picks, and the name of the default one.
func (b NeonBranches) parents() (parents map[string]string, first string) {
	parents = map[string]string{}
	for _, p := range []struct{ name, branch string }{{"main", b.Main}, {"dev", b.Dev}, {"staging", b.Staging}} {
		if p.branch == "" {
			continue
		}
		parents[p.name] = p.branch
		if first == "" {
			first = p.name
		}
	}
	return parents, first
}

// check reports what is wrong with the accounts. name is what a key is called where it is read from.
func (c Clouds) check(name func(key string) string, problem func(key, format string, args ...any)) {
	pair := func(secret preview.Secret, key, id, idKey, what string) {
		switch {
		case secret == "" && id != "":
			problem(name(idKey), "goes with %s, %s", name(key), what)
		case secret != "" && id == "":
			problem(name(key), "goes with %s, %s", name(idKey), what)
		}
	}
	pair(c.Neon.APIKey, "NEON_API_KEY", c.Neon.ProjectID, "NEON_PROJECT_ID", "set both to make database branches at Neon")
	pair(c.Cloudflare.APIToken, "CLOUDFLARE_API_TOKEN", c.Cloudflare.AccountID, "CLOUDFLARE_ACCOUNT_ID", "set both to deploy Workers to Cloudflare")
	pair(c.Postman.APIKey, "POSTMAN_API_KEY", c.Postman.WorkspaceID, "POSTMAN_WORKSPACE_ID", "set both to put collections into Postman")
	switch {
	case c.Neon.Used() && !c.Cloudflare.Used():
		problem(name("NEON_API_KEY"), "needs %s, too: a Worker on this machine reaches no database but this machine's", name("CLOUDFLARE_API_TOKEN"))
	case c.Cloudflare.Used() && !c.Neon.Used():
		problem(name("CLOUDFLARE_API_TOKEN"), "needs %s, too: a Worker at Cloudflare can't reach databases of this machine", name("NEON_API_KEY"))
	}
	if driver := c.Cloudflare.Driver; driver != "" && !slices.Contains(CloudflareDrivers(), driver) {
		problem(name("CLOUDFLARE_DRIVER"), "%.40q is none of %s", driver, strings.Join(CloudflareDrivers(), ", "))
	}
	switch parent := c.Cloudflare.ParentWorker; {
	case parent != "" && c.Cloudflare.Driver != "worker-previews":
		problem(name("CLOUDFLARE_PARENT_WORKER"), "goes with %s worker-previews", name("CLOUDFLARE_DRIVER"))
	case parent != "" && !workerName.MatchString(parent):
		problem(name("CLOUDFLARE_PARENT_WORKER"), "%.80q is no Worker's name: small letters, digits and hyphens, at most 40", parent)
	}
	if b := c.Neon.Branches; b.Prod != "" && (b.Prod == b.Main || b.Prod == b.Dev || b.Prod == b.Staging) {
		problem(name("NEON_BRANCH_PROD"), "is another branch's name as well, which may be branched from: production never is")
	}
	if r := c.Neon.Repository; r != "" && !repositoryName.MatchString(r) {
		problem(name("NEON_REPOSITORY"), "%.120q is no repository: write owner/name", r)
	}
	if b := c.Neon.Branches; b.Dev != "" && b.Dev == b.Staging {
		problem(name("NEON_BRANCH_STAGING"), "is %s's branch as well: each environment is migrated in a branch of its own", name("NEON_BRANCH_DEV"))
	}
	for _, address := range []struct{ key, value string }{
		{"NEON_API_URL", c.Neon.APIURL}, {"CLOUDFLARE_API_URL", c.Cloudflare.APIURL}, {"POSTMAN_API_URL", c.Postman.APIURL},
	} {
		if u, err := url.Parse(address.value); address.value != "" && (err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https") {
			problem(name(address.key), "is not an http or https URL without a user")
		}
	}
}
