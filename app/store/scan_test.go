package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

func scanJobs(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	if err := s.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'scan_secrets'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestScans(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := storetest.New(t)
	p, err := s.EnsureProject(t.Context(), preview.Repository{InstallationID: 1, RepoID: 2, Owner: "acme", Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.EnsureProject(t.Context(), preview.Repository{InstallationID: 1, RepoID: 3, Owner: "acme", Name: "other"})
	if err != nil {
		t.Fatal(err)
	}

	// A pull request that waits gets no second job; each push is one.
	pr, push := preview.Scan{ProjectID: p.ID, PR: 7}, preview.Scan{ProjectID: p.ID, SHA: "a", Branch: "main"}
	for _, scan := range []preview.Scan{pr, pr, {ProjectID: p.ID, PR: 70}, push, push} {
		if err := s.WantScan(t.Context(), scan); err != nil {
			t.Fatal(err)
		}
	}
	if n := scanJobs(t, s); n != 4 {
		t.Errorf("%d jobs, want 4", n)
	}

	// What is clean is so for its project, however often it is said.
	a, b := [32]byte{1}, [32]byte{2}
	for range 2 {
		if err := s.SaveClean(t.Context(), p.ID, [][32]byte{a, a}); err != nil {
			t.Fatal(err)
		}
	}
	clean, err := s.Clean(t.Context(), p.ID, [][32]byte{a, b})
	if err != nil || len(clean) != 1 || !clean[a] {
		t.Errorf("clean: %v, %v", clean, err)
	}
	if clean, err := s.Clean(t.Context(), other.ID, [][32]byte{a}); err != nil || len(clean) != 0 {
		t.Errorf("clean in another project: %v, %v", clean, err)
	}
	if _, err := s.Pool().Exec(t.Context(), `UPDATE scanned SET seen_at = now() - interval '31 days'`); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveClean(t.Context(), p.ID, [][32]byte{b}); err != nil {
		t.Fatal(err)
	}
	if clean, err := s.Clean(t.Context(), p.ID, [][32]byte{a, b}); err != nil || len(clean) != 1 || !clean[b] {
		t.Errorf("clean after a month: %v, %v", clean, err)
	}
}

func TestScanAlone(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	ran := 0
	broken := errors.New("broken")
	err := s.ScanAlone(t.Context(), "P", "sha", func(ctx context.Context) error {
		ran++
		if err := s.ScanAlone(ctx, "P", "sha", func(context.Context) error { ran = 100; return nil }); !errors.Is(err, preview.ErrLeased) {
			t.Errorf("a second one: %v", err)
		}
		if err := s.ScanAlone(ctx, "P", "another", func(context.Context) error { ran++; return nil }); err != nil {
			t.Errorf("another commit: %v", err)
		}
		return broken
	})
	if !errors.Is(err, broken) || ran != 2 {
		t.Errorf("%v after %d", err, ran)
	}
	if err := s.ScanAlone(t.Context(), "P", "sha", func(context.Context) error { ran++; return nil }); err != nil || ran != 3 {
		t.Errorf("after the end: %v", err)
	}
}
