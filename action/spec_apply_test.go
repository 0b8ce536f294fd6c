package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/codegen"
)

const contract = `openapi: 3.1.0
info: { title: Shop, version: "1" }
components: { schemas: { Product: { type: object, properties: { name: { type: string } } } } }
`

// checkout is a Git repository with one feature.
type checkout struct {
	t   *testing.T
	dir string
}

func newCheckout(t *testing.T) checkout {
	t.Helper()
	needsGit(t)
	c := checkout{t: t, dir: t.TempDir()}
	c.git("init", "--quiet")
	c.write("specs/001-shop/contracts/openapi.yaml", contract)
	c.commit()
	return c
}

func (c checkout) git(args ...string) {
	c.t.Helper()
	git(c.t, c.dir, args...)
}

func (c checkout) commit() {
	c.t.Helper()
	c.git("add", "--all")
	c.git("commit", "--quiet", "--allow-empty", "--message", "a state")
}

func (c checkout) write(path, content string) {
	c.t.Helper()
	writeFile(c.t, filepath.Join(c.dir, path), content)
}

func (c checkout) read(path string) string {
	c.t.Helper()
	return readFile(c.t, filepath.Join(c.dir, path))
}

func noEnvironment(string) string { return "" }

// runLine runs a command line and returns the exit code and what was printed.
func runLine(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := run(t.Context(), streams{in: strings.NewReader(""), out: &out, err: &out}, noEnvironment, args...)
	return code, out.String()
}

func (c checkout) apply(want int, args ...string) string {
	c.t.Helper()
	code, out := runLine(c.t, append([]string{"spec-apply", "--dir", c.dir}, args...)...)
	if code != want {
		c.t.Fatalf("%s: exit code %d, want %d\n%s", args, code, want, out)
	}
	return out
}

const generated = "src/schemas/001-shop.ts"

func TestSpecApply(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.apply(exitFound, "--check")
	c.apply(exitFound, "--dry-run")
	if _, err := os.Stat(filepath.Join(c.dir, "src")); err == nil {
		t.Fatal("a check wrote something")
	}
	c.apply(exitOK)
	if out := c.apply(exitOK, "--check"); out != "" {
		t.Errorf("a check of a clean folder printed %q", out)
	}
	first := c.read(generated)
	if !strings.Contains(first, "export const Product = z.looseObject({\n  name: z.string().optional(),\n})") {
		t.Errorf("got\n%s", first)
	}

	// What was generated and not committed yet may be generated again.
	c.write("specs/001-shop/contracts/openapi.yaml", strings.Replace(contract, "name:", "title:", 1))
	var report struct {
		ChangedFiles []map[string]any
		Conflicts    []map[string]any
		Notes        []map[string]any
		Summary      map[string]any
		AppliedAt    *string
	}
	if err := json.Unmarshal([]byte(c.apply(exitFound, "--dry-run", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]map[string]any{{"path": generated, "changeType": "modified", "linesAdded": 2.0, "linesRemoved": 2.0}}, report.ChangedFiles); diff != "" {
		t.Error(diff)
	}
	want := map[string]any{"totalFiles": 1.0, "filesCreated": 0.0, "filesModified": 1.0, "filesDeleted": 0.0, "hasConflicts": false, "status": "drift"}
	if diff := cmp.Diff(want, report.Summary); diff != "" || report.AppliedAt != nil {
		t.Errorf("applied at %v\n%s", report.AppliedAt, diff)
	}
	if err := json.Unmarshal([]byte(c.apply(exitOK, "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.Summary["status"] != "clean" || report.AppliedAt == nil {
		t.Errorf("after apply: %+v at %v", report.Summary, report.AppliedAt)
	}

	// A removed spec cleans up after itself.
	c.write("specs/002-more/contracts/openapi.yaml", contract)
	c.apply(exitOK)
	if err := os.RemoveAll(filepath.Join(c.dir, "specs", "001-shop")); err != nil {
		t.Fatal(err)
	}
	c.apply(exitOK)
	if _, err := os.Stat(filepath.Join(c.dir, generated)); err == nil {
		t.Error("the file of a removed spec is still there")
	}
}

func TestSpecApplyInterrupted(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	code := run(ctx, streams{in: strings.NewReader(""), out: &out, err: &out}, noEnvironment, "spec-apply", "--dir", c.dir)
	if code != exitFailed || !strings.Contains(out.String(), "specs/001-shop/contracts/openapi.yaml: the run was ended while ") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	for _, name := range []string{"src", "mcp", "postman", ".flaresmith.json"} {
		if _, err := os.Stat(filepath.Join(c.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was written: %v", name, err)
		}
	}
}

func TestSpecApplyConflicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(c checkout)
		reason  string
	}{
		{"changed by hand and committed", func(c checkout) {
			c.apply(exitOK)
			c.write(generated, c.read(generated)+"// mine\n")
			c.commit()
		}, "MANUAL_DIVERGENCE"},
		{"changed by hand and not committed", func(c checkout) {
			c.apply(exitOK)
			c.commit()
			c.write(generated, c.read(generated)+"// mine\n")
		}, "UNCOMMITTED_LOCAL_CHANGES"},
		{"hand-made and committed", func(c checkout) {
			c.write(generated, "// mine\n")
			c.commit()
		}, "MANUAL_DIVERGENCE"},
		{"hand-made and not committed", func(c checkout) { c.write(generated, "// mine\n") }, "UNCOMMITTED_LOCAL_CHANGES"},
		{"hand-made and ignored", func(c checkout) {
			c.write(".gitignore", "src/\n")
			c.write(generated, "// mine\n")
			c.commit()
		}, "UNCOMMITTED_LOCAL_CHANGES"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCheckout(t)
			tt.prepare(c)
			before := c.read(generated)
			c.write("specs/002-more/contracts/openapi.yaml", contract)
			for _, args := range [][]string{{"--check"}, {"--dry-run"}, {}, {}, {"--check"}} {
				if out := c.apply(exitConflicts, args...); !strings.Contains(out, tt.reason) {
					t.Errorf("%s: got\n%s", args, out)
				}
			}
			if c.read(generated) != before {
				t.Error("the file was overwritten")
			}
			if _, err := os.Stat(filepath.Join(c.dir, "src/schemas/002-more.ts")); err == nil {
				t.Error("the other file was written all the same")
			}
		})
	}
}

func TestSpecApplyErrors(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.write("specs/001-shop/contracts/openapi.yaml", strings.Replace(contract, "string", "text", 1))
	c.write("specs/002-more/contracts/openapi.yaml", "openapi: 3.1.0\na: [\n")
	if out := c.apply(exitFailed); !strings.Contains(out, `specs/001-shop/contracts/openapi.yaml:3:79: "text" is no type`) ||
		!strings.Contains(out, "specs/002-more/contracts/openapi.yaml:") {
		t.Errorf("got\n%s", out)
	}
}

// TestSpecApplyUsage has flags that are wrong, or would do nothing: none is ignored.
func TestSpecApplyUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "shop.yaml"), filepath.Join(dir, "out")
	writeFile(t, source, contract)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--no-such-flag"}, "unknown flag: --no-such-flag"},
		{[]string{"argument"}, `spec-apply takes no arguments, and got "argument": --dir names the folder that holds specs/, --openapi a document`},
		{[]string{"--dir="}, "--dir has no value"},
		{[]string{"--dir", filepath.Join(dir, "none")}, "--dir: there is no folder " + filepath.Join(dir, "none")},
		{[]string{"--openapi=", "--out", out}, "--openapi has no value"},
		{[]string{"--openapi", source, "--out="}, "--out has no value"},
		{[]string{"--openapi", source, "--out", out, "--target="}, "--target has no value"},
		{[]string{"--openapi", source, "--out", out, "--target", "cobol"}, `there is no target "cobol"`},
		{[]string{"--openapi", source, "--out", out, "--dry-run", "--check"}, "--dry-run and --check: give one"},
		{[]string{"--openapi", source}, "--openapi needs --out"},
		{[]string{"--openapi", source, "--out", out, "--dir", dir}, "--dir says where specs/ is"},
		{[]string{"--openapi", source, "--out", out, "--by-trust"}, "--by-trust is about data-model.md"},
		{[]string{"--openapi", source, "--out", out, "--target", "drizzle"}, "--target drizzle: tables come from data-model.md"},
		{[]string{"--openapi", source, "--out", source}, "--out: " + source + " is no folder"},
		{[]string{"--openapi", filepath.Join(dir, "none.yaml"), "--out", out}, "--openapi: there is no file " + filepath.Join(dir, "none.yaml")},
		{[]string{"--dir", dir, "--out", out}, "--out goes with --openapi"},
		{[]string{"--dir", dir, "--by-trust", "--target", "zod,mcp"}, "--by-trust is about data-model.md"},
		{[]string{"--dir", dir, "--by-trust", "--target", "hono"}, "there is no folder specs"},
	} {
		code, printed := runLine(t, append([]string{"spec-apply"}, tt.args...)...)
		if code != exitFailed || !strings.Contains(printed, tt.want) {
			t.Errorf("%s: exit code %d, printed %s", tt.args, code, printed)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
}

func TestSpecApplyOneDocument(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "shop.yaml"), filepath.Join(dir, "a", "generated")
	if err := os.WriteFile(source, []byte(contract), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, printed := runLine(t, "spec-apply", "--openapi", source, "--out", out, "--target", "zod"); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, printed)
	}
	content, err := os.ReadFile(filepath.Join(out, "schemas.ts"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), dir) || !strings.HasPrefix(string(content), "// Generated by Flaresmith from shop.yaml.") {
		t.Errorf("got\n%s", content)
	}
}

const operations = `openapi: 3.1.0
info: { title: Shop, version: "1" }
paths:
  /products: { get: { operationId: listProducts, responses: { "200": { description: OK } } } }
`

// TestSpecApplyOnce follows a file that is written once: it is the person's, whatever the specs say then.
func TestSpecApplyOnce(t *testing.T) {
	t.Parallel()
	const handlers, routes = "src/handlers/001-shop.ts", "src/routes/001-shop.ts"
	c := newCheckout(t)
	c.write("specs/001-shop/contracts/openapi.yaml", operations)
	c.write("specs/002-more/contracts/openapi.yaml", operations)
	c.apply(exitOK)
	c.commit()
	c.write(handlers, "// mine\n")
	c.apply(exitOK, "--check")
	c.write("specs/001-shop/contracts/openapi.yaml", strings.Replace(operations, "listProducts", "allProducts", 1))
	c.apply(exitFound, "--check")
	c.apply(exitOK)
	if got := c.read(handlers); got != "// mine\n" {
		t.Errorf("the handlers became %q", got)
	}
	if got := c.read(routes); !strings.Contains(got, "allProducts") {
		t.Errorf("the routes are\n%s", got)
	}
	// One that is gone is written anew: the app imports it.
	if err := os.Remove(filepath.Join(c.dir, "src/handlers/002-more.ts")); err != nil {
		t.Fatal(err)
	}
	c.apply(exitFound, "--check")
	c.apply(exitOK)
	c.read("src/handlers/002-more.ts")
	// Without their specs, the touched one stays and is named; the other goes.
	for _, feature := range []string{"001-shop", "002-more"} {
		if err := os.RemoveAll(filepath.Join(c.dir, "specs", feature)); err != nil {
			t.Fatal(err)
		}
	}
	c.write("specs/003-other/contracts/openapi.yaml", operations)
	if out := c.apply(exitOK); !strings.Contains(out, handlers+":1:1: no spec asks for this file") {
		t.Errorf("got\n%s", out)
	}
	c.read(handlers)
	for _, gone := range []string{routes, "src/handlers/002-more.ts"} {
		if _, err := os.Stat(filepath.Join(c.dir, gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
}

func TestSpecApplyConfigured(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.write("specs/001-shop/contracts/openapi.yaml", operations)
	c.write(".github/flaresmith.yml", "layout: {collections: api}\nspec: {targets: [hono, postman], environments: [dev], layout: {source: worker, routes: generated, schemas: generated/zod, handlers: worker}}\n")
	c.apply(exitOK)
	var got []string
	for _, name := range []string{"api/001-shop.postman_collection.json", "api/dev.postman_environment.json", "api/prod.postman_environment.json", "generated/001-shop.ts",
		"generated/zod/001-shop.ts", "mcp/001-shop.json", "worker/001-shop.ts", "worker/app.ts", "worker/env.ts", "worker/http.ts", "worker/index.ts"} {
		if _, err := os.Stat(filepath.Join(c.dir, name)); err == nil {
			got = append(got, name)
		}
	}
	want := []string{"api/001-shop.postman_collection.json", "api/dev.postman_environment.json", "generated/001-shop.ts",
		"generated/zod/001-shop.ts", "worker/001-shop.ts", "worker/app.ts", "worker/env.ts", "worker/http.ts", "worker/index.ts"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if routes := c.read("generated/001-shop.ts"); !strings.Contains(routes, `from "../worker/env"`) || !strings.Contains(c.read("worker/app.ts"), `from "../generated/001-shop"`) {
		t.Errorf("imports:\n%s", routes)
	}
	c.apply(exitOK, "--check")

	c.write(".github/flaresmith.yml", "spec: {layout: {routes: src/schemas}}\n")
	if out := c.apply(exitFailed); !strings.Contains(out, "two generated files would be src/schemas/001-shop.ts") {
		t.Errorf("got\n%s", out)
	}
	c.write(".github/flaresmith.yml", "spec: {layout: {routes: specs/x}}\n")
	if out := c.apply(exitFailed); !strings.Contains(out, `can't go to the folder "specs/x"`) {
		t.Errorf("got\n%s", out)
	}
	c.write(".github/flaresmith.yml", "spec: {targets: [cobol]}\n")
	if out := c.apply(exitFailed); !strings.Contains(out, ".github/flaresmith.yml:1:18: spec.targets[0] is \"cobol\"") {
		t.Errorf("got\n%s", out)
	}
}

// TestSpecTargets keeps the names that the configuration takes those that there are.
func TestSpecTargets(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(codegen.Targets(), repoconfig.SpecTargets()); diff != "" {
		t.Errorf("targets (-codegen +configuration):\n%s", diff)
	}
}

const dataModel = `# Data model

### Product
- id (uuid) REQUIRED
- name (string) REQUIRED
- price (decimal) REQUIRED

### Review
- id (uuid) REQUIRED
- productId (uuid) REQUIRED → Product.id
`

const productContract = `openapi: 3.1.0
info: { title: Shop, version: "1" }
paths: { /products: { get: { responses: { "200": { description: x } } }, post: { responses: { "201": { description: x } } } } }
components: { schemas: { Product: { type: object, required: [id, name], properties: { id: { type: string }, name: { type: string } } } } }
`

// TestSpecApplyBreaking removes a column, a table, a required field and an operation: each is called out with
// what to do, before and when it is applied, and not again.
func TestSpecApplyBreaking(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.write("specs/001-shop/contracts/openapi.yaml", productContract)
	c.write("specs/001-shop/data-model.md", dataModel)
	c.apply(exitOK)
	if schema := c.read("src/db/schema.ts"); !strings.Contains(schema, `export const products = pgTable("products", {`) {
		t.Fatalf("got\n%s", schema)
	}
	c.write("specs/001-shop/contracts/openapi.yaml", strings.NewReplacer("[id, name]", "[id]", `, post: { responses: { "201": { description: x } } }`, "").Replace(productContract))
	shorter, _, _ := strings.Cut(dataModel, "### Review")
	c.write("specs/001-shop/data-model.md", strings.Replace(shorter, "- price (decimal)", "- cost (decimal)", 1))
	var report struct {
		BreakingChanges []struct{ Kind, Name, Note string }
	}
	for _, args := range [][]string{{"--dry-run", "--json"}, {"--json"}} {
		want := exitFound
		if len(args) == 1 {
			want = exitOK
		}
		if err := json.Unmarshal([]byte(c.apply(want, args...)), &report); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range report.BreakingChanges {
			got = append(got, b.Kind+" "+b.Name)
			if b.Name == "products.price" && !strings.Contains(b.Note, "ALTER TABLE products RENAME COLUMN price TO cost;") {
				t.Errorf("got %s", b.Note)
			}
		}
		if diff := cmp.Diff([]string{"table reviews", "column products.price", "column products.cost", "field Product.name", "operation POST /products"}, got); diff != "" {
			t.Errorf("%s:\n%s", args, diff)
		}
	}
	if out := c.apply(exitOK); strings.Contains(out, "breaking") {
		t.Errorf("called out again:\n%s", out)
	}
}

// TestSpecApplyMismatch has a data model that contradicts itself: the more trusted notation is followed, and
// every place is told by every run, until that order is accepted.
func TestSpecApplyMismatch(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.write("specs/001-shop/data-model.md", dataModel+"\n```sql\nCREATE TABLE reviews (id UUID PRIMARY KEY, product_id BIGINT NOT NULL);\n```\n")
	for _, args := range [][]string{{"--check"}, {"--dry-run"}, {}} {
		out := c.apply(exitConflicts, args...)
		if want := "conflict  specs/001-shop/data-model.md:10:3  SCHEMA_MISMATCH\n          reviews.product_id: the list says the type uuid, but SQL says bigint, which counts (specs/001-shop/data-model.md:13:44). Change one of them.\n"; !strings.Contains(out, want) {
			t.Errorf("%s: %q is not in\n%s", args, want, out)
		}
	}
	if tables, err := os.ReadFile(filepath.Join(c.dir, "src/db/schema.ts")); err != nil || !strings.Contains(string(tables), `bigint("product_id"`) {
		t.Fatalf("%v, what SQL says was not written:\n%s", err, tables)
	}
	c.apply(exitOK, "--target", "zod") // reads no data model
	if out := c.apply(exitOK, "--by-trust"); !strings.Contains(out, "note      specs/001-shop/data-model.md:10:3: reviews.product_id: ") {
		t.Errorf("got\n%s", out)
	}
	c.apply(exitOK, "--by-trust", "--check")
	c.apply(exitConflicts, "--check")
}
