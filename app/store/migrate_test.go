package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
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
				if err := store.Migrate(ctx, url); err != nil {
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
	if locks := scalar[int](t, s, `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE locktype = 'advisory' AND d.datname = current_database()`); locks != 0 {
		t.Errorf("%d advisory locks are left", locks)
	}
}

func TestOpenDoesNotTellThePassword(t *testing.T) {
	t.Parallel()
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
