package config

import (
	"bytes"
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
	Clouds        `yaml:",inline"`
}

// Entitlement is what the tenant's repositories may use.
func (t Tenant) Entitlement() preview.Entitlement {
	return preview.Entitlement{Parents: t.Parents, DefaultParent: t.DefaultParent, MaxPreviews: t.MaxPreviews}
}

// Table is the operator's table, most specific rows first: those of the file, and the one that the variables make for the
// accounts that FLARESMITH_ALLOWED_ORGS lists.
func (c Config) Table() []Tenant {
	var some, all []Tenant
	for _, t := range c.Tenants {
		if len(t.Repositories) > 0 {
			some = append(some, t)
		} else {
			all = append(all, t)
		}
	}
	for _, account := range c.AllowedOrgs {
		all = append(all, Tenant{Account: account, Parents: c.ParentMap(), DefaultParent: c.DefaultParent(), MaxPreviews: c.MaxPreviews, Clouds: c.Clouds})
	}
	return append(some, all...)
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
	rows := map[string]bool{}
	for i := range read.Tenants {
		t := &read.Tenants[i]
		at := func(format string, args ...any) { problem(file, "tenants[%d]: %s", i, fmt.Sprintf(format, args...)) }
		t.complete(c.MaxPreviews)
		t.check(at)
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
	t.Clouds.check(inFile, func(key, format string, args ...any) { problem("%s %s", key, fmt.Sprintf(format, args...)) })
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
