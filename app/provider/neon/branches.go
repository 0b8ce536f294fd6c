package neon

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Keys of a branch's annotation.
const (
	markProject     = "flaresmith-project"
	markEnvironment = "flaresmith-environment"
	markDigest      = "flaresmith-digest"
	// markName is the name that the branch was made for: one that has another was renamed by somebody.
	markName = "flaresmith-name"
	// markComment says that the comment on the branch's database carries the mark once the branch is finished.
	markComment = "flaresmith-comment"
)

const (
	schemaOnly = "schema-only"
	withData   = "parent-data"
)

// Config is one project of an operator's.
type Config struct {
	APIURL    string // default https://console.neon.tech/api/v2
	APIKey    preview.Secret
	ProjectID string
	// Database is the one that previews use; empty: the branch's only one.
	Database string
	// Forbidden are ids and names of branches that are no previews: dev, staging, prod.
	Forbidden []string
	// Production are ids or names of branches that nothing is ever branched from; none: not told.
	Production []string
	// Core are the ids or names of the branches that long-lived environments have; a resource says whether it is one, by LongLived.
	Core       map[preview.EnvironmentKind]string
	Migrations Migrations
	// Roots are who may vouch for the computes' certificates; nil: the system's.
	Roots *x509.CertPool
	// Dial connects to the computes; nil: as hosts are named.
	Dial      pgconn.DialFunc
	Look      time.Duration     // between looks at what goes on at Neon; default 750 ms
	Fresh     time.Duration     // how long what a pass has read still counts for its first write; default 10 s
	Transport http.RoundTripper // default http.DefaultTransport
	Logger    *slog.Logger      // default: discard
}

// Migrations bound one run of migrations.
type Migrations struct {
	Timeout  time.Duration // of all pending migrations and the seed; default one minute
	GrowthMB int           // what they may add to the parent's size, unless twice that is more; default 1024
}

// Branches is the provider of KindDatabase. It is safe for concurrent use.
type Branches struct {
	api        *client
	database   string
	forbidden  []string
	production []string
	cores      map[preview.EnvironmentKind]string
	look       time.Duration
	fresh      time.Duration
	log        *slog.Logger

	migrations Migrations
	roots      *x509.CertPool
	dial       pgconn.DialFunc

	mu      sync.Mutex
	glances map[string]*glance        // by the name that was looked for
	made    map[string]made           // by name
	pinned  map[string]string         // what the operator's names led to first: name → id
	urls    map[string]preview.Secret // direct connection strings by the branch's id
	rooms   map[string]room           // by our project's id
	schemas map[string]schemaResult   // of the last finished schema Apply, by the branch's id
	books   map[string]book           // of parents, by their ids
	claims  map[string]preview.Mark   // of long-lived environments' branches; see claimKey
}

// New checks the configuration and calls nobody.
func New(c Config) (*Branches, error) {
	if c.APIKey == "" || c.ProjectID == "" {
		return nil, errors.New("neon: the API key and the project's id must be given")
	}
	address := strings.TrimRight(c.APIURL, "/")
	if address == "" {
		address = defaultAPI
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, errors.New("neon: the API's URL must be an absolute http or https address without a user")
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Branches{
		api:      &client{http: &http.Client{Transport: c.Transport, CheckRedirect: outbound.Stay}, base: address, key: c.APIKey, project: c.ProjectID},
		database: c.Database, forbidden: c.Forbidden, production: c.Production, cores: c.Core, look: cmp.Or(c.Look, defaultLook),
		fresh: cmp.Or(c.Fresh, defaultFresh), log: c.Logger, glances: map[string]*glance{}, made: map[string]made{}, pinned: map[string]string{}, urls: map[string]preview.Secret{}, rooms: map[string]room{},
		schemas: map[string]schemaResult{}, books: map[string]book{}, claims: map[string]preview.Mark{}, roots: c.Roots, dial: c.Dial,
		migrations: Migrations{Timeout: cmp.Or(c.Migrations.Timeout, time.Minute), GrowthMB: cmp.Or(c.Migrations.GrowthMB, 1024)},
	}, nil
}

// owned reports whether a branch carries the mark and is none that must never be one of ours.
func (p *Branches) owned(b *branch, m preview.Mark) bool {
	root := b.ParentID == "" && b.InitSource != schemaOnly
	name := b.annotation[markName]
	renamed := name != "" && b.Name != name && b.Name != unfinished(name)
	return !b.Default && !b.Protected && !root && !renamed && !p.longLived(*b) &&
		m.Project != "" && b.annotation[markProject] == m.Project && b.annotation[markEnvironment] == m.Environment
}

// check is preview.ErrConflict when something else is in the way.
func (p *Branches) check(f found, m preview.Mark) error {
	for _, b := range []*branch{f.finished, f.draft} {
		if b != nil && !p.owned(b, m) {
			return fmt.Errorf("branch %s: %w", b.Name, preview.ErrConflict)
		}
	}
	return nil
}

// Observe implements the reconciler's Provider.
func (p *Branches) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if err := checkName(r); err != nil {
		return preview.Observed{}, err
	}
	observe := p.observe
	if r.LongLived != "" {
		observe = p.observeCore
	}
	observed, err := observe(ctx, r)
	if err != nil {
		return preview.Observed{}, fmt.Errorf("observe %s: %w", r.Name, classify(err))
	}
	return observed, nil
}

func (p *Branches) observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	f, err := p.glance(ctx, r)
	if err != nil {
		return preview.Observed{}, err
	}
	if f.finished == nil && f.draft == nil {
		return preview.Observed{}, nil
	}
	if p.check(f, r.Mark) != nil {
		return preview.Observed{Exists: true}, nil
	}
	observed := preview.Observed{Exists: true, Owned: true, ResetRenews: true}
	if f.finished == nil || f.draft != nil {
		return observed, nil
	}
	renewed, err := p.renewed(ctx, *f.finished)
	var outputs preview.Outputs
	if err == nil && renewed {
		outputs, err = p.outputs(ctx, *f.finished)
	}
	switch {
	case err == nil && !renewed:
		return observed, nil
	case err != nil && preview.Classify(classify(err)) == preview.ClassTransient:
		return preview.Observed{}, err
	case err != nil: // as after its own code made a second database, or somebody deleted its compute: Apply tells, unless it is to be deleted or reset
		p.log.WarnContext(ctx, "branch can't be used as it is", "branch", r.Name, "err", err)
		return observed, nil
	}
	observed.Outputs = outputs
	observed.Digest, observed.Extend = f.finished.annotation[markDigest], lapsesWrongly(*f.finished, r)
	return observed, nil
}

// Apply implements the reconciler's Provider.
func (p *Branches) Apply(ctx context.Context, r preview.Resource, _ preview.Inputs) (preview.Outputs, error) {
	if err := checkName(r); err != nil {
		return preview.Outputs{}, err
	}
	apply := p.apply
	if r.LongLived != "" {
		apply = p.applyCore
	}
	outputs, err := apply(ctx, r)
	if err != nil {
		return preview.Outputs{}, fmt.Errorf("branch %s: %w", r.Name, classify(err))
	}
	return outputs, nil
}

func (p *Branches) apply(ctx context.Context, r preview.Resource) (preview.Outputs, error) {
	f, err := p.seen(ctx, r)
	if err == nil {
		err = p.check(f, r.Mark)
	}
	if err != nil {
		return preview.Outputs{}, err
	}
	parent, err := p.parent(f.list, r.Parent)
	if err == nil && r.Reset {
		err = p.masked(ctx, parent)
	}
	if err != nil {
		return preview.Outputs{}, err
	}
	// A reset goes back to the parent that a branch has. Where the name leads to another by now, nobody has looked whether the old one
	// may be copied, and the branch is made anew.
	resets := func(b *branch) bool { return r.Reset && b.ParentID == parent.ID }
	if f.draft != nil && (f.draft.annotation[markDigest] != r.Digest || f.finished != nil && f.finished.annotation[markDigest] == r.Digest ||
		r.Reset && f.draft.ParentID != "" && !resets(f.draft)) {
		// Of an older wish or parent, or what a crash left of migrations that asked for a fresh copy: what serves stays.
		if err := p.remove(ctx, *f.draft); err != nil {
			return preview.Outputs{}, err
		}
		f.draft = nil
	}
	switch {
	case f.draft != nil:
		if f.finished != nil { // a crash before its removal
			if err := p.remove(ctx, *f.finished); err != nil {
				return preview.Outputs{}, err
			}
		}
		if resets(f.draft) { // it may be the one that was to be reset
			return p.restore(ctx, r, *f.draft)
		}
		return p.resume(ctx, r, *f.draft)
	case f.finished == nil:
		return p.make(ctx, r, f)
	case resets(f.finished) && f.finished.InitSource != schemaOnly && f.finished.annotation[markDigest] == r.Digest:
		return p.reset(ctx, r, *f.finished)
	case r.Reset, f.finished.annotation[markDigest] != r.Digest:
		if r.Keep {
			return preview.Outputs{}, errors.New("a core environment's branch is never made anew")
		}
		if err := p.remove(ctx, *f.finished); err != nil {
			return preview.Outputs{}, err
		}
		return p.make(ctx, r, f)
	}
	if renewed, err := p.renewed(ctx, *f.finished); err != nil {
		return preview.Outputs{}, err
	} else if !renewed {
		return p.resume(ctx, r, *f.finished)
	}
	if lapsesWrongly(*f.finished, r) {
		if err := p.api.expire(ctx, f.finished.ID, expiry(r)); err != nil {
			return preview.Outputs{}, err
		}
	}
	return p.outputs(ctx, *f.finished)
}

// Delete implements the reconciler's Provider.
func (p *Branches) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkName(r); err != nil {
		return err
	}
	if r.LongLived != "" {
		return fmt.Errorf("delete %s: %w", r.Name, errKept)
	}
	p.unsee(r.Name)
	f, err := p.find(ctx, r.Name)
	if err == nil {
		err = p.check(f, r.Mark)
	}
	for _, b := range []*branch{f.finished, f.draft} {
		if err == nil && b != nil {
			err = p.remove(ctx, *b)
		}
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", r.Name, classify(err))
	}
	return nil
}

// remove deletes a branch of ours and waits until it is gone. It asks again now and then: an answer may be a proxy's.
func (p *Branches) remove(ctx context.Context, b branch) error {
	const again = 8
	p.forget(b.ID)
	for look := 0; ; look++ {
		if look%again == 0 {
			if err := p.api.delete(ctx, b.ID); err != nil && (look == 0 || status(err) != http.StatusLocked) {
				return err
			}
		}
		list, err := p.api.branches(ctx, b.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(other branch) bool { return other.ID == b.ID }) {
			p.forgetRooms()
			return nil
		}
		if err := pause(ctx, p.look); err != nil {
			return err
		}
	}
}

// List implements the reconciler's Provider.
func (p *Branches) List(ctx context.Context) ([]preview.Found, error) {
	list, err := p.api.branches(ctx, "")
	if err != nil {
		return nil, classify(err)
	}
	var all []preview.Found
	for _, b := range list {
		name := strings.TrimSuffix(b.Name, unfinished(""))
		m := preview.Mark{Project: b.annotation[markProject], Environment: b.annotation[markEnvironment]}
		f := preview.Found{Kind: preview.KindDatabase, Name: name, Mark: m}
		if preview.NamePattern.MatchString(name) && p.owned(&b, m) && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b preview.Found) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// ofPreviews is a branch's database that previews use.
func (p *Branches) ofPreviews(ctx context.Context, id string) (database, error) {
	list, err := p.api.databases(ctx, id)
	if err != nil {
		return database{}, err
	}
	return p.pick(list)
}

// pick is the database that previews use.
func (p *Branches) pick(list []database) (database, error) {
	for _, d := range list {
		if d.Name == p.database || p.database == "" && len(list) == 1 {
			return d, nil
		}
	}
	if p.database == "" {
		return database{}, fmt.Errorf("the branch has %d databases: the operator has to name one", len(list))
	}
	return database{}, fmt.Errorf("the branch has no database %q", p.database)
}

func checkName(r preview.Resource) error {
	if !preview.NamePattern.MatchString(r.Name) {
		return fmt.Errorf("%q is no name of an environment", r.Name)
	}
	return nil
}
