package specsync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

const (
	modelPath  = "specs/001-shop/data-model.md"
	schemaPath = "src/db/schema.ts"
	modelText  = "# Data model\n\n## Product\n\n| Field | Type | Constraints |\n|---|---|---|\n| id | uuid | PK |\n| name | text | NOT NULL |\n"
)

// shop is a repository whose generated files are as its specs say.
func shop(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{modelPath: {Data: []byte(modelText)}}
	generated, err := codegen.Generate(t.Context(), files, codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, err := codegen.Plan(files, generated, drift.Manifest{}, func([]string) (map[string]bool, error) { return map[string]bool{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range generated.All {
		files[f.Path] = &fstest.MapFile{Data: f.Content}
	}
	data := manifest.Bytes()
	files[drift.ManifestPath] = &fstest.MapFile{Data: data}
	return files
}

func TestCompare(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	more := file(modelText + "| stock | integer | NOT NULL |\n")
	tests := []struct {
		name     string
		change   func(fstest.MapFS)
		fallback string
		none     bool
		status   drift.Status
		problem  string // part of the first one
	}{
		{name: "unchanged", change: func(fstest.MapFS) {}, status: drift.Clean},
		{name: "a changed spec", change: func(f fstest.MapFS) { f[modelPath] = more }, status: drift.Drift},
		{name: "a file changed by hand", change: func(f fstest.MapFS) { f[modelPath], f[schemaPath] = more, file("// mine\n") }, status: drift.Conflicts},
		{name: "no specs any more, as after a wrong merge", change: func(f fstest.MapFS) { delete(f, modelPath) }, problem: "there is no folder specs"},
		{name: "neither specs nor generated files", change: func(f fstest.MapFS) { clear(f); f["README.md"] = file("hello") }, none: true},
		{name: "the head's own configuration counts before the fallback", fallback: "spec: {targets: [nonsense]}",
			change: func(f fstest.MapFS) { f[".github/flaresmith.yml"] = file("") }, status: drift.Clean},
		{name: "the fallback counts where the head has none", fallback: "spec: {layout: {database: lib/db}}", change: func(fstest.MapFS) {}, status: drift.Drift},
		{name: "an invalid configuration", change: func(f fstest.MapFS) { f[".github/flaresmith.yml"] = file("spec: {targets: [nonsense]}") }, problem: "nonsense"},
		{name: "a layout below .github", change: func(f fstest.MapFS) {
			f[".github/flaresmith.yml"] = file("spec: {layout: {database: .GitHub/workflows}}")
		}, problem: "below .github and .git"},
		{name: "a manifest that lists a workflow", change: func(f fstest.MapFS) {
			const workflow = "on: push\n"
			f[modelPath], f[".github/workflows/ci.yml"] = more, file(workflow)
			entry := fmt.Sprintf(`"files": {".github/workflows/ci.yml": {"target": "drizzle", "sha256": %q},`, drift.Hash([]byte(workflow)))
			f[drift.ManifestPath] = file(strings.Replace(string(f[drift.ManifestPath].Data), `"files": {`, entry, 1))
		}, problem: "below .github and .git"},
		{name: "a file where specs should be", change: func(f fstest.MapFS) { delete(f, modelPath); f["specs"] = file("x") }, problem: "specs"},
		{name: "too many files", change: func(f fstest.MapFS) {
			for i := range maxSpecFiles + 1 {
				f[fmt.Sprintf("specs/002-many/%d.md", i)] = file("x")
			}
		}, problem: "specs"},
		{name: "too many bytes", change: func(f fstest.MapFS) { f["specs/002-large/spec.md"] = &fstest.MapFile{Data: make([]byte, maxSpecBytes)} }, problem: "specs"},
		{name: "a manifest that is too large", change: func(f fstest.MapFS) { f[drift.ManifestPath] = &fstest.MapFile{Data: make([]byte, maxManifest+1)} }, problem: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := shop(t)
			tt.change(files)
			got, err := Compare(t.Context(), files, []byte(tt.fallback))
			if err != nil {
				t.Fatal(err)
			}
			if got.NoSpecs != tt.none || got.Report.Summary.Status != tt.status {
				t.Errorf("none %t, status %q, want %t, %q: %+v", got.NoSpecs, got.Report.Summary.Status, tt.none, tt.status, got)
			}
			if wrong := tt.status == "" && !tt.none; wrong != (len(got.Problems) > 0) {
				t.Fatalf("problems: %v", got.Problems)
			}
			if len(got.Problems) > 0 && !strings.Contains(got.Problems[0].String(), tt.problem) {
				t.Errorf("problem %v, want %q", got.Problems[0], tt.problem)
			}
		})
	}
}

// A manifest that could not be read the next time is not written either: nobody could apply anything after it.
func TestManifestThatWouldBeTooLarge(t *testing.T) {
	t.Parallel()
	var parameters, paths strings.Builder
	for i := range 100 {
		fmt.Fprintf(&parameters, `, {"name": "p%d", "in": "query", "schema": {"type": "string"}}`, i)
	}
	for i := range 3000 {
		fmt.Fprintf(&paths, `, "/p%d": {"$ref": "#/components/pathItems/X"}`, i)
	}
	document := `{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {` + paths.String()[2:] + `},
		"components": {"pathItems": {"X": {"parameters": [` + parameters.String()[2:] + `], "get": {"responses": {}}}}}}`
	r, err := Compare(t.Context(), fstest.MapFS{"specs/001-shop/contracts/openapi.json": {Data: []byte(document)}}, []byte("spec: {targets: [zod]}"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) != 1 || r.Problems[0].Path != drift.ManifestPath || !strings.Contains(r.Problems[0].Message, "8 MB") {
		t.Errorf("problems: %v", r.Problems)
	}
}

// Specs that take too long are for their authors to change; a server that stops is not.
func TestCompareEnds(t *testing.T) {
	t.Parallel()
	stopped := errors.New("the server stops")
	for _, why := range []error{errTooLong, stopped} {
		files := shop(t)
		files[modelPath] = &fstest.MapFile{Data: []byte(modelText + "| stock | integer | NOT NULL |\n")}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		r, err := Compare(ctx, files, nil)
		if errors.Is(why, errTooLong) {
			if err != nil || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].String(), modelPath+": ") || !strings.Contains(r.Problems[0].String(), why.Error()) {
				t.Errorf("%v: %+v, %v", why, r, err)
			}
		} else if !errors.Is(err, why) || preview.Classify(err) != preview.ClassTransient || len(r.Problems) > 0 {
			t.Errorf("%v: %+v, %v", why, r, err)
		}
	}
}

// What is compared with git's own tree before a commit are these ids, and where a person looks are these lines.
func TestCompareLocates(t *testing.T) {
	t.Parallel()
	files := shop(t)
	before := files[schemaPath].Data
	files[modelPath] = &fstest.MapFile{Data: []byte(modelText + "| stock | integer | NOT NULL |\n")}
	r, err := Compare(t.Context(), files, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(blobID(before), r.blobs[schemaPath]); diff != "" {
		t.Errorf("id: %s", diff)
	}
	var after []byte
	for _, c := range r.Report.ChangedFiles {
		if c.Path == schemaPath {
			after = c.After()
		}
	}
	const head = 2 // lines, the second with a hash that always differs
	line := r.lines[schemaPath]
	if old, now := strings.Split(string(before), "\n"), strings.Split(string(after), "\n"); line <= head || line > len(old) || old[line-1] == now[line-1] || line > head+1 && old[line-2] != now[line-2] {
		t.Errorf("line %d is not the first one below the head that differs", line)
	}
	if diff := cmp.Diff("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", blobID(nil)); diff != "" { // git hash-object /dev/null
		t.Errorf("id of an empty file: %s", diff)
	}
}

func TestTouches(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"specs/001-shop/spec.md": true, "specs/a": true, ".github/flaresmith.yml": true, ".flaresmith.json": true,
		"specs": false, "specsheet/a": false, "docs/specs/a": false, "Specs/a": false, ".github/workflows/ci.yml": false, "src/.flaresmith.json": false,
	} {
		if got := Touches([]string{"README.md", path}); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
	if Touches(nil) {
		t.Error("nothing touches specs")
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		".github": true, ".github/workflows/x.yml": true, ".GITHUB/x": true, "./.github/x": true, "src/../.github/x": true,
		".git/hooks/x": true, "src/.git/config": true, "src/.GIT/config": true,
		"": false, "src/db": false, "src/.github/x": false, ".gitignore": false, ".githubx/y": false, "github/x": false,
	} {
		if got := forbidden(path); got != want {
			t.Errorf("%q: %t", path, got)
		}
	}
}

func TestFirstDifference(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b string
		want int
	}{
		{"", "x\n", 1}, {"a\nb\n", "x\nb\n", 1}, {"a\nb\nc\n", "a\nx\nc\n", 2}, {"a\nb\n", "a\nb\nc\n", 2}, {"a\nb\nc\n", "a\n", 2}, {"a\nb", "a\nb\n", 2},
	}
	for _, tt := range tests {
		if got := firstDifference([]byte(tt.a), []byte(tt.b)); got != tt.want {
			t.Errorf("%q, %q: line %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
