package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// passesKept is how many passes of one environment the history holds.
const passesKept = 50

// RecordPass adds one pass to the history and drops the oldest beyond passesKept.
func (s *Store) RecordPass(ctx context.Context, p preview.PassRecord) error {
	steps, err := json.Marshal(p.Steps)
	if err != nil {
		return fmt.Errorf("steps of pass: %w", err)
	}
	if p.Steps == nil {
		steps = []byte("[]")
	}
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO passes (environment_id, generation, sha, outcome, steps, started_at, duration_ms)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			p.EnvironmentID, p.Generation, p.SHA, p.Outcome, steps, p.StartedAt, p.Duration.Milliseconds()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			DELETE FROM passes WHERE environment_id = $1 AND id <= (
				SELECT id FROM passes WHERE environment_id = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)`, p.EnvironmentID, passesKept)
		return err
	})
	if err != nil {
		return fmt.Errorf("record pass of %s: %w", p.EnvironmentID, err)
	}
	return nil
}

// Passes lists the newest limit passes of an environment, newest first.
func (s *Store) Passes(ctx context.Context, environmentID string, limit int) ([]preview.PassRecord, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT environment_id, generation, sha, outcome, steps, started_at, duration_ms * interval '1 millisecond'
		FROM passes WHERE environment_id = $1 ORDER BY id DESC LIMIT $2`, environmentID, limit)
	if err != nil {
		return nil, fmt.Errorf("passes of %s: %w", environmentID, classed(err))
	}
	passes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (preview.PassRecord, error) {
		var p preview.PassRecord
		var steps []byte
		if err := row.Scan(&p.EnvironmentID, &p.Generation, &p.SHA, &p.Outcome, &steps, &p.StartedAt, &p.Duration); err != nil {
			return p, err
		}
		return p, json.Unmarshal(steps, &p.Steps)
	})
	if err != nil {
		return nil, fmt.Errorf("passes of %s: %w", environmentID, classed(err))
	}
	return passes, nil
}

// Published is the JSON that SavePublished last wrote; "{}" before that.
func (s *Store) Published(ctx context.Context, environmentID string) ([]byte, error) {
	var published []byte
	err := s.pool.QueryRow(ctx, `SELECT report FROM environments WHERE id = $1`, environmentID).Scan(&published)
	if err != nil {
		return nil, fmt.Errorf("report of %s: %w", environmentID, classed(err))
	}
	return published, nil
}

// SavePublished writes what GitHub was told. prev is what the caller read before: when somebody
// asked for a new check run meanwhile (Wish.NewCheck), that wish survives.
func (s *Store) SavePublished(ctx context.Context, l preview.Lease, prev, published []byte) error {
	return s.leased(ctx, l, `
		UPDATE environments SET report = CASE WHEN report = $3::jsonb THEN $4::jsonb
			ELSE $4::jsonb || '{"newCheck": true}' END
		WHERE id = $1 AND lease_token = $2`, prev, published)
}
