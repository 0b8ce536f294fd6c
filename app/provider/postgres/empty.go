package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// empty takes the data out of a fresh copy and leaves its schema and its bookkeeping. It works as
// the role, since triggers of the parent may run.
func (s *Server) empty(ctx context.Context, r preview.Resource, database string) (err error) {
	l, err := s.login(ctx, r, database)
	if err != nil {
		return err
	}
	defer func() { l.End(ctx, err != nil) }()
	return l.Cause(pgx.BeginFunc(ctx, l.Conn, func(tx pgx.Tx) error {
		views, err := ownRelations(ctx, tx, "m")
		if err != nil {
			return err
		}
		tables, err := ownRelations(ctx, tx, "r", "p")
		if err != nil {
			return err
		}
		statements := []string{`SELECT count(lo_unlink(oid)) FROM pg_catalog.pg_largeobject_metadata`}
		for _, view := range views {
			statements = append(statements, `REFRESH MATERIALIZED VIEW `+view+` WITH NO DATA`)
		}
		if len(tables) > 0 {
			statements = append(statements, `TRUNCATE `+strings.Join(tables, ", ")+` RESTART IDENTITY`)
		}
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}))
}

// ownRelations are the quoted names of the role's relations of some kinds, without bookkeeping.
func ownRelations(ctx context.Context, q querier, kinds ...string) ([]string, error) {
	rows, err := q.Query(ctx, `
		SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind::text = ANY($1) AND c.relowner = current_user::regrole AND n.nspname <> ALL($2) ORDER BY c.oid`, kinds, migrator.BookSchemas())
	if err != nil {
		return nil, fmt.Errorf("list relations: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list relations: %w", err)
	}
	return names, nil
}
