package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// RecordInstallation writes what an event says of an installation. A deletion is for good, since
// GitHub gives no id twice; for the rest the newest facts count.
func (s *Store) RecordInstallation(ctx context.Context, in preview.Installation) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO installations AS i (id, account, account_id, suspended_at, deleted_at, facts_at)
		VALUES ($1, $2, $3, CASE WHEN $4 THEN now() END, CASE WHEN $5 THEN now() END, coalesce($6, 'epoch'::timestamptz))
		ON CONFLICT (id) DO UPDATE SET
			account      = CASE WHEN excluded.facts_at >= i.facts_at THEN excluded.account ELSE i.account END,
			account_id   = excluded.account_id,
			suspended_at = CASE WHEN excluded.facts_at < i.facts_at THEN i.suspended_at
			                    WHEN $4 THEN coalesce(i.suspended_at, now()) END,
			deleted_at   = coalesce(i.deleted_at, excluded.deleted_at),
			facts_at     = GREATEST(i.facts_at, excluded.facts_at)`,
		in.ID, in.Account, in.AccountID, in.Suspended, in.Deleted, timeOrNil(in.FactsAt))
	if err != nil {
		return fmt.Errorf("record installation %d: %w", in.ID, classed(err))
	}
	return nil
}

// RenameAccount writes a new login of the account into the installation and its projects. A rename
// older than what is known changes nothing, so that a replay never brings an old login back, which
// may be somebody else's by now; the zero time is always obeyed.
func (s *Store) RenameAccount(ctx context.Context, installationID int64, account string, factsAt time.Time) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE installations SET account = $2, facts_at = GREATEST(facts_at, $3)
			WHERE id = $1 AND ($3::timestamptz IS NULL OR $3 >= facts_at)`, installationID, account, timeOrNil(factsAt))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE projects SET owner = $2, facts_at = GREATEST(facts_at, $3)
			WHERE installation_id = $1 AND ($3::timestamptz IS NULL OR $3 >= facts_at)`, installationID, account, timeOrNil(factsAt))
		return err
	})
	if err != nil {
		return fmt.Errorf("rename account of installation %d: %w", installationID, err)
	}
	return nil
}
