package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Ledger lists what was begun for the environment and not forgotten, by kind and Worker; of what is at two places, what was
// finished last is first.
func (s *Store) Ledger(ctx context.Context, environmentID string) ([]preview.LedgerEntry, error) {
	rows, err := s.pool.Query(ctx, `SELECT kind, worker, name, place, digest, outputs FROM resources WHERE environment_id = $1 ORDER BY kind, worker, outputs = '{}', updated_at DESC`, environmentID)
	if err != nil {
		return nil, fmt.Errorf("ledger of %s: %w", environmentID, classed(err))
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (preview.LedgerEntry, error) {
		var entry preview.LedgerEntry
		var outputs []byte
		if err := row.Scan(&entry.Kind, &entry.Worker, &entry.Name, &entry.Place, &entry.Digest, &outputs); err != nil {
			return entry, err
		}
		return entry, json.Unmarshal(outputs, &entry.Outputs)
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of %s: %w", environmentID, classed(err))
	}
	return entries, nil
}

// Places lists where anything is, by name.
func (s *Store) Places(ctx context.Context) ([]string, error) {
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT place FROM resources ORDER BY place`)
	if err != nil {
		return nil, fmt.Errorf("places of the ledger: %w", classed(err))
	}
	places, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("places of the ledger: %w", classed(err))
	}
	return places, nil
}

// RecordIntent notes that a resource is about to be created or changed at a place. It has no digest until that is finished.
func (s *Store) RecordIntent(ctx context.Context, l preview.Lease, key preview.Key, name, place string) error {
	return s.leased(ctx, l, `
		INSERT INTO resources (environment_id, kind, worker, name, place)
		SELECT id, $3, $4, $5, $6 FROM environments WHERE id = $1 AND lease_token = $2
		ON CONFLICT (environment_id, kind, worker, place) DO UPDATE SET name = excluded.name, digest = '', updated_at = now()`,
		key.Kind, key.Worker, name, place)
}

// RecordApplied notes what a finished Apply left at a place. Outputs marshal without their secrets.
func (s *Store) RecordApplied(ctx context.Context, l preview.Lease, key preview.Key, place, digest string, out preview.Outputs) error {
	outputs, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("outputs of %s: %w", key, err)
	}
	return s.leased(ctx, l, `
		UPDATE resources SET digest = $6, outputs = $7, updated_at = now()
		WHERE environment_id = (SELECT id FROM environments WHERE id = $1 AND lease_token = $2) AND kind = $3 AND worker = $4 AND place = $5`,
		key.Kind, key.Worker, place, digest, outputs)
}

// Forget removes a resource that was observed gone at a place. One that is not in the ledger is no error.
func (s *Store) Forget(ctx context.Context, l preview.Lease, key preview.Key, place string) error {
	_, err := s.pool.Exec(ctx, `
		DELETE FROM resources
		WHERE environment_id = (SELECT id FROM environments WHERE id = $1 AND lease_token = $2) AND kind = $3 AND worker = $4 AND place = $5`,
		l.EnvironmentID, l.Token, key.Kind, key.Worker, place)
	if err != nil {
		return fmt.Errorf("forget %s of %s: %w", key, l.EnvironmentID, classed(err))
	}
	return nil
}
