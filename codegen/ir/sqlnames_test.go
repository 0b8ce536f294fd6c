package ir_test

import (
	"testing"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

func TestSingular(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ plural, singular string }{
		{"projects", "project"}, {"categories", "category"}, {"addresses", "address"}, {"boxes", "box"}, {"branches", "branch"}, {"statuses", "status"},
		{"warehouses", "warehouse"}, {"clauses", "clause"}, {"databases", "database"}, {"cookies", "cookie"}, {"api_keys", "api_key"}, {"time_series", "time_series"},
		{"news", "news"}, {"data", "data"},
	} {
		if got := ir.Singular(tt.plural); got != tt.singular {
			t.Errorf("Singular(%q) is %q, want %q", tt.plural, got, tt.singular)
		}
		if got := ir.Plural(tt.singular); got != tt.plural {
			t.Errorf("Plural(%q) is %q, want %q", tt.singular, got, tt.plural)
		}
	}
}
