package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/flaresmith/flaresmith/app/preview"
)

// SpecArgs asks to compare a pull request's generated files with its specs, and to do what people asked for there.
type SpecArgs struct {
	ProjectID string `json:"project_id"`
	PR        int    `json:"pr"`
}

// Kind implements river.JobArgs.
func (SpecArgs) Kind() string { return "spec" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (SpecArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueSpec, MaxAttempts: jobAttempts}
}

// WantSpecAt asks for a look at a pull request whose head was not looked at yet, if it touches specs or did before.
func (s *Store) WantSpecAt(ctx context.Context, projectID string, pr int, head string, touched bool) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		var looked, checked bool
		err := tx.QueryRow(ctx, `SELECT COALESCE(published->>'checkSha' = $3, false), published ? 'checkRunId' FROM spec_checks WHERE project_id = $1 AND pr = $2
			UNION ALL SELECT false, false LIMIT 1`, projectID, pr, head).Scan(&looked, &checked)
		if err != nil || looked || !touched && !checked {
			return err
		}
		return s.wantSpec(ctx, tx, projectID, pr)
	})
	if err != nil {
		return fmt.Errorf("want specs of pull request %d in project %s: %w", pr, projectID, err)
	}
	return nil
}

// wantSpec inserts a job unless one is there that can't start before tx ends; see wantSync.
func (s *Store) wantSpec(ctx context.Context, tx pgx.Tx, projectID string, pr int) error {
	args := SpecArgs{ProjectID: projectID, PR: pr}
	tag, err := tx.Exec(ctx, `
		SELECT id FROM river_job WHERE kind = $1 AND state = 'available' AND args @> jsonb_build_object('project_id', $2::text, 'pr', $3::int)
		LIMIT 1 FOR UPDATE SKIP LOCKED`, args.Kind(), projectID, pr)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	_, err = s.insertJobs(ctx, tx, args)
	return err
}

// SpecCommand records a command about specs and asks for a look, in one transaction. A known command changes
// nothing.
func (s *Store) SpecCommand(ctx context.Context, c preview.Command) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		isNew, err := s.RecordCommandTx(ctx, tx, c)
		if err != nil || !isNew {
			return err
		}
		return s.wantSpec(ctx, tx, c.ProjectID, c.PR)
	})
}

// RenewSpecOnce asks for a new check run, if the command's key is new, and records the command as done.
func (s *Store) RenewSpecOnce(ctx context.Context, c preview.Command) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		isNew, err := s.RecordCommandTx(ctx, tx, c)
		if err != nil || !isNew {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE commands SET done_at = now(), outcome = $2 WHERE key = $1`, c.Key, preview.CommandDone); err != nil {
			return fmt.Errorf("record command %s: %w", c.Key, classed(err))
		}
		// A pull request without a check gets none by this.
		_, err = tx.Exec(ctx, `
			UPDATE spec_checks SET published = published || '{"newCheck": true}', updated_at = now() WHERE project_id = $1 AND pr = $2`, c.ProjectID, c.PR)
		if err != nil {
			return fmt.Errorf("renew check of specs: %w", classed(err))
		}
		return s.wantSpec(ctx, tx, c.ProjectID, c.PR)
	})
}

// AcquireSpec lets one look at the specs of a pull request, for so long, and returns what was published by the last
// one. It returns preview.ErrLeased while another one looks.
func (s *Store) AcquireSpec(ctx context.Context, projectID string, pr int, ttl time.Duration) (l preview.SpecLease, published []byte, err error) {
	l = preview.SpecLease{ProjectID: projectID, PR: pr, Token: uuid.NewString()}
	err = s.pool.QueryRow(ctx, `
		INSERT INTO spec_checks AS c (project_id, pr, lease_token, lease_until) VALUES ($1, $2, $3, now() + $4::interval)
		ON CONFLICT (project_id, pr) DO UPDATE SET lease_token = excluded.lease_token, lease_until = excluded.lease_until
		WHERE c.lease_until IS NULL OR c.lease_until < now()
		RETURNING published`, projectID, pr, l.Token, ttl).Scan(&published)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, nil, preview.ErrLeased
	}
	if err != nil {
		return l, nil, fmt.Errorf("lease specs of pull request %d in project %s: %w", pr, projectID, classed(err))
	}
	return l, published, nil
}

// SaveSpec keeps what is published. A wish for a new check that came meanwhile is kept, too, and has a job of its own.
func (s *Store) SaveSpec(ctx context.Context, l preview.SpecLease, published []byte, renewed bool) error {
	tag, err := s.pool.Exec(ctx, `
		UPDATE spec_checks SET updated_at = now(), published = CASE
			WHEN NOT $5 AND published ? 'newCheck' THEN $4::jsonb || '{"newCheck": true}' ELSE $4::jsonb END
		WHERE project_id = $1 AND pr = $2 AND lease_token = $3`, l.ProjectID, l.PR, l.Token, published, renewed)
	if err != nil {
		return fmt.Errorf("save specs of pull request %d in project %s: %w", l.PR, l.ProjectID, classed(err))
	}
	if tag.RowsAffected() == 0 {
		return preview.ErrLeaseLost
	}
	return nil
}

// ReleaseSpec ends the lease; one that is lost changes nothing.
func (s *Store) ReleaseSpec(ctx context.Context, l preview.SpecLease) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE spec_checks SET lease_token = NULL, lease_until = NULL WHERE project_id = $1 AND pr = $2 AND lease_token = $3`, l.ProjectID, l.PR, l.Token)
	if err != nil {
		return fmt.Errorf("release specs of pull request %d in project %s: %w", l.PR, l.ProjectID, classed(err))
	}
	return nil
}

// PendingSpecCommands are the commands about a pull request's specs that are not done, oldest first. Those not newer
// than its last close or reopen are dropped first.
func (s *Store) PendingSpecCommands(ctx context.Context, projectID string, pr int) ([]preview.Command, error) {
	var list []preview.Command
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE commands c SET done_at = now(), outcome = $3
			FROM environments e
			WHERE e.project_id = $1 AND e.pr = $2 AND c.project_id = $1 AND c.pr = $2 AND c.verb = 'spec' AND c.done_at IS NULL AND c.created_at <= e.lifecycle_at`,
			projectID, pr, preview.CommandDropped)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT key, project_id, pr, comment_id, verb, argument, actor, actor_id, created_at, reply_id
			FROM commands WHERE project_id = $1 AND pr = $2 AND verb = 'spec' AND done_at IS NULL ORDER BY created_at, key`, projectID, pr)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[preview.Command])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pending commands on specs of pull request %d in project %s: %w", pr, projectID, err)
	}
	return list, nil
}

// FinishSpecCommand saves a command's outcome and an audit entry, both or nothing. A command that is done already
// changes nothing.
func (s *Store) FinishSpecCommand(ctx context.Context, c preview.Command, outcome preview.CommandOutcome, commit string) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE commands SET done_at = now(), outcome = $2, reply_id = $3 WHERE key = $1 AND done_at IS NULL`,
			c.Key, outcome, c.ReplyID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return s.AuditTx(ctx, tx, preview.AuditEntry{ProjectID: c.ProjectID, Actor: c.Actor, ActorID: c.ActorID,
			Operation: "command." + string(c.Verb), Subject: fmt.Sprintf("pull request %d", c.PR),
			Detail: map[string]string{"outcome": string(outcome), "key": c.Key, "commit": commit}})
	})
	if err != nil {
		return fmt.Errorf("finish command %s: %w", c.Key, err)
	}
	return nil
}

// SaveSpecCommit notes the commit that a branch is about to be moved to from base.
func (s *Store) SaveSpecCommit(ctx context.Context, projectID, branch, base, commit string) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO spec_commits AS c (project_id, branch, base_sha, commit_sha) VALUES ($1, $2, $3, $4)
		ON CONFLICT (project_id, branch, base_sha) DO UPDATE SET commit_sha = excluded.commit_sha, created_at = now()`, projectID, branch, base, commit)
	if err != nil {
		return fmt.Errorf("save commit of specs in project %s: %w", projectID, classed(err))
	}
	return nil
}

// SpecCommit is the commit that was made from base for a branch, or is at that commit; empty: none of ours.
func (s *Store) SpecCommit(ctx context.Context, projectID, branch, base, head string) (commit string, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT commit_sha FROM spec_commits
		WHERE project_id = $1 AND branch = $2 AND commit_sha = $4 AND ($3 = '' OR base_sha = $3) LIMIT 1`, projectID, branch, base, head).Scan(&commit)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("commit of specs in project %s: %w", projectID, classed(err))
	}
	return commit, nil
}
