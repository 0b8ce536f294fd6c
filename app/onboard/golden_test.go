package onboard_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/onboard"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

var update = flag.Bool("update", false, "write the golden files anew")

const worker = `{"name": "shop", "main": "src/index.ts", "compatibility_date": "2026-10-01"}`

// hostile is a folder that somebody named to be shown in a pull request.
const hostile = "a`b <img src=x> @octo-dev [x](javascript:y) ${{ x }} # - |"

// repositories are what the golden files were made of: path to content, a folder a case.
func repositories() map[string]map[string]string {
	pinned := map[string]string{"package.json": "{}", "package-lock.json": "{}"}
	with := func(files ...map[string]string) map[string]string {
		all := maps.Clone(pinned)
		for _, more := range files {
			maps.Copy(all, more)
		}
		return all
	}
	return map[string]map[string]string{
		"usual": with(map[string]string{
			"wrangler.jsonc": worker, "src/index.ts": "postgres(env.DATABASE_URL)", "drizzle/0000_a.sql": "SELECT 1;",
			"drizzle/meta/_journal.json": `{"dialect": "postgresql"}`, "postman/shop.postman_collection.json": "{}",
		}),
		"elsewhere": with(map[string]string{
			"apps/api/wrangler.toml": "name = \"api\"\nmain = \"src/worker.ts\"\ncompatibility_date = \"2026-10-01\"\n", "apps/api/src/worker.ts": "connect(c.env.POSTGRES_URL)",
			"apps/api/db/migrations/001_a.sql": "CREATE TABLE a ();", "apps/api/db/migrations/002_b.sql": "", "docs/api/api.postman_collection.json": "{}",
			"migrations/001_other.sql": "", "apps/web/package.json": "{}",
		}),
		"bare":   {"wrangler.json": worker, "src/index.ts": "export default {}"},
		"static": {"wrangler.jsonc": `{"name": "site", "compatibility_date": "2026-10-01", "assets": {"directory": "public"}}`, "public/index.html": ""},
		"unsupported": {
			"wrangler.jsonc": `{"name": "shop", "main": "dist/index.js", "compatibility_date": "2026-10-01", "assets": {"directory": "dist/client"},
				"build": {"command": "npm run build"},
				"kv_namespaces": [{"binding": "CACHE", "id": "1"}], "d1_databases": [{"binding": "DB", "database_id": "2"}]}`,
			"package.json": "{}", "yarn.lock": "", "migrations/0001_a.sql": "CREATE TABLE a (id INTEGER);",
			"drizzle/meta/_journal.json": `{"dialect": "sqlite"}`, "drizzle/0000_a.sql": "",
			"prisma/migrations/20260101_a/migration.sql": "",
		},
		"several": with(map[string]string{
			"apps/web/wrangler.jsonc": worker, "apps/web/src/index.ts": "fetch", "apps/api/wrangler.jsonc": worker, "apps/api/src/index.ts": "env.DB_URL; env.NEON_DATABASE_URL",
			"apps/cron/wrangler.toml": "not = [toml",
			"apps/old/wrangler.toml":  "name = \"old\"\nmain = \"dist/x.js\"\ncompatibility_date = \"2026-10-01\"\n",
		}),
		"hostile": {
			hostile + "/wrangler.jsonc": `{"name": "` + hostile + `", "main": "` + hostile + `.ts", "compatibility_date": "` + strings.Repeat("9", 900) + `",
				"kv_namespaces": [{"binding": "</details>\n\n# @octo-dev ![x](https://evil.example/x.png)", "id": "1"}]}`,
			hostile + "/migrations/1.sql": "", hostile + "/a.postman_collection.json": "", hostile + "/yarn.lock": "",
		},
	}
}

// from reads a repository that is a map. What is not in it does not exist.
func from(files map[string]string) ([]string, onboard.Reader) {
	return slices.Sorted(maps.Keys(files)), func(path string) ([]byte, bool, error) {
		text, ok := files[path]
		return []byte(text), ok, nil
	}
}

func detect(t *testing.T, files map[string]string) onboard.Found {
	t.Helper()
	found, err := onboard.Detect(from(files))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestGolden(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	cases := repositories()
	for name, files := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := detect(t, files)
			found.NoParent = name == "bare"
			proposal, err := found.Proposal()
			if err != nil {
				t.Fatal(err)
			}
			if _, problems := repoconfig.Parse(proposal.File); len(problems) > 0 {
				t.Errorf("the proposed file is not valid: %v", problems)
			}
			golden(t, filepath.Join("testdata", name, "flaresmith.yml"), string(proposal.File))
			golden(t, filepath.Join("testdata", name, "body.md"), proposal.Body)
		})
	}
	entries, err := os.ReadDir("testdata")
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if cases[entry.Name()] == nil && entry.Name() != "fuzz" {
			t.Errorf("testdata/%s belongs to no case", entry.Name())
		}
	}
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

// shown is a short form of what was found.
func shown(f onboard.Found) string {
	var b strings.Builder
	for _, w := range f.Workers {
		fmt.Fprintf(&b, "%s %s %s|", w.Config, w.Binding, w.Lock)
	}
	fmt.Fprintf(&b, "migrations=%s drizzle=%t collections=%s unread=%v passed=%d", f.Migrations, f.Drizzle, f.Collections, f.Unread, len(f.Passed))
	return b.String()
}
