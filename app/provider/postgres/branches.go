package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// goneTimeout bounds the wait for a dropped database to be out of the catalogs.
const goneTimeout = 30 * time.Second

// Branches is the provider of KindDatabase: database branches with a role each.
type Branches struct{ server *Server }

// Observe implements the reconciler's Provider. The digest is empty while this process does not
// know the password of the branch, as after a restart: Apply then sets a new one. It is empty, too, of a branch that
// was closed because of its size, which Apply refuses.
func (b *Branches) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if err := checkName(r); err != nil {
		return preview.Observed{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	l, err := b.server.look(ctx, r.Name)
	if err != nil {
		return preview.Observed{}, migrator.Classify(err)
	}
	observed := preview.Observed{Exists: l.database || l.role, Owned: l.owned(r.Mark)}
	password := b.server.recall(r.Name).password
	if observed.Owned && l.finished() && !l.databaseNote.Closed && password != "" {
		observed.Digest = l.databaseNote.Digest
		observed.Outputs = b.outputs(r, password)
	}
	return observed, nil
}

// Apply implements the reconciler's Provider. A branch that exists is kept with its data, unless r.Reset
// asks for a fresh copy of the parent; role, password and URL stay the same in both cases.
func (b *Branches) Apply(ctx context.Context, r preview.Resource, _ preview.Inputs) (preview.Outputs, error) {
	if err := checkName(r); err != nil {
		return preview.Outputs{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.server.config.CopyTimeout+callTimeout)
	defer cancel()
	outputs, err := b.apply(ctx, r)
	if err != nil {
		return preview.Outputs{}, fmt.Errorf("database branch %s: %w", r.Name, migrator.Classify(err))
	}
	return outputs, nil
}

func (b *Branches) apply(ctx context.Context, r preview.Resource) (preview.Outputs, error) {
	l, err := b.server.look(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	if (l.database || l.role) && !l.owned(r.Mark) {
		return preview.Outputs{}, preview.ErrConflict
	}
	// Without its role nobody owns what is in the database, and one with data is no schema-only branch.
	broken := l.database && (!l.role || r.SchemaOnly && !l.databaseNote.Emptied)
	// A branch of another parent has that one's data, which may not be what it should have now.
	moved := l.database && l.databaseNote.Parent != r.Parent && !r.Keep
	afresh := !l.database || broken || moved || r.Reset
	if l.databaseNote.Closed && !afresh {
		return preview.Outputs{}, errClosed()
	}
	password, err := b.server.ensureRole(ctx, r, l, r.Reset)
	if err != nil {
		return preview.Outputs{}, err
	}
	switch {
	case broken && r.Keep && !r.Reset:
		err = errors.New("only a reset would repair it, and its data is to be kept")
	case afresh:
		err = b.server.recreate(ctx, r, note{Mark: r.Mark, Digest: r.Digest, Parent: r.Parent, Emptied: r.SchemaOnly, Preview: !r.Keep}, nil)
	case l.databaseNote.Digest != r.Digest, l.databaseNote.Preview == r.Keep:
		changed := l.databaseNote
		changed.Digest, changed.Preview = r.Digest, !r.Keep
		err = b.server.describe(ctx, "DATABASE", r.Name, changed)
	}
	if err != nil {
		return preview.Outputs{}, err
	}
	return b.outputs(r, password), nil
}

func (b *Branches) outputs(r preview.Resource, password preview.Secret) preview.Outputs {
	return preview.Outputs{DatabaseURL: b.server.url(r.Name, password), DatabaseName: r.Name, DatabaseMarked: true}
}

// Delete implements the reconciler's Provider: database, role and half-made copy go.
func (b *Branches) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkName(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := b.delete(ctx, r); err != nil {
		return fmt.Errorf("database branch %s: %w", r.Name, migrator.Classify(err))
	}
	return nil
}

func (b *Branches) delete(ctx context.Context, r preview.Resource) error {
	s := b.server
	l, err := s.look(ctx, r.Name)
	if err != nil {
		return err
	}
	if !l.database && !l.role {
		s.forget(r.Name)
		return nil
	}
	if !l.owned(r.Mark) {
		return preview.ErrConflict
	}
	if l.role { // no new sessions, and none that outlives the database
		if _, err := s.admin.Exec(ctx, `ALTER ROLE `+quote(r.Name)+` NOLOGIN`); err != nil {
			return fmt.Errorf("lock out role: %w", err)
		}
		if err := s.dropDatabase(ctx, unfinished(r.Name)); err != nil {
			return err
		}
	}
	if l.database {
		if err := s.dropDatabase(ctx, r.Name); err != nil {
			return err
		}
	}
	if l.role {
		if err := s.dropRole(ctx, r.Name); err != nil {
			return err
		}
	}
	s.forget(r.Name)
	return s.waitGone(ctx, r.Name)
}

// waitGone returns when neither database nor role is there.
func (s *Server) waitGone(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, goneTimeout)
	defer cancel()
	for {
		l, err := s.look(ctx, name)
		if err != nil {
			return err
		}
		if !l.database && !l.role {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("still there: %w", err)
		}
	}
}

// List implements the reconciler's Provider: every database and every role that carries a mark.
func (b *Branches) List(ctx context.Context) ([]preview.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := b.server.admin.Query(ctx, `
		SELECT name, comment FROM (
			SELECT datname AS name, shobj_description(oid, 'pg_database') AS comment FROM pg_database
			UNION ALL SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles
		) c WHERE comment IS NOT NULL ORDER BY name COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("list database branches: %w", migrator.Classify(err))
	}
	var found []preview.Found
	var name, comment string
	_, err = pgx.ForEachRow(rows, []any{&name, &comment}, func() error {
		n, ours := parseNote(comment)
		if !ours || !preview.NamePattern.MatchString(name) {
			return nil
		}
		f := preview.Found{Kind: preview.KindDatabase, Name: name, Mark: n.Mark}
		if len(found) == 0 || found[len(found)-1] != f { // database and role of one branch
			found = append(found, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list database branches: %w", migrator.Classify(err))
	}
	return found, nil
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
