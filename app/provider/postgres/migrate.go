package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	whatMigration = "a migration does not apply"
	whatSeed      = "the seed does not apply"
	maxMessage    = 500 // of the server's message, in characters
)

// job is one run of migrations in one database.
type job struct {
	server *Server
	r      preview.Resource
	folder migration.Folder
	redact []preview.Secret
}

// run applies pending scripts and, in a fresh branch, the seed, in one transaction of the branch's role.
// What it can't apply because of what is in it is a *preview.InvalidError, and the database stays as it was.
func (j job) run(ctx context.Context, l *session, pending []migration.Script, seed bool) error {
	if len(pending) == 0 && !seed {
		return nil
	}
	for _, s := range pending {
		if err := j.check(s, whatMigration); err != nil {
			return err
		}
	}
	if seed {
		if err := j.check(*j.folder.Seed, whatSeed); err != nil {
			return err
		}
	}
	stop, err := l.watchGrowth(ctx, j.r, l.Config().Database)
	switch {
	case errors.Is(err, errFull):
		return preview.Invalid(whatMigration, preview.Problem{Path: j.r.Layout.Migrations,
			Message: "the preview's database has grown too large to be migrated",
			Hint:    "comment /flaresmith reset-db to give it a fresh copy of the parent, and keep bulk data out"})
	case err != nil:
		return err
	}
	defer stop()
	if _, err := l.Exec(ctx, `BEGIN`); err != nil {
		return l.cause(err)
	}
	last := migration.Script{}
	for _, s := range pending {
		if err := j.apply(ctx, l, s, bookOf(j.folder.Format), whatMigration); err != nil {
			return err
		}
		last = s
	}
	if seed {
		if err := j.apply(ctx, l, *j.folder.Seed, seeds(), whatSeed); err != nil {
			return err
		}
		last = *j.folder.Seed
	}
	tag, err := l.Exec(ctx, `COMMIT`) // deferred constraints are checked here
	if err != nil {
		return j.problem(ctx, l, err, last, migration.Statement{Offset: len(last.Text)}, whatMigration)
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit of migrations ended in %s", tag)
	}
	return nil
}

// check refuses before anything runs what would leave the transaction or wait for a client.
func (j job) check(s migration.Script, what string) error {
	statements := s.Statements(j.folder.Format)
	if len(statements) > migration.MaxStatements {
		return preview.Invalid(what, preview.Problem{Path: s.Path, Message: fmt.Sprintf("has more than %d statements", migration.MaxStatements)})
	}
	for _, st := range statements {
		if message, hint := st.Refusal(); message != "" {
			return preview.Invalid(what, preview.Problem{Path: s.Path, Line: s.Line(st.Offset), Message: message, Hint: hint})
		}
	}
	return nil
}

// apply runs one script and enters it into the book. Statements go one by one through the extended protocol, in which
// the server itself refuses a second statement.
func (j job) apply(ctx context.Context, l *session, s migration.Script, b book, what string) error {
	for _, st := range s.Statements(j.folder.Format) {
		err := discard(l.PgConn().ExecParams(ctx, st.Text, nil, nil, nil, nil))
		if err != nil {
			return j.problem(ctx, l, err, s, st, what)
		}
		if l.PgConn().TxStatus() != 'T' {
			return preview.Invalid(what, preview.Problem{Path: s.Path, Line: s.Line(st.Offset), Message: "the statement ends the transaction that all migrations run in", Hint: "remove it"})
		}
	}
	end := migration.Statement{Offset: len(s.Text)}
	for _, sql := range []string{`CREATE SCHEMA IF NOT EXISTS ` + quote(b.schema), b.create} {
		if _, err := l.Exec(ctx, sql, pgx.QueryExecModeExec); err != nil {
			return j.problem(ctx, l, err, s, end, what)
		}
	}
	if _, err := l.Exec(ctx, b.insert, pgx.QueryExecModeExec, s.Name, s.When, s.Hash); err != nil {
		return j.problem(ctx, l, err, s, end, what)
	}
	return nil
}

// discard reads a result to its end and keeps none of it.
func discard(result *pgconn.ResultReader) error {
	for result.NextRow() {
	}
	_, err := result.Close()
	return err
}

// problem turns the server's error into the user's: with file, line and what to do.
func (j job) problem(ctx context.Context, l *session, err error, s migration.Script, st migration.Statement, what string) error {
	p := preview.Problem{Path: s.Path, Line: s.Line(st.Offset)}
	if errors.Is(l.cause(err), errTimeLimit) {
		p.Message = fmt.Sprintf("did not finish within the time limit of %s for all migrations", l.server.config.MigrationTimeout)
		p.Hint = "split it up, or look for a lock that the running preview holds"
		return preview.Invalid(what, p)
	}
	if errors.Is(l.cause(err), errGrowth) {
		p.Message = "makes the database grow by more than migrations may"
		p.Hint = fmt.Sprintf("all migrations of a preview together may add %d MB to the parent's size, or twice that size: leave bulk data out", l.server.config.Limits.GrowthMB)
		return preview.Invalid(what, p)
	}
	var long *pgproto3.ExceededMaxBodyLenErr
	if errors.As(err, &long) {
		p.Message = fmt.Sprintf("answers with a row or a message of more than %d MB", maxAnswer>>20)
		p.Hint = "a migration's rows go nowhere: return none"
		return preview.Invalid(what, p)
	}
	var pg *pgconn.PgError
	if ctx.Err() != nil || !errors.As(err, &pg) || outage(pg.Code) {
		return classify(fmt.Errorf("%s: %w", s.Path, err))
	}
	if pg.Position > 0 {
		p.Line = s.Line(st.Offset + byteOffset(st.Text, int(pg.Position)-1))
	}
	p.Message, p.Hint = j.clean(pg.Message), hintFor(pg, len(st.Text) > 0)
	return preview.Invalid(what, p)
}

// outage reports whether a SQLSTATE in the middle of a migration is nobody's fault.
func outage(c string) bool {
	switch c {
	case "40001", "40P01", "53000", "53100", "53200", "53300":
		return true
	}
	return strings.HasPrefix(c, "08") || strings.HasPrefix(c, "57P")
}

func hintFor(pg *pgconn.PgError, own bool) string {
	switch pg.Code {
	case "42P07", "42701", "42710":
		return "the parent may have it already without a record of this migration"
	case "42501":
		return "migrations run as the preview's own role, which owns its database's objects and is no superuser"
	case "25001":
		return "all migrations run in one transaction, as drizzle does: use a form that may run in one"
	case "53400":
		return "the preview's limit on temporary files is exceeded"
	}
	if !own {
		return "a constraint that is checked at the end, or the record of applied migrations, does not hold"
	}
	if pg.Hint != "" && len(pg.Hint) < maxMessage {
		return pg.Hint
	}
	return "correct the statement and push again"
}

// clean shortens a message and takes known secrets out.
func (j job) clean(message string) string {
	for _, secret := range append([]preview.Secret{j.server.recall(j.r.Name).password}, j.redact...) {
		if secret != "" {
			message = strings.ReplaceAll(message, secret.Reveal(), secret.String())
		}
	}
	if runes := []rune(message); len(runes) > maxMessage {
		message = string(runes[:maxMessage]) + "…"
	}
	return message
}

// byteOffset is where character n (from 0) of text begins.
func byteOffset(text string, n int) int {
	at := 0
	for ; n > 0 && at < len(text); n-- {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}
