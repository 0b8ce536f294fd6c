package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// RecordCommandTx keeps a command and reports whether it is new. One whose key is known changes nothing.
func (s *Store) RecordCommandTx(ctx context.Context, tx pgx.Tx, c preview.Command) (isNew bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO commands (key, project_id, pr, comment_id, verb, argument, actor, actor_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (key) DO NOTHING`,
		c.Key, c.ProjectID, c.PR, c.CommentID, c.Verb, c.Argument, c.Actor, c.ActorID, c.CreatedAt)
	if err != nil {
		return false, fmt.Errorf("record command %s: %w", c.Key, classed(err))
	}
	return tag.RowsAffected() == 1, nil
}

// Command records a command and wants its environment, in one transaction. A known command
// changes nothing at all.
func (s *Store) Command(ctx context.Context, c preview.Command, w preview.Wish) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		isNew, err := s.RecordCommandTx(ctx, tx, c)
		if err != nil || !isNew {
			return err
		}
		_, err = s.WantTx(ctx, tx, w)
		return err
	})
}

// WantOnce records key as a command that is done already, and wants the environment only if the
// key is new: for events that ask for something themselves, where a replay must change nothing.
func (s *Store) WantOnce(ctx context.Context, c preview.Command, w preview.Wish) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		isNew, err := s.RecordCommandTx(ctx, tx, c)
		if err != nil || !isNew {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE commands SET done_at = now(), outcome = $2 WHERE key = $1`, c.Key, preview.CommandDone); err != nil {
			return fmt.Errorf("record command %s: %w", c.Key, classed(err))
		}
		_, err = s.WantTx(ctx, tx, w)
		return err
	})
}

// PendingCommands returns the commands on the environment's pull request that are not done, oldest
// first, but those about specs. Those not newer than the pull request's last close or reopen are dropped first.
func (s *Store) PendingCommands(ctx context.Context, e preview.Environment) ([]preview.Command, error) {
	var list []preview.Command
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE commands c SET done_at = now(), outcome = $3
			FROM environments e
			WHERE e.id = $1 AND c.project_id = e.project_id AND c.pr = $2 AND c.verb <> 'spec' AND c.done_at IS NULL AND c.created_at <= e.lifecycle_at`,
			e.ID, e.PR, preview.CommandDropped)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT key, project_id, pr, comment_id, verb, argument, actor, actor_id, created_at, reply_id
			FROM commands WHERE project_id = $1 AND pr = $2 AND verb <> 'spec' AND done_at IS NULL ORDER BY created_at, key`, e.ProjectID, e.PR)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[preview.Command])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pending commands of %s: %w", e.Name, err)
	}
	return list, nil
}

// FinishCommand saves the environment as the command changed it, the command's outcome and an
// audit entry, all or nothing. A command that is done already changes nothing.
func (s *Store) FinishCommand(ctx context.Context, l preview.Lease, e preview.Environment, c preview.Command, outcome preview.CommandOutcome) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE commands SET done_at = now(), outcome = $2, reply_id = $3 WHERE key = $1 AND done_at IS NULL`,
			c.Key, outcome, c.ReplyID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := saveEnvironment(ctx, tx, l, e); err != nil {
			return err
		}
		return s.AuditTx(ctx, tx, preview.AuditEntry{ProjectID: c.ProjectID, Actor: c.Actor, ActorID: c.ActorID,
			Operation: "command." + string(c.Verb), Subject: e.Name, Detail: map[string]string{"outcome": string(outcome), "key": c.Key}})
	})
	if err != nil {
		return fmt.Errorf("finish command %s: %w", c.Key, err)
	}
	return nil
}
