package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Tenant is one row of the operator's table: what an account, or some of its repositories, may use.
type Tenant struct {
	// Account is the login of the organisation or user, Installation GitHub's id of the App's installation there: with
	// it, nobody who takes over a login that was given up gets what was its owner's. 0: any.
	Account      string   `yaml:"account"`
	Installation int64    `yaml:"installation"`
	Repositories []string `yaml:"repositories"` // names without the account; none: all that no other row names
	// Parents are what may be branched from, by the name that a repository picks: databases of this machine, or
	// branches at Neon by name or id. None: the long-lived branches of Neon but production.
	Parents       map[string]string `yaml:"parents"`
	DefaultParent string            `yaml:"default_parent"` // a key of Parents; may be left out where there is one
	MaxPreviews   int               `yaml:"max_previews"`   // in one repository; 0: FLARESMITH_MAX_PREVIEWS
	// Bindings are what of the Cloudflare account bindings.allow of a repository may list, as it does. Nil: everything, unless another
	// organisation has the same account.
	Bindings []string `yaml:"bindings"`
	Clouds   `yaml:",inline"`

	// SharedAccount says that another organisation has the same Cloudflare account; see Table.
	SharedAccount bool `yaml:"-"`
}

// Entitlement is what the tenant's repositories may use.
func (t Tenant) Entitlement() preview.Entitlement {
	return preview.Entitlement{Parents: t.Parents, DefaultParent: t.DefaultParent, MaxPreviews: t.MaxPreviews,
		Bindings: t.Bindings, AnyBinding: t.Bindings == nil && !t.SharedAccount}
}

// LongLived are the long-lived branches that are a project's: those of the one repository that the row is about, or that it names.
// Whoever may push to the default branch of any other would have production's password.
func (t Tenant) LongLived(p preview.Project) map[preview.EnvironmentKind]string {
	repository := t.Neon.Repository
	if repository == "" && len(t.Repositories) == 1 {
		repository = t.Account + "/" + t.Repositories[0]
	}
	if !strings.EqualFold(repository, p.FullName()) {
		return nil
	}
	return t.Neon.Branches.Core()
}

// names reports whether the row is about a repository of that name; of one that is no owner/name something else is said.
func (t Tenant) names(repository string) bool {
	owner, name, ok := strings.Cut(repository, "/")
	t.Installation = 0
	return !ok || t.Covers(preview.Project{Owner: owner, Name: name})
}

// Table is the operator's table, most specific rows first: those of the file, and the ones that the variables make for the
// accounts that FLARESMITH_ALLOWED_ORGS lists.
func (c Config) Table() []Tenant {
	rows := slices.Clone(c.Tenants)
	slices.SortStableFunc(rows, func(a, b Tenant) int { return cmp.Compare(a.breadth(), b.breadth()) })
	for _, account := range c.AllowedOrgs {
		rows = append(rows, Tenant{Account: account, Parents: c.ParentMap(), DefaultParent: c.DefaultParent(), MaxPreviews: c.MaxPreviews,
			Bindings: c.Bindings, Clouds: c.Clouds})
	}
	for i, t := range rows {
		rows[i].SharedAccount = slices.ContainsFunc(rows, t.sharesAccountWith)
	}
	return rows
}

// sharesAccountWith reports whether another organisation has the same account at Cloudflare.
func (t Tenant) sharesAccountWith(other Tenant) bool {
	return t.Cloudflare.Used() && other.Cloudflare.Used() && strings.EqualFold(t.Cloudflare.AccountID, other.Cloudflare.AccountID) &&
		!strings.EqualFold(t.Account, other.Account)
}

// breadth orders rows that are about the same project: those of repositories first, and among each kind those of one installation.
func (t Tenant) breadth() (n int) {
	if len(t.Repositories) == 0 {
		n += 2
	}
	if t.Installation == 0 {
		n++
	}
	return n
}

// UsesVariables reports whether the accounts that the variables name are anybody's. Where a file has all rows, they are nobody's,
// and the server of branches is none that was meant.
func (c Config) UsesVariables() bool { return len(c.Tenants) == 0 || len(c.AllowedOrgs) > 0 }

// LongLivedAtNeon are the branches of an account's project that any row names, or the variables, and production among them: what one
// says is no preview's, or production, is that for all who share the project, by whatever address they call it. The variables count
// also where nobody uses their account.
func (c Config) LongLivedAtNeon(n Neon) (forbidden, production []string) {
	rows := []Neon{n, c.Clouds.Neon}
	for _, t := range c.Tenants {
		rows = append(rows, t.Neon)
	}
	for _, other := range rows {
		if other.ProjectID != n.ProjectID {
			continue
		}
		forbidden = append(forbidden, other.Branches.Forbidden()...)
		if other.Branches.Prod != "" {
			production = append(production, other.Branches.Prod)
		}
	}
	slices.Sort(forbidden)
	slices.Sort(production)
	return slices.Compact(forbidden), slices.Compact(production)
}

// Covers reports whether the row is about the project.
func (t Tenant) Covers(p preview.Project) bool {
	return strings.EqualFold(t.Account, p.Owner) && (t.Installation == 0 || t.Installation == p.InstallationID) &&
		(len(t.Repositories) == 0 || slices.ContainsFunc(t.Repositories, func(name string) bool { return strings.EqualFold(name, p.Name) }))
}

// readTenants reads the file and fills in what follows from the rest of the configuration.
func (c *Config) readTenants(problem func(key, format string, args ...any)) {
	const file = "FLARESMITH_TENANTS_FILE"
	if c.TenantsFile == "" {
		return
	}
	text, err := os.ReadFile(c.TenantsFile)
	if err != nil {
		problem(file, "%v", err)
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var read struct {
		Tenants []Tenant `yaml:"tenants"`
	}
	if err := decoder.Decode(&read); err != nil && !errors.Is(err, io.EOF) {
		for _, what := range yamlProblems(err) {
			problem(file, "%s", what)
		}
		return
	}
	var keys struct {
		Tenants []map[string]any `yaml:"tenants"`
	}
	if err := yaml.Unmarshal(text, &keys); err != nil {
		problem(file, "a key is no text") // the rest was read above
		return
	}
	rows := map[string]bool{}
	for i := range read.Tenants {
		t := &read.Tenants[i]
		at := func(format string, args ...any) { problem(file, "tenants[%d]: %s", i, fmt.Sprintf(format, args...)) }
		t.complete(min(max(c.MaxPreviews, 1), mostPreviews)) // what is wrong with it is said of its variable
		t.check(at)
		if _, there := keys.Tenants[i]["bindings"]; there && t.Bindings == nil { // nothing is allowed, or everything: that must be said
			at("bindings has nothing behind it: write [] for nothing, or leave it out for everything that nobody else has")
		}
		names := t.Repositories
		if len(names) == 0 {
			names = []string{"*"}
		}
		for _, name := range names {
			row := strings.ToLower(fmt.Sprintf("%s/%s of installation %d", t.Account, name, t.Installation))
			if rows[row] {
				at("%s is in the table twice", row)
			}
			rows[row] = true
		}
	}
	c.Tenants = read.Tenants
}

// complete fills in what a row may leave out.
func (t *Tenant) complete(maxPreviews int) {
	if t.MaxPreviews == 0 {
		t.MaxPreviews = maxPreviews
	}
	if len(t.Parents) == 0 && t.Neon.Used() {
		parents, first := t.Neon.Branches.parents()
		t.Parents = parents
		if t.DefaultParent == "" {
			t.DefaultParent = first
		}
	}
	if names := slices.Collect(maps.Keys(t.Parents)); len(names) == 1 && t.DefaultParent == "" {
		t.DefaultParent = names[0]
	}
}

func (t Tenant) check(problem func(format string, args ...any)) {
	if t.Account == "" || strings.Contains(t.Account, "/") {
		problem("account is missing, or no login: the organisation or user that installed the App")
	}
	if t.MaxPreviews < 1 || t.MaxPreviews > mostPreviews {
		problem("max_previews %d is not between 1 and %d", t.MaxPreviews, mostPreviews)
	}
	switch _, ok := t.Parents[t.DefaultParent]; {
	case len(t.Parents) == 0:
		problem("parents is missing: what previews branch from, e.g. {main: shop}")
	case !ok:
		problem("default_parent must be one of parents")
	}
	for name, parent := range t.Parents {
		if name == "" || parent == "" {
			problem("parents has an empty name or value")
		}
		if parent == t.Neon.Branches.Prod && parent != "" {
			problem("parents.%s is production, which is never branched from", name)
		}
	}
	checkBindings(t.Bindings, func(format string, args ...any) { problem("bindings, "+format, args...) })
	if !t.names(t.Neon.Repository) {
		problem("neon.repository %.120q is not among what the row is about: nobody would have its long-lived branches", t.Neon.Repository)
	}
	t.Clouds.check(inFile, func(key, format string, args ...any) { problem("%s %s", key, fmt.Sprintf(format, args...)) })
}

// checkBindings names what is wrong by its place: the text may be a key that got there by mistake.
func checkBindings(list []string, problem func(format string, args ...any)) {
	for i, entry := range list {
		if !preview.ValidAllow(entry) {
			problem("entry %d: is not kind:target, as in bindings.allow of a repository", i+1)
		}
	}
}

// inFile is what a variable is called in the file: "neon.api_key" for NEON_API_KEY.
func inFile(key string) string {
	section, field, _ := strings.Cut(strings.ToLower(key), "_")
	if branch, ok := strings.CutPrefix(field, "branch_"); ok {
		field = "branches." + branch
	}
	return section + "." + field
}

var (
	yamlLine    = regexp.MustCompile(`line \d+`)
	yamlUnknown = regexp.MustCompile(`field ([a-z_]{1,40}) not found`)
)

// yamlProblems says where a file is wrong, without what stands there, which may be a secret.
func yamlProblems(err error) []string {
	texts := []string{err.Error()}
	var several *yaml.TypeError
	if errors.As(err, &several) {
		texts = several.Errors
	}
	var out []string
	for _, text := range texts {
		what := "the value there is of another type"
		switch unknown := yamlUnknown.FindStringSubmatch(text); {
		case unknown != nil:
			what = "unknown key " + unknown[1]
		case strings.Contains(text, "already defined"):
			what = "a key is there twice"
		case several == nil:
			what = "it is no YAML"
		}
		if line := yamlLine.FindString(text); line != "" {
			what = line + ": " + what
		}
		out = append(out, what)
	}
	return out
}
