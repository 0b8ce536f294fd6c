package repoconfig

import (
	"cmp"
	_ "embed"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Path is where a repository keeps its configuration. In an organisation's .github repository,
// which holds the default for all others, it is at flaresmith.yml.
const Path = ".github/flaresmith.yml"

// Config is one valid file.
type Config struct {
	Policy Policy         // counts in the default branch's file only
	Layout preview.Layout // counts in the file of the pull request's base
	Spec   Spec           // counts where specs are applied
}

// Spec says what is generated from the repository's specs, and where it goes. Collections go to the
// layout's folder.
type Spec struct {
	Targets      []string // of zod, drizzle, hono, postman and mcp; empty: all
	Environments []string // Postman environments
	Layout       SpecLayout
}

// SpecLayout is the folders of generated files.
type SpecLayout struct {
	Source   string // the app that wires all routes, and the Worker's entry
	Schemas  string
	Routes   string
	Handlers string // what people answer the routes with
	Database string // the tables
	MCP      string
}

// Policy says who gets a preview, for how long, and of what.
type Policy struct {
	Enabled      bool
	TTL          time.Duration // whole hours, 24h to 168h
	MaxActive    int           // 1 to 15 previews at a time in this repository
	BaseBranches []string      // patterns as in BranchMatches; one must match the pull request's base
	Drafts       bool          // drafts get a preview too
	Bots         bool          // pull requests by bots get one too
	Labels       Labels
	Paths        Paths
	Database     Database
	Migrations   Migrations
	Providers    Providers
	// Environments holds the core environments that the file names; no other exists.
	Environments map[preview.EnvironmentKind]Core
	Bindings     Bindings
	Secrets      Secrets
}

// Secrets says who scans for secrets and writes the check "Flaresmith / Secrets", of which there must be one.
type Secrets string

// Who may scan.
const (
	SecretsAction Secrets = "action" // a workflow's step does
	SecretsApp    Secrets = "app"    // the server does, on every pull request and push
	SecretsOff    Secrets = "off"    // nobody writes the check
)

// Labels choose pull requests by their labels, compared exactly.
type Labels struct {
	Require []string // empty: none is needed; else one of these is
	Skip    []string // any of these forbids a preview
}

// Paths choose pull requests by what they touch.
type Paths struct {
	Ignore []string // a pull request whose files all match gets no preview; see Policy.IgnoresAll
}

// Database says what a preview's database starts from.
type Database struct {
	Parent string // a name in the operator's table; empty: the operator's default
	Data   Data
	// Bots is what that of a bot's pull request starts from, whose code nobody may have read yet. Its Parent empty: the same.
	Bots Origin
}

// Origin is a parent, as in Database, and how much of it.
type Origin struct {
	Parent string
	Data   Data
}

// Origin is what the database of a pull request starts from.
func (d Database) Origin(authorIsBot bool) Origin {
	if !authorIsBot {
		return Origin{d.Parent, d.Data}
	}
	return Origin{cmp.Or(d.Bots.Parent, d.Parent), d.Bots.Data}
}

// Data is how much of the parent a preview's database gets.
type Data string

// The kinds of data.
const (
	DataCopy       Data = "copy"
	DataSchemaOnly Data = "schema-only"
)

// Migrations says how pending migrations are looked at.
type Migrations struct {
	Destructive Destructive
}

// Destructive is what happens when a pending migration destroys data or breaks running code.
type Destructive string

// The policies for destructive migrations.
const (
	DestructiveWarn            Destructive = "warn"             // the check names it
	DestructiveRequireApproval Destructive = "require-approval" // a Maintainer approves the commit before anything is migrated
)

// Providers names the implementation of each part; empty: the one that the operator offers.
type Providers struct {
	Database   string // postgres or neon
	Worker     string // workerd or cloudflare
	Collection string // collection or postman
}

// Core is a long-lived environment.
type Core struct {
	Branch string // pattern as in BranchMatches
	Deploy Deploy
}

// DeploysOnPush reports whether the newest push to a matching branch is deployed at once.
func (c Core) DeploysOnPush() bool { return c.Deploy == DeployPush }

// Deploy is how a core environment moves to another commit.
type Deploy string

// The ways to deploy. dev and staging always follow pushes.
const (
	DeployPush      Deploy = "push"
	DeployPromotion Deploy = "promotion"
)

// Bindings lists what a Worker's configuration may bind by id, beyond what a preview makes itself.
type Bindings struct {
	Allow []string // "kind:id" or "kind:name", compared exactly; see preview.ValidAllow
}

// Default is the configuration that an empty file stands for.
func Default() Config {
	return Config{
		Policy: Policy{
			Enabled:      true,
			TTL:          72 * time.Hour,
			MaxActive:    15,
			BaseBranches: []string{"**"},
			Drafts:       true,
			Bots:         true,
			Database:     Database{Data: DataCopy, Bots: Origin{Data: DataSchemaOnly}},
			Migrations:   Migrations{Destructive: DestructiveWarn},
			Environments: map[preview.EnvironmentKind]Core{},
			Secrets:      SecretsAction,
		},
		Layout: preview.Layout{
			Workers:         []preview.WorkerLayout{defaultWorker()},
			Migrations:      "drizzle",
			MigrationFormat: preview.MigrationsAuto,
			Collections:     "postman",
		},
		Spec: Spec{
			Environments: []string{"dev", "staging", "prod"},
			Layout:       SpecLayout{Source: "src", Schemas: "src/schemas", Routes: "src/routes", Handlers: "src/handlers", Database: "src/db", MCP: "mcp"},
		},
	}
}

// defaultWorker is the only Worker of a repository that names none.
func defaultWorker() preview.WorkerLayout {
	return preview.WorkerLayout{WranglerConfig: "wrangler.jsonc", DatabaseBinding: "DATABASE_URL"}
}

// defaultCore is what a core environment is when the file names it and says nothing more.
func defaultCore(kind preview.EnvironmentKind) Core {
	switch kind {
	case preview.EnvironmentDev:
		return Core{Branch: "feature/*", Deploy: DeployPush}
	case preview.EnvironmentStaging:
		return Core{Branch: "staging", Deploy: DeployPush}
	default:
		return Core{Branch: "main", Deploy: DeployPromotion}
	}
}

//go:embed flaresmith.schema.json
var schema string

// Schema is the JSON Schema (draft 2020-12) of the file.
func Schema() []byte { return []byte(schema) }
