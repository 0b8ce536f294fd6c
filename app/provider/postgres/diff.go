package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stripe/pg-schema-diff/pkg/diff"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	diffTimeout = 30 * time.Second
	// What is compared at most.
	maxDefinitions = 32 << 20 // bytes
	maxObjects     = 100_000
	maxDifferent   = 1000
)

// schemaDiff is the SQL that leads from the parent's schema to the branch's. The parent is read by the
// administrator, the branch by its role.
func (s *Server) schemaDiff(ctx context.Context, r preview.Resource) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, diffTimeout)
	defer cancel()
	leave, err := s.parents.read(ctx, r.Parent)
	if err != nil {
		return "", err
	}
	defer leave()
	parent := openDB(s.adminConfig(r.Parent))
	defer func() { _ = parent.Close() }() // read only
	branch := openDB(s.roleConfig(r.Name, s.recall(r.Name).password))
	defer func() { _ = branch.Close() }() // read only
	if err := checkEffort(ctx, parent, branch); err != nil {
		return "", err
	}
	plan, err := diff.Generate(ctx, diff.DBSchemaSource(parent), diff.DBSchemaSource(branch),
		diff.WithDoNotValidatePlan(), diff.WithNoConcurrentIndexOps(), diff.WithLogger(diffLog{s.log}),
		diff.WithExcludeSchemas(migrator.BookSchemas()...))
	if err != nil {
		return "", fmt.Errorf("schema difference: %w", err)
	}
	var text strings.Builder
	for _, st := range plan.Statements {
		text.WriteString(strings.TrimRight(strings.TrimSpace(st.DDL), ";") + ";\n")
	}
	return migrator.TruncateDiff(text.String()), nil
}

// checkEffort refuses what the library would work on for too long, and can't be stopped at: its time
// grows with the square of the objects that differ, and it holds all definitions several times.
func checkEffort(ctx context.Context, parent, branch *sql.DB) error {
	var sides [2]map[string]string
	for i, db := range []*sql.DB{parent, branch} {
		var definitions int64
		if err := db.QueryRowContext(ctx, definitionsSize, firstUserOID).Scan(&definitions); err != nil {
			return fmt.Errorf("size of the schema: %w", err)
		}
		if definitions > maxDefinitions {
			return fmt.Errorf("definitions of %d MB are not compared", definitions>>20)
		}
		var err error
		if sides[i], err = objects(ctx, db); err != nil {
			return fmt.Errorf("objects of the schema: %w", err)
		}
	}
	different := 0
	for i, side := range sides {
		other := sides[1-i]
		for object, table := range side {
			_, same := other[object]
			_, altered := other[table]
			if !same && (table == "" || altered) { // what is in a new table goes with it
				different++
			}
		}
	}
	if different > maxDifferent {
		return fmt.Errorf("%d different objects are not compared", different)
	}
	return nil
}

// objects are the names of what is in a schema, each with the table that it belongs to, if it does.
func objects(ctx context.Context, db *sql.DB) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, objectNames, firstUserOID, maxObjects+1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // read only
	found := map[string]string{}
	for rows.Next() {
		var object, table string
		if err := rows.Scan(&object, &table); err != nil {
			return nil, err
		}
		found[object] = table
	}
	if len(found) > maxObjects {
		return nil, fmt.Errorf("more than %d are not compared", maxObjects)
	}
	return found, rows.Err()
}

// definitionsSize is how many bytes the catalogs hold of everything that somebody wrote.
const definitionsSize = `SELECT coalesce(sum(bytes), 0)::pg_catalog.int8 FROM (
	SELECT octet_length(prosrc) + coalesce(octet_length(proargdefaults::text), 0) FROM pg_catalog.pg_proc WHERE oid >= $1
	UNION ALL SELECT octet_length(adbin::text) FROM pg_catalog.pg_attrdef
	UNION ALL SELECT octet_length(ev_action::text) FROM pg_catalog.pg_rewrite WHERE oid >= $1
	UNION ALL SELECT octet_length(conbin::text) FROM pg_catalog.pg_constraint WHERE oid >= $1
	UNION ALL SELECT coalesce(octet_length(indexprs::text), 0) + coalesce(octet_length(indpred::text), 0) FROM pg_catalog.pg_index WHERE indexrelid >= $1
	UNION ALL SELECT coalesce(octet_length(tgqual::text), 0) + octet_length(tgargs) FROM pg_catalog.pg_trigger
	UNION ALL SELECT coalesce(octet_length(polqual::text), 0) + coalesce(octet_length(polwithcheck::text), 0) FROM pg_catalog.pg_policy
	UNION ALL SELECT octet_length(relpartbound::text) FROM pg_catalog.pg_class WHERE oid >= $1
) d (bytes)`

const objectNames = `
	SELECT format('relation %s %I.%I', c.relkind, n.nspname, c.relname), ''
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= $1 AND c.relkind NOT IN ('t', 'c')
	UNION ALL
	SELECT format('column %I.%I.%I %s %s', n.nspname, c.relname, a.attname, a.atttypid::regtype, a.attnotnull), format('relation %s %I.%I', c.relkind, n.nspname, c.relname)
	FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.oid >= $1 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT format('constraint %s %I.%I.%I', t.contype, n.nspname, c.relname, t.conname), format('relation %s %I.%I', c.relkind, n.nspname, c.relname)
	FROM pg_catalog.pg_constraint t JOIN pg_catalog.pg_class c ON c.oid = t.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE t.oid >= $1
	UNION ALL SELECT format('routine %s %s', p.oid::regprocedure, md5(p.prosrc)), '' FROM pg_catalog.pg_proc p WHERE p.oid >= $1
	UNION ALL SELECT format('trigger %s %I', t.tgrelid::regclass, t.tgname), '' FROM pg_catalog.pg_trigger t WHERE t.oid >= $1 AND NOT t.tgisinternal
	UNION ALL SELECT format('policy %s %I', p.polrelid::regclass, p.polname), '' FROM pg_catalog.pg_policy p WHERE p.oid >= $1
	UNION ALL SELECT format('label %s %L', e.enumtypid::regtype, e.enumlabel), '' FROM pg_catalog.pg_enum e WHERE e.oid >= $1
	LIMIT $2`

// openDB opens a few sessions that end with the returned DB.
func openDB(config *pgx.ConnConfig) *sql.DB {
	config.RuntimeParams["default_transaction_read_only"] = "on"
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(2)
	return db
}

// diffLog is the library's logger.
type diffLog struct{ log *slog.Logger }

// Errorf implements the library's interface.
func (d diffLog) Errorf(format string, args ...any) { d.Warnf(format, args...) }

// Warnf implements the library's interface.
func (d diffLog) Warnf(format string, args ...any) {
	d.log.Debug("schema difference", "note", fmt.Sprintf(format, args...))
}
