package migrator

import (
	"cmp"
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

// Job is one run of migrations in one database.
type Job struct {
	Resource preview.Resource
	Folder   migration.Folder
	Growth   Growth
	Redact   []preview.Secret // known values that must not appear in any message
	// PlanLimit says that the server itself bounds the size of the database, by what is paid for: a full disk is then the
	// migrations' fault and passes by no waiting.
	PlanLimit bool
}

// Migrate runs what is pending in the session's database; when that can't be told without a fresh copy of the parent, it
// says why and does nothing. parent are the rows that the parent has; rows are those that the database has afterwards.
// The seed runs in a fresh database alone.
func (j Job) Migrate(ctx context.Context, s *Session, parent []Row, fresh bool) (rows []Row, reset string, err error) {
	rows, err = ReadBooks(ctx, s.Conn)
	if err != nil {
		return nil, "", j.cut(s, err)
	}
	d := compare(j.Folder, rows, parent)
	if d.reset != "" {
		return nil, d.reset, nil
	}
	seed := false
	if fresh && j.Folder.Seed != nil {
		done, err := seeds().rows(ctx, s.Conn)
		if err != nil {
			return nil, "", j.cut(s, err)
		}
		seed = len(done) == 0
	}
	if err := j.run(ctx, s, d.pending, seed); err != nil {
		return nil, "", err
	}
	for _, script := range d.pending {
		rows = append(rows, rowOf(script, j.Folder.Format))
	}
	return rows, "", nil
}

// RefuseReset is what is said where only a reset would help and the data is to be kept.
func (j Job) RefuseReset(why string) error {
	return preview.Invalid(whatMigration, preview.Problem{
		Path: j.Resource.Layout.Migrations, Message: why,
		Hint: "the data of a core environment is never reset: bring the migration back and add a new one",
	})
}

// run applies pending scripts and, in a fresh branch, the seed, in one transaction of the branch's role.
// What it can't apply because of what is in it is a *preview.InvalidError, and the database stays as it was.
func (j Job) run(ctx context.Context, l *Session, pending []migration.Script, seed bool) error {
	if len(pending) == 0 && !seed {
		return nil
	}
	if err := j.checkAll(pending, seed); err != nil {
		return err
	}
	stop, err := l.watchGrowth(ctx, j.Growth)
	switch {
	case errors.Is(err, errFull):
		return preview.Invalid(whatMigration, preview.Problem{Path: j.Resource.Layout.Migrations,
			Message: "the preview's database has grown too large to be migrated",
			Hint:    "comment /flaresmith reset-db to give it a fresh copy of the parent, and keep bulk data out"})
	case err != nil:
		return err
	}
	defer stop()
	if _, err := l.Exec(ctx, `BEGIN`); err != nil {
		return j.cut(l, err)
	}
	last := migration.Script{}
	for _, s := range pending {
		if err := j.apply(ctx, l, s, bookOf(j.Folder.Format), whatMigration); err != nil {
			return err
		}
		last = s
	}
	if seed {
		if err := j.apply(ctx, l, *j.Folder.Seed, seeds(), whatSeed); err != nil {
			return err
		}
		last = *j.Folder.Seed
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

func (j Job) checkAll(pending []migration.Script, seed bool) error {
	for _, s := range pending {
		if err := j.check(s, whatMigration); err != nil {
			return err
		}
	}
	if seed {
		return j.check(*j.Folder.Seed, whatSeed)
	}
	return nil
}

// check refuses before anything runs what would leave the transaction or wait for a client.
func (j Job) check(s migration.Script, what string) error {
	statements := s.Statements(j.Folder.Format)
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
func (j Job) apply(ctx context.Context, l *Session, s migration.Script, b book, what string) error {
	for _, st := range s.Statements(j.Folder.Format) {
		err := discard(l.PgConn().ExecParams(ctx, st.Text, nil, nil, nil, nil))
		if err != nil {
			return j.problem(ctx, l, err, s, st, what)
		}
		if l.PgConn().TxStatus() != 'T' {
			return preview.Invalid(what, preview.Problem{Path: s.Path, Line: s.Line(st.Offset), Message: "the statement ends the transaction that all migrations run in", Hint: "remove it"})
		}
	}
	end := migration.Statement{Offset: len(s.Text)}
	for _, sql := range []string{`CREATE SCHEMA IF NOT EXISTS ` + pgx.Identifier{b.schema}.Sanitize(), b.create} {
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
func (j Job) problem(ctx context.Context, l *Session, err error, s migration.Script, st migration.Statement, what string) error {
	p := preview.Problem{Path: s.Path, Line: s.Line(st.Offset)}
	if ended := j.ended(l, err, p, what); ended != nil {
		return ended
	}
	var long *pgproto3.ExceededMaxBodyLenErr
	if errors.As(err, &long) {
		p.Message = fmt.Sprintf("answers with a row or a message of more than %d MB", MaxAnswer>>20)
		p.Hint = "a migration's rows go nowhere: return none"
		return preview.Invalid(what, p)
	}
	if j.PlanLimit && Code(err) == codeDiskFull {
		p.Message = "makes the database larger than the plan allows"
		p.Hint = "leave bulk data out, or ask the operator for a larger plan"
		return preview.Invalid(what, p)
	}
	var pg *pgconn.PgError
	if ctx.Err() != nil || !errors.As(err, &pg) || outage(pg.Code) {
		return Classify(fmt.Errorf("%s: %w", s.Path, err))
	}
	if pg.Position > 0 {
		p.Line = s.Line(st.Offset + byteOffset(st.Text, int(pg.Position)-1))
	}
	p.Message, p.Hint = j.clean(pg.Message), hintFor(pg, len(st.Text) > 0)
	return preview.Invalid(what, p)
}

// ended is what is told where a watchdog is behind an error; nil: none is.
func (j Job) ended(l *Session, err error, p preview.Problem, what string) error {
	switch cause := l.Cause(err); {
	case errors.Is(cause, errTimeLimit):
		p.Message = fmt.Sprintf("did not finish within the time limit of %s for all migrations", l.limit)
		p.Hint = "split it up, or look for a lock that the running preview holds"
	case errors.Is(cause, errGrowth):
		p.Message = "makes the database grow by more than migrations may"
		p.Hint = fmt.Sprintf("all migrations of a preview together may add %d MB to the parent's size, or twice that size: leave bulk data out", j.Growth.LimitMB)
	case errors.Is(cause, errBlind):
		return fmt.Errorf("%s: %w", p.Path, errBlind)
	default:
		return nil
	}
	return preview.Invalid(what, p)
}

// cut is an error of what is done around the migrations, none of which is to blame.
func (j Job) cut(l *Session, err error) error {
	return cmp.Or(j.ended(l, err, preview.Problem{Path: j.Resource.Layout.Migrations}, whatMigration), err)
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
func (j Job) clean(message string) string {
	for _, secret := range j.Redact {
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
