package repoconfig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

func TestParseWholeFile(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "valid", "every-key.yml"))
	if err != nil {
		t.Fatal(err)
	}
	got, problems := Parse(data)
	if diff := cmp.Diff([]preview.Problem(nil), problems); diff != "" {
		t.Fatal(diff)
	}
	want := Config{
		Policy: Policy{
			Enabled: false, TTL: 48 * time.Hour, MaxActive: 3, BaseBranches: []string{"main", "release/**"},
			Labels:     Labels{Require: []string{"preview me"}, Skip: []string{"no-preview"}},
			Paths:      Paths{Ignore: []string{"docs/**", "**/*.md"}},
			Database:   Database{Parent: "main", Data: DataSchemaOnly, Bots: Origin{Parent: "masked", Data: DataCopy}},
			Migrations: Migrations{Destructive: DestructiveRequireApproval},
			Providers:  Providers{Database: "neon", Worker: "cloudflare", Collection: "postman"},
			Environments: map[preview.EnvironmentKind]Core{
				preview.EnvironmentDev:     {Branch: "feature/**", Deploy: DeployPush},
				preview.EnvironmentStaging: {Branch: "staging", Deploy: DeployPush},
				preview.EnvironmentProd:    {Branch: "main", Deploy: DeployPush},
			},
			Bindings: Bindings{Allow: []string{"kv:0f1e2d"}},
			Secrets:  SecretsApp,
		},
		Layout: preview.Layout{Workers: []preview.WorkerLayout{{WranglerConfig: "worker/wrangler.toml", Entry: "worker/src/index.ts",
			DatabaseBinding: "PG_URL"}}, Migrations: "db/migrations", MigrationFormat: preview.MigrationsSQL,
			Seed: "db/seed.sql", Collections: ""},
		Spec: Spec{
			Targets: []string{"hono", "postman"}, Environments: []string{"dev", "preview-eu"},
			Layout: SpecLayout{Source: "worker", Schemas: "worker/generated/schemas", Routes: "worker/generated/routes", Handlers: "worker/handlers", Database: "worker/db", MCP: "tools"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestParseDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "{}", "null"} {
		got, problems := Parse([]byte(text))
		if len(problems) > 0 {
			t.Errorf("%q: %v", text, problems)
		}
		if diff := cmp.Diff(Default(), got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	got, _ := Parse([]byte("environments: {prod: {}, dev: {}}"))
	want := map[preview.EnvironmentKind]Core{
		preview.EnvironmentDev:  {Branch: "feature/*", Deploy: DeployPush},
		preview.EnvironmentProd: {Branch: "main", Deploy: DeployPromotion},
	}
	if diff := cmp.Diff(want, got.Policy.Environments); diff != "" {
		t.Error(diff)
	}
}

func TestParseWorkers(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "valid", "workers.yml"))
	if err != nil {
		t.Fatal(err)
	}
	got, problems := Parse(data)
	if diff := cmp.Diff([]preview.Problem(nil), problems); diff != "" {
		t.Fatal(diff)
	}
	want := Default().Layout
	want.Workers = []preview.WorkerLayout{
		{Name: "api", WranglerConfig: "workers/api/wrangler.jsonc", Entry: "workers/api/src/main.ts", DatabaseBinding: "PG_URL"},
		{Name: "back-office", WranglerConfig: "workers/admin/wrangler.jsonc", DatabaseBinding: "DATABASE_URL"},
		{Name: "www", WranglerConfig: "workers/www/wrangler.jsonc"},
	}
	want.Collections = "api/postman"
	if diff := cmp.Diff(want, got.Layout); diff != "" {
		t.Error(diff)
	}
}

func TestParseProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		want       []string // line:column: message | hint
	}{
		{"unknown key", "preview:\n  enabeld: true\n", []string{
			`2:3: The key "preview.enabeld" is unknown. | Did you mean "enabled"?`}},
		{"unknown key far from any", "bindings: {zzz: 1}\n", []string{
			`1:12: The key "bindings.zzz" is unknown. | Known are: allow.`}},
		{"all at once, in order", "preview:\n  ttl: 3d\n  max_active: 99\nlayout:\n  wrangler: ../x\n  entry: /etc/passwd\n", []string{
			`2:8: preview.ttl is "3d" and must be whole hours from 24h to 168h. | Write for example 72h.`,
			`3:15: preview.max_active is 99 and must be a whole number from 1 to 15. | `,
			`5:13: layout.wrangler must be a path inside the repository, such as a/b, with forward slashes and without . or .. elements. | `,
			`6:10: layout.entry must be a path inside the repository, such as a/b, with forward slashes and without . or .. elements. | `}},
		{"doubled key", "preview: {drafts: true}\npreview: {bots: true}\n", []string{
			`2:1: The key "preview" is already set on line 1. | Remove one of them.`}},
		{"misspelt scanner", "secrets: apps\n", []string{`1:10: secrets is "apps" and must be action, app or off. | Did you mean "app"?`}},
		{"binding without a kind", "bindings: {allow: [0f1e]}\n", []string{
			`1:20: bindings.allow[0] is "0f1e": write the kind, a colon and the id or name, as in "kv:0f1e2d"; kinds are kv, d1, r2, hyperdrive, queue, vectorize, dataset, service. | `}},
		{"binding of an unknown kind", "bindings: {allow: ['do:Room', 'kv:a b', 'kv:']}\n", []string{
			`1:20: bindings.allow[0] is "do:Room": write the kind, a colon and the id or name, as in "kv:0f1e2d"; kinds are kv, d1, r2, hyperdrive, queue, vectorize, dataset, service. | `,
			`1:31: bindings.allow[1] is "kv:a b": write the kind, a colon and the id or name, as in "kv:0f1e2d"; kinds are kv, d1, r2, hyperdrive, queue, vectorize, dataset, service. | `,
			`1:41: bindings.allow[2] is "kv:": write the kind, a colon and the id or name, as in "kv:0f1e2d"; kinds are kv, d1, r2, hyperdrive, queue, vectorize, dataset, service. | `}},
		{"alias", "preview: &a {drafts: true}\nbindings: *a\n", []string{
			`1:10: Anchors (&a) are not supported. | Write the value out.`,
			`2:11: Aliases (*a) are not supported. | Quote the text if it should begin with *.`}},
		{"merge key", "preview:\n  <<: {drafts: true}\n", []string{
			`2:3: Merge keys (<<) are not supported. | Write the keys out.`}},
		{"tag", "preview: {drafts: !!bool yes}\n", []string{
			`1:19: Tags (!!bool) are not supported. | Remove the tag.`}},
		{"two documents", "preview: {}\n---\nlayout: {}\n", []string{
			`2:1: The file has more than one document. | Remove the --- line and what follows it.`}},
		{"not yaml", "preview:\n\tdrafts: true\n", []string{
			`2:0: The file is not valid YAML: found character that cannot start any token. | Check the indentation and quotes around this line.`}},
		{"wrong types", "preview:\n  drafts: \"true\"\n  ttl: 72\n  base_branches: main\n  labels:\n", []string{
			`2:11: preview.drafts is text and must be true or false. | `,
			`3:8: preview.ttl is a number and must be whole hours from 24h to 168h. | Put it in quotes if it should be text.`,
			`4:18: preview.base_branches is text and must be a list of texts. | `,
			`5:10: preview.labels is empty and must be a mapping. | Give it a value or leave the key out.`}},
		{"a list at the top", "- a\n", []string{`1:1: The file is a list and must be a mapping. | `}},
		{"choice", "preview: {database: {data: cpoy}}\nenvironments: {staging: {deploy: push}}\n", []string{
			`1:28: preview.database.data is "cpoy" and must be copy or schema-only. | Did you mean "copy"?`,
			`2:26: The key "environments.staging.deploy" is unknown. | Known are: branch.`}},
		{"patterns", "preview: {base_branches: [\"!main\", \"a{b,c}\", \"[\", \"\"]}\n", []string{
			`1:27: preview.base_branches[0] begins with !, and patterns can't be negated. | `,
			`1:36: preview.base_branches[1] has braces, which are no pattern here; write one entry each. | `,
			`1:46: preview.base_branches[2] is not a valid pattern. | `,
			`1:51: preview.base_branches[3] is empty. | `}},
		{"one Worker and several", "layout:\n  entry: a.ts\n  workers:\n    - {name: api, wrangler: w.toml}\n  wrangler: x.toml\n", []string{
			`2:3: layout.workers and layout.entry can't be given together. | Write it for each Worker, under workers.`,
			`5:3: layout.workers and layout.wrangler can't be given together. | Write it for each Worker, under workers.`}},
		{"Workers", "layout:\n  workers:\n    - {name: api, wrangler: a/w.toml}\n    - {name: Api, wrangler: ../w.toml}\n    - {name: base, wrangler: b.toml}\n" +
			"    - {nmae: x}\n    - text\n", []string{
			`4:14: layout.workers[1].name must be small letters, digits and single hyphens between them, beginning with a letter, at most 20 characters. | `,
			`4:29: layout.workers[1].wrangler must be a path inside the repository, such as a/b, with forward slashes and without . or .. elements. | `,
			`5:14: layout.workers[2].name is taken: baseUrl is the address of the first Worker in the Postman environment. | `,
			`6:7: layout.workers[3].name is missing. | `,
			`6:7: layout.workers[3].wrangler is missing. | `,
			`6:8: The key "layout.workers[3].nmae" is unknown. | Did you mean "name"?`,
			`7:7: layout.workers[4] is text and must be a mapping. | `}},
		{"Workers of one name", "layout:\n  workers:\n    - {name: a-1, wrangler: a.toml}\n    - {name: a1, wrangler: b.toml}\n    - {name: a-1, wrangler: c.toml}\n", []string{
			`4:7: layout.workers[1].name is "a1", which is too much like "a-1". | Choose another name.`,
			`5:7: layout.workers[2].name is "a-1", which is too much like "a1". | Choose another name.`}},
		{"no Worker", "layout: {workers: []}\n", []string{
			`1:19: layout.workers has 0 entries and must have 1 to 5. | `}},
		{"too deep", strings.Repeat("[", 20) + strings.Repeat("]", 20), []string{
			`1:1: The file is a list and must be a mapping. | `,
			`1:14: The file is nested deeper than 12 levels. | `}},
		{"too large", "# " + strings.Repeat("x", 64<<10), []string{
			`1:1: The file is larger than 64 kB. | Remove what is not needed.`}},
		{"not UTF-8", "\xff\xfe", []string{`1:1: The file is not UTF-8. | Save the file as UTF-8.`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config, problems := Parse([]byte(test.file))
			var got []string
			for _, p := range problems {
				if p.Path != Path {
					t.Errorf("path is %q", p.Path)
				}
				got = append(got, fmt.Sprintf("%d:%d: %s | %s", p.Line, p.Column, p.Message, p.Hint))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(Default(), config); diff != "" {
				t.Errorf("with problems the configuration is not the default: %s", diff)
			}
		})
	}
}

func TestManyProblemsAreBounded(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	for i := range 500 {
		fmt.Fprintf(&file, "key%d: 1\n", i)
	}
	if _, problems := Parse([]byte(file.String())); len(problems) != maxProblems {
		t.Errorf("%d problems", len(problems))
	}
}

func TestBranchMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, branch string
		want            bool
	}{
		{"main", "main", true},
		{"main", "Main", false},
		{"*", "main", true},
		{"*", "release/1", false},
		{"**", "release/1", true},
		{"feature/*", "feature/a", true},
		{"feature/*", "feature/a/b", false},
		{"feature/**", "feature/a/b", true},
		{"release/v[0-9]", "release/v1", true},
		{"[", "[", false},
	}
	for _, test := range tests {
		if got := BranchMatches(test.pattern, test.branch); got != test.want {
			t.Errorf("BranchMatches(%q, %q) = %t", test.pattern, test.branch, got)
		}
	}
}

func TestIgnoresAll(t *testing.T) {
	t.Parallel()
	policy := Policy{Paths: Paths{Ignore: []string{"docs/**", "**/*.md"}}}
	tests := []struct {
		name  string
		files []string
		want  bool
	}{
		{"all match", []string{"docs/a/b.png", "README.md", "x/y.md"}, true},
		{"one does not", []string{"README.md", "src/index.ts"}, false},
		{"nothing touched", nil, false},
	}
	for _, test := range tests {
		if got := policy.IgnoresAll(test.files); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "preview: {ttl: 24h}", "a: &x [*x]", "? [a]\n: b", "<<: {a: b}", "preview:\n  labels: {require: [a, 1]}", "%YAML 1.1\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		config, problems := Parse(data)
		if len(problems) > maxProblems {
			t.Fatalf("%d problems", len(problems))
		}
		for _, p := range problems {
			if p.Path != Path || p.Line < 1 || p.Column < 0 || p.Message == "" || len(p.Message) > 1000 {
				t.Fatalf("bad problem %+v", p)
			}
		}
		l := config.Layout
		paths := []string{l.Migrations, l.Seed, l.Collections}
		for _, w := range l.Workers {
			paths = append(paths, w.WranglerConfig, w.Entry)
		}
		for _, path := range paths {
			if path != "" && !filepath.IsLocal(path) {
				t.Fatalf("path %q leaves the repository", path)
			}
		}
		if config.Policy.TTL < 24*time.Hour || config.Policy.TTL > 168*time.Hour || config.Policy.MaxActive < 1 || config.Policy.MaxActive > 15 {
			t.Fatalf("limits: %+v", config.Policy)
		}
	})
}
