package neon

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// await waits for a new branch until its compute answers, and writes the mark then. Logging in is the surer look than asking for
// operations, and none of the account's requests: Neon's proxy holds a login until the compute has started. Only where it does not, it is
// asked what goes on. uri has the password that the branch began with, which is the parent's and is renewed next.
func (p *Branches) await(ctx context.Context, m preview.Mark, uri string, operations []operation) (marked bool, err error) {
	conn, err := p.loginWith(ctx, preview.Secret(uri), func(*pgx.ConnConfig) {})
	if err != nil {
		return false, p.wait(ctx, operations)
	}
	defer migrator.Close(ctx, conn)
	return writeMark(ctx, conn, m) == nil, nil
}

// mark writes the owner mark as the comment on the branch's database, where its Worker reads whose it is: a copy has its parent's.
func (p *Branches) mark(ctx context.Context, id string, m preview.Mark) error {
	return p.inDatabase(ctx, id, func(ctx context.Context, conn *pgx.Conn) error { return writeMark(ctx, conn, m) })
}

// inDatabase opens a session of the database's owner in a branch for a statement or two about the mark.
func (p *Branches) inDatabase(ctx context.Context, id string, do func(ctx context.Context, conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := p.connect(ctx, id, func(*pgx.ConnConfig) {})
	if err != nil {
		return err
	}
	defer migrator.Close(ctx, conn)
	if err := do(ctx, conn); err != nil {
		return fmt.Errorf("mark of the database: %w", migrator.Classify(err))
	}
	return nil
}

func writeMark(ctx context.Context, conn *pgx.Conn, m preview.Mark) error {
	return writeComment(ctx, conn, map[string]preview.Mark{"mark": m})
}

// writeComment writes a value as JSON into the comment on the session's database. It lets the server quote, as COMMENT takes no parameters.
func writeComment(ctx context.Context, conn *pgx.Conn, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var statement string
	if err := conn.QueryRow(ctx, `SELECT pg_catalog.format('COMMENT ON DATABASE %I IS %L', pg_catalog.current_database(), $1::text)`, string(text)).Scan(&statement); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return err
}
