package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// withDatabase is the URL of a branch's role with another database.
func withDatabase(t *testing.T, secret preview.Secret, database string) string {
	t.Helper()
	u, err := url.Parse(secret.Reveal())
	if err != nil {
		t.Fatal("the branch's URL does not parse")
	}
	u.Path = "/" + database
	return u.String()
}

// sqlState is the code of a failure, "" if there was none.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestBranchBelongsToItsRole(t *testing.T) {
	t.Parallel()
	ways := []struct {
		name string
		live bool
	}{{"template", false}, {"dump", true}}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			parent := newParent(t, parentSQL)
			if way.live {
				connect(t, adminURL(t, parent))
			}
			r := newBranch(parent)
			own := branch(t, newServer(t), r).DatabaseURL.Reveal()
			for _, sql := range []string{
				`ALTER TABLE notes ADD COLUMN extra text`, `DROP VIEW titles`, `REFRESH MATERIALIZED VIEW counted`,
				`ALTER TYPE mood ADD VALUE 'odd'`, `ALTER DOMAIN positive DROP NOT NULL`, `DROP FUNCTION twice(int)`, `DROP AGGREGATE total(int)`,
				`DROP SEQUENCE "odd ""name"."Seq uence"`, `DROP SCHEMA "odd ""name"`, `DROP TABLE parted`, `DROP STATISTICS stats`,
				`CREATE TABLE public.more (id int)`, `CREATE SCHEMA own`, `INSERT INTO notes (body) VALUES ('x')`, `CREATE TEMPORARY TABLE x (id int)`,
				`SELECT public.gen_random_bytes(1)`, `ALTER SCHEMA public RENAME TO other`,
			} {
				if err := try(t, own, sql); err != nil {
					t.Errorf("%s: %v", sql, err)
				}
			}
			if got := value(t, adminURL(t, parent), `SELECT string_agg(body, ',' ORDER BY id) FROM notes`); got != "note 1,note 2,note 3" {
				t.Errorf("the parent holds %s", got)
			}
		})
	}
}

func TestRoleIsConfined(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	parent := newParent(t, parentSQL)
	s := newServer(t)
	r, other := newBranch(parent), newBranch(parent)
	outputs := branch(t, s, r)
	branch(t, s, other)
	own := outputs.DatabaseURL.Reveal()

	for _, database := range []string{parent, "postgres", "template1", other.Name} {
		if got := sqlState(try(t, withDatabase(t, outputs.DatabaseURL, database), `SELECT 1`)); got != "42501" {
			t.Errorf("connect to %s: %q, want 42501", database, got)
		}
	}
	refused := []string{
		`COMMENT ON DATABASE "` + r.Name + `" IS 'x'`, `COMMENT ON ROLE "` + r.Name + `" IS 'x'`,
		`ALTER DATABASE "` + r.Name + `" RENAME TO x`, `ALTER DATABASE "` + r.Name + `" SET work_mem = 64`, `DROP DATABASE "` + r.Name + `"`,
		`CREATE DATABASE "` + r.Name + `_x"`, `CREATE ROLE "` + r.Name + `_x"`, `SET ROLE postgres`, `SET SESSION AUTHORIZATION postgres`,
		`SET temp_file_limit = -1`, `ALTER ROLE "` + r.Name + `" CONNECTION LIMIT -1`, `ALTER ROLE "` + r.Name + `" SUPERUSER`,
		`ALTER ROLE "` + r.Name + `" SET temp_file_limit = -1`, `ALTER ROLE "` + other.Name + `" PASSWORD 'x'`,
		`COPY notes TO PROGRAM 'cat'`, `COPY notes FROM '/etc/passwd'`, `SELECT pg_read_file('/etc/passwd')`, `SELECT lo_import('/etc/passwd')`,
		`SELECT * FROM pg_authid`, `CREATE EXTENSION dblink`, `GRANT CONNECT ON DATABASE "` + r.Name + `" TO PUBLIC`,
	}
	for _, sql := range refused {
		if err := try(t, own, sql); err == nil && !strings.HasPrefix(sql, "GRANT") {
			t.Errorf("%s: was allowed", sql)
		}
	}
	if err := try(t, own, `ALTER ROLE "`+r.Name+`" RESET ALL`); err != nil {
		t.Errorf("reset all: %v", err)
	}
	if got := value(t, own, `SELECT current_setting('temp_file_limit')`); got != "256MB" {
		t.Errorf("temp_file_limit is %s", got)
	}
	super := embeddedtest.Postgres(t)
	if got := value(t, super, `SELECT has_database_privilege('public', '`+r.Name+`', 'CONNECT')`); got != "false" {
		t.Errorf("public may connect to the branch: %s", got)
	}
	if got := value(t, super, `SELECT concat(rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit, left(rolpassword, 14))
		FROM pg_authid WHERE rolname = '`+r.Name+`'`); got != "fffff20SCRAM-SHA-256$" {
		t.Errorf("role is %s", got)
	}
}

// A role of the operator that owns the parent has no part in the branch.
func TestParentsRoleStaysOut(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	parent := newParent(t, parentSQL)
	app := parent + "_app"
	super := embeddedtest.Postgres(t)
	execute(t, super, `CREATE ROLE "`+app+`" LOGIN PASSWORD 'app'; GRANT CONNECT ON DATABASE "`+parent+`" TO "`+app+`"`)
	t.Cleanup(func() { execute(t, super, `DROP ROLE "`+app+`"`) })
	t.Cleanup(func() {
		execute(t, adminURL(t, parent), `DROP OWNED BY "`+app+`" CASCADE`)
		execute(t, super, `REVOKE ALL ON DATABASE "`+parent+`" FROM "`+app+`"`)
	})
	execute(t, adminURL(t, parent), `ALTER TABLE notes OWNER TO "`+app+`"`)
	r := newBranch(parent)
	outputs := branch(t, newServer(t), r)
	u, err := url.Parse(outputs.DatabaseURL.Reveal())
	if err != nil {
		t.Fatal("the branch's URL does not parse")
	}
	u.User = url.UserPassword(app, "app")
	if got := sqlState(try(t, u.String(), `SELECT 1`)); got != "42501" {
		t.Errorf("the parent's role connects to the branch: %q, want 42501", got)
	}
	u.Path = "/" + parent
	if err := try(t, u.String(), `INSERT INTO notes (body) VALUES ('x')`); err != nil {
		t.Errorf("the parent's role in the parent: %v", err)
	}
	if err := try(t, outputs.DatabaseURL.Reveal(), `DROP TABLE notes CASCADE`); err != nil {
		t.Errorf("the branch's role: %v", err)
	}
}

// An environment of ours as parent is never restored by the administrator: its functions are hostile.
func TestHostileParentIsNotRestored(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	core := newBranch(newParent(t, parentSQL))
	core.Name = "dev-" + strings.TrimPrefix(core.Name, "preview-")
	own := branch(t, s, core).DatabaseURL.Reveal()
	execute(t, own, `
		CREATE FUNCTION evil(t text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
			IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RAISE EXCEPTION 'runs as a superuser'; END IF; RETURN t; END $$;
		CREATE INDEX i ON notes (evil(body));`)
	connect(t, own)
	r := newBranch(core.Name)
	if got := value(t, branch(t, s, r).DatabaseURL.Reveal(), `SELECT count(*) FROM notes`); got != "3" {
		t.Errorf("%s notes, want 3", got)
	}
}

func TestLiveParent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		config   func(*postgres.Config)
		survives bool
	}{
		{"dump", func(*postgres.Config) {}, true},
		{"fence", func(c *postgres.Config) { c.PGDump = postgres.PGDumpOff }, false},
		{"tools that fail", func(c *postgres.Config) { c.PGDump = failingTools(t) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parent := newParent(t, parentSQL)
			live := connect(t, adminURL(t, parent))
			r := newBranch(parent)
			outputs := branch(t, newServer(t, tt.config), r)
			if got := value(t, outputs.DatabaseURL.Reveal(), `SELECT string_agg(body, ',' ORDER BY id) FROM notes`); got != "note 1,note 2,note 3" {
				t.Errorf("the branch holds %s", got)
			}
			if _, err := live.Exec(t.Context(), `SELECT 1`); (err == nil) != tt.survives {
				t.Errorf("the parent's session after the copy: %v, want it to survive: %t", err, tt.survives)
			}
			if err := try(t, adminURL(t, parent), `SELECT 1`); err != nil {
				t.Errorf("the parent refuses sessions after the copy: %v", err)
			}
		})
	}
}

// failingTools are a pg_dump and a pg_restore that know their version and nothing else.
func failingTools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"pg_dump", "pg_restore"} {
		script := "#!/bin/sh\n[ \"$1\" = --version ] && echo '" + name + " (PostgreSQL) 99.1' || exit 1\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "pg_dump")
}

func TestBusyParentIsLeftAlone(t *testing.T) {
	t.Parallel()
	parent := newParent(t, parentSQL)
	live := connect(t, adminURL(t, parent))
	tx, err := live.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := newBranch(parent)
	t.Cleanup(func() { drop(t, r.Name) })
	s := newServer(t, func(c *postgres.Config) { c.PGDump = postgres.PGDumpOff })
	_, err = s.Branches().Apply(t.Context(), r, preview.Inputs{})
	if preview.Classify(err) != preview.ClassTransient {
		t.Errorf("copy of a parent in the middle of something: %v, want a transient error", err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT 1`); err != nil {
		t.Errorf("the parent's transaction was ended: %v", err)
	}
	if observed, err := s.Branches().Observe(t.Context(), r); err != nil || observed.Digest != "" {
		t.Errorf("observed %+v, %v, want no digest", observed, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	branch(t, s, r)
}

func TestResetKeepsURL(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	before := branch(t, s, r)
	own := before.DatabaseURL.Reveal()
	execute(t, own, `DELETE FROM notes`)
	execute(t, own, `ALTER ROLE "`+r.Name+`" SET default_transaction_read_only = on`)
	live := connect(t, own)
	r.Reset, r.Digest = true, "2"
	after := branch(t, s, r)
	if before.DatabaseURL != after.DatabaseURL {
		t.Error("the URL changed")
	}
	if got := value(t, own, `SELECT count(*) FROM notes`); got != "3" {
		t.Errorf("%s notes after the reset, want 3", got)
	}
	if err := try(t, own, `CREATE TABLE x (id int)`); err != nil {
		t.Errorf("what the role set for itself outlives the reset: %v", err)
	}
	if _, err := live.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("a session outlives the reset")
	}
}

func TestRestartRotatesPassword(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	r := newBranch(newParent(t, parentSQL))
	before := branch(t, newServer(t), r)
	execute(t, before.DatabaseURL.Reveal(), `DELETE FROM notes`)
	after := branch(t, newServer(t), r)
	if before.DatabaseURL == after.DatabaseURL {
		t.Error("the password is the same after a restart")
	}
	if got := sqlState(try(t, before.DatabaseURL.Reveal(), `SELECT 1`)); got != "28P01" {
		t.Errorf("log in with the old password: %q, want 28P01", got)
	}
	if got := value(t, after.DatabaseURL.Reveal(), `SELECT count(*) FROM notes`); got != "0" {
		t.Errorf("%s notes after a restart, want the branch's data kept", got)
	}
}

func TestParallelBranchesOfOneParent(t *testing.T) {
	t.Parallel()
	parent := newParent(t, parentSQL)
	servers := []*postgres.Server{newServer(t), newServer(t)} // two projects, two processes
	var group sync.WaitGroup
	urls := make([]preview.Secret, 8)
	for i := range urls {
		r := newBranch(parent)
		t.Cleanup(func() { drop(t, r.Name) })
		group.Go(func() {
			outputs, err := servers[i%2].Branches().Apply(t.Context(), r, preview.Inputs{})
			if err != nil {
				t.Errorf("branch %d: %v", i, err)
			}
			urls[i] = outputs.DatabaseURL
		})
	}
	group.Wait()
	for i, u := range urls {
		if u == "" {
			continue
		}
		if got := value(t, u.Reveal(), `SELECT count(*) FROM notes`); got != "3" {
			t.Errorf("branch %d has %s notes, want 3", i, got)
		}
	}
}

func TestDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	super := embeddedtest.Postgres(t)
	tests := []struct {
		name    string
		prepare func(t *testing.T, r preview.Resource, own string)
	}{
		{"finished", func(*testing.T, preview.Resource, string) {}},
		{"with a session", func(t *testing.T, _ preview.Resource, own string) { connect(t, own) }},
		{"role alone", func(t *testing.T, r preview.Resource, _ string) { execute(t, super, `DROP DATABASE "`+r.Name+`"`) }},
		{"database alone", func(t *testing.T, r preview.Resource, own string) {
			execute(t, adminURL(t, r.Name), fmt.Sprintf(`REASSIGN OWNED BY "%s" TO postgres; DROP OWNED BY "%[1]s"`, r.Name))
			execute(t, super, `DROP OWNED BY "`+r.Name+`"; DROP ROLE "`+r.Name+`"`)
		}},
		{"half-made copy", func(t *testing.T, r preview.Resource, _ string) {
			execute(t, super, `CREATE DATABASE "`+r.Name+`_new"`)
		}},
		{"prepared transaction", func(t *testing.T, r preview.Resource, own string) {
			if value(t, super, `SELECT current_setting('max_prepared_transactions')`) == "0" {
				t.Skip("the server keeps no prepared transactions")
			}
			execute(t, own, `BEGIN; CREATE TABLE x (id int); PREPARE TRANSACTION 'it''s `+r.Name+`'`)
		}},
	}
	parent := newParent(t, parentSQL)
	s := newServer(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newBranch(parent)
			own := branch(t, s, r).DatabaseURL.Reveal()
			tt.prepare(t, r, own)
			if err := s.Branches().Delete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			left := value(t, super, fmt.Sprintf(`SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE '%s%%') + (SELECT count(*) FROM pg_roles WHERE rolname LIKE '%[1]s%%')`, r.Name))
			if left != "0" {
				t.Errorf("%s things are left", left)
			}
		})
	}
}

func TestUnfinishedCopyIsReplaced(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	branch(t, s, r)
	super := embeddedtest.Postgres(t)
	execute(t, super, `DROP DATABASE "`+r.Name+`"`)
	execute(t, super, `CREATE DATABASE "`+r.Name+`_new"`) // as a crash in the middle leaves it
	observed, err := s.Branches().Observe(t.Context(), r)
	if err != nil || !observed.Exists || !observed.Owned || observed.Digest != "" {
		t.Errorf("observed %+v, %v, want ours and unfinished", observed, err)
	}
	outputs := branch(t, s, r)
	if got := value(t, outputs.DatabaseURL.Reveal(), `SELECT count(*) FROM notes`); got != "3" {
		t.Errorf("%s notes, want 3", got)
	}
}

// A parent's event trigger must not become a way from the branch's role into an administrator's session.
func TestEventTriggerStaysTheAdministrators(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	parent := newParent(t, `
		CREATE FUNCTION hook() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired for %', current_user; END $$;
		CREATE TABLE notes (id int);
		CREATE EVENT TRIGGER hook ON ddl_command_end EXECUTE FUNCTION hook();`)
	own := branch(t, newServer(t), newBranch(parent)).DatabaseURL.Reveal()
	if got := sqlState(try(t, own, `CREATE OR REPLACE FUNCTION hook() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'`)); got != "42501" {
		t.Errorf("replace the event trigger's function: %q, want 42501", got)
	}
}

func TestErrorsAreClassed(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	if _, err := postgres.New(t.Context(), postgres.Config{AdminURL: "postgres://postgres:secret@127.0.0.1:1/postgres"}); preview.Classify(err) != preview.ClassTransient ||
		strings.Contains(fmt.Sprint(err), "secret") {
		t.Errorf("no server: %v, want a transient error without the password", err)
	}
	if _, err := postgres.New(t.Context(), postgres.Config{AdminURL: "postgres://:secret%zz"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("malformed URL: %v, want an error without the URL", err)
	}
	s := newServer(t)
	r := newBranch("test_no_such_parent")
	t.Cleanup(func() { drop(t, r.Name) })
	if _, err := s.Branches().Apply(t.Context(), r, preview.Inputs{}); err == nil || preview.Classify(err) != preview.ClassPermanent {
		t.Errorf("missing parent: %v, want a permanent error", err)
	}
	if err := s.Branches().Delete(t.Context(), r); err != nil {
		t.Errorf("delete of what is left: %v", err)
	}
	own := branch(t, s, newBranch(newParent(t, ""))).DatabaseURL.Reveal()
	if _, err := postgres.New(context.WithoutCancel(t.Context()), postgres.Config{AdminURL: preview.Secret(own)}); err == nil || !strings.Contains(err.Error(), "superuser") {
		t.Errorf("new as a plain role: %v, want a word on superusers", err)
	}
}

func TestSchemaOnlyBranchHoldsNoData(t *testing.T) {
	t.Parallel()
	for name, live := range map[string]bool{"template": false, "dump": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := newParent(t, parentSQL+`INSERT INTO parted VALUES (1); ANALYZE; SELECT lo_from_bytea(0, 'x');
				CREATE SCHEMA flaresmith; CREATE TABLE flaresmith.migrations (name text PRIMARY KEY, hash text NOT NULL);
				INSERT INTO flaresmith.migrations VALUES ('1.sql', 'x');`)
			if live {
				connect(t, adminURL(t, parent))
			}
			s := newServer(t)
			r := newBranch(parent)
			r.SchemaOnly = true
			own := branch(t, s, r).DatabaseURL.Reveal()
			const left = `SELECT concat((SELECT count(*) FROM notes), (SELECT count(*) FROM parted), (SELECT last_value FROM notes_id_seq),
				(SELECT relispopulated FROM pg_class WHERE relname = 'counted'), (SELECT count(*) FROM pg_stats WHERE schemaname = 'public'),
				(SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM flaresmith.migrations))`
			if got := value(t, own, left); got != "001f001" {
				t.Errorf("what is left: %s", got)
			}
			source := files("drizzle/1.sql", "SELECT 1", "drizzle/2.sql", "INSERT INTO notes (body) VALUES ('own')")
			mustMigrate(t, s, r, "1", source)
			source["drizzle/2.sql"].Data = []byte("SELECT 2")
			if outputs := mustMigrate(t, s, r, "2", source); outputs.DataReset == "" {
				t.Error("no reset")
			}
			if got := value(t, own, left); got[:2] != "00" {
				t.Errorf("what is left after a reset: %s", got)
			}
			if got := value(t, adminURL(t, parent), `SELECT count(*) FROM notes`); got != "3" {
				t.Errorf("the parent has %s notes", got)
			}
		})
	}
}

func TestKeptDataIsNotReplaced(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	own := branch(t, s, r).DatabaseURL.Reveal()
	execute(t, own, `DELETE FROM notes`)
	r.Keep, r.SchemaOnly, r.Digest = true, true, "2"
	if _, err := s.Branches().Apply(t.Context(), r, preview.Inputs{}); err == nil {
		t.Error("a branch whose data is to be kept became schema-only")
	}
	if got := value(t, own, `SELECT count(*) FROM notes`); got != "0" {
		t.Errorf("%s notes, want the branch's own data", got)
	}
}

// TestAnotherParentIsAnotherBranch: data of a parent that is no longer the one stays nowhere, but
// in an environment whose data is kept.
func TestAnotherParentIsAnotherBranch(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	for _, keep := range []bool{false, true} {
		old := newParent(t, `CREATE TABLE people (name text); INSERT INTO people VALUES ('real')`)
		masked := newParent(t, `CREATE TABLE people (name text); INSERT INTO people VALUES ('masked')`)
		s, r := newServer(t), newBranch(old)
		r.Keep = keep
		own := branch(t, s, r).DatabaseURL.Reveal()
		r.Parent, r.Digest = masked, "of another parent"
		if _, err := s.Branches().Apply(t.Context(), r, preview.Inputs{}); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{false: "masked", true: "real"}[keep]
		if got := value(t, own, `SELECT string_agg(name, ',') FROM people`); got != want {
			t.Errorf("kept %v: the branch holds %s, want %s", keep, got, want)
		}
	}
}
