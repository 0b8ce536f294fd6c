// Package storetest gives tests a Store on a fresh, migrated database that is dropped at cleanup.
// It is for tests only.
package storetest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
)

// New returns a store on a migrated database of its own.
func New(tb testing.TB) *store.Store {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url := preview.Secret(embeddedtest.Database(tb))
	if err := store.Migrate(ctx, url); err != nil {
		tb.Fatalf("migrate: %v", err)
	}
	s, err := store.Open(ctx, url, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Project makes a project of repository repoID in installation 1.
func Project(tb testing.TB, s *store.Store, repoID int64) preview.Project {
	tb.Helper()
	p, err := s.EnsureProject(tb.Context(), preview.Repository{
		InstallationID: 1, RepoID: repoID, Owner: "octo-org", Name: "sample", DefaultBranch: "main",
	})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
