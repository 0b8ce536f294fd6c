package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

const projectColumns = `id, installation_id, repo_id, owner, name, default_branch, hash, archived_at IS NOT NULL OR EXISTS (
	SELECT FROM installations i WHERE i.id = installation_id AND (i.suspended_at IS NOT NULL OR i.deleted_at IS NOT NULL))`

func scanProject(row pgx.Row) (preview.Project, error) {
	var p preview.Project
	err := row.Scan(&p.ID, &p.InstallationID, &p.RepoID, &p.Owner, &p.Name, &p.DefaultBranch, &p.Hash, &p.Archived)
	return p, err
}

// EnsureProject returns the project of a repository in an installation and makes it if it is new.
// Its owner, name and default branch follow r, unless r is older than what is known.
func (s *Store) EnsureProject(ctx context.Context, r preview.Repository) (preview.Project, error) {
	if r.InstallationID <= 0 || r.RepoID <= 0 {
		return preview.Project{}, fmt.Errorf("ensure project: installation %d, repository %d can't be", r.InstallationID, r.RepoID)
	}
	p, err := s.ProjectByRepo(ctx, r.InstallationID, r.RepoID)
	if err == nil && (says(p, r) || r.FactsAt.IsZero()) {
		return p, nil // the usual case costs one read
	}
	if err != nil && !errors.Is(err, preview.ErrNotFound) {
		return preview.Project{}, err
	}
	err = inTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		p, err = scanProject(tx.QueryRow(ctx, `
		INSERT INTO projects AS p (installation_id, repo_id, owner, name, default_branch, hash, facts_at)
		VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, 'epoch'::timestamptz))
		ON CONFLICT (installation_id, repo_id) DO UPDATE SET
			owner          = CASE WHEN excluded.facts_at >= p.facts_at THEN excluded.owner ELSE p.owner END,
			name           = CASE WHEN excluded.facts_at >= p.facts_at THEN excluded.name ELSE p.name END,
			default_branch = CASE WHEN excluded.facts_at >= p.facts_at AND excluded.default_branch <> ''
			                      THEN excluded.default_branch ELSE p.default_branch END,
			facts_at       = GREATEST(p.facts_at, excluded.facts_at)
		RETURNING `+projectColumns,
			r.InstallationID, r.RepoID, r.Owner, r.Name, r.DefaultBranch, preview.ProjectHash(r.InstallationID, r.RepoID), timeOrNil(r.FactsAt)))
		return err
	})
	if err != nil {
		return preview.Project{}, fmt.Errorf("ensure project of repository %d in installation %d: %w", r.RepoID, r.InstallationID, classed(err))
	}
	return p, nil
}

// says reports whether p already says what r says.
func says(p preview.Project, r preview.Repository) bool {
	return p.Owner == r.Owner && p.Name == r.Name && (r.DefaultBranch == "" || p.DefaultBranch == r.DefaultBranch)
}

// Project returns one project, or preview.ErrNotFound.
func (s *Store) Project(ctx context.Context, id string) (preview.Project, error) {
	p, err := scanProject(s.pool.QueryRow(ctx, `SELECT `+projectColumns+` FROM projects WHERE id = $1`, id))
	if err != nil {
		return preview.Project{}, fmt.Errorf("project %s: %w", id, classed(err))
	}
	return p, nil
}

// ProjectByRepo returns the project of a repository in an installation, or preview.ErrNotFound.
func (s *Store) ProjectByRepo(ctx context.Context, installationID, repoID int64) (preview.Project, error) {
	p, err := scanProject(s.pool.QueryRow(ctx, `
		SELECT `+projectColumns+` FROM projects WHERE installation_id = $1 AND repo_id = $2`, installationID, repoID))
	if err != nil {
		return preview.Project{}, fmt.Errorf("project of repository %d in installation %d: %w", repoID, installationID, classed(err))
	}
	return p, nil
}

// ProjectsOfInstallation returns the installation's projects that are not archived, by repository id.
func (s *Store) ProjectsOfInstallation(ctx context.Context, installationID int64) ([]preview.Project, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT `+projectColumns+` FROM projects WHERE installation_id = $1 AND archived_at IS NULL ORDER BY repo_id`, installationID)
	if err != nil {
		return nil, fmt.Errorf("projects of installation %d: %w", installationID, classed(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (preview.Project, error) { return scanProject(row) })
	if err != nil {
		return nil, fmt.Errorf("projects of installation %d: %w", installationID, classed(err))
	}
	return list, nil
}

// ArchiveProject says whether the repository is out of use: archived, deleted, or taken from the
// installation. An event older than what is known changes nothing; the zero time is always obeyed.
func (s *Store) ArchiveProject(ctx context.Context, projectID string, archived bool, factsAt time.Time) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE projects SET
			archived_at = CASE WHEN $2 THEN coalesce(archived_at, now()) END,
			facts_at    = GREATEST(facts_at, $3)
		WHERE id = $1 AND ($3::timestamptz IS NULL OR $3 >= facts_at)`, projectID, archived, timeOrNil(factsAt))
	if err != nil {
		return fmt.Errorf("archive project %s: %w", projectID, classed(err))
	}
	return nil
}

// GoodConfig returns the newest configuration of the default branch that was valid.
func (s *Store) GoodConfig(ctx context.Context, projectID string) (data []byte, found bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT config, config IS NOT NULL FROM projects WHERE id = $1`, projectID).Scan(&data, &found)
	if err != nil {
		return nil, false, fmt.Errorf("configuration of project %s: %w", projectID, classed(err))
	}
	return data, found, nil
}

// SaveGoodConfig keeps a valid configuration of the default branch; nil forgets it.
func (s *Store) SaveGoodConfig(ctx context.Context, projectID string, data []byte) error {
	digest := ""
	if data != nil {
		sum := sha256.Sum256(data)
		digest = hex.EncodeToString(sum[:])
	}
	_, err := s.pool.Exec(ctx, `
		UPDATE projects SET config = $2, config_sha = $3
		WHERE id = $1 AND (config_sha <> $3 OR (config IS NULL) <> ($2::bytea IS NULL))`, projectID, data, digest)
	if err != nil {
		return fmt.Errorf("save configuration of project %s: %w", projectID, classed(err))
	}
	return nil
}
