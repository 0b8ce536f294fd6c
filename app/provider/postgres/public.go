package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// publicLock is the advisory lock under which databases are closed to PUBLIC; two servers that
// start at once would update the same rows.
const publicLock = 0x666c6172_65736d01

// closeToPublic revokes what PUBLIC may do on every database, so that a branch's role reaches its own alone.
func (s *Server) closeToPublic(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.admin, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(publicLock)); err != nil {
			return fmt.Errorf("lock databases: %w", err)
		}
		rows, err := tx.Query(ctx, `SELECT datname FROM pg_database WHERE has_database_privilege('public', oid, 'CONNECT') ORDER BY 1`)
		if err != nil {
			return fmt.Errorf("list databases: %w", err)
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("list databases: %w", err)
		}
		for _, name := range names {
			if err := s.closeDatabase(ctx, tx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Server) closeDatabase(ctx context.Context, tx pgx.Tx, name string) error {
	err := pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
		_, err := savepoint.Exec(ctx, `REVOKE CONNECT, TEMPORARY ON DATABASE `+quote(name)+` FROM PUBLIC`)
		return err
	})
	switch {
	case err == nil:
		s.log.InfoContext(ctx, "revoked connect from public", "database", name)
		return nil
	case code(err) == codeUndefinedDatabase: // dropped meanwhile
		return nil
	default:
		return fmt.Errorf("revoke connect on %s: %w", name, err)
	}
}
