package postgres_test

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// trap fails when a superuser calls it, as code of a hostile parent would take over the server then.
const trap = `CREATE FUNCTION public.trap(n int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
	IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RAISE EXCEPTION 'runs as a superuser'; END IF; RETURN true; END $$;`

// The administrator reads the bookkeeping of a parent. The planner computes what is constant in
// the expressions of a table's indexes, statistics and constraints, in the reader's session.
func TestReadingAParentRunsNothing(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	tests := []struct{ name, sql string }{
		{"index predicate", `CREATE INDEX ON drizzle.__drizzle_migrations (id) WHERE public.trap(1)`},
		{"index expression", `CREATE INDEX ON drizzle.__drizzle_migrations ((public.trap(1)), id)`},
		{"statistics", `CREATE STATISTICS drizzle.s ON (public.trap(1)), id FROM drizzle.__drizzle_migrations`},
		{"constraint of a child", `CREATE TABLE child (CHECK (public.trap(1))) INHERITS (drizzle.__drizzle_migrations)`},
		{"index of a child", `CREATE TABLE child () INHERITS (drizzle.__drizzle_migrations); CREATE INDEX ON child (id) WHERE public.trap(1)`},
		{"row security", `ALTER TABLE drizzle.__drizzle_migrations ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON drizzle.__drizzle_migrations USING (public.trap(1))`},
		{"rule", `CREATE RULE r AS ON INSERT TO drizzle.__drizzle_migrations WHERE public.trap(1) DO INSTEAD NOTHING`},
		{"default", `ALTER TABLE drizzle.__drizzle_migrations ADD COLUMN extra boolean DEFAULT public.trap(1)`},
		{"generated column", `ALTER TABLE drizzle.__drizzle_migrations ADD COLUMN extra boolean GENERATED ALWAYS AS (public.trap(1)) STORED`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			core := newBranch(newParent(t, parentSQL))
			core.Name = "dev-" + strings.TrimPrefix(core.Name, "preview-")
			own := branch(t, s, core).DatabaseURL.Reveal()
			execute(t, own, `CREATE SCHEMA drizzle;
				CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);
				INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('a', 1);`+trap+tt.sql)
			r := newBranch(core.Name)
			branch(t, s, r)
			_, err := migrate(t, s, r, "1", files("drizzle/1.sql", "CREATE TABLE a (id int);"))
			if err != nil && strings.Contains(err.Error(), "runs as a superuser") {
				t.Errorf("the parent's code ran as the administrator: %v", err)
			}
			t.Logf("result: %v", err)
		})
	}
}

// A process that was killed leaves sessions of its migrations at the server, which run on and hold locks.
func TestSessionsOfAKilledServerEnd(t *testing.T) {
	t.Parallel()
	r := newBranch(newParent(t, parentSQL))
	before := branch(t, newServer(t), r)
	conn := connect(t, before.DatabaseURL.Reveal())
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), `SET application_name = 'mine'; BEGIN; LOCK TABLE notes; SELECT pg_sleep(600)`)
		ended <- err
	}()
	waitFor(t, "the lock", func() bool {
		return value(t, embeddedtest.Postgres(t), `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND usename = '`+r.Name+`'`) == "1"
	})
	s := newServer(t)
	branch(t, s, r)
	mustMigrate(t, s, r, "1", files("drizzle/1.sql", "ALTER TABLE notes ADD COLUMN x int;"))
	if err := <-ended; err == nil {
		t.Error("the session of the server before went on")
	}
	// The sessions of this server's own Worker stay.
	alive := connect(t, branch(t, s, r).DatabaseURL.Reveal())
	branch(t, s, r)
	if _, err := alive.Exec(t.Context(), `SELECT 1`); err != nil {
		t.Errorf("an unchanged branch lost a session: %v", err)
	}
}

// What a role can grant or leave outside of its database goes with it.
func TestRoleLeavesNothingElsewhere(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newServer(t)
	parent := newParent(t, parentSQL)
	r, other := newBranch(parent), newBranch(parent)
	own := branch(t, s, r).DatabaseURL.Reveal()
	friend := branch(t, s, other).DatabaseURL
	for _, sql := range []string{
		`GRANT "` + r.Name + `" TO "` + other.Name + `" WITH ADMIN OPTION`,
		`GRANT CONNECT, CREATE ON DATABASE "` + r.Name + `" TO "` + other.Name + `"`,
		`ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC`,
		`ALTER ROLE "` + r.Name + `" IN DATABASE "` + r.Name + `" SET default_transaction_read_only = on`,
		`ALTER ROLE "` + r.Name + `" SET client_min_messages = debug5`,
		`CREATE TABLE shared (id int); GRANT ALL ON shared TO "` + other.Name + `"`,
		`SELECT lo_create(0) FROM generate_series(1, 100)`,
		`CREATE PUBLICATION p FOR TABLE notes`,
	} {
		t.Logf("%s: %v", sql, try(t, own, sql))
	}
	if err := try(t, withDatabase(t, friend, r.Name), `SELECT 1`); err == nil {
		t.Error("another preview's role connects")
	}
	if err := s.Branches().Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Branches().Apply(t.Context(), r, preview.Inputs{}); err != nil {
		t.Errorf("make it again: %v", err)
	}
	if err := s.Branches().Delete(t.Context(), other); err != nil {
		t.Errorf("delete the friend: %v", err)
	}
}

// A schema that is huge costs the server neither its memory nor much time. Each is a little larger than what is compared (an expression
// is kept as four times its text), or than what a row or a message may be.
func TestHugeSchemaIsNotCompared(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine, and the work is the database's: the race detector sees nothing of it")
	}
	tests := []struct{ name, sql string }{
		{"one function of 34 MB", `DO $$ BEGIN EXECUTE format('CREATE FUNCTION big() RETURNS text LANGUAGE sql AS %L', 'SELECT ' || quote_literal(repeat('x', 34000000))); END $$`},
		{"many functions", `DO $$ BEGIN FOR i IN 1..34 LOOP EXECUTE format('CREATE FUNCTION big%s() RETURNS text LANGUAGE plpgsql AS %L', i, 'BEGIN /*' || repeat('x', 1000000) || '*/ RETURN 1; END'); END LOOP; END $$`},
		{"many tables", `DO $$ BEGIN FOR i IN 1..1500 LOOP EXECUTE format('CREATE TABLE t%s (id int)', i); END LOOP; END $$`},
		{"a long error", `DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 20000000); END $$`},
		{"a long notice", `DO $$ BEGIN RAISE NOTICE '%', repeat('x', 20000000); END $$`},
		{"a long row", `SELECT repeat('x', 20000000)`},
		{"a long comment", `DO $$ BEGIN EXECUTE format('COMMENT ON TABLE notes IS %L', repeat('x', 20000000)); END $$`},
		{"a long default", `DO $$ BEGIN EXECUTE format('ALTER TABLE notes ALTER COLUMN body SET DEFAULT %L', repeat('x', 10000000)); END $$`},
		{"a long view", `DO $$ BEGIN EXECUTE format('CREATE VIEW v AS SELECT %L::text AS x', repeat('x', 10000000)); END $$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			r := newBranch(newParent(t, parentSQL))
			branch(t, s, r)
			stop, most := watchMemory()
			began := time.Now()
			outputs, err := migrate(t, s, r, "1", files("drizzle/1.sql", tt.sql))
			stop()
			t.Logf("%s, %d MB more memory, difference of %d bytes, error %v", time.Since(began).Round(time.Millisecond), most.Load()>>20, len(outputs.SchemaDiff), err)
			if err != nil && preview.Classify(err) != preview.ClassInvalid {
				t.Error(err)
			}
			if most.Load() > 15<<20 {
				t.Errorf("took %d MB of memory", most.Load()>>20)
			}
		})
	}
}

// watchMemory tells by how much the process's heap was larger, at most, between now and stop.
func watchMemory() (stop func(), most *atomic.Int64) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	most = &atomic.Int64{}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				most.Store(max(most.Load(), int64(now.HeapAlloc)-int64(before.HeapAlloc)))
			}
		}
	}()
	return func() { close(done); <-ended }, most
}
