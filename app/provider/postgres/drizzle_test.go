package postgres_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const rowsSQL = `SELECT string_agg(concat_ws(' ', id, hash, created_at, xmin), ',' ORDER BY id) FROM drizzle.__drizzle_migrations`

// The real drizzle-orm and this package must agree on what was applied, in both directions.
func TestDrizzleAgrees(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the work is Node's: the race detector sees nothing of it")
	}
	project := drizzleProject(t)
	parent := newParent(t, "")
	source := drizzleFiles("CREATE TABLE \"users\" (\n\t\"id\" serial PRIMARY KEY NOT NULL\n);\n--> statement-breakpoint\nCREATE INDEX \"users_id\" ON \"users\" (\"id\");")
	project.migrate(t, adminURL(t, parent), source)

	s := newServer(t)
	r := newBranch(parent)
	own := branch(t, s, r).DatabaseURL.Reveal()
	source = drizzleFiles(string(source["drizzle/0000_step.sql"].Data), "ALTER TABLE \"users\" ADD COLUMN \"näme\" text;--> statement-breakpoint\nCREATE TABLE \"posts\" (\"id\" serial);")
	outputs := mustMigrate(t, s, r, "1", source)
	if diff := cmp.Diff([]string{"0001_step"}, outputs.Migrations); diff != "" {
		t.Errorf("migrations: %s", diff)
	}
	if outputs.DataReset != "" || len(outputs.BehindParent) != 0 {
		t.Errorf("outputs %+v, want neither reset nor behind", outputs)
	}
	before := value(t, own, rowsSQL)
	project.migrate(t, own, source) // would fail if it ran anything again
	if diff := cmp.Diff(before, value(t, own, rowsSQL)); diff != "" {
		t.Errorf("drizzle-orm found something pending: %s", diff)
	}

	fresh := newParent(t, "") // drizzle's own rows, for comparison
	project.migrate(t, adminURL(t, fresh), source)
	const plain = `SELECT string_agg(concat_ws(' ', id, hash, created_at), ',' ORDER BY id) FROM drizzle.__drizzle_migrations`
	if diff := cmp.Diff(value(t, adminURL(t, fresh), plain), value(t, own, plain)); diff != "" {
		t.Errorf("bookkeeping of drizzle-orm (-) and of this package (+): %s", diff)
	}
}

// drizzleFiles is a migrations folder as drizzle-kit writes it.
func drizzleFiles(texts ...string) fstest.MapFS {
	source := fstest.MapFS{}
	var entries []string
	for i, text := range texts {
		tag := fmt.Sprintf("%04d_step", i)
		entries = append(entries, fmt.Sprintf(`{"idx":%d,"version":"7","when":%d,"tag":"%s","breakpoints":true}`, i, 1700000000000+int64(i)*1000, tag))
		source["drizzle/"+tag+".sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	source["drizzle/meta/_journal.json"] = &fstest.MapFile{Data: []byte(`{"version":"7","dialect":"postgresql","entries":[` + strings.Join(entries, ",") + `]}`)}
	return source
}

// project is a folder with drizzle-orm installed.
type project string

func drizzleProject(t *testing.T) project {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" is not installed")
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "drizzle"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--omit=peer", "--prefer-offline", "--no-audit", "--no-fund", "--no-progress", "--no-package-lock")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("npm can't install drizzle-orm: %v\n%s", err, out))
	}
	return project(dir)
}

// missing skips a test for want of a tool, and fails in CI, where every tool must be.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// migrate runs drizzle-orm's migrator.
func (p project) migrate(t *testing.T, url string, source fstest.MapFS) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(string(p), "drizzle")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(string(p), source); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "migrate.mjs")
	cmd.Dir = string(p)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+url)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("drizzle-orm's migrator: %v\n%s", err, out)
	}
}
