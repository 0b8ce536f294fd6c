package drift

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBreaking(t *testing.T) {
	t.Parallel()
	promises := func(kind string, names ...string) map[string][]string { return map[string][]string{kind: names} }
	tests := []struct {
		name      string
		old, next map[string][]string
		want      []BreakingChange
	}{
		{"nothing was promised", nil, promises(TablePromise, "a"), nil},
		{"more is promised", promises(TablePromise, "a"), promises(TablePromise, "a", "b"), nil},
		{"a column goes", promises(ColumnPromise, "as.x", "as.y"), promises(ColumnPromise, "as.x"),
			[]BreakingChange{{"column", "as.y", "Deploy code that does not use the column first, keep a copy of its values, then: ALTER TABLE as DROP COLUMN y;"}}},
		{"a column has a new name", promises(ColumnPromise, "as.x", "bs.x"), promises(ColumnPromise, "as.X", "bs.x"),
			[]BreakingChange{{"column", "as.x", `Deploy code that does not use the column first, keep a copy of its values, then: ALTER TABLE as DROP COLUMN x; If it only has a new name: ALTER TABLE as RENAME COLUMN x TO "X";`}}},
		{"a column moves to another table", promises(ColumnPromise, "as.x"), promises(ColumnPromise, "bs.x"),
			[]BreakingChange{{"column", "as.x", "Deploy code that does not use the column first, keep a copy of its values, then: ALTER TABLE as DROP COLUMN x;"}}},
		{"a table goes with its columns", map[string][]string{TablePromise: {"as", "bs"}, ColumnPromise: {"as.x", "bs.x"}}, map[string][]string{TablePromise: {"bs"}, ColumnPromise: {"bs.x"}},
			[]BreakingChange{{"table", "as", "Deploy code that does not use the table first, keep a copy of its rows, then: DROP TABLE as;"}}},
		{"a required field", promises(FieldPromise, "A.x"), nil,
			[]BreakingChange{{"field", "A.x", "Clients rely on this field: it is gone, or optional now. Keep it, marked as deprecated, until none reads it, or offer a new version of the operations that carry it."}}},
		{"an operation", promises(OperationPromise, "GET /a"), promises(OperationPromise, "GET /b"),
			[]BreakingChange{{"operation", "GET /a", "Clients call this operation: keep it, marked as deprecated, until none does, and answer 410 Gone after that."}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Breaking(Manifest{Promises: tt.old}, Manifest{Promises: tt.next})
			if len(got) == 0 && len(tt.want) == 0 {
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
