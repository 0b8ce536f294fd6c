package drift

import (
	"fmt"
	"slices"
	"strings"
)

// The kinds of promises: what deployed code, data and other people rely on.
const (
	TablePromise     = "table"
	ColumnPromise    = "column"    // table.column
	FieldPromise     = "field"     // Schema.property, of required ones
	OperationPromise = "operation" // GET /products/{id}
)

// BreakingChange is a promise that the specs kept when files were generated last, and no longer do.
type BreakingChange struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Note string `json:"note"` // how to get there without harm
}

// Breaking compares the promises of two manifests. Columns of a table that is gone are not listed again.
func Breaking(old, next Manifest) []BreakingChange {
	changes := []BreakingChange{}
	gone := map[string]bool{}
	for _, kind := range []string{TablePromise, ColumnPromise, FieldPromise, OperationPromise} {
		removed, added := without(old.Promises[kind], next.Promises[kind]), without(next.Promises[kind], old.Promises[kind])
		for _, name := range removed {
			owner, _, _ := strings.Cut(name, ".")
			if kind == TablePromise {
				gone[name] = true
			} else if kind == ColumnPromise && gone[owner] {
				continue
			}
			changes = append(changes, BreakingChange{kind, name, migration(kind, name, removed, added)})
		}
	}
	return changes
}

func without(a, b []string) []string {
	other := make(map[string]bool, len(b))
	for _, name := range b {
		other[name] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return other[name] })
}

// migration is the note of one change. Where just one thing came for one that went, it may be a new name.
func migration(kind, name string, removed, added []string) string {
	owner, member, _ := strings.Cut(name, ".")
	switch kind {
	case TablePromise:
		note := fmt.Sprintf("Deploy code that does not use the table first, keep a copy of its rows, then: DROP TABLE %s;", quoteName(name))
		if len(removed) == 1 && len(added) == 1 {
			note += fmt.Sprintf(" If it only has a new name: ALTER TABLE %s RENAME TO %s;", quoteName(name), quoteName(added[0]))
		}
		return note
	case ColumnPromise:
		note := fmt.Sprintf("Deploy code that does not use the column first, keep a copy of its values, then: ALTER TABLE %s DROP COLUMN %s;", quoteName(owner), quoteName(member))
		of := func(name string) bool { return !strings.HasPrefix(name, owner+".") }
		went, came := slices.DeleteFunc(slices.Clone(removed), of), slices.DeleteFunc(slices.Clone(added), of)
		if len(went) == 1 && len(came) == 1 {
			note += fmt.Sprintf(" If it only has a new name: ALTER TABLE %s RENAME COLUMN %s TO %s;", quoteName(owner), quoteName(member), quoteName(strings.TrimPrefix(came[0], owner+".")))
		}
		return note
	case FieldPromise:
		return "Clients rely on this field: it is gone, or optional now. Keep it, marked as deprecated, until none reads it, or offer a new version of the operations that carry it."
	}
	return "Clients call this operation: keep it, marked as deprecated, until none does, and answer 410 Gone after that."
}

func quoteName(name string) string {
	for i := range len(name) {
		if c := name[i]; c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9' || i == 0) {
			return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
	}
	return name
}
