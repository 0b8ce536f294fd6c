package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
)

const parentSQL = `
	CREATE TYPE mood AS ENUM ('good', 'bad');
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE TABLE notes (id serial PRIMARY KEY, body text NOT NULL, mood mood DEFAULT 'good', n int GENERATED ALWAYS AS IDENTITY);
	INSERT INTO notes (body) SELECT 'note ' || g FROM generate_series(1, 3) g;
	CREATE VIEW titles AS SELECT id, body FROM notes;
	CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM notes;
	CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
	CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
	CREATE SCHEMA "odd ""name";
	CREATE SEQUENCE "odd ""name"."Seq uence";
	CREATE TABLE parted (id int) PARTITION BY RANGE (id);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
	CREATE STATISTICS stats ON id, body FROM notes;
	CREATE EXTENSION IF NOT EXISTS pgcrypto;`

func newServer(t *testing.T, change ...func(*postgres.Config)) *postgres.Server {
	t.Helper()
	config := postgres.Config{
		AdminURL: preview.Secret(embeddedtest.Postgres(t)), MigrationTimeout: 5 * time.Minute,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, c := range change {
		c(&config)
	}
	s, err := postgres.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// adminURL is the test server's URL with another database.
func adminURL(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(embeddedtest.Postgres(t))
	if err != nil {
		t.Fatal("the test server's URL does not parse")
	}
	u.Path = "/" + database
	return u.String()
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// execute runs SQL on a session of its own.
func execute(t *testing.T, url, sql string) {
	t.Helper()
	if err := try(t, url, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func try(t *testing.T, url, sql string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

// value is the first column of the first row, as text.
func value(t *testing.T, url, sql string) string {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var v *string
	if err := conn.QueryRow(ctx, `SELECT x::text FROM (`+sql+`) q(x)`).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if v == nil {
		return "NULL"
	}
	return *v
}

// newParent makes a database with sql in it and returns its name.
func newParent(t *testing.T, sql string) string {
	t.Helper()
	u, err := url.Parse(embeddedtest.Database(t))
	if err != nil {
		t.Fatal("the test database's URL does not parse")
	}
	if sql != "" {
		execute(t, u.String(), sql)
	}
	name := strings.TrimPrefix(u.Path, "/")
	waitFor(t, "sessions of "+name+" to end", func() bool {
		return value(t, embeddedtest.Postgres(t), `SELECT count(*) FROM pg_stat_activity WHERE datname = '`+name+`'`) == "0"
	})
	return name
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !done(); { // the server vacuums each minute
		if time.Now().After(deadline) {
			t.Fatalf("timeout waiting for %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func newBranch(parent string) preview.Resource {
	id := uuid.NewString()
	return preview.Resource{
		Kind: preview.KindDatabase, Name: preview.PreviewName(id[:8], 7), Parent: parent, Digest: "1",
		Mark: preview.Mark{Project: uuid.NewString(), Environment: id},
	}
}

// branch applies r and deletes it at cleanup.
func branch(t *testing.T, s *postgres.Server, r preview.Resource) preview.Outputs {
	t.Helper()
	t.Cleanup(func() { drop(t, r.Name) })
	outputs, err := s.Branches().Apply(t.Context(), r, preview.Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

// drop removes what a test left behind, whatever its mark.
func drop(t *testing.T, name string) {
	for _, sql := range []string{`DROP DATABASE IF EXISTS "%s_new" WITH (FORCE)`, `DROP DATABASE IF EXISTS "%s" WITH (FORCE)`, `DROP ROLE IF EXISTS "%s"`} {
		if err := try(t, embeddedtest.Postgres(t), fmt.Sprintf(sql, name)); err != nil {
			t.Errorf("clean up %s: %v", name, err)
		}
	}
}

func schemaOf(r preview.Resource, digest string) preview.Resource {
	r.Kind, r.Digest = preview.KindSchema, digest
	r.Layout = preview.Layout{Migrations: "drizzle", MigrationFormat: preview.MigrationsAuto}
	return r
}

// files is a repository.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

// snapshot is the version of every catalog row that a write for the branch would change.
func snapshot(t *testing.T, r preview.Resource) string {
	t.Helper()
	return value(t, embeddedtest.Postgres(t), fmt.Sprintf(`
		SELECT concat_ws(' ', d.oid, d.xmin, d.datacl, a.oid, a.xmin, s.setconfig,
			(SELECT string_agg(xmin || description, ',' ORDER BY classoid) FROM pg_shdescription WHERE objoid IN (d.oid, a.oid)))
		FROM (SELECT '%s'::name AS name) n LEFT JOIN pg_database d ON datname = name LEFT JOIN pg_authid a ON rolname = name
		LEFT JOIN pg_db_role_setting s ON s.setrole = a.oid`, r.Name))
}

func TestBranchesConform(t *testing.T) {
	t.Parallel()
	parent := newParent(t, parentSQL)
	providertest.Run(t, providertest.Suite{
		Provider: newServer(t).Branches(),
		Resource: func(*testing.T) preview.Resource { return newBranch(parent) },
		Snapshot: snapshot,
		Plant: func(t *testing.T, r preview.Resource) {
			t.Cleanup(func() { drop(t, r.Name) })
			execute(t, embeddedtest.Postgres(t), `CREATE DATABASE "`+r.Name+`"`)
			// Every server that starts does so, those of other tests too: it must not look like a write of this one.
			execute(t, embeddedtest.Postgres(t), `REVOKE CONNECT, TEMPORARY ON DATABASE "`+r.Name+`" FROM PUBLIC`)
		},
		Restart: func(t *testing.T) providertest.Provider { return newServer(t).Branches() },
	})
}

// embedded is a schema provider that a restart replaces together with its server.
type embedded struct{ *postgres.Schema }

func TestSchemaConforms(t *testing.T) {
	t.Parallel()
	parent := newParent(t, parentSQL)
	current := newServer(t)
	provider := &embedded{current.Schema()}
	providertest.Run(t, providertest.Suite{
		Provider: provider,
		Resource: func(*testing.T) preview.Resource { return schemaOf(newBranch(parent), "") },
		Inputs: func(t *testing.T, r preview.Resource) preview.Inputs {
			r.Kind, r.Digest = preview.KindDatabase, "database"
			return preview.Inputs{
				Source:  files("drizzle/0001_a.sql", "CREATE TABLE a (id int);", "drizzle/0002_b.sql", "ALTER TABLE notes ADD COLUMN extra text;"),
				Outputs: branch(t, current, r),
			}
		},
		Snapshot: func(t *testing.T, r preview.Resource) string {
			state := snapshot(t, r)
			if value(t, embeddedtest.Postgres(t), `SELECT count(*) FROM pg_database WHERE datname = '`+r.Name+`'`) == "1" {
				state += value(t, adminURL(t, r.Name), `SELECT string_agg(oid || ' ' || xmin, ',' ORDER BY oid) FROM pg_class`)
			}
			return state
		},
		Restart: func(*testing.T) providertest.Provider {
			current = newServer(t) // for the tests after this one too: only one server knows the passwords
			provider.Schema = current.Schema()
			return provider
		},
		Embedded: true,
	})
}
