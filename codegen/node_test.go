package codegen_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// packages are what generated projects need, and what judges them.
var packages = []string{"zod@4.6.7", "drizzle-orm@0.45.4", "drizzle-kit@0.31.11", "postgres@3.4.9", "hono@4.13.19", "@hono/zod-openapi@1.6.3", "newman@6.2.2", "ajv@8.20.0", "ajv-formats@3.0.1",
	"typescript@7.0.2", "typescript-5@npm:typescript@5.9.3", "@modelcontextprotocol/client@2.4.0", "@modelcontextprotocol/server@2.4.0", "@neondatabase/api-client@2.7.3"}

const sharedSpecs = "../../shared/specs" // real feature folders, beside the repository on some machines

// modules are the packages in one folder for all tests of the process: npm takes longer to unpack them than some of the tests
// need.
var modules lane

type lane struct {
	once   sync.Once
	folder string
	err    error
}

func (l *lane) install() {
	if l.folder, l.err = os.MkdirTemp("", "flaresmith-codegen-"); l.err != nil {
		return
	}
	args := append([]string{"install", "--prefix", l.folder, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"}, packages...)
	if out, err := run(context.Background(), l.folder, "npm", args...); err != nil {
		l.err = fmt.Errorf("%w\n%s", err, out)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if modules.folder != "" {
		_ = os.RemoveAll(modules.folder)
	}
	os.Exit(code)
}

// install gives a folder that has the packages, or skips with the reason; in CI it fails.
func install(t testing.TB) string {
	t.Helper()
	missing := func(reason string) {
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	if testing.Short() {
		t.Skip("-short: the work is Node's: the race detector sees nothing of it")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing("there is no " + tool + " on this machine")
		}
	}
	modules.once.Do(modules.install)
	if modules.err != nil {
		missing("the packages can't be installed: " + modules.err.Error())
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(modules.folder, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// description is an OpenAPI document that the lane tries.
type description struct {
	name   string
	fsys   fs.FS
	source string
	values int // to compare, a schema
	wanted int // percent of the schemas that must agree on every value
}

// descriptions are the golden cases and neon's API; FLARESMITH_TEST_DESCRIPTIONS names a folder with
// more of them, such as GitHub's, of which some schemas have properties and no type: they are read as
// objects, which ajv does not do. The golden case "odd" holds what ajv refuses.
func descriptions(t *testing.T, modules string) []description {
	t.Helper()
	all := []description{
		{"schemas-3.1", os.DirFS(golden + "/schemas-3.1/in"), "openapi.yaml", 200, 100},
		{"schemas-3.0", os.DirFS(golden + "/schemas-3.0/in"), "openapi.json", 200, 100},
		{"rules", os.DirFS(golden + "/rules/in"), "openapi.yaml", 200, 100},
		{"inline", os.DirFS(golden + "/inline/in"), "openapi.yaml", 0, 0},
		{"odd", os.DirFS(golden + "/odd/in"), "openapi.yaml", 0, 0},
		{"nullable-references", fstest.MapFS{"openapi.json": {Data: []byte(nullableReferences)}}, "openapi.json", 50, 100},
		{"neon", os.DirFS(modules + "/node_modules/@neondatabase/api-client"), "public-v2-for-users.gen.yaml", 10, 100},
	}
	shared, err := filepath.Glob(sharedSpecs + "/*/contracts/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(shared) == 0 {
		t.Log("not tried: " + sharedSpecs + " is not there")
	}
	for i, name := range shared {
		all = append(all, description{"shared" + strconv.Itoa(i), os.DirFS(filepath.Dir(name)), "openapi.yaml", 50, 100})
	}
	if folder := os.Getenv("FLARESMITH_TEST_DESCRIPTIONS"); folder != "" {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			all = append(all, description{strings.ReplaceAll(entry.Name(), ".", "-"), os.DirFS(folder), entry.Name(), 8, 97})
		}
	}
	return all
}

// TestInNode compiles what is generated with both compilers in use, strictly, and compares every
// schema with ajv: the same values are valid, and parsing keeps them.
func TestInNode(t *testing.T) {
	t.Parallel()
	dir := install(t)
	all := descriptions(t, dir)
	var sources []string
	for _, d := range all {
		files, err := codegen.Generate(t.Context(), d.fsys, codegen.Options{OpenAPI: d.source})
		if err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		for _, f := range files.All {
			switch f.Path {
			case "schemas.ts":
				module(t, dir, d, f.Content)
			case "mcp.json":
				write(t, filepath.Join(dir, d.name+".mcp.json"), f.Content)
			}
		}
		sources = append(sources, d.name+".ts")
	}
	for _, name := range []string{"compare.mjs", "tools.mjs"} {
		script, err := os.ReadFile(filepath.Join("testdata/node", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), script)
	}
	for _, compiler := range []string{"typescript", "typescript-5"} {
		t.Run(compiler, func(t *testing.T) {
			if out, err := run(t.Context(), dir, "node", append(strictly(compiler), sources...)...); err != nil {
				t.Errorf("%v\n%.4000s", err, out)
			}
		})
	}
	for _, d := range all {
		tools := d.name + ".mcp.json"
		if _, err := os.Stat(filepath.Join(dir, tools)); err == nil {
			t.Run(tools, func(t *testing.T) {
				out, err := run(t.Context(), dir, "node", "tools.mjs", tools)
				t.Logf("tools: %.2000s", out)
				if err != nil {
					t.Error(err)
				}
			})
		}
		if d.values > 0 {
			t.Run(d.name, func(t *testing.T) { compare(t, dir, d) })
		}
	}
}

// strictly are the arguments of node for a strict compilation.
func strictly(compiler string) []string {
	return []string{"--max-old-space-size=8192", filepath.Join("node_modules", compiler, "bin", "tsc"), "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess",
		"--noEmit", "--skipLibCheck", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"}
}

// module writes a generated module as it is, and as JavaScript, and its document as JSON.
func module(t *testing.T, dir string, d description, code []byte) {
	t.Helper()
	write(t, filepath.Join(dir, d.name+".ts"), code)
	result := api.Transform(string(code), api.TransformOptions{Loader: api.LoaderTS, Format: api.FormatESModule})
	if len(result.Errors) > 0 {
		t.Fatalf("%s: %+v", d.name, result.Errors[0])
	}
	write(t, filepath.Join(dir, d.name+".mjs"), result.Code)
	data, err := fs.ReadFile(d.fsys, d.source)
	if err != nil {
		t.Fatal(err)
	}
	root, problems := spec.Parse(d.source, data)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	write(t, filepath.Join(dir, d.name+".json"), toJSON(t, root))
}

func toJSON(t testing.TB, n *spec.Node) []byte {
	t.Helper()
	var value func(n *spec.Node) any
	value = func(n *spec.Node) any {
		switch n.Kind {
		case spec.Object:
			members := make(map[string]any, len(n.Children))
			for i := range n.Children {
				members[n.Children[i].Key] = value(&n.Children[i])
			}
			return members
		case spec.Array:
			items := make([]any, len(n.Children))
			for i := range n.Children {
				items[i] = value(&n.Children[i])
			}
			return items
		case spec.String:
			return n.Text
		}
		return json.RawMessage(n.Text)
	}
	data, err := json.Marshal(value(n))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// agreement is what compare.mjs prints.
type agreement struct {
	Schemas, Perfect, Agreed, Valid, ValidAgreed, Invalid, InvalidAgreed, Parsed, Lossless int
	Missing, Threw                                                                         []string
	Disagreements                                                                          []json.RawMessage
}

// agree compares the module of name.mjs with the document document.json, some values a schema.
func agree(t testing.TB, dir, document, name string, values int) (agreement, error) {
	t.Helper()
	var got agreement
	out, err := run(t.Context(), dir, "node", "--max-old-space-size=8192", "compare.mjs", document+".json", name+".mjs", strconv.Itoa(values))
	if err == nil {
		err = json.Unmarshal([]byte(out), &got)
	}
	if err != nil {
		return got, fmt.Errorf("%w\n%.2000s", err, out)
	}
	return got, nil
}

func compare(t *testing.T, dir string, d description) {
	got, err := agree(t, dir, d.name, d.name, d.values)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d schemas perfect; %d of %d valid and %d of %d invalid values agreed on; %d of %d parsed without loss",
		got.Perfect, got.Schemas, got.ValidAgreed, got.Valid, got.InvalidAgreed, got.Invalid, got.Lossless, got.Parsed)
	if len(got.Missing) > 0 || len(got.Threw) > 0 {
		t.Errorf("missing %q, threw %q", got.Missing, got.Threw)
	}
	for _, one := range got.Disagreements[:min(5, len(got.Disagreements))] {
		t.Logf("%s", one)
	}
	if got.Perfect*100 < got.Schemas*d.wanted {
		t.Errorf("%d %% of the schemas should agree on every value", d.wanted)
	}
}

func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
