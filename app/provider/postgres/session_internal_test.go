package postgres

import (
	"context"
	"testing"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Where the size of a database can't be read, nobody goes on without a watch, nor with one that counts from nothing.
func TestGrowthIsWatchedOrNothingRuns(t *testing.T) {
	t.Parallel()
	s, err := New(t.Context(), Config{AdminURL: preview.Secret(embeddedtest.Postgres(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	l := &session{server: s}
	if _, err := l.watchGrowth(t.Context(), preview.Resource{Keep: true}, "nowhere"); err == nil {
		t.Error("a database that is not there is watched")
	}
	stopping, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.watchGrowth(stopping, preview.Resource{Keep: true}, "postgres"); preview.Classify(classify(err)) != preview.ClassTransient {
		t.Errorf("without an answer: %v", err)
	}
	if _, err := l.watchGrowth(t.Context(), preview.Resource{Parent: "nowhere"}, "postgres"); err == nil {
		t.Error("a database whose parent is not there is watched")
	}
	stop, err := l.watchGrowth(t.Context(), preview.Resource{Parent: "postgres"}, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	stop()
}
