package onboard_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/onboard"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

func TestDetect(t *testing.T) {
	t.Parallel()
	// Each has a Worker in the root, unless it says otherwise.
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", map[string]string{"wrangler.jsonc": "-", "README.md": ""}, "none"},
		{"other people's", map[string]string{"wrangler.jsonc": "-", "node_modules/x/wrangler.toml": worker, "examples/a/wrangler.jsonc": worker,
			"packages/x/test/fixtures/wrangler.json": worker, ".wrangler/wrangler.jsonc": worker}, "none"},
		{"Pages", map[string]string{"wrangler.jsonc": `{"name": "x", "pages_build_output_dir": "dist"}`}, "none"},
		{"empty", map[string]string{"wrangler.jsonc": `{}`}, "none"},
		{"three forms", map[string]string{"wrangler.toml": "broken [", "wrangler.json": worker}, "wrangler.json  |migrations= drizzle=false collections= unread=[] passed=0"},
		{"the root before others", map[string]string{"a/wrangler.jsonc": worker, "a/src/index.ts": "", "src/index.ts": ""},
			"wrangler.jsonc  |a/wrangler.jsonc  |migrations= drizzle=false collections= unread=[] passed=0"},
		{"nearest lock", map[string]string{"pnpm-lock.yaml": "", "wrangler.jsonc": "-", "a/b/wrangler.jsonc": worker, "a/package-lock.json": ""},
			"a/b/wrangler.jsonc  a/package-lock.json|migrations= drizzle=false collections= unread=[] passed=0"},
		{"variable of the program", map[string]string{"src/index.ts": "env.API_URL, env.NEON_DB_URL"}, "wrangler.jsonc NEON_DB_URL |migrations= drizzle=false collections= unread=[] passed=0"},
		{"variable of an example", map[string]string{".dev.vars.example": "API_URL=https://x\nexport MY_PG = \"postgresql://u:hunter2@h/d\"\n"},
			"wrangler.jsonc MY_PG |migrations= drizzle=false collections= unread=[] passed=0"},
		{"variable of the configuration", map[string]string{"wrangler.jsonc": `{"main": "src/index.ts", "compatibility_date": "2026-10-01", "vars": {"POSTGRES_CONNECTION_STRING": ""}}`},
			"wrangler.jsonc POSTGRES_CONNECTION_STRING |migrations= drizzle=false collections= unread=[] passed=0"},
		{"another system's", map[string]string{"src/index.ts": "env.TURSO_DATABASE_URL env.REDIS_DB_URL"}, "wrangler.jsonc  |migrations= drizzle=false collections= unread=[] passed=0"},
		{"the usual one among several", map[string]string{"src/index.ts": "env.DATABASE_URL env.PG_URL"}, "wrangler.jsonc DATABASE_URL |migrations= drizzle=false collections= unread=[] passed=0"},
		{"drizzle before SQL", map[string]string{"migrations/1.sql": "", "db/meta/_journal.json": `{"dialect": "postgresql"}`}, "wrangler.jsonc  |migrations=db drizzle=true collections= unread=[] passed=0"},
		{"a journal that can't be read", map[string]string{"db/meta/_journal.json": "<"}, "wrangler.jsonc  |migrations=db drizzle=true collections= unread=[] passed=0"},
		{"drizzle's plan", map[string]string{"drizzle.config.ts": `export default defineConfig({ out: './src/db/out', dialect: "postgresql" })`},
			"wrangler.jsonc  |migrations=src/db/out drizzle=true collections= unread=[] passed=0"},
		{"drizzle's plan for another system", map[string]string{"drizzle.config.ts": `{ out: "x", dialect: "turso" }`}, "wrangler.jsonc  |migrations= drizzle=false collections= unread=[] passed=0"},
		{"drizzle's plan elsewhere", map[string]string{"drizzle.config.ts": `{ out: "../../etc", dialect: "postgresql" }`}, "wrangler.jsonc  |migrations= drizzle=false collections= unread=[] passed=0"},
		{"supabase", map[string]string{"supabase/migrations/20260101_a.sql": "CREATE TABLE a ();"}, "wrangler.jsonc  |migrations=supabase/migrations drizzle=false collections= unread=[] passed=0"},
		{"down files", map[string]string{"migrations/1_a.up.sql": "", "migrations/1_a.down.sql": ""}, "wrangler.jsonc  |migrations= drizzle=false collections= unread=[] passed=1"},
		{"goose", map[string]string{"migrations/1_a.sql": "-- +goose Up\nCREATE TABLE a ();\r\n-- +goose Down\r\nDROP TABLE a;"}, "wrangler.jsonc  |migrations= drizzle=false collections= unread=[] passed=1"},
		{"nearest postman", map[string]string{"a/b/x.postman_collection.json": "", "api/x.postman_collection.json": "", "y.postman_collection.json": ""},
			"wrangler.jsonc  |migrations= drizzle=false collections=api unread=[] passed=0"},
		{"paths that can't be", map[string]string{"../wrangler.jsonc": worker, "/wrangler.jsonc": worker, "a\\b/wrangler.jsonc": worker, "a\nb/wrangler.jsonc": worker,
			strings.Repeat("a", 300) + "/wrangler.jsonc": worker, "\xff/wrangler.jsonc": worker}, "wrangler.jsonc  |migrations= drizzle=false collections= unread=[] passed=0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"src/index.ts": "", "b/src/index.ts": "", "a/b/src/index.ts": ""}
			if tt.files["wrangler.toml"] == "" {
				files["wrangler.jsonc"] = worker
			}
			for name, text := range tt.files {
				if files[name] = text; text == "-" {
					delete(files, name)
				}
			}
			found := detect(t, files)
			if len(found.Workers) == 0 {
				if !strings.HasSuffix(tt.want, "none") {
					t.Errorf("nothing was found: %+v", found)
				}
				return
			}
			if diff := cmp.Diff(tt.want, shown(found)); diff != "" {
				t.Error(diff)
			}
			proposal, err := found.Proposal()
			if err != nil || strings.Contains(proposal.Body+string(proposal.File), "hunter2") {
				t.Errorf("proposal %q, %v", proposal, err)
			}
		})
	}
}

func TestTooManyWorkers(t *testing.T) {
	t.Parallel()
	for count, want := range map[int]int{2: 2, 5: 5, 6: 1, 40: 1} {
		files := map[string]string{}
		for i := range count {
			folder := fmt.Sprintf("apps/w%02d/", i)
			files[folder+"wrangler.jsonc"], files[folder+"src/index.ts"] = `{"name": "base", "main": "src/index.ts", "compatibility_date": "2026-10-01"}`, ""
		}
		found := detect(t, files)
		if len(found.Workers) != want || len(found.Workers)+len(found.Left)+len(found.Unread) != count {
			t.Errorf("%d: %d proposed, %d left, %d unread", count, len(found.Workers), len(found.Left), len(found.Unread))
		}
		proposal, err := found.Proposal()
		if err != nil {
			t.Fatalf("%d: %v", count, err)
		}
		config, _ := repoconfig.Parse(proposal.File)
		if len(config.Layout.Workers) != want || config.Layout.Workers[0].WranglerConfig != "apps/w00/wrangler.jsonc" {
			t.Errorf("%d: %+v", count, config.Layout.Workers)
		}
	}
}

// A binding to another Worker of the repository is no reason to leave its Worker out.
func TestServices(t *testing.T) {
	t.Parallel()
	found := detect(t, map[string]string{
		"api/wrangler.jsonc": `{"name": "api", "main": "a.js", "compatibility_date": "2026-10-01", "services": [{"binding": "AUTH", "service": "auth"}]}`,
		"web/wrangler.jsonc": `{"name": "auth", "main": "a.js", "compatibility_date": "2026-10-01"}`,
		"x/wrangler.jsonc":   `{"name": "x", "main": "a.js", "compatibility_date": "2026-10-01", "services": [{"binding": "A", "service": "elsewhere"}]}`,
		"api/a.js":           "", "web/a.js": "", "x/a.js": "",
	})
	if len(found.Workers) != 2 || len(found.Left) != 1 || found.Left[0].Config != "x/wrangler.jsonc" {
		t.Errorf("%+v", found)
	}
}

func TestReadsAreBounded(t *testing.T) {
	t.Parallel()
	var paths []string
	for i := range 5000 {
		paths = append(paths, fmt.Sprintf("p%d/wrangler.jsonc", i), fmt.Sprintf("p%d/.dev.vars.example", i), fmt.Sprintf("p%d/db/meta/_journal.json", i))
	}
	reads := 0
	_, err := onboard.Detect(paths, func(string) ([]byte, bool, error) {
		reads++
		return []byte(worker), true, nil
	})
	if err != nil || reads > 60 {
		t.Errorf("%d reads, %v", reads, err)
	}
	failed := errors.New("unreachable")
	if _, err := onboard.Detect(paths, func(string) ([]byte, bool, error) { return nil, false, failed }); !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
}

// FuzzDetect: whatever a repository holds, the proposed file is valid, or there is none.
func FuzzDetect(f *testing.F) {
	f.Add("apps/x", worker, "env.DATABASE_URL", "A=postgres://x")
	f.Add("a: b", `{"name": "\u0000", "main": "../../x", "vars": {"DB_URL": 1}}`, "env.A_DB_URL", "x")
	f.Add("'\"%@`", `{"main": "a", "assets": {"directory": "."}}`, "", "")
	f.Fuzz(func(t *testing.T, folder, config, code, example string) {
		files := map[string]string{folder + "/wrangler.jsonc": config, folder + "/src/index.ts": code, folder + "/.dev.vars.example": example,
			folder + "/migrations/1.sql": code, folder + "/drizzle.config.ts": code, folder + "/a.postman_collection.json": ""}
		found, err := onboard.Detect(from(files))
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Workers) == 0 {
			return
		}
		if _, err := found.Proposal(); err != nil {
			t.Errorf("%v", err)
		}
	})
}
