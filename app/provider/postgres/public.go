package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// publicLock is the advisory lock under which databases are closed to PUBLIC; two servers that
// start at once would update the same rows.
const publicLock = 0x666c6172_65736d01

// closeRounds is how often databases that somebody else was changing are tried again.
const closeRounds = 10

// closeToPublic revokes what PUBLIC may do on every database, so that a branch's role reaches its own alone.
func (s *Server) closeToPublic(ctx context.Context) error {
	for range closeRounds {
		names, err := s.openDatabases(ctx)
		if err != nil {
			return err
		}
		again := false
		for _, name := range names {
			err := s.closeDatabase(ctx, name)
			switch c := migrator.Code(err); {
			case err == nil:
				s.log.InfoContext(ctx, "revoked connect from public", "database", name)
			case c == codeUndefinedDatabase: // dropped meanwhile
			case c == codeInternal && migrator.Passing(err):
				again = true
			default:
				return fmt.Errorf("revoke connect on %s: %w", name, err)
			}
		}
		if !again {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return preview.Transient(errors.New("revoke connect: databases keep changing"))
}

// openDatabases are those that PUBLIC may connect to.
func (s *Server) openDatabases(ctx context.Context) ([]string, error) {
	rows, err := s.admin.Query(ctx, `SELECT datname FROM pg_database WHERE has_database_privilege('public', oid, 'CONNECT') ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list databases: %w", err)
	}
	return names, nil
}

func (s *Server) closeDatabase(ctx context.Context, name string) error {
	return pgx.BeginFunc(ctx, s.admin, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(publicLock)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `REVOKE CONNECT, TEMPORARY ON DATABASE `+quote(name)+` FROM PUBLIC`)
		return err
	})
}
