package repoconfig

import (
	"go.yaml.in/yaml/v3"

	"github.com/flaresmith/flaresmith/app/preview"
)

// config reads the whole file into c. Each mapping is a table from key to what reads its value.
func (p *parser) config(n *yaml.Node, c *Config) {
	p.mapping(n, "", fields{
		"preview":      p.preview(&c.Policy),
		"environments": p.environments(&c.Policy),
		"bindings": p.section(fields{
			"allow": p.list(&c.Policy.Bindings.Allow, checkText),
		}),
		"layout": p.layout(&c.Layout),
	})
}

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
	return p.section(fields{
		"wrangler":         p.text(&layout.WranglerConfig, checkPath),
		"entry":            p.text(&layout.WorkerEntry, orEmpty(checkPath)),
		"database_binding": p.text(&layout.DatabaseBinding, checkIdentifier),
		"migrations": p.section(fields{
			"dir": p.text(&layout.Migrations, orEmpty(checkPath)),
			"format": choice(p, &layout.MigrationFormat,
				preview.MigrationsAuto, preview.MigrationsDrizzle, preview.MigrationsSQL),
			"seed": p.text(&layout.Seed, orEmpty(checkPath)),
		}),
		"collections": p.text(&layout.Collections, orEmpty(checkPath)),
	})
}
