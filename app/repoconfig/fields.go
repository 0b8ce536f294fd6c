package repoconfig

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/flaresmith/flaresmith/app/preview"
)

// config reads the whole file into c. Each mapping is a table from key to what reads its value.
func (p *parser) config(n *yaml.Node, c *Config) {
	p.mapping(n, "", fields{
		"preview":      p.preview(&c.Policy),
		"environments": p.environments(&c.Policy),
		"bindings": p.section(fields{
			"allow": p.list(&c.Policy.Bindings.Allow, checkBinding),
		}),
		"secrets": choice(p, &c.Policy.Secrets, SecretsAction, SecretsApp, SecretsOff),
		"layout":  p.layout(&c.Layout),
		"spec":    p.spec(&c.Spec),
	})
}

func (p *parser) spec(s *Spec) field {
	return p.section(fields{
		"targets":      p.list(&s.Targets, checkOneOf(SpecTargets()...)),
		"environments": p.list(&s.Environments, checkEnvironmentName),
		"layout": p.section(fields{
			"source":   p.text(&s.Layout.Source, checkPath),
			"schemas":  p.text(&s.Layout.Schemas, checkPath),
			"routes":   p.text(&s.Layout.Routes, checkPath),
			"handlers": p.text(&s.Layout.Handlers, checkPath),
			"database": p.text(&s.Layout.Database, checkPath),
			"mcp":      p.text(&s.Layout.MCP, checkPath),
		}),
	})
}

// SpecTargets are what spec.targets may name.
func SpecTargets() []string { return []string{"zod", "drizzle", "hono", "postman", "mcp"} }

func (p *parser) preview(policy *Policy) field {
	return p.section(fields{
		"enabled":       p.boolean(&policy.Enabled),
		"ttl":           p.hours(&policy.TTL, 24, 168),
		"max_active":    p.integer(&policy.MaxActive, 1, 15),
		"base_branches": p.patterns(&policy.BaseBranches),
		"drafts":        p.boolean(&policy.Drafts),
		"bots":          p.boolean(&policy.Bots),
		"labels": p.section(fields{
			"require": p.list(&policy.Labels.Require, checkText),
			"skip":    p.list(&policy.Labels.Skip, checkText),
		}),
		"paths": p.section(fields{
			"ignore": p.list(&policy.Paths.Ignore, checkPattern),
		}),
		"database": p.section(fields{
			"parent": p.text(&policy.Database.Parent, orEmpty(checkText)),
			"data":   choice(p, &policy.Database.Data, DataCopy, DataSchemaOnly),
			"bots": p.section(fields{
				"parent": p.text(&policy.Database.Bots.Parent, orEmpty(checkText)),
				"data":   choice(p, &policy.Database.Bots.Data, DataCopy, DataSchemaOnly),
			}),
		}),
		"migrations": p.section(fields{
			"destructive": choice(p, &policy.Migrations.Destructive, DestructiveWarn, DestructiveRequireApproval),
		}),
		"providers": p.section(fields{
			"database":   choice(p, &policy.Providers.Database, "postgres", "neon"),
			"worker":     choice(p, &policy.Providers.Worker, "workerd", "cloudflare"),
			"collection": choice(p, &policy.Providers.Collection, "collection", "postman"),
		}),
	})
}

func (p *parser) environments(policy *Policy) field {
	return p.section(fields{
		"dev":     p.core(policy, preview.EnvironmentDev),
		"staging": p.core(policy, preview.EnvironmentStaging),
		"prod":    p.core(policy, preview.EnvironmentProd),
	})
}

// core names an environment by being there. Only prod chooses how it deploys.
func (p *parser) core(policy *Policy, kind preview.EnvironmentKind) field {
	return func(n *yaml.Node, name string) {
		core := defaultCore(kind)
		known := fields{"branch": p.text(&core.Branch, checkPattern)}
		if kind == preview.EnvironmentProd {
			known["deploy"] = choice(p, &core.Deploy, DeployPush, DeployPromotion)
		}
		p.mapping(n, name, known)
		policy.Environments[kind] = core
	}
}

func (p *parser) layout(layout *preview.Layout) field {
	return func(n *yaml.Node, name string) {
		only, several := defaultWorker(), []preview.WorkerLayout(nil)
		known := p.worker(&only)
		known["workers"] = p.workers(&several)
		known["migrations"] = p.section(fields{
			"dir": p.text(&layout.Migrations, orEmpty(checkPath)),
			"format": choice(p, &layout.MigrationFormat,
				preview.MigrationsAuto, preview.MigrationsDrizzle, preview.MigrationsSQL),
			"seed": p.text(&layout.Seed, orEmpty(checkPath)),
		})
		known["collections"] = p.text(&layout.Collections, orEmpty(checkPath))
		p.mapping(n, name, known)
		layout.Workers = []preview.WorkerLayout{only}
		if several != nil {
			layout.Workers = several
			p.refuseKeys(n, name, p.worker(&only))
		}
	}
}

// worker is what both ways to name a Worker have in common.
func (p *parser) worker(w *preview.WorkerLayout) fields {
	return fields{
		"wrangler":         p.text(&w.WranglerConfig, checkPath),
		"entry":            p.text(&w.Entry, orEmpty(checkPath)),
		"database_binding": p.text(&w.DatabaseBinding, orEmpty(checkIdentifier)),
	}
}

// refuseKeys refuses the keys of a layout that count for its only Worker, where it has several.
func (p *parser) refuseKeys(n *yaml.Node, name string, refused fields) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; refused[key.Value] != nil {
			p.at(key, "Write it for each Worker, under workers.", "%s.workers and %s.%s can't be given together.", name, name, key.Value)
		}
	}
}

// maxWorkers bounds how many Workers a repository can have: each is a process.
const maxWorkers = 5

func (p *parser) workers(into *[]preview.WorkerLayout) field {
	return func(n *yaml.Node, name string) {
		if n.Kind != yaml.SequenceNode {
			p.wrongType(n, name, "a list of Workers")
			return
		}
		if len(n.Content) < 1 || len(n.Content) > maxWorkers {
			p.at(n, "", "%s has %d entries and must have 1 to %d.", name, len(n.Content), maxWorkers)
			return
		}
		workers := make([]preview.WorkerLayout, len(n.Content))
		first := map[string]string{} // by the name without hyphens
		for i, item := range n.Content {
			w, at := &workers[i], fmt.Sprintf("%s[%d]", name, i)
			w.DatabaseBinding = defaultWorker().DatabaseBinding
			known := p.worker(w)
			known["name"] = p.text(&w.Name, checkWorkerName)
			p.mapping(item, at, known)
			p.require(item, at, "name", "wrangler")
			alike := strings.ReplaceAll(w.Name, "-", "")
			if other, taken := first[alike]; taken && w.Name != "" {
				p.at(item, "Choose another name.", "%s.name is %q, which is too much like %q.", at, w.Name, other)
			}
			first[alike] = w.Name
		}
		*into = workers
	}
}

// require names the keys that a mapping lacks.
func (p *parser) require(n *yaml.Node, name string, keys ...string) {
	if n.Kind != yaml.MappingNode {
		return // said already
	}
	var given []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		given = append(given, n.Content[i].Value)
	}
	for _, key := range keys {
		if !slices.Contains(given, key) {
			p.at(n, "", "%s.%s is missing.", name, key)
		}
	}
}
