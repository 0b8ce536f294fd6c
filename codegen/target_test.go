package codegen_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

// TestTargetAlone runs each target alone after a run of all, and all again: nothing is to do, the files of the other
// targets stay listed and what was promised stays promised. The specs give handlers for plain CRUD, which need
// the tables of another target.
func TestTargetAlone(t *testing.T) {
	t.Parallel()
	in := os.DirFS(filepath.Join(golden, "crud", "in"))
	plan := func(t *testing.T, disk *os.Root, only ...string) (drift.Report, drift.Manifest) {
		t.Helper()
		manifest, err := drift.ReadManifest(disk.FS())
		if err != nil {
			t.Fatal(err)
		}
		files, err := codegen.Generate(t.Context(), in, codegen.Options{Only: only})
		if err != nil {
			t.Fatal(err)
		}
		report, next, err := codegen.Plan(disk.FS(), files, manifest, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := codegen.Write(disk, report, next); err != nil {
			t.Fatal(err)
		}
		return report, next
	}
	for _, name := range codegen.Targets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer disk.Close()
			report, full := plan(t, disk)
			if len(report.ChangedFiles) == 0 {
				t.Fatal("nothing was generated")
			}
			for _, only := range [][]string{{name}, nil} {
				report, next := plan(t, disk, only...)
				if len(report.ChangedFiles)+len(report.BreakingChanges)+len(report.Conflicts) > 0 {
					t.Errorf("%q: %+v, %+v, %+v", only, report.ChangedFiles, report.BreakingChanges, report.Conflicts)
				}
				if diff := cmp.Diff(full.Files, next.Files); diff != "" {
					t.Errorf("%q: files of the manifest:\n%s", only, diff)
				}
				if diff := cmp.Diff(full.Promises, next.Promises); diff != "" {
					t.Errorf("%q: promises:\n%s", only, diff)
				}
			}
		})
	}
}

// TestTargetsOfProject: a target alone brings along what it needs, if the project has that.
func TestTargetsOfProject(t *testing.T) {
	t.Parallel()
	in := os.DirFS(filepath.Join(golden, "crud", "in"))
	tests := []struct {
		name          string
		project, only []string
		want          []string
	}{
		{"all", nil, nil, []string{"drizzle", "hono", "mcp", "postman", "zod"}},
		{"one of all", nil, []string{"hono"}, []string{"drizzle", "hono", "zod"}},
		{"one of a project without tables", []string{"hono", "mcp"}, []string{"hono"}, []string{"hono", "zod"}},
		{"a project without tables", []string{"hono", "mcp"}, nil, []string{"hono", "mcp", "zod"}},
		{"one that the project has not", []string{"zod"}, []string{"drizzle"}, []string{"drizzle"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files, err := codegen.Generate(t.Context(), in, codegen.Options{Targets: tt.project, Only: tt.only})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range files.All {
				got = append(got, f.Target)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, slices.Compact(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
