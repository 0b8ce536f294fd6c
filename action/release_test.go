package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	gh "github.com/google/go-github/v62/github"
	"go.yaml.in/yaml/v3"
)

// releaseBuild is the build step of the release workflow.
func releaseBuild(t *testing.T) string {
	t.Helper()
	var workflow struct {
		Jobs struct {
			Release struct {
				Steps []struct{ ID, Run string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "../.github/workflows/release.yml")), &workflow); err != nil {
		t.Fatal(err)
	}
	for _, step := range workflow.Jobs.Release.Steps {
		if step.ID == "build" {
			return step.Run
		}
	}
	t.Fatal("the workflow has no step called build")
	return ""
}

// TestRelease runs the release's build in two folders, which must not show in what is built, and then uses the
// action as others do, with that release.
func TestRelease(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the work is that of programs which are built without the race detector")
	}
	needs(t, "act")
	files := source(t)
	build := releaseBuild(t)
	elsewhere := filepath.Join(t.TempDir(), "another folder")
	if err := os.CopyFS(elsewhere, files); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	name := "flaresmith_" + version + "_" + runtime.GOOS + "_" + runtime.GOARCH
	var binaries [][]byte
	for _, dir := range []string{here, elsewhere} {
		dist := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", build)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "DIST="+dist, "PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH, "GITHUB_OUTPUT="+filepath.Join(dist, "output"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if sums := readFile(t, filepath.Join(dist, "checksums.txt")); !strings.HasSuffix(sums, "  "+name+"\n") || strings.Count(sums, "\n") != 1 {
			t.Errorf("checksums:\n%s", sums)
		}
		if output := readFile(t, filepath.Join(dist, "output")); output != "version="+version+"\n" {
			t.Errorf("output: %s", output)
		}
		binaries = append(binaries, []byte(readFile(t, filepath.Join(dist, name))))
	}
	if !bytes.Equal(binaries[0], binaries[1]) {
		t.Fatal("two builds of the same source differ")
	}
	if bytes.Contains(binaries[0], []byte(here)) {
		t.Error("the binary holds the path of this machine's source")
	}
	useRelease(t, files, name, binaries[0])
}

// useRelease runs a workflow in another repository that uses the action with a release.
func useRelease(t *testing.T, files fstest.MapFS, name string, binary []byte) {
	var fetched atomic.Int64
	var served atomic.Pointer[[]byte]
	served.Store(&binary)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		if r.URL.Path != "/v"+version+"/"+name {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(*served.Load())
	}))
	defer server.Close()
	sum := sha256.Sum256(binary)
	files["action/checksums.txt"] = &fstest.MapFile{Data: []byte("# of a test\n" + hex.EncodeToString(sum[:]) + "  " + name + "\n")}
	action := filepath.Join(t.TempDir(), "action")
	if err := os.CopyFS(action, files); err != nil {
		t.Fatal(err)
	}
	p := newProject(t, fstest.MapFS{".github/workflows/release.yml": &fstest.MapFile{Data: []byte(readFile(t, "testdata/workflows/release.yml"))}},
		map[string]string{"a.txt": "nothing\n"})
	checkout := p.shallow("feature")
	cache := t.TempDir()
	use := func() (string, error) {
		log, _, err := p.act(checkout, "--env", "RELEASE_URL="+server.URL, "--local-repository", "flaresmith/flaresmith@v1="+action,
			"--action-cache-path", cache, "--secret", "GITHUB_TOKEN="+p.token(&gh.InstallationPermissions{Contents: gh.String("read")}))
		return log, err
	}
	for range 2 {
		if log, err := use(); err != nil || !strings.Contains(log, "No secrets found") {
			t.Fatalf("%v\n%s", err, log)
		}
	}
	if n := fetched.Load(); n != 1 {
		t.Errorf("the binary was fetched %d times, want once", n)
	}
	cached := filepath.Join(cache, "tool_cache", "flaresmith", version, name)
	if err := os.WriteFile(cached, []byte("#!/bin/sh\necho No secrets found\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if log, err := use(); err != nil || fetched.Load() != 2 {
		t.Errorf("a spoilt cache: fetched %d times, %v\n%s", fetched.Load(), err, log)
	}
	if err := os.Remove(cached); err != nil {
		t.Fatal(err)
	}
	other := []byte("#!/bin/sh\necho No secrets found\n")
	served.Store(&other)
	if log, err := use(); err == nil || !strings.Contains(log, name+" is not what its checksum says") || strings.Contains(log, "No secrets found") {
		t.Errorf("another binary: %v\n%s", err, log)
	}
	if _, err := os.Stat(cached); err == nil {
		t.Error("it was kept")
	}
}

// TestChecksums holds the committed checksums against the version: either there is no release of it yet, or there
// is a line for each platform that action.yml knows.
func TestChecksums(t *testing.T) {
	t.Parallel()
	var got, want []string
	for line := range strings.Lines(readFile(t, "checksums.txt")) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(sum) {
			t.Errorf("no checksum: %q", line)
		}
		got = append(got, name)
	}
	for _, found := range regexp.MustCompile(`name=((?:linux|darwin|windows)_\S+)`).FindAllStringSubmatch(readFile(t, "../action.yml"), -1) {
		want = append(want, "flaresmith_"+version+"_"+found[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) != 6 || len(got) > 0 && !slices.Equal(got, want) {
		t.Errorf("checksums of %q, want %q", got, want)
	}
}
