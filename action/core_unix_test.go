//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Neither the program nor Git, which it starts, may leave its memory on the disk, also where the environment wants it.
func TestNoCore(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	git := writeFile(t, filepath.Join(dir, "bin", "git"), "#!/bin/sh\nulimit -c >'"+dir+"/limit'\nexit 1\n")
	if err := os.Chmod(git, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -c "$(ulimit -H -c)"; ulimit -c; exec "$0" secret-scan --dir "$1"`, binary, dir)
	cmd.Env = append(os.Environ(), asProgram+"=1", "GOTRACEBACK=crash", "PATH="+filepath.Dir(git)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("0 certain")) {
		t.Fatalf("%v\n%s", err, out)
	}
	if limit := strings.TrimSpace(readFile(t, filepath.Join(dir, "limit"))); limit != "0" {
		t.Errorf("a core may have %s blocks, before it was %s", limit, out)
	}
}
