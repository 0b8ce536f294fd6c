package codegen

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const generations = "testdata/generations"

// TestGeneration fails when a golden case gives other files for the same input and the generation is
// the same: a run over files of the older generator would take them for current. With -update, run
// after the golden files were rewritten, it records the present state.
func TestGeneration(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/golden/*")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := os.ReadFile(generations)
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	for _, folder := range cases {
		name, in, out := filepath.Base(folder), hashOf(t, folder, true), hashOf(t, folder, false)
		fmt.Fprintf(&now, "%s %d %s %s\n", name, generation, in, out)
		prefix := fmt.Sprintf("%s %d %s ", name, generation, in)
		if _, rest, found := strings.Cut("\n"+string(recorded), "\n"+prefix); found && !strings.HasPrefix(rest, out) {
			t.Errorf("%s: another output for the same input: raise generation, then run with -update", name)
		}
	}
	if t.Failed() || now.String() == string(recorded) {
		return
	}
	if flag.Lookup("update").Value.String() != "true" {
		t.Fatal("golden cases were added or changed: run with -update twice")
	}
	if err := os.WriteFile(generations, []byte(now.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hashOf hashes a case's input, or everything else of it.
func hashOf(t *testing.T, folder string, input bool) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasPrefix(path, filepath.Join(folder, "in")+string(filepath.Separator)) != input {
			return nil
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:12])
}
