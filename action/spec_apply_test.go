package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
			for _, args := range [][]string{{"--check"}, {"--dry-run"}, {}} {
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
	for _, args := range [][]string{
		{"--target", "cobol"}, {"--dry-run", "--check"}, {"--openapi", "x.yaml"}, {"--no-such-flag"}, {"argument"},
	} {
		c.apply(exitFailed, args...)
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
