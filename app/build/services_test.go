package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Bindings between the Workers of one repository go by what their Wrangler configurations call them; any
// other Worker is refused, at its line.
func TestServices(t *testing.T) {
	t.Parallel()
	layout := preview.Layout{Workers: []preview.WorkerLayout{
		{Name: "api", WranglerConfig: "api/wrangler.jsonc", DatabaseBinding: "DATABASE_URL"}, {Name: "admin", WranglerConfig: "admin/wrangler.toml"},
		{Name: "one", WranglerConfig: "one.json"}, {Name: "two", WranglerConfig: "two.json"}, {Name: "none", WranglerConfig: "missing.json"},
	}}
	const head = "{\n\"name\": \"shop-api\", \"main\": \"a.js\", \"compatibility_date\": \"2026-10-01\",\n"
	bundle := func(config, worker string) (*preview.Bundle, error) {
		return New(Config{Packages: newShelf(t)}).Bundle(t.Context(), repo(map[string]string{
			"api/wrangler.jsonc": head + config + "}", "api/a.js": "export default {}",
			"admin/wrangler.toml": "name = \"shop-admin\"\nmain = \"a.js\"\ncompatibility_date = \"2026-10-01\"\n[[services]]\nbinding = \"API\"\nservice = \"shop-api\"\n", "admin/a.js": "export default {}",
			"one.json": `{"name": "twin"}`, "two.json": `{"name": "twin"}`,
		}), layout, worker)
	}
	both := `"services": [{"binding": "ADMIN", "service": "shop-admin"}, {"binding": "SELF", "service": "shop-api", "remote": false}]`
	for worker, want := range map[string]map[string]string{"": {"ADMIN": "admin", "SELF": ""}, "admin": {"API": ""}} {
		b, err := bundle(both, worker)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.Services); diff != "" {
			t.Errorf("%q (-want +got):\n%s", worker, diff)
		}
	}
	tests := []struct{ name, config, want string }{
		{"another Worker", `"services": [{"binding": "PAY", "service": "payments"}]`,
			`the Wrangler configuration can't be used: api/wrangler.jsonc:3:14: the service binding "PAY" leads to "payments", which is no Worker of this preview, or more than one`},
		{"a name of two", `"services": [{"binding": "T", "service": "twin"}]`,
			`the Wrangler configuration can't be used: api/wrangler.jsonc:3:14: the service binding "T" leads to "twin", which is no Worker of this preview, or more than one`},
		{"no name", `"services": [{"binding": "T"}]`,
			`the Wrangler configuration can't be used: api/wrangler.jsonc:3:14: the service binding "T" leads to "", which is no Worker of this preview, or more than one`},
		{"an entrypoint", `"services": [{"binding": "A", "service": "shop-admin", "entrypoint": "Reports"}]`,
			`the Wrangler configuration can't be used: api/wrangler.jsonc:3:14: "entrypoint" of the service binding "A" is not supported in a local preview`},
		{"the database's name", `"services": [{"binding": "DATABASE_URL", "service": "shop-admin"}]`,
			`the Wrangler configuration can't be used: api/wrangler.jsonc:3:14: the name "DATABASE_URL" is given to two things`},
		{"a variable's name", `"vars": {"A": "x"}, "services": [{"binding": "A", "service": "shop-admin"}]`,
			`the Wrangler configuration can't be used: api/wrangler.jsonc:3:34: the name "A" is given to two things`},
		{"no identifier", `"services": [{"binding": "a b", "service": "shop-admin"}]`,
			`the Wrangler configuration can't be used: api/wrangler.jsonc:3:14: the service binding "a b" is not named like an identifier`},
		{"no objects", `"services": ["shop-admin"]`,
			`the Wrangler configuration can't be used: api/wrangler.jsonc:3:14: the service binding "" is not named like an identifier`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := bundle(tt.config, "")
			if err == nil {
				t.Fatal("it is accepted")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A Worker that the layout does not name is nobody's to bundle.
func TestUnknownWorker(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Packages: newShelf(t)}).Bundle(t.Context(), repo(nil), workerLayout(), "admin"); preview.Classify(err) != preview.ClassPermanent {
		t.Errorf("error %v", err)
	}
}
