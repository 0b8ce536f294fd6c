package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/migrations"
)

// Many replicas start at the same moment, and again later.
func TestMigrateConcurrentlyAndTwice(t *testing.T) {
	t.Parallel()
	url := preview.Secret(embeddedtest.Database(t))
	for range 2 {
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := store.Migrate(ctx, url)
				for preview.Classify(err) == preview.ClassTransient && ctx.Err() == nil { // six at once may wait longer than it does
					err = store.Migrate(ctx, url)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	s, err := store.Open(t.Context(), url, store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, table := range []string{"deliveries", "environments", "river_job"} {
		if n := scalar[int](t, s, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%s has %d rows", table, n)
		}
	}
	// Postgres ends a session a moment after its client has closed the connection.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		locks := scalar[int](t, s, `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE locktype = 'advisory' AND d.datname = current_database()`)
		if locks == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d advisory locks are left", locks)
		}
	}
}

// What an earlier version wrote down is, after the upgrade, what this one looks for: the ledger of a
// repository with one Worker is the same, entry by entry.
func TestMigrateKeepsTheLedger(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	url := embeddedtest.Database(t)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	const name = "preview-abcdefgh-pr-7"
	if _, err := db.ExecContext(t.Context(), `
		WITH p AS (INSERT INTO projects (installation_id, repo_id, owner, name, hash) VALUES (1, 2, 'octo-org', 'sample', 'abcdefgh') RETURNING id),
		     e AS (INSERT INTO environments (project_id, kind, name, pr) SELECT id, 'preview', '`+name+`', 7 FROM p RETURNING id)
		INSERT INTO resources (environment_id, kind, name, digest, outputs)
		SELECT id, kind, '`+name+`', 'd-' || kind, outputs FROM e, (VALUES ('database', '{"databaseName": "x"}'::jsonb), ('worker', '{"url": "http://x/"}')) r (kind, outputs)`); err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context(), preview.Secret(url)); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), preview.Secret(url), store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, e := acquire(t, s, scalar[string](t, s, `SELECT id::text FROM environments`))
	want := []preview.LedgerEntry{
		{Kind: preview.KindDatabase, Name: name, Place: "postgres", Digest: "d-database", Outputs: preview.Outputs{DatabaseName: "x"}},
		{Kind: preview.KindWorker, Name: name, Place: "workerd", Digest: "d-worker", Outputs: preview.Outputs{URL: "http://x/"}},
	}
	ledger, err := s.Ledger(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, ledger); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if err := s.RecordIntent(t.Context(), l, want[1].Key(), name, "workerd"); err != nil {
		t.Fatal(err)
	}
	if n := scalar[int](t, s, `SELECT count(*) FROM resources`); n != len(want) {
		t.Errorf("%d entries after an intent for one of %d", n, len(want))
	}
}

func TestOpenDoesNotTellThePassword(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	for name, url := range map[string]preview.Secret{
		"unparsable": "postgres://user:hunter2@host:notaport/db",
		"refused":    "postgres://user:hunter2@127.0.0.1:1/db",
	} {
		_, err := store.Open(t.Context(), url, store.Options{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", name, err)
		}
		if refused := preview.Classify(err) == preview.ClassTransient; refused != (name == "refused") {
			t.Errorf("%s: class %s", name, preview.Classify(err))
		}
		if err := store.Migrate(t.Context(), url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: migrate error %v", name, err)
		}
	}
}
