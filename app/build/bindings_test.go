package build

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

const bindingsHead = `"name": "shop", "main": "a.js", "compatibility_date": "2026-10-01"`

// What the head binds its Worker to counts where the default branch lists exactly that.
func TestBindings(t *testing.T) {
	t.Parallel()
	allow := []string{"kv:0f1e", "d1:ab-12", "r2:files-preview", "hyperdrive:77aa", "queue:jobs-preview", "vectorize:index", "dataset:clicks", "service:mailbox-preview"}
	everything := []preview.Binding{
		{Name: "CACHE", Kind: preview.BindKV, Target: "0f1e"}, {Name: "CLICKS", Kind: preview.BindDataset, Target: "clicks"},
		{Name: "DB", Kind: preview.BindD1, Target: "ab-12"}, {Name: "FILES", Kind: preview.BindR2, Target: "files-preview"},
		{Name: "JOBS", Kind: preview.BindQueue, Target: "jobs-preview"}, {Name: "MAIL", Kind: preview.BindService, Target: "mailbox-preview"},
		{Name: "PG", Kind: preview.BindHyperdrive, Target: "77aa"}, {Name: "SEARCH", Kind: preview.BindVectorize, Target: "index"},
	}
	cache := []preview.Binding{{Name: "CACHE", Kind: preview.BindKV, Target: "0f1e"}}
	tests := []struct {
		name, path, text string
		want             []preview.Binding
	}{
		{"all kinds", "wrangler.jsonc", `{` + bindingsHead + `, // comment
			"kv_namespaces": [{"binding": "CACHE", "id": "0f1e", "remote": true}],
			"d1_databases": [{"binding": "DB", "database_name": "x", "database_id": "ab-12", "migrations_dir": "m"}],
			"r2_buckets": [{"binding": "FILES", "bucket_name": "files-preview"}],
			"hyperdrive": [{"binding": "PG", "id": "77aa", "localConnectionString": "postgres://localhost/x"}],
			"queues": {"producers": [{"binding": "JOBS", "queue": "jobs-preview"}]},
			"vectorize": [{"binding": "SEARCH", "index_name": "index"}],
			"analytics_engine_datasets": [{"binding": "CLICKS", "dataset": "clicks"}],
			"services": [{"binding": "MAIL", "service": "mailbox-preview"}]}`, everything},
		{"toml", "wrangler.toml", "main = \"a.js\"\ncompatibility_date = \"2026-10-01\"\n[[kv_namespaces]]\nbinding = \"CACHE\"\nid = \"0f1e\"\n", cache},
		{"a replacement beside production's", "wrangler.json", `{` + bindingsHead + `, "kv_namespaces": [{"binding": "CACHE", "id": "production", "preview_id": "0f1e"}]}`, cache},
		{"a section", "wrangler.json", `{` + bindingsHead + `, "kv_namespaces": [{"binding": "CACHE", "id": "production"}], "durable_objects": {"bindings": [{"name": "ROOM", "class_name": "R"}]},
			"env": {"preview": {"kv_namespaces": [{"binding": "CACHE", "id": "0f1e"}]}}}`, cache},
		{"a section in toml", "wrangler.toml", "main = \"a.js\"\ncompatibility_date = \"2026-10-01\"\n[[kv_namespaces]]\nbinding = \"CACHE\"\nid = \"production\"\n[[env.preview.kv_namespaces]]\nbinding = \"CACHE\"\nid = \"0f1e\"\n", cache},
		{"a section inherits no binding", "wrangler.json", `{` + bindingsHead + `, "kv_namespaces": [{"binding": "CACHE", "id": "production"}], "env": {"preview": {}}}`, nil},
		{"another section is not deployed", "wrangler.json", `{` + bindingsHead + `, "env": {"production": {"kv_namespaces": [{"binding": "CACHE", "id": "production"}]}}}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, problems := parseWrangler(preview.WorkerLayout{WranglerConfig: tt.path, DatabaseBinding: "DATABASE_URL"}, []byte(tt.text), nil,
				preview.Allowance{Account: true, Allow: allow, Section: preview.PreviewSection})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(tt.want, w.bindings); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A section stands in place of the top level: what it names is deployed and checked, what it lacks is Wrangler's to inherit.
func TestSection(t *testing.T) {
	t.Parallel()
	const text = `{` + bindingsHead + `, "vars": {"STAGE": "production"}, "build": {"command": "x"},
		"env": {"preview": {"main": "b.js", "vars": {"STAGE": "preview"}, "build": {}}}}`
	for section, want := range map[string]string{"": "a.js production 1", "preview": "b.js preview 0", "other": "a.js production 1"} {
		w, problems := parseWrangler(preview.WorkerLayout{WranglerConfig: "wrangler.json"}, []byte(text), nil, preview.Allowance{Section: section})
		if got := w.main + " " + w.vars["STAGE"] + " " + string(rune('0'+len(problems))); got != want {
			t.Errorf("section %q: %s instead of %s", section, got, want)
		}
	}
}

func TestBindingsRefused(t *testing.T) {
	t.Parallel()
	list := []string{"kv:0f1e", "kv:same", "r2:same", "service:mail"}
	const unlisted = ", which bindings.allow of the default branch does not list"
	tests := []struct{ name, path, config, want string }{
		{"another account's id", "w.json", `"kv_namespaces": [{"binding": "CACHE", "id": "beef"}]`, `w.json:2:19: the KV namespace "CACHE" leads to "beef"` + unlisted},
		{"the second of two", "w.json", "\"kv_namespaces\": [{\"binding\": \"CACHE\", \"id\": \"0f1e\"},\n{\"binding\": \"OTHER\", \"id\": \"beef\"}]", `w.json:3:1: the KV namespace "OTHER" leads to "beef"` + unlisted},
		{"an id of another kind", "w.json", `"d1_databases": [{"binding": "DB", "database_id": "0f1e"}]`, `w.json:2:18: the D1 database "DB" leads to "0f1e"` + unlisted},
		{"other letters", "w.json", `"kv_namespaces": [{"binding": "CACHE", "id": "0F1E"}]`, `w.json:2:19: the KV namespace "CACHE" leads to "0F1E"` + unlisted},
		{"a space after it", "w.json", `"kv_namespaces": [{"binding": "CACHE", "id": "0f1e "}]`, `w.json:2:19: the KV namespace "CACHE" leads to "0f1e "` + unlisted},
		{"an entry as an id", "w.json", `"kv_namespaces": [{"binding": "CACHE", "id": "same,kv:0f1e"}]`, `w.json:2:19: the KV namespace "CACHE" leads to "same,kv:0f1e"` + unlisted},
		{"a listed id behind production's", "w.json", `"kv_namespaces": [{"binding": "CACHE", "id": "0f1e", "preview_id": "beef"}]`, `w.json:2:19: the KV namespace "CACHE" leads to "beef"` + unlisted},
		{"no id", "w.json", `"kv_namespaces": [{"binding": "CACHE"}]`, `w.json:2:19: the KV namespace "CACHE" names nothing that it could be bound to`},
		{"an id that is no text", "w.json", `"kv_namespaces": [{"binding": "CACHE", "id": ["0f1e"]}]`, `w.json:2:19: the KV namespace "CACHE" names nothing that it could be bound to`},
		{"no object", "w.json", `"kv_namespaces": ["0f1e"]`, `w.json:2:19: the KV namespace "" is not named like an identifier`},
		{"a field that may lead elsewhere", "w.json", `"r2_buckets": [{"binding": "FILES", "bucket_name": "same", "jurisdiction": "eu"}]`, `w.json:2:16: "jurisdiction" of the R2 bucket "FILES" is not supported in a preview`},
		{"the database's name", "w.json", `"kv_namespaces": [{"binding": "DATABASE_URL", "id": "0f1e"}]`, `w.json:2:19: the name "DATABASE_URL" is given to two things`},
		{"a variable's name", "w.json", "\"kv_namespaces\": [{\"binding\": \"A\", \"id\": \"0f1e\"}],\n\"vars\": {\"A\": \"x\"}", `w.json:2:19: the name "A" is given to two things`},
		{"one name for two", "w.json", `"kv_namespaces": [{"binding": "A", "id": "0f1e"}], "r2_buckets": [{"binding": "A", "bucket_name": "same"}]`, `w.json:2:67: the name "A" is given to two things`},
		{"one name for two Workers", "w.json", `"services": [{"binding": "A", "service": "mail"}, {"binding": "A", "service": "mail"}]`, `w.json:2:51: the name "A" is given to two things`},
		{"another Worker of the account", "w.json", `"services": [{"binding": "PAY", "service": "payments"}]`,
			`w.json:2:14: the service binding "PAY" leads to "payments", which is no Worker of this preview, or more than one, and` + strings.TrimPrefix(unlisted, ",")},
		{"a Durable Object", "w.json", `"durable_objects": {"bindings": [{"name": "ROOM", "class_name": "R", "script_name": "production"}]}`,
			`w.json:2:34: the Durable Object "ROOM" is not allowed in a preview: there is nothing of the preview's own to bind it to`},
		{"in the section", "w.json", "\"kv_namespaces\": [{\"binding\": \"CACHE\", \"id\": \"0f1e\"}],\n\"env\": {\"preview\": {\n\"kv_namespaces\": [{\"binding\": \"CACHE\", \"id\": \"beef\"}]}}",
			`w.json:4:19: the KV namespace "CACHE" leads to "beef"` + unlisted},
		{"in toml", "w.toml", "[[kv_namespaces]]\nbinding = \"CACHE\"\nid = \"0f1e\"\n[[kv_namespaces]]\nbinding = \"OTHER\"\nid = \"beef\"", `w.toml:6:3: the KV namespace "OTHER" leads to "beef"` + unlisted},
		{"in a section of toml", "w.toml", "[[env.preview.r2_buckets]]\nbinding = \"FILES\"\nbucket_name = \"files\"", `w.toml:3:3: the R2 bucket "FILES" leads to "files"` + unlisted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := "{" + bindingsHead + ",\n" + tt.config + "}"
			if strings.HasSuffix(tt.path, "toml") {
				text = "main = \"a.js\"\ncompatibility_date = \"2026-10-01\"\n" + tt.config
			}
			_, problems := parseWrangler(preview.WorkerLayout{WranglerConfig: tt.path, DatabaseBinding: "DATABASE_URL"}, []byte(text), nil,
				preview.Allowance{Account: true, Allow: list, Section: preview.PreviewSection})
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What bindings.allow lists and the operator does not offer is refused with whom to ask.
func TestWithheldBindings(t *testing.T) {
	t.Parallel()
	const config = `"kv_namespaces": [{"binding": "CACHE", "id": "0f1e"}], "services": [{"binding": "MAIL", "service": "mail"}]`
	w, problems := parseWrangler(preview.WorkerLayout{WranglerConfig: "w.json"}, []byte("{"+bindingsHead+", "+config+"}"), nil,
		preview.Allowance{Account: true, Allow: []string{"kv:beef"}, Withheld: []string{"kv:0f1e", "service:mail"}})
	for i, want := range []string{
		`the service binding "MAIL" leads to "mail", which bindings.allow lists and the operator does not offer here: remove it, or ask the operator of this Flaresmith server to list "service:mail"`,
		`the KV namespace "CACHE" leads to "0f1e", which bindings.allow lists and the operator does not offer here: remove it, or ask the operator of this Flaresmith server to list "kv:0f1e"`,
	} {
		if len(problems) != 2 || !strings.Contains(problems[i].Message+": "+problems[i].Hint, want) {
			t.Errorf("got %+v, want %s", problems, want)
		}
	}
	if len(w.bindings)+len(w.services) > 0 {
		t.Errorf("bound to %v, %v", w.bindings, w.services)
	}
}

// Where previews run on this machine there is nothing to bind to, whatever is listed.
func TestBindingsOfLocalPreview(t *testing.T) {
	t.Parallel()
	const config = `"kv_namespaces": [{"binding": "CACHE", "id": "0f1e"}], "services": [{"binding": "MAIL", "service": "mail"}]`
	w, problems := parseWrangler(preview.WorkerLayout{WranglerConfig: "w.json"}, []byte("{"+bindingsHead+", "+config+"}"), nil,
		preview.Allowance{Allow: []string{"kv:0f1e", "service:mail"}})
	if len(problems) != 2 || len(w.bindings) > 0 || !strings.Contains(problems[0].Message+problems[1].Message, "is not allowed in a local preview") {
		t.Errorf("%v, bound to %v", problems, w.bindings)
	}
}
