package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Schema is the provider of KindSchema: migrations, seed and schema difference of a branch.
type Schema struct{ server *Server }

// Observe implements the reconciler's Provider. The digest is empty while this process has not itself
// finished an Apply, as after a restart: Apply then finds nothing pending and computes the outputs anew.
func (p *Schema) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if err := checkName(r); err != nil {
		return preview.Observed{}, err
	}
	s := p.server
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	l, err := s.look(ctx, r.Name)
	if err != nil {
		return preview.Observed{}, classify(err)
	}
	switch {
	case !l.database:
		return preview.Observed{}, nil
	case !l.owned(r.Mark):
		return preview.Observed{Exists: true}, nil // in the way
	case l.databaseNote.Schema == "":
		return preview.Observed{}, nil
	}
	observed := preview.Observed{Exists: true, Owned: true}
	known := s.recall(r.Name).schema
	if known == nil || known.oid != l.oid || known.digest != l.databaseNote.Schema {
		return observed, nil
	}
	observed.Digest, observed.Outputs = known.digest, known.outputs
	if r.Parent == "" { // not wanted any more
		return observed, nil
	}
	parent, err := s.parentRows(ctx, r.Parent)
	if err != nil {
		return preview.Observed{}, fmt.Errorf("schema of %s: %w", r.Name, classify(err))
	}
	observed.Outputs.BehindParent = behind(known.applied, parent)
	return observed, nil
}

// Apply implements the reconciler's Provider: it runs what is pending, as the branch's role, in one
// transaction. A preview whose applied migrations changed or vanished is copied from the parent again,
// and what served before is replaced only once all migrations ran in the new copy.
func (p *Schema) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if err := checkName(r); err != nil {
		return preview.Outputs{}, err
	}
	config := p.server.config
	ctx, cancel := context.WithTimeout(ctx, config.CopyTimeout+2*config.MigrationTimeout+callTimeout)
	defer cancel()
	outputs, err := p.apply(ctx, r, in)
	if err != nil {
		return preview.Outputs{}, fmt.Errorf("schema of %s: %w", r.Name, classify(err))
	}
	return outputs, nil
}

func (p *Schema) apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	s := p.server
	l, err := s.look(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	switch {
	case !l.database && !l.role:
		return preview.Outputs{}, fmt.Errorf("database: %w", preview.ErrNotFound)
	case !l.owned(r.Mark):
		return preview.Outputs{}, preview.ErrConflict
	case !l.finished():
		return preview.Outputs{}, preview.Transient(fmt.Errorf("database is not finished"))
	}
	f, err := migration.Read(in.Source, r.Layout)
	if err != nil {
		return preview.Outputs{}, err
	}
	parent, err := s.parentRows(ctx, r.Parent)
	if err != nil {
		return preview.Outputs{}, err
	}
	if err := approve(r, f, parent); err != nil {
		return preview.Outputs{}, err
	}
	j := job{server: s, r: r, folder: f, redact: in.Redact}
	branch, reset, err := j.converge(ctx, l, parent)
	if err != nil {
		return preview.Outputs{}, warned(err, destructive(f, parent), f.Unapplied())
	}
	return j.finish(ctx, branch, parent, reset)
}

// CheckApproval implements the reconciler's ApprovalChecker.
func (p *Schema) CheckApproval(ctx context.Context, r preview.Resource, in preview.Inputs) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	f, err := migration.Read(in.Source, r.Layout)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", r.Name, err)
	}
	parent, err := p.server.parentRows(ctx, r.Parent)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", r.Name, classify(err))
	}
	return approve(r, f, parent)
}

// approve is a *preview.ApprovalError while a person must look at the migrations first.
func approve(r preview.Resource, f migration.Folder, parent []applied) error {
	if !r.RequireApproval || r.Approved {
		return nil
	}
	if problems := destructive(f, parent); len(problems) > 0 {
		return &preview.ApprovalError{Problems: append(problems, f.Unapplied()...)}
	}
	return nil
}

// warned adds to what is wrong with migrations what else should be known of them.
func warned(err error, lists ...[]preview.Problem) error {
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	for _, p := range slices.Concat(lists...) {
		p.Warning = true
		invalid.Problems = append(invalid.Problems, p)
	}
	return err
}

// destructive names what is destructive in the migrations that the parent lacks.
func destructive(f migration.Folder, parent []applied) []preview.Problem {
	return migration.Destructive(f.Format, compare(f, parent, parent).pending)
}

// converge brings the branch up to date and returns its rows, and why its data was reset, if it was.
func (j job) converge(ctx context.Context, l look, parent []applied) (branch []applied, reset string, err error) {
	reset, branch, err = j.migrate(ctx, j.r.Name, parent, l.databaseNote.Schema == "")
	if err != nil || reset == "" {
		return branch, "", err
	}
	if j.r.Keep {
		return nil, "", preview.Invalid(whatMigration, preview.Problem{
			Path: j.r.Layout.Migrations, Message: reset,
			Hint: "the data of a core environment is never reset: bring the migration back and add a new one",
		})
	}
	kept := note{Mark: j.r.Mark, Digest: l.databaseNote.Digest, Parent: l.databaseNote.Parent, Emptied: l.databaseNote.Emptied}
	err = j.server.recreate(ctx, j.r, kept, func(ctx context.Context, draft string) error {
		again, rows, err := j.migrate(ctx, draft, parent, true)
		if err == nil && again != "" { // the parent changed in between
			err = preview.Transient(fmt.Errorf("fresh copy: %s", again))
		}
		branch = rows
		return err
	})
	return branch, reset, err
}

// migrate runs what is pending in database; when that can't be told without a fresh copy, it says why and does nothing.
func (j job) migrate(ctx context.Context, database string, parent []applied, fresh bool) (reset string, branch []applied, err error) {
	l, err := j.server.login(ctx, j.r, database)
	if err != nil {
		return "", nil, err
	}
	defer func() {
		l.end(ctx, err != nil)
		if l.overgrew.Load() {
			j.server.reclaim(ctx, j.r, database)
		}
	}()
	branch, err = readBooks(ctx, l.Conn)
	if err != nil {
		return "", nil, l.cause(err)
	}
	d := compare(j.folder, branch, parent)
	if d.reset != "" {
		return d.reset, nil, nil
	}
	seed := false
	if fresh && j.folder.Seed != nil {
		done, err := seeds().rows(ctx, l.Conn)
		if err != nil {
			return "", nil, l.cause(err)
		}
		seed = len(done) == 0
	}
	if err = j.run(ctx, l, d.pending, seed); err != nil {
		return "", nil, err
	}
	for _, s := range d.pending {
		branch = append(branch, rowOf(s, j.folder.Format))
	}
	return "", branch, nil
}

// finish computes the outputs and, last, records the digest.
func (j job) finish(ctx context.Context, branch, parent []applied, reset string) (preview.Outputs, error) {
	s, r := j.server, j.r
	outputs := preview.Outputs{Migrations: beyond(j.folder, branch, parent), BehindParent: behind(branch, parent), Warnings: destructive(j.folder, parent), Unapplied: j.folder.Unapplied()}
	difference, err := s.schemaDiff(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			return preview.Outputs{}, err
		}
		s.log.WarnContext(ctx, "no schema difference", "database", r.Name, "err", err)
		difference = "-- the schema difference could not be computed\n"
	}
	outputs.SchemaDiff = difference
	l, err := s.look(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	if !l.finished() || !l.owned(r.Mark) {
		return preview.Outputs{}, preview.Transient(fmt.Errorf("database went away meanwhile"))
	}
	if l.databaseNote.Schema != r.Digest {
		n := l.databaseNote
		n.Schema = r.Digest
		if err := s.describe(ctx, "DATABASE", r.Name, n); err != nil {
			return preview.Outputs{}, err
		}
	}
	s.remember(r.Name, func(m *memory) {
		m.schema = &schemaMemory{oid: l.oid, digest: r.Digest, applied: slices.Clone(branch), outputs: outputs}
	})
	outputs.DataReset = reset
	return outputs, nil
}

// parentRows reads the parent's bookkeeping.
func (s *Server) parentRows(ctx context.Context, parent string) ([]applied, error) {
	leave, err := s.parents.read(ctx, parent)
	if err != nil {
		return nil, err
	}
	defer leave()
	conn, err := pgx.ConnectConfig(ctx, s.adminConfig(parent))
	if err != nil {
		return nil, fmt.Errorf("connect to parent %s: %w", parent, err)
	}
	defer closeConn(ctx, conn)
	rows, err := readBooks(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("parent %s: %w", parent, err)
	}
	return rows, nil
}

// Delete implements the reconciler's Provider. What was migrated goes with the database alone; in a
// database that stays, Delete forgets that the schema was finished.
func (p *Schema) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkName(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	l, err := p.server.look(ctx, r.Name)
	switch {
	case err != nil:
		return fmt.Errorf("schema of %s: %w", r.Name, classify(err))
	case !l.database:
		return nil
	case !l.owned(r.Mark):
		return fmt.Errorf("schema of %s: %w", r.Name, preview.ErrConflict)
	case l.databaseNote.Schema == "":
		return nil
	}
	n := l.databaseNote
	n.Schema = ""
	if err := p.server.describe(ctx, "DATABASE", r.Name, n); err != nil && code(err) != codeUndefinedDatabase {
		return fmt.Errorf("schema of %s: %w", r.Name, classify(err))
	}
	p.server.remember(r.Name, func(m *memory) { m.schema = nil })
	return nil
}

// List finds nothing: a schema is part of its database.
func (p *Schema) List(context.Context) ([]preview.Found, error) { return nil, nil }
