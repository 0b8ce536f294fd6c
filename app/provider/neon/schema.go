package neon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	// recordPrefix begins the name of a compute whose branch has a finished schema; the digest and the time of the branch's
	// last reset follow.
	recordPrefix = "schema-"
	// noRecord begins the name of one that has none, and the time of the branch's last reset follows.
	noRecord = "no-schema-"
	// bookFor is how long a parent's bookkeeping counts where nothing but "behind the parent" depends on it: reading it
	// starts a compute that sleeps.
	bookFor = 6 * time.Hour
)

// Schema is the provider of KindSchema: migrations, seed and schema difference of a branch.
type Schema struct{ branches *Branches }

// schemaResult is what the last finished Apply left, in this process.
type schemaResult struct {
	digest  string
	rows    []migrator.Row
	outputs preview.Outputs
}

// Schema is the provider of KindSchema in the same project.
func (p *Branches) Schema() *Schema { return &Schema{branches: p} }

// record is the name of the branch's compute once the schema with that digest is finished. A reset takes the schema back, and
// with the time of it the record no longer fits.
func record(b branch, digest string) string {
	return recordPrefix + digest + "-" + lastReset(b)
}

// lastReset is when the branch was reset last, as the names of computes have it.
func lastReset(b branch) string { return strconv.FormatInt(max(b.ResetAt.Unix(), 0), 36) }

// recorded is the digest of the branch's finished schema, if the compute has such a name; empty: none.
func recorded(b branch, compute endpoint) string {
	digest := strings.TrimPrefix(compute.Name, recordPrefix)
	if at := strings.LastIndexByte(digest, '-'); at > 0 && record(b, digest[:at]) == compute.Name {
		return digest[:at]
	}
	return ""
}

// Observe implements the reconciler's Provider. It asks Neon's API alone, so that it starts no compute that sleeps. After a
// restart it knows the digest and no outputs.
func (s *Schema) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if err := checkName(r); err != nil {
		return preview.Observed{}, err
	}
	observed, err := s.observe(ctx, r)
	if err != nil {
		return preview.Observed{}, fmt.Errorf("schema of %s: %w", r.Name, classify(err))
	}
	return observed, nil
}

func (s *Schema) observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	p := s.branches
	f, err := p.glance(ctx, r)
	if err != nil {
		return preview.Observed{}, err
	}
	b, err := p.home(ctx, f, r)
	switch {
	case errors.Is(err, preview.ErrConflict):
		return preview.Observed{Exists: true}, nil // in the way
	case err != nil || b == nil:
		return preview.Observed{}, err
	}
	compute, err := p.api.compute(ctx, b.ID)
	if errors.Is(err, preview.ErrNotFound) || status(err) == http.StatusNotFound { // it goes just now
		return preview.Observed{}, nil
	}
	if err != nil {
		return preview.Observed{}, err
	}
	observed := preview.Observed{Digest: recorded(*b, compute)}
	if observed.Digest == "" {
		return observed, nil
	}
	observed.Exists, observed.Owned = true, true
	p.mu.Lock()
	known := p.schemas[b.ID]
	p.mu.Unlock()
	if known.digest == observed.Digest {
		observed.Outputs = known.outputs
		observed.Outputs.BehindParent = s.behind(ctx, r, known, f.list)
	}
	return observed, nil
}

// home is the finished branch that the resource's schema is in; nil: there is none. preview.ErrConflict: something else is in the way.
func (p *Branches) home(ctx context.Context, f found, r preview.Resource) (*branch, error) {
	if r.LongLived == "" {
		return f.finished, p.check(f, r.Mark)
	}
	b, _, err := p.core(ctx, f.list, r)
	return &b, err
}

// behind names what the parent has and the branch lacks, as far as is known.
func (s *Schema) behind(ctx context.Context, r preview.Resource, known schemaResult, list []branch) []string {
	p := s.branches
	if r.Parent == "" || r.LongLived != "" { // not wanted any more, or without a parent
		return known.outputs.BehindParent
	}
	parent, err := p.parent(list, r.Parent)
	if err == nil {
		p.mu.Lock()
		b, read := p.books[parent.ID]
		p.mu.Unlock()
		if !read || time.Since(b.at) > bookFor {
			b, err = p.readBook(ctx, parent.ID)
		}
		if err == nil {
			return migrator.Behind(known.rows, b.rows)
		}
	}
	p.log.WarnContext(ctx, "migrations of the parent", "parent", r.Parent, "err", err)
	return known.outputs.BehindParent
}

// Apply implements the reconciler's Provider: it runs what is pending, as the owner of the branch's database, in one
// transaction. A preview whose applied migrations changed or vanished gets a fresh branch, and what served before is
// replaced only once all migrations ran there; the outputs then hold its address.
func (s *Schema) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if err := checkName(r); err != nil {
		return preview.Outputs{}, err
	}
	outputs, err := s.apply(ctx, r, in)
	if err != nil {
		return preview.Outputs{}, fmt.Errorf("schema of %s: %w", r.Name, classify(err))
	}
	return outputs, nil
}

// run is one Apply.
type run struct {
	*Branches
	r      preview.Resource
	folder migration.Folder
	redact []preview.Secret
	parent string // id; empty: the branch is the operator's, and has none that counts
	book   book   // the parent's; without one, the branch's own before anything was migrated
}

func (s *Schema) apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	p := s.branches
	a := run{Branches: p, r: r, redact: in.Redact}
	m, err := a.begin(ctx)
	if err != nil {
		return preview.Outputs{}, err
	}
	if a.folder, err = migration.Read(in.Source, r.Layout); err != nil {
		return preview.Outputs{}, err
	}
	if err := a.readParent(ctx, m); err != nil {
		return preview.Outputs{}, err
	}
	if err := migrator.Approve(r, a.folder, a.book.rows); err != nil {
		return preview.Outputs{}, err
	}
	if m.compute.ID == "" {
		if m.compute, err = p.api.compute(ctx, m.branch.ID); err != nil {
			return preview.Outputs{}, err
		}
	}
	rows, reset, err := a.migrate(ctx, m.branch, a.parent != "" && recorded(m.branch, m.compute) == "")
	if err == nil && reset != "" {
		m, rows, err = a.rebuild(ctx, m.branch, reset)
	}
	if err != nil {
		return preview.Outputs{}, migrator.Warned(err, a.folder, a.book.rows)
	}
	return a.finish(ctx, m.branch, m.compute, rows, reset)
}

// begin is the branch that is migrated. It is the one that the same pass has just made, by what Neon answered to that, or else it is
// found anew, so that none of production is taken for one of ours.
func (a *run) begin(ctx context.Context) (made, error) {
	p, r := a.Branches, a.r
	if r.LongLived != "" {
		return a.beginCore(ctx)
	}
	if m, ok := p.takeOver(r); ok {
		a.parent = m.parent
		return m, nil
	}
	p.unsee(r.Name)
	f, err := p.find(ctx, r.Name)
	if err == nil {
		err = p.check(f, r.Mark)
	}
	switch {
	case err != nil:
		return made{}, err
	case f.finished == nil && f.draft == nil:
		return made{}, fmt.Errorf("database: %w", preview.ErrNotFound)
	case f.finished == nil:
		return made{}, preview.Transient(errors.New("database is not finished"))
	}
	if renewed, err := p.renewed(ctx, *f.finished); err != nil {
		return made{}, err
	} else if !renewed { // what is noted of the schema next would say that it is
		return made{}, preview.Transient(errors.New("database was reset just now, and has its parent's passwords"))
	}
	parent, err := p.parent(f.list, r.Parent)
	a.parent = parent.ID
	return made{branch: *f.finished}, err
}

// beginCore finds the operator's branch, and makes sure that it is the environment's.
func (a *run) beginCore(ctx context.Context) (made, error) {
	f, err := a.find(ctx, a.r.Name)
	if err != nil {
		return made{}, err
	}
	b, err := a.coreIn(f.list, a.r.LongLived)
	if err == nil {
		err = a.claim(ctx, b, a.r.Mark)
	}
	return made{branch: b}, err
}

// readParent reads what the parent has. A copy that was just made, and that nothing has run in, tells the same without that the
// parent is asked, or its compute started.
func (a *run) readParent(ctx context.Context, m made) (err error) {
	copied := m.compute.ID != "" && m.branch.InitSource != schemaOnly
	if !copied {
		a.book, err = a.readBook(ctx, cmp.Or(a.parent, m.branch.ID))
		return err
	}
	if a.book, err = a.readBook(ctx, m.branch.ID); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.books[a.parent] = a.book
	delete(a.books, m.branch.ID)
	return nil
}

// CheckApproval implements the reconciler's ApprovalChecker.
func (s *Schema) CheckApproval(ctx context.Context, r preview.Resource, in preview.Inputs) error {
	p := s.branches
	f, err := migration.Read(in.Source, r.Layout)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", r.Name, err)
	}
	var parent branch
	seen, err := p.find(ctx, r.Name)
	if err == nil {
		parent, err = p.parent(seen.list, r.Parent)
	}
	var b book
	if err == nil {
		b, err = p.readBook(ctx, parent.ID)
	}
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", r.Name, classify(err))
	}
	return migrator.Approve(r, f, b.rows)
}

// migrate runs what is pending in a branch; when that can't be told without a fresh one, it says why and does nothing.
func (a run) migrate(ctx context.Context, b branch, fresh bool) (rows []migrator.Row, reset string, err error) {
	conn, err := a.connect(ctx, b.ID, migrator.AsRole)
	if err != nil {
		return nil, "", err
	}
	g, err := a.newGuard(ctx, b.ID, a.r.Keep, conn.Config())
	if err != nil {
		migrator.Close(ctx, conn)
		return nil, "", err
	}
	defer g.pool.Close()
	l := migrator.Watch(ctx, conn, a.migrations.Timeout, g.kill, a.log)
	defer func() { l.End(ctx, err != nil) }()
	growth := migrator.Growth{Size: g.size, LimitMB: a.migrations.GrowthMB}
	if !a.r.Keep {
		growth.Base = func(context.Context) (int64, error) { return a.book.size, nil }
	}
	job := migrator.Job{Resource: a.r, Folder: a.folder, Growth: growth, PlanLimit: true,
		Redact: append([]preview.Secret{preview.Secret(conn.Config().Password)}, a.redact...)}
	parent := a.book.rows
	if a.parent == "" { // nothing but the repository says what may have been applied
		parent = nil
	}
	rows, reset, err = job.Migrate(ctx, l, parent, fresh)
	if err == nil && reset != "" && a.r.Keep {
		return nil, "", job.RefuseReset(reset)
	}
	return rows, reset, migrator.Classify(err)
}

// rebuild makes a fresh branch beside the old one, migrates it and puts it in the old one's place.
func (a run) rebuild(ctx context.Context, old branch, why string) (made, []migrator.Row, error) {
	f, err := a.find(ctx, a.r.Name)
	if err == nil {
		err = a.check(f, a.r.Mark)
	}
	if err == nil && f.draft != nil { // of an earlier try
		err = a.remove(ctx, *f.draft)
	}
	if err != nil {
		return made{}, nil, err
	}
	database := a.r
	database.Kind, database.Digest, database.SchemaOnly = preview.KindDatabase, old.annotation[markDigest], old.InitSource == schemaOnly
	draft, err := a.build(ctx, database, f)
	if errors.Is(err, preview.ErrConflict) { // another pass is at it
		err = preview.Transient(err)
	}
	if err != nil {
		return made{}, nil, fmt.Errorf("fresh branch: %w", err)
	}
	rows, again, err := a.migrate(ctx, draft.branch, true)
	if err == nil && again != "" { // the parent changed in between
		err = preview.Transient(fmt.Errorf("fresh branch: %s", again))
	}
	if err != nil {
		return made{}, nil, errors.Join(err, a.discard(ctx, draft.branch))
	}
	a.log.InfoContext(ctx, "fresh branch for migrations", "branch", a.r.Name, "because", why)
	if err := a.remove(ctx, old); err != nil {
		return made{}, nil, err
	}
	_, err = a.Branches.finish(ctx, database, &draft.branch)
	return draft, rows, err
}

// discard removes a fresh branch that is no use, also when ctx is over.
func (a run) discard(ctx context.Context, b branch) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return a.remove(ctx, b)
}

// finish computes the outputs and, last, records the digest.
func (a run) finish(ctx context.Context, b branch, compute endpoint, rows []migrator.Row, reset string) (preview.Outputs, error) {
	outputs := migrator.Outputs(a.folder, rows, a.book.rows)
	if a.parent != "" && !sameRows(rows, a.book.rows) {
		difference, err := a.difference(ctx, b)
		if err != nil {
			return preview.Outputs{}, err
		}
		outputs.SchemaDiff = difference
	}
	if err := ctx.Err(); err != nil {
		return preview.Outputs{}, err
	}
	if name := record(b, a.r.Digest); compute.Name != name {
		// Once it has begun it goes to its end: who is told that nothing is finished may count on it.
		if err := a.api.nameCompute(context.WithoutCancel(ctx), compute.ID, name); err != nil {
			return preview.Outputs{}, fmt.Errorf("record: %w", err)
		}
	}
	a.mu.Lock()
	a.schemas[b.ID] = schemaResult{digest: a.r.Digest, rows: slices.Clone(rows), outputs: outputs}
	if a.parent == "" { // previews may branch from it
		a.books[b.ID] = book{rows: slices.Clone(rows), size: a.book.size, at: time.Now()}
	}
	a.mu.Unlock()
	if reset != "" {
		made, err := a.outputs(ctx, b)
		if err != nil {
			return preview.Outputs{}, err
		}
		outputs.DataReset, outputs.DatabaseURL = reset, made.DatabaseURL
	}
	return outputs, nil
}

// difference is Neon's comparison of the branch's schema with its parent's.
func (a run) difference(ctx context.Context, b branch) (string, error) {
	direct, err := a.direct(ctx, b.ID)
	if err != nil {
		return "", err
	}
	config, err := pgx.ParseConfig(direct.Reveal())
	if err != nil { // the error quotes parts of the string
		return "", errors.New("neon's connection string can't be parsed")
	}
	text, err := a.api.compareSchema(ctx, b.ID, a.parent, config.Database)
	if err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		a.log.WarnContext(ctx, "no schema difference", "branch", a.r.Name, "err", err)
		text = migrator.NoDiff
	}
	return migrator.TruncateDiff(text), nil
}

// sameRows reports whether the same was applied to both: their schemas are then compared by nobody.
func sameRows(a, b []migrator.Row) bool { return maps.Equal(count(a), count(b)) }

func count(rows []migrator.Row) map[migrator.Row]int {
	n := map[migrator.Row]int{}
	for _, row := range rows {
		n[row]++
	}
	return n
}

// Delete implements the reconciler's Provider. What was migrated goes with the database alone; in a database that stays,
// Delete forgets that the schema was finished.
func (s *Schema) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkName(r); err != nil {
		return err
	}
	if err := s.delete(ctx, r); err != nil {
		return fmt.Errorf("schema of %s: %w", r.Name, classify(err))
	}
	return nil
}

func (s *Schema) delete(ctx context.Context, r preview.Resource) error {
	p := s.branches
	p.unsee(r.Name)
	f, err := p.find(ctx, r.Name)
	if err != nil {
		return err
	}
	b, err := p.home(ctx, f, r)
	if err != nil || b == nil {
		return err
	}
	compute, err := p.api.compute(ctx, b.ID)
	if err == nil && strings.HasPrefix(compute.Name, recordPrefix) {
		err = p.api.nameCompute(ctx, compute.ID, noRecord+lastReset(*b))
	}
	if errors.Is(err, preview.ErrNotFound) || status(err) == http.StatusNotFound { // it goes with its branch
		err = nil
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.schemas, b.ID)
	return nil
}

// List finds nothing: a schema is part of its database.
func (s *Schema) List(context.Context) ([]preview.Found, error) { return nil, nil }
