package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// migrate applies the schema of a branch that exists.
func migrate(t *testing.T, s *postgres.Server, r preview.Resource, digest string, source fstest.MapFS, change ...func(*preview.Layout)) (preview.Outputs, error) {
	t.Helper()
	r = schemaOf(r, digest)
	for _, c := range change {
		c(&r.Layout)
	}
	return s.Schema().Apply(t.Context(), r, preview.Inputs{Source: source})
}

func mustMigrate(t *testing.T, s *postgres.Server, r preview.Resource, digest string, source fstest.MapFS, change ...func(*preview.Layout)) preview.Outputs {
	t.Helper()
	outputs, err := migrate(t, s, r, digest, source, change...)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

func withSeed(l *preview.Layout) { l.Seed = "seed.sql" }

// problems are those of an invalid error, without the hints and without what is only warned of.
func problems(t *testing.T, err error) []preview.Problem {
	t.Helper()
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v, want an invalid one", err)
	}
	var all []preview.Problem
	for _, p := range invalid.Problems {
		if p.Warning {
			continue
		}
		if p.Hint == "" && p.Line > 0 {
			t.Errorf("no hint for %s", p)
		}
		p.Hint = ""
		all = append(all, p)
	}
	return all
}

func TestProblemsNameTheirLine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: one goroutine, and the work is the database's: the race detector sees nothing of it")
	}
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	own := branch(t, s, r).DatabaseURL.Reveal()
	journal := `{"entries":[{"idx":0,"when":1700000000000,"tag":"0000_one","breakpoints":true}]}`
	tests := []struct {
		name   string
		source fstest.MapFS
		want   preview.Problem
	}{
		{"syntax", files("drizzle/1.sql", "SELECT 1;\n\nCREATE TABLE ä (\n  id int,\n  nmae txt txt\n);"),
			preview.Problem{Path: "drizzle/1.sql", Line: 5, Message: `syntax error at or near "txt"`}},
		{"second statement", files("drizzle/1.sql", "CREATE TABLE x (id int);\n\n-- é\nINSERT INTO x\nVALUES (nope);"),
			preview.Problem{Path: "drizzle/1.sql", Line: 5, Message: `column "nope" does not exist`}},
		{"no position", files("drizzle/1.sql", "CREATE TABLE x (id int PRIMARY KEY);\nINSERT INTO x VALUES (1);\n\nINSERT INTO x VALUES (1);"),
			preview.Problem{Path: "drizzle/1.sql", Line: 4, Message: `duplicate key value violates unique constraint "x_pkey"`}},
		{"second file", files("drizzle/1.sql", "CREATE TABLE x (id int);", "drizzle/2.sql", "\nCREATE TABLE x (id int);"),
			preview.Problem{Path: "drizzle/2.sql", Line: 2, Message: `relation "x" already exists`}},
		{"at commit", files("drizzle/1.sql", "CREATE TABLE x (id int PRIMARY KEY, up int REFERENCES x DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO x VALUES (1, 2);"),
			preview.Problem{Path: "drizzle/1.sql", Line: 2, Message: `insert or update on table "x" violates foreign key constraint "x_up_fkey"`}},
		{"drizzle chunk", files("drizzle/meta/_journal.json", journal, "drizzle/0000_one.sql", "CREATE TABLE x (id int);--> statement-breakpoint\nCREATE TABLE y (id int)\n--> statement-breakpoint\nALTER TABLE z ADD a int;"),
			preview.Problem{Path: "drizzle/0000_one.sql", Line: 4, Message: `relation "z" does not exist`}},
		{"commit", files("drizzle/1.sql", "CREATE TABLE x (id int);\nCOMMIT;\nBEGIN;"),
			preview.Problem{Path: "drizzle/1.sql", Line: 2, Message: "COMMIT is not allowed in a migration"}},
		{"commit in a block", files("drizzle/1.sql", "CREATE TABLE x (id int);\nDO $$ BEGIN COMMIT; END $$;"),
			preview.Problem{Path: "drizzle/1.sql", Line: 2, Message: "invalid transaction termination"}},
		{"commit in a procedure", files("drizzle/1.sql", "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p();"),
			preview.Problem{Path: "drizzle/1.sql", Line: 2, Message: "invalid transaction termination"}},
		{"commit in a query string", files("drizzle/1.sql", "CREATE TABLE x (id int);\nDO $$ BEGIN EXECUTE 'COMMIT'; END $$;"),
			preview.Problem{Path: "drizzle/1.sql", Line: 2, Message: "EXECUTE of transaction commands is not implemented"}},
		{"role", files("drizzle/1.sql", "RESET SESSION AUTHORIZATION;\nRESET ROLE;\nSET ROLE postgres;"),
			preview.Problem{Path: "drizzle/1.sql", Line: 3, Message: `permission denied to set role "postgres"`}},
		{"comment on database", files("drizzle/1.sql", `COMMENT ON DATABASE "`+r.Name+`" IS 'x'`),
			preview.Problem{Path: "drizzle/1.sql", Line: 1, Message: "must be owner of database " + r.Name}},
		{"program", files("drizzle/1.sql", "COPY (SELECT 1) TO PROGRAM 'cat'"),
			preview.Problem{Path: "drizzle/1.sql", Line: 1, Message: "must be superuser or have privileges of the pg_execute_server_program role to COPY to or from an external program"}},
		{"copy from stdin", files("drizzle/1.sql", "COPY notes FROM STDIN;\n1\n\\."),
			preview.Problem{Path: "drizzle/1.sql", Line: 1, Message: "COPY needs a client's input or output, which a migration has not"}},
		{"psql", files("drizzle/1.sql", `\copy notes TO '/tmp/x'`),
			preview.Problem{Path: "drizzle/1.sql", Line: 1, Message: `syntax error at or near "\"`}},
		{"concurrently", files("drizzle/1.sql", "CREATE INDEX CONCURRENTLY i ON notes (body)"),
			preview.Problem{Path: "drizzle/1.sql", Line: 1, Message: "CREATE INDEX CONCURRENTLY cannot run inside a transaction block"}},
		{"bookkeeping is a view", files("drizzle/1.sql", "CREATE SCHEMA flaresmith; CREATE VIEW flaresmith.migrations AS SELECT DISTINCT 'x' AS name, 'x' AS hash;"),
			preview.Problem{Path: "drizzle/1.sql", Line: 1, Message: `cannot insert into view "migrations"`}},
		{"secret", files("drizzle/1.sql", "DO $$ BEGIN RAISE EXCEPTION 'it is hunter2-hunter2'; END $$"),
			preview.Problem{Path: "drizzle/1.sql", Line: 1, Message: "it is ***"}},
		{"no journal", files("drizzle/meta/_journal.json", "{"), preview.Problem{Path: "drizzle/meta/_journal.json", Message: "the journal is not what drizzle-kit writes: unexpected end of JSON input"}},
		{"hostile tag", files("drizzle/meta/_journal.json", `{"entries":[{"tag":"../../etc/passwd"}]}`), preview.Problem{Path: "drizzle/meta/_journal.json", Message: "entry 0 has no usable tag"}},
		{"missing file", files("drizzle/meta/_journal.json", `{"entries":[{"tag":"x"}]}`), preview.Problem{Path: "drizzle/x.sql", Message: "the file is missing"}},
		{"zero byte", files("drizzle/1.sql", "SELECT 1;\x00DROP TABLE notes"), preview.Problem{Path: "drizzle/1.sql", Message: "the file is not UTF-8 text"}},
		{"countless", files("drizzle/1.sql", strings.Repeat("SELECT;", 100_002)), preview.Problem{Path: "drizzle/1.sql", Message: "has more than 100000 statements"}},
		{"huge", files("drizzle/1.sql", strings.Repeat("-", 5<<20)), preview.Problem{Path: "drizzle/1.sql", Message: "the file is larger than 4096 kB"}},
	}
	before := snapshot(t, r)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := schemaOf(r, "1")
			_, err := s.Schema().Apply(t.Context(), r, preview.Inputs{Source: tt.source, Redact: []preview.Secret{"hunter2-hunter2"}})
			if diff := cmp.Diff([]preview.Problem{tt.want}, problems(t, err)); diff != "" {
				t.Error(diff)
			}
			tables := value(t, own, `SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information)'`)
			if tables != "notes,parted_1" {
				t.Errorf("after the failure there are the tables %s", tables)
			}
			if diff := cmp.Diff(before, snapshot(t, r)); diff != "" {
				t.Errorf("the failure changed the branch: %s", diff)
			}
		})
	}
}

func TestTimeLimitHoldsAgainstSQL(t *testing.T) {
	t.Parallel()
	parent := newParent(t, parentSQL)
	for name, sql := range map[string]string{
		"sleep":    "SET statement_timeout = 0;\nSELECT pg_sleep(3600)",
		"catching": "SELECT 1;\nDO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled OR admin_shutdown OR assert_failure THEN NULL; END; END LOOP; END $$",
		"busy":     "SELECT 1;\nDO $$ BEGIN LOOP NULL; END LOOP; END $$",
		"rows":     "SELECT 1;\nSELECT repeat('x', 1000) FROM generate_series(1, 1000) a, generate_series(1, 1000) b, generate_series(1, 1000) c",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newBranch(parent)
			own := ""
			limit, err := timeUp(3*time.Second, func(limit time.Duration) error {
				s := newServer(t, func(c *postgres.Config) { c.MigrationTimeout = limit })
				own = branch(t, s, r).DatabaseURL.Reveal() // with a password that this server knows
				_, err := migrate(t, s, r, "1", files("drizzle/1.sql", sql))
				return err
			}, func(p preview.Problem) bool { return p.Line == 2 })
			want := []preview.Problem{{Path: "drizzle/1.sql", Line: 2, Message: "did not finish within the time limit of " + limit.String() + " for all migrations"}}
			if diff := cmp.Diff(want, problems(t, err)); diff != "" {
				t.Error(diff)
			}
			waitFor(t, "its sessions to end", func() bool {
				return value(t, own, `SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()`) == "0"
			})
		})
	}
}

// timeUp gives migrations a time limit, and a longer one where a busy machine needs all of it for what comes before: until
// the problem is the one that is meant.
func timeUp(limit time.Duration, try func(limit time.Duration) error, meant func(preview.Problem) bool) (time.Duration, error) {
	for ; ; limit *= 4 {
		err := try(limit)
		var invalid *preview.InvalidError
		if errors.As(err, &invalid) && slices.ContainsFunc(invalid.Problems, meant) || limit > time.Minute {
			return limit, err
		}
	}
}

// Time that is up before anything ran is told as well: something holds what tells what was applied.
func TestTimeLimitBeforeTheFirstMigration(t *testing.T) {
	t.Parallel()
	parent := newParent(t, parentSQL)
	limit, err := timeUp(time.Second, func(limit time.Duration) error {
		s, r := newServer(t, func(c *postgres.Config) { c.MigrationTimeout = limit }), newBranch(parent)
		own := branch(t, s, r).DatabaseURL.Reveal()
		if _, err := migrate(t, s, r, "1", files("drizzle/1.sql", "CREATE TABLE a (id int)")); err != nil {
			return err
		}
		holder := connect(t, own)
		if _, err := holder.Exec(t.Context(), `BEGIN; LOCK TABLE flaresmith.migrations IN ACCESS EXCLUSIVE MODE`); err != nil {
			t.Fatal(err)
		}
		_, err := migrate(t, s, r, "2", files("drizzle/1.sql", "CREATE TABLE a (id int)", "drizzle/2.sql", "CREATE TABLE b (id int)"))
		return err
	}, func(p preview.Problem) bool { return p.Path == "drizzle" })
	want := []preview.Problem{{Path: "drizzle", Message: "did not finish within the time limit of " + limit.String() + " for all migrations"}}
	if diff := cmp.Diff(want, problems(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestMigrationsGrowAndOutputsSaySo(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	parent := newParent(t, parentSQL+`CREATE SCHEMA flaresmith; CREATE TABLE flaresmith.migrations (name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
		INSERT INTO flaresmith.migrations VALUES ('0001_init.sql', 'as it was then');`)
	s := newServer(t)
	r := newBranch(parent)
	own := branch(t, s, r).DatabaseURL.Reveal()
	source := files("drizzle/0001_init.sql", "CREATE TABLE notes ()", "drizzle/0002_tag.sql", "ALTER TABLE notes ADD COLUMN tag text DEFAULT 'a;b' NOT NULL;",
		"drizzle/0002_tag.down.sql", "DROP TABLE notes", "drizzle/README.md", "x")
	want := preview.Outputs{
		Migrations: []string{"0002_tag.sql"}, BehindParent: []string{},
		SchemaDiff: "ALTER TABLE \"public\".\"notes\" ADD COLUMN \"tag\" text COLLATE \"pg_catalog\".\"default\" DEFAULT 'a;b'::text NOT NULL;\n",
	}
	if diff := cmp.Diff(want, mustMigrate(t, s, r, "1", source)); diff != "" {
		t.Errorf("first: %s", diff)
	}
	execute(t, own, `INSERT INTO notes (body) VALUES ('kept')`)

	source["drizzle/0003_more.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE more (id int);")}
	if diff := cmp.Diff([]string{"0002_tag.sql", "0003_more.sql"}, mustMigrate(t, s, r, "2", source).Migrations); diff != "" {
		t.Errorf("second: %s", diff)
	}
	if got := value(t, own, `SELECT count(*) FROM notes`); got != "4" {
		t.Errorf("%s notes, want the branch's data kept", got)
	}

	execute(t, adminURL(t, parent), `INSERT INTO flaresmith.migrations VALUES ('0002_base.sql', 'x')`)
	observed, err := s.Schema().Observe(t.Context(), schemaOf(r, "2"))
	if err != nil || observed.Digest != "2" {
		t.Fatalf("observed %+v, %v", observed, err)
	}
	if diff := cmp.Diff([]string{"0002_base.sql"}, observed.Outputs.BehindParent); diff != "" {
		t.Errorf("behind the parent: %s", diff)
	}
}

func TestRewrittenMigrationResetsThePreview(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	own := branch(t, s, r).DatabaseURL.Reveal()
	source := files("drizzle/1.sql", "CREATE TABLE a (id int);", "drizzle/2.sql", "CREATE TABLE b (id int);")
	mustMigrate(t, s, r, "1", source)
	execute(t, own, `DELETE FROM notes`)
	state := func() string {
		return value(t, own, `SELECT (SELECT count(*) FROM notes) || ' ' || (SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relname IN ('a', 'b', 'c'))`)
	}

	source["drizzle/2.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE b (id oops);")}
	_, err := migrate(t, s, r, "2", source)
	if diff := cmp.Diff([]preview.Problem{{Path: "drizzle/2.sql", Line: 1, Message: `type "oops" does not exist`}}, problems(t, err)); diff != "" {
		t.Error(diff)
	}
	if got := state(); got != "0 a,b" {
		t.Errorf("after a rewritten migration that fails: %q, want everything as before", got)
	}

	source["drizzle/2.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE c (id int);")}
	outputs := mustMigrate(t, s, r, "3", source)
	if outputs.DataReset != "migration 2.sql changed after it was applied" || state() != "3 a,c" {
		t.Errorf("data reset %q, state %q", outputs.DataReset, state())
	}
	delete(source, "drizzle/1.sql")
	outputs = mustMigrate(t, s, r, "4", source)
	if outputs.DataReset != "migration 1.sql was applied and is no longer there" || state() != "3 c" {
		t.Errorf("data reset %q, state %q", outputs.DataReset, state())
	}
	r.Digest = "1"
	observed, err := s.Branches().Observe(t.Context(), r)
	if err != nil || observed.Digest != "1" || observed.Outputs.DatabaseURL.Reveal() != own {
		t.Errorf("the database after its reset: %+v, %v", observed, err)
	}
	if outputs := mustMigrate(t, s, r, "4", source); outputs.DataReset != "" {
		t.Errorf("a later apply says again %q", outputs.DataReset)
	}
}

func TestCoreEnvironmentIsNeverReset(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	r.Name = "dev-" + strings.TrimPrefix(r.Name, "preview-")
	r.Keep = true
	own := branch(t, s, r).DatabaseURL.Reveal()
	mustMigrate(t, s, r, "1", files("drizzle/1.sql", "CREATE TABLE a (id int);"))
	execute(t, own, `DELETE FROM notes`)
	_, err := migrate(t, s, r, "2", files("drizzle/1.sql", "CREATE TABLE b (id int);"))
	if diff := cmp.Diff([]preview.Problem{{Path: "drizzle", Message: "migration 1.sql changed after it was applied"}}, problems(t, err)); diff != "" {
		t.Error(diff)
	}
	if got := value(t, own, `SELECT count(*) FROM notes`); got != "0" {
		t.Errorf("%s notes: the data was reset", got)
	}
}

func TestSeedRunsOnceOnAFreshBranch(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	own := branch(t, s, r).DatabaseURL.Reveal()
	source := files("drizzle/1.sql", "CREATE TABLE a (id int);", "seed.sql", "INSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1);")
	_, err := migrate(t, s, r, "1", source, withSeed)
	if diff := cmp.Diff([]preview.Problem{{Path: "seed.sql", Line: 2, Message: `relation "b" does not exist`}}, problems(t, err)); diff != "" {
		t.Error(diff)
	}
	source["seed.sql"] = &fstest.MapFile{Data: []byte("INSERT INTO a VALUES (1);")}
	for _, digest := range []string{"2", "3"} {
		mustMigrate(t, s, r, digest, source, withSeed)
		if got := value(t, own, `SELECT count(*) FROM a`); got != "1" {
			t.Errorf("digest %s: %s seeded rows, want 1", digest, got)
		}
	}
	r.Reset = true
	branch(t, s, r)
	mustMigrate(t, s, r, "4", source, withSeed)
	if got := value(t, own, `SELECT count(*) FROM a`); got != "1" {
		t.Errorf("after a reset: %s seeded rows, want 1", got)
	}
}

// What a role does to itself or to its database must not reach the administrator, nor stop the next migration.
func TestHostileRole(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	own := branch(t, s, r).DatabaseURL.Reveal()
	execute(t, own, fmt.Sprintf(`
		ALTER ROLE "%s" SET search_path = evil;
		CREATE FUNCTION public.trap() RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE "%[1]s" SUPERUSER'; RETURN 'x'; END $$;
		CREATE SCHEMA drizzle; CREATE VIEW drizzle.__drizzle_migrations AS SELECT 1 AS id, public.trap() AS hash, 1::bigint AS created_at;`, r.Name))
	if _, err := migrate(t, s, r, "1", files("drizzle/1.sql", "CREATE TABLE a (id int);")); err == nil || !strings.Contains(err.Error(), "is no plain table") {
		t.Errorf("bookkeeping that is a view: %v", err)
	}
	execute(t, own, `DROP VIEW drizzle.__drizzle_migrations`)
	execute(t, own, `ALTER ROLE "`+r.Name+`" PASSWORD 'mine now'`)
	outputs := mustMigrate(t, s, r, "1", files("drizzle/1.sql", "CREATE TABLE a (id int);"))
	if got := value(t, own, `SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) || ' ' || (to_regclass('public.a') IS NOT NULL)`); got != "false true" {
		t.Errorf("superuser and table: %s", got)
	}
	if !strings.Contains(outputs.SchemaDiff, `CREATE TABLE "public"."a"`) {
		t.Errorf("schema difference: %s", outputs.SchemaDiff)
	}
	own2 := connect(t, own)
	if _, err := own2.Exec(t.Context(), `SELECT 1`); err != nil {
		t.Errorf("log in with our password again: %v", err)
	}
}

func TestSchemaWithoutDatabase(t *testing.T) {
	t.Parallel()
	r := newBranch(newParent(t, ""))
	_, err := migrate(t, newServer(t), r, "1", files())
	if !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("schema of a missing database: %v, want not found", err)
	}
}

func TestInterruptedMigrationIsTransient(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	parent := newParent(t, parentSQL)
	source := files("drizzle/1.sql", "CREATE TABLE a (id int);\nSELECT pg_sleep(3600);")
	sleeping := func(r preview.Resource) string {
		return value(t, embeddedtest.Postgres(t), `SELECT count(*) FROM pg_stat_activity WHERE usename = '`+r.Name+`' AND query LIKE 'SELECT pg_sleep%'`)
	}
	tests := []struct {
		name      string
		interrupt func(t *testing.T, r preview.Resource, cancel func())
	}{
		{"cancelled", func(_ *testing.T, _ preview.Resource, cancel func()) { cancel() }},
		{"connection lost", func(t *testing.T, r preview.Resource, _ func()) {
			execute(t, embeddedtest.Postgres(t), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '`+r.Name+`'`)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newBranch(parent)
			own := branch(t, s, r).DatabaseURL.Reveal()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error, 1)
			go func() {
				_, err := s.Schema().Apply(ctx, schemaOf(r, "1"), preview.Inputs{Source: source})
				failed <- err
			}()
			waitFor(t, "the migration to run", func() bool { return sleeping(r) == "1" })
			tt.interrupt(t, r, cancel)
			if err := <-failed; preview.Classify(err) != preview.ClassTransient {
				t.Errorf("class %s of %v, want transient", preview.Classify(err), err)
			}
			if got := sleeping(r); got != "0" {
				t.Errorf("%s sessions run on", got)
			}
			if got := value(t, own, `SELECT to_regclass('public.a') IS NULL`); got != "true" {
				t.Error("the table of the interrupted migration is there")
			}
			mustMigrate(t, s, r, "1", files("drizzle/1.sql", "CREATE TABLE a (id int);"))
		})
	}
}

func TestMigrationNeedsNoFreeConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *postgres.Config) { c.Limits.Connections = 2 })
	r := newBranch(newParent(t, parentSQL))
	own := branch(t, s, r).DatabaseURL.Reveal()
	connect(t, own)
	connect(t, own)
	if got := sqlState(try(t, own, `SELECT 1`)); got != "53300" {
		t.Fatalf("a third connection: %q, want 53300", got)
	}
	outputs := mustMigrate(t, s, r, "1", files("drizzle/1.sql", "CREATE TABLE a (id int);"))
	if !strings.Contains(outputs.SchemaDiff, `CREATE TABLE "public"."a"`) {
		t.Errorf("schema difference: %s", outputs.SchemaDiff)
	}
}
