package postgres

import (
	"context"
	"testing"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Where the size of a database can't be read, that is an error, and no size.
func TestSizesAreReadOrSaidToBeUnknown(t *testing.T) {
	t.Parallel()
	s, err := New(t.Context(), Config{AdminURL: preview.Secret(embeddedtest.Postgres(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name     string
		ctx      context.Context
		r        preview.Resource
		database string
		want     preview.Class // empty: it is watched
	}{
		{"a database that is not there", t.Context(), preview.Resource{Keep: true}, "nowhere", preview.ClassPermanent},
		{"without an answer", stopped, preview.Resource{Keep: true}, "postgres", preview.ClassTransient},
		{"a parent that is not there", t.Context(), preview.Resource{Parent: "nowhere"}, "postgres", preview.ClassPermanent},
		{"both are there", t.Context(), preview.Resource{Parent: "postgres"}, "postgres", ""},
	}
	for _, tt := range tests {
		g := s.growth(tt.r, tt.database)
		_, err := g.Size(tt.ctx)
		if err == nil && g.Base != nil {
			_, err = g.Base(tt.ctx)
		}
		if got := preview.Classify(migrator.Classify(err)); (err != nil) != (tt.want != "") || err != nil && got != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
