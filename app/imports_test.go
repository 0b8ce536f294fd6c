package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/flaresmith/flaresmith/"

// allowed says which packages of the module each package may import: the arrows of the flow. A
// package that is not listed has no place in the design yet.
var allowed = map[string][]string{
	"action":                    {"action/secretscan", "action/workflow", "app/repoconfig", "codegen", "codegen/drift", "codegen/spec"},
	"action/secretscan":         {},
	"action/secretscan/rulegen": {},
	"action/workflow":           {"app/report"},
	"app":                       {"app/config", "app/demo", "app/preview", "app/server", "app/telemetry"},
	"app/build":                 {"app/preview", "app/npm"},
	"app/config":                {"app/preview", "app/secretbox", "app/spelling"},
	"app/dashboard":             {"app/preview"},
	"app/demo": {"app/config", "app/embedded", "app/npm", "app/preview", "app/server", "app/sim/cloudflare", "app/sim/github",
		"app/sim/neon", "app/sim/postman"},
	"app/desired":               {"app/preview", "app/repoconfig"},
	"app/embedded":              {"app/preview", "app/npm"},
	"app/embedded/embeddedtest": {"app/embedded", "app/npm"},
	"app/inbox":                 {"app/preview", "app/store", "app/telemetry"},
	"app/migration":             {"app/preview"},
	"app/migrator":              {"app/migration", "app/preview"},
	"app/npm":                   {},
	"app/onboard":               {"app/build", "app/preview", "app/repoconfig", "app/report"},
	"app/outbound":              {},
	"app/plan":                  {"app/preview"},
	"app/postmanfile":           {"app/preview"},
	"app/preview":               {},
	"app/provider/cloudflare":   {"app/outbound", "app/preview"},
	"app/provider/collection":   {"app/postmanfile", "app/preview"},
	"app/provider/github":       {"app/outbound", "app/preview", "app/report", "app/repoconfig", "app/telemetry"},
	"app/provider/neon":         {"app/migration", "app/migrator", "app/outbound", "app/preview"},
	"app/provider/postgres":     {"app/migration", "app/migrator", "app/preview"},
	"app/provider/postman":      {"app/outbound", "app/postmanfile", "app/preview"},
	"app/provider/providertest": {"app/preview"},
	"app/provider/workerd":      {"app/preview"},
	"app/racetest":              {},
	"app/reconcile":             {"app/preview", "app/repoconfig", "app/desired", "app/plan", "app/report", "app/telemetry"},
	"app/replicas":              {"app/outbound"},
	"app/repoconfig":            {"app/preview", "app/spelling"},
	"app/report":                {"app/preview", "app/plan"},
	"app/scan":                  {"action/secretscan", "app/preview", "app/repoconfig", "app/report"},
	"app/secretbox":             {},
	"app/server": {"app/build", "app/config", "app/dashboard", "app/embedded", "app/inbox", "app/migrator", "app/npm", "app/onboard", "app/outbound", "app/plan", "app/preview",
		"app/provider/cloudflare", "app/provider/collection", "app/provider/github", "app/provider/neon", "app/provider/postgres", "app/provider/postman",
		"app/provider/workerd", "app/reconcile", "app/replicas", "app/scan", "app/secretbox", "app/setup", "app/specsync", "app/store", "app/telemetry",
		"app/telemetry/otlp", "handlers"},
	"app/setup":                    {"app/dashboard", "app/preview", "app/secretbox", "app/store"},
	"app/sim/cloudflare":           {"app/preview", "app/sim/fault"},
	"app/sim/fault":                {},
	"app/sim/github":               {"app/preview", "app/sim/fault", "app/sim/openapi"},
	"app/sim/github/openapi/slice": {"app/sim/github"},
	"app/sim/neon":                 {"app/embedded", "app/preview", "app/sim/fault", "app/sim/openapi"},
	"app/sim/openapi":              {},
	"app/sim/postman":              {"app/preview", "app/sim/fault"},
	"app/specsync":                 {"app/preview", "app/repoconfig", "app/report", "codegen", "codegen/drift", "codegen/spec"}, // no other of app sees codegen
	"app/spelling":                 {},
	"app/store":                    {"app/preview", "app/telemetry", "migrations"},
	"app/store/storetest":          {"app/embedded/embeddedtest", "app/preview", "app/store"},
	"app/telemetry":                {"app/preview"},
	"app/telemetry/otlp":           {"app/preview", "app/telemetry"},
	"app/telemetry/otlp/otlptest":  {},
	"codegen":                      {"codegen/drift", "codegen/ir", "codegen/spec", "codegen/target"},
	"codegen/drift":                {"codegen/spec"},
	"codegen/ir":                   {"codegen/spec"},
	"codegen/spec":                 {},
	"codegen/target":               {"codegen/ir", "codegen/spec"},
	"handlers":                     {"app/preview"},
	"migrations":                   {},
}

// TestImports keeps the arrows of the flow: providers never see each other, handlers never call
// providers, pure steps stay pure.
func TestImports(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		folder := path.Dir(name)
		seen[folder] = true
		may, known := allowed[folder]
		if !known {
			t.Errorf("%s: package %s is not in the table of the design", name, folder)
			return nil
		}
		for _, imported := range importsOf(t, filepath.Join(root, name)) {
			if !slices.Contains(may, imported) {
				t.Errorf("%s: %s must not import %s", name, folder, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder := range allowed {
		if !seen[folder] {
			t.Errorf("the table lists %s, which does not exist", folder)
		}
	}
}

// importsOf lists what a file imports of this module.
func importsOf(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if rest, ok := strings.CutPrefix(name, module); ok {
			list = append(list, rest)
		}
	}
	return list
}

// TestActionIsSmall keeps the server's weight out of the binary that workflow steps run. What it shares with the
// server is how a repository's configuration is read, and how text of unknown origin becomes Markdown.
func TestActionIsSmall(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../action").Output()
	if err != nil {
		t.Fatal(err)
	}
	light := []string{module + "app/report", module + "app/preview", module + "app/repoconfig", module + "app/spelling"}
	for dependency := range strings.Lines(string(out)) {
		if slices.Contains(light, strings.TrimSpace(dependency)) {
			continue
		}
		for _, heavy := range []string{"github.com/jackc/pgx", "github.com/gin-gonic/gin", module + "app/"} {
			if strings.HasPrefix(dependency, heavy) {
				t.Errorf("the action links %s", strings.TrimSpace(dependency))
			}
		}
	}
}
