package codegen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/codegen"
)

// FuzzDataModel takes any data-model.md through to a module of tables, which must be TypeScript whatever the
// file says, and the same again.
func FuzzDataModel(f *testing.F) {
	for _, pattern := range []string{golden + "/table*/in/specs/*/data-model.md", sharedSpecs + "/*/data-model.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("### X\n- a (uuid) → X.a, default `${1}\n- __proto__ (json)\n  - [{a: \"*/\"}]\n"))
	f.Add([]byte("```sql\nCREATE TABLE \"a`${b}\" (\"c\\\" text CHECK ('`${x}\\' = ''), check int);\n```\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := fstest.MapFS{"specs/001-a/data-model.md": {Data: data}}
		options := codegen.Options{Targets: []string{"drizzle"}}
		files, err := codegen.Generate(in, options)
		if err != nil {
			if len(files.All) > 0 || err.Error() == "" {
				t.Fatalf("files with an error: %v", err)
			}
			return
		}
		for _, p := range append(files.Notes, files.Mismatches...) {
			if p.Line < 1 || p.Column < 1 || p.File == "" || p.Message == "" {
				t.Errorf("a note without a place: %+v", p)
			}
		}
		again, err := codegen.Generate(in, options)
		if err != nil || len(again.All) != len(files.All) {
			t.Fatalf("the second run: %v", err)
		}
		for i, file := range files.All {
			if string(again.All[i].Content) != string(file.Content) {
				t.Fatal("the second run gave other bytes")
			}
			result := api.Transform(string(file.Content), api.TransformOptions{Loader: api.LoaderTS})
			if len(result.Errors) > 0 {
				t.Fatalf("no TypeScript: %s\n%s", result.Errors[0].Text, file.Content)
			}
		}
	})
}

// TestTablesAreLinked sees to it that the ids of requirements reach the tables that they name, and no others.
func TestTablesAreLinked(t *testing.T) {
	t.Parallel()
	in := fstest.MapFS{
		"specs/001-a/spec.md":       {Data: []byte("- **FR-001**: `Item` has a name.\n- **FR-002**: An item is sold.\n- **SC-003**: Every ItemGroup is listed.\n")},
		"specs/001-a/data-model.md": {Data: []byte("### Item\n- id (uuid)\n\n### ItemGroup\n- id (uuid)\n")},
		"specs/002-b/spec.md":       {Data: []byte("- **FR-009**: `Item` of another feature.\n")},
	}
	files, err := codegen.Generate(in, codegen.Options{Targets: []string{"drizzle"}})
	if err != nil {
		t.Fatal(err)
	}
	content := string(files.All[0].Content)
	for _, want := range []string{"/** FR-001 */\nexport const items = ", "/** SC-003 */\nexport const itemGroups = "} {
		if !strings.Contains(content, want) {
			t.Errorf("%q is not in\n%s", want, content)
		}
	}
	if strings.Contains(content, "FR-002") || strings.Contains(content, "FR-009") {
		t.Errorf("linked to what does not name a table:\n%s", content)
	}
}
