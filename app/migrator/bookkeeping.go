package migrator

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/preview"
)

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// firstUserOID is the first object id that a fresh database does not have (FirstNormalObjectId).
const firstUserOID = 16384

// How much bookkeeping is read of one table.
const (
	maxRows      = 2 * migration.MaxMigrations
	maxBookBytes = 8 << 20
)

// Row is one row of bookkeeping. Rows are compared as a whole.
type Row struct {
	format preview.MigrationFormat
	name   string // sql only: drizzle does not keep names
	when   int64  // drizzle only
	hash   string
}

// identity is what a row and a script have in common even if the text changed.
func (a Row) identity() Row {
	a.hash = ""
	return a
}

// label names a row for a person.
func (a Row) label() string {
	if a.format == preview.MigrationsSQL {
		return a.name
	}
	return fmt.Sprintf("%s (%.8s)", time.UnixMilli(a.when).UTC().Format("2006-01-02 15:04:05 UTC"), a.hash)
}

// rowOf is how a script is kept once it was applied.
func rowOf(s migration.Script, format preview.MigrationFormat) Row {
	if format == preview.MigrationsDrizzle {
		return Row{format: format, when: s.When, hash: s.Hash}
	}
	return Row{format: format, name: s.Name, hash: s.Hash}
}

// book is one bookkeeping table.
type book struct {
	format                  preview.MigrationFormat
	schema, table           string
	columns, create, insert string
}

// books are drizzle-orm's table, exactly as its migrator makes it, and our own.
func books() []book {
	return []book{{
		format: preview.MigrationsDrizzle, schema: "drizzle", table: "__drizzle_migrations",
		columns: `id, created_at, hash`,
		create:  `CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)`,
		insert:  `INSERT INTO drizzle.__drizzle_migrations (hash, created_at) SELECT $3::text, $2::int8 WHERE $1::text IS NOT NULL`,
	}, {
		format: preview.MigrationsSQL, schema: "flaresmith", table: "migrations",
		columns: `name, hash`,
		create:  `CREATE TABLE IF NOT EXISTS flaresmith.migrations (name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
		insert:  `INSERT INTO flaresmith.migrations (name, hash) SELECT $1::text, $3::text WHERE $2::int8 IS NOT NULL`,
	}}
}

func bookOf(format preview.MigrationFormat) book {
	for _, b := range books() {
		if b.format == format {
			return b
		}
	}
	return books()[1]
}

// BookSchemas are the schemas that hold nothing but bookkeeping.
func BookSchemas() []string {
	var names []string
	for _, b := range books() {
		names = append(names, b.schema)
	}
	return names
}

// seeds is where a seed's run is kept, in the branch.
func seeds() book {
	return book{
		schema: "flaresmith", table: "seeds",
		columns: `name, hash`,
		create:  `CREATE TABLE IF NOT EXISTS flaresmith.seeds (name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
		insert:  `INSERT INTO flaresmith.seeds (name, hash) SELECT $1::text, $3::text WHERE $2::int8 IS NOT NULL`,
	}
}

// ReadBooks returns all that was applied to the connected database, in the order it was.
func ReadBooks(ctx context.Context, conn *pgx.Conn) ([]Row, error) {
	var all []Row
	for _, b := range books() {
		rows, err := b.rows(ctx, conn)
		if err != nil {
			return nil, fmt.Errorf("read %s.%s: %w", b.schema, b.table, err)
		}
		all = append(all, rows...)
	}
	return all, nil
}

// rows reads the table, if it is there. What looks like it and is a view, or has a column of a type
// that is not the server's own, could run code in the reader's session and is refused.
func (b book) rows(ctx context.Context, conn *pgx.Conn) ([]Row, error) {
	var all []Row
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		found, err := b.plainTable(ctx, tx)
		if err != nil || !found {
			return err
		}
		if _, err := tx.Exec(ctx, `LOCK TABLE `+pgx.Identifier{b.schema, b.table}.Sanitize()+` IN ACCESS SHARE MODE`); err != nil {
			return err
		}
		if _, err := b.plainTable(ctx, tx); err != nil { // now that it can't be replaced
			return err
		}
		all, err = b.copyOut(ctx, tx.Conn())
		return err
	})
	return all, err
}

// copyOut reads the table's own rows with COPY, which has no plan: a SELECT computes what is
// constant in the expressions of a table's indexes and statistics, in the reader's session, and
// the reader of a parent is a superuser.
func (b book) copyOut(ctx context.Context, conn *pgx.Conn) ([]Row, error) {
	text := &bounded{most: maxBookBytes}
	sql := `COPY ` + pgx.Identifier{b.schema, b.table}.Sanitize() + ` (` + b.columns + `) TO STDOUT (FORMAT csv)`
	if _, err := conn.PgConn().CopyTo(ctx, text, sql); err != nil {
		return nil, err
	}
	records, err := csv.NewReader(&text.buffer).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	if b.format == preview.MigrationsDrizzle {
		return drizzleRows(records)
	}
	slices.SortFunc(records, slices.Compare)
	var all []Row
	for _, record := range records[:min(len(records), maxRows)] {
		all = append(all, Row{format: b.format, name: record[0], hash: record[1]})
	}
	return all, nil
}

// drizzleRows puts the rows in the order of their ids.
func drizzleRows(records [][]string) ([]Row, error) {
	byID, ids := map[int64]Row{}, []int64{}
	for _, record := range records {
		id, err := strconv.ParseInt(record[0], 10, 64)
		if err != nil {
			return nil, errors.New("has an id that is no number")
		}
		row := Row{format: preview.MigrationsDrizzle, hash: record[2]}
		if record[1] != "" { // NULL
			if row.when, err = strconv.ParseInt(record[1], 10, 64); err != nil {
				return nil, errors.New("has a time that is no number")
			}
		}
		byID[id], ids = row, append(ids, id)
	}
	slices.Sort(ids)
	var all []Row
	for _, id := range ids[:min(len(ids), maxRows)] {
		all = append(all, byID[id])
	}
	return all, nil
}

// bounded is a buffer that takes so many bytes at most.
type bounded struct {
	buffer bytes.Buffer
	most   int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buffer.Len()+len(p) > b.most {
		return 0, errors.New("holds more than any record of migrations")
	}
	return b.buffer.Write(p)
}

func (b book) plainTable(ctx context.Context, conn querier) (bool, error) {
	var plain bool
	err := conn.QueryRow(ctx, `
		SELECT c.relkind = 'r' AND NOT c.relforcerowsecurity AND NOT EXISTS (
			SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= $3)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2`, b.schema, b.table, uint32(firstUserOID)).Scan(&plain)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case !plain:
		return false, errors.New("is no plain table")
	}
	return true, nil
}

// drift is how a branch relates to what the repository wants and to its parent.
type drift struct {
	pending []migration.Script
	reset   string // not empty: why the branch can't be brought up to date without a fresh copy
}

// compare finds what is left to do. Rows that the parent has too are never a reason to reset, and
// count as applied whatever their text is, as drizzle sees it.
func compare(f migration.Folder, branch, parent []Row) drift {
	inBranch, inParent, wanted, named := set(branch), set(parent), map[Row]bool{}, map[Row]string{}
	for _, s := range f.Scripts {
		row := rowOf(s, f.Format)
		wanted[row] = true
		named[row.identity()] = s.Name
	}
	var d drift
	for _, row := range branch {
		if inParent[row] || wanted[row] {
			continue
		}
		if name, changed := named[row.identity()]; changed {
			d.reset = "migration " + name + " changed after it was applied"
		} else {
			d.reset = "migration " + row.label() + " was applied and is no longer there"
		}
		return d
	}
	for _, s := range f.Scripts {
		if !inBranch[rowOf(s, f.Format).identity()] {
			d.pending = append(d.pending, s)
		}
	}
	return d
}

// beyond names the rows of the branch that the parent has not.
func beyond(f migration.Folder, branch, parent []Row) []string {
	inParent, names := set(parent), []string{}
	byRow := map[Row]string{}
	for _, s := range f.Scripts {
		byRow[rowOf(s, f.Format)] = s.Name
	}
	for _, row := range branch {
		if name := byRow[row]; name != "" && !inParent[row] {
			names = append(names, name)
		}
	}
	return names
}

// Behind names the rows of the parent that the branch has not.
func Behind(branch, parent []Row) []string {
	inBranch, names := set(branch), []string{}
	for _, row := range parent {
		if !inBranch[row.identity()] {
			names = append(names, row.label())
		}
	}
	return names
}

// set holds each row as a whole and by its identity.
func set(rows []Row) map[Row]bool {
	m := make(map[Row]bool, 2*len(rows))
	for _, row := range rows {
		m[row], m[row.identity()] = true, true
	}
	return m
}
