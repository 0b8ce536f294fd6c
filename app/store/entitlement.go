package store

import (
	"context"
	"fmt"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Entitlement returns what the operator lets the project use: the row of its repository, else the
// row of its installation, else preview.ErrNotFound.
func (s *Store) Entitlement(ctx context.Context, p preview.Project) (preview.Entitlement, error) {
	var e preview.Entitlement
	err := s.pool.QueryRow(ctx, `
		SELECT database_parents, default_parent, max_previews FROM entitlements
		WHERE installation_id = $1 AND repo_id IN (0, $2) ORDER BY repo_id DESC LIMIT 1`, p.InstallationID, p.RepoID,
	).Scan(&e.Parents, &e.DefaultParent, &e.MaxPreviews)
	if err != nil {
		return preview.Entitlement{}, fmt.Errorf("entitlement of %s: %w", p.FullName(), classed(err))
	}
	return e, nil
}

// PutEntitlement writes what a repository of the installation may use; repoID 0 means each one
// that has no row of its own. Only the operator decides this.
func (s *Store) PutEntitlement(ctx context.Context, installationID, repoID int64, e preview.Entitlement) error {
	parents := e.Parents
	if parents == nil {
		parents = map[string]string{}
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO entitlements (installation_id, repo_id, database_parents, default_parent, max_previews)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (installation_id, repo_id) DO UPDATE SET
			database_parents = excluded.database_parents,
			default_parent   = excluded.default_parent,
			max_previews     = excluded.max_previews`, installationID, repoID, parents, e.DefaultParent, e.MaxPreviews)
	if err != nil {
		return fmt.Errorf("put entitlement of repository %d in installation %d: %w", repoID, installationID, classed(err))
	}
	return nil
}
