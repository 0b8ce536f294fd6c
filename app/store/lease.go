package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Acquire leases the environment for ttl and returns it as it stands. It returns
// preview.ErrLeased while another lease runs, and preview.ErrNotFound without such an environment.
func (s *Store) Acquire(ctx context.Context, environmentID string, ttl time.Duration) (preview.Lease, preview.Environment, error) {
	lease := preview.Lease{EnvironmentID: environmentID, Token: uuid.NewString()}
	e, err := scanEnvironment(s.pool.QueryRow(ctx, `
		UPDATE environments SET lease_token = $2, lease_until = now() + $3::interval
		WHERE id = $1 AND (lease_until IS NULL OR lease_until < now())
		RETURNING `+environmentColumns, environmentID, lease.Token, ttl))
	if errors.Is(err, pgx.ErrNoRows) {
		if _, err := s.Environment(ctx, environmentID); err != nil {
			return preview.Lease{}, preview.Environment{}, err
		}
		return preview.Lease{}, preview.Environment{}, preview.ErrLeased
	}
	if err != nil {
		return preview.Lease{}, preview.Environment{}, fmt.Errorf("lease environment %s: %w", environmentID, classed(err))
	}
	return lease, e, nil
}

// Renew extends the lease and returns the newest wanted generation.
func (s *Store) Renew(ctx context.Context, l preview.Lease, ttl time.Duration) (wanted int64, err error) {
	err = s.pool.QueryRow(ctx, `
		UPDATE environments SET lease_until = now() + $3::interval
		WHERE id = $1 AND lease_token = $2 RETURNING wanted`, l.EnvironmentID, l.Token, ttl).Scan(&wanted)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, preview.ErrLeaseLost
	}
	if err != nil {
		return 0, fmt.Errorf("renew lease of %s: %w", l.EnvironmentID, classed(err))
	}
	return wanted, nil
}

// Release ends the lease.
func (s *Store) Release(ctx context.Context, l preview.Lease) error {
	return s.leased(ctx, l, `UPDATE environments SET lease_token = NULL, lease_until = NULL WHERE id = $1 AND lease_token = $2`)
}

// SaveEnvironment writes everything of e that a pass decides. Events own the generations, the
// newest push and the pull request's lifecycle.
func (s *Store) SaveEnvironment(ctx context.Context, l preview.Lease, e preview.Environment) error {
	return saveEnvironment(ctx, s.pool, l, e)
}

func saveEnvironment(ctx context.Context, q querier, l preview.Lease, e preview.Environment) error {
	problems, err := json.Marshal(e.Problems)
	if err != nil {
		return fmt.Errorf("problems of environment %s: %w", e.ID, err)
	}
	if e.Problems == nil {
		problems = []byte("[]")
	}
	return leased(ctx, q, l, `
		UPDATE environments SET state = $3, held = $4, rebuild = $5, reset_database = $6, expires_at = $7, expired_sha = $8,
			good_sha = $9, head_sha = $10, message = $11, problems = $12, failing_since = $13, attempts = $14,
			next_pass_at = $15, closed = $16, approved_sha = $17, updated_at = now()
		WHERE id = $1 AND lease_token = $2`,
		e.State, e.Held, e.Rebuild, e.ResetDatabase, timeOrNil(e.ExpiresAt), e.ExpiredSHA, e.GoodSHA, e.HeadSHA, e.Message,
		problems, timeOrNil(e.FailingSince), e.Attempts, timeOrNil(e.NextPassAt), e.Closed, e.ApprovedSHA)
}

// leased runs a statement whose $1 and $2 are the lease, and fails when it touched no row.
func (s *Store) leased(ctx context.Context, l preview.Lease, sql string, args ...any) error {
	return leased(ctx, s.pool, l, sql, args...)
}

func leased(ctx context.Context, q querier, l preview.Lease, sql string, args ...any) error {
	tag, err := q.Exec(ctx, sql, append([]any{l.EnvironmentID, l.Token}, args...)...)
	if err != nil {
		return fmt.Errorf("write environment %s: %w", l.EnvironmentID, classed(err))
	}
	if tag.RowsAffected() == 0 {
		return preview.ErrLeaseLost
	}
	return nil
}

// Admit takes one of the project's limit places for a preview, oldest wish first, and returns 0;
// or its position in the queue, from 1, when all places are taken.
func (s *Store) Admit(ctx context.Context, l preview.Lease, limit int) (position int, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		// The project's row is the lock: two previews of one project are admitted one after the other.
		var projectID string
		if err := tx.QueryRow(ctx, `
			SELECT p.id FROM projects p JOIN environments e ON e.project_id = p.id
			WHERE e.id = $1 FOR NO KEY UPDATE OF p`, l.EnvironmentID).Scan(&projectID); err != nil {
			return err
		}
		var taken int
		var admitted bool
		if err := tx.QueryRow(ctx, `
			SELECT count(*) FILTER (WHERE admitted_at IS NOT NULL AND id <> $2),
				bool_or(id = $2 AND admitted_at IS NOT NULL)
			FROM environments WHERE project_id = $1 AND kind = 'preview'`, projectID, l.EnvironmentID).Scan(&taken, &admitted); err != nil {
			return err
		}
		if admitted {
			return nil
		}
		// The time is taken under the lock, so that the order of the queue is the order of asking. Who asks
		// is not closed, whatever the pass before left, and must be woken when a place is free.
		var ahead int
		if err := tx.QueryRow(ctx, `
			UPDATE environments SET queued_at = coalesce(queued_at, clock_timestamp()), closed = false
			WHERE id = $1 AND lease_token = $2
			RETURNING (SELECT count(*) FROM environments o WHERE o.project_id = $3 AND o.kind = 'preview' AND o.id <> $1
				AND o.admitted_at IS NULL AND o.queued_at < environments.queued_at)`,
			l.EnvironmentID, l.Token, projectID).Scan(&ahead); errors.Is(err, pgx.ErrNoRows) {
			return preview.ErrLeaseLost
		} else if err != nil {
			return err
		}
		if taken+ahead >= limit {
			position = ahead + 1
			return nil
		}
		return leased(ctx, tx, l, `UPDATE environments SET admitted_at = now(), queued_at = NULL WHERE id = $1 AND lease_token = $2`)
	})
	if err != nil {
		return 0, fmt.Errorf("admit environment %s: %w", l.EnvironmentID, err)
	}
	return position, nil
}

// Leave gives the place back, or leaves the queue, and wants a pass for each preview that waits.
func (s *Store) Leave(ctx context.Context, l preview.Lease) error {
	var projectID string
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		projectID = ""
		err := tx.QueryRow(ctx, `
			UPDATE environments SET admitted_at = NULL, queued_at = NULL
			WHERE id = $1 AND lease_token = $2 AND (admitted_at IS NOT NULL OR queued_at IS NOT NULL)
			RETURNING project_id`, l.EnvironmentID, l.Token).Scan(&projectID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // had none
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("leave environment %s: %w", l.EnvironmentID, err)
	}
	if projectID == "" {
		return nil
	}
	return s.wantMany(ctx, `queued_at IS NOT NULL AND project_id = $1`, projectID)
}

// WantDue wants a pass for each environment whose time has come, and returns how many there were.
func (s *Store) WantDue(ctx context.Context) (int, error) {
	var due int64
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH due AS (
				SELECT id FROM environments WHERE next_pass_at <= now() ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
			), wanted AS (
				UPDATE environments e SET wanted = e.wanted + 1, next_pass_at = NULL, updated_at = now()
				FROM due WHERE e.id = due.id RETURNING e.id, e.armed_by
			)
			SELECT id, armed_by IS NULL FROM wanted ORDER BY id`)
		if err != nil {
			return err
		}
		var idle []string
		var id string
		var free bool
		tag, err := pgx.ForEachRow(rows, []any{&id, &free}, func() error {
			if free {
				idle = append(idle, id)
			}
			return nil
		})
		if err != nil {
			return err
		}
		due = tag.RowsAffected()
		return s.armEnvironments(ctx, tx, idle...)
	})
	if err != nil {
		return 0, fmt.Errorf("want due environments: %w", err)
	}
	return int(due), nil
}

// WantServing wants a pass for every environment that should be up, as after a restart of a
// server whose Workers run beside it.
func (s *Store) WantServing(ctx context.Context) error {
	if err := s.wantMany(ctx, `$1 AND state NOT IN ('queued', 'archived')`, true); err != nil {
		return fmt.Errorf("want serving environments: %w", err)
	}
	return nil
}

// FinishReconcile records that the generation seen was worked on. It completes the job and
// returns true when nothing newer is wanted; otherwise the same job has to run another pass.
func (s *Store) FinishReconcile(ctx context.Context, job *river.Job[ReconcileArgs], seen int64) (done bool, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			UPDATE environments SET observed = GREATEST(observed, $2),
				armed_by = CASE WHEN wanted <= $2 AND armed_by = $3 THEN NULL ELSE armed_by END
			WHERE id = $1 RETURNING wanted <= $2`, job.Args.EnvironmentID, seen, job.ID).Scan(&done)
		if err != nil || !done {
			return err
		}
		_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("finish environment %s: %w", job.Args.EnvironmentID, err)
	}
	return done, nil
}
