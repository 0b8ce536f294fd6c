package codegen_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

// tree reads all files below a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		got[strings.TrimPrefix(path, dir+"/")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// world is a folder with one generated file that stays, one that changes and one that goes.
func world(t *testing.T) (*os.Root, drift.Report, drift.Manifest) {
	t.Helper()
	dir := t.TempDir()
	old := drift.Manifest{Head: drift.Head{Files: map[string]drift.Entry{}}}
	for path, content := range map[string]string{"keep.ts": "keep\n", "change.ts": "old\n", "gone/gone.ts": "gone\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, path), []byte(content))
		old.Files[path] = drift.Entry{Target: "t", SHA256: drift.Hash([]byte(content))}
	}
	files := []drift.File{{Path: "a/b/new.ts", Target: "t", Content: []byte("new\n")}, {Path: "change.ts", Target: "t", Content: []byte("newer\n")}, {Path: "keep.ts", Target: "t", Content: []byte("keep\n")}}
	report, err := drift.Plan(os.DirFS(dir), old, []string{"t"}, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, report, old.Next(1, "inputs", []string{"t"}, files)
}

func TestWrite(t *testing.T) {
	t.Parallel()
	root, report, manifest := world(t)
	if err := codegen.Write(root, report, manifest); err != nil {
		t.Fatal(err)
	}
	got := tree(t, root.Name())
	delete(got, drift.ManifestPath)
	want := map[string]string{"a/b/new.ts": "new\n", "change.ts": "newer\n", "keep.ts": "keep\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := root.Stat("gone"); err == nil {
		t.Error("the emptied folder is still there")
	}
	again, err := drift.ReadManifest(root.FS())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(manifest, again); diff != "" {
		t.Error(diff)
	}
}

// TestWriteIsAllOrNothing makes the work fail at several points: the folder is as it was.
func TestWriteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"a file where a folder should be", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a"), nil) }, "a/b"},
		{"a folder where a file should be", func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, drift.ManifestPath, "x"), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, drift.ManifestPath, "x", "y"), nil)
		}, drift.ManifestPath},
		{"a file changed meanwhile", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "change.ts"), []byte("mine\n")) }, "change.ts was changed"},
		{"a file came meanwhile", func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "a", "b", "new.ts"), []byte("mine\n"))
		}, "new.ts was changed"},
		{"a link out of the folder", func(t *testing.T, dir string) {
			if err := os.Symlink(t.TempDir(), filepath.Join(dir, "a")); err != nil {
				t.Fatal(err)
			}
		}, "a/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, report, manifest := world(t)
			tt.spoil(t, root.Name())
			before := map[string]string{}
			if tt.name != "a link out of the folder" {
				before = tree(t, root.Name())
			}
			err := codegen.Write(root, report, manifest)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if tt.name == "a link out of the folder" {
				if err := os.Remove(filepath.Join(root.Name(), "a")); err != nil {
					t.Fatal(err)
				}
				before = map[string]string{"change.ts": "old\n", "gone/gone.ts": "gone\n", "keep.ts": "keep\n"}
			}
			if diff := cmp.Diff(before, tree(t, root.Name())); diff != "" {
				t.Error(diff)
			}
		})
	}
}
