package codegen_test

import (
	"encoding/json"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const golden = "testdata/golden"

// options of a case: a single document stands beside no specs folder.
func options(t *testing.T, in fs.FS) codegen.Options {
	t.Helper()
	for _, name := range []string{"openapi.yaml", "openapi.json"} {
		if _, err := fs.Stat(in, name); err == nil {
			return codegen.Options{OpenAPI: name}
		}
	}
	return codegen.Options{}
}

// TestGolden generates every case: testdata/golden/<case>/in gives out, notes.txt, conflicts.txt and
// problems.txt.
// -update rewrites them; a file that is no longer generated fails.
func TestGolden(t *testing.T) {
	t.Parallel()
	cases, err := os.ReadDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(golden, c.Name())
			in := os.DirFS(filepath.Join(folder, "in"))
			files, err := codegen.Generate(t.Context(), in, options(t, in))
			got := map[string]string{}
			if err != nil {
				got["problems.txt"] = err.Error() + "\n"
			}
			for _, f := range files.All {
				got["out/"+f.Path] = string(f.Content)
			}
			if len(files.Notes) > 0 {
				got["notes.txt"] = list(files.Notes)
			}
			if len(files.Mismatches) > 0 {
				got["conflicts.txt"] = list(files.Mismatches)
			}
			if *update {
				rewrite(t, folder, got)
			}
			if diff := cmp.Diff(readGolden(t, folder), got); diff != "" {
				t.Errorf("golden files (-want +got):\n%s", diff)
			}
		})
	}
}

// list writes all problems, a line each.
func list(problems spec.Problems) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// readGolden reads all files of a case but its input.
func readGolden(t *testing.T, folder string) map[string]string {
	t.Helper()
	want := map[string]string{}
	disk := os.DirFS(folder)
	err := fs.WalkDir(disk, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if path == "in" {
				return fs.SkipDir
			}
			return err
		}
		content, err := fs.ReadFile(disk, path)
		want[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func rewrite(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for _, old := range slices.Sorted(maps.Keys(readGolden(t, folder))) {
		if err := os.Remove(filepath.Join(folder, old)); err != nil {
			t.Fatal(err)
		}
	}
	for path, content := range files {
		name := filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSameBytes runs the generator often: maps must not shine through.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	runs, names := 20, []string{"schemas-3.1", "crud"}
	if testing.Short() {
		runs, names = 1, names[1:] // what runs side by side is seen in one
	}
	for _, name := range names {
		in := os.DirFS(filepath.Join(golden, name, "in"))
		first, err := codegen.Generate(t.Context(), in, options(t, in))
		if err != nil {
			t.Fatal(err)
		}
		for range runs {
			again, err := codegen.Generate(t.Context(), in, options(t, in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(first.All, again.All); diff != "" {
				t.Fatalf("another run of %s gave other bytes:\n%s", name, diff)
			}
			if diff := cmp.Diff(first.Notes, again.Notes); diff != "" {
				t.Fatalf("another run of %s gave other notes:\n%s", name, diff)
			}
		}
	}
}

func TestUnknownTarget(t *testing.T) {
	t.Parallel()
	_, err := codegen.Generate(t.Context(), os.DirFS(golden), codegen.Options{Targets: []string{"cobol"}})
	if err == nil || !strings.Contains(err.Error(), `no target "cobol"`) {
		t.Errorf("got %v", err)
	}
}

// TestStatusIsNoCode: what names a response is put into code, so that it is a status or an error.
func TestStatusIsNoCode(t *testing.T) {
	t.Parallel()
	for key, ok := range map[string]bool{"200": true, "4XX": true, "default": true, "x-note": true, `200)); evil(); //`: false, "+200": false, "2000": false, "OK": false} {
		text, err := json.Marshal(map[string]any{"openapi": "3.1.0", "info": map[string]any{"title": "t", "version": "1"},
			"paths": map[string]any{"/a": map[string]any{"get": map[string]any{"operationId": "a", "responses": map[string]any{key: map[string]any{"description": "d"}, "204": map[string]any{"description": "d"}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		source := fstest.MapFS{"openapi.json": {Data: text}}
		_, err = codegen.Generate(t.Context(), source, codegen.Options{OpenAPI: "openapi.json"})
		if (err == nil) != ok || (!ok && !strings.Contains(err.Error(), "is no status of a response")) {
			t.Errorf("%q: %v", key, err)
		}
	}
}
