package preview

import (
	"cmp"
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind names one kind of resource that an environment is made of.
type Kind string

// The kinds of resource, in the order of their dependencies.
const (
	KindDatabase   Kind = "database"   // a database branch with its own role
	KindSchema     Kind = "schema"     // the migrations and the seed in that branch
	KindWorker     Kind = "worker"     // the deployed Worker, bound to the branch
	KindCollection Kind = "collection" // API collection and environment that point at the Worker
)

// Kinds lists every kind in the order of their dependencies.
func Kinds() []Kind { return []Kind{KindDatabase, KindSchema, KindWorker, KindCollection} }

// Mark says whose a resource is. A provider stores it beside what it makes (a comment on the
// database, a file next to the Worker), where the resource itself can't change it.
type Mark struct {
	Project     string `json:"project"`     // Project.ID
	Environment string `json:"environment"` // Environment.ID
}

// ParseDatabaseMark reads the mark out of the comment on a branch's database, which is a JSON object with the key "mark". What
// is no such comment is nobody's.
func ParseDatabaseMark(comment string) Mark {
	var note struct {
		Mark Mark `json:"mark"`
	}
	if err := json.Unmarshal([]byte(comment), &note); err != nil {
		return Mark{}
	}
	return note.Mark
}

// Resource is one thing that should exist, as the desired step computes it.
type Resource struct {
	Kind Kind
	// Worker is the name in the resource's key; see Key.
	Worker string
	Name   string // provider-side name; matches NamePattern
	Mark   Mark
	// Digest sums up everything that the resource depends on. The provider stores it with the
	// mark when, and only when, Apply has finished, and echoes it in Observed: equal means up to date.
	Digest string
	Layout Layout
	// Parent is the database to branch from, as the operator's table names it (KindDatabase, KindSchema).
	Parent string
	// LongLived is the operator's own database that a core environment has, instead of a copy of Parent (KindDatabase, KindSchema);
	// empty: a copy. It is migrated, and never made, replaced or deleted.
	LongLived string
	// Reset asks for the resource to be made anew although it is up to date: a fresh copy of the parent
	// before anything else (KindDatabase), another deployment of the same commit (the other kinds).
	Reset bool
	// SchemaOnly empties every table of a fresh copy (KindDatabase).
	SchemaOnly bool
	// Keep forbids replacing data (core environments): where only a reset would help, Apply of
	// KindSchema answers with an InvalidError instead.
	Keep bool
	// RequireApproval makes Apply of KindSchema answer with an ApprovalError, and change nothing, while a
	// migration that the parent lacks is destructive; Approved says that a person approved this SHA.
	RequireApproval bool
	Approved        bool
	// SHA is the commit that is being deployed, for annotations and labels.
	SHA string
	// ExpiresAt is when the environment's time is up; zero: never. A provider that can lets the resource go by
	// itself some time later, so that a server that is gone leaks nothing.
	ExpiresAt time.Time
}

// Key is what tells the resource from the others of its environment.
func (r Resource) Key() Key { return Key{Kind: r.Kind, Worker: r.Worker} }

// Sibling is the provider-side name of the Worker of the same environment whose key has that name.
func (r Resource) Sibling(worker string) string {
	environment := r.Name
	if r.Worker != "" {
		environment = strings.TrimSuffix(r.Name, "-"+r.Worker)
	}
	return WorkerName(environment, worker)
}

// Layout says where in the repository the parts of a preview are. Paths are slash-separated,
// relative to the repository's root and checked to be local.
type Layout struct {
	Workers         []WorkerLayout // one or more; the first answers at the environment's own name
	Migrations      string         // folder, e.g. "drizzle"; empty: none
	MigrationFormat MigrationFormat
	Seed            string // SQL file run after the migrations of a fresh branch; empty: none
	Collections     string // folder of Postman v2.1 files, e.g. "postman"; empty: none
	// Bindings is no part of the repository's layout: the default branch's policy and the operator decide about it.
	Bindings Allowance
}

// Worker is the Worker whose key has that name; false: there is none.
func (l Layout) Worker(name string) (WorkerLayout, bool) {
	for i, w := range l.Workers {
		if i == 0 && name == "" || i > 0 && w.Name == name {
			return w, true
		}
	}
	return WorkerLayout{}, false
}

// MigrationFormat is how a migrations folder is read.
type MigrationFormat string

// The formats of a migrations folder.
const (
	MigrationsAuto    MigrationFormat = "auto"    // drizzle when meta/_journal.json exists, else sql
	MigrationsDrizzle MigrationFormat = "drizzle" // drizzle-kit's journal, and its bookkeeping table
	MigrationsSQL     MigrationFormat = "sql"     // *.sql in name order, our own bookkeeping table
)

// Observed is what a provider found under a resource's name.
type Observed struct {
	Exists  bool
	Owned   bool   // it carries exactly the resource's mark
	Digest  string // of the last finished Apply; empty while unfinished or unhealthy
	Outputs Outputs
	// ResetRenews says that a reset gives it other credentials (KindDatabase), so that what uses them is made again.
	ResetRenews bool
	// Extend says that nothing but the time at which the provider lets it go by itself is not as Resource.ExpiresAt
	// asks for. Apply of what is up to date moves that alone.
	Extend bool
}

// Inputs is what Apply may need besides the resource itself. Which fields are set follows from
// the kind's dependencies: schema gets Source and the database's outputs; worker gets Bundle and
// the database's outputs, and Source for the content of the Bundle's Assets; collection gets Source
// and the worker's outputs.
type Inputs struct {
	Source  fs.FS   // the repository at Resource.SHA, read-only and safe to walk
	Bundle  *Bundle // the compiled Worker (KindWorker: of this very one)
	Outputs Outputs // of every resource that this one depends on, merged
	// Known values that must not appear in any message, error or log line.
	Redact []Secret
	// Verify, where it is set, proves that the Worker is the one that it should be, after it is deployed and before Apply
	// has finished (KindWorker): on an error the digest is not recorded, so that the next Apply deploys it again.
	Verify func(ctx context.Context, ask Ask) error
}

// Ask sends a GET request for a path to the Worker that was just deployed, with headers, and returns the status and at most
// 64 kB of the body.
type Ask func(ctx context.Context, path string, headers map[string]string) (status int, body []byte, err error)

// Outputs is what one resource offers to the next ones and to the report. Each provider fills
// the fields of its kind.
type Outputs struct {
	// DatabaseURL is the postgres:// URL of the branch's own role (KindDatabase; KindSchema, where the data was reset and the
	// address or the password became another by that).
	DatabaseURL  Secret `json:"-"`
	DatabaseName string `json:"databaseName,omitempty"` // KindDatabase
	// DatabaseMarked says that the comment on the database carries the mark, where the branch's role can read it; see
	// ParseDatabaseMark (KindDatabase).
	DatabaseMarked bool `json:"-"`
	// LoginDigest tells one password of DatabaseURL from another, to nobody who does not have the provider's key. A provider fills it in
	// where others than we change the password; whoever was given the last one is then given the new one (KindDatabase).
	LoginDigest string `json:"loginDigest,omitempty"`
	// LongLived is Resource.LongLived of the database that it is. No provider fills it in: the pass does (KindDatabase).
	LongLived string `json:"longLived,omitempty"`

	Migrations   []string `json:"migrations,omitempty"`   // KindSchema: names applied in this branch beyond the parent's, in order
	SchemaDiff   string   `json:"schemaDiff,omitempty"`   // KindSchema: SQL that leads from the parent to the branch
	BehindParent []string `json:"behindParent,omitempty"` // KindSchema: names that the parent has and the branch lacks; nil: not known
	DataReset    string   `json:"dataReset,omitempty"`    // KindSchema: why the data was reset in this Apply
	// Warnings name what is destructive in the migrations that the parent lacks (KindSchema).
	Warnings []Problem `json:"warnings,omitempty"`
	// Unapplied name files that look like migrations and are none, by what the folder says itself (KindSchema).
	Unapplied []Problem `json:"unapplied,omitempty"`

	URL string `json:"url,omitempty"` // KindWorker: where it answers
	// Version is what the provider calls what serves, where it keeps versions that one can go back to (KindWorker of a
	// long-lived environment).
	Version string `json:"version,omitempty"`
	// WorkerName is what the repository calls the Worker, if it names its Workers. No provider fills it in:
	// the pass does (KindWorker).
	WorkerName string `json:"workerName,omitempty"`
	// Workers are all Workers of an environment whose Workers have names, the first one first; URL is
	// then that one's. Combine fills it in.
	Workers []WorkerURL `json:"-"`

	Files []string `json:"files,omitempty"` // KindCollection: what was written
}

// Combine makes one of the outputs of an environment's resources.
func Combine(outputs map[Key]Outputs) Outputs {
	var all Outputs
	var workers []WorkerURL
	keys := slices.SortedFunc(maps.Keys(outputs), func(a, b Key) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Worker, b.Worker))
	})
	for _, key := range keys {
		one := outputs[key]
		if one.WorkerName != "" && one.URL != "" {
			workers = append(workers, WorkerURL{Name: one.WorkerName, URL: one.URL})
		}
		if key.Worker == "" {
			all = all.Merge(one)
		}
	}
	all.WorkerName, all.Workers = "", workers
	return all
}

// Merge returns o with every field that other sets.
func (o Outputs) Merge(other Outputs) Outputs {
	if other.DatabaseURL != "" {
		o.DatabaseURL = other.DatabaseURL
	}
	if other.DatabaseName != "" {
		o.DatabaseName = other.DatabaseName
	}
	o.DatabaseMarked = o.DatabaseMarked || other.DatabaseMarked
	if other.LoginDigest != "" {
		o.LoginDigest = other.LoginDigest
	}
	if other.LongLived != "" {
		o.LongLived = other.LongLived
	}
	if other.Migrations != nil {
		o.Migrations = other.Migrations
	}
	if other.SchemaDiff != "" {
		o.SchemaDiff = other.SchemaDiff
	}
	if other.BehindParent != nil {
		o.BehindParent = other.BehindParent
	}
	if other.DataReset != "" {
		o.DataReset = other.DataReset
	}
	if other.Warnings != nil {
		o.Warnings = other.Warnings
	}
	if other.Unapplied != nil {
		o.Unapplied = other.Unapplied
	}
	if other.URL != "" {
		o.URL = other.URL
	}
	if other.Version != "" {
		o.Version = other.Version
	}
	if other.WorkerName != "" {
		o.WorkerName = other.WorkerName
	}
	if other.Files != nil {
		o.Files = other.Files
	}
	return o
}

// Bundle is a compiled Worker: one main ES module and what it imports, ready for upload.
type Bundle struct {
	MainModule         string // name of the entry in Modules
	Modules            []Module
	CompatibilityDate  string // yyyy-mm-dd
	CompatibilityFlags []string
	Vars               map[string]string // plain text bindings of the Wrangler configuration
	JSONVars           map[string]string // JSON bindings of the Wrangler configuration, each as JSON text
	DatabaseBinding    string            // the binding that gets the branch's connection string
	// Services are the bindings to Workers of the same environment, each with the name in the key of the one
	// that it leads to; see Resource.Sibling.
	Services map[string]string `json:",omitempty"`
	// Bindings are to things of the account, which the default branch allows, in the order of their names.
	Bindings []Binding `json:",omitempty"`
	Assets   *Assets   `json:",omitempty"` // nil: none
	Digest   string    // SHA-256 over all of the above, hex
}

// Assets are the static files that are served with a Worker, and how. Their content stays in
// Inputs.Source, at Directory joined with Path: whoever reads it there checks it against Hash.
// A Bundle with Assets may have no MainModule and no Modules: then there is no Worker.
type Assets struct {
	Directory string  // folder in the repository, slash-separated
	Files     []Asset // in the order of Path
	Binding   string  // the binding through which the Worker fetches them; empty: none
	HTML      HTMLHandling
	NotFound  NotFoundHandling
	// WorkerFirst sends every request to the Worker, WorkerFirstRoutes those whose path matches a
	// pattern: "*" stands for any text, and "!" in front takes out again.
	WorkerFirst       bool     `json:",omitempty"`
	WorkerFirstRoutes []string `json:",omitempty"`
}

// Asset is one static file.
type Asset struct {
	Path string // unescaped path of the URL, e.g. "/css/main.css"
	Size int64  // bytes
	Hash string // SHA-256 of the content, hex
}

// HTMLHandling says under which paths an HTML file is served, in Cloudflare's words.
type HTMLHandling string

// The ways to handle HTML files.
const (
	HTMLAuto  HTMLHandling = "auto-trailing-slash"
	HTMLForce HTMLHandling = "force-trailing-slash"
	HTMLDrop  HTMLHandling = "drop-trailing-slash"
	HTMLNone  HTMLHandling = "none"
)

// NotFoundHandling says what is served where there is no file, in Cloudflare's words.
type NotFoundHandling string

// The ways to handle paths without a file.
const (
	NotFoundNone NotFoundHandling = "none"
	NotFoundPage NotFoundHandling = "404-page"
	NotFoundApp  NotFoundHandling = "single-page-application"
)

// Module is one file of a bundle.
type Module struct {
	Name    string
	Type    ModuleType
	Content []byte
}

// ModuleType is how the runtime treats a module.
type ModuleType string

// The types of module.
const (
	ModuleES   ModuleType = "esm"
	ModuleText ModuleType = "text"
	ModuleData ModuleType = "data"
	ModuleWasm ModuleType = "wasm"
)

// Found is one marked resource that a provider holds, whether or not anybody still wants it.
type Found struct {
	Kind Kind
	Name string
	Mark Mark
}
