package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/preview"
)

// GitHubApp is the App that was created on the setup page.
type GitHubApp struct {
	ID             int64
	Slug, ClientID string
	Sealed         []byte // its secrets
}

// GitHubApp returns the App that was created on the setup page, or preview.ErrNotFound, also of a database that is not migrated yet.
func (s *Store) GitHubApp(ctx context.Context) (GitHubApp, error) {
	var a GitHubApp
	err := s.pool.QueryRow(ctx, `SELECT app_id, slug, client_id, sealed FROM github_app`).Scan(&a.ID, &a.Slug, &a.ClientID, &a.Sealed)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == codeNoTable {
		err = preview.ErrNotFound
	}
	if err != nil {
		return GitHubApp{}, fmt.Errorf("GitHub App: %w", classed(err))
	}
	return a, nil
}

// KeepGitHubApp keeps an App, unless there is one, which is preview.ErrConflict. The same once more is no error.
func (s *Store) KeepGitHubApp(ctx context.Context, a GitHubApp) error {
	tag, err := s.pool.Exec(ctx, `
		INSERT INTO github_app AS g (app_id, slug, client_id, sealed) VALUES ($1, $2, $3, $4)
		ON CONFLICT (singleton) DO UPDATE SET sealed = excluded.sealed WHERE g.app_id = excluded.app_id`, a.ID, a.Slug, a.ClientID, a.Sealed)
	switch {
	case err != nil:
		return fmt.Errorf("keep GitHub App: %w", classed(err))
	case tag.RowsAffected() == 0:
		return fmt.Errorf("keep GitHub App: another one %w", preview.ErrConflict)
	}
	return nil
}

// ResealGitHubApp replaces the sealed secrets, unless they are no longer those.
func (s *Store) ResealGitHubApp(ctx context.Context, from, to []byte) error {
	tag, err := s.pool.Exec(ctx, `UPDATE github_app SET sealed = $2 WHERE sealed = $1`, from, to)
	switch {
	case err != nil:
		return fmt.Errorf("reseal GitHub App: %w", classed(err))
	case tag.RowsAffected() == 0:
		return fmt.Errorf("reseal GitHub App: it was changed meanwhile: try again")
	}
	return nil
}
