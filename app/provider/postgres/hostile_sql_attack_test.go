package postgres_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// TestHostileMigrationIsRefused runs SQL that reaches for the server, its files, its other databases
// and roles, as a migration: each is refused at its line, and nothing has changed anywhere.
func TestHostileMigrationIsRefused(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: one goroutine, and the work is the database's: the race detector sees nothing of it")
	}
	s := newServer(t)
	parent := newParent(t, parentSQL)
	r, other := newBranch(parent), newBranch(parent)
	own := branch(t, s, r).DatabaseURL.Reveal()
	branch(t, s, other)
	super := embeddedtest.Postgres(t)
	tests := []struct{ name, sql, want string }{
		{"server's settings", `ALTER SYSTEM SET shared_buffers = '1MB'`, "cannot run inside a transaction block"},
		{"settings of a database", `ALTER DATABASE "` + other.Name + `" SET work_mem = '1GB'`, "must be owner"},
		{"settings for superusers", `SET session_replication_role = replica`, "permission denied"},
		{"temporary files without limit", `SET temp_file_limit = -1`, "permission denied"},
		{"event trigger", `CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION e()`, "permission denied"},
		{"program", `COPY notes (body) FROM PROGRAM 'id'`, "must be superuser"},
		{"file by copy", `COPY notes (body) FROM '/etc/passwd'`, "must be superuser"},
		{"file to copy", `COPY notes (body) TO '/tmp/x'`, "must be superuser"},
		{"file by function", `SELECT pg_read_file('/etc/passwd')`, "permission denied"},
		{"file by binary function", `SELECT pg_read_binary_file('postgresql.conf')`, "permission denied"},
		{"folder", `SELECT pg_ls_dir('.')`, "permission denied"},
		{"file as a large object", `SELECT lo_import('/etc/passwd')`, "permission denied"},
		{"large object as a file", `SELECT lo_export(lo_create(0), '/tmp/x')`, "permission denied"},
		{"library", `LOAD '/evil.so'`, "access to library"},
		{"function in C", `CREATE FUNCTION system(cstring) RETURNS int AS '/lib/x86_64-linux-gnu/libc.so.6', 'system' LANGUAGE c`, "permission denied"},
		{"untrusted language", `CREATE EXTENSION plpython3u`, ""},
		{"other databases by dblink", `CREATE EXTENSION dblink`, ""},
		{"other databases by postgres_fdw", `CREATE EXTENSION postgres_fdw`, ""},
		{"files by file_fdw", `CREATE EXTENSION file_fdw`, ""},
		{"foreign server", `CREATE FOREIGN DATA WRAPPER w`, "permission denied"},
		{"replication", `CREATE SUBSCRIPTION s CONNECTION 'dbname=` + parent + `' PUBLICATION p`, ""},
		{"replication slot", `SELECT pg_create_physical_replication_slot('s')`, ""},
		{"tablespace", `CREATE TABLESPACE t LOCATION '/tmp'`, "cannot run inside a transaction block"},
		{"its own role", `ALTER ROLE "` + r.Name + `" CONNECTION LIMIT -1`, "permission denied"},
		{"superuser", `ALTER ROLE "` + r.Name + `" SUPERUSER`, ""},
		{"another preview's password", `ALTER ROLE "` + other.Name + `" PASSWORD 'x'`, "permission denied"},
		{"new role", `CREATE ROLE "` + r.Name + `-x"`, "permission denied"},
		{"member of a server's role", `GRANT pg_execute_server_program TO "` + r.Name + `"`, ""},
		{"set role", `SET ROLE "` + other.Name + `"`, "permission denied"},
		{"set session authorization", `SET SESSION AUTHORIZATION "` + other.Name + `"`, "permission denied"},
		{"set role in a function", `DO $$ BEGIN EXECUTE 'SET ROLE postgres'; END $$`, "permission denied"},
		{"password hashes", `SELECT rolpassword FROM pg_authid`, "permission denied"},
		{"other sessions", `SELECT 1 / (SELECT count(*) FROM pg_stat_activity WHERE usename <> current_user AND query LIKE '%a%')`, "division by zero"},
		{"end other sessions", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user AND datname IS NOT NULL`, "terminate"},
		{"reload", `SELECT pg_reload_conf()`, "permission denied"},
		{"new database", `CREATE DATABASE "` + r.Name + `-x"`, ""},
		{"drop the parent", `DROP DATABASE "` + parent + `"`, ""},
		{"prepared transaction", "PREPARE TRANSACTION 'x'", "PREPARE is not allowed"},
		{"prepared transaction in a block", `DO $$ BEGIN EXECUTE 'PREPARE TRANSACTION ''x'''; END $$`, ""},
		{"rollback", `ROLLBACK`, "ROLLBACK is not allowed"},
		{"savepoint and rollback of all", "SAVEPOINT a;\nROLLBACK; BEGIN", "ROLLBACK is not allowed"},
	}
	// What could change: the two branches, who is superuser, what the server reads at its start, and the parent.
	state := func() []string {
		return []string{
			snapshot(t, r), snapshot(t, other),
			value(t, super, `SELECT concat_ws(' ', (SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles WHERE rolsuper AND rolname NOT LIKE 'test%'),
				(SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'),
				(SELECT string_agg(slot_name, ',') FROM pg_replication_slots), (SELECT string_agg(gid, ',') FROM pg_prepared_xacts))`),
			value(t, adminURL(t, parent), `SELECT string_agg(body, ',' ORDER BY id) FROM notes`),
			value(t, own, `SELECT concat_ws(' ', (SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace::regnamespace::text !~ '^(pg_|information)'),
				(SELECT count(*) FROM notes), (SELECT count(*) FROM pg_largeobject_metadata))`),
		}
	}
	before := state()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := migrate(t, s, r, "1", files("drizzle/1.sql", "CREATE TABLE first (id int);\n"+tt.sql))
			list := problems(t, err)
			if len(list) != 1 || list[0].Path != "drizzle/1.sql" || list[0].Line < 2 || !strings.Contains(list[0].Message, tt.want) {
				t.Errorf("problems %v, want one at line 2 with %q", list, tt.want)
			}
			if diff := cmp.Diff(before, state()); diff != "" {
				t.Errorf("something changed:\n%s", diff)
			}
			waitFor(t, "its session to end", func() bool {
				return value(t, super, `SELECT count(*) FROM pg_stat_activity WHERE usename = '`+r.Name+`'`) == "0"
			})
		})
	}
}

// TestMigrationLeavesNoSession runs SQL that a session would leave behind: what is allowed ends with
// the session and does not stand in the next one's way.
func TestMigrationLeavesNoSession(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := newBranch(newParent(t, parentSQL))
	branch(t, s, r)
	source := files()
	for i, sql := range []string{
		`SELECT pg_advisory_lock(1), pg_advisory_lock(x'666c617265736d01'::bigint)`, `LISTEN everything`, `NOTIFY everything, 'x'`,
		`PREPARE p AS SELECT 1`, `DECLARE c CURSOR WITH HOLD FOR SELECT 1`, `CREATE TEMPORARY TABLE t (id int)`, `LOCK TABLE notes`,
		`SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET search_path = nowhere; SET ROLE NONE`,
		`SELECT set_config('role', 'none', false), set_config('transaction_read_only', 'off', true)`,
		`SET LOCAL synchronous_commit = off; SET default_transaction_read_only = on`,
	} {
		source["drizzle/"+strconv.Itoa(i)+".sql"] = files("x", sql)["x"]
		mustMigrate(t, s, r, strconv.Itoa(i), source)
		waitFor(t, "its session to end", func() bool {
			return value(t, embeddedtest.Postgres(t), `SELECT count(*) FROM pg_stat_activity WHERE usename = '`+r.Name+`'`) == "0"
		})
	}
	another := newBranch(r.Parent)
	branch(t, s, another)
	mustMigrate(t, s, another, "1", files("drizzle/1.sql", `SELECT pg_advisory_lock(1)`))
}

// TestMigrationsAddUp: what one push may add is not what each of many may.
func TestMigrationsAddUp(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t, func(c *postgres.Config) { c.Limits = postgres.Limits{GrowthMB: 40} })
	r := newBranch(newParent(t, parentSQL))
	branch(t, s, r)
	source := files()
	for push := 1; ; push++ {
		name := fmt.Sprintf("drizzle/%d.sql", push)
		source[name] = files(name, fmt.Sprintf(`CREATE TABLE big%d AS SELECT repeat(md5(g::text), 20) AS t FROM generate_series(1, 22000) g`, push))[name] // some 15 MB
		_, err := migrate(t, s, r, strconv.Itoa(push), source)
		if err == nil && push < 6 {
			continue
		}
		if push < 2 || push > 4 || len(problems(t, err)) != 1 {
			t.Fatalf("push %d: %v", push, err)
		}
		delete(source, name)
		break
	}
	r.Reset = true // the way out
	branch(t, s, r)
	r.Reset = false
	mustMigrate(t, s, r, "fresh", files("drizzle/1.sql", "CREATE TABLE fine (id int);"))
}

// TestMigrationThatFillsTheDisk: each way to take space is stopped, said at its line, and the space is
// given back: what one try leaves must not count as there for the next.
func TestMigrationThatFillsTheDisk(t *testing.T) {
	t.Parallel()
	const growth, left = 16, 12
	s := newServer(t, func(c *postgres.Config) {
		c.MigrationTimeout = time.Minute
		c.Limits = postgres.Limits{GrowthMB: growth, TempFileKB: 16 << 10}
	})
	const tooMuch, temporary = "makes the database grow by more than migrations may", "temporary file size exceeds temp_file_limit (16384kB)"
	const endless = `SELECT t FROM (SELECT repeat(md5(random()::text), 20) AS t, generate_series(1, 1000000000)) q`
	const objects = "large objects" // their table is the server's own, and only its autovacuum may shrink it
	tests := []struct{ name, sql, want string }{
		{"new table", `CREATE TABLE big AS ` + endless, tooMuch},
		{"table of the parent", `INSERT INTO notes (body) ` + endless, tooMuch},
		{"unlogged table", `CREATE UNLOGGED TABLE big AS ` + endless, tooMuch},
		{"temporary table", `CREATE TEMPORARY TABLE big AS ` + endless, tooMuch},
		{objects, `SELECT lo_from_bytea(0, (SELECT string_agg(public.gen_random_bytes(1024), '') FROM generate_series(1, 500))) FROM generate_series(1, 100000) g`, tooMuch},
		{"growing by updates", `DO $$ BEGIN LOOP UPDATE notes SET body = repeat(md5(body), 20); INSERT INTO notes (body) SELECT body FROM notes LIMIT 10000; END LOOP; END $$`, tooMuch},
		{"one that catches its end", `DO $$ BEGIN CREATE TABLE big (t text); LOOP BEGIN INSERT INTO big SELECT repeat(md5(g::text), 20) FROM generate_series(1, 10000) g; EXCEPTION WHEN OTHERS OR query_canceled OR admin_shutdown THEN NULL; END; END LOOP; END $$`, tooMuch},
		{"sorting", `SELECT count(*) FROM (SELECT md5(g::text) AS t FROM generate_series(1, 5000000) g ORDER BY 1) q`, temporary},
	}
	if testing.Short() {
		tests = tests[:1] // enough to see a race of what watches the size and what writes
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newBranch(newParent(t, parentSQL))
			own := branch(t, s, r).DatabaseURL.Reveal()
			size := func() int64 {
				n, err := strconv.ParseInt(value(t, embeddedtest.Postgres(t), fmt.Sprintf(`SELECT pg_database_size('%s')`, r.Name)), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			before := size()
			for try := range 2 {
				_, err := migrate(t, s, r, "1", files("drizzle/1.sql", "SELECT 1;\n"+tt.sql))
				got := problems(t, err)
				want := []preview.Problem{{Path: "drizzle/1.sql", Line: 2, Message: tt.want}}
				if tt.name == objects && try > 0 && len(got) == 1 && got[0].Path == "drizzle" { // what the first one left is too much already
					want = []preview.Problem{{Path: "drizzle", Message: "the preview's database has grown too large to be migrated"}}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				// A look comes every 200 ms: what was written since the last one is beyond the limit.
				if most := before + (12*growth)<<20; size() > most {
					t.Fatalf("try %d left %d MB", try+1, size()>>20)
				}
			}
			if tt.name == objects {
				r.Reset = true // the way out
				branch(t, s, r)
				r.Reset = false
			}
			// Indexes keep the pages that are free in them, for the next rows.
			waitFor(t, "the space to be free again", func() bool { return size() < before+left<<20 })
			if got := value(t, own, `SELECT string_agg(body, ',' ORDER BY id) FROM notes`); got != "note 1,note 2,note 3" {
				t.Errorf("the branch holds %.80s", got)
			}
			mustMigrate(t, s, r, "2", files("drizzle/1.sql", "CREATE TABLE fine (id int);"))
		})
	}
}
