package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

func TestParseWrangler(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, path, text string }{
		{"jsonc", "apps/api/wrangler.jsonc", `{ // comment
			"name": "x", "main": "src/a.ts", "compatibility_date": "2025-10-01", "compatibility_flags": ["nodejs_compat"],
			"vars": {"A": "a", "B": {"c": [1]}, "DATABASE_URL": "mine"}, "kv_namespaces": [], "durable_objects": {"bindings": []},
			"alias": {"x": "./y"}, "define": {"V": "\"1\""}, "rules": [{"type": "Text", "globs": ["**/*.md"]}], }`},
		{"toml", "apps/api/wrangler.toml", `
name = "x"
main = "./src/a.ts" # comment
compatibility_date = 2025-10-01
compatibility_flags = ["nodejs_compat"]
alias = { x = "./y" }
kv_namespaces = []
[define]
V = '"1"'
[[rules]]
type = "Text"
globs = ["**/*.md"]
[vars]
A = "a"
B = { c = [1] }
DATABASE_URL = "mine"
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, problems := parseWrangler(preview.WorkerLayout{WranglerConfig: tt.path, DatabaseBinding: "DATABASE_URL"}, []byte(tt.text), nil, preview.Allowance{})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			want := &wrangler{
				path: tt.path, main: "apps/api/src/a.ts", date: "2025-10-01", flags: []string{"nodejs_compat"},
				vars: map[string]string{"A": "a"}, jsonVars: map[string]string{"B": `{"c":[1]}`},
				alias: map[string]string{"x": "./y"}, define: map[string]string{"V": `"1"`},
				assets: map[string]preview.ModuleType{".wasm": "wasm", ".bin": "data", ".txt": "text", ".html": "text", ".sql": "text", ".md": "text"},
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(wrangler{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseWranglerProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path, text string
		want             []string // "line: message"
	}{
		{"everything at once", "wrangler.json", `{
  "main": "../../etc/x.ts",
  "build": {"command": "npm run build"},
  "kv_namespaces": [{"binding": "CACHE", "id": "1"}, {"binding": "OTHER", "id": "2"}],
  "durable_objects": {
    "bindings": [{"name": "ROOM", "class_name": "Room"}]
  },
  "ai": {"binding": "AI"},
  "vars": {"not ok": "x"},
  "define": {"fetchIt": "require"}
}`, []string{
			`wrangler.json: "compatibility_date" is missing: without it the Worker would run as in 2021`,
			`wrangler.json:2:3: "main" is "../../etc/x.ts", which is no path inside the repository`,
			`wrangler.json:3:13: a build command is never run for a preview`,
			`wrangler.json:4:21: the KV namespace "CACHE" is not allowed in a local preview: it would be undefined`,
			`wrangler.json:4:54: the KV namespace "OTHER" is not allowed in a local preview: it would be undefined`,
			`wrangler.json:6:18: the Durable Object "ROOM" is not allowed in a local preview: it would be undefined`,
			`wrangler.json:8:3: the Workers AI binding "AI" is not allowed in a local preview: it would be undefined`,
			`wrangler.json:9:12: the variable "not ok" is not named like an identifier`,
			`wrangler.json:10:14: the definition of "fetchIt" is no JSON value`,
		}},
		{"toml bindings", "wrangler.toml", "main = \"a.ts\"\ncompatibility_date = \"today\"\n\n[[r2_buckets]]\nbinding = \"FILES\"\n", []string{
			`wrangler.toml:2:1: "today" is no date of the form yyyy-mm-dd`,
			`wrangler.toml:4:3: the R2 bucket "FILES" is not allowed in a local preview: it would be undefined`,
		}},
		{"no JSON", "wrangler.json", "{\n  \"main\": }", []string{`wrangler.json:2:11: the file is no valid JSON: `}},
		{"no TOML", "wrangler.toml", "main = \"a\"\nx = = 1", []string{`wrangler.toml:2:5: the file is no valid TOML: `}},
		{"a list", "wrangler.json", "[]", []string{`wrangler.json: the file holds no object`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problems := parseWrangler(preview.WorkerLayout{WranglerConfig: tt.path}, []byte(tt.text), nil, preview.Allowance{})
			var got []string
			for i, p := range problems {
				s := p.String()
				if i < len(tt.want) && len(s) > len(tt.want[i]) && len(tt.want) == 1 {
					s = s[:len(tt.want[i])]
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOffersNode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, date string
		flags      []string
		want       bool
	}{
		{"asked for", "2025-01-01", []string{"nodejs_compat"}, true},
		{"not asked for", "2026-08-03", nil, false},
		{"by default", "2026-08-04", nil, true},
		{"turned off", "2026-08-04", []string{"no_nodejs_compat"}, false},
	} {
		if got := (&wrangler{date: tt.date, flags: tt.flags}).offersNode(); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func FuzzParseWrangler(f *testing.F) {
	f.Add(true, true, `{"main": "a.ts", "compatibility_date": "2025-01-01", "rules": [{"type": "Text", "globs": [1]}]}`)
	f.Add(true, false, `{"compatibility_date": "2025-01-01", "assets": {"directory": "./public", "run_worker_first": ["/api/*", "!/x"]}}`)
	f.Add(true, false, `{"main": "a.ts", "compatibility_date": "2025-01-01", "services": [{"binding": "B", "service": "other"}]}`)
	f.Add(true, true, `{"main": "a.ts", "compatibility_date": "2025-01-01", "env": {"preview": {"kv_namespaces": [{"binding": "K", "id": "a"}, 1], "services": [{"binding": "S", "service": "b"}]}}}`)
	f.Add(true, false, `{"main": "a.ts", "compatibility_date": ""}`)
	f.Add(false, true, "main = \"a\"\n[vars]\n\"a.b\" = 1\n[[x.y]]\nz = {a.b = nan}")
	f.Fuzz(func(t *testing.T, jsonc, account bool, text string) {
		name := "wrangler.toml"
		if jsonc {
			name = "wrangler.jsonc"
		}
		w, problems := parseWrangler(preview.WorkerLayout{WranglerConfig: name}, []byte(text), map[string]string{"other": "other"}, preview.Allowance{Account: account, Section: "preview", Allow: []string{"kv:a", "service:b"}})
		if len(problems) == 0 && ((w.main == "" && w.static == nil) || w.date == "") {
			t.Errorf("accepted without date, or main and assets: %+v", w)
		}
		for _, p := range problems {
			if p.Path != name || p.Line < 0 || p.Message == "" {
				t.Errorf("problem %+v", p)
			}
		}
	})
}
