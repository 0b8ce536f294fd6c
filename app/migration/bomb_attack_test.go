package migration_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/preview"
)

// TestMigrationBombs reads, cuts and judges folders that cost a reader more than they weigh. It happens
// in the server's own process: each ends soon, with or without a problem that names the file.
func TestMigrationBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	const size = 4 << 20 // what one file may have
	fill := func(text string) string { return strings.Repeat(text, size/len(text)) }
	journal := func(text string) map[string]string { return map[string]string{"drizzle/meta/_journal.json": text} }
	file := func(text string) map[string]string { return map[string]string{"drizzle/1.sql": text} }
	many := map[string]string{}
	for n := range 5001 {
		many[fmt.Sprintf("drizzle/%d.sql", n)] = "SELECT 1"
	}
	var tags strings.Builder
	for n := 0; tags.Len() < size-20; n++ {
		fmt.Fprintf(&tags, "$t%d$", n)
	}
	large := map[string]string{}
	for n := range 17 {
		large[fmt.Sprintf("drizzle/%d.sql", n)] = fill("-")
	}
	tests := []struct {
		name, want string // "": it is harmless
		files      map[string]string
	}{
		{"journal nested", "drizzle/meta/_journal.json: the journal is not what drizzle-kit writes: invalid character '[' exceeded max depth", journal(strings.Repeat("[", 1<<20))},
		{"journal nested in what is not read", "exceeded max depth", journal(`{"x":` + strings.Repeat(`{"a":`, 300_000) + strings.Repeat("}", 300_000) + `}`)},
		{"journal of many entries", "more than 5000", journal(`{"entries":[` + strings.Repeat("{},", 500_000) + `{}]}`)},
		{"journal too large", "larger than 2048 kB", journal(`{"x":"` + fill("x") + `"}`)},
		{"many files", "too many files", many},
		{"a file of 100 MB", "drizzle/1.sql: the file is larger than 4096 kB", file(strings.Repeat("-", 100<<20))},
		{"many large files", "larger than 64 MB together", large},
		{"open comments", "", file(fill("/*"))},
		{"nested comments", "", file(fill("/* */ /* /* "))},
		{"open quotes", "", file(fill("'"))},
		{"open names", "", file(fill(`"a" "`))},
		{"dollars", "", file(fill("$"))},
		{"tags that end nowhere", "", file(tags.String())},
		{"parentheses", "", file(fill("("))},
		{"one line", "", file("SELECT '" + fill("x")[9:] + "'")},
		{"routines in routines", "", file(fill("CREATE FUNCTION f() BEGIN ATOMIC "))},
		{"statements", "", file(fill("SELECT 1;"))},
		{"destructive statements", "", file(fill("DROP TABLE a;"))},
		{"one statement that changes much", "", file("WITH " + fill("a AS (DELETE FROM b), ")[5:])},
		{"one table that loses much", "", file("ALTER TABLE a " + fill("DROP COLUMN b, ")[15:])},
		{"breakpoints", "", map[string]string{"drizzle/meta/_journal.json": `{"entries":[{"tag":"1"}]}`, "drizzle/1.sql": fill("--> statement-breakpoint")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source := fstest.MapFS{}
			for name, text := range tt.files {
				source[name] = &fstest.MapFile{Data: []byte(text)}
			}
			began := time.Now()
			folder, err := migration.Read(source, preview.Layout{Migrations: "drizzle", MigrationFormat: preview.MigrationsAuto})
			problems := migration.Destructive(folder.Format, folder.Scripts)
			for _, s := range folder.Scripts {
				for _, st := range s.Statements(folder.Format) {
					_, _ = st.Refusal()
				}
			}
			took := time.Since(began)
			t.Logf("%s, %d problems, %.200v", took.Round(time.Millisecond), len(problems), err)
			var invalid *preview.InvalidError
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %.300v, want an InvalidError with %q", err, tt.want)
			}
			if took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}
