package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
)

// firstUserOID is the first object id that a fresh database does not have (FirstNormalObjectId).
const firstUserOID = 16384

// ownable lists, as ALTER statements without the new owner, everything in a database that is neither the
// system's nor an extension's. Event trigger functions and foreign servers are left out on purpose:
// the first would let the role run code in an administrator's session, the second holds credentials.
const ownable = `
WITH found AS (
	SELECT 'pg_namespace'::regclass AS class, oid, 'SCHEMA' AS kind FROM pg_namespace WHERE nspname !~ '^pg_'
	UNION ALL
	SELECT 'pg_class'::regclass, c.oid, CASE c.relkind
			WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END
		FROM pg_class c
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't'
			AND NOT (c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
				AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
	UNION ALL
	SELECT 'pg_type'::regclass, t.oid, 'TYPE' FROM pg_type t
		WHERE t.typtype <> 'm' AND t.typsubscript <> 'array_subscript_handler'::regproc
			AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
	UNION ALL SELECT 'pg_proc'::regclass, oid, 'ROUTINE' FROM pg_proc WHERE prorettype <> 'event_trigger'::regtype
	UNION ALL SELECT 'pg_collation'::regclass, oid, 'COLLATION' FROM pg_collation
	UNION ALL SELECT 'pg_conversion'::regclass, oid, 'CONVERSION' FROM pg_conversion
	UNION ALL SELECT 'pg_operator'::regclass, oid, 'OPERATOR' FROM pg_operator
	UNION ALL SELECT 'pg_opclass'::regclass, oid, 'OPERATOR CLASS' FROM pg_opclass
	UNION ALL SELECT 'pg_opfamily'::regclass, oid, 'OPERATOR FAMILY' FROM pg_opfamily
	UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, 'STATISTICS' FROM pg_statistic_ext
	UNION ALL SELECT 'pg_ts_config'::regclass, oid, 'TEXT SEARCH CONFIGURATION' FROM pg_ts_config
	UNION ALL SELECT 'pg_ts_dict'::regclass, oid, 'TEXT SEARCH DICTIONARY' FROM pg_ts_dict
	UNION ALL SELECT 'pg_largeobject'::regclass, oid, 'LARGE OBJECT' FROM pg_largeobject_metadata
)
SELECT format('ALTER %s %s OWNER TO ', kind, CASE
		WHEN kind = 'ROUTINE' THEN oid::regprocedure::text
		ELSE (pg_identify_object(class, oid, 0)).identity END)
FROM found f
WHERE (oid >= $1 OR (kind = 'SCHEMA' AND oid = to_regnamespace('public')))
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = f.class AND d.objid = f.oid AND d.deptype = 'e')
ORDER BY kind, oid`

// handOver opens the copy to its role and makes the role the owner of what is inside. The
// administrator's session in the copy is the only one, and the last one ever.
func (s *Server) handOver(ctx context.Context, database, role string, empty bool) error {
	for _, statement := range []string{
		`REVOKE ALL ON DATABASE ` + quote(database) + ` FROM PUBLIC`,
		`ALTER DATABASE ` + quote(database) + ` ALLOW_CONNECTIONS true`, // its role has no CONNECT yet
	} {
		if _, err := s.admin.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := s.reown(ctx, database, role, empty); err != nil {
		return err
	}
	_, err := s.admin.Exec(ctx, `GRANT CREATE, CONNECT, TEMPORARY ON DATABASE `+quote(database)+` TO `+quote(role))
	return err
}

// reown walks the catalogs of the copy. REASSIGN OWNED would do too much: it also changes what the
// old owner has outside this database, and refuses the server's first superuser.
func (s *Server) reown(ctx context.Context, database, role string, empty bool) error {
	conn, err := pgx.ConnectConfig(ctx, s.adminConfig(database))
	if err != nil {
		return err
	}
	defer migrator.Close(ctx, conn)
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// The parent's event triggers would run on the statements below, as a superuser.
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		if empty { // the planner's statistics hold samples of the data
			if _, err := tx.Exec(ctx, `DELETE FROM pg_statistic; DELETE FROM pg_statistic_ext_data`); err != nil {
				return err
			}
		}
		statements, err := ownerStatements(ctx, tx, role)
		if err != nil || len(statements) == 0 {
			return err
		}
		_, err = tx.Exec(ctx, strings.Join(statements, ";\n"), pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

func ownerStatements(ctx context.Context, q querier, role string) ([]string, error) {
	rows, err := q.Query(ctx, ownable, firstUserOID)
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	for i := range statements {
		statements[i] += quote(role)
	}
	rows, err = q.Query(ctx, `SELECT format('DROP USER MAPPING FOR %s SERVER %I', CASE umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(usename) END, srvname) FROM pg_user_mappings`)
	if err != nil {
		return nil, fmt.Errorf("list user mappings: %w", err)
	}
	mappings, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list user mappings: %w", err)
	}
	return append(statements, mappings...), nil
}

// waitEmpty waits for the session of reown to be gone: renaming needs that, and would itself look every 100 ms only.
func (s *Server) waitEmpty(ctx context.Context, database string) error {
	for range 200 {
		var sessions int
		if err := s.admin.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`, database).Scan(&sessions); err != nil {
			return err
		}
		if sessions == 0 {
			return nil
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
	return nil // the rename waits for itself
}
