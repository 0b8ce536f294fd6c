package migrator

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/preview"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	row := func(name, hash string) Row { return Row{format: preview.MigrationsSQL, name: name, hash: hash} }
	file := func(name, hash string) migration.Script { return migration.Script{Name: name, Hash: hash} }
	tests := []struct {
		name           string
		scripts        []migration.Script
		branch, parent []Row
		pending        []string
		reset          string
		behind         []string
	}{
		{name: "fresh", scripts: []migration.Script{file("1", "a"), file("2", "b")}, branch: []Row{row("1", "a")}, parent: []Row{row("1", "a")}, pending: []string{"2"}},
		{name: "changed", scripts: []migration.Script{file("1", "x")}, branch: []Row{row("1", "a")}, reset: "migration 1 changed after it was applied"},
		{name: "vanished", branch: []Row{row("1", "a")}, reset: "migration 1 was applied and is no longer there"},
		{name: "changed in the parent too", scripts: []migration.Script{file("1", "x")}, branch: []Row{row("1", "a")}, parent: []Row{row("1", "a")}},
		{name: "behind", scripts: []migration.Script{file("2", "b")}, branch: []Row{row("2", "b")}, parent: []Row{row("1", "a")}, behind: []string{"1"}},
		{name: "other format", scripts: []migration.Script{file("2", "b")}, branch: []Row{{format: preview.MigrationsDrizzle, when: 1000, hash: "abcdefghij"}},
			reset: "migration 1970-01-01 00:00:01 UTC (abcdefgh) was applied and is no longer there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := compare(migration.Folder{Format: preview.MigrationsSQL, Scripts: tt.scripts}, tt.branch, tt.parent)
			var pending []string
			for _, s := range d.pending {
				pending = append(pending, s.Name)
			}
			if diff := cmp.Diff(tt.pending, pending); diff != "" {
				t.Errorf("pending: %s", diff)
			}
			if d.reset != tt.reset {
				t.Errorf("reset %q, want %q", d.reset, tt.reset)
			}
			if tt.reset != "" {
				return
			}
			if diff := cmp.Diff(append([]string{}, tt.behind...), Behind(tt.branch, tt.parent)); diff != "" {
				t.Errorf("behind: %s", diff)
			}
		})
	}
}
