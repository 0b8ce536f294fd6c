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
	// expirySlack is how long Neon lets a branch live after its time, so that we are the ones who end it.
	expirySlack = 6 * time.Hour
	// longestExpiry is the most that Neon takes.
	longestExpiry = 30*24*time.Hour - time.Hour
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
	// Production is the id or the name of the one branch that nothing is ever branched from; empty: not told.
	Production string
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
	api       *client
	database  string
	forbidden []string
	// production is not looked for where it is empty.
	production string
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
		api:      &client{http: &http.Client{Transport: c.Transport}, base: address, key: c.APIKey, project: c.ProjectID},
		database: c.Database, forbidden: c.Forbidden, production: c.Production, look: cmp.Or(c.Look, defaultLook),
		fresh: cmp.Or(c.Fresh, defaultFresh), log: c.Logger, glances: map[string]*glance{}, made: map[string]made{}, pinned: map[string]string{}, urls: map[string]preview.Secret{}, rooms: map[string]room{},
		schemas: map[string]schemaResult{}, books: map[string]book{}, roots: c.Roots, dial: c.Dial,
		migrations: Migrations{Timeout: cmp.Or(c.Migrations.Timeout, time.Minute), GrowthMB: cmp.Or(c.Migrations.GrowthMB, 1024)},
	}, nil
}

// unfinished is the name of a branch under construction. It does not match preview.NamePattern.
func unfinished(name string) string { return name + "_new" }

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
	f, err := p.glance(ctx, r)
	if err != nil {
		return preview.Observed{}, fmt.Errorf("observe %s: %w", r.Name, classify(err))
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
	if observed.Outputs, err = p.outputs(ctx, *f.finished); err != nil {
		return preview.Observed{}, fmt.Errorf("observe %s: %w", r.Name, classify(err))
	}
	observed.Digest, observed.Extend = f.finished.annotation[markDigest], lapsesWrongly(*f.finished, r)
	return observed, nil
}

// Apply implements the reconciler's Provider.
func (p *Branches) Apply(ctx context.Context, r preview.Resource, _ preview.Inputs) (preview.Outputs, error) {
	if err := checkName(r); err != nil {
		return preview.Outputs{}, err
	}
	outputs, err := p.apply(ctx, r)
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
	if _, err := p.parent(f.list, r.Parent); err != nil {
		return preview.Outputs{}, err
	}
	if f.draft != nil && (f.draft.annotation[markDigest] != r.Digest || f.finished != nil && f.finished.annotation[markDigest] == r.Digest) {
		// Of an older wish, or what a crash left of migrations that asked for a fresh copy: what serves stays.
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
		if r.Reset && f.draft.ParentID != "" { // it may be the one that was to be reset
			return p.restore(ctx, r, *f.draft)
		}
		return p.resume(ctx, r, *f.draft)
	case f.finished == nil:
		return p.make(ctx, r, f)
	case r.Reset && f.finished.InitSource != schemaOnly && f.finished.annotation[markDigest] == r.Digest:
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
	if lapsesWrongly(*f.finished, r) {
		if err := p.api.expire(ctx, f.finished.ID, expiry(r)); err != nil {
			return preview.Outputs{}, err
		}
	}
	return p.outputs(ctx, *f.finished)
}

// make creates the branch and finishes it.
func (p *Branches) make(ctx context.Context, r preview.Resource, f found) (preview.Outputs, error) {
	m, err := p.build(ctx, r, f)
	switch {
	case status(err) == http.StatusConflict: // an earlier try that seemed to fail
		return p.resumeByName(ctx, r)
	case err != nil:
		return preview.Outputs{}, err
	}
	outputs, err := p.finish(ctx, r, &m.branch)
	if err == nil {
		p.handOver(r, m)
	}
	return outputs, err
}

// build creates the branch under its unfinished name, with passwords of its own. f is what was seen of the project just before.
func (p *Branches) build(ctx context.Context, r preview.Resource, f found) (made, error) {
	parent, err := p.parent(f.list, r.Parent)
	if err != nil {
		return made{}, err
	}
	wish := creation{
		Branch:     creationBranch{ParentID: parent.ID, Name: unfinished(r.Name), InitSource: withData, ExpiresAt: expiry(r)},
		Endpoints:  []creationEndpoint{{Type: readWrite}},
		Annotation: map[string]string{markProject: r.Mark.Project, markEnvironment: r.Mark.Environment, markDigest: r.Digest, markName: r.Name, markComment: "yes"},
	}
	if r.SchemaOnly {
		wish.Branch.InitSource = schemaOnly
	}
	answer, err := p.api.create(ctx, wish)
	if limited(err) {
		return made{}, p.noRoom(ctx, r.Mark.Project, err)
	}
	if err != nil {
		return made{}, err
	}
	m := made{branch: answer.Branch, parent: parent.ID}
	m.branch.annotation = wish.Annotation
	if m.compute, err = computeIn(answer.Endpoints); err != nil {
		return made{}, preview.Transient(err)
	}
	d, err := p.pick(answer.Databases)
	if err != nil {
		return made{}, err
	}
	inherited, err := answer.uri(d)
	if err != nil {
		return made{}, err
	}
	marked, err := p.await(ctx, r.Mark, inherited, answer.Operations)
	if err != nil {
		return made{}, err
	}
	passwords, err := p.renewPasswords(ctx, m.branch.ID, answer.Roles)
	if status(err) == http.StatusLocked { // its compute answers, and Neon has not noted that yet
		if err = p.wait(ctx, answer.Operations); err == nil {
			passwords, err = p.renewPasswords(ctx, m.branch.ID, answer.Roles)
		}
	}
	if err != nil {
		return made{}, err
	}
	own, err := withPassword(inherited, passwords[d.Owner])
	if err != nil {
		return made{}, err
	}
	p.remember(m.branch.ID, own)
	if !marked {
		err = p.mark(ctx, m.branch.ID, r.Mark)
	}
	return m, err
}

// resumeByName goes on with a branch whose creation was not answered.
func (p *Branches) resumeByName(ctx context.Context, r preview.Resource) (preview.Outputs, error) {
	f, err := p.find(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	if err := p.check(f, r.Mark); err != nil {
		return preview.Outputs{}, err
	}
	if f.draft == nil {
		return preview.Outputs{}, preview.Transient(errors.New("another branch of this name comes or goes"))
	}
	return p.resume(ctx, r, *f.draft)
}

// resume finishes a branch of an earlier try, wherever that ended.
func (p *Branches) resume(ctx context.Context, r preview.Resource, b branch) (preview.Outputs, error) {
	p.forget(b.ID)
	if err := p.settle(ctx, b.ID); err != nil {
		return preview.Outputs{}, err
	}
	list, err := p.api.branches(ctx, b.ID)
	if err != nil {
		return preview.Outputs{}, err
	}
	if !slices.ContainsFunc(list, func(now branch) bool { return now.ID == b.ID && now.State == "ready" }) {
		return preview.Outputs{}, errors.Join(preview.Transient(errors.New("neon could not make the branch")), p.remove(ctx, b))
	}
	roles, err := p.api.roles(ctx, b.ID)
	if err != nil {
		return preview.Outputs{}, err
	}
	if _, err := p.renewPasswords(ctx, b.ID, roles); err != nil {
		return preview.Outputs{}, err
	}
	if b.annotation[markComment] != "" {
		if err := p.mark(ctx, b.ID, r.Mark); err != nil {
			return preview.Outputs{}, err
		}
	}
	return p.finish(ctx, r, &b)
}

// finish gives the branch its name: from then on it is one. b becomes what it is then.
func (p *Branches) finish(ctx context.Context, r preview.Resource, b *branch) (preview.Outputs, error) {
	outputs, err := p.outputs(ctx, *b)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return preview.Outputs{}, err
	}
	// Once it has begun it goes to its end: who is told that nothing is finished may count on it.
	named, err := p.api.rename(context.WithoutCancel(ctx), b.ID, r.Name)
	if status(err) == http.StatusConflict {
		return preview.Outputs{}, errors.Join(preview.ErrConflict, err)
	}
	if err != nil {
		return preview.Outputs{}, err
	}
	if named.ID == b.ID { // else the answer is none of Neon's
		named.annotation = b.annotation
		*b = named
	}
	return outputs, nil
}

// reset makes the branch again from its parent. Its address stays; its passwords become the parent's until they
// are renewed, so it is under construction meanwhile.
func (p *Branches) reset(ctx context.Context, r preview.Resource, b branch) (preview.Outputs, error) {
	if _, err := p.api.rename(ctx, b.ID, unfinished(r.Name)); err != nil {
		return preview.Outputs{}, err
	}
	return p.restore(ctx, r, b)
}

func (p *Branches) restore(ctx context.Context, r preview.Resource, b branch) (preview.Outputs, error) {
	if err := p.settle(ctx, b.ID); err != nil {
		return preview.Outputs{}, err
	}
	if _, err := p.api.restore(ctx, b.ID, b.ParentID); err != nil {
		return preview.Outputs{}, err
	}
	outputs, err := p.resume(ctx, r, b)
	if err == nil {
		err = p.renewExpiry(ctx, b.ID, r) // Neon begins it anew
	}
	return outputs, err
}

// renewPasswords gives every role another password than the parent's.
func (p *Branches) renewPasswords(ctx context.Context, id string, roles []role) (map[string]preview.Secret, error) {
	passwords := map[string]preview.Secret{}
	for _, role := range roles {
		password, err := p.api.resetPassword(ctx, id, role.Name)
		if err != nil {
			return nil, fmt.Errorf("password of %s: %w", role.Name, err)
		}
		passwords[role.Name] = password
	}
	return passwords, nil
}

// Delete implements the reconciler's Provider.
func (p *Branches) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkName(r); err != nil {
		return err
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

// expiry is when Neon itself ends the branch.
func expiry(r preview.Resource) *time.Time {
	if r.ExpiresAt.IsZero() || r.Keep {
		return nil
	}
	at := r.ExpiresAt.Add(expirySlack)
	if latest := time.Now().Add(longestExpiry); at.After(latest) {
		at = latest
	}
	at = at.UTC().Truncate(time.Second)
	return &at
}

// lapsesWrongly reports whether Neon would end the branch at another time than it should. An hour more or less is not
// worth a write.
func lapsesWrongly(b branch, r preview.Resource) bool {
	at := expiry(r)
	if at == nil || b.ExpiresAt.IsZero() {
		return (at == nil) != b.ExpiresAt.IsZero()
	}
	if r.ExpiresAt.Add(expirySlack).Sub(*at) >= time.Second { // beyond what Neon takes, which moves on by itself
		return time.Until(b.ExpiresAt) < longestExpiry/2
	}
	return at.Sub(b.ExpiresAt).Abs() > time.Hour
}

func (p *Branches) renewExpiry(ctx context.Context, id string, r preview.Resource) error {
	if at := expiry(r); at != nil {
		return p.api.expire(ctx, id, at)
	}
	return nil
}

func checkName(r preview.Resource) error {
	if !preview.NamePattern.MatchString(r.Name) {
		return fmt.Errorf("%q is no name of an environment", r.Name)
	}
	return nil
}
