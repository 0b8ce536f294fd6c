package codegen_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

// sample is the demo's repository, and what the commits of its story replace in it.
const sample = "../app/demo"

// TestSample: the demo's repository, and each commit of its story, is what spec apply makes of its specs, but for the one commit that
// changes specs alone. With -update it is made anew; what people wrote stays.
func TestSample(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob(sample + "/story/[0-9]*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("%v: %v", folders, err)
	}
	tree := fstest.MapFS{}
	for _, folder := range append([]string{sample + "/sample"}, folders...) {
		before := maps.Clone(tree)
		maps.Copy(tree, filesBelow(t, folder))
		report, files := planned(t, tree)
		var drifted []string
		for _, change := range report.ChangedFiles {
			drifted = append(drifted, change.Path)
		}
		if there := tree[drift.ManifestPath]; there == nil || string(there.Data) != string(files[drift.ManifestPath].Data) {
			drifted = append(drifted, drift.ManifestPath)
		}
		if filepath.Base(folder) == "03-description" {
			if len(drifted) == 0 || len(report.Conflicts) > 0 {
				t.Errorf("%s: applying changes %v, with the conflicts %v", folder, drifted, report.Conflicts)
			}
		} else if *update {
			writeChanged(t, folder, before, files)
		} else if diff := cmp.Diff([]string(nil), drifted); diff != "" || len(report.Conflicts) > 0 {
			t.Errorf("%s is not as its specs say: run with -update (%v)\n%s", folder, report.Conflicts, diff)
		}
		maps.Copy(tree, files)
	}
}

// planned is what applying the specs of a repository does, and the files that it leaves.
func planned(t *testing.T, tree fstest.MapFS) (drift.Report, fstest.MapFS) {
	t.Helper()
	generated, err := codegen.Generate(t.Context(), tree, codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	old, err := drift.ReadManifest(tree)
	if err != nil {
		t.Fatal(err)
	}
	report, manifest, err := codegen.Plan(tree, generated, old, func([]string) (map[string]bool, error) { return map[string]bool{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	text := manifest.Bytes()
	files := fstest.MapFS{drift.ManifestPath: {Data: text}}
	for _, f := range generated.All {
		if there := tree[f.Path]; !f.Once || there == nil {
			files[f.Path] = &fstest.MapFile{Data: f.Content}
		}
	}
	return report, files
}

func filesBelow(t *testing.T, folder string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	disk := os.DirFS(folder)
	if err := fs.WalkDir(disk, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(disk, path)
		files[path] = &fstest.MapFile{Data: data}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// writeChanged writes what differs from the state before into a commit's folder, and removes from it what does not.
func writeChanged(t *testing.T, folder string, before, files fstest.MapFS) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		name := filepath.Join(folder, filepath.FromSlash(path))
		if old := before[path]; old != nil && string(old.Data) == string(files[path].Data) {
			if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		write(t, name, files[path].Data)
	}
}
