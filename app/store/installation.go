package store

import (
	"context"
	"fmt"

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

// RenameAccount writes a new login of the account into the installation and its projects.
func (s *Store) RenameAccount(ctx context.Context, installationID int64, account string) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE installations SET account = $2 WHERE id = $1`, installationID, account); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE projects SET owner = $2 WHERE installation_id = $1`, installationID, account)
		return err
	})
	if err != nil {
		return fmt.Errorf("rename account of installation %d: %w", installationID, err)
	}
	return nil
}
