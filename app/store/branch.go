package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// RecordPush keeps the newest push of a branch and asks for a look at what follows from it, in one
// transaction. GitHub's time has whole seconds: of two pushes in one second, the second is the
// one that started from the first.
func (s *Store) RecordPush(ctx context.Context, p preview.Push) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO branches AS b (project_id, branch, sha, pushed_at, deleted)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (project_id, branch) DO UPDATE SET
				sha       = CASE WHEN excluded.sha = '' THEN b.sha ELSE excluded.sha END,
				pushed_at = excluded.pushed_at,
				deleted   = excluded.deleted,
				seq       = excluded.seq
			WHERE excluded.pushed_at > b.pushed_at
			   OR (excluded.pushed_at = b.pushed_at AND (b.sha = $6 OR (b.deleted AND $6 = '')))`,
			p.ProjectID, p.Branch, p.SHA, p.PushedAt, p.Deleted, p.Before)
		if err != nil {
			return err
		}
		return s.wantSync(ctx, tx, p.ProjectID)
	})
	if err != nil {
		return fmt.Errorf("record push to project %s: %w", p.ProjectID, err)
	}
	return nil
}

// WantSync asks for a look at the project's policy and the environments that follow from it.
func (s *Store) WantSync(ctx context.Context, projectID string) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error { return s.wantSync(ctx, tx, projectID) })
	if err != nil {
		return fmt.Errorf("want sync of project %s: %w", projectID, err)
	}
	return nil
}

// wantSync inserts a job unless one is there that can't start before tx ends: a job row that is
// locked here is skipped by the workers, so it will see what tx writes.
func (s *Store) wantSync(ctx context.Context, tx pgx.Tx, projectID string) error {
	args := SyncArgs{ProjectID: projectID}
	tag, err := tx.Exec(ctx, `
		SELECT id FROM river_job WHERE kind = $1 AND state = 'available' AND args @> jsonb_build_object('project_id', $2::text)
		LIMIT 1 FOR UPDATE SKIP LOCKED`, args.Kind(), projectID)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	_, err = s.insertJobs(ctx, tx, args)
	return err
}

// WantMergeGroup asks to answer the check of a merge group's commit.
func (s *Store) WantMergeGroup(ctx context.Context, projectID, sha string) error {
	return s.Enqueue(ctx, MergeGroupArgs{ProjectID: projectID, SHA: sha})
}

// Branches returns the project's branches that are not deleted and whose commit is known, newest
// push first. Before is not set.
func (s *Store) Branches(ctx context.Context, projectID string) ([]preview.Push, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT branch, sha, pushed_at FROM branches
		WHERE project_id = $1 AND NOT deleted AND sha <> '' ORDER BY pushed_at DESC, seq DESC`, projectID)
	if err != nil {
		return nil, fmt.Errorf("branches of project %s: %w", projectID, classed(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (preview.Push, error) {
		p := preview.Push{ProjectID: projectID}
		err := row.Scan(&p.Branch, &p.SHA, &p.PushedAt)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("branches of project %s: %w", projectID, classed(err))
	}
	return list, nil
}
