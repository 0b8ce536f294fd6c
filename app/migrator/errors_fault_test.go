package migrator

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/preview"
)

// The copy that a killed server began goes on at the server, and is dropped by the next try.
func TestCopyInTheWayPasses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  *pgconn.PgError
		want preview.Class
	}{
		{"it is there", &pgconn.PgError{Code: "42P04", Message: `database "preview-x_new" already exists`}, preview.ClassTransient},
		{"it is finished just now", &pgconn.PgError{Code: "23505", Message: `duplicate key value violates unique constraint "pg_database_datname_index"`}, preview.ClassTransient},
		{"any other key", &pgconn.PgError{Code: "23505", Message: `duplicate key value violates unique constraint "items_pkey"`}, preview.ClassPermanent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := preview.Classify(Classify(fmt.Errorf("copy: %w", tt.err))); got != tt.want {
				t.Errorf("class %v, want %v", got, tt.want)
			}
		})
	}
}
