package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// RecordDeployment notes that a version serves now. One that served before, as after a rollback, is the newest again.
func (s *Store) RecordDeployment(ctx context.Context, l preview.Lease, d preview.Deployment) error {
	return s.leased(ctx, l, `
		INSERT INTO deployments (environment_id, worker, place, version, sha)
		SELECT id, $3, $4, $5, $6 FROM environments WHERE id = $1 AND lease_token = $2
		ON CONFLICT (environment_id, worker, place, version) DO UPDATE SET sha = excluded.sha, deployed_at = now()`,
		d.Worker, d.Place, d.Version, d.SHA)
}

// Deployments lists the newest versions of each environment's Workers, newest first, at most each of one environment.
func (s *Store) Deployments(ctx context.Context, environmentIDs []string, each int) (map[string][]preview.Deployment, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT e.id, d.worker, d.place, d.version, d.sha, d.deployed_at
		FROM unnest($1::uuid[]) AS e (id), LATERAL (
			SELECT * FROM deployments WHERE environment_id = e.id ORDER BY deployed_at DESC, worker LIMIT $2) d
		ORDER BY e.id, d.deployed_at DESC, d.worker`, environmentIDs, each)
	if err != nil {
		return nil, fmt.Errorf("deployments: %w", classed(err))
	}
	all := map[string][]preview.Deployment{}
	var id string
	var d preview.Deployment
	if _, err = pgx.ForEachRow(rows, []any{&id, &d.Worker, &d.Place, &d.Version, &d.SHA, &d.DeployedAt}, func() error {
		all[id] = append(all[id], d)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("deployments: %w", classed(err))
	}
	return all, nil
}
