package neon_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	sim "github.com/flaresmith/flaresmith/app/sim/neon"
)

// migrations are those of a preview whose parent has none.
func migrations() fstest.MapFS {
	return files("drizzle/0001_notes.sql", "CREATE TABLE notes (id int PRIMARY KEY, body text);", "drizzle/0002_more.sql", "INSERT INTO notes VALUES (1, 'one');")
}

func files(pairs ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fs[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fs
}

// schemaOf is the schema in a database.
func schemaOf(database preview.Resource, digest string) preview.Resource {
	r := database
	r.Kind, r.Digest = preview.KindSchema, digest
	r.Layout = preview.Layout{Migrations: "drizzle", MigrationFormat: preview.MigrationsAuto}
	return r
}

func migrate(t *testing.T, p *neon.Branches, r preview.Resource, source fstest.MapFS) preview.Outputs {
	t.Helper()
	outputs, err := p.Schema().Apply(t.Context(), r, preview.Inputs{Source: source})
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

// value asks a database for one text.
func value(t *testing.T, s *sim.Server, uri, sql string) (text string) {
	t.Helper()
	conn, err := connect(t.Context(), s, uri)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if err := conn.QueryRow(t.Context(), sql, pgx.QueryExecModeExec).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func execute(t *testing.T, s *sim.Server, uri, sql string) {
	t.Helper()
	conn, err := connect(t.Context(), s, uri)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

const tables = `SELECT coalesce(string_agg(relname, ',' ORDER BY relname), '') FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`

// TestSchema plays everything in one world, as each has to start PostgreSQL: one after the other, since they count requests.
func TestSchema(t *testing.T) {
	t.Parallel()
	s := world(t, nil)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *sim.Server)
	}{
		{"conformance", schemaConformance},
		{"a rewritten migration", rewrittenMigration},
		{"an abandoned fresh branch", abandonedBranch},
		{"the time limit", timeLimit},
		{"growth", growth},
		{"an unknown certificate", certificate},
		{"faults", schemaFaults},
		{"a compute that sleeps", sleepingCompute},
		{"a long-lived environment", longLivedEnvironment},
		{"outputs and problems", migrationsTell}, // the last one: it changes the parent
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, s) })
	}
}

func schemaConformance(t *testing.T, s *sim.Server) {
	t.Helper()
	p := provider(t, s)
	providertest.Run(t, providertest.Suite{
		Provider: p.Schema(),
		Resource: func(t *testing.T) preview.Resource {
			t.Helper()
			r := resource(t)
			t.Cleanup(func() {
				if err := p.Delete(context.WithoutCancel(t.Context()), r); err != nil && !errors.Is(err, preview.ErrConflict) {
					t.Error(err)
				}
			})
			return schemaOf(r, "1")
		},
		Inputs: func(t *testing.T, r preview.Resource) preview.Inputs {
			t.Helper()
			r.Kind, r.Digest = preview.KindDatabase, "1"
			if _, err := p.Apply(t.Context(), r, preview.Inputs{}); err != nil && !errors.Is(err, preview.ErrConflict) {
				t.Fatal(err)
			}
			return preview.Inputs{Source: migrations()}
		},
		Snapshot: func(t *testing.T, r preview.Resource) string {
			t.Helper()
			r.Kind = preview.KindDatabase
			observed, err := p.Observe(t.Context(), r)
			if err != nil || observed.Outputs.DatabaseURL == "" {
				return writes(s)
			}
			return writes(s) + value(t, s, observed.Outputs.DatabaseURL.Reveal(), `SELECT count(*) || ' ' || max(applied_at) || ' ' || pg_current_xact_id_if_assigned() IS NULL FROM flaresmith.migrations`)
		},
		Plant: func(t *testing.T, r preview.Resource) {
			t.Helper()
			if err := p.Delete(t.Context(), r); err != nil { // that Inputs made
				t.Fatal(err)
			}
			plant(t, s, r)
		},
		Restart:  func(t *testing.T) providertest.Provider { t.Helper(); return provider(t, s).Schema() },
		Embedded: true,
	})
}

// Migrations tell what they did and where they fail, as with PostgreSQL of one's own.
func migrationsTell(t *testing.T, s *sim.Server) {
	t.Helper()
	execute(t, s, s.RootURI(), `CREATE TABLE shops (id int)`)
	p := provider(t, s)
	r := resource(t)
	schemaOf := func(r preview.Resource, digest string) preview.Resource {
		r = schemaOf(r, digest)
		r.Layout.Seed = "seed.sql"
		return r
	}
	url := apply(t, p, r).DatabaseURL.Reveal()
	source := migrations()
	source["drizzle/0003_wrong.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE fine (id int);\n\nALTER TABLE nowhere ADD a int;")}
	source["seed.sql"] = &fstest.MapFile{Data: []byte("INSERT INTO notes VALUES (2, 'seed');")}
	_, err := p.Schema().Apply(t.Context(), schemaOf(r, "1"), preview.Inputs{Source: source})
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v, want an invalid one", err)
	}
	want := []preview.Problem{{Path: "drizzle/0003_wrong.sql", Line: 3, Message: `relation "nowhere" does not exist`, Hint: "correct the statement and push again"}}
	if diff := cmp.Diff(want, invalid.Problems); diff != "" {
		t.Error(diff)
	}
	if got := value(t, s, url, tables); got != "shops" {
		t.Errorf("after a failure there are the tables %s", got)
	}

	delete(source, "drizzle/0003_wrong.sql")
	outputs := migrate(t, p, schemaOf(r, "2"), source)
	if diff := cmp.Diff([]string{"0001_notes.sql", "0002_more.sql"}, outputs.Migrations); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(outputs.SchemaDiff, "+public.notes body text") {
		t.Errorf("schema difference: %s", outputs.SchemaDiff)
	}
	if got := value(t, s, url, `SELECT string_agg(body, ',' ORDER BY id) FROM notes`); got != "one,seed" {
		t.Errorf("notes: %s", got)
	}

	before := writes(s)
	restarted := provider(t, s)
	if observed, err := restarted.Schema().Observe(t.Context(), schemaOf(r, "2")); err != nil || observed.Digest != "2" {
		t.Errorf("after a restart: %+v, %v", observed, err)
	}
	migrate(t, restarted, schemaOf(r, "2"), source)
	if after := writes(s); after != before {
		t.Errorf("what is up to date took writes: %s became %s", before, after)
	}

	execute(t, s, s.RootURI(), `CREATE SCHEMA flaresmith; CREATE TABLE flaresmith.migrations (name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
		INSERT INTO flaresmith.migrations VALUES ('0000_base.sql', 'x')`)
	if diff := cmp.Diff([]string{"0000_base.sql"}, migrate(t, p, schemaOf(r, "3"), source).BehindParent); diff != "" {
		t.Errorf("behind the parent: %s", diff)
	}

	r.Reset = true
	apply(t, p, r)
	if observed, err := p.Schema().Observe(t.Context(), schemaOf(r, "3")); err != nil || observed.Digest != "" {
		t.Errorf("after a reset the schema is finished: %+v, %v", observed, err)
	}
}

// A rewritten migration gets a fresh branch, which takes the old one's place once everything ran in it; core environments keep theirs.
func rewrittenMigration(t *testing.T, s *sim.Server) {
	t.Helper()
	p := provider(t, s)
	r := resource(t)
	url := apply(t, p, r).DatabaseURL.Reveal()
	source := files("drizzle/1.sql", "CREATE TABLE a (id int);")
	migrate(t, p, schemaOf(r, "1"), source)

	source["drizzle/1.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE b (id oops);")}
	_, err := p.Schema().Apply(t.Context(), schemaOf(r, "2"), preview.Inputs{Source: source})
	if preview.Classify(err) != preview.ClassInvalid || value(t, s, url, tables) != "a" || s.BranchesNamed(r.Name) != 1 {
		t.Errorf("after a rewritten migration that fails: %v, %d branches", err, s.BranchesNamed(r.Name))
	}

	source["drizzle/1.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE b (id int);")}
	kept := schemaOf(r, "2")
	kept.Keep = true
	if _, err := p.Schema().Apply(t.Context(), kept, preview.Inputs{Source: source}); preview.Classify(err) != preview.ClassInvalid {
		t.Errorf("a core environment: %v", err)
	}
	// The branch that failed is gone, and its name may be taken a little longer.
	s.SetFaults(fault.Nth(1, 2, fault.OnRoute("POST /projects/{project_id}/branches", fault.Fault{Status: http.StatusConflict})))
	outputs := migrate(t, p, schemaOf(r, "2"), source)
	s.SetFaults()
	if outputs.DataReset != "migration 1.sql changed after it was applied" || value(t, s, outputs.DatabaseURL.Reveal(), tables) != "b" || s.BranchesNamed(r.Name) != 1 {
		t.Errorf("data reset %q, %d branches", outputs.DataReset, s.BranchesNamed(r.Name))
	}
	observed, err := p.Observe(t.Context(), r)
	if err != nil || observed.Digest != r.Digest || observed.Outputs.DatabaseURL != outputs.DatabaseURL {
		t.Errorf("the database afterwards: digest %q, %v", observed.Digest, err)
	}
	if observed, err := p.Schema().Observe(t.Context(), schemaOf(r, "2")); err != nil || observed.Digest != "2" || observed.Outputs.DataReset != "" {
		t.Errorf("the schema afterwards: %+v, %v", observed, err)
	}
}

// What a crash leaves of a fresh branch is no reason to lose the one that serves.
func abandonedBranch(t *testing.T, s *sim.Server) {
	t.Helper()
	p := provider(t, s)
	r := resource(t)
	url := apply(t, p, r).DatabaseURL
	migrate(t, p, schemaOf(r, "1"), files("drizzle/1.sql", "CREATE TABLE a (id int);"))
	s.SetFaults(fault.OnRoute("DELETE /projects/{project_id}/branches/{branch_id}", fault.Fault{Status: http.StatusServiceUnavailable}))
	_, err := p.Schema().Apply(t.Context(), schemaOf(r, "2"), preview.Inputs{Source: files("drizzle/1.sql", "CREATE TABLE b (id int);")})
	if preview.Classify(err) != preview.ClassTransient || s.BranchesNamed(r.Name) != 2 {
		t.Fatalf("%v, %d branches", err, s.BranchesNamed(r.Name))
	}
	s.SetFaults()
	if again := apply(t, provider(t, s), r); again.DatabaseURL != url || s.BranchesNamed(r.Name) != 1 {
		t.Errorf("another address, or %d branches", s.BranchesNamed(r.Name))
	}
}

// No SQL outlives its time: not even one that ends every other session of its role, as those that watch it.
func timeLimit(t *testing.T, s *sim.Server) {
	t.Helper()
	for name, sql := range map[string]string{
		"sleep": "SELECT 1;\nSELECT pg_sleep(3600)",
		"killing its watchers": `SELECT 1;
DO $$ BEGIN LOOP PERFORM pg_stat_clear_snapshot(), pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid(); END LOOP; END $$`,
	} {
		t.Run(name, func(t *testing.T) {
			r := resource(t)
			url := apply(t, provider(t, s), r).DatabaseURL.Reveal()
			for limit := 4 * time.Second; ; limit *= 4 { // a busy machine may need all of the first for what comes before
				p := limited(t, s, neon.Migrations{Timeout: limit})
				_, err := p.Schema().Apply(t.Context(), schemaOf(r, "1"), preview.Inputs{Source: files("drizzle/1.sql", sql)})
				var invalid *preview.InvalidError
				if errors.As(err, &invalid) && invalid.Problems[0].Line == 2 && invalid.Problems[0].Message == "did not finish within the time limit of "+limit.String()+" for all migrations" {
					break
				}
				if t.Logf("%v", err); limit > time.Minute {
					t.Fatal("that is not told")
				}
			}
			// Postgres ends a session a moment after it was told to.
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
				got := value(t, s, url, `SELECT count(*)::text FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()`)
				if got == "0" {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s sessions run on", got)
				}
			}
		})
	}
}

// Migrations that make the database grow too much end, and nothing of them stays.
func growth(t *testing.T, s *sim.Server) {
	t.Helper()
	racetest.OneAfterTheOther(t) // the time limit has the watch beside a migration, too
	p := limited(t, s, neon.Migrations{GrowthMB: 1, Timeout: 10 * time.Minute})
	r := resource(t)
	url := apply(t, p, r).DatabaseURL.Reveal()
	_, err := p.Schema().Apply(t.Context(), schemaOf(r, "1"), preview.Inputs{Source: files("drizzle/1.sql", "CREATE TABLE big (x text);\nINSERT INTO big SELECT repeat('x', 1000) FROM generate_series(1, 100000000);")})
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) || invalid.Problems[0].Line != 2 || invalid.Problems[0].Message != "makes the database grow by more than migrations may" {
		t.Errorf("%v", err)
	}
	if got := value(t, s, url, tables); got != "" {
		t.Errorf("tables %s stay", got)
	}
}

// A compute whose certificate nobody vouches for is not talked to, and no password is given to it.
func certificate(t *testing.T, s *sim.Server) {
	t.Helper()
	r := resource(t)
	apply(t, provider(t, s), r)
	careless, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Dial: s.Dial})
	if err != nil {
		t.Fatal(err)
	}
	_, err = careless.Schema().Apply(t.Context(), schemaOf(r, "1"), preview.Inputs{Source: migrations()})
	if err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "npg_") {
		t.Errorf("a certificate of an unknown authority: %v", err)
	}
}

// Whatever fails while it is migrated, the next tries end with everything applied once.
func schemaFaults(t *testing.T, s *sim.Server) {
	t.Helper()
	const project = "/projects/{project_id}"
	reads := map[string]fault.Fault{"500": {Status: http.StatusInternalServerError}, "garbage": {Status: http.StatusOK, Body: "<html>"}, "dropped": {Drop: true}}
	changes := map[string]fault.Fault{
		"503": {Status: http.StatusServiceUnavailable}, "423": {Status: http.StatusLocked}, "429": {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
		"garbage": {Status: http.StatusOK, Body: "<html>"}, "done but 504": {Status: http.StatusGatewayTimeout, After: true}, "done, dropped": {Drop: true, After: true},
	}
	p := provider(t, s)
	r := resource(t)
	url := apply(t, p, r).DatabaseURL.Reveal()
	for route, faults := range map[string]map[string]fault.Fault{
		"GET " + project + "/branches": reads, "GET " + project + "/branches/{branch_id}/endpoints": reads, "PATCH " + project + "/endpoints/{endpoint_id}": changes,
	} {
		for name, f := range faults {
			t.Run(route+" "+name, func(t *testing.T) {
				if !strings.Contains(name, "dropped") {
					racetest.OneAfterTheOther(t)
				}
				schema := schemaOf(r, "1")
				eventually(t, "delete", func() error { return p.Schema().Delete(t.Context(), schema) })
				p := provider(t, s)
				s.SetFaults(fault.Nth(1, 1, fault.OnRoute(route, f)))
				defer s.SetFaults()
				eventually(t, "apply", func() error {
					_, err := p.Schema().Apply(t.Context(), schema, preview.Inputs{Source: migrations()})
					return err
				})
				observed, err := p.Schema().Observe(t.Context(), schema)
				if err != nil || observed.Digest != "1" {
					t.Errorf("observed %+v, %v", observed, err)
				}
				if got := value(t, s, url, `SELECT string_agg(name, ',' ORDER BY name) || ' ' || (SELECT count(*) FROM notes) FROM flaresmith.migrations`); got != "0001_notes.sql,0002_more.sql 1" {
					t.Errorf("applied: %s", got)
				}
			})
		}
	}
}

// Looking at a schema starts no compute that sleeps.
func sleepingCompute(t *testing.T, s *sim.Server) {
	t.Helper()
	p := provider(t, s)
	r := resource(t)
	apply(t, p, r)
	migrate(t, p, schemaOf(r, "1"), migrations())
	s.Suspend(r.Name)
	before := len(s.Requests())
	if observed, err := p.Schema().Observe(t.Context(), schemaOf(r, "1")); err != nil || observed.Digest != "1" {
		t.Errorf("observed %+v, %v", observed, err)
	}
	if s.Awake(r.Name) {
		t.Error("the compute was started")
	}
	if seen := s.Requests()[before:]; len(seen) != 2 || slices.ContainsFunc(seen, func(request string) bool { return !strings.HasPrefix(request, "GET ") }) {
		t.Errorf("it took %v", seen)
	}
}

// limited is a provider with other limits.
func limited(t *testing.T, s *sim.Server, m neon.Migrations) *neon.Branches {
	t.Helper()
	p, err := neon.New(neon.Config{APIURL: s.URL(), APIKey: apiKey, ProjectID: s.ProjectID(), Look: look, Dial: s.Dial, Roots: s.Certificates(), Migrations: m})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
