package migration_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Only SQL files that drizzle's journal leaves out, and that somebody may take for migrations, are unlisted.
func TestUnlisted(t *testing.T) {
	t.Parallel()
	const journal = `{"entries": [{"when": 1, "tag": "0000_first"}]}`
	many := map[string]string{"db/meta/_journal.json": journal, "db/0000_first.sql": ""}
	var first []string
	for i := range 30 {
		name := fmt.Sprintf("db/1%03d.sql", i)
		if many[name] = "SELECT 1"; i < 20 {
			first = append(first, name)
		}
	}
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"all are listed", map[string]string{"db/meta/_journal.json": journal, "db/0000_first.sql": ""}, nil},
		{"by hand", map[string]string{"db/meta/_journal.json": journal, "db/0000_first.sql": "", "db/0001_hand.sql": "", "db/0000_a.sql": ""}, []string{"db/0000_a.sql", "db/0001_hand.sql"}},
		{"nothing is listed", map[string]string{"db/meta/_journal.json": `{"entries": []}`, "db/0000_first.sql": ""}, []string{"db/0000_first.sql"}},
		{"no migrations", map[string]string{"db/meta/_journal.json": journal, "db/0000_first.sql": "", "db/0000_first.down.sql": "", "db/seed.sql": "", "db/a.txt": "", "db/sub/x.sql": "",
			"db/meta/y.sql": ""}, nil},
		{"names that can't be shown", map[string]string{"db/meta/_journal.json": journal, "db/0000_first.sql": "", "db/a\nb.sql": ""}, nil},
		{"many", many, first},
		{"without a journal all are applied", map[string]string{"db/0000_first.sql": "", "db/0001_hand.sql": ""}, nil},
	}
	for _, tt := range tests {
		source := fstest.MapFS{}
		for name, text := range tt.files {
			source[name] = &fstest.MapFile{Data: []byte(text)}
		}
		layout := preview.Layout{Migrations: "db"}
		if source["db/seed.sql"] != nil {
			layout.Seed = "db/seed.sql"
		}
		folder, err := migration.Read(source, layout)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, folder.Unlisted); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		for i, problem := range folder.Unapplied() {
			if !problem.Warning || problem.Path != tt.want[i] || problem.Line != 1 {
				t.Errorf("%s: %+v", tt.name, problem)
			}
		}
	}
}
